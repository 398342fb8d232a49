//! Words that users of the console choose: rates, patterns and addresses.

use ppp_ipc::control::pattern;
use ppp_ipc::rate::BitRate;
use ppp_wire::MacAddr;

/// The same by another way, for short texts: each star tries everything.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['*', rest @ ..], text) => (0..=text.len()).any(|taken| matches(rest, &text[taken..])),
        (['?', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        ([wanted, pattern @ ..], [found, text @ ..]) => wanted == found && matches(pattern, text),
        (_, []) => false,
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
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (pattern_chars, text_chars) = (fold(word), fold(text));
    let stars = pattern_chars.iter().filter(|c| **c == '*').count();
    let found = pattern::matches(word, text);
    if stars <= 4 && text_chars.len() <= 24 {
        assert_eq!(found, matches(&pattern_chars, &text_chars), "{word:?} {text:?}");
    }
}
