//! The socket for the frames of one session (RFC 2516 section 6).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;

use super::filter::session_filter;
use super::socket::{PacketSocket, Setup, get_integer};
use super::{FrameBatch, PacketError, Statistics};
use crate::interface::InterfaceId;

/// Which frames belong to a session: those that the peer sent to us, with the session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Of the session stage.
    pub ether_type: EtherType,
    /// `SESSION_ID`, in host byte order.
    pub session_id: u16,
    /// The access interface's address.
    pub own: MacAddr,
    /// The peer's address.
    pub peer: MacAddr,
}

/// Receives the frames of one session and no others, and sends frames. Non-blocking.
///
/// The filter that sees to the former is attached and locked before the socket is bound, so whoever holds the
/// descriptor has never seen and will never see anybody else's frame. The kernel runs every session's filter on
/// every frame, unless the socket is in a [`super::SessionGroup`], which finds the session's socket; the filter then
/// only guards.
#[derive(Debug)]
pub struct SessionSocket(PacketSocket);

impl SessionSocket {
    /// Enough for some 400 full frames.
    pub const DEFAULT_RECEIVE_BUFFER: usize = 1 << 20;

    /// Opens the socket for the session `key` on `interface`; `receive_buffer` is how many bytes may wait to
    /// be read, the kernel's book-keeping of about 800 bytes for each frame included.
    ///
    /// # Errors
    /// Without root, or when the interface is gone.
    pub fn open(
        interface: &InterfaceId,
        key: &SessionKey,
        receive_buffer: usize,
    ) -> Result<Self, PacketError> {
        let filter = session_filter(key);
        let setup = Setup {
            purpose: "session",
            interface,
            ether_type: key.ether_type,
            receive_buffer,
            filter: Some(&filter),
            lock_filter: true,
            outgoing: false,
        };
        PacketSocket::open(&setup).map(Self)
    }

    /// Takes over a descriptor that [`SessionSocket::open`] made in another process.
    ///
    /// # Errors
    /// [`PacketError::NotSessionSocket`] when it is anything else, in particular a packet socket without a
    /// locked filter.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, PacketError> {
        let option = |option| {
            get_integer(fd.as_fd(), libc::SOL_SOCKET, option)
                .map_err(|source| PacketError::Examine { source })
        };
        let problem = if option(libc::SO_DOMAIN)? != libc::AF_PACKET {
            Some("it is not a packet socket")
        } else if option(libc::SO_TYPE)? != libc::SOCK_RAW {
            Some("it does not carry whole frames")
        } else if option(libc::SO_LOCK_FILTER)? == 0 {
            Some("its filter is not locked")
        } else {
            None
        };
        match problem {
            Some(problem) => Err(PacketError::NotSessionSocket { problem }),
            None => Ok(Self(PacketSocket::from_fd(fd))),
        }
    }

    /// Receives one frame into `buffer` and returns its length on the wire; a longer one than the buffer is
    /// cut.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::recv`].
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer).map(|(wire_len, _)| wire_len)
    }

    /// Replaces the content of `batch` by frames that wait, and returns their number, at least 1.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::recv`].
    pub fn recv_batch(&self, batch: &mut FrameBatch) -> io::Result<usize> {
        batch.receive(&self.0)
    }

    /// Throws away what waits to be read, but no more than the default buffer holds: a peer may send faster.
    pub fn discard_waiting(&self) {
        const MOST: usize = 4096;
        for _ in 0..MOST {
            if self.recv(&mut [0; 1]).is_err() {
                return;
            }
        }
    }

    /// Sends one frame, which has to have its Ethernet header and padding.
    ///
    /// Many frames take as many calls. One sendmmsg(2) for all would save nothing that can be measured (1.2 µs
    /// for each 64-byte frame either way), and the sandbox could not allow it: see its list of system calls.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::send`].
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame)
    }

    /// Marks all frames that are sent (`SO_MARK`); only who may administer the network can do that.
    ///
    /// # Errors
    /// Without `CAP_NET_ADMIN`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        setsockopt(&self.0, sockopt::Mark, &mark)?;
        Ok(())
    }

    /// The mark of all frames that are sent; 0 without one.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn mark(&self) -> io::Result<u32> {
        Ok(getsockopt(&self.0, sockopt::Mark)?)
    }

    /// Changes how many bytes may wait to be read; the kernel has a least number, enough for one or two short frames.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        setsockopt(&self.0, sockopt::RcvBuf, &bytes)?;
        Ok(())
    }

    /// What the kernel received and dropped since this was last called; asking sets the numbers to 0.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn take_statistics(&self) -> io::Result<Statistics> {
        self.0.statistics()
    }
}

impl AsFd for SessionSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<SessionSocket> for OwnedFd {
    fn from(socket: SessionSocket) -> Self {
        socket.0.into()
    }
}
