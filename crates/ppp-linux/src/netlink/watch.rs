//! Telling that interfaces come, change and go.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::libc::{self, MSG_TRUNC, sock_filter};

use super::{NetlinkError, RECEIVE_BUFFER};
use crate::interface::{IfIndex, InterfaceId};
use crate::packet::attach_filter;
use ppp_wire::if_name::IfName;

/// What the kernel told. It says that there is something to look at, not what it is now: that is
/// [`Netlink::interface`](super::Netlink::interface)'s answer, which later changes do not outdate unseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkHint {
    /// This interface is new, has changed, or is gone.
    Changed(InterfaceId),
    /// Hints were lost: any interface may have changed.
    Missed,
}

/// Hints about the Ethernet interfaces of one network namespace (`RTNLGRP_LINK`, rtnetlink(7)), or about its TUNs.
/// Non-blocking.
///
/// A change that happens after [`LinkWatch::open`] is told. Interfaces of other kinds are filtered out by the kernel:
/// each session makes and removes a TUN, and thousands of these are no news here.
#[derive(Debug)]
pub struct LinkWatch {
    socket: Socket,
    buffer: Vec<u8>,
}

impl LinkWatch {
    /// Watches the calling thread's network namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Open`] when the kernel refuses.
    pub fn open() -> Result<Self, NetlinkError> {
        Self::with_filter(&ETHERNET_ONLY)
    }

    /// Watches the calling thread's network namespace for changes of TUNs that are neither new nor gone, and whose flags
    /// stay: another name, and another MTU.
    ///
    /// # Errors
    /// [`NetlinkError::Open`] when the kernel refuses.
    pub fn open_for_names_of_tuns() -> Result<Self, NetlinkError> {
        Self::with_filter(&TUN_WITHOUT_FLAGS)
    }

    fn with_filter(filter: &[sock_filter]) -> Result<Self, NetlinkError> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            attach_filter(socket.as_fd(), filter)?;
            socket.set_non_blocking(true)?;
            socket.bind_auto()?;
            socket.add_membership(libc::RTNLGRP_LINK)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| NetlinkError::Open { source })?;
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE_BUFFER) })
    }

    /// The next hint.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none; anything else means that the socket is of no use any more.
    pub fn recv(&mut self) -> io::Result<LinkHint> {
        loop {
            self.buffer.clear();
            let (length, sender) = match self.socket.recv_from(&mut self.buffer, MSG_TRUNC) {
                Ok(received) => received,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(LinkHint::Missed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // Only the kernel has port 0; programs may send to a multicast group as well.
            if !is_kernel(&sender) {
                continue;
            }
            if length > self.buffer.len() {
                return Ok(LinkHint::Missed);
            }
            if let Some(hint) = hint(&self.buffer) {
                return Ok(hint);
            }
        }
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_kernel(sender: &SocketAddr) -> bool {
    sender.port_number() == 0
}

/// The kernel puts one message into each notification.
fn hint(datagram: &[u8]) -> Option<LinkHint> {
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram) else {
        // Something is told that is not understood.
        return Some(LinkHint::Missed);
    };
    let (NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link))
    | NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link))) = message.payload
    else {
        return None;
    };
    // A name that `IfName` does not allow cannot be one that somebody looks for.
    identity(&link).map(LinkHint::Changed)
}

fn identity(link: &LinkMessage) -> Option<InterfaceId> {
    let name: IfName = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => name.parse().ok(),
        _ => None,
    })?;
    Some(InterfaceId { index: IfIndex::new(link.header.index)?, name })
}

/// Offset of `ifi_type` in a message: behind `struct nlmsghdr`, `ifi_family` and a byte of padding.
const LINK_TYPE_OFFSET: u32 = 16 + 2;

/// A packet filter loads as if everything were big-endian; netlink has the host's order.
const ETHERNET: u32 = u16::from_be_bytes(libc::ARPHRD_ETHER.to_ne_bytes()) as u32;

/// Passes messages about interfaces with the hardware type of Ethernet.
const ETHERNET_ONLY: [sock_filter; 4] = [
    instruction(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, LINK_TYPE_OFFSET),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, ETHERNET),
    instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0),
];

/// Offset of `ifi_change` in a message: behind `struct nlmsghdr`, and what comes before it in `struct ifinfomsg`.
const LINK_CHANGE_OFFSET: u32 = 16 + 12;

const NO_HARDWARE: u32 = u16::from_be_bytes(libc::ARPHRD_NONE.to_ne_bytes()) as u32;

/// Passes messages about interfaces without a hardware type (TUN) that say of no flag that it has changed. Of one that is
/// new or gone they say that of all flags.
const TUN_WITHOUT_FLAGS: [sock_filter; 6] = [
    instruction(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, LINK_TYPE_OFFSET),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 3, NO_HARDWARE),
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, LINK_CHANGE_OFFSET),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0),
    instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0),
];

/// `jump_false`: how many instructions a comparison that fails skips.
#[allow(clippy::cast_possible_truncation)] // Codes have 16 bits.
const fn instruction(code: u32, jump_false: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: jump_false, k }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
    use netlink_packet_route::link::{InfoKind, LinkInfo};

    use super::*;
    use crate::netlink::Netlink;
    use crate::netns;
    use crate::tun::Tun;

    /// Makes an Ethernet interface, as `ip link add NAME type bridge` does.
    fn add_bridge(netlink: &mut Netlink, name: &str) -> InterfaceId {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        let request = RouteNetlinkMessage::NewLink(message);
        netlink.change(request, NLM_F_CREATE | NLM_F_EXCL, || format!("add {name}")).unwrap();
        netlink.interface(&name.parse().unwrap()).unwrap().id
    }

    /// `ip link set NAME name NEW`
    fn rename(netlink: &mut Netlink, id: &InterfaceId, name: &IfName) {
        let mut message = LinkMessage::default();
        message.header.index = id.index.get();
        message.attributes.push(LinkAttribute::IfName(name.to_string()));
        netlink.change(RouteNetlinkMessage::SetLink(message), 0, || format!("rename {id}")).unwrap();
    }

    /// All hints until there is none for 100 ms.
    fn hints(watch: &mut LinkWatch) -> Vec<LinkHint> {
        let mut found = Vec::new();
        let mut until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            match watch.recv() {
                Ok(hint) => {
                    found.push(hint);
                    until = Instant::now() + Duration::from_millis(100);
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        found
    }

    #[test]
    fn every_change_of_an_ethernet_interface_is_told() {
        netns::for_test(|| {
            let mut netlink = Netlink::open().unwrap();
            let mut watch = LinkWatch::open().unwrap();
            assert_eq!(hints(&mut watch), []);

            let id = add_bridge(&mut netlink, "access0");
            let told = |watch: &mut LinkWatch, what: &str| {
                let hints = hints(watch);
                assert!(hints.contains(&LinkHint::Changed(id.clone())), "{what}: {hints:?}");
            };
            told(&mut watch, "new");
            netlink.link_up(&id).unwrap();
            told(&mut watch, "up");
            netlink.set_mtu(&id, 1508).unwrap();
            told(&mut watch, "MTU");
            netlink.set_mac(&id, "02:00:00:00:00:77".parse().unwrap()).unwrap();
            told(&mut watch, "MAC");
            assert_eq!(netlink.interface(&id.name).unwrap().mac.unwrap().0[5], 0x77);
            netlink.link_down(&id).unwrap();
            told(&mut watch, "down");
            netlink.delete_link(&id).unwrap();
            told(&mut watch, "gone");

            let again = add_bridge(&mut netlink, "access0");
            assert_ne!(again.index, id.index);
            assert!(hints(&mut watch).contains(&LinkHint::Changed(again)));
        });
    }

    #[test]
    fn tunnels_are_no_news() {
        netns::for_test(|| {
            let mut netlink = Netlink::open().unwrap();
            let mut watch = LinkWatch::open().unwrap();
            let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
            netlink.link_up(&id).unwrap();
            drop(tun);
            assert_eq!(hints(&mut watch), []);
        });
    }

    #[test]
    fn a_new_name_of_a_tunnel_is_told_to_who_wants_that() {
        netns::for_test(|| {
            let mut netlink = Netlink::open().unwrap();
            let mut watch = LinkWatch::open_for_names_of_tuns().unwrap();
            let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
            netlink.link_up(&id).unwrap();
            netlink.link_down(&id).unwrap();
            assert_eq!(hints(&mut watch), []);
            let name: IfName = "cust-alice".parse().unwrap();
            rename(&mut netlink, &id, &name);
            let renamed = InterfaceId { index: id.index, name };
            let told = hints(&mut watch);
            assert!(
                !told.is_empty() && told.iter().all(|hint| *hint == LinkHint::Changed(renamed.clone())),
                "{told:?}"
            );
            drop(tun);
            add_bridge(&mut netlink, "access0");
            assert_eq!(hints(&mut watch), []);
        });
    }

    #[test]
    fn lost_hints_are_told() {
        netns::for_test(|| {
            let mut netlink = Netlink::open().unwrap();
            let mut watch = LinkWatch::open().unwrap();
            let id = add_bridge(&mut netlink, "access0");
            // Each hint takes more than 1 kB; the buffer has some 200 kB.
            for round in 0..1000 {
                netlink.set_mtu(&id, 1400 + round % 2).unwrap();
            }
            let told = hints(&mut watch);
            assert!(told.contains(&LinkHint::Missed), "{} hints and none lost", told.len());
            // And it goes on.
            netlink.delete_link(&id).unwrap();
            assert!(hints(&mut watch).contains(&LinkHint::Changed(id)));
        });
    }

    #[test]
    fn what_is_not_understood_counts_as_missed() {
        assert_eq!(hint(&[1, 2, 3]), Some(LinkHint::Missed));
        assert!(is_kernel(&SocketAddr::new(0, 1)) && !is_kernel(&SocketAddr::new(4711, 1)));
    }
}
