//! Parts of [`SessionDetail`](super::SessionDetail).

use serde::{Deserialize, Serialize};

/// An option that both ends agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegotiatedOption {
    /// `lcp`, `ipcp` or `ipv6cp`.
    pub protocol: String,
    /// Name of the option, such as `mru`.
    pub option: String,
    /// What holds for us.
    pub ours: Option<String>,
    /// What holds for the peer.
    pub peers: Option<String>,
}

/// What is left until something happens by itself, in seconds; `None` for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTimers {
    /// Until a session that is not open ends, or one that is ending is killed.
    pub deadline_left_s: Option<u64>,
    /// Until an open session without traffic ends (`idle`); up to 10 seconds more than there are.
    pub idle_left_s: Option<u64>,
    /// Until the session's time is up (`maxconnect`).
    pub session_left_s: Option<u64>,
}

/// How fast traffic flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRates {
    /// Bits per second from the peer.
    pub rx_bits_per_s: u64,
    /// Bits per second to the peer.
    pub tx_bits_per_s: u64,
    /// The time that these are the averages of, in milliseconds.
    pub window_ms: u64,
}

/// Packets of LCP, authentication and the NCPs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlTraffic {
    /// From the peer.
    pub rx_packets: u64,
    /// To the peer.
    pub tx_packets: u64,
    /// Echo-Requests from the peer.
    pub rx_echo_requests: u64,
    /// Echo-Replies from the peer.
    pub rx_echo_replies: u64,
    /// Echo-Requests to the peer.
    pub tx_echo_requests: u64,
    /// Echo-Replies to the peer.
    pub tx_echo_replies: u64,
}

/// A call of a hook for a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHook {
    /// Name of the script.
    pub file: String,
    /// Function, such as `ip_up`.
    pub function: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// `ok`, `deny`, `silence`, or `failed: ` and why.
    pub outcome: String,
}
