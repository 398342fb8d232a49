//! The word reader of pppd's options and secrets files.
//!
//! Both kinds of file share one syntax, and administrators rely on its corners:
//!
//! - words end at white space; an unquoted `#` starts a comment, also in the middle of a word;
//! - `"` and `'` may open anywhere in a word, and quoted and bare pieces join;
//! - a backslash works everywhere, inside both kinds of quotes too: `\a \b \f \n \r \t`, `\s` (space), `\ddd` (up
//!   to three octal digits), `\xHH` (up to two hexadecimal digits), backslash-newline (continues the line), and
//!   any other character stands for itself;
//! - a bare newline inside quotes is part of the word;
//! - a word holds at most [`MAX_WORD`] bytes.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// The longest word, in bytes. Longer words are cut here, as pppd does, and carry [`Flaw::TooLong`].
pub const MAX_WORD: usize = 1023;

/// One word of a file, wiped from memory when dropped because it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    bytes: Zeroizing<Box<[u8]>>,
    /// Line where the word begins, from 1.
    pub line: u32,
    /// Byte column where the word begins, from 1.
    pub column: u32,
    /// No other word stands before this one on its logical line (a continued line is one line).
    pub starts_line: bool,
    /// What is wrong with the way the word is written, if anything; the word is usable all the same.
    pub flaw: Option<Flaw>,
}

/// Something in the way a word is written that its author will not have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The file ends inside quotes, so the word runs to the end of the file.
    #[error("unterminated quotes: the word extends to the end of the file")]
    OpenQuote,
    /// The word is longer than [`MAX_WORD`] bytes and was cut.
    #[error("the word is longer than {MAX_WORD} bytes and was cut there")]
    TooLong,
    /// The word holds a NUL byte (perhaps from `\0` or `\x`), where pppd ends it; so do we.
    #[error("the word ends at a NUL byte (write \\\\ for a backslash)")]
    Nul,
}

impl Word {
    /// The word with quotes and escapes resolved.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The word as text, with U+FFFD for what is not UTF-8. Not for secrets.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The word with quotes and escapes resolved, taken out of its place.
    pub fn into_bytes(self) -> Zeroizing<Box<[u8]>> {
        self.bytes
    }
}

/// Shows where the word is and how long it is, never what it says.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Word")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("len", &self.bytes.len())
            .field("flaw", &self.flaw)
            .finish_non_exhaustive()
    }
}

/// Iterator over the words of a file's contents.
pub struct Words<'a> {
    input: &'a [u8],
    position: usize,
    line: u32,
    column: u32,
    first: bool,
    buffer: Buffer,
}

impl<'a> Words<'a> {
    /// Reads the words of `input`, which need not be text.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0, line: 1, column: 1, first: true, buffer: Buffer::default() }
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.position).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(byte)
    }

    fn bump_if(&mut self, accept: impl Fn(u8) -> bool) -> Option<u8> {
        if accept(self.peek()?) { self.bump() } else { None }
    }

    /// Skips white space, comments and continued lines. Returns whether a line ended on the way.
    fn skip_to_word(&mut self) -> bool {
        let mut newline = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => newline = true,
                b'#' => {
                    while self.bump_if(|byte| byte != b'\n').is_some() {}
                    continue;
                }
                b'\\' if self.input.get(self.position + 1) == Some(&b'\n') => {
                    self.bump();
                }
                byte if is_space(byte) => {}
                _ => break,
            }
            self.bump();
        }
        newline
    }

    /// Reads what follows a backslash. `None`: nothing is to be stored (continued line, end of file).
    fn escape(&mut self) -> Option<u8> {
        let byte = self.bump()?;
        Some(match byte {
            b'\n' => return None,
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b's' => b' ',
            b't' => b'\t',
            b'0'..=b'7' => {
                let mut value = byte - b'0';
                for _ in 0..2 {
                    let Some(digit) = self.bump_if(|byte| matches!(byte, b'0'..=b'7')) else { break };
                    value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                }
                value
            }
            b'x' => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(digit) = self.bump_if(|byte| byte.is_ascii_hexdigit()) else { break };
                    value = value * 16 + hex_value(digit);
                }
                value
            }
            other => other,
        })
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let starts_line = self.skip_to_word() | std::mem::take(&mut self.first);
        let (line, column) = (self.line, self.column);
        let mut quote = None;
        loop {
            let Some(byte) = self.peek() else {
                // pppd takes an empty word at the very end of a file for the end of the file.
                if self.buffer.len == 0 {
                    return None;
                }
                break;
            };
            match (byte, quote) {
                (b'\\', _) => {
                    self.bump();
                    if let Some(byte) = self.escape() {
                        self.buffer.push(byte);
                    }
                    continue;
                }
                (byte, Some(open)) if byte == open => quote = None,
                (b'"' | b'\'', None) => quote = Some(byte),
                (byte, None) if is_space(byte) || byte == b'#' => break,
                (byte, _) => self.buffer.push(byte),
            }
            self.bump();
        }
        let open_quote = quote.is_some();
        Some(self.buffer.finish(line, column, starts_line, open_quote))
    }
}

/// A word under construction, in memory that does not grow and is wiped after each word.
struct Buffer {
    bytes: Zeroizing<[u8; MAX_WORD]>,
    /// How many bytes the word has, counting those that did not fit.
    len: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: Zeroizing::new([0; MAX_WORD]), len: 0 }
    }
}

impl Buffer {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    fn finish(&mut self, line: u32, column: u32, starts_line: bool, open_quote: bool) -> Word {
        let stored = self.bytes.get(..self.len).unwrap_or(self.bytes.as_slice());
        let text = stored.split(|&byte| byte == 0).next().unwrap_or_default();
        let flaw = if open_quote {
            Some(Flaw::OpenQuote)
        } else if self.len > MAX_WORD {
            Some(Flaw::TooLong)
        } else if text.len() < stored.len() {
            Some(Flaw::Nul)
        } else {
            None
        };
        let word = Word { bytes: Zeroizing::new(text.into()), line, column, starts_line, flaw };
        for byte in self.bytes.iter_mut().take(self.len) {
            byte.zeroize();
        }
        self.len = 0;
        word
    }
}

/// C's `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(input: &[u8]) -> Vec<Vec<u8>> {
        Words::new(input).map(|word| word.bytes().to_vec()).collect()
    }

    #[test]
    fn escapes_quotes_and_comments() {
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t\r\x0b\x0c\n", &[]),
            (b"a b\tc\nd\n", &[b"a", b"b", b"c", b"d"]),
            (b"no-newline", &[b"no-newline"]),
            (b"# all comment \"'\\\nword", &[b"word"]),
            (b"# a backslash does not continue a comment \\\nword", &[b"word"]),
            (b"mid#comment\nnext", &[b"mid", b"next"]),
            (b"\"#\" '#' \\# a\\#b", &[b"#", b"#", b"#", b"a#b"]),
            (b"\"two words\" 'two words'", &[b"two words", b"two words"]),
            (b"mid\"dle of\"it", &[b"middle ofit"]),
            (b"a'b'\"c\"d", &[b"abcd"]),
            (b"\"it's\" 'say \"hi\"'", &[b"it's", b"say \"hi\""]),
            (b"\"\" x ''\n", &[b"", b"x", b""]),
            // pppd cannot tell an empty last word without a newline from the end of the file
            (b"x \"\"", &[b"x"]),
            (b"\\a\\b\\f\\n\\r\\s\\t", &[b"\x07\x08\x0c\n\r \t"]),
            (b"\"\\a\\s\\\"\" '\\a\\s\\''", &[b"\x07 \"", b"\x07 '"]),
            (b"\\101 \\1012 \\7 \\78 \\1a", &[b"A", b"A2", b"\x07", b"\x078", b"\x01a"]),
            (b"\\777 \\401", &[b"\xff", b"\x01"]),
            (b"\\x41 \\x4 \\x4g \\x414 \\xfF \\xE", &[b"A", b"\x04", b"\x04g", b"A4", b"\xff", b"\x0e"]),
            (b"\\q\\\\\\\"\\' \\ x", &[b"q\\\"'", b" x"]),
            (b"join\\\ned", &[b"joined"]),
            (b"\"join\\\ned\"", &[b"joined"]),
            (b"a \\\nb", &[b"a", b"b"]),
            (b"\"raw\nnewline\"", &[b"raw\nnewline"]),
            (b"\\", &[]),
            (b"a\\", &[b"a"]),
            (b"\\\"\n", &[b"\""]),
            (b"\xff\xfe \xc3\xa9", &[b"\xff\xfe", b"\xc3\xa9"]),
        ];
        for (input, expected) in table {
            assert_eq!(words(input), *expected, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn lines_columns_and_line_starts() {
        let input = b"one two # x\n\n  three \\\n four \"fi\nve\" six\nseven";
        let places: Vec<_> = Words::new(input).map(|w| (w.text(), w.line, w.column, w.starts_line)).collect();
        let expected = [
            ("one", 1, 1, true),
            ("two", 1, 5, false),
            ("three", 3, 3, true),
            ("four", 4, 2, false),
            ("fi\nve", 4, 7, false),
            ("six", 5, 5, false),
            ("seven", 6, 1, true),
        ];
        assert_eq!(
            places,
            expected.map(|(text, line, column, start)| (text.to_string(), line, column, start))
        );
    }

    #[test]
    fn a_long_word_is_cut_with_a_flaw() {
        for (len, stored, flaw) in [
            (1022, 1022, None),
            (1023, 1023, None),
            (1024, 1023, Some(Flaw::TooLong)),
            (9000, 1023, Some(Flaw::TooLong)),
        ] {
            let mut input = vec![b'x'; len];
            input.extend_from_slice(b" next");
            let read: Vec<_> = Words::new(&input).collect();
            assert_eq!((read[0].bytes().len(), read[0].flaw), (stored, flaw));
            assert_eq!(read[1].bytes(), b"next");
        }
    }

    #[test]
    fn nul_ends_the_word_and_open_quotes_are_told() {
        let read: Vec<_> = Words::new(b"ab\\0cd \\xyz ok \"open end\n").collect();
        assert_eq!((read[0].bytes(), read[0].flaw), (&b"ab"[..], Some(Flaw::Nul)));
        assert_eq!((read[1].bytes(), read[1].flaw), (&b""[..], Some(Flaw::Nul)));
        assert_eq!((read[2].bytes(), read[2].flaw), (&b"ok"[..], None));
        assert_eq!((read[3].bytes(), read[3].flaw), (&b"open end\n"[..], Some(Flaw::OpenQuote)));
    }

    #[test]
    fn debug_shows_no_content() {
        let word = Words::new(b"hunter2").next().unwrap();
        assert!(!format!("{word:?}").contains("hunter2"));
    }

    /// Writes `word` in one of the ways that must read back as `word`.
    fn quote(word: &[u8], style: u8) -> Vec<u8> {
        let mut out = Vec::new();
        match style % 3 {
            0 => {
                out.push(b'"');
                for &byte in word {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
            1 => word.iter().for_each(|byte| out.extend(format!("\\{byte:03o}").bytes())),
            _ => word.iter().for_each(|byte| out.extend(format!("\\x{byte:02x}").bytes())),
        }
        out
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_the_end(input in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let mut last = (0, 0);
            for word in Words::new(&input) {
                prop_assert!((word.line, word.column) > last);
                prop_assert!(word.bytes().len() <= MAX_WORD && !word.bytes().contains(&0));
                last = (word.line, word.column);
            }
        }

        #[test]
        fn written_words_are_read_back(
            list in proptest::collection::vec((proptest::collection::vec(1u8.., 1..40), any::<u8>()), 0..20)
        ) {
            let mut input = Vec::new();
            for (word, style) in &list {
                input.extend(quote(word, *style));
                input.push(b'\n');
            }
            let expected: Vec<_> = list.into_iter().map(|(word, _)| word).collect();
            prop_assert_eq!(words(&input), expected);
        }

        #[test]
        fn syntax_soup_terminates(input in "[\\\\\"'# \nx07]{0,200}") {
            prop_assert!(Words::new(input.as_bytes()).count() <= input.len());
        }
    }
}
