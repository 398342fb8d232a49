//! What a reload of `pppoed`'s files changed, or would change: part of the answers on the control socket.

use serde::{Deserialize, Serialize};

/// Bytes of each text in a [`Change`], at most.
pub const MAX_TEXT: usize = 512;
/// Session ids that are listed in a [`Summary`], at most.
pub const MAX_LISTED: usize = 64;
/// Lines of remarks or mistakes, at most.
pub const MAX_LINES: usize = 64;

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// At once.
    Now,
    /// For sessions that begin from now on.
    NewSessions,
    /// When the server is started again.
    Restart,
}

impl Effect {
    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::NewSessions => "new-sessions",
            Self::Restart => "restart",
        }
    }
}

/// A value in words, and where it was set. Both may be printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The value.
    pub value: String,
    /// `file:line`, a flag, a file, or `default`.
    pub origin: String,
}

/// One setting that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Name.
    pub key: String,
    /// How it was; none: it was not there.
    pub old: Option<Setting>,
    /// How it is; none: it is gone.
    pub new: Option<Setting>,
    /// When the new one holds.
    pub effect: Effect,
}

/// The end of an answer about a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Whether the changes were made; they were not with `--check`.
    pub applied: bool,
    /// All changes, also those that were not listed.
    pub changes: u32,
    /// Sessions that keep an old value until they end.
    pub keeping: u32,
    /// The ids of the first ones, at most [`MAX_LISTED`].
    pub keeping_ids: Vec<u16>,
    /// What there is to say about the files beside, at most [`MAX_LINES`].
    pub remarks: Vec<String>,
}
