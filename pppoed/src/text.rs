//! Text of others, made fit to be shown.

use ppp_ipc::reload::{MAX_LINES, MAX_TEXT};
use ppp_wire::escape::Escaped;
use ppp_wire::name::NameText;
use pppoed_config::secrets::MAX_NAME;

/// Text of a worker that is shown at most, in bytes. Its peer may have written it.
pub(crate) const MAX_SHOWN: usize = 512;

/// Text for the log out of bytes that a worker sent, or the beginning of them.
pub(crate) fn printable(bytes: &[u8]) -> String {
    match bytes.split_at_checked(MAX_SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{} (and {} bytes more)", Escaped(shown), rest.len())
        }
        _ => Escaped(bytes).to_string(),
    }
}

/// The text of a name that a peer claims, or the beginning of it: one that is no user's may be long.
pub(crate) fn printable_name(name: &[u8]) -> String {
    match name.split_at_checked(MAX_NAME) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{} (and {} bytes more)", NameText(shown), rest.len())
        }
        _ => NameText(name).to_string(),
    }
}

/// The first lines of many, and how many there are beside.
pub(crate) fn lines(all: &[String]) -> Vec<String> {
    match all.split_at_checked(MAX_LINES) {
        Some((first, rest)) if !rest.is_empty() => {
            let first = first.iter().take(MAX_LINES - 1).map(|line| clean(line));
            first.chain([format!("and {} more", rest.len() + 1)]).collect()
        }
        _ => all.iter().map(|line| clean(line)).collect(),
    }
}

/// A text that may be shown, and not too long: names of files may hold anything.
pub(crate) fn clean(text: &str) -> String {
    let mut text: String =
        text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    if text.len() > MAX_TEXT {
        let dots = "…";
        text.truncate(text.floor_char_boundary(MAX_TEXT - dots.len()));
        text.push_str(dots);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_is_shown_safely_and_in_part() {
        assert_eq!(printable(b"\x1b[2J"), r"\u{1b}[2J");
        let exact = "x".repeat(MAX_SHOWN);
        assert_eq!(printable(exact.as_bytes()), exact);
        assert_eq!(printable(&[b'x'; MAX_SHOWN + 7]), format!("{exact} (and 7 bytes more)"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clean("a\nb"), "a\u{fffd}b");
        let exact = "x".repeat(MAX_TEXT);
        assert_eq!(clean(&exact), exact);
        let long = clean(&"é".repeat(MAX_TEXT));
        assert!(long.ends_with("é…") && long.len() <= MAX_TEXT, "{long}");
    }
}
