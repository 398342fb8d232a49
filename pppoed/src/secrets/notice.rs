//! What there is to say about a secrets file that can be used all the same.

use std::path::PathBuf;

use super::{AddressProblem, MAX_CHAP_SECRET, MAX_NAME};
use crate::files::Exposure;
use crate::options::{OptionError, OptionNotice};
use crate::origin::Place;
use crate::words::Flaw;

/// Something in a secrets file that the administrator should know.
#[derive(Debug, thiserror::Error)]
pub enum Notice {
    /// An address word was left out, or may be misread.
    #[error("{place}: word {number} of the addresses: {problem}")]
    Address {
        /// The line.
        place: Place,
        /// Which word of the addresses, from 1. Not the word itself: where a quote is missing, it may be a secret.
        number: usize,
        /// What is wrong with it.
        problem: AddressProblem,
    },
    /// The secret is empty.
    #[error("{place}: the secret is empty, so the line never matches")]
    EmptySecret {
        /// The line.
        place: Place,
    },
    /// Others could read or change the file.
    #[error("secrets file {path:?}: {exposure}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// In what way.
        exposure: Exposure,
    },
    /// The line has too few words.
    #[error(
        "{place}: the line is skipped: it needs a client, a server and a secret, but has {words} of them"
    )]
    Incomplete {
        /// The line.
        place: Place,
        /// How many words it has.
        words: usize,
    },
    /// No peer can have a name that long.
    #[error("{place}: the client or server name is longer than {MAX_NAME} bytes, so the line never matches")]
    NameTooLong {
        /// The line.
        place: Place,
    },
    /// A remark on an option behind `--`.
    #[error("{0}")]
    Option(OptionNotice),
    /// An option behind `--` that was left out.
    #[error("{0} (the option is left out, the line stays)")]
    OptionLeftOut(OptionError),
    /// CHAP uses the beginning only.
    #[error(
        "{place}: the secret is longer than {MAX_CHAP_SECRET} bytes; only the first {MAX_CHAP_SECRET} count"
    )]
    SecretTooLong {
        /// The line.
        place: Place,
    },
    /// Another line always wins.
    #[error("{place}: the line never matches, because line {first} is for the same client and server")]
    Shadowed {
        /// The line.
        place: Place,
        /// The line that wins.
        first: u32,
    },
    /// The secret is `@login`.
    #[error(
        "{place}: \"@login\" asks for the system's passwords, which is not possible: the line never matches"
    )]
    SystemPassword {
        /// The line.
        place: Place,
    },
    /// The file of `@/path` cannot be used.
    #[error("{place}: the line is skipped: its secret cannot be read from {path:?}: {why}")]
    UnusableSecretFile {
        /// The line.
        place: Place,
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The users file has changed and cannot be used.
    #[error("{why}{}: the users stay those that were read before", and_more(*.more))]
    UsersKept {
        /// The first mistake.
        why: String,
        /// How many there are beside.
        more: usize,
    },
    /// A word is not written as its author will have meant.
    #[error("{place}: {flaw}")]
    Word {
        /// The line.
        place: Place,
        /// What is wrong.
        flaw: Flaw,
    },
}

fn and_more(count: usize) -> String {
    if count > 0 { format!(" (and {count} more)") } else { String::new() }
}
