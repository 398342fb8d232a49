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

/// What goes through a session's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Frames of the access interface, from the Ethernet header on, both ways.
    Ethernet,
    /// Of the session's own device. What is received begins with the PPPoE header. What is sent is a packet of IP, or a PPP packet of
    /// control from its Protocol field on, but without its Length field, or [`PADT`]; the kernel writes all headers
    /// (`bpf/session.bpf.c`).
    Device,
}

/// What is sent for a PADT by [`Framing::Device`]: a Protocol that no packet has.
pub const PADT: [u8; 2] = [0; 2];

/// Receives the frames of one session and no others, and sends frames. Non-blocking.
///
/// One on the session's own device receives what the kernel's program sends there. One on the access interface has a filter,
/// which is attached and locked before the socket is bound, so whoever holds the descriptor has never seen and will never
/// see anybody else's frame; the kernel runs every session's filter on every frame.
#[derive(Debug)]
pub struct SessionSocket {
    socket: PacketSocket,
    framing: Framing,
}

impl SessionSocket {
    /// Enough for some 400 full frames.
    pub const DEFAULT_RECEIVE_BUFFER: usize = 1 << 20;

    /// Opens the socket on a session's own device, which has to be up. All that is sent is marked (`SO_MARK`).
    ///
    /// # Errors
    /// As [`SessionSocket::open`].
    pub fn open_on_device(
        device: &InterfaceId,
        ether_type: EtherType,
        receive_buffer: usize,
        mark: u32,
    ) -> Result<Self, PacketError> {
        let setup = Setup {
            purpose: "session",
            interface: device,
            ether_type,
            receive_buffer,
            filter: None,
            lock_filter: true,
            outgoing: false,
            cooked: true,
        };
        let socket = PacketSocket::open(&setup)?;
        setsockopt(&socket, sockopt::Mark, &mark).map_err(|errno| PacketError::Setup {
            purpose: "session",
            interface: device.name.clone(),
            step: "mark what it sends",
            source: errno.into(),
        })?;
        Ok(Self { socket, framing: Framing::Device })
    }

    /// Opens the socket for the session `key` on its access interface; `receive_buffer` is how many bytes may wait to
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
            cooked: false,
        };
        Ok(Self { socket: PacketSocket::open(&setup)?, framing: Framing::Ethernet })
    }

    /// Takes over a descriptor that was made here in another process.
    ///
    /// # Errors
    /// [`PacketError::NotSessionSocket`] when it is anything else, in particular a packet socket without a
    /// locked filter, or on a device without a mark.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, PacketError> {
        let option = |option| {
            get_integer(fd.as_fd(), libc::SOL_SOCKET, option)
                .map_err(|source| PacketError::Examine { source })
        };
        let framing = match option(libc::SO_TYPE)? {
            libc::SOCK_RAW => Some(Framing::Ethernet),
            libc::SOCK_DGRAM => Some(Framing::Device),
            _ => None,
        };
        let not = |problem| Err(PacketError::NotSessionSocket { problem });
        let Some(framing) =
            framing.filter(|_| option(libc::SO_DOMAIN).is_ok_and(|domain| domain == libc::AF_PACKET))
        else {
            return not("it is not a packet socket");
        };
        if option(libc::SO_LOCK_FILTER)? == 0 {
            return not("its filter is not locked");
        }
        if framing == Framing::Device && option(libc::SO_MARK)? == 0 {
            return not("what it sends is not marked");
        }
        Ok(Self { socket: PacketSocket::from_fd(fd), framing })
    }

    /// What is received and sent.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Receives one frame into `buffer` and returns its length on the wire; a longer one than the buffer is
    /// cut.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::recv`].
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer).map(|(wire_len, _)| wire_len)
    }

    /// Replaces the content of `batch` by frames that wait, and returns their number, at least 1.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::recv`].
    pub fn recv_batch(&self, batch: &mut FrameBatch) -> io::Result<usize> {
        batch.receive(&self.socket)
    }

    /// Sends what its [`Framing`] says; frames of Ethernet with their padding.
    ///
    /// Many frames take as many calls. One sendmmsg(2) for all would save nothing that can be measured (1.2 µs
    /// for each 64-byte frame either way), and the sandbox could not allow it: see its list of system calls.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::send`].
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame)
    }

    /// Marks all frames that are sent (`SO_MARK`); only who may administer the network can do that.
    ///
    /// # Errors
    /// Without `CAP_NET_ADMIN`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        setsockopt(&self.socket, sockopt::Mark, &mark)?;
        Ok(())
    }

    /// The mark of all frames that are sent; 0 without one.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn mark(&self) -> io::Result<u32> {
        Ok(getsockopt(&self.socket, sockopt::Mark)?)
    }

    /// Changes how many bytes may wait to be read; the kernel has a least number, enough for one or two short frames.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        setsockopt(&self.socket, sockopt::RcvBuf, &bytes)?;
        Ok(())
    }

    /// What the kernel received and dropped since this was last called; asking sets the numbers to 0.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn take_statistics(&self) -> io::Result<Statistics> {
        self.socket.statistics()
    }
}

impl AsFd for SessionSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<SessionSocket> for OwnedFd {
    fn from(socket: SessionSocket) -> Self {
        socket.socket.into()
    }
}
