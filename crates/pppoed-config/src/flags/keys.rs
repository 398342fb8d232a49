//! The keys of `pppoed.toml` outside of its tables: the long flags, read off the command line's own definition, so that
//! names, ranges and syntax have one owner.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, CommandFactory as _};

use super::{Flags, PerMac};
use crate::origin::Assignment;
use crate::spelling;

/// A setting of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKey {
    /// Long flag, and key in the file.
    pub name: String,
    /// Clap's name for it.
    pub id: String,
    /// The flag as one writes it: `-N`, or `--run-dir` if it has no letter.
    pub flag: String,
    /// What its values are.
    pub kind: Kind,
    /// Placeholder of the value; empty for a switch.
    pub value_name: String,
    /// What it does, as `--help` says it, without the default.
    pub about: String,
    /// The default in words, as `--help` says it.
    pub default: Option<String>,
    /// Why it cannot stand in a file, and what to do.
    pub not_in_file: Option<&'static str>,
}

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A whole number, or a text: one with a unit, or a word.
    Quantity,
    /// A text, perhaps with a syntax of its own.
    Text,
    /// A text, or a list of them.
    List,
    /// The path of a file or directory.
    Path,
}

impl Kind {
    /// In words, for who wrote something else.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Number => "a number without quotes",
            Self::Quantity => "a number, or a string such as \"50G\"",
            Self::Text => "a string",
            Self::List => "a string, or a list of strings: [\"…\", \"…\"]",
            Self::Path => "a path as a string",
        }
    }
}

const ELSEWHERE: &str = "it is not a setting of the server; command line only";
/// Of flags that are only accepted.
pub const NO_EFFECT: &str =
    "it has no effect, and exists only for compatibility with pppoe-server; remove it";

/// Flags that are no keys.
const NOT_IN_FILE: &[(&str, &str)] = &[
    ("console-file", "it is read at the start together with this file; command line only"),
    ("config", "it names this file; command line only"),
    ("check", ELSEWHERE),
    ("check-hooks", ELSEWHERE),
    ("check-pool", ELSEWHERE),
    ("dump", ELSEWHERE),
    ("explain", ELSEWHERE),
    ("foreground", "it depends on how pppoed is started; command line only"),
    ("kernel-mode", NO_EFFECT),
    ("plugin", NO_EFFECT),
    ("pppd", NO_EFFECT),
    ("pppoe", NO_EFFECT),
    ("synchronous", NO_EFFECT),
];

static KEYS: LazyLock<Vec<ServerKey>> = LazyLock::new(|| {
    let command = Flags::command();
    command.get_arguments().filter_map(|arg| Some(key(arg, arg.get_long()?))).collect()
});

fn key(arg: &Arg, name: &str) -> ServerKey {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (about, mut default) = match help.rsplit_once(" [default: ") {
        Some((about, default)) => (about, Some(default.trim_end_matches(']').to_owned())),
        None => (help.as_str(), None),
    };
    if let Some(value) = arg.get_default_values().first().filter(|_| arg.get_action().takes_values()) {
        default = Some(value.to_string_lossy().into_owned());
    }
    let kind = kind(arg);
    let value_name = match kind {
        Kind::Switch => String::new(),
        _ => {
            arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
        }
    };
    ServerKey {
        name: name.to_owned(),
        id: arg.get_id().as_str().to_owned(),
        flag: arg.get_short().map_or_else(|| format!("--{name}"), |letter| format!("-{letter}")),
        kind,
        value_name,
        about: about.split_whitespace().collect::<Vec<_>>().join(" "),
        default: default.filter(|_| kind != Kind::Switch),
        not_in_file: NOT_IN_FILE.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why),
    }
}

fn kind(arg: &Arg) -> Kind {
    let is = |kinds: &[TypeId]| kinds.iter().any(|kind| arg.get_value_parser().type_id() == *kind);
    match arg.get_action() {
        ArgAction::Append => Kind::List,
        action if !action.takes_values() => Kind::Switch,
        _ if is(&[TypeId::of::<PerMac>()]) => Kind::Quantity,
        _ if is(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<i64>()]) => Kind::Number,
        _ if is(&[TypeId::of::<PathBuf>()]) => Kind::Path,
        _ => Kind::Text,
    }
}

/// All long flags in the order of `--help`, also those that a file cannot have.
pub fn server_keys() -> &'static [ServerKey] {
    &KEYS
}

impl ServerKey {
    /// The key of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        server_keys().iter().find(|key| key.name == name)
    }

    /// The key that a file can have with nearly that name.
    pub fn nearest(name: &str) -> Option<&'static str> {
        Self::nearest_of(name, |_| true)
    }

    /// The same, of those that are `possible`.
    pub fn nearest_of(name: &str, is_possible: impl Fn(&Self) -> bool) -> Option<&'static str> {
        let keys = server_keys().iter().filter(|key| key.not_in_file.is_none() && is_possible(key));
        spelling::nearest(name, keys.map(|key| key.name.as_str()))
    }

    /// Whether the values of an assignment are possible for it, by the command line's own parsers.
    ///
    /// # Errors
    /// What is wrong with the first value that is not.
    pub fn check(&self, assignment: &Assignment) -> Result<(), BadValue> {
        let bad = |value: &str, why: &str| BadValue { value: value.to_owned(), why: why.to_owned() };
        match (self.kind, assignment.values.as_slice()) {
            (Kind::Switch, [value]) if value == "true" || value == "false" => return Ok(()),
            (Kind::Switch, values) => return Err(bad(&values.join(" "), "must be true or false")),
            (Kind::List, _) | (_, [_]) => {}
            (_, values) => return Err(bad(&values.join(" "), "must be one value")),
        }
        for value in &assignment.values {
            let words = ["pppoed".into(), word(&self.name, value.into())];
            Flags::command()
                .try_get_matches_from(words)
                .map_err(|error| BadValue { value: value.clone(), why: reason(&error) })?;
        }
        Ok(())
    }
}

/// A value that is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?}: {why}")]
pub struct BadValue {
    /// The value.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

/// `--name=value`
pub fn word(name: &str, value: OsString) -> OsString {
    let mut word = OsString::from(format!("--{name}="));
    word.push(value);
    word
}

/// The part of clap's message that says what is wrong with a value, not where on the command line it is.
fn reason(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(possible)) = error.get(ContextKind::ValidValue)
        && !possible.is_empty()
    {
        return format!("must be one of: {}", possible.join(", "));
    }
    if matches!(error.kind(), clap::error::ErrorKind::InvalidValue) {
        return "must not be empty".to_owned();
    }
    if error.source().is_some_and(|source| source.is::<std::num::ParseIntError>()) {
        return "must be a number".to_owned();
    }
    let rendered = || error.to_string().lines().next().unwrap_or_default().to_owned();
    error.source().map_or_else(rendered, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    fn check(name: &str, values: &[&str]) -> Result<(), String> {
        let values = values.iter().map(ToString::to_string).collect();
        let assignment = Assignment { key: name.to_owned(), values, origin: Origin::Console };
        ServerKey::find(name).unwrap().check(&assignment).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_the_long_flags() {
        let key = ServerKey::find("sessions").unwrap();
        assert_eq!((key.flag.as_str(), key.kind, key.value_name.as_str()), ("-N", Kind::Number, "COUNT"));
        assert_eq!(
            (key.about.as_str(), key.default.as_deref()),
            ("Maximum number of concurrent sessions", Some("64"))
        );
        let kind = |name| ServerKey::find(name).map(|key| key.kind);
        for (name, expected) in [
            ("interface", Kind::List),
            ("service", Kind::List),
            ("local", Kind::Text),
            ("per-mac", Kind::Quantity),
            ("hook-hosts", Kind::Number),
            ("run-dir", Kind::Path),
            ("mac-allow", Kind::Path),
            ("frame-types", Kind::Text),
            ("user-limit", Kind::Text),
            ("no-probe", Kind::Switch),
        ] {
            assert_eq!(kind(name), Some(expected), "{name}");
        }
        assert_eq!(ServerKey::find("run-dir").unwrap().default.as_deref(), Some("/run/pppoed"));
        assert_eq!(ServerKey::find("run-dir").unwrap().flag, "--run-dir");
        assert_eq!(ServerKey::nearest("sesions"), Some("sessions"));
        assert_eq!(ServerKey::nearest("checks"), None);
        for (name, _) in NOT_IN_FILE {
            assert!(ServerKey::find(name).is_some(), "{name}");
        }
        for key in server_keys() {
            assert!(!key.about.is_empty() && !key.about.contains("[default"), "{key:?}");
        }
    }

    #[test]
    fn values_are_judged_by_the_command_line() {
        for (name, values, expected) in [
            ("sessions", &["20"][..], Ok(())),
            ("service", &["a", "b"], Ok(())),
            ("service", &[], Ok(())),
            ("per-mac", &["-1"], Ok(())),
            ("motm", &["-x --no-ebpf"], Ok(())),
            ("user-limit", &["deny"], Ok(())),
            ("no-probe", &["false"], Ok(())),
            ("no-probe", &["yes"], Err("\"yes\": must be true or false")),
            ("no-probe", &[], Err("\"\": must be true or false")),
            ("sessions", &["0"], Err("\"0\": 0 is not in 1..=65534")),
            ("sessions", &["1", "2"], Err("\"1 2\": must be one value")),
            ("local", &["10.0.0.256"], Err("\"10.0.0.256\": expected an IPv4 address such as 10.0.0.1")),
            ("user-limit", &["maybe"], Err("\"maybe\": must be one of: replace, deny")),
            ("run-dir", &[""], Err("\"\": must not be empty")),
            ("motm", &[""], Ok(())),
            ("per-mac", &["replace"], Ok(())),
            (
                "per-mac",
                &["some"],
                Err("\"some\": expected a number of sessions, 0 for no limit, or replace"),
            ),
            ("ac-name", &[""], Err("\"\": must not be empty")),
            ("sessions", &["ten"], Err("\"ten\": must be a number")),
        ] {
            assert_eq!(check(name, values), expected.map_err(str::to_owned), "{name} {values:?}");
        }
    }
}
