//! Text from peers, made safe to show.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Shows bytes that a peer controls: UTF-8 where it is valid, everything else escaped.
///
/// Nothing that a terminal or log reader would act on comes through: control characters, line ends, bidirectional
/// marks, invisible and combining characters. Backslash and double quote are escaped too, so the result can stand
/// between quotes, and no two inputs look the same: `\xHH` is a byte outside of valid UTF-8, `\u{…}`, `\n`, `\t`, …
/// are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\'' => f.write_char(character)?,
                    _ => write!(f, "{}", character.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character can be seen, and does nothing to others: no control character, line end, mark that turns text round,
/// combining or invisible character.
pub fn is_harmless(character: char) -> bool {
    matches!(character, ' '..='~') || character.escape_debug().len() == 1
}

/// Text in which nothing is left that acts on a reader or a terminal (see [`is_harmless`]). Text that is escaped already stays
/// as it is, so this can be done to whatever is to be shown, once more.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match is_harmless(character) {
            true => safe.push(character),
            false => safe.extend(character.escape_default()),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn harmless_text_is_shown_as_it_is() {
        for text in ["", "alice@example.net", "Zoë's Wi-Fi", "用户 1"] {
            assert_eq!(Escaped(text.as_bytes()).to_string(), text);
        }
    }

    #[test]
    fn harmful_text_is_escaped() {
        for (bytes, shown) in [
            (&b"a\nb\r\t\0"[..], r"a\nb\r\t\0"),
            (b"\x1b[2J\x07\x7f", r"\u{1b}[2J\u{7}\u{7f}"),
            (b"\xff\xfe", r"\xff\xfe"),
            (b"caf\xe9", r"caf\xe9"),
            (br"\xff", r"\\xff"),
            (b"say \"hi\"", r#"say \"hi\""#),
            ("\u{202e}evil\u{200b}\u{feff}".as_bytes(), r"\u{202e}evil\u{200b}\u{feff}"),
            ("\u{85}\u{2028}\u{a0}".as_bytes(), r"\u{85}\u{2028}\u{a0}"),
            ("e\u{301}".as_bytes(), r"e\u{301}"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), shown);
        }
    }

    #[test]
    fn nothing_in_a_line_acts_on_its_reader() {
        assert_eq!(harmless("PAP name=\"Zoë \\n\""), "PAP name=\"Zoë \\n\"");
        assert_eq!(harmless("a\nb\u{1b}[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
    }

    proptest! {
        #[test]
        fn output_is_printable_and_never_ambiguous(a: Vec<u8>, b: Vec<u8>) {
            let shown = Escaped(&a).to_string();
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(a == b, shown == Escaped(&b).to_string());
        }
    }
}
