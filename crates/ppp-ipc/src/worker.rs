//! Messages between `pppoed` and a `ppp-worker`.
//!
//! ```text
//! pppoed                                     ppp-worker
//!   Start ───────────────────────────────────▶
//!   ◀─────────────────────────────────── Ready  (its sandbox is closed; see [`crate::template`] for what was before)
//!   Open ────────────────────────────────────▶  the PADS was sent: LCP begins
//!   ◀─────────────────────────────── LcpOpened
//!   ◀───────────────────────── ChallengeNeeded  (CHAP only; again at each re-challenge)
//!   Challenge ───────────────────────────────▶
//!   ◀──────────────────────────── Authenticate
//!   Verdict ─────────────────────────────────▶
//!   ◀─────────────────────── NetworkUp, Ipv6Up  (IPCP is Opened; IPV6CP is; in either order)
//!   SetRates ────────────────────────────────▶  limits of the session; again when they change
//!   AnySource ───────────────────────────────▶  with the option nosourcecheck
//!   Relay ───────────────────────────────────▶  the TUN is up: packets flow; again when more may flow
//!   Record ──────────────────────────────────▶  for the next pppoed ([`crate::adoption`]); again when it changes
//!   Ping ────────────────────────────────────▶  now and then, once packets flow
//!   ◀──────────────────────────────────── Pong
//!   Describe ────────────────────────────────▶  if somebody wants to see the packets of control
//!   ◀─────────────────────────────── Described  at most once a second
//!   Probe ───────────────────────────────────▶  if the host has dialled again: is the peer still there?
//!   Terminate ───────────────────────────────▶
//!   ◀───────────────────────────────── Closing  also when the peer ends it
//!   ◀─────────────────────────────────── Ended  then the worker exits
//! ```
//!
//! A worker may belong to its peer. So what it says names no session, interface or path: the pipe
//! that a message came from tells the session, and `pppoed` checks the message against that
//! session's phase and grants.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::adoption::Ticket;
pub use crate::reason::EndReason;

/// Version of these messages. Both ends must have the same, but for workers that were taken over ([`crate::adoption`]).
pub const VERSION: u16 = 10;

/// Lines in one [`FromWorker::Described`].
pub const MAX_DESCRIBED: usize = 32;

/// Bytes in one of them.
pub const MAX_DESCRIBED_LINE: usize = 1000;

/// What `pppoed` tells a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// The session to run. Always the first message, and never repeated.
    Start(Box<Start>),
    /// The peer has its PADS: LCP may begin. A frame that overtook the PADS would be lost on the peer.
    Open,
    /// Answer to [`FromWorker::ChallengeNeeded`].
    Challenge {
        /// CHAP Identifier (RFC 1994 §4.1).
        identifier: u8,
        /// Challenge value, 16 bytes, never used before.
        value: Vec<u8>,
    },
    /// Answer to [`FromWorker::Authenticate`].
    Verdict(Verdict),
    /// The TUN is configured and up: relay packets. Replaces an earlier leave.
    Relay(Relay),
    /// End the session with a Terminate-Request.
    Terminate(EndReason),
    /// Answer with a [`FromWorker::Pong`] of the same number: a worker that does not is killed.
    Ping {
        /// Counted up from 1.
        sequence: u64,
    },
    /// What to show the next `pppoed` if this one is lost. Replaces an earlier one; until the first, a worker that is
    /// alone ends its session.
    Record(Ticket),
    /// The next leave to relay is for IPv4 packets of any source: the kernel looks at it.
    AnySource,
    /// Limits from now on, in place of earlier ones.
    SetRates(Rates),
    /// Tell what passes on the link as [`FromWorker::Described`], or do so no longer. A worker that comes back to
    /// another `pppoed` does not.
    Describe {
        /// Tell it.
        on: bool,
    },
    /// Send the peer an Echo-Request now. What it answers is in the counters.
    Probe,
}

impl ToWorker {
    /// The [`VERSION`] that first had this message: older workers do not know it.
    pub fn since(&self) -> u16 {
        match self {
            Self::Start(_)
            | Self::Open
            | Self::Challenge { .. }
            | Self::Verdict(_)
            | Self::Relay(_)
            | Self::Terminate(_)
            | Self::Ping { .. }
            | Self::Record(_)
            | Self::AnySource
            | Self::SetRates(_)
            | Self::Describe { .. }
            | Self::Probe => 10,
        }
    }
}

/// What a worker tells `pppoed`.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// The sandbox is entered; frames of the peer are read from now on.
    Ready {
        /// [`VERSION`] of the worker.
        version: u16,
        /// What is in force, as `ppp_linux::sandbox::Protections` bits.
        protections: u32,
    },
    /// The sandbox could not be entered. The worker exits; no byte of the peer was read.
    SandboxFailed {
        /// Step that failed and the system's error.
        why: String,
    },
    /// LCP reached Opened.
    LcpOpened(LcpReport),
    /// A CHAP challenge is to be sent.
    ChallengeNeeded,
    /// The peer gave its name and proof.
    Authenticate(Proof),
    /// IPCP reached Opened.
    NetworkUp(NetworkReport),
    /// IPCP left Opened; IPv4 packets are not relayed until it is [`FromWorker::NetworkUp`] again.
    NetworkDown,
    /// IPV6CP reached Opened.
    Ipv6Up(Ipv6Report),
    /// IPV6CP left Opened; IPv6 packets are not relayed until it is [`FromWorker::Ipv6Up`] again.
    Ipv6Down,
    /// The session is over; the worker exits.
    Ended(Ended),
    /// Answer to [`ToWorker::Ping`].
    Pong {
        /// The number of the ping.
        sequence: u64,
    },
    /// The link is being closed, by whichever end; [`FromWorker::Ended`] follows.
    Closing,
    /// Packets of control that passed, in words, if they were asked for; at most once a second, and once at the end.
    Described {
        /// At most [`MAX_DESCRIBED`], each of at most [`MAX_DESCRIBED_LINE`] bytes.
        lines: Vec<String>,
        /// Packets beyond those.
        more: u32,
    },
}

/// Everything a worker must know to run its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// [`VERSION`] of `pppoed`.
    pub version: u16,
    /// PPPoE SESSION_ID, 1 to 65534.
    pub session_id: u16,
    /// Peer's Ethernet address.
    pub peer_mac: [u8; 6],
    /// Address of the access interface.
    pub own_mac: [u8; 6],
    /// Ethertype of session frames, 0x8864 unless configured.
    pub session_ethertype: u16,
    /// Ethertype of discovery frames, 0x8863 unless configured: of the PADT, when no `pppoed` is there to send it.
    pub discovery_ethertype: u16,
    /// Time that the session goes on without `pppoed`, in milliseconds.
    pub orphan_timeout_ms: u32,
    /// Seed for Magic-Numbers, from the system's random source.
    pub seed: u64,
    /// What the TUN leaves to the worker.
    pub offloads: Offloads,
    /// How long frames of a stream may gather before they are fetched, in microseconds.
    pub gather_us: u32,
    /// Parameters of the PPP link.
    pub link: LinkParameters,
}

/// Which packets of up to 64 kB the TUN gives and takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offloads {
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
}

/// Method by which the peer proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// RFC 1334.
    Pap,
    /// RFC 1994, algorithm 5.
    ChapMd5,
}

/// Parameters of a PPP link; times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkParameters {
    /// Our name in CHAP challenges.
    pub name: Vec<u8>,
    /// Largest packet that we take from the peer (our MRU), in bytes.
    pub mru: u16,
    /// Largest packet that the wire carries to the peer: 1492, or more by RFC 4638. In bytes.
    pub max_peer_mru: u16,
    /// Authentication to ask for, in order of preference; empty asks for none.
    pub auth_methods: Vec<AuthMethod>,
    /// LCP: Restart timer and counters.
    pub lcp: RestartParameters,
    /// IPCP: Restart timer and counters.
    pub ipcp: RestartParameters,
    /// IPV6CP: Restart timer and counters.
    pub ipv6cp: RestartParameters,
    /// What IPV6CP asks for; none refuses IPv6 with a Protocol-Reject.
    pub ipv6: Option<Ipv6Parameters>,
    /// What IPCP may give a peer that need not authenticate itself; otherwise the verdict brings it.
    pub network: Option<Network>,
    /// Time between Challenges until there is an answer.
    pub auth_restart_ms: u32,
    /// Challenges sent before the peer counts as silent.
    pub auth_max_transmits: u32,
    /// Wrong proofs that end the link, at least 1.
    pub auth_max_tries: u32,
    /// CHAP: time between re-challenges of an open session; 0 never.
    pub chap_interval_ms: u32,
    /// Time that the peer has to authenticate itself; 0 no limit but `setup_deadline_ms`.
    pub auth_deadline_ms: u32,
    /// Time from the start of the worker until IPCP or IPV6CP is Opened.
    pub setup_deadline_ms: u32,
    /// Time between Echo-Requests; 0 never.
    pub echo_interval_ms: u32,
    /// Echo-Requests without an answer that end the session; 0 never.
    pub echo_failure: u32,
    /// Whether a packet of the peer takes the place of an Echo-Request (`lcp-echo-adaptive`).
    pub echo_adaptive: bool,
    /// Time without any frame of the peer that ends the session; 0 never (`pppoe-server -T`).
    pub dead_peer_ms: u32,
    /// Time without a packet of data that ends the session; 0 never (`idle`).
    pub idle_ms: u32,
    /// Upper bound of the TCP maximum segment size in bytes, beside the one of the MTU; 0 none (`-m`).
    pub max_mss: u16,
}

/// Restart timer and counters of an automaton (RFC 1661 §4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartParameters {
    /// Restart timer in milliseconds.
    pub restart_ms: u32,
    /// Max-Configure.
    pub max_configure: u32,
    /// Max-Terminate.
    pub max_terminate: u32,
    /// Max-Failure.
    pub max_failure: u32,
}

/// What LCP agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LcpReport {
    /// Largest packet that we take, in bytes.
    pub mru: u16,
    /// Largest packet that the peer takes, in bytes.
    pub peer_mru: u16,
    /// How the peer must authenticate itself.
    pub auth: Option<AuthMethod>,
}

/// The peer's name and proof. Both are bytes that the peer chose.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub enum Proof {
    /// PAP Authenticate-Request.
    Pap {
        /// Peer-ID, at most 255 bytes.
        name: Vec<u8>,
        /// Password, at most 255 bytes.
        password: Vec<u8>,
    },
    /// CHAP Response.
    Chap {
        /// Identifier of the challenge that is answered.
        identifier: u8,
        /// Response value.
        response: Vec<u8>,
        /// Name.
        name: Vec<u8>,
    },
}

/// Neither the password nor the response, from which a weak secret can be guessed.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pap { name, .. } => f.debug_struct("Pap").field("name", name).finish_non_exhaustive(),
            Self::Chap { identifier, name, .. } => f
                .debug_struct("Chap")
                .field("identifier", identifier)
                .field("name", name)
                .finish_non_exhaustive(),
        }
    }
}

/// The decision on a [`Proof`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The peer is who it says.
    Accept {
        /// Text for the peer.
        message: Vec<u8>,
        /// What IPCP may give it.
        network: Network,
        /// Time without a packet of data that ends the session; 0 never. Of the user, or as in [`LinkParameters`].
        idle_ms: u32,
    },
    /// It is not, or may not come in.
    Reject {
        /// Text for the peer; tells nothing about the reason.
        message: Vec<u8>,
    },
}

/// Addresses of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Our address.
    pub local: Ipv4Addr,
    /// The peer's address.
    pub remote: Ipv4Addr,
    /// Primary and secondary DNS servers (RFC 1877 §1.1, §1.3).
    pub dns: [Option<Ipv4Addr>; 2],
    /// Primary and secondary NetBIOS name servers (RFC 1877 §1.2, §1.4).
    pub nbns: [Option<Ipv4Addr>; 2],
}

/// What IPCP agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Our address.
    pub local: Ipv4Addr,
    /// The peer's address.
    pub remote: Ipv4Addr,
}

/// Low 64 bits of a link-local address (RFC 5072 §4.1).
pub type InterfaceIdentifier = [u8; 8];

/// What IPV6CP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv6Parameters {
    /// Our Interface-Identifier; not zero.
    pub local: InterfaceIdentifier,
    /// The peer's, which it must take; with none it may choose its own.
    pub remote: Option<InterfaceIdentifier>,
}

/// What IPV6CP agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv6Report {
    /// Our Interface-Identifier, as in [`Ipv6Parameters`].
    pub local: InterfaceIdentifier,
    /// The peer's Interface-Identifier; neither zero nor ours.
    pub remote: InterfaceIdentifier,
}

/// Leave to relay packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// MTU that the TUN was given, in bytes.
    pub mtu: u16,
    /// Whether IPv4 may flow.
    pub ipv4: bool,
    /// The peer's Interface-Identifier that the TUN was configured for, where IPv6 may flow.
    pub ipv6: Option<InterfaceIdentifier>,
}

/// Limits of a session's traffic, counted in IP packets from their header on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// To the peer, in kbit/s; 0 none.
    pub down: u32,
    /// From the peer, in kbit/s; 0 none.
    pub up: u32,
    /// Bytes that may go at once each way; 0 for what is good for the rate.
    pub burst: u32,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// More about it, written by the worker; may hold text of the peer.
    pub detail: Vec<u8>,
}
