//! How a worker comes back: messages between a worker that has lost its `pppoed` and the next one.
//!
//! ```text
//! pppoed                                     ppp-worker
//!   Record ──────────────────────────────────▶  (on the worker's own socket; again whenever it changes)
//!   ✝
//!                                               relays, answers, and keeps trying to connect to SOCKET_NAME
//! pppoed, another one
//!   ◀──────────────────────────────────── Claim
//!   Welcome ─────────────────────────────────▶  from here on the socket is the worker's own ([`crate::worker`])
//! ```
//!
//! The record is written by one `pppoed` for the next; a worker only keeps it, and could make neither head nor
//! tail of it. Who claims a session without its record, with another's, or from another process than the record names,
//! is hung up on and told nothing.
//!
//! # Rules for versions
//! A new `pppoed` takes over the workers of an old one, so these messages, and [`crate::worker::ToWorker`] and
//! [`crate::worker::FromWorker`] as well, only ever grow at their ends: variants are appended to enums, never removed,
//! moved or changed, and a struct that needs another field becomes another variant. `pppoed` takes over workers of the
//! versions [`MIN_VERSION`] to [`crate::worker::VERSION`], and sends them nothing that is newer than they are
//! ([`crate::worker::ToWorker::since`]). The bytes of every message here are pinned by a test.

use serde::{Deserialize, Serialize};

use crate::worker::{Ended, Ipv6Report, LcpReport, NetworkReport};

/// Name of the socket in the workers' root directory, which has nothing else in it.
pub const SOCKET_NAME: &str = "supervisor.sock";

/// The oldest worker protocol whose workers can be taken over.
///
/// Those of 0.1.0 (up to 9) hold a packet socket on the access interface, in a group that nobody keeps any more.
pub const MIN_VERSION: u16 = 10;

/// Longest record in bytes.
pub const MAX_RECORD_LEN: usize = 16 * 1024;

/// Length of the proof that a record is `pppoed`'s own, in bytes.
pub const TAG_LEN: usize = 32;

/// What a `pppoed` gives a worker for the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Everything that is to be known of the session, at most [`MAX_RECORD_LEN`] bytes; nothing to the worker.
    pub record: Vec<u8>,
    /// Proof that `pppoed` wrote it, for this session and its process.
    pub tag: [u8; TAG_LEN],
}

/// First message of a worker that comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// A session that has been open.
    Session(Box<Returning>),
}

/// A session that comes back, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    /// [`crate::worker::VERSION`] of the worker.
    pub version: u16,
    /// The last ticket that it was given.
    pub ticket: Ticket,
    /// Number of the worker's descriptor of its counters.
    pub counters: i32,
    /// What LCP agreed on, while it is Opened.
    pub lcp: Option<LcpReport>,
    /// Whether the peer has given all proofs that it owes since LCP was opened.
    pub authenticated: bool,
    /// What IPCP agreed on, while it is Opened.
    pub network: Option<NetworkReport>,
    /// What IPV6CP agreed on, while it is Opened.
    pub ipv6: Option<Ipv6Report>,
    /// How the session ended meanwhile; the worker exits when it has been heard.
    pub ended: Option<Ended>,
}

/// Answer to a [`Claim`] that is believed. There is none to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// The session is taken over. Its worker now repeats what it has asked, if it is still without an answer.
    Adopted {
        /// [`crate::worker::VERSION`] of `pppoed`.
        version: u16,
        /// `pppoed` does not serve the access interface any more: at its end, the worker tells its peer by a PADT.
        farewell: bool,
    },
}
