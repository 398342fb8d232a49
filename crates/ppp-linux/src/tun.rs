//! TUN devices: the network interface of one session, as a file descriptor.
//!
//! Each read gives one IP packet that the kernel routed to the peer, each write hands the kernel one IP packet
//! from the peer. There is no packet information header (`IFF_NO_PI`), and there is a virtio header
//! (`IFF_VNET_HDR`, [`VNET_HEADER_LEN`] bytes). After [`Tun::offer`] a packet of the kernel may lack its
//! checksum and be up to 64 kB long, and its header tells how to make good for that; a packet for the kernel may be like
//! that at any time. [`Tun::recv`] and [`Tun::send`] are for who does neither.

use std::fs::OpenOptions;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc::{self, c_short, c_uint, ifreq};
use nix::net::if_::if_nametoindex;
use thiserror::Error;

use crate::interface::{IfIndex, InterfaceId};
use crate::rtnl;
use ppp_wire::if_name::IfName;

const CLONE_DEVICE: &str = "/dev/net/tun";

/// Bytes of the header of each packet (`struct virtio_net_hdr`).
pub const VNET_HEADER_LEN: usize = 10;

/// Longest packet that is read, in bytes, without its header.
pub const MAX_READ: usize = 65_535;

/// Which packets the kernel may leave to the TUN's reader to cut, and takes uncut from its writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// TCP over IPv4 and IPv6.
    pub tcp: bool,
    /// UDP over IPv4 and IPv6: Linux 6.2.
    pub udp: bool,
}

nix::ioctl_write_int_bad!(
    /// Tells what the reader can do.
    tun_set_offload,
    libc::TUNSETOFFLOAD
);

nix::ioctl_write_ptr_bad!(
    /// Attaches the descriptor to a device, which is made if need be.
    tun_set_iff,
    libc::TUNSETIFF,
    ifreq
);
nix::ioctl_read_bad!(
    /// Tells which device the descriptor is attached to, and with which flags.
    tun_get_iff,
    libc::TUNGETIFF,
    ifreq
);

/// What went wrong with a TUN device.
#[derive(Debug, Error)]
pub enum TunError {
    /// `/dev/net/tun` could not be opened: not root, or a kernel without TUN.
    #[error("cannot open {CLONE_DEVICE} to make interface {name}")]
    Open {
        /// The interface that was to be made.
        name: IfName,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is an interface of that name already.
    #[error("cannot make interface {name}: the name is already in use")]
    NameInUse {
        /// The name.
        name: IfName,
    },
    /// The kernel refused to make the device.
    #[error("cannot make interface {name}")]
    Create {
        /// The interface that was to be made.
        name: IfName,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The device was made and cannot be found: it was deleted or renamed by somebody else at that moment.
    #[error("interface {name} vanished while it was being made")]
    Vanished {
        /// The interface that was made.
        name: IfName,
    },
    /// A descriptor that was handed over as a TUN is something else.
    #[error("the descriptor that was handed over is not attached to a TUN device")]
    NotTun {
        /// The kernel's answer.
        source: io::Error,
    },
    /// A descriptor that was handed over is a TUN (or TAP) in a mode that this module does not speak.
    #[error("the TUN device that was handed over has flags {found:#x}; {expected:#x} are expected")]
    WrongMode {
        /// `IFF_TUN | IFF_NO_PI | IFF_VNET_HDR`.
        expected: c_short,
        /// The flags of the device.
        found: c_short,
    },
}

/// A descriptor that is attached to a TUN device, non-blocking.
///
/// The device is not persistent: it disappears when its last descriptor is closed, whichever process holds
/// that.
#[derive(Debug)]
pub struct Tun {
    fd: OwnedFd,
    header: Header,
}

/// Whether there is a virtio header in front of each packet, by which a writer may ask the kernel to cut the packet or to fill in a
/// checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// There is.
    Virtio,
    /// There is none: readers see zeroes in its place, and what is written as such is left out.
    None,
}

#[allow(clippy::cast_possible_truncation)] // All flags are below 2^15; the kernel's field is a short.
const PLAIN_MODE: c_short = (libc::IFF_TUN | libc::IFF_NO_PI) as c_short;
#[allow(clippy::cast_possible_truncation)]
const MODE: c_short = PLAIN_MODE | libc::IFF_VNET_HDR as c_short;

impl Tun {
    /// Makes the TUN device `name` in the calling thread's network namespace. The interface is down and has
    /// no addresses; see [`crate::netlink::Netlink::configure_ptp`].
    ///
    /// # Errors
    /// [`TunError::NameInUse`] when any interface has that name; an existing device is never taken over.
    pub fn create(name: &IfName) -> Result<(Self, InterfaceId), TunError> {
        Self::create_with(name, Header::Virtio)
    }

    /// As [`Tun::create`], with or without a virtio header.
    ///
    /// # Errors
    /// As [`Tun::create`].
    pub fn create_with(name: &IfName, header: Header) -> Result<(Self, InterfaceId), TunError> {
        let mode = match header {
            Header::Virtio => MODE,
            Header::None => PLAIN_MODE,
        };
        let fd = attach(name, mode)?;
        let vanished = || TunError::Vanished { name: name.clone() };
        #[expect(
            clippy::disallowed_methods,
            reason = "there is an interface of the name: it was made just now"
        )]
        let index = if_nametoindex(name.as_str()).map_err(|_| vanished())?;
        let index = IfIndex::new(index).ok_or_else(vanished)?;
        Ok((Self { fd, header }, InterfaceId { index, name: name.clone() }))
    }

    /// Takes over a descriptor that [`Tun::create`] made in another process.
    ///
    /// # Errors
    /// [`TunError::NotTun`] or [`TunError::WrongMode`] when it is anything else.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, TunError> {
        let mut request = empty_request();
        // SAFETY: `request` is a valid `ifreq` that outlives the call; on any other descriptor the ioctl
        // fails.
        unsafe { tun_get_iff(fd.as_raw_fd(), &raw mut request) }
            .map_err(|errno| TunError::NotTun { source: errno.into() })?;
        // SAFETY: TUNGETIFF succeeded and so wrote this member of the union; every bit pattern is a valid
        // short.
        let found = unsafe { request.ifr_ifru.ifru_flags };
        #[allow(clippy::cast_possible_truncation)] // As for MODE.
        let layout = (libc::IFF_TUN | libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as c_short;
        let header = match found & layout {
            MODE => Header::Virtio,
            PLAIN_MODE => Header::None,
            _ => return Err(TunError::WrongMode { expected: MODE, found }),
        };
        Ok(Self { fd, header })
    }

    /// Tells the kernel that whoever reads cuts packets and computes checksums, as far as the kernel knows of it.
    ///
    /// # Errors
    /// When the kernel knows of nothing of it, or the interface was deleted.
    pub fn offer(&self) -> io::Result<Offloads> {
        let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        let offer = |flags: c_uint| -> io::Result<()> {
            // SAFETY: the argument is an integer, and the descriptor is ours.
            unsafe { tun_set_offload(self.fd.as_raw_fd(), flags.cast_signed()) }?;
            Ok(())
        };
        if offer(tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6).is_ok() {
            return Ok(Offloads { tcp: true, udp: true });
        }
        offer(tcp).map(|()| Offloads { tcp: true, udp: false })
    }

    /// Reads one packet for the peer, header first, into `buffer` and returns the length of both. A packet that
    /// is longer than the buffer is cut; that does not happen if it has `VNET_HEADER_LEN + MAX_READ` bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none; the kernel's `EBADFD` once the interface was
    /// deleted.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.header {
            Header::Virtio => Ok(nix::unistd::read(&self.fd, buffer)?),
            Header::None => {
                let Some((header, packet)) = buffer.split_at_mut_checked(VNET_HEADER_LEN) else {
                    return Err(Errno::EINVAL.into());
                };
                header.fill(0);
                Ok(VNET_HEADER_LEN + nix::unistd::read(&self.fd, packet)?)
            }
        }
    }

    /// Hands one packet from the peer to the kernel: the header, which is the first part, and what follows it in any number of
    /// parts up to 1024.
    ///
    /// # Errors
    /// The kernel's `EIO` while the interface is down, `EINVAL` when the packet is neither IPv4 nor IPv6 or not
    /// what its header says, `EBADFD` once the interface was deleted.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let parts = match self.header {
            Header::Virtio => parts,
            Header::None => parts.get(1..).unwrap_or_default(),
        };
        nix::sys::uio::writev(&self.fd, parts)?;
        Ok(())
    }

    /// As [`read`](Self::read), without the header, which says nothing unless the reader [offered](Self::offer)
    /// something. With a buffer of at least the interface's MTU no packet is cut.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.header == Header::None {
            return Ok(nix::unistd::read(&self.fd, buffer)?);
        }
        let mut header = [0; VNET_HEADER_LEN];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
        let len = nix::sys::uio::readv(&self.fd, &mut parts)?;
        Ok(len.saturating_sub(VNET_HEADER_LEN))
    }

    /// Hands one packet from the peer to the kernel, complete and by itself.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.write(&[IoSlice::new(&[0; VNET_HEADER_LEN]), IoSlice::new(packet)])
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Tun> for OwnedFd {
    fn from(tun: Tun) -> Self {
        tun.fd
    }
}

fn empty_request() -> ifreq {
    // SAFETY: `ifreq` consists of integers and raw pointers, for which all zeroes is a valid value.
    unsafe { std::mem::zeroed() }
}

/// Opens a new, non-blocking descriptor and makes the device `name` for it.
fn attach(name: &IfName, mode: c_short) -> Result<OwnedFd, TunError> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(CLONE_DEVICE)
        .map_err(|source| TunError::Open { name: name.clone(), source })?;

    let mut request = empty_request();
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_str().bytes()) {
        *to = from.cast_signed();
    }
    #[allow(clippy::cast_possible_truncation)] // IFF_TUN_EXCL is 2^15: the sign bit of the kernel's short.
    let exclusive = libc::IFF_TUN_EXCL as c_short;
    request.ifr_ifru.ifru_flags = mode | exclusive;
    let _turn = rtnl::turn();
    // SAFETY: `request` is a valid `ifreq` that outlives the call, and its name is shorter than IFNAMSIZ.
    unsafe { tun_set_iff(device.as_raw_fd(), &raw const request) }.map_err(|errno| match errno {
        Errno::EBUSY => TunError::NameInUse { name: name.clone() },
        _ => TunError::Create { name: name.clone(), source: errno.into() },
    })?;
    Ok(device.into())
}

/// A TAP device: an Ethernet interface whose other end is the test.
#[cfg(test)]
pub(crate) fn create_tap(name: &IfName) -> Result<OwnedFd, TunError> {
    attach(name, c_short::try_from(libc::IFF_TAP | libc::IFF_NO_PI).unwrap())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::netlink::{Ipv4Ends, Netlink, NetlinkError, PtpConfig};
    use crate::netns;

    fn name(name: &str) -> IfName {
        name.parse().unwrap()
    }

    #[test]
    fn a_tun_has_its_name_and_disappears_with_its_descriptor() {
        netns::for_test(|| {
            let (tun, id) = Tun::create(&name("ppp7")).unwrap();
            let mut netlink = Netlink::open().unwrap();
            let interface = netlink.interface(&id.name).unwrap();
            assert_eq!(interface.id, id);
            assert!(!interface.up && interface.mac.is_none(), "{interface:?}");

            // As long as anybody has the descriptor, the interface stays.
            let copy = tun.as_fd().try_clone_to_owned().unwrap();
            drop(tun);
            assert!(netlink.interface(&id.name).is_ok());
            drop(copy);
            assert!(matches!(netlink.interface(&id.name), Err(NetlinkError::NoSuchInterface { .. })));
        });
    }

    #[test]
    fn a_name_in_use_is_an_error() {
        netns::for_test(|| {
            let (_tun, id) = Tun::create(&name("ppp7")).unwrap();
            assert!(matches!(Tun::create(&id.name), Err(TunError::NameInUse { name }) if name == id.name));
            assert!(matches!(Tun::create(&name("lo")), Err(TunError::NameInUse { .. })));
        });
    }

    #[test]
    fn packets_pass_both_ways() {
        netns::for_test(|| {
            let (tun, id) = Tun::create(&name("ppp7")).unwrap();
            let (local, peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            let config = PtpConfig { mtu: 1492, ipv4: Some(Ipv4Ends { local, peer }) };
            Netlink::open().unwrap().configure_ptp(&id, &config).unwrap();

            let socket = UdpSocket::bind((local, 1000)).unwrap();
            socket.send_to(b"to the peer", (peer, 2000)).unwrap();
            let mut buffer = [0; 1492];
            let length = tun.recv(&mut buffer).unwrap();
            let packet = &mut buffer[..length];
            assert_eq!((&packet[12..16], &packet[16..20]), (&local.octets()[..], &peer.octets()[..]));
            assert_eq!(&packet[28..], b"to the peer");

            // The same packet back: with both addresses and both ports swapped, all checksums stay right.
            for (one, other, length) in [(12, 16, 4), (20, 22, 2)] {
                for offset in 0..length {
                    packet.swap(one + offset, other + offset);
                }
            }
            tun.send(packet).unwrap();
            let mut payload = [0; 64];
            let (length, from) = socket.recv_from(&mut payload).unwrap();
            assert_eq!((&payload[..length], from), (&b"to the peer"[..], (peer, 2000).into()));

            let error = tun.send(&[0xff; 20]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "that is no IP packet");
        });
    }

    #[test]
    fn without_a_header_packets_pass_as_they_are() {
        netns::for_test(|| {
            let (tun, id) = Tun::create_with(&name("ppp7"), Header::None).unwrap();
            let (local, peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            let config = PtpConfig { mtu: 1492, ipv4: Some(Ipv4Ends { local, peer }) };
            Netlink::open().unwrap().configure_ptp(&id, &config).unwrap();
            let tun = Tun::from_fd(tun.into()).unwrap();
            let socket = UdpSocket::bind((local, 1000)).unwrap();
            socket.send_to(b"to the peer", (peer, 2000)).unwrap();
            let mut buffer = [0xee; VNET_HEADER_LEN + 1492];
            let length = tun.read(&mut buffer).unwrap();
            assert_eq!(length, VNET_HEADER_LEN + 28 + 11);
            assert_eq!(buffer[..VNET_HEADER_LEN], [0; VNET_HEADER_LEN]);
            let packet = &mut buffer[VNET_HEADER_LEN..length];
            for (one, other, length) in [(12, 16, 4), (20, 22, 2)] {
                for offset in 0..length {
                    packet.swap(one + offset, other + offset);
                }
            }
            // A request for a checksum says nothing here.
            let asks = [1, 0, 0, 0, 0, 0, 0, 0, 12, 0];
            tun.write(&[IoSlice::new(&asks), IoSlice::new(packet)]).unwrap();
            let mut payload = [0; 64];
            let (length, from) = socket.recv_from(&mut payload).unwrap();
            assert_eq!((&payload[..length], from), (&b"to the peer"[..], (peer, 2000).into()));
        });
    }

    #[test]
    fn what_was_offered_is_left_to_the_reader() {
        netns::for_test(|| {
            let (tun, id) = Tun::create(&name("ppp7")).unwrap();
            let (local, peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            let config = PtpConfig { mtu: 1492, ipv4: Some(Ipv4Ends { local, peer }) };
            Netlink::open().unwrap().configure_ptp(&id, &config).unwrap();
            let socket = UdpSocket::bind((local, 1000)).unwrap();
            let read = || {
                socket.send_to(b"to the peer", (peer, 2000)).unwrap();
                let mut buffer = [0xee; VNET_HEADER_LEN + 1492];
                let length = tun.read(&mut buffer).unwrap();
                assert_eq!(length, VNET_HEADER_LEN + 28 + 11);
                buffer
            };
            assert_eq!(read()[..VNET_HEADER_LEN], [0; VNET_HEADER_LEN]);
            assert!(tun.offer().unwrap().tcp);
            let packet = read();
            assert_eq!(packet[0], 1, "the checksum is missing (VIRTIO_NET_HDR_F_NEEDS_CSUM)");
            assert_eq!(packet[6..10], [20_u16.to_ne_bytes(), 6_u16.to_ne_bytes()].concat());
            tun.write(&[
                IoSlice::new(&packet[..VNET_HEADER_LEN]),
                IoSlice::new(&packet[VNET_HEADER_LEN..][..39]),
            ])
            .unwrap();
            assert!(tun.write(&[IoSlice::new(&[0xff; 40])]).is_err(), "such a header makes no sense");
        });
    }

    #[test]
    fn only_a_tun_can_be_taken_over() {
        netns::for_test(|| {
            let (tun, _) = Tun::create(&name("ppp7")).unwrap();
            let tun = Tun::from_fd(tun.into()).unwrap();
            assert_eq!(tun.recv(&mut [0; 64]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            assert_eq!(tun.send(&[0x45; 20]).unwrap_err().raw_os_error(), Some(libc::EIO), "it is down");

            let tap = create_tap(&name("tap7")).unwrap();
            assert!(matches!(Tun::from_fd(tap), Err(TunError::WrongMode { .. })));
            let unattached = OpenOptions::new().read(true).write(true).open(CLONE_DEVICE).unwrap();
            assert!(matches!(Tun::from_fd(unattached.into()), Err(TunError::NotTun { .. })));
            let other = OpenOptions::new().read(true).open("/dev/null").unwrap();
            assert!(matches!(Tun::from_fd(other.into()), Err(TunError::NotTun { .. })));
        });
    }
}
