//! Whose address IPv6 packets of a session may have.
//!
//! The worker looks at that, and for IPv4 the kernel does as well (`rp_filter`). For IPv6 it has no such switch, so a program
//! judges what comes in through the session's TUN: a worker that its peer has taken over can write any packet there.
//!
//! It is attached by tcx (Linux 6.6), which is in nobody's way: with a queueing discipline for it, scripts that limit what a
//! session sends by `tc qdisc add dev ppp0 ingress` would fail. The kernel keeps it as long as the interface is there.

use std::io;
use std::net::Ipv6Addr;

use crate::bpf::{Assembler, ClassifierProgram, Instruction, Register, TcxIngress};
use crate::interface::InterfaceId;

/// By which it is found, to be replaced. The kernel cuts names after 15 bytes.
const NAME: &str = "pppoe_source6";

/// From now on the kernel drops IPv6 packets that come in through an interface unless they are from `peer`, or are what
/// a host says on its link before it has an address (from `::` to an address of all hosts of the link, which nobody
/// forwards). Other protocols pass. It replaces the check for an earlier peer in one step.
///
/// # Errors
/// `EPERM` without `CAP_BPF` and `CAP_NET_ADMIN`, or `CAP_SYS_ADMIN`; `EINVAL` before Linux 6.6.
pub fn check_ipv6_sources(interface: &InterfaceId, peer: Ipv6Addr) -> io::Result<()> {
    let program = ClassifierProgram::load(NAME, &program(peer))?;
    TcxIngress::new(interface.index).attach(&program, NAME)
}

/// Whether an interface has the check of [`check_ipv6_sources`].
///
/// # Errors
/// `EINVAL` before Linux 6.6, `ENODEV` without the interface, and the kernel's other answers.
pub fn is_checked(interface: &InterfaceId) -> io::Result<bool> {
    TcxIngress::new(interface.index).has(NAME)
}

/// What the program answers (linux/bpf.h).
mod verdict {
    /// `TCX_NEXT`: no objection; whatever other programs there are decide.
    pub(super) const GO_ON: i32 = -1;
    /// `TCX_DROP`
    pub(super) const DROP: i32 = 2;
}

/// Where things are.
mod offset {
    /// In `struct __sk_buff`: the EtherType, in network byte order.
    pub(super) const PROTOCOL: i16 = 16;
    /// In an IPv6 packet (RFC 8200 §3).
    pub(super) const SOURCE: i32 = 8;
    pub(super) const DESTINATION: i32 = 24;
}

const IPV6: u16 = 0x86dd;
/// Multicast addresses of link-local scope, with any flags (RFC 4291 §2.7).
const LINK_SCOPE: i32 = 0xff02;
const LINK_SCOPE_MASK: i32 = 0xff0f;

#[derive(Debug, PartialEq, Eq)]
enum Label {
    NotFromPeer,
    Drop,
    GoOn,
}

fn program(peer: Ipv6Addr) -> Vec<Instruction> {
    use Register::{R0, R1, R6};

    let mut a = Assembler::default();
    // Looks at eight words of 16 bits. Of a packet that is too short for them, 0 is returned (`TCX_PASS`): the kernel
    // drops it by itself.
    let compare = |a: &mut Assembler<Label>, with: [u16; 8], otherwise: fn() -> Label| {
        for (at, word) in (offset::SOURCE..).step_by(2).zip(with) {
            a.push(Instruction::load_packet_half(at));
            a.jump(otherwise(), Instruction::skip_unless(R0, word.into(), 0));
        }
    };
    a.push(Instruction::copy(R6, R1));
    a.push(Instruction::load_word(R1, R6, offset::PROTOCOL));
    a.jump(Label::GoOn, Instruction::skip_unless(R1, IPV6.to_be().into(), 0));
    compare(&mut a, peer.segments(), || Label::NotFromPeer);
    a.jump(Label::GoOn, Instruction::skip(0));

    a.place(Label::NotFromPeer);
    compare(&mut a, Ipv6Addr::UNSPECIFIED.segments(), || Label::Drop);
    a.push(Instruction::load_packet_half(offset::DESTINATION));
    a.push(Instruction::and(R0, LINK_SCOPE_MASK));
    a.jump(Label::Drop, Instruction::skip_unless(R0, LINK_SCOPE, 0));

    a.place(Label::GoOn);
    a.push(Instruction::set(R0, verdict::GO_ON));
    a.push(Instruction::exit());
    a.place(Label::Drop);
    a.push(Instruction::set(R0, verdict::DROP));
    a.push(Instruction::exit());
    a.finish()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::netlink::{Ipv4Ends, Ipv6Ends, Netlink, PtpConfig};
    use crate::netns;
    use crate::tun::Tun;

    const OURS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    /// With each of its bytes another one, and the first bit of some words set.
    const PEER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x8123, 0x4567, 0xf9ab, 0xcdef);

    /// A packet of nothing but a header that says "nothing follows" (RFC 8200 §4.7).
    fn packet(source: Ipv6Addr, destination: Ipv6Addr) -> [u8; 40] {
        let mut packet = [0; 40];
        packet[0] = 0x60;
        packet[6..8].copy_from_slice(&[59, 255]);
        packet[8..24].copy_from_slice(&source.octets());
        packet[24..40].copy_from_slice(&destination.octets());
        packet
    }

    /// How many IPv6 packets the namespace has taken in.
    fn taken_in() -> u64 {
        let counters = std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap();
        let line = counters.lines().find_map(|line| line.strip_prefix("Ip6InReceives")).unwrap();
        line.trim().parse().unwrap()
    }

    fn with_session(test: impl FnOnce(&Tun, &InterfaceId) + Send) {
        netns::for_test(|| {
            let mut netlink = Netlink::open().unwrap();
            let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
            let ipv4 = Ipv4Ends { local: Ipv4Addr::new(10, 0, 0, 1), peer: Ipv4Addr::new(10, 0, 0, 2) };
            netlink.configure_ptp(&id, &PtpConfig { mtu: 1492, ipv4: Some(ipv4) }).unwrap();
            netlink.set_ipv6_ends(&id, None, Ipv6Ends { local: OURS, peer: PEER }).unwrap();
            test(&tun, &id);
        });
    }

    fn passes(tun: &Tun, source: Ipv6Addr, destination: Ipv6Addr) -> bool {
        let before = taken_in();
        tun.send(&packet(source, destination)).unwrap();
        taken_in() > before
    }

    /// Addresses that differ from the peer's in one bit of each byte.
    fn neighbours() -> impl Iterator<Item = Ipv6Addr> {
        (0..128).step_by(7).map(|bit| Ipv6Addr::from_bits(PEER.to_bits() ^ 1 << bit))
    }

    #[test]
    fn the_kernel_takes_ipv6_from_nobody_but_the_peer() {
        with_session(|tun, id| {
            let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            assert!(passes(tun, elsewhere, OURS), "nobody has forbidden it yet");
            assert!(!is_checked(id).unwrap());
            check_ipv6_sources(id, PEER).unwrap();
            assert!(is_checked(id).unwrap());
            assert!(passes(tun, PEER, OURS));
            for source in neighbours().chain([elsewhere, OURS, Ipv6Addr::LOCALHOST]) {
                assert!(!passes(tun, source, OURS), "{source}");
            }
        });
    }

    #[test]
    fn a_host_without_an_address_can_speak_on_its_link() {
        with_session(|tun, id| {
            check_ipv6_sources(id, PEER).unwrap();
            for (destination, expected) in [
                ("ff02::2", true),
                // A transient address of the link.
                ("ff12::1:ff00:1", true),
                ("ff05::2", false),
                ("fe80::1", false),
                ("2001:db8::1", false),
            ] {
                let destination = destination.parse().unwrap();
                assert_eq!(passes(tun, Ipv6Addr::UNSPECIFIED, destination), expected, "{destination}");
            }
        });
    }

    #[test]
    fn another_peer_takes_the_place_of_the_first() {
        with_session(|tun, id| {
            let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
            for (peer, stranger) in [(PEER, other), (other, PEER), (PEER, other)] {
                check_ipv6_sources(id, peer).unwrap();
                assert!(passes(tun, peer, OURS));
                assert!(!passes(tun, stranger, OURS));
            }
        });
    }

    #[test]
    fn other_protocols_pass() {
        with_session(|tun, id| {
            check_ipv6_sources(id, PEER).unwrap();
            let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 0, 1), 9)).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            let mut datagram = [0; 28];
            datagram[..12].copy_from_slice(&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x66, 0xcf]);
            datagram[12..20].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
            datagram[20..26].copy_from_slice(&[0, 9, 0, 9, 0, 8]);
            tun.send(&datagram).unwrap();
            assert_eq!(socket.recv_from(&mut [0; 1]).unwrap().0, 0);
        });
    }

    #[test]
    fn scripts_can_have_their_queueing_disciplines() {
        with_session(|tun, id| {
            check_ipv6_sources(id, PEER).unwrap();
            // As `tc qdisc add dev ppp0 clsact` and `ingress`, which have one place.
            let mut netlink = Netlink::open().unwrap();
            assert!(netlink.make_clsact(id).unwrap());
            netlink.remove_clsact(id).unwrap();
            assert!(!passes(tun, Ipv6Addr::LOCALHOST, OURS));
        });
    }
}
