//! The users' secrets: `chap-secrets` and `pap-secrets`, with the semantics of pppd.
//!
//! A line is `client server secret [address…] [-- option…]`, in the words of [`crate::words`]. `*` as client or
//! server stands for any name. Of the lines that fit a peer, one that names the client beats one that names only
//! the server, and that beats one that names neither; among equals the first line wins. Names are case-sensitive.
//!
//! Where this differs from pppd, it is stricter:
//! - an empty secret never matches (pppd's PAP lets anybody in with `login`, its CHAP takes an empty password), nor does
//!   an empty password, not even the hash of one;
//! - `@login` never matches: the system's password database is not asked;
//! - a PAP secret that is a hash is not also taken as the password itself;
//! - an address with `!` before it is never suggested;
//! - names are compared as bytes; pppd first writes control and non-ASCII characters of a peer's name out.
//!
//! Nothing here shows a secret: not `Debug`, not a message. Reading may block, so do it off the main loop;
//! comparing with a hashed password takes its time, so do that with a [`Candidate`], which needs the files no more.

mod address;
mod candidate;
mod crypt;
mod digest;
mod explain;
mod known;
mod lookup;
mod md5_crypt;
mod notice;
mod parse;
mod store;
mod survey;
mod users;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ppp_wire::name::NameText;
use zeroize::Zeroizing;

pub use address::{AddressList, AddressProblem, AddressRefusal, Addresses, Why};
pub use candidate::Candidate;
pub use digest::{Digest, LineChange};
pub use explain::{Explanation, Near};
pub use known::KnownUser;
pub use lookup::{Match, Refusal};
pub use notice::Notice;
pub use store::{FixedAddresses, Grant, Secrets, Settings};
pub use survey::Survey;
pub use users::{User, Users, UsersError};

use crate::options::SessionOptions;
use crate::origin::Place;

/// The longest client or server name, in bytes.
pub const MAX_NAME: usize = 256;
/// The longest secret that CHAP uses, in bytes.
pub const MAX_CHAP_SECRET: usize = 256;

/// Which protocol a secrets file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `chap-secrets`
    Chap,
    /// `pap-secrets`
    Pap,
}

/// A secrets file that was read.
#[derive(Debug)]
pub struct SecretsFile {
    path: Arc<Path>,
    entries: Vec<Entry>,
    index: lookup::Index,
}

/// One line of a secrets file.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// The peer it is for.
    pub client: Pattern,
    /// The name that we must have for it.
    pub server: Pattern,
    source: Source,
    /// The addresses that the peer may have.
    pub addresses: AddressList,
    /// Options for this peer's sessions.
    pub options: SessionOptions,
}

/// A client or server column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// `*`
    Any,
    /// This name, byte for byte.
    Name(Box<[u8]>),
}

impl Pattern {
    fn new(word: &[u8]) -> Self {
        if word == b"*" { Self::Any } else { Self::Name(word.into()) }
    }

    fn fits(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Name(own) => **own == *name,
        }
    }
}

/// Where a line's secret is.
enum Source {
    /// In the first word of this file (`@/path`).
    File(PathBuf),
    /// On the line.
    Word(Secret),
}

impl Source {
    /// Whether there is a secret that can only be empty.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Word(secret) if secret.is_empty())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Word(_) => f.write_str("Word(…)"),
        }
    }
}

type Secret = Zeroizing<Box<[u8]>>;

/// A peer's name between quotes, safe to show.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", NameText(self.0))
    }
}

#[cfg(test)]
mod tests;
