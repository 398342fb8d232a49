//! Values as `show config` shows them, in the words of files and flags.
//!
//! Whatever is shown of a setting can be given to `set config`: times with their unit (`10s`, `1000 ms`), texts and names
//! between quotes, lists as one text, and `none`.

use std::str::Chars;

use super::Key;
use crate::flags::keys::{Kind, ServerKey};
use crate::options::{self, OptionKind};

/// What is shown where there is no value, or no limit.
const NONE: &str = "none";
/// Settings that may be a text or none: a text that says "none" stands between quotes.
pub(super) const TEXTS: [&str; 2] = ["motm", "hurl"];
/// The units that times and sizes are shown with, by what `--help` calls the value.
const UNITS: [(&str, &[&str]); 4] =
    [("SECONDS", &["s"]), ("MILLISECONDS", &["ms"]), ("MICROSECONDS", &["us"]), ("MIB", &["MiB"])];

/// The values of a setting as files have them. What is written so already, or is no value at all, stays as it is.
pub(super) fn read(key: &Key, values: &[String]) -> Vec<String> {
    match key {
        Key::Setting(name) => match ServerKey::find(name) {
            Some(key) => of_server(key, values),
            None => values.to_vec(),
        },
        Key::Option(name) => of_option(name, values),
        Key::Listed(_) | Key::User { .. } | Key::HookOff(_) => values.to_vec(),
    }
}

/// The value of an option of one user.
pub(super) fn of_user(option: &str, value: &str) -> String {
    match options::kind_of(option) {
        Some(OptionKind::Number) => number(value, &["s"]),
        _ => value.to_owned(),
    }
}

fn of_server(key: &ServerKey, values: &[String]) -> Vec<String> {
    let units = UNITS.iter().find(|(name, _)| *name == key.value_name).map_or(&[][..], |(_, units)| units);
    match (key.kind, values) {
        (Kind::List, [none]) if none == NONE => Vec::new(),
        (Kind::List, [all]) => list(all),
        (Kind::Number | Kind::Quantity, [value]) => vec![number(value, units)],
        (Kind::Text, [none]) if none == NONE && TEXTS.contains(&key.name.as_str()) => vec![String::new()],
        // `\xHH` in a name is a byte of it in files as well.
        (Kind::Text, [value]) if key.name == "ac-name" => {
            vec![between_quotes(value).unwrap_or(value).to_owned()]
        }
        (Kind::Text, [value]) => vec![between_quotes(value).map_or_else(|| value.clone(), unescaped)],
        _ => values.to_vec(),
    }
}

fn of_option(name: &str, values: &[String]) -> Vec<String> {
    match (options::kind_of(name), values) {
        (Some(OptionKind::List), [none]) if none == NONE => Vec::new(),
        (Some(OptionKind::List), [all]) if name != "set" => {
            all.split_whitespace().map(str::to_owned).collect()
        }
        (Some(OptionKind::Number), [value]) => vec![number(value, &["s"])],
        (Some(OptionKind::Switch), [all]) if name == "auth" => {
            all.split_whitespace().map(str::to_owned).collect()
        }
        (Some(OptionKind::Text), [value]) => {
            vec![between_quotes(value).map_or_else(|| value.clone(), unescaped)]
        }
        _ => values.to_vec(),
    }
}

/// A number without its unit; 0 where there is no limit.
fn number(value: &str, units: &[&str]) -> String {
    if value == NONE {
        return "0".to_owned();
    }
    let bare = units.iter().find_map(|unit| value.strip_suffix(unit)).map(str::trim_end);
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    bare.filter(is_number).unwrap_or(value).to_owned()
}

/// Names between quotes, or words.
fn list(all: &str) -> Vec<String> {
    if !all.starts_with('"') {
        return all.split_whitespace().map(str::to_owned).collect();
    }
    // There is no quote in a name's text.
    all.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn between_quotes(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// A text from which [`ppp_wire::escape::Escaped`] made this one, if it is UTF-8.
fn unescaped(shown: &str) -> String {
    let mut text = String::new();
    let mut rest = shown.chars();
    while let Some(character) = rest.next() {
        let before = rest.clone();
        match (character == '\\').then(|| escape(&mut rest)).flatten() {
            Some(escaped) => text.push(escaped),
            None => {
                text.push(character);
                rest = before;
            }
        }
    }
    text
}

/// What stands behind a backslash.
fn escape(rest: &mut Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        itself @ ('\\' | '"' | '\'') => itself,
        'u' => {
            let (digits, behind) = rest.as_str().strip_prefix('{')?.split_once('}')?;
            *rest = behind.chars();
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ppp_wire::escape::Escaped;
    use proptest::prelude::*;

    use super::*;

    fn shown(key: &str, values: &[&str]) -> Vec<String> {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        read(&Key::of_setting(key), &values)
    }

    #[test]
    fn shown_values_are_those_of_files() {
        for (key, values, expected) in [
            ("lcp-deadline", &["5s"][..], &["5"][..]),
            ("refusal-delay", &["1000 ms"], &["1000"]),
            ("gather", &["50 us"], &["50"]),
            ("max-mss", &["none"], &["0"]),
            ("max-mss", &["ten"], &["ten"]),
            ("lcp-deadline", &["5 ms"], &["5 ms"]),
            ("lcp-deadline", &["s"], &["s"]),
            ("interface", &["eth1 eth2.*"], &["eth1", "eth2.*"]),
            ("interface", &["eth1", "eth2"], &["eth1", "eth2"]),
            ("service", &[r#""my isp" "b\xff""#], &["my isp", r"b\xff"]),
            ("service", &["none"], &[]),
            ("service", &[r#""none""#], &["none"]),
            ("ac-name", &[r#""b\xff""#], &[r"b\xff"]),
            ("motm", &["none"], &[""]),
            ("motm", &[r#""none""#], &["none"]),
            ("motm", &[r#""say \"hi\"\n\u{7}\\""#], &["say \"hi\"\n\u{7}\\"]),
            ("motm", &[r"no \q quotes"], &[r"no \q quotes"]),
            ("lcp-echo-interval", &["10s"], &["10"]),
            ("ppp.lcp-echo-interval", &["none"], &["0"]),
            ("ms-dns", &["1.1.1.1 9.9.9.9"], &["1.1.1.1", "9.9.9.9"]),
            ("ms-dns", &["none"], &[]),
            ("auth", &["chap pap"], &["chap", "pap"]),
            ("auth", &["none"], &["none"]),
            ("mo-direction", &["in"], &["in"]),
            ("no-such-thing", &["10s"], &["10s"]),
        ] {
            assert_eq!(shown(key, values), expected, "{key} {values:?}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_is_read_back(text: String) {
            let escaped = Escaped(text.as_bytes()).to_string();
            prop_assert_eq!(unescaped(&escaped), text);
        }
    }
}
