//! Words that users of the console choose: rates, patterns and addresses.

use ppp_ipc::name::NamePattern;
use ppp_ipc::rate::BitRate;
use ppp_wire::MacAddr;
use ppp_wire::name::{Unit, first_character, units};

/// The same by another way, for short names: each star tries everything.
fn matches(pattern: &[Unit], name: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        Unit { byte: b'*', is_escaped: false } => (0..=name.len()).any(|taken| matches(rest, &name[taken..])),
        Unit { byte: b'?', is_escaped: false } => {
            let length = first_character(name).map_or(1, char::len_utf8);
            name.get(length..).is_some_and(|name| matches(rest, name))
        }
        wanted => {
            name.split_first().is_some_and(|(found, name)| wanted.byte == *found && matches(rest, name))
        }
    }
}

/// The bytes up to the first line end are a word, the rest is a text that it may be a pattern of.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (word, text) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(rate) = word.parse::<BitRate>() {
        assert_eq!(rate.to_string().parse(), Ok(rate));
    }
    if let Ok(mac) = word.parse::<MacAddr>() {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
    let pattern = NamePattern::from_text(word);
    let units: Vec<Unit> = units(word.as_bytes()).collect();
    let stars = units.iter().filter(|unit| **unit == Unit { byte: b'*', is_escaped: false }).count();
    let found = pattern.matches(text);
    if stars <= 4 && text.len() <= 24 {
        assert_eq!(found, matches(&units, text.as_bytes()), "{word:?} {text:?}");
    }
}
