//! Options as `[ppp]` of `pppoed.toml` has them: one key, and its values.

use std::collections::BTreeSet;
use std::path::Path;

use ppp_proto::auth::AuthMethod;

use super::parse::Reader;
use super::table::{self, Action, Row};
use super::value::number;
use super::{OptionError, ValueError};
use crate::origin::{Assignment, Origin, Place, Sourced};

/// What the value of an option is in `pppoed.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// `true` or `false`, for an option without an argument.
    Switch,
    /// A whole number.
    Number,
    /// A number of bytes, or a rate: a whole number, or a text with a unit.
    Quantity,
    /// A text.
    Text,
    /// A text, or a list of them, for an option that may be given more than once.
    List,
    /// A path.
    Path,
}

/// Options that mean the same or the opposite: one of them in a stronger layer makes all of them void in the weaker ones.
const GROUPS: &[(&str, &[&str])] = &[
    ("auth", &["noauth"]),
    ("debug", &["-d"]),
    ("ipv6", &["+ipv6", "-ipv6", "noipv6"]),
    ("name", &["usehostname"]),
    ("proxyarp", &["noproxyarp", "-proxyarp"]),
    ("require-chap", &["+chap"]),
    ("require-pap", &["+pap"]),
];

/// What `false` means for an option whose opposite has a name of its own.
const OPPOSITES: &[(&str, &str)] =
    &[("auth", "noauth"), ("ipv6", "noipv6"), ("+ipv6", "noipv6"), ("proxyarp", "noproxyarp")];

/// The option whose value may be a list of methods as well: `auth = ["chap", "pap"]`.
const AUTH: &str = "auth";
/// What such a list makes void beside `auth` and `noauth`.
const REQUIRED: [&str; 2] = ["require-chap", "require-pap"];

/// A method of authentication as files and commands have it.
pub fn auth_word(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::ChapMd5 => "chap",
        AuthMethod::Pap => "pap",
    }
}

/// The method of that word.
pub fn auth_method(word: &str) -> Option<AuthMethod> {
    [AuthMethod::ChapMd5, AuthMethod::Pap].into_iter().find(|method| auth_word(*method) == word)
}

/// The methods of a list; none for `none`.
fn auth_methods(values: &[String]) -> Option<Vec<AuthMethod>> {
    match values {
        [none] if none == "none" => Some(Vec::new()),
        [] => None,
        words => words.iter().map(|word| auth_method(word)).collect(),
    }
}

/// What the value of the option is; `None` if pppd has no such option.
pub fn kind_of(name: &str) -> Option<OptionKind> {
    let row = table::find(name.as_bytes())?;
    Some(match (row.name, row.argument) {
        ("ms-dns" | "ms-wins" | "set" | "unset", _) => OptionKind::List,
        (_, None) => OptionKind::Switch,
        (_, Some(argument)) if [table::NUMBER, table::SECONDS].contains(&Some(argument)) => {
            OptionKind::Number
        }
        (_, argument) if [table::BYTES, table::RATE].contains(&argument) => OptionKind::Quantity,
        (_, argument) if argument == table::PATH => OptionKind::Path,
        _ => OptionKind::Text,
    })
}

/// Whether values are of the option's kind, also of an option that nothing becomes of.
///
/// # Errors
/// What is wrong with them.
pub fn check_kind(name: &str, values: &[String]) -> Result<(), ValueError> {
    match (kind_of(name), values) {
        (Some(OptionKind::Switch), [value]) if value.parse::<bool>().is_ok() => Ok(()),
        (Some(OptionKind::Switch), methods) if name == AUTH => {
            auth_methods(methods).map(drop).ok_or(ValueError::NotMethods)
        }
        (Some(OptionKind::Switch), _) => Err(ValueError::NotASwitch),
        (Some(OptionKind::Number), [value]) => number(value.as_bytes(), 0, u32::MAX).map(drop),
        (Some(OptionKind::List) | None, _) | (_, [_]) => Ok(()),
        (_, _) => Err(ValueError::NotOne),
    }
}

/// Whether the option is one that a user, and an interface, can have of their own.
pub fn is_session_option(name: &str) -> bool {
    table::find(name.as_bytes()).is_some_and(|row| matches!(row.action, Action::Session(_)))
}

/// The names of those options.
pub fn session_options() -> impl Iterator<Item = &'static str> {
    table::TABLE.iter().filter(|row| matches!(row.action, Action::Session(_))).map(|row| row.name)
}

/// Whether the option is taken in `[ppp]`, whatever its value.
pub fn is_accepted(name: &str) -> bool {
    table::find(name.as_bytes())
        .is_some_and(|row| row.is_accepted() && !matches!(row.action, Action::Include))
}

/// The option with nearly that name, of those that are taken in `[ppp]` and `is_possible`.
pub fn nearest_option(name: &str, is_possible: impl Fn(&str) -> bool) -> Option<&'static str> {
    table::nearest(name.as_bytes(), |option| is_accepted(option) && is_possible(option))
}

/// A name for all options that an assignment to this one makes void in weaker layers. `None` for what adds up
/// (`set`, `unset`), and for what is no option.
pub fn option_group(name: &str) -> Option<&'static str> {
    let row = table::find(name.as_bytes())?;
    let group = GROUPS.iter().find(|(group, others)| *group == row.name || others.contains(&row.name));
    match row.name {
        "set" | "unset" => None,
        name => Some(group.map_or(name, |(group, _)| group)),
    }
}

/// All groups that an assignment makes void in weaker layers.
pub fn overridden_groups(assignment: &Assignment) -> impl Iterator<Item = &'static str> {
    let Assignment { key, values, .. } = assignment;
    let is_list = key == AUTH && auth_methods(values).is_some();
    let more = if is_list { &REQUIRED[..] } else { &[] };
    option_group(key).into_iter().chain(more.iter().copied())
}

impl Reader {
    /// Passes over, in files, the options that the assignments set, which are to come.
    #[must_use]
    pub fn overridden_by<'a>(mut self, assignments: impl IntoIterator<Item = &'a Assignment>) -> Self {
        let groups: BTreeSet<_> = assignments.into_iter().flat_map(overridden_groups).collect();
        self.overridden = groups;
        self
    }

    /// Sets an option. `false` for an option without an argument is as if it stood nowhere, or its opposite where that is an
    /// option, too.
    pub fn assign(&mut self, assignment: &Assignment) {
        let Assignment { key, values, origin } = assignment;
        let place = match origin {
            Origin::File(place) => place.clone(),
            other => Place::new(Path::new(&other.to_string()).into(), 0),
        };
        let switch = match values.as_slice() {
            [value] => value.parse::<bool>().ok(),
            _ => None,
        };
        if let Some(methods) = auth_methods(values).filter(|_| key == AUTH) {
            return self.set_auth_methods(&methods, origin);
        }
        let opposite = OPPOSITES.iter().find(|(name, _)| name == key).map(|(_, opposite)| *opposite);
        let name = match (switch, opposite) {
            (Some(true), _) if key == "ipv6" => "+ipv6",
            (Some(false), Some(opposite)) => opposite,
            _ => key,
        };
        let Some(row) = table::find(name.as_bytes()) else {
            let suggestion = nearest_option(name, |_| true);
            return self.error(OptionError::Unknown { place, word: name.to_owned(), suggestion });
        };
        if matches!(row.action, Action::Include) {
            let why = "name the file by options-file, above [ppp]";
            return self.error(OptionError::Refused { place, option: row.name, why });
        }
        match (row.argument, switch) {
            (None, Some(given)) => {
                if given || opposite.is_some() {
                    self.apply_at(row, place, origin, &[]);
                }
            }
            (None, None) if key == AUTH => self.bad(row, place, values, ValueError::NotMethods),
            (None, None) => self.bad(row, place, values, ValueError::NotASwitch),
            (Some(expects), _) if values.is_empty() => {
                // An empty list is none at all.
                if kind_of(key) != Some(OptionKind::List) {
                    self.error(OptionError::MissingArgument { place, option: row.name, expects });
                }
            }
            (Some(_), _) if values.len() > 1 && kind_of(key) != Some(OptionKind::List) => {
                self.bad(row, place, values, ValueError::NotOne);
            }
            (Some(_), _) => {
                for value in values {
                    self.apply_at(row, place.clone(), origin, value.as_bytes());
                }
            }
        }
    }

    /// These methods and no other; with none of them, peers need not prove who they are.
    fn set_auth_methods(&mut self, methods: &[AuthMethod], origin: &Origin) {
        let wanted = |method| methods.contains(&method).then(|| origin.clone());
        self.options.require_chap = wanted(AuthMethod::ChapMd5);
        self.options.require_pap = wanted(AuthMethod::Pap);
        self.options.auth = Some(Sourced::new(!methods.is_empty(), origin.clone()));
    }

    fn bad(&mut self, row: &Row, place: Place, values: &[String], why: ValueError) {
        self.error(OptionError::BadValue { place, option: row.name, value: values.join(" "), why });
    }
}
