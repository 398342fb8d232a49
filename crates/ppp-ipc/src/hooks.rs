//! Messages between `pppoed` and a hook host, which is `pppoed` in another role.
//!
//! ```text
//! pppoed                                     hook host
//!   Load ────────────────────────────────────▶
//!   ◀───────────────────────────── Loaded, or LoadFailed (then it exits)
//!   Call ────────────────────────────────────▶
//!   ◀──────────────── Log, Child (any number)
//!   ◀───────────────────────────────────── Ask  (any number, one at a time)
//!   Reply ───────────────────────────────────▶
//!   ◀──────────────────────────────── Returned
//! ```
//!
//! One call at a time. A hook host closes its socket only when it fails; `pppoed` closes it to end the host. Both ends
//! are always the same program, so there is no version.
//!
//! Bytes that a peer chose stay bytes, also here: scripts get them as they are.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The argument that makes this program a hook host.
pub const ROLE: &str = "hook-host";
/// The host's end of its socket.
pub const SOCKET_FD: i32 = 3;
/// A file in memory with the text of all scripts, one after the other.
pub const SOURCE_FD: i32 = 4;
/// A file in memory in which the host notes where its script is: `file:line`.
pub const PLACE_FD: i32 = 5;
/// Bytes of such a note.
pub const PLACE_LEN: usize = 128;

/// Events that scripts may have functions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// A PADI that would be answered.
    Padi,
    /// The peer gave its name and proof.
    Auth,
    /// The subscriber has logged in.
    AuthUp,
    /// The session has ended, after [`Event::IpDown`].
    AuthDown,
    /// The interface is configured; packets do not flow yet.
    IpPreUp,
    /// Packets flow.
    IpUp,
    /// The session has ended.
    IpDown,
    /// Something of an open session has changed.
    SessionChange,
    /// The server starts.
    ServerStart,
    /// The server is about to end.
    ServerStop,
    /// The scripts were loaded anew.
    Reload,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Padi,
        Self::Auth,
        Self::AuthUp,
        Self::AuthDown,
        Self::IpPreUp,
        Self::IpUp,
        Self::IpDown,
        Self::SessionChange,
        Self::ServerStart,
        Self::ServerStop,
        Self::Reload,
    ];

    /// Name of the function in the scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Padi => "padi",
            Self::Auth => "auth",
            Self::AuthUp => "auth_up",
            Self::AuthDown => "auth_down",
            Self::IpPreUp => "ip_pre_up",
            Self::IpUp => "ip_up",
            Self::IpDown => "ip_down",
            Self::SessionChange => "session_change",
            Self::ServerStart => "server_start",
            Self::ServerStop => "server_stop",
            Self::Reload => "reload",
        }
    }

    /// The event of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }

    /// Whether what the functions return counts.
    pub fn is_question(self) -> bool {
        matches!(self, Self::Padi | Self::Auth | Self::IpPreUp)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A function in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Function {
    /// The one that has the event's name.
    Event(Event),
    /// The one that was given to the file's `every` number so many, from 0.
    Every(u16),
}

/// Bytes that are not shown by `Debug`, and wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// A value in a table that a function is called with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// True or false.
    Boolean(bool),
    /// A number.
    Integer(i64),
    /// A string of any bytes.
    Bytes(Vec<u8>),
    /// A string of any bytes that is not to be logged.
    Secret(Secret),
    /// A list of strings.
    List(Vec<Vec<u8>>),
    /// A table of strings.
    Table(Vec<(Vec<u8>, Vec<u8>)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        address.to_string().into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u64> for Value {
    /// What is larger than a Lua integer is the largest of those.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A field of a table: its name and its value.
pub type Field = (String, Value);

/// What a function is called with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Argument {
    /// A table.
    Table(Vec<Field>),
    /// A list of names.
    Names(Vec<String>),
}

/// What `pppoed` tells a hook host.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToHost {
    /// Load these scripts. Always the first message, and never repeated.
    Load(Load),
    /// Call a function.
    Call(Call),
    /// Answer to [`FromHost::Ask`].
    Reply(Reply),
}

/// The scripts to load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// The files, in order.
    pub files: Vec<Source>,
    /// Bytes that Lua may take for each file.
    pub memory_limit: u64,
}

/// A script as it was when `pppoed` read it. Its text is in a file that the host is born with, behind those of the files
/// before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Name of the file without its directory.
    pub name: String,
    /// Length of its text in bytes.
    pub len: u32,
}

/// A call of one function of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Which file of [`Load::files`], from 0.
    pub file: u16,
    /// Which function.
    pub function: Function,
    /// What with.
    pub arguments: Vec<Argument>,
    /// Milliseconds that it has.
    pub deadline_ms: u32,
    /// The answer is to be shown to somebody ([`Returned::shown`]).
    pub show: bool,
}

/// What a hook host tells `pppoed`.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromHost {
    /// All files were loaded; what is in each, in the same order.
    Loaded(Vec<FileReport>),
    /// These files were not: messages with file and line, and traceback.
    LoadFailed(Vec<String>),
    /// Text for the log.
    Log {
        /// How important it is.
        level: Level,
        /// The text.
        text: Vec<u8>,
    },
    /// A program was started, in a session and process group of this number; `None`: it has ended.
    Child(Option<u32>),
    /// The function wants something of `pppoed`.
    Ask(Question),
    /// The function has ended.
    Returned(Box<Returned>),
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Events that it has functions for.
    pub events: Vec<Event>,
    /// Seconds between the calls of the functions that were given to `every`.
    pub every: Vec<u32>,
    /// Seconds that each of its calls may take, if it said so.
    pub deadline: Option<u32>,
}

/// Importance of a line of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// For who looks for a mistake.
    Debug,
    /// What happens.
    Info,
    /// Somebody should look at it.
    Warn,
    /// Somebody should look at it at once.
    Error,
    /// An error that makes the call count as failed, although it goes on and its answer counts.
    Failure,
    /// Something was otherwise than it should be, and the script put it right: a warning, and it is counted.
    Repaired,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// What came of it.
    pub result: Result<Answer, CallError>,
    /// What it returned, as text, if [`Call::show`] asked for it.
    pub shown: Option<String>,
    /// The host should not be used any longer: Lua ran out of memory in it.
    pub is_worn: bool,
}

/// Why a call failed, as the host knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// Whether the function returned what it should not, instead of raising an error.
    pub is_nonsense: bool,
    /// File, line and message, and further lines of traceback.
    pub message: String,
}

/// What a function returned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing that counts.
    #[default]
    None,
    /// `padi`: no PADO.
    Silence,
    /// `padi`: a PADO after so many milliseconds.
    Delay(u32),
    /// `auth`, `ip_pre_up`: no. With a message for the peer or the log.
    Deny(Option<Vec<u8>>),
    /// `auth`: settings, and perhaps who decides.
    Auth(Box<AuthAnswer>),
}

/// What an `auth` function may return.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AuthAnswer {
    /// The proof need not be looked at.
    pub accept: bool,
    /// The proof is to be compared with this.
    pub secret: Option<Secret>,
    /// The peer's address.
    pub address: Option<Ipv4Addr>,
    /// The peer's address is to be one of these: the first and the last.
    pub pool: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Options of pppd, as behind `--` on a user's line, in groups of an option and its argument.
    pub options: Vec<Vec<Vec<u8>>>,
}

/// What a function wants of `pppoed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// Sessions with a larger id than this, in order, some of them. Answered by [`Reply::Sessions`].
    Sessions {
        /// The last id that is known.
        after: u16,
        /// Names of the fields that are wanted; empty: all.
        fields: Vec<String>,
    },
    /// One session. Answered by [`Reply::Sessions`] with one or none.
    Session(Which),
    /// End a session. Answered by [`Reply::Done`].
    Terminate {
        /// Which.
        which: Which,
        /// For the log.
        text: Vec<u8>,
    },
    /// Limit a session's rate. Answered by [`Reply::Done`].
    SetRate {
        /// Which.
        which: Which,
        /// To the peer, in kbit/s; 0 is no limit.
        down: u32,
        /// From the peer, in kbit/s; 0 is no limit.
        up: u32,
    },
    /// Answered by [`Reply::Value`].
    StoreGet(Vec<u8>),
    /// Answered by [`Reply::Done`].
    StoreSet(Vec<u8>, Option<StoreValue>),
    /// Answered by [`Reply::Value`] or [`Reply::Done`] with an error.
    StoreAdd(Vec<u8>, StoreValue),
    /// Some keys that begin with the one and come after the other. Answered by [`Reply::Keys`].
    StoreKeys {
        /// What they begin with.
        prefix: Vec<u8>,
        /// The last one that is known.
        after: Option<Vec<u8>>,
    },
}

/// Names a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// By its PPPoE session id.
    Id(u16),
    /// By its `sid`.
    Sid(String),
}

/// Most bytes of a [`StoreValue`].
pub const MAX_STORE_VALUE: usize = 4096;

/// A value in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoreValue {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Any bytes.
    Bytes(Vec<u8>),
}

/// Answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Sessions.
    Sessions {
        /// The fields of each.
        sessions: Vec<SessionFields>,
        /// There are more.
        more: bool,
    },
    /// It was done, or why not.
    Done(Result<(), String>),
    /// What the store has under that key.
    Value(Option<StoreValue>),
    /// Keys of the store.
    Keys {
        /// The keys.
        keys: Vec<Vec<u8>>,
        /// There are more.
        more: bool,
    },
}

/// A session, as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionFields {
    /// PPPoE session id.
    pub id: u16,
    /// Its fields.
    pub fields: Vec<Field>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_name_of_its_own() {
        for event in Event::ALL {
            assert_eq!(Event::from_name(event.as_str()), Some(event));
        }
        assert_eq!(Event::from_name("ip-up"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let answer = AuthAnswer { secret: Some(Secret(b"open sesame".to_vec())), ..AuthAnswer::default() };
        assert!(!format!("{answer:?}").contains("111"), "{answer:?}");
        assert!(format!("{answer:?}").contains("Secret(…)"));
        let field = ("password".to_owned(), Value::Secret(Secret(b"open sesame".to_vec())));
        let shown = format!("{:?}", Argument::Table(vec![field]));
        assert!(shown.contains("Secret(…)") && !shown.contains("111"), "{shown}");
    }
}
