//! Copies of a session's frames.

use serde::{Deserialize, Serialize};

/// Which frames to copy, and when to stop. Whatever comes first ends the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRequest {
    /// PPPoE session id.
    pub session: u16,
    /// Frames, at least 1.
    pub packets: u32,
    /// Bytes of all frames together, as far as they are copied.
    pub bytes: u64,
    /// Seconds, at most [`CaptureRequest::MAX_SECONDS`].
    pub seconds: u32,
    /// Bytes of each frame, at most [`CaptureRequest::MAX_SNAPLEN`]; the rest is left out.
    pub snaplen: u16,
    /// Whether PAP passwords are copied; otherwise there are asterisks in their place.
    pub secrets: bool,
}

impl CaptureRequest {
    /// Longest capture, in seconds.
    pub const MAX_SECONDS: u32 = 24 * 60 * 60;
    /// Longest copy of a frame, in bytes: all of every Ethernet frame without jumbo frames.
    pub const MAX_SNAPLEN: u16 = 2048;
}

/// A frame, Ethernet header first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedFrame {
    /// When it was seen, in nanoseconds since 1970-01-01 00:00 UTC.
    pub time_ns: u64,
    /// Whether the peer sent it; otherwise we did.
    pub is_from_peer: bool,
    /// Length on the wire, in bytes.
    pub wire_len: u32,
    /// As much of it as was asked for.
    pub bytes: Vec<u8>,
}

/// How a capture went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureEnd {
    /// Frames that were copied.
    pub frames: u64,
    /// Frames that came faster than they were taken, and are missing.
    pub lost: u64,
    /// Why it is over.
    pub why: String,
}
