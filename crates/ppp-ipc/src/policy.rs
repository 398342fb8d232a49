//! What consoles change in the configuration of a server that runs.

use std::fmt;

use ppp_wire::MacAddr;
use serde::{Deserialize, Serialize};

use crate::name::{Name, NamePattern};
use crate::reload::MAX_LISTED;

/// Entries that consoles may have set at once.
pub const MAX_ENTRIES: usize = 1024;
/// Bytes of a name, and of a value.
pub const MAX_TEXT: usize = 256;
/// Values of a setting, and options of a user in one command.
pub const MAX_VALUES: usize = 32;

/// What is to be changed, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRequest {
    /// What.
    pub change: PolicyChange,
    /// Only tell what it would touch.
    pub dry_run: bool,
    /// End the sessions that are denied now.
    pub end: bool,
}

/// Who is let in, or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// The station with this Ethernet address.
    Mac([u8; 6]),
    /// The users whose name is as this pattern says.
    User(NamePattern),
}

/// A list of consoles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ListName {
    /// Who is let in although another list says no.
    Allow,
    /// Who is not let in.
    Deny,
}

impl ListName {
    /// The word of commands and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyChange {
    /// A setting of the server: a long flag, or an option of pppd behind `ppp.`.
    Set {
        /// Which.
        key: String,
        /// One value, or any number for lists.
        values: Vec<String>,
    },
    /// Back to what files and command line say.
    Unset {
        /// Which.
        key: String,
    },
    /// One more service.
    AddService(Name),
    /// One service less.
    RemoveService(Name),
    /// Put on a list, and taken off the other one.
    List {
        /// Which.
        list: ListName,
        /// Who.
        who: Subject,
    },
    /// Taken off a list.
    Unlist {
        /// Which.
        list: ListName,
        /// Who.
        who: Subject,
    },
    /// Options of one user, beside those that it has.
    SetUser {
        /// Exact name.
        name: Name,
        /// Options and values.
        options: Vec<(String, String)>,
    },
    /// Back to what files say of a user.
    UnsetUser {
        /// Exact name.
        name: Name,
        /// These options; all, if it is empty.
        options: Vec<String>,
    },
    /// Whether hook scripts are called.
    Hooks {
        /// From now on.
        enabled: bool,
        /// The script; all of them without it.
        file: Option<String>,
    },
    /// Everything back to what files and command line say.
    UnsetAll,
    /// One more access interface, or pattern of such.
    AddInterface(String),
    /// One access interface, or pattern, less.
    RemoveInterface(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => write!(f, "mac {}", MacAddr(*mac)),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}

/// The words of the command line.
impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { key, values } => write!(f, "set config {key} {}", values.join(" ")),
            Self::Unset { key } => write!(f, "unset config {key}"),
            Self::AddService(name) => write!(f, "set service add {name}"),
            Self::RemoveService(name) => write!(f, "set service remove {name}"),
            Self::List { list, who } => write!(f, "set {} {who}", list.as_str()),
            Self::Unlist { list, who } => write!(f, "unset {} {who}", list.as_str()),
            Self::SetUser { name, options } => {
                write!(f, "set user {name}")?;
                options.iter().try_for_each(|(option, value)| write!(f, " {option}={value}"))
            }
            Self::UnsetUser { name, options } => {
                write!(f, "unset user {name}")?;
                options.iter().try_for_each(|option| write!(f, " {option}"))
            }
            Self::Hooks { enabled, file } => {
                write!(f, "set hooks {}", if *enabled { "enable" } else { "disable" })?;
                file.iter().try_for_each(|file| write!(f, " {file}"))
            }
            Self::UnsetAll => f.write_str("unset all"),
            Self::AddInterface(name) => write!(f, "set interface add {name}"),
            Self::RemoveInterface(name) => write!(f, "set interface remove {name}"),
        }
    }
}

impl fmt::Display for PolicyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, dry_run, end } = self;
        write!(f, "{change}")?;
        let options = [(*end, " --end"), (*dry_run, " --dry-run")];
        options.into_iter().filter(|(given, _)| *given).try_for_each(|(_, option)| f.write_str(option))
    }
}

/// Something that a console has set, and that holds. The texts may be printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEntry {
    /// Which kind: `config`, `deny`, `allow`, `user` or `hooks`.
    pub kind: String,
    /// The setting, whom it is for, or the script.
    pub name: String,
    /// The value; empty where there is none.
    pub value: String,
    /// User who set it.
    pub uid: u32,
    /// When: milliseconds since 1970-01-01 00:00 UTC.
    pub time_ms: u64,
    /// Whether the console file has it, so that it outlives a restart.
    pub is_written: bool,
}

/// Something that a console can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settable {
    /// The setting as `set config` takes it, or the option as `set user` does.
    pub key: String,
    /// Whether it is an option of one user; else a setting.
    pub is_of_user: bool,
    /// Its values, if they are few.
    pub values: Vec<String>,
    /// What it does.
    pub about: String,
}

/// The end of an answer about a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Whether it was made; it was not with `--dry-run`.
    pub applied: bool,
    /// Settings that are different, also those that were not listed.
    pub changes: u32,
    /// Sessions that keep old values until they end.
    pub keeping: Sessions,
    /// Sessions that are denied now and go on.
    pub denied: Sessions,
    /// Sessions that are denied, and end.
    pub ending: Sessions,
    /// Sessions whose rates change at once.
    pub rates: Sessions,
    /// What there is to say beside, at most [`crate::reload::MAX_LINES`].
    pub remarks: Vec<String>,
}

/// How many sessions, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// How many.
    pub count: u32,
    /// The ids of the first ones, at most [`MAX_LISTED`].
    pub ids: Vec<u16>,
}

impl Sessions {
    /// These.
    pub fn new(ids: &[u16]) -> Self {
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        Self { count, ids: ids.iter().copied().take(MAX_LISTED).collect() }
    }
}

/// What was written, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyWritten {
    /// The console file.
    pub path: String,
    /// Entries in it from now on.
    pub entries: u32,
    /// Whether it is different from what was there.
    pub differs: bool,
    /// Whether it was written; it was not with `--check`.
    pub applied: bool,
}
