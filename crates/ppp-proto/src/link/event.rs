//! What a link tells its owner, and what its owner tells it.

use crate::auth::Proof;
use crate::fsm::State;
use crate::ipcp::{IpcpConfig, IpcpNegotiated};
use crate::ipv6cp::Ipv6cpNegotiated;
use crate::lcp::LcpNegotiated;
use crate::negotiation::NegotiationFailure;

/// The phases of a link (RFC 1661 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Not opened yet, or over.
    Dead,
    /// LCP negotiates.
    Establish,
    /// LCP is Opened; one end or both prove who they are.
    Authenticate,
    /// Network protocols negotiate and carry data.
    Network,
    /// LCP closes.
    Terminate,
}

/// What happened on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// LCP is Opened. Comes again after each renegotiation.
    LcpOpened(LcpNegotiated),
    /// A CHAP challenge is wanted: answer with [`super::Link::provide_challenge`].
    ChallengeNeeded,
    /// The peer gave a proof: answer with [`super::Link::verdict`].
    AuthenticateRequest(Proof),
    /// Everybody who had to has proved who they are; network protocols start.
    Authenticated,
    /// IPCP is Opened: IPv4 packets flow.
    IpcpOpened(IpcpNegotiated),
    /// IPCP left Opened: IPv4 packets do not flow any more.
    IpcpClosed,
    /// IPV6CP is Opened: IPv6 packets flow.
    Ipv6cpOpened(Ipv6cpNegotiated),
    /// IPV6CP left Opened.
    Ipv6cpClosed,
    /// The link is over; nothing follows. Packets that wait are still to be sent.
    Closed(CloseReason),
}

/// Why a link is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// [`super::Link::close`] was called.
    #[error("closed by command")]
    AdminClose,
    /// [`super::Link::lower_down`] was called.
    #[error("the lower layer went down")]
    LowerLayerDown,
    /// The peer sent a Terminate-Request.
    #[error("the peer terminated the link")]
    PeerTerminated,
    /// LCP could not be negotiated; a looped line and a refusal to authenticate are among the reasons.
    #[error("LCP failed: {0}")]
    LcpFailed(NegotiationFailure),
    /// The peer's proof was rejected.
    #[error("the peer failed to authenticate")]
    AuthFailed,
    /// Authentication took too long, in either direction.
    #[error("authentication timed out")]
    AuthTimeout,
    /// The peer rejected our own proof; its message.
    #[error("the peer refused our credentials")]
    RefusedByPeer(Vec<u8>),
    /// IPCP could not be negotiated, and nothing else is open.
    #[error("IPCP failed: {0}")]
    IpcpFailed(NegotiationFailure),
    /// IPV6CP could not be negotiated, and nothing else is open.
    #[error("IPV6CP failed: {0}")]
    Ipv6cpFailed(NegotiationFailure),
    /// No network protocol was open in time.
    #[error("no network protocol was open in time")]
    SetupTimeout,
    /// Echo-Requests were not answered.
    #[error("the peer does not answer Echo-Requests")]
    EchoLost,
}

/// The decision on a [`Proof`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The peer is who it says.
    Accept {
        /// Text for the peer.
        message: Vec<u8>,
        /// IPCP of this peer, in place of that in the configuration. Has no effect on an IPCP that runs.
        ipcp: Option<IpcpConfig>,
    },
    /// It is not, or may not come in.
    Reject {
        /// Text for the peer.
        message: Vec<u8>,
    },
}

/// An answer of the owner came without its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A challenge, but none was asked for.
    #[error("no challenge was asked for")]
    NoChallengeNeeded,
    /// A verdict, but no proof waits for one.
    #[error("no proof waits for a verdict")]
    NothingToVerify,
}

/// Received packets that had no effect, and packets not sent, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropCounters {
    /// Headers, options or fields were not well-formed.
    pub malformed: u64,
    /// Answers to no request of ours.
    pub unmatched: u64,
    /// Not allowed in the phase or state that the link was in.
    pub unexpected: u64,
    /// Protocols that the peer was told we do not support.
    pub protocol_rejected: u64,
    /// Packets of ours that were longer than the peer takes, or more than the queue holds.
    pub not_sent: u64,
}

/// A link as it stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// The phase.
    pub phase: Phase,
    /// State of the LCP automaton.
    pub lcp_state: State,
    /// What LCP agreed on, while it is Opened.
    pub lcp: Option<LcpNegotiated>,
    /// State of the IPCP automaton, if there is one.
    pub ipcp_state: Option<State>,
    /// What IPCP agreed on, while it is Opened.
    pub ipcp: Option<IpcpNegotiated>,
    /// State of the IPV6CP automaton, if there is one.
    pub ipv6cp_state: Option<State>,
    /// What IPV6CP agreed on, while it is Opened.
    pub ipv6cp: Option<Ipv6cpNegotiated>,
    /// Packets that had no effect.
    pub drops: DropCounters,
}
