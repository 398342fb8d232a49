//! The socket that sees the PPPoE frames of one host, or of all of an interface, for the time of a trace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;

use super::filter::watch_filter;
use super::socket::{PacketSocket, Setup};
use super::{PacketError, PacketType, Statistics};
use crate::interface::InterfaceId;

/// `ETH_P_ALL`: only sockets for all protocols are shown what the host itself sends.
const ALL: u16 = 0x0003;

/// Which frames to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// EtherType of discovery.
    pub discovery: EtherType,
    /// EtherType of sessions.
    pub session: EtherType,
    /// Only those from and to this host.
    pub peer: Option<MacAddr>,
    /// Of sessions, only the one with this id.
    pub session_id: Option<u16>,
    /// Of sessions, also data; otherwise control protocols (RFC 1661 §2: 0x8000 and more), and what is too short.
    pub data: bool,
}

/// Receives copies of PPPoE frames, those of peers and ours. Non-blocking; never sends.
///
/// While it is open, the kernel runs its filter on every frame of the interface.
#[derive(Debug)]
pub struct WatchSocket(PacketSocket);

/// A frame that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many bytes of it are in the buffer.
    pub len: usize,
    /// The length on the wire.
    pub wire_len: usize,
    /// Whether a peer sent it; otherwise we did.
    pub is_from_peer: bool,
}

impl WatchSocket {
    /// Enough for some thousand frames of control.
    pub const DEFAULT_RECEIVE_BUFFER: usize = 2 << 20;

    /// Opens the socket on `interface`.
    ///
    /// # Errors
    /// Without root, or when the interface is gone.
    pub fn open(interface: &InterfaceId, watch: &Watch, receive_buffer: usize) -> Result<Self, PacketError> {
        let filter = watch_filter(watch);
        let setup = Setup {
            purpose: "trace",
            interface,
            ether_type: EtherType::from(ALL),
            receive_buffer,
            filter: Some(&filter),
            lock_filter: true,
            outgoing: true,
            cooked: false,
        };
        PacketSocket::open(&setup).map(Self)
    }

    /// Copies the next frame into `buffer`; `Ok(None)` is one that was for another station.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when none waits; [`io::ErrorKind::NetworkDown`] once whenever the
    /// interface went down or disappeared.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Option<Seen>> {
        let (wire_len, packet_type) = self.0.recv(buffer)?;
        let is_from_peer = packet_type != PacketType::Outgoing;
        let seen = Seen { len: wire_len.min(buffer.len()), wire_len, is_from_peer };
        Ok((packet_type != PacketType::OtherHost).then_some(seen))
    }

    /// What the kernel received and dropped since this was last called; asking sets the numbers to 0.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn take_statistics(&self) -> io::Result<Statistics> {
        self.0.statistics()
    }
}

impl AsFd for WatchSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
