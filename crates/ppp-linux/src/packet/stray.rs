//! The socket for session frames of no session.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ppp_wire::ethernet::EtherType;

use super::filter::stray_filter;
use super::socket::{PacketSocket, Setup};
use super::{PacketError, Received};
use crate::interface::InterfaceId;

/// Bytes of frames that may wait: some 100. Who is not answered sends again.
const RECEIVE_BUFFER: usize = 128 << 10;

/// Receives the session frames that reach an access interface for its own address, and that no program has sent to a session's
/// device. Non-blocking.
#[derive(Debug)]
pub struct StraySocket(PacketSocket);

impl StraySocket {
    /// Opens the socket for frames of `ether_type` on `interface`.
    ///
    /// # Errors
    /// Without root, or when the interface is gone.
    pub fn open(interface: &InterfaceId, ether_type: EtherType) -> Result<Self, PacketError> {
        let filter = stray_filter();
        let setup = Setup {
            purpose: "session",
            interface,
            ether_type,
            receive_buffer: RECEIVE_BUFFER,
            filter: Some(&filter),
            lock_filter: true,
            outgoing: false,
            cooked: false,
        };
        PacketSocket::open(&setup).map(Self)
    }

    /// Receives one frame into `buffer`.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::recv`].
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let (wire_len, packet_type) = self.0.recv(buffer)?;
        Ok(Received { len: wire_len.min(buffer.len()), wire_len, packet_type })
    }
}

impl AsFd for StraySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
