//! The socket for the discovery frames of one interface (RFC 2516 section 5).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ppp_wire::ethernet::EtherType;

use super::socket::{PacketSocket, Setup};
use super::{FrameBatch, PacketError, PacketType, Statistics};
use crate::interface::InterfaceId;

/// Receives and sends the discovery frames of one interface. Non-blocking.
#[derive(Debug)]
pub struct DiscoverySocket(PacketSocket);

/// A frame that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes of it are in the buffer.
    pub len: usize,
    /// The length on the wire.
    pub wire_len: usize,
    /// Whom it was for.
    pub packet_type: PacketType,
}

impl Received {
    /// Whether the frame was longer than the buffer.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.wire_len > self.len
    }
}

impl DiscoverySocket {
    /// Enough for some 5000 small frames: a second of a reconnect storm.
    pub const DEFAULT_RECEIVE_BUFFER: usize = 4 << 20;

    /// Opens the socket for frames of `ether_type` on `interface`; `receive_buffer` is how many bytes may
    /// wait to be read, the kernel's book-keeping of about 800 bytes for each frame included.
    ///
    /// On an interface that is down this succeeds, and the first [`recv`](Self::recv) fails with
    /// [`io::ErrorKind::NetworkDown`]; frames arrive as soon as it is up.
    ///
    /// # Errors
    /// Without root, or when the interface is gone.
    pub fn open(
        interface: &InterfaceId,
        ether_type: EtherType,
        receive_buffer: usize,
    ) -> Result<Self, PacketError> {
        let purpose = "discovery";
        let setup = Setup {
            purpose,
            interface,
            ether_type,
            receive_buffer,
            filter: None,
            lock_filter: false,
            outgoing: false,
            cooked: false,
        };
        PacketSocket::open(&setup).map(Self)
    }

    /// Receives one frame into `buffer`.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when none waits; [`io::ErrorKind::NetworkDown`] once whenever the
    /// interface went down or disappeared.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let (wire_len, packet_type) = self.0.recv(buffer)?;
        Ok(Received { len: wire_len.min(buffer.len()), wire_len, packet_type })
    }

    /// Replaces the content of `batch` by frames that wait, and returns their number, at least 1.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_batch(&self, batch: &mut FrameBatch) -> io::Result<usize> {
        batch.receive(&self.0)
    }

    /// Sends one frame, which has to have its Ethernet header and padding.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when too many frames wait to be sent already;
    /// [`io::ErrorKind::NetworkDown`] while the interface is down; the kernel's `ENXIO` when it is gone,
    /// `EMSGSIZE` when the frame is longer than the interface takes, `ENOBUFS` when its queue is full.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame)
    }

    /// What the kernel received and dropped since this was last called; asking sets the numbers to 0.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn take_statistics(&self) -> io::Result<Statistics> {
        self.0.statistics()
    }
}

impl AsFd for DiscoverySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
