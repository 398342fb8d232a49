//! The configuration that holds, and where it differs from the files.

use serde::{Deserialize, Serialize};

use crate::reload::{Effect, Setting};

/// One setting that holds. The texts may be printed, and have at most [`crate::reload::MAX_TEXT`] bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigSetting {
    /// Name, of the option or the long flag.
    pub key: String,
    /// Value in words, and where it was set.
    pub setting: Setting,
    /// When a change of it takes effect.
    pub effect: Effect,
}

/// What becomes of a difference between the server that runs and its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The files have changed since they were read: a reload goes by them, and so does a restart.
    Reload,
    /// The files have changed since they were read, in something that only a restart changes.
    Restart,
    /// A console changed it: a restart loses that.
    Lost,
    /// A console changed it: it outlives a restart, as the sessions do.
    Kept,
}

impl Fate {
    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::Lost => "lost",
            Self::Kept => "kept",
        }
    }
}

/// Something in which the server that runs differs from its files as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigDifference {
    /// Name.
    pub key: String,
    /// What holds; none: nothing.
    pub running: Option<Setting>,
    /// What the files say; none: nothing.
    pub files: Option<Setting>,
    /// What becomes of it.
    pub fate: Fate,
}

/// The end of a list of differences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigDiffEnd {
    /// Differences beyond those that were listed.
    pub more: u32,
    /// What there is to say about the files beside, at most [`crate::reload::MAX_LINES`].
    pub remarks: Vec<String>,
}
