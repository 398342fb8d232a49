//! How many sessions one host may have (`-x`).

use std::fmt;
use std::str::FromStr;

/// How many sessions one host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerMac {
    /// One; a new dial replaces the old session. pppoe-server has no limit by default, and so keeps a host's ghost
    /// beside its new session until the ghost's echoes fail; hosts dial again because their session is gone.
    Replace,
    /// As many as this, and silence for more (`-x`).
    AtMost(usize),
    /// Any number (`-x 0`).
    Unlimited,
}

/// What is no [`PerMac`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of sessions, 0 for no limit, or replace")]
pub struct NotPerMac;

/// As `-x` says it.
impl FromStr for PerMac {
    type Err = NotPerMac;

    fn from_str(text: &str) -> Result<Self, NotPerMac> {
        if text == "replace" {
            return Ok(Self::Replace);
        }
        let limit: i64 = text.parse().map_err(|_| NotPerMac)?;
        Ok(match usize::try_from(limit) {
            // pppoe-server takes negative numbers for 0
            Ok(0) | Err(_) => Self::Unlimited,
            Ok(limit) => Self::AtMost(limit),
        })
    }
}

impl fmt::Display for PerMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace => f.write_str("replace"),
            Self::AtMost(limit) => limit.fmt(f),
            Self::Unlimited => f.write_str("none"),
        }
    }
}
