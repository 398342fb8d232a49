//! The socket that sees one session's frames in both directions, for the time of a capture.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;

use super::filter::capture_filter;
use super::socket::{PacketSocket, Setup};
use super::{PacketError, PacketType, SessionKey};
use crate::interface::InterfaceId;

/// `ETH_P_ALL`: only sockets for all protocols are shown what the host itself sends.
const ALL: u16 = 0x0003;

/// Receives copies of the frames of one session, those of the peer and ours. Non-blocking; never sends.
///
/// While it is open, the kernel runs its filter on every frame of the interface.
#[derive(Debug)]
pub struct CaptureSocket {
    socket: PacketSocket,
    own: MacAddr,
    peer: MacAddr,
}

/// A frame that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How many bytes of it are in the buffer.
    pub len: usize,
    /// The length on the wire.
    pub wire_len: usize,
    /// Whether the peer sent it; otherwise we did.
    pub is_from_peer: bool,
}

impl CaptureSocket {
    /// Enough for some 2000 full frames.
    pub const DEFAULT_RECEIVE_BUFFER: usize = 8 << 20;

    /// Opens the socket for the session `key` on `interface`.
    ///
    /// # Errors
    /// Without root, or when the interface is gone.
    pub fn open(
        interface: &InterfaceId,
        key: &SessionKey,
        receive_buffer: usize,
    ) -> Result<Self, PacketError> {
        let filter = capture_filter(key);
        let setup = Setup {
            purpose: "capture",
            interface,
            ether_type: EtherType::from(ALL),
            receive_buffer,
            filter: Some(&filter),
            lock_filter: true,
            outgoing: true,
            cooked: false,
        };
        Ok(Self { socket: PacketSocket::open(&setup)?, own: key.own, peer: key.peer })
    }

    /// Copies the next frame into `buffer`; `Ok(None)` is one that was somebody else's.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when none waits; [`io::ErrorKind::NetworkDown`] once whenever the
    /// interface went down or disappeared.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Option<Captured>> {
        let (wire_len, packet_type) = self.socket.recv(buffer)?;
        let len = wire_len.min(buffer.len());
        let ends = buffer.get(..len).and_then(|frame| frame.first_chunk::<12>());
        let (Some(ends), is_outgoing) = (ends, packet_type == PacketType::Outgoing) else { return Ok(None) };
        let [destination, source] = match is_outgoing {
            true => [self.peer, self.own],
            false => [self.own, self.peer],
        };
        let is_ours = ends.starts_with(&destination.0) && ends.ends_with(&source.0);
        Ok(is_ours.then_some(Captured { len, wire_len, is_from_peer: !is_outgoing }))
    }
}

impl AsFd for CaptureSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
