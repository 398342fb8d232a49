//! Packet sockets (packet(7)): one for an interface's discovery frames, one for each session.
//!
//! All are bound to one interface and one EtherType, and are non-blocking. All carry whole Ethernet frames, header included, but for
//! those of sessions on their own devices ([`Framing`]).

mod batch;
mod capture;
mod discovery;
mod filter;
mod pace;
mod session;
mod socket;
mod stray;
#[cfg(test)]
pub(crate) mod tests;
mod watch;
#[cfg(test)]
mod watch_tests;

use std::io;

use thiserror::Error;

pub use self::batch::{Frame, FrameBatch, MAX_BATCH};
pub use self::capture::{CaptureSocket, Captured};
pub use self::discovery::{DiscoverySocket, Received};
pub use self::pace::Pace;
pub use self::session::{Framing, PADT, SessionKey, SessionSocket};
pub(crate) use self::socket::attach_filter;
pub use self::stray::StraySocket;
pub use self::watch::{Seen, Watch, WatchSocket};
use ppp_wire::if_name::IfName;

/// Whom a frame was for, as the kernel saw it (`sll_pkttype`, packet(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// For this interface.
    Host,
    /// For every station.
    Broadcast,
    /// For a group of stations.
    Multicast,
    /// For another station, seen because the interface is promiscuous, or in a VLAN that is not this
    /// interface's. Never to be acted upon.
    OtherHost,
    /// Sent by this host itself. Never to be acted upon.
    Outgoing,
    /// Any other value.
    Unknown(u8),
}

impl From<u8> for PacketType {
    fn from(value: u8) -> Self {
        use nix::libc;
        match value {
            libc::PACKET_HOST => Self::Host,
            libc::PACKET_BROADCAST => Self::Broadcast,
            libc::PACKET_MULTICAST => Self::Multicast,
            libc::PACKET_OTHERHOST => Self::OtherHost,
            libc::PACKET_OUTGOING => Self::Outgoing,
            other => Self::Unknown(other),
        }
    }
}

/// What the kernel did with the frames for a packet socket since it was last asked (`PACKET_STATISTICS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that passed the filter, those that were dropped included.
    pub received: u32,
    /// Frames that were dropped because the socket's receive buffer was full.
    pub dropped: u32,
}

/// What went wrong while a packet socket was set up.
#[derive(Debug, Error)]
pub enum PacketError {
    /// The kernel refused one of the steps.
    #[error("cannot open a {purpose} socket on {interface}: {step}")]
    Setup {
        /// `discovery` or `session`.
        purpose: &'static str,
        /// The interface.
        interface: IfName,
        /// Which step.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A descriptor that was handed over as a session's socket is something else.
    #[error("the descriptor that was handed over is not a session socket: {problem}")]
    NotSessionSocket {
        /// What it lacks.
        problem: &'static str,
    },
    /// A descriptor that was handed over as a session's socket cannot be examined.
    #[error("cannot examine the descriptor that was handed over as a session socket")]
    Examine {
        /// The kernel's answer.
        source: io::Error,
    },
}
