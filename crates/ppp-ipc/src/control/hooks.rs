//! Hook scripts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::policy::{MAX_TEXT, MAX_VALUES};

/// A hook to be called: of a session, or of one that is made up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTrial {
    /// Name of the function, such as `ip_up`.
    pub function: String,
    /// PPPoE session id of the session that it is called with; `None`: one that is made up.
    pub session: Option<u16>,
    /// Fields that the session has in place of its own, with their values: bytes, which may be a name's.
    pub fields: Vec<(String, Name)>,
    /// Only in the file of this name.
    pub file: Option<String>,
}

/// The words of the command, for the log, with as much of them as an answer would be given to. Not escaped.
impl fmt::Display for HookTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(MAX_TEXT).collect::<String>();
        write!(f, "hooks run {}", short(&self.function))?;
        if let Some(id) = self.session {
            write!(f, " --session {id}")?;
        }
        if let Some(file) = &self.file {
            write!(f, " --file {}", short(file))?;
        }
        for (field, value) in self.fields.iter().take(MAX_VALUES) {
            write!(f, " --set {}={}", short(field), short(&value.to_string()))?;
        }
        match self.fields.len().saturating_sub(MAX_VALUES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What came of calling a hook in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// Name of the file.
    pub file: String,
    /// Microseconds that it took.
    pub took_us: u64,
    /// What the function returned, as JSON, values separated by commas.
    pub returned: Option<String>,
    /// Why it failed: file, line and message, then lines of traceback.
    pub error: Vec<String>,
    /// Lines that it logged.
    pub logged: Vec<String>,
}

/// What was called of one function of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFunction {
    /// Name of the file.
    pub file: String,
    /// Name of the function.
    pub function: String,
    /// Calls since the start of the server.
    pub calls: u64,
    /// Calls that failed, of whatever cause.
    pub failures: u64,
    /// Calls that were killed at their deadline.
    pub timeouts: u64,
    /// Median of the last 255 calls, in microseconds.
    pub median_us: u64,
    /// Longest call, in microseconds.
    pub longest_us: u64,
}

/// The hook scripts and their hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSummary {
    /// Names of the scripts in use, in order.
    pub files: Vec<String>,
    /// Hook hosts.
    pub hosts: u32,
    /// Calls that run now.
    pub running: u32,
    /// Calls that wait for a host, or for an earlier one of the same session.
    pub waiting: u32,
}
