//! All keys of `pppoed.toml` with what they do: for the commented file of the package, and for the manual page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Config, Effect};
use crate::flags::keys::{Kind, server_keys};
use crate::options;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `ppp`, or nothing for the keys before all tables.
    pub table: &'static str,
    /// Its name, as TOML has it: with quotes where they are needed.
    pub key: String,
    /// What it does, with units.
    pub about: String,
    /// The default in words; nothing for none.
    pub default: Option<String>,
    /// A possible value, in TOML.
    pub example: String,
    /// That value is the default.
    pub is_default: bool,
    /// When a change of it takes effect.
    pub effect: Effect,
}

/// Values for keys whose default cannot be written as one.
const EXAMPLES: &[(&str, &str)] = &[
    ("ac-name", "\"isp-1\""),
    ("auth-deadline", "30"),
    ("control-socket", "\"/run/pppoed/control.sock\""),
    ("dead-peer", "60"),
    ("frame-types", "\"8863:8864\""),
    ("hurl", "\"https://isp.example/\""),
    ("interface", "[\"eth1\", \"eth2\"]"),
    ("log-level", "\"debug\""),
    ("mac-allow", "\"macs.allow\""),
    ("mac-deny", "\"macs.deny\""),
    ("max-mss", "1412"),
    ("max-starting", "500"),
    ("motm", "\"Maintenance on Sunday\""),
    ("options-file", "\"/etc/ppp/pppoe-server-options\""),
    ("pid-file", "\"/run/pppoed/pppoed.pid\""),
    ("pool-file", "\"pool\""),
    ("service", "[\"internet\", \"tv\"]"),
    ("session-offset", "0"),
    ("user-limit", "\"deny\""),
    ("users-file", "\"users.toml\""),
    ("worker", "\"/usr/sbin/ppp-worker\""),
];

/// When a change takes effect of what is not a setting of its own among [`Config::entries`].
const EFFECTS: &[(&str, Effect)] = &[
    ("common-options", Effect::Now),
    ("increment-local", Effect::Now),
    ("local", Effect::Now),
    ("no-options-files", Effect::Now),
    ("options-file", Effect::Now),
    ("pool-file", Effect::Now),
    ("remote", Effect::Now),
    ("user-limit", Effect::Now),
    ("debug", Effect::Now),
];

/// Every key in the order of the commented file.
pub fn reference() -> Vec<Reference> {
    let entries = Config::defaults().map(|config| config.entries()).unwrap_or_default();
    let effects: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key, entry.effect)).collect();
    let effect = |key: &str| {
        let known = EFFECTS.iter().find(|(name, _)| *name == key).map(|(_, effect)| *effect);
        known.or_else(|| effects.get(key).copied()).unwrap_or(Effect::NewSessions)
    };
    let server = server_keys().iter().filter(|key| key.not_in_file.is_none()).map(|key| {
        let given =
            EXAMPLES.iter().find(|(name, _)| *name == key.name).map(|(_, example)| (*example).to_owned());
        let default = key.default.as_deref();
        let own = match key.kind {
            Kind::Switch => Some("false".to_owned()),
            Kind::Number => default.map(ToOwned::to_owned),
            // "/a/file, if it exists"
            Kind::Path => default.and_then(|path| path.split(',').next()).map(quoted),
            Kind::List | Kind::Quantity | Kind::Text => default.map(quoted),
        };
        Reference {
            table: "",
            key: key.name.clone(),
            about: key.about.clone(),
            default: if key.kind == Kind::Switch { own.clone() } else { key.default.clone() },
            is_default: given.is_none() && own.is_some(),
            example: given.or(own).unwrap_or_default(),
            effect: effect(&key.name),
        }
    });
    let ppp = options::OPTIONS.iter().map(|option| Reference {
        table: "ppp",
        key: if option.name.starts_with('+') { quoted(option.name) } else { option.name.to_owned() },
        about: option.text.to_owned(),
        default: option.is_default.then(|| option.example.trim_matches('"').to_owned()),
        example: option.example.to_owned(),
        is_default: option.is_default,
        effect: effect(option.name),
    });
    server.chain(ppp).collect()
}

/// A text as TOML has it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

impl Effect {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Now => "at once",
            Self::NewSessions => "new sessions",
            Self::Restart => "restart",
        }
    }
}

const HEAD: &str = "\
# pppoed.toml: settings of pppoed, the PPPoE access concentrator. See pppoed.toml(5).
#
# All lines are comments. For a minimal configuration, uncomment these lines, and enter your interface and addresses:
#
#interface = \"eth1\"
#local = \"10.0.0.1\"
#remote = \"10.0.0.2\"
#sessions = 64
#
# Keys are the long flags of pppoed, which override them. Options of pppd are below [ppp]; they override those of
# /etc/ppp/options and /etc/ppp/pppoe-server-options, which are read as well. Relative paths are relative to the directory
# of this file. After a change, run \"pppoed check\", then \"pppctl reload\". (brackets) show when a change takes effect: at
# once, for new sessions, or after a restart (which keeps the sessions).
";

/// The commented `pppoed.toml` that is installed: every key, with its default or an example.
pub fn sample_file() -> String {
    let mut file = HEAD.to_owned();
    let mut table = "";
    for key in reference() {
        if key.table != table {
            table = key.table;
            // Writing to a text cannot fail.
            let _ = write!(file, "\n# Options of pppd, for all sessions.\n#[{table}]\n");
        }
        let default = match (&key.default, key.is_default) {
            (Some(_), true) => " Default:".to_owned(),
            (Some(default), false) => format!(" Default: {default}. Example:"),
            (None, _) => " Example:".to_owned(),
        };
        let text = format!("{}. ({}){default}", key.about, key.effect.as_str());
        let _ = write!(file, "\n{}#{} = {}\n", comment(&text), key.key, key.example);
    }
    file
}

/// As the lines of a comment.
fn comment(text: &str) -> String {
    const WIDTH: usize = 118;
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::toml_file::{Value, parse};

    proptest! {
        #[test]
        fn quoted_texts_are_read_back(text in any::<String>()) {
            let table = parse(Path::new("F"), format!("key = {}", quoted(&text)).as_bytes());
            let Ok(table) = table else { return Err(TestCaseError::fail(format!("{table:?}"))) };
            prop_assert_eq!(&table.items[0].value.value, &Value::Text(text.into()));
        }
    }
}
