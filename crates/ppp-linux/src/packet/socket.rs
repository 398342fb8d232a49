//! What both kinds of packet sockets have in common, and the system calls for it.

use std::ffi::c_int;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, sock_filter, sock_fprog, sockaddr_ll, socklen_t};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, send, setsockopt as set_typed, socket, sockopt,
};
use ppp_wire::ethernet::EtherType;

use super::{PacketError, PacketType, Statistics};
use crate::interface::InterfaceId;

/// A packet socket.
#[derive(Debug)]
pub(super) struct PacketSocket {
    fd: OwnedFd,
}

/// How to set one up.
pub(super) struct Setup<'a> {
    /// For the errors.
    pub(super) purpose: &'static str,
    pub(super) interface: &'a InterfaceId,
    pub(super) ether_type: EtherType,
    /// Bytes of frames, with the kernel's book-keeping, that may wait to be read.
    pub(super) receive_buffer: usize,
    /// Attached before the first frame can arrive.
    pub(super) filter: Option<&'a [sock_filter]>,
    /// Whether nobody may ever replace the filter.
    pub(super) lock_filter: bool,
    /// Whether to see what this host sends, as sockets for all protocols can.
    pub(super) outgoing: bool,
    /// Without the headers of the link layer.
    pub(super) cooked: bool,
}

impl PacketSocket {
    pub(super) fn open(setup: &Setup<'_>) -> Result<Self, PacketError> {
        let step = |step| {
            move |source: io::Error| PacketError::Setup {
                purpose: setup.purpose,
                interface: setup.interface.name.clone(),
                step,
                source,
            }
        };
        // Without a protocol the socket receives nothing until it is bound.
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let kind = if setup.cooked { SockType::Datagram } else { SockType::Raw };
        let fd = socket(AddressFamily::Packet, kind, flags, None)
            .map_err(|errno| step("create the socket (this needs CAP_NET_RAW)")(errno.into()))?;
        if let Some(filter) = setup.filter {
            attach_filter(fd.as_fd(), filter).map_err(step("attach the filter"))?;
        }
        if setup.lock_filter {
            set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_LOCK_FILTER, &1)
                .map_err(step("lock the filter"))?;
        }
        if !setup.outgoing {
            set_option(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1)
                .map_err(step("ignore outgoing frames"))?;
        }
        // The limit of net.core.rmem_max is for unprivileged programs.
        set_typed(&fd, sockopt::RcvBufForce, &setup.receive_buffer)
            .map_err(|errno| step("set the receive buffer")(errno.into()))?;
        bind(fd.as_fd(), setup.interface, setup.ether_type).map_err(step("bind it to the interface"))?;
        Ok(Self { fd })
    }

    /// Takes over a descriptor that is known to be a packet socket.
    pub(super) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Receives one frame. Returns its length on the wire, which is more than the buffer's when it was cut.
    pub(super) fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, PacketType)> {
        let mut source = MaybeUninit::<sockaddr_ll>::zeroed();
        let mut source_len = SOCKADDR_LL_LEN;
        // SAFETY: the buffer and the address are valid for writes of the lengths given, for the time of the
        // call.
        let received = unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_TRUNC,
                source.as_mut_ptr().cast(),
                &raw mut source_len,
            )
        };
        let wire_len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: `sockaddr_ll` consists of integers; what the kernel did not write is still zero.
        let source = unsafe { source.assume_init() };
        Ok((wire_len, PacketType::from(source.sll_pkttype)))
    }

    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.fd.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }

    pub(super) fn statistics(&self) -> io::Result<Statistics> {
        let stats: libc::tpacket_stats =
            get_option(self.fd.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(Statistics { received: stats.tp_packets, dropped: stats.tp_drops })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<PacketSocket> for OwnedFd {
    fn from(socket: PacketSocket) -> Self {
        socket.fd
    }
}

/// Reads an integer option.
pub(super) fn get_integer(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<c_int> {
    get_option(fd, level, option)
}

/// Attaches a classic BPF program, which replaces the one that is there.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, filter: &[sock_filter]) -> io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?;
    // The kernel only reads the program, whatever the type of the pointer says.
    let program = sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn bind(fd: BorrowedFd<'_>, interface: &InterfaceId, ether_type: EtherType) -> io::Result<()> {
    let address = sockaddr_ll {
        sll_family: AF_PACKET,
        sll_protocol: u16::from(ether_type).to_be(),
        sll_ifindex: interface.index.as_i32(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: `address` is a valid `sockaddr_ll` of the length given.
    let outcome = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), SOCKADDR_LL_LEN) };
    Errno::result(outcome)?;
    Ok(())
}

#[allow(clippy::cast_possible_truncation)] // 20 bytes, and the number 17.
const SOCKADDR_LL_LEN: socklen_t = size_of::<sockaddr_ll>() as socklen_t;
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const AF_PACKET: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;

/// Plain data that the kernel may read and write as a socket option.
///
/// # Safety
/// Every bit pattern is a valid value, and every pointer in it stays valid for as long as the value is
/// borrowed.
pub(super) unsafe trait SocketOption: Copy {}
// SAFETY: an integer.
unsafe impl SocketOption for c_int {}
// SAFETY: two integers.
unsafe impl SocketOption for libc::tpacket_stats {}
// SAFETY: an integer and a raw pointer; `attach_filter` makes the only value, from a slice that it borrows.
unsafe impl SocketOption for sock_fprog {}

pub(super) fn set_option<T: SocketOption>(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &T,
) -> io::Result<()> {
    let length = socklen_t::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `value` is valid for reads of `length` bytes, and so is what it points to.
    let outcome =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const *value).cast(), length) };
    Errno::result(outcome)?;
    Ok(())
}

fn get_option<T: SocketOption>(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = socklen_t::try_from(mem::size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `value` is valid for writes of `length` bytes.
    let outcome = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, option, value.as_mut_ptr().cast(), &raw mut length)
    };
    Errno::result(outcome)?;
    // SAFETY: zeroes, partly or wholly overwritten by the kernel; `SocketOption` promises that this is a
    // valid value.
    Ok(unsafe { value.assume_init() })
}
