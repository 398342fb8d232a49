//! What there is to say about a secrets file that can be used nevertheless.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::{AddressProblem, MAX_CHAP_SECRET, MAX_NAME, Shown};
use crate::files::Exposure;
use crate::options::{OptionError, OptionNotice};
use crate::origin::Place;
use crate::words::Flaw;

/// Something in a secrets file that the administrator should know.
#[derive(Debug, thiserror::Error)]
pub enum Notice {
    /// No line is for us.
    #[error(
        "{place}: no line of the file is for server {} (option name), so none matches",
        Shown(.our_name)
    )]
    AllForOtherServers {
        /// The first of them.
        place: Place,
        /// Our name.
        our_name: Vec<u8>,
    },
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
    /// A CHAP secret that is a hash.
    #[error(
        "{place}: the secret looks like a hash, and CHAP needs the password itself: it is used as the password"
    )]
    HashForChap {
        /// The line.
        place: Place,
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
    /// No address is allowed.
    #[error(
        "{place}: no address is allowed, so logins are refused unless the users file, a console or a hook gives one: \
         add \"*\" (any of the pool) or the address as the next word"
    )]
    NoAddress {
        /// The line.
        place: Place,
    },
    /// A secret that is not the hash which `papcrypt` wants.
    #[error("{place}: papcrypt is set, and the secret is not a hash: the line never matches")]
    NotAHash {
        /// The line.
        place: Place,
    },
    /// The address of a user is our own.
    #[error("{place}: {address} is the local address (-L), so user {} gets no address", Shown(.user))]
    OurAddress {
        /// The line.
        place: Place,
        /// The user.
        user: Vec<u8>,
        /// The address.
        address: Ipv4Addr,
    },
    /// A remark on an option behind `--`.
    #[error("{0}")]
    Option(OptionNotice),
    /// An option behind `--` that was left out.
    #[error("{0} (the option is ignored)")]
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
    /// Users who cannot be logged in at once.
    #[error(
        "{}: {address} is the address of user {} and, at {}, of user {}{}: only one of them can be logged in at a time",
        .users[0].1, Shown(&.users[0].0), .users[1].1, Shown(&.users[1].0), and_more(*.more)
    )]
    SharedAddress {
        /// The address.
        address: Ipv4Addr,
        /// The first two, and their lines.
        users: [(Vec<u8>, Place); 2],
        /// How many there are beside.
        more: usize,
    },
    /// The secret is `@login`.
    #[error("{place}: \"@login\" (system passwords) is not supported: the line never matches")]
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
    #[error("{why}{}: the previous users remain in effect", and_more(*.more))]
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
