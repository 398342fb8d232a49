//! What pppoe-server starts with and clap would refuse: taken where its meaning is clear, with a remark.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::getopt::{Piece, pieces};
use crate::config::Notice;

/// Words that make pppoed do something else than serve, which are not passed over wherever they stand.
const COMMANDS: [&[u8]; 2] = [b"check", b"import"];

/// What becomes of a flag and its value.
enum Verdict {
    /// As it is.
    Keep,
    /// As if it was not there, for this reason.
    Drop(&'static str),
    /// With another value, for this reason.
    Replace(String, String),
}

use Verdict::{Drop, Keep, Replace};

/// The words for clap, the program's name first; and what is to be said of those that changed.
///
/// Of a command line that does not begin with a flag nothing is changed: that is no habit of pppoe-server's users, but most
/// likely a command that does not exist.
pub(super) fn accept(words: Vec<OsString>) -> (Vec<OsString>, Vec<Notice>) {
    let mut words = words.into_iter();
    let mut accepted: Vec<OsString> = words.next().into_iter().collect();
    let rest: Vec<OsString> = words.collect();
    let is_flag = |word: &OsString| word.as_bytes().starts_with(b"-");
    if !rest.first().is_some_and(is_flag) {
        accepted.extend(rest);
        return (accepted, Vec::new());
    }
    let mut notices = Vec::new();
    let mut note = |word: String, why: String| notices.push(Notice::CommandLine { word, why });
    let mut switch = None;
    for piece in pieces(rest) {
        match &piece {
            Piece::Stray(word) if !COMMANDS.contains(&word.as_bytes()) => {
                let behind =
                    switch.map(|letter| format!("-{letter} takes no value, and ")).unwrap_or_default();
                note(format!("{word:?}"), format!("{behind}the word is ignored, as by pppoe-server"));
            }
            Piece::Valued { flag, value } => match judge(flag, value.to_str().unwrap_or("\u{fffd}")) {
                Keep => accepted.push(piece.clone().into_word()),
                Drop(why) => note(format!("{flag} {}", shown(value)), why.to_owned()),
                Replace(other, why) => {
                    note(format!("{flag} {}", shown(value)), why);
                    accepted.push(Piece::Valued { flag: flag.clone(), value: other.into() }.into_word());
                }
            },
            _ => accepted.push(piece.clone().into_word()),
        }
        switch = match &piece {
            Piece::Word(word) if !word.as_bytes().starts_with(b"--") => {
                word.as_bytes().last().map(|&letter| char::from(letter))
            }
            _ => None,
        };
    }
    (accepted, notices)
}

fn shown(value: &OsString) -> String {
    match value.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => text.to_owned(),
        _ => format!("{value:?}"),
    }
}

fn judge(flag: &str, value: &str) -> Verdict {
    match flag {
        "-C" if value.is_empty() => {
            Drop("an AC-Name cannot be empty (RFC 2516 appendix A); the host name is used, as without -C")
        }
        "-S" if value.is_empty() => Drop("the service without a name is offered in any case"),
        "-I" => match value.split_once(':') {
            Some((name, _)) if !name.is_empty() => Replace(
                name.to_owned(),
                format!("a label of an IPv4 address of {name}, which PPPoE does not use; {name} is served"),
            ),
            _ => Keep,
        },
        "-L" => match value.split_once('/') {
            Some((address, bits)) if bits.parse::<u8>().is_ok_and(|bits| bits <= 32) => Replace(
                address.to_owned(),
                format!("a point-to-point link has no netmask; the address is {address}"),
            ),
            _ => Keep,
        },
        _ => Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(words: &[&str]) -> (String, Vec<String>) {
        let words = ["pppoed"].iter().chain(words).map(OsString::from).collect();
        let (words, notices) = accept(words);
        let words: Vec<String> = words.into_iter().map(|word| word.into_string().unwrap()).collect();
        (words.join(" "), notices.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_pppoe_server_starts_with_is_taken() {
        let words = [
            "-I",
            "eth0:3",
            "-T",
            "0",
            "-m0",
            "-C",
            "",
            "-S",
            "",
            "-S",
            "isp",
            "-M",
            "",
            "-L",
            "10.0.0.1/24",
            "-u",
            "0",
            "word",
            "-N",
            "5",
        ];
        let (line, remarks) = accepted(&words);
        assert_eq!(line, "pppoed -I=eth0 -T=0 -m=0 -S=isp -M= -L=10.0.0.1 -u -N=5");
        assert_eq!(
            remarks,
            [
                "-I eth0:3: a label of an IPv4 address of eth0, which PPPoE does not use; eth0 is served",
                "-C \"\": an AC-Name cannot be empty (RFC 2516 appendix A); the host name is used, as without -C",
                "-S \"\": the service without a name is offered in any case",
                "-L 10.0.0.1/24: a point-to-point link has no netmask; the address is 10.0.0.1",
                "\"0\": -u takes no value, and the word is ignored, as by pppoe-server",
                "\"word\": the word is ignored, as by pppoe-server",
            ]
        );
    }

    #[test]
    fn what_is_not_clear_is_left_to_be_refused() {
        for words in [
            &["stray"][..],
            &["chekc", "-I", "eth1"],
            &["-I=eth0", "check"],
            &["-F", "import"],
            &["-I=:3"],
            &["-L=10.0.0.1/33"],
            &["-T=5", "--ac-name="],
        ] {
            assert_eq!(accepted(words), (format!("pppoed {}", words.join(" ")), Vec::new()));
        }
    }
}
