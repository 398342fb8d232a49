//! What can be wrong in `pppoed.toml` and the users file.

use std::io;
use std::path::PathBuf;

use crate::origin::Place;
use crate::spelling::did_you_mean;

/// A mistake, and where it is: file, line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct FileError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// What is wrong. Names come from the file, and are shown escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A key is at home in another table.
    #[error("{key:?} does not belong here: {belongs}")]
    Misplaced {
        /// The key.
        key: String,
        /// Where it belongs.
        belongs: &'static str,
    },
    /// Something about a table as a whole.
    #[error("{0}")]
    Table(String),
    /// The file is not UTF-8.
    #[error("invalid UTF-8")]
    NotText,
    /// A key has a meaning on the command line only.
    #[error("{key} cannot be set in a file: {why}")]
    Refused {
        /// The key.
        key: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// It is not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// The value is none that the key can have.
    #[error("{key} {why}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The value is of another kind than the key's.
    #[error("{key}: expected {wanted}, found {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What would be right.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// There is no such key.
    #[error("unknown key {key:?}{}{}", did_you_mean(*.suggestion), .hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    Unknown {
        /// The key.
        key: String,
        /// A key with nearly that name.
        suggestion: Option<&'static str>,
        /// What else to know.
        hint: Option<&'static str>,
    },
}

/// The file cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} {path:?}: {source}")]
pub struct Unreadable {
    /// What kind of file it is.
    pub what: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}
