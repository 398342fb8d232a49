//! Names as text: one rule for everything that shows a name and for everything that reads one.
//!
//! The name of a user, of a service or of an access concentrator is a string of bytes (RFC 1334 §2.2.1, RFC 1994 §4.1, RFC 2516
//! appendix A): it need not be UTF-8, and may hold anything. Names are compared byte by byte, as they are. Their **text** is for
//! tables, JSON, CSV, TOML files and command lines: printable UTF-8 on one line, without quotes, from which [`bytes_of`] makes
//! the same bytes again.
//!
//! - `\xHH`, with two hexadecimal digits, is one byte. Everything else stands for itself, a backslash too: `DOM\bob` is `DOM\bob`.
//! - A text has `\xHH` for each byte of what is not printable: bytes that are not UTF-8, control characters, characters that
//!   cannot be seen or that change how others are shown. Further for `"`, so that a text may stand between quotes; for `*` and
//!   `?`, so that it stands for itself in a pattern; for a `-` at its beginning, so that no command takes it for an option; for a
//!   space at its beginning or end, where nobody would see it; and for a backslash that would begin such a sequence otherwise.
//!
//! So a text may be read by whatever expects a name, and nothing that a reader's terminal would act on is in it.

use std::fmt;

use crate::escape::is_harmless;

/// A name as text. What it writes is for [`bytes_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameText<'a>(pub &'a [u8]);

impl fmt::Display for NameText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part(f, self.0, true, true)
    }
}

/// Writes a part of a text: whether it is the beginning, and whether it is the end, of the whole.
///
/// # Errors
/// Those of `out`.
pub fn write_part(out: &mut impl fmt::Write, bytes: &[u8], is_first: bool, is_last: bool) -> fmt::Result {
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        let at_start = is_first && rest.len() == bytes.len();
        let at_end = is_last && behind.is_empty();
        let character = first_character(rest);
        let stays = match (character, byte) {
            (Some(_), b'"' | b'*' | b'?') => false,
            (Some(_), b'-') => !at_start,
            (Some(_), b' ') => !at_start && !at_end,
            (Some(_), b'\\') => escaped_byte(rest).is_none(),
            (Some(character), _) => is_harmless(character),
            (None, _) => false,
        };
        let length = character.map_or(1, char::len_utf8);
        let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        match character.filter(|_| stays) {
            Some(character) => out.write_char(character)?,
            None => piece.iter().try_for_each(|byte| write!(out, "\\x{byte:02x}"))?,
        }
        rest = behind;
    }
    Ok(())
}

/// The name of which this is the text. Every text is one; it need not be one that [`NameText`] writes, nor be UTF-8.
pub fn bytes_of(text: &[u8]) -> Vec<u8> {
    units(text).map(|unit| unit.byte).collect()
}

/// A byte of a name, and whether it stands in the text for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// The byte.
    pub byte: u8,
    /// It was written `\xHH`, and so is never a sign of a pattern.
    pub is_escaped: bool,
}

/// The bytes of a text, one after the other.
pub fn units(text: &[u8]) -> impl Iterator<Item = Unit> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, behind) = rest.split_first()?;
        let (unit, behind) = match escaped_byte(rest) {
            Some((byte, behind)) => (Unit { byte, is_escaped: true }, behind),
            None => (Unit { byte: first, is_escaped: false }, behind),
        };
        rest = behind;
        Some(unit)
    })
}

/// The byte that is written `\xHH` at the beginning of `text`, and what stands behind that.
fn escaped_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'\\', b'x', high, low, rest @ ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

/// The character that `bytes` begin with, if they are UTF-8 so far.
pub fn first_character(bytes: &[u8]) -> Option<char> {
    let longest = bytes.get(..4).unwrap_or(bytes);
    longest.utf8_chunks().next()?.valid().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(name: &[u8]) -> String {
        NameText(name).to_string()
    }

    #[test]
    fn what_can_be_shown_is_shown_as_it_is() {
        for name in
            ["", "alice@example.net", r"DOM\bob", r"\\srv\x", "Zoë's Wi-Fi", "用户 1", "a-b", "a'b", "x=1"]
        {
            assert_eq!(text(name.as_bytes()), name);
            assert_eq!(bytes_of(name.as_bytes()), name.as_bytes());
        }
    }

    #[test]
    fn everything_else_is_escaped_byte_by_byte() {
        for (name, shown) in [
            (&b"a\tb\nc\0"[..], r"a\x09b\x0ac\x00"),
            (b"caf\xe9", r"caf\xe9"),
            (br"caf\xe9", r"caf\x5cxe9"),
            (br"DOM\xavier", r"DOM\xavier"),
            (b"\\\xff", r"\\xff"),
            (br"\\xff", r"\\x5cxff"),
            (b"say \"hi\"", r"say \x22hi\x22"),
            (b"a*b?", r"a\x2ab\x3f"),
            (b"-rf", r"\x2drf"),
            (b"-", r"\x2d"),
            (b" a b ", r"\x20a b\x20"),
            (b" ", r"\x20"),
            ("\u{202e}evil\u{200b}".as_bytes(), r"\xe2\x80\xaeevil\xe2\x80\x8b"),
            ("e\u{301}\u{85}".as_bytes(), r"e\xcc\x81\xc2\x85"),
            (b"\xe2\x80", r"\xe2\x80"),
        ] {
            assert_eq!(text(name), shown);
            assert_eq!(bytes_of(shown.as_bytes()), name);
        }
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (written, name) in [
            (&br"\xE9\xfF"[..], &b"\xe9\xff"[..]),
            (br"\x4", br"\x4"),
            (br"\xg0\n\\", br"\xg0\n\\"),
            (br"\X41", br"\X41"),
            (b"caf\xe9", b"caf\xe9"),
            (br"\\x41", br"\A"),
        ] {
            assert_eq!(bytes_of(written), name);
        }
    }

    proptest! {
        #[test]
        fn a_text_is_read_back(name: Vec<u8>) {
            prop_assert_eq!(bytes_of(text(&name).as_bytes()), name);
        }

        /// Where most of what is escaped stands close together.
        #[test]
        fn a_text_of_few_signs_is_read_back(name in proptest::collection::vec(
            proptest::sample::select(b"\\x5ce9-* \"\xc3\xa9\n".to_vec()), 0..12,
        )) {
            let text = text(&name);
            prop_assert_eq!(bytes_of(text.as_bytes()), name);
        }

        #[test]
        fn a_text_is_harmless_wherever_it_stands(name: Vec<u8>) {
            let text = text(&name);
            prop_assert!(text.chars().all(is_harmless));
            prop_assert!(!text.contains(['"', '*', '?']));
            prop_assert!(!text.starts_with(['-', ' ']) && !text.ends_with(' '));
            prop_assert!(text.len() <= 4 * name.len());
        }
    }
}
