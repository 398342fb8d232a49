//! What can be wrong with an options file.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ppp_ipc::bytes::{ByteCount, ByteCountError};
use ppp_ipc::rate::RateError;

use crate::origin::Place;
use crate::spelling::did_you_mean;
use crate::words::Flaw;

/// A reason not to start with this options file. Each names the file, the line and the word, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// The value of an option makes no sense.
    #[error("{place}: {option} {value:?}: {why}")]
    BadValue {
        /// The line of the value.
        place: Place,
        /// The option's name.
        option: &'static str,
        /// The word that was given.
        value: String,
        /// What is wrong with it.
        why: ValueError,
    },
    /// The option's argument is not there: the file ends, or the next line begins with an option.
    #[error("{place}: {option} requires {expects} as argument")]
    MissingArgument {
        /// The line of the option.
        place: Place,
        /// The option's name.
        option: &'static str,
        /// What should stand there.
        expects: &'static str,
    },
    /// An option, but not in the form of pppd's files.
    #[error("{place}: {word:?} is not an option; write {written}")]
    Form {
        /// The line of the word.
        place: Place,
        /// The word.
        word: String,
        /// What it is in pppd's form.
        written: String,
    },
    /// The option is not for a single user.
    #[error("{place}: {option} cannot be set for one user; move it to the server's options file")]
    NotForUsers {
        /// The line in the secrets file.
        place: Place,
        /// The option's name.
        option: &'static str,
    },
    /// This server does not do what the option asks for, and going on without would not be what was asked.
    #[error("{place}: {option} is not supported: {why}")]
    Refused {
        /// The line of the option.
        place: Place,
        /// The option's name.
        option: &'static str,
        /// Why not, and what to do instead.
        why: &'static str,
    },
    /// `file` options name too many files.
    #[error("{place}: file {path:?} would be more than {limit} files: does one include itself?")]
    TooManyFiles {
        /// The line of the `file` option.
        place: Place,
        /// The file that was to be included.
        path: PathBuf,
        /// Most files that are read.
        limit: usize,
    },
    /// No such option.
    #[error("{place}: {word:?} is not an option{}; correct or remove it", did_you_mean(*.suggestion))]
    Unknown {
        /// The line of the word.
        place: Place,
        /// The word.
        word: String,
        /// An option with nearly the same name.
        suggestion: Option<&'static str>,
    },
    /// The file cannot be read.
    #[error("cannot read options file {path:?}{}: {source}", included_at(.included))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The `file` option that named it, if any.
        included: Option<Place>,
        /// The system's reason.
        source: io::Error,
    },
}

fn included_at(included: &Option<Place>) -> String {
    included.as_ref().map(|place| format!(" (named at {place})")).unwrap_or_default()
}

/// What is wrong with an option's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// An address that no host may have (loopback, multicast, reserved).
    #[error("not a host address")]
    BadAddress,
    /// Not a number of bytes.
    #[error("{0}")]
    Bytes(#[from] ByteCountError),
    /// More bytes than the option takes.
    #[error("exceeds the maximum of {0}")]
    TooManyBytes(ByteCount),
    /// Nothing before the `=` of `set`, or nothing at all after `unset`.
    #[error("the variable's name is missing; write NAME=value")]
    EmptyName,
    /// An empty path, name or the like.
    #[error("must not be empty")]
    Empty,
    /// No `=` in the argument of `set`.
    #[error("expected NAME=value")]
    NoEqualsSign,
    /// Not an interface identifier.
    #[error("not an interface identifier; write one like ::1 (the low 64 bits of an IPv6 address, not zero)")]
    NotAnIdentifier,
    /// Neither an IPv4 address nor a host name that can be resolved.
    #[error("not an IPv4 address, and no host of that name is known")]
    NotAnAddress,
    /// Neither `true` nor `false` for an option without an argument, in `pppoed.toml` or at the console.
    #[error("must be true or false")]
    NotASwitch,
    /// Neither a switch nor a list of methods of authentication.
    #[error("must be true or false, or \"chap\", \"pap\", both of them, or \"none\"")]
    NotMethods,
    /// More than one value for an option that takes one.
    #[error("must be one value")]
    NotOne,
    /// Not a number at all.
    #[error("not a number")]
    NotANumber,
    /// A number with something behind it. pppd would silently read the number.
    #[error("not a number (pppd reads it as {0}; write {0} if that is what you mean)")]
    NotQuiteANumber(u32),
    /// An address in one of the short forms of C, most likely a typing error.
    #[error("not a full IPv4 address (pppd reads it as {0}; write {0} if that is what you mean)")]
    NotQuiteAnAddress(Ipv4Addr),
    /// Not a rate.
    #[error("{0}")]
    Rate(#[from] RateError),
    /// A number outside the option's range.
    #[error("must be between {min} and {max}")]
    OutOfRange {
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
    },
    /// Both ends of a link would have the same interface identifier.
    #[error("the two ends of a link cannot have the same interface identifier")]
    SameIdentifiers,
    /// An `=` in the argument of `unset`.
    #[error("unset takes a name without \"=\"")]
    UnexpectedEqualsSign,
}

/// Something in an options file that the administrator should know, but that does not stop the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionNotice {
    /// The option has no effect here.
    #[error("{place}: {option} has no effect: {why}")]
    NoEffect {
        /// The line of the option.
        place: Place,
        /// The option's name.
        option: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The option does something, but not all that its author may expect.
    #[error("{place}: {option}: {why}")]
    Limited {
        /// The line of the option.
        place: Place,
        /// The option's name.
        option: &'static str,
        /// What to know about it.
        why: &'static str,
    },
    /// The file is not there, which is fine for this file.
    #[error("options file {path:?} does not exist; continuing without it")]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// A bare number, which pppd takes for the speed of a serial line.
    #[error("{place}: {word:?} is read as the speed of a serial line, which has no effect; remove it")]
    Speed {
        /// The line of the word.
        place: Place,
        /// The word.
        word: String,
    },
    /// More than two servers of a kind: the last two count.
    #[error("{place}: at most two {option} are allowed; using the last two")]
    TooManyServers {
        /// The line of the third one.
        place: Place,
        /// `ms-dns` or `ms-wins`.
        option: &'static str,
    },
    /// A word is not written as its author will have meant.
    #[error("{place}: {flaw}")]
    Word {
        /// The line of the word.
        place: Place,
        /// What is wrong.
        flaw: Flaw,
    },
}
