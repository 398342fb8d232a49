//! Frames of a negotiation, as they pass: the answer to [`Request::Trace`](super::Request::Trace).

use std::fmt;

use ppp_wire::MacAddr;
use serde::{Deserialize, Serialize};

use super::{CaptureRequest, CapturedFrame};
use crate::name::Name;

/// What to watch, and when to stop. Whatever comes first ends the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRequest {
    /// Whose frames.
    pub target: TraceTarget,
    /// Whether the subscriber's packets are shown as well, and not only discovery and control protocols.
    pub data: bool,
    /// Frames, at least 1.
    pub packets: u32,
    /// Seconds, at most [`TraceRequest::MAX_SECONDS`].
    pub seconds: u32,
}

impl TraceRequest {
    /// Longest trace, in seconds.
    pub const MAX_SECONDS: u32 = CaptureRequest::MAX_SECONDS;
}

/// Whose frames are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceTarget {
    /// The session with this PPPoE session id, and discovery of its peer, until the session's end.
    Session(u16),
    /// The hosts that have a session of this user now.
    User(Name),
    /// The host with this Ethernet address, on every access interface, whether it has a session or not.
    Mac([u8; 6]),
    /// All hosts on this access interface; or the session on this interface, such as `ppp0`.
    Interface(String),
    /// The next host that looks for a server, on any access interface.
    New,
}

/// The words of the command line.
impl fmt::Display for TraceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "{id}"),
            Self::User(name) => write!(f, "user {name}"),
            Self::Mac(mac) => write!(f, "mac {}", MacAddr(*mac)),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::New => f.write_str("new"),
        }
    }
}

/// A frame that was watched. Passwords of PAP and Responses of CHAP are covered with asterisks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedFrame {
    /// Access interface.
    pub interface: String,
    /// The frame.
    pub frame: CapturedFrame,
}
