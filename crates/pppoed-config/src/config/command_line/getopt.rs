//! A command line taken apart as getopt(3) does it for pppoe-server: flags and words in any order, letters together.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::{Arg, Command, CommandFactory as _};

use crate::flags::Flags;

/// A part of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Flags without a value, and what is no flag of ours: a word as it stood.
    Word(OsString),
    /// A flag with its value.
    Valued {
        /// As it was written: `-N`, or `--sessions`.
        flag: String,
        /// What stands behind it.
        value: OsString,
    },
    /// A word that belongs to no flag.
    Stray(OsString),
}

impl Piece {
    /// The word for clap.
    pub(super) fn into_word(self) -> OsString {
        match self {
            Self::Word(word) | Self::Stray(word) => word,
            Self::Valued { flag, value } => {
                let mut word = OsString::from(flag + "=");
                word.push(value);
                word
            }
        }
    }
}

/// Takes the words behind the program's name apart.
pub(crate) fn pieces(words: impl IntoIterator<Item = OsString>) -> Vec<Piece> {
    let command = Flags::command();
    let mut words = words.into_iter();
    let mut pieces = Vec::new();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        match (bytes, bytes.strip_prefix(b"--")) {
            // Behind "--" there are only words that belong to no flag.
            (_, Some([])) => {
                pieces.extend(words.by_ref().map(Piece::Stray));
            }
            (_, Some(long)) => {
                let takes_value = std::str::from_utf8(long)
                    .is_ok_and(|name| is_valued(&command, |arg| has_long(arg, name)));
                // With "=" in it, it has its value already.
                match takes_value.then(|| words.next()).flatten() {
                    Some(value) => {
                        pieces.push(Piece::Valued { flag: word.to_string_lossy().into_owned(), value });
                    }
                    None => pieces.push(Piece::Word(word)),
                }
            }
            ([b'-', letters @ ..], None) if !letters.is_empty() => {
                cluster(&command, letters, &mut words, &mut pieces);
            }
            _ => pieces.push(Piece::Stray(word)),
        }
    }
    pieces
}

/// `-kFN64`, `-kFN 64`: letters up to the first that takes a value, which is the rest, or the next word.
fn cluster(
    command: &Command,
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    pieces: &mut Vec<Piece>,
) {
    let as_word = |letters: &[u8]| OsString::from_vec([b"-", letters].concat());
    let valued = letters.iter().position(|&letter| is_valued(command, |arg| has_letter(arg, letter)));
    let Some((at, letter)) = valued.and_then(|at| Some((at, *letters.get(at)?))) else {
        return pieces.push(Piece::Word(as_word(letters)));
    };
    let (before, rest) = letters.split_at(at);
    let value = match rest.get(1..) {
        // As clap, which is more lenient here than getopt.
        Some([b'=', value @ ..] | value @ [_, ..]) => Some(OsStr::from_bytes(value).to_owned()),
        _ => words.next(),
    };
    if !before.is_empty() {
        pieces.push(Piece::Word(as_word(before)));
    }
    pieces.push(match value {
        Some(value) => Piece::Valued { flag: format!("-{}", char::from(letter)), value },
        None => Piece::Word(as_word(&[letter])),
    });
}

fn is_valued(command: &Command, is_it: impl Fn(&Arg) -> bool) -> bool {
    command.get_arguments().any(|arg| is_it(arg) && arg.get_action().takes_values())
}

fn has_long(arg: &Arg, name: &str) -> bool {
    arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name))
}

fn has_letter(arg: &Arg, letter: u8) -> bool {
    arg.get_short() == Some(char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words = words.map(|word| OsString::from(if word == "''" { "" } else { word }));
        let text = |word: OsString| word.into_string().unwrap();
        let show = |piece| match piece {
            Piece::Word(word) => text(word),
            Piece::Valued { flag, value } => format!("{flag} = {}", text(value)),
            Piece::Stray(word) => format!("? {}", text(word)),
        };
        pieces(words).into_iter().map(show).collect()
    }

    #[test]
    fn taken_apart_as_getopt_does() {
        for (line, expected) in [
            ("-I eth1 -kF -N64", &["-I = eth1", "-kF", "-N = 64"][..]),
            ("-kFN 64 x", &["-kF", "-N = 64", "? x"]),
            ("-u 0 -C '' -N=5", &["-u", "? 0", "-C = ", "-N = 5"]),
            (
                "--sessions 5 --control /a --run-dir=/r --no-probe y",
                &["--sessions = 5", "--control = /a", "--run-dir=/r", "--no-probe", "? y"],
            ),
            ("-x -1 -L -I - -- -F z", &["-x = -1", "-L = -I", "? -", "? -F", "? z"]),
            ("-N", &["-N"]),
            ("-Z5 --what 5", &["-Z5", "--what", "? 5"]),
            ("", &[]),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }
}
