//! Frames by themselves, and against the kernel: the access interface is the loopback one of a namespace of the test's
//! own, so that what either end sends arrives at the other.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use ppp_linux::counters::{SharedCounters, Snapshot};
use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig};
use ppp_linux::netns;
use ppp_linux::packet::{DiscoverySocket, SessionKey};
use ppp_wire::ethernet::EtherType;

use super::*;

/// The loopback interface's address.
const OWN: MacAddr = MacAddr([0; 6]);
const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
const SESSION_ID: u16 = 0x1234;
const ADDRESSING: Addressing = Addressing {
    own_mac: OWN,
    peer_mac: PEER,
    ether_type: EtherType::PppoeSession,
    discovery: EtherType::PppoeDiscovery,
    session_id: SESSION_ID,
};

const OURS_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GRANT: Grant = Grant { ipv4: Some(PEER_V4), any_source: false, ipv6: None, mtu: 1492, max_mss: 0 };
const PORT: u16 = 2000;
const GATHER: Duration = Duration::from_micros(50);

/// A session frame of the peer around a PPP packet, without padding.
fn frame(ppp: &[u8]) -> Vec<u8> {
    let header = EthernetHeader { destination: OWN, source: PEER, ether_type: EtherType::PppoeSession };
    let mut frame =
        pppoe::emit_session_header(&header, SESSION_ID, u16::try_from(ppp.len()).unwrap()).to_vec();
    frame.extend_from_slice(ppp);
    frame
}

/// The frame of an IPv4 packet.
fn data_frame(packet: &[u8]) -> Vec<u8> {
    frame(&[&[0, 0x21], packet].concat())
}

/// A UDP datagram; its checksum is left out, which IPv4 allows.
fn udp(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(28 + payload.len()).unwrap().to_be_bytes();
    let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&(!folded).to_be_bytes());
    packet.extend([PORT.to_be_bytes(), PORT.to_be_bytes(), length, [0; 2]].concat());
    packet.extend(payload);
    packet
}

/// A TCP SYN with this maximum segment size; neither checksum is right.
fn syn(mss: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0];
    packet.extend(OURS_V4.octets());
    packet.extend(PEER_V4.octets());
    packet.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4]);
    packet.extend(mss.to_be_bytes());
    packet
}

#[test]
fn a_frame_is_taken_apart() {
    let packet = [0x45, 1, 2, 3];
    for (ppp, protocol) in [
        (&[0, 0x21, 0x45, 1, 2, 3][..], Protocol::Ip),
        // A peer may compress what it agreed not to; RFC 1661 section 6.5 wants both to be taken.
        (&[0x21, 0x45, 1, 2, 3], Protocol::Ip),
        (&[0xff, 3, 0, 0x21, 0x45, 1, 2, 3], Protocol::Ip),
        (&[0xc0, 0x21, 0x45, 1, 2, 3], Protocol::Lcp),
    ] {
        let mut bytes = frame(ppp);
        bytes.resize(MIN_FRAME_LEN, 0xee);
        // On a session's own device, what is received begins with the PPPoE header.
        for (bytes, framing) in [(&bytes[..], Framing::Ethernet), (&bytes[14..], Framing::Device)] {
            let (found, whole, information) = locate(bytes, framing).unwrap();
            assert_eq!(found, protocol);
            assert_eq!((&bytes[whole], &bytes[information]), (ppp, &packet[..]), "{ppp:x?}");
        }
    }
}

#[test]
fn what_is_no_frame_of_a_session() {
    let locate = |frame: &[u8]| {
        let on_device = frame.get(14..).and_then(|pppoe| super::locate(pppoe, Framing::Device));
        let located = super::locate(frame, Framing::Ethernet);
        assert_eq!(located.is_some(), on_device.is_some());
        located
    };
    let good = data_frame(&[0x45]);
    for len in 0..good.len() {
        assert_eq!(locate(&good[..len]), None, "cut to {len} bytes");
    }
    let mut wrong_version = good.clone();
    wrong_version[14] = 0x21;
    assert_eq!(locate(&wrong_version), None);
    let mut too_long = good.clone();
    too_long[18..20].copy_from_slice(&u16::MAX.to_be_bytes());
    assert_eq!(locate(&too_long), None);
    assert_eq!(locate(&frame(&[])), None, "no protocol");
    assert_eq!(locate(&frame(&[0])), None, "half a protocol");
}

#[test]
fn the_kernel_writes_the_length_of_a_packet_of_control() {
    let packet = [0xc0, 0x21, 9, 7, 0, 8, 1, 2, 3, 4];
    assert_eq!(without_length(&packet).as_deref(), Some(&[0xc0, 0x21, 9, 7, 1, 2, 3, 4][..]));
    assert_eq!(without_length(&packet[..6]).as_deref(), Some(&[0xc0, 0x21, 9, 7][..]));
    assert_eq!(without_length(&packet[..5]), None);
}

#[test]
fn a_packet_gets_its_headers_and_nothing_of_another_packet() {
    Bench::run(|mut bench| {
        bench.relay.set_grant(GRANT);
        bench.host.send_to(&[7; 1464], (PEER_V4, PORT)).unwrap();
        bench.transmit();
        assert_eq!(bench.peer_hears().len(), 1514);
        bench.host.send_to(b"x", (PEER_V4, PORT)).unwrap();
        bench.transmit();
        let frame = bench.peer_hears();
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 0xaa, 0, 0, 0, 0, 0, 0]);
        assert_eq!(frame[12..22], [0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 31, 0, 0x21]);
        assert_eq!(frame[50], b'x');
        assert_eq!(frame[51..], [0; 9], "the padding");
        let counters = bench.counters.snapshot();
        assert_eq!((counters.tx_packets, counters.tx_bytes), (2, 1492 + 29));
    });
}

/// [`Outlet::admits`], and what was counted.
fn admit(packet: &mut [u8], grant: Option<Grant>) -> (Option<Family>, Snapshot) {
    let shared = SharedCounters::create().unwrap();
    let counters = WorkerCounters::map(&shared).unwrap();
    let mut admitted = None;
    Bench::run_with(false, |bench| {
        let outlet =
            Outlet { socket: &bench.relay.socket, counters: &counters, addressing: &ADDRESSING, grant };
        admitted = outlet.admits(packet);
    });
    (admitted, shared.snapshot())
}

#[test]
fn what_is_not_sent_down_is_counted() {
    let mut packet = udp(OURS_V4, PEER_V4, b"x");
    let count = |packet: &mut [u8], grant| {
        let (admitted, counters) = admit(packet, grant);
        assert_eq!(admitted, None);
        counters
    };
    assert_eq!(count(&mut packet, None).tx_drops_not_open, 1);
    assert_eq!(count(&mut packet, Some(Grant { ipv4: None, ..GRANT })).tx_drops_not_open, 1);
    assert_eq!(count(&mut packet, Some(Grant { mtu: 28, ..GRANT })).tx_drops_oversize, 1);
    let mut ipv6 = vec![0; 40];
    ipv6[0] = 0x60;
    assert_eq!(count(&mut ipv6, Some(GRANT)).tx_drops_not_open, 1);
    for malformed in [&mut [0x45][..], &mut [0; 20], &mut []] {
        assert_eq!(count(malformed, Some(GRANT)).tx_drops_malformed, 1, "{malformed:x?}");
    }
}

#[test]
fn segments_to_the_peer_are_made_to_fit() {
    for (grant, sent, mss) in [
        (GRANT, 1460, 1452),
        (GRANT, 1000, 1000),
        (Grant { max_mss: 1400, ..GRANT }, 1460, 1400),
        (Grant { mtu: 1000, ..GRANT }, 1460, 960),
    ] {
        let mut packet = syn(sent);
        assert_eq!(admit(&mut packet, Some(grant)).0, Some(Family::Ipv4));
        assert_eq!(packet[42..44], u16::to_be_bytes(mss), "{grant:?}");
    }
}

/// A link of which the test says what is open.
#[derive(Default)]
struct Plane {
    open: bool,
    packets: Vec<Vec<u8>>,
}

impl ControlPlane for Plane {
    fn handle_packet(&mut self, packet: &[u8]) {
        self.packets.push(packet.to_vec());
    }

    fn supports(&self, family: Family) -> bool {
        family == Family::Ipv4
    }

    fn is_open(&self, family: Family) -> bool {
        self.open && family == Family::Ipv4
    }
}

/// A relay, and everything around it.
struct Bench {
    relay: Relay,
    plane: Plane,
    counters: SharedCounters,
    peer: DiscoverySocket,
    interface: InterfaceId,
    /// The host that is at our end of the link.
    host: UdpSocket,
}

impl Bench {
    /// Runs the test with offloads, and without.
    fn run(test: impl Fn(Self) + Send + Sync) {
        for offloads in [true, false] {
            Self::run_with(offloads, &test);
        }
    }

    fn run_with(offloads: bool, test: impl FnOnce(Self) + Send) {
        netns::run_in_new(|| test(Self::new(offloads)))
            .expect("this test needs root: it makes a network namespace");
    }

    fn new(offloads: bool) -> Self {
        let mut netlink = Netlink::open().unwrap();
        let lo = netlink.interface(&"lo".parse().unwrap()).unwrap().id;
        netlink.link_up(&lo).unwrap();
        let key =
            SessionKey { ether_type: EtherType::PppoeSession, session_id: SESSION_ID, own: OWN, peer: PEER };
        let socket = SessionSocket::open(&lo, &key, SessionSocket::DEFAULT_RECEIVE_BUFFER).unwrap();
        let buffer = DiscoverySocket::DEFAULT_RECEIVE_BUFFER;
        let peer = DiscoverySocket::open(&lo, EtherType::PppoeSession, buffer).unwrap();
        let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
        let ipv4 = Some(Ipv4Ends { local: OURS_V4, peer: PEER_V4 });
        netlink.configure_ptp(&id, &PtpConfig { mtu: 1492, ipv4 }).unwrap();
        let host = UdpSocket::bind((OURS_V4, PORT)).unwrap();
        host.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let counters = SharedCounters::create().unwrap();
        let offloads = if offloads { tun.offer().unwrap() } else { Offloads::default() };
        let worker_counters = WorkerCounters::map(&counters).unwrap();
        let relay = Relay::new(socket, tun, offloads, worker_counters, ADDRESSING, 1492, GATHER).unwrap();
        Self { relay, plane: Plane::default(), counters, peer, interface: id, host }
    }

    /// The peer sends these frames, and the relay takes them.
    fn receive(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            self.peer.send(frame).unwrap();
        }
        // The loopback interface delivers before it returns.
        while self.relay.receive(&mut self.plane, Instant::now()).unwrap().is_some() {}
    }

    fn receive_data(&mut self, packets: &[Vec<u8>]) {
        let frames: Vec<_> = packets.iter().map(|packet| data_frame(packet)).collect();
        self.receive(&frames);
    }

    fn host_hears(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let (len, from) = self.host.recv_from(&mut buffer).unwrap();
        assert_eq!(from, (PEER_V4, PORT).into());
        buffer[..len].to_vec()
    }

    /// The relay sends everything that the host has sent.
    fn transmit(&mut self) {
        while self.relay.transmit(Instant::now()).unwrap() == More::Perhaps {}
    }

    /// The next frame that the relay sent.
    fn peer_hears(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(received) = self.peer.recv(&mut buffer)
                && buffer[..6] == PEER.0
            {
                return buffer[..received.len].to_vec();
            }
        }
        panic!("no frame arrives");
    }
}

#[test]
fn packets_pass_both_ways() {
    Bench::run(|mut bench| {
        bench.relay.set_grant(GRANT);
        assert_eq!(bench.relay.take_data_activity(), Activity::default());
        // Ethernet pads it; the kernel must not see that.
        let mut padded = data_frame(&udp(PEER_V4, OURS_V4, b"up"));
        padded.resize(MIN_FRAME_LEN, 0xee);
        bench.receive(&[padded]);
        assert_eq!(bench.host_hears(), b"up");
        assert_eq!(bench.relay.take_data_activity(), Activity { received: true, sent: false });

        bench.host.send_to(b"down", (PEER_V4, PORT)).unwrap();
        bench.transmit();
        let frame = bench.peer_hears();
        assert_eq!(frame.len(), MIN_FRAME_LEN);
        assert_eq!(frame[50..54], *b"down");
        assert_eq!(bench.relay.take_data_activity(), Activity { received: false, sent: true });

        let counters = bench.counters.snapshot();
        assert_eq!((counters.rx_packets, counters.rx_bytes), (1, 30));
        assert_eq!((counters.tx_packets, counters.tx_bytes), (1, 32));
        assert!(counters.rx_last_activity_ms > 0 && counters.tx_last_activity_ms > 0);
    });
}

#[test]
fn packets_wait_for_the_grant() {
    Bench::run(|mut bench| {
        bench.plane.open = true;
        let stranger = udp(Ipv4Addr::new(10, 0, 0, 3), OURS_V4, b"forged");
        let mut packets = vec![udp(PEER_V4, OURS_V4, b"first"), stranger];
        packets.resize(MAX_HELD, udp(PEER_V4, OURS_V4, b"held"));
        packets.resize(MAX_HELD + 3, udp(PEER_V4, OURS_V4, b"too many"));
        bench.receive_data(&packets);
        assert_eq!(bench.counters.snapshot().rx_drops_not_open, 3);
        assert_eq!(bench.counters.snapshot().rx_packets, 0);

        // A grant of something else changes nothing for them.
        bench.relay.set_grant(Grant { ipv4: None, ..GRANT });
        assert_eq!(bench.counters.snapshot().rx_packets, 0);
        bench.relay.set_grant(GRANT);
        assert_eq!(bench.host_hears(), b"first");
        for _ in 2..MAX_HELD {
            assert_eq!(bench.host_hears(), b"held");
        }
        let counters = bench.counters.snapshot();
        assert_eq!(counters.rx_packets, u64::try_from(MAX_HELD - 1).unwrap());
        assert_eq!((counters.rx_drops_source_address, counters.rx_drops_not_open), (1, 3));
    });
}

#[test]
fn packets_that_waited_in_vain_are_counted() {
    Bench::run(|mut bench| {
        bench.receive_data(&[udp(PEER_V4, OURS_V4, b"too early")]);
        assert_eq!(bench.counters.snapshot().rx_drops_not_open, 1);
        bench.plane.open = true;
        bench.receive_data(&[udp(PEER_V4, OURS_V4, b"held"), udp(PEER_V4, OURS_V4, b"held")]);
        bench.relay.revoke(Family::Ipv6);
        assert_eq!(bench.counters.snapshot().rx_drops_not_open, 1);
        bench.relay.revoke(Family::Ipv4);
        assert_eq!(bench.counters.snapshot().rx_drops_not_open, 3);
        bench.relay.set_grant(GRANT);
        assert_eq!(bench.counters.snapshot().rx_packets, 0);

        // And after the end of the grant.
        bench.plane.open = false;
        bench.relay.revoke(Family::Ipv4);
        assert!(!bench.relay.is_open());
        bench.receive_data(&[udp(PEER_V4, OURS_V4, b"too late")]);
        assert_eq!(bench.counters.snapshot().rx_drops_not_open, 4);
    });
}

#[test]
fn what_the_kernel_must_not_get_is_counted() {
    Bench::run(|mut bench| {
        bench.relay.set_grant(GRANT);
        let stranger = Ipv4Addr::new(10, 0, 0, 3);
        bench.receive(&[
            data_frame(&udp(stranger, OURS_V4, b"forged")),
            data_frame(&udp(OURS_V4, OURS_V4, b"forged")),
            data_frame(&[0x45; 19]),
            data_frame(&[]),
            frame(&[]),
            data_frame(&udp(PEER_V4, OURS_V4, &[7; 1466])),
            // Longer than any frame of the session.
            data_frame(&udp(PEER_V4, OURS_V4, &[7; 1600])),
            data_frame(&udp(PEER_V4, OURS_V4, b"the last")),
        ]);
        assert_eq!(bench.host_hears(), b"the last");
        let counters = bench.counters.snapshot();
        assert_eq!(counters.rx_packets, 1);
        assert_eq!(counters.rx_drops_source_address, 2);
        assert_eq!(counters.rx_drops_malformed, 3);
        assert_eq!(counters.rx_drops_oversize, 2);
        assert!(bench.plane.packets.is_empty());
    });
}

#[test]
fn everything_but_data_is_for_the_link() {
    Bench::run(|mut bench| {
        bench.relay.set_grant(GRANT);
        let lcp = [0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0];
        let ipv6 = [&[0, 0x57][..], &[0x60; 40]].concat();
        bench.receive(&[frame(&lcp), frame(&ipv6)]);
        assert_eq!(bench.plane.packets, [lcp.to_vec(), ipv6]);
        assert_eq!(bench.counters.snapshot().rx_control_packets, 2);

        bench.relay.send_control(&lcp);
        let sent = bench.peer_hears();
        assert_eq!(sent[..6], PEER.0);
        assert_eq!(sent[20..30], lcp);
        assert_eq!(sent[30..], [0; 30]);
        assert_eq!(bench.counters.snapshot().tx_control_packets, 1);
    });
}

#[test]
fn a_batch_takes_what_is_there() {
    Bench::run(|mut bench| {
        bench.relay.set_grant(GRANT);
        let packets: Vec<_> = (0..100_u8).map(|number| udp(PEER_V4, OURS_V4, &[number])).collect();
        assert!(!bench.relay.is_busy());
        bench.receive_data(&packets);
        for number in 0..100 {
            assert_eq!(bench.host_hears(), [number]);
        }
        for number in 0..100_u8 {
            bench.host.send_to(&[number], (PEER_V4, PORT)).unwrap();
        }
        bench.transmit();
        for number in 0..100 {
            assert_eq!(bench.peer_hears()[PACKET_OFFSET + 28], number);
        }
        let counters = bench.counters.snapshot();
        assert_eq!((counters.rx_packets, counters.rx_bytes), (100, 2900));
        assert_eq!((counters.tx_packets, counters.tx_bytes), (100, 2900));
    });
}

#[test]
fn memory_is_given_back_when_the_line_is_quiet() {
    Bench::run_with(true, |mut bench| {
        bench.relay.set_grant(GRANT);
        bench.receive_data(&[udp(PEER_V4, OURS_V4, b"few")]);
        bench.host.send_to(&[7; 1000], (PEER_V4, PORT)).unwrap();
        bench.transmit();
        assert!(!bench.relay.is_busy());
        bench.receive_data(&vec![udp(PEER_V4, OURS_V4, b"many"); 10]);
        assert!(bench.relay.is_busy());
        bench.relay.rest();
        assert!(!bench.relay.is_busy());
        bench.host.set_segment_size(500);
        bench.host.send_to(&[7; 5000], (PEER_V4, PORT)).unwrap();
        bench.transmit();
        assert!(bench.relay.is_busy());
        bench.relay.rest();
        assert!(!bench.relay.is_busy());
    });
}

/// `UDP_SEGMENT`: what is sent at once becomes datagrams of this many bytes.
trait Segmented {
    fn set_segment_size(&self, size: i32);
}

impl Segmented for UdpSocket {
    fn set_segment_size(&self, size: i32) {
        setsockopt(self, sockopt::UdpGsoSegment, &size).unwrap();
    }
}

/// The kernel's own segments, and how many packets it thinks that it sent.
#[test]
fn packets_of_the_kernel_are_cut() {
    for offloads in [true, false] {
        Bench::run_with(offloads, |mut bench| {
            bench.relay.set_grant(GRANT);
            bench.host.set_segment_size(1000);
            let payload: Vec<u8> = (0..30_500_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
            bench.host.send_to(&payload, (PEER_V4, PORT)).unwrap();
            bench.transmit();
            for (number, datagram) in payload.chunks(1000).enumerate() {
                let frame = bench.peer_hears();
                let packet = &frame[PACKET_OFFSET..];
                assert_eq!(packet[2..4], u16::try_from(28 + datagram.len()).unwrap().to_be_bytes());
                assert_eq!(sum(&packet[..20]), 0xffff, "datagram {number}");
                let pseudo = [&packet[12..20], &[0, 17], &packet[24..26]].concat();
                assert_eq!(sum(&[&pseudo, &packet[20..28 + datagram.len()]].concat()), 0xffff);
                assert_eq!(packet[28..28 + datagram.len()], *datagram);
            }
            let counters = bench.counters.snapshot();
            assert_eq!((counters.tx_packets, counters.tx_bytes), (31, 31 * 28 + 30_500));
            // What quotas compare with: the kernel counts the headers of what it hands over at once only once.
            let seen = Netlink::open().unwrap().traffic(&bench.interface).unwrap().tx_bytes;
            assert_eq!(seen, if offloads { 28 + 30_500 } else { 31 * 28 + 30_500 });
        });
    }
}

#[test]
fn a_stream_is_waited_for_and_single_packets_are_not() {
    for offloads in [true, false] {
        Bench::run_with(offloads, |mut bench| {
            bench.relay.set_grant(GRANT);
            let packets: Vec<_> = (0..40).map(|number| udp(PEER_V4, OURS_V4, &[number; 500])).collect();
            bench.receive_data(&packets[..1]);
            assert_eq!(bench.relay.take_pause(), None);
            bench.receive_data(&packets);
            // Without offloads each is fetched by itself.
            assert_eq!(bench.relay.take_pause(), offloads.then_some(GATHER));
            bench.receive_data(&packets);
            bench.host.send_to(&[0; 8000], (PEER_V4, PORT)).unwrap();
            bench.transmit();
            assert_eq!(bench.relay.take_pause(), None, "the other way would be held up");
        });
    }
}

#[test]
fn packets_of_the_peer_are_coalesced() {
    for offloads in [true, false] {
        Bench::run_with(offloads, |mut bench| {
            bench.relay.set_grant(GRANT);
            // With an odd one, and one with a wrong checksum that must not be made right.
            let packets: Vec<_> = (0..40_u8)
                .map(|number| {
                    let mut packet = udp(PEER_V4, OURS_V4, &[number; 500]);
                    packet[4..6].copy_from_slice(&u16::from(number).to_be_bytes());
                    let packet = with_checksums(packet);
                    if number == 20 { corrupted(packet) } else { packet }
                })
                .collect();
            bench.receive_data(&packets);
            for number in (0..40).filter(|number| *number != 20) {
                assert_eq!(bench.host_hears(), [number; 500]);
            }
            let counters = bench.counters.snapshot();
            assert_eq!((counters.rx_packets, counters.rx_bytes), (40, 40 * 528));
            let seen = Netlink::open().unwrap().traffic(&bench.interface).unwrap().rx_bytes;
            assert_eq!(seen, if offloads { 3 * 28 + 40 * 500 } else { 40 * 528 });
        });
    }
}

/// The one's complement sum.
fn sum(bytes: &[u8]) -> u16 {
    ppp_wire::offload::Sum::default().bytes(bytes).fold()
}

fn with_checksums(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].fill(0);
    let checksum = !sum(&packet[..20]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet[26..28].fill(0);
    let pseudo = [&packet[12..20], &[0, 17], &packet[24..26]].concat();
    let checksum = !sum(&[&pseudo, &packet[20..]].concat());
    packet[26..28].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn corrupted(mut packet: Vec<u8>) -> Vec<u8> {
    packet[100] ^= 1;
    packet
}

/// Limits of 800 kbit/s with a burst of 3000 bytes: 1000 bytes take 10 ms.
#[test]
fn what_is_over_the_limit_waits() {
    Bench::run(|mut bench| {
        bench.relay.set_grant(GRANT);
        let limit = Some(RateLimit { kbit_per_second: 800, burst: 3000 });
        let start = Instant::now();
        bench.relay.set_rates(Rates { down: limit, up: limit }, start).unwrap();
        assert_eq!(bench.relay.poll_timeout(), None);
        let packets: Vec<_> = (0..6).map(|number| udp(PEER_V4, OURS_V4, &[number; 972])).collect();
        for packet in packets {
            bench.peer.send(&data_frame(&packet)).unwrap();
        }
        while bench.relay.receive(&mut bench.plane, start).unwrap().is_some() {}
        for number in 0..6 {
            bench.host.send_to(&[number; 972], (PEER_V4, PORT)).unwrap();
        }
        while bench.relay.transmit(start).unwrap() == More::Perhaps {}
        let counters = bench.counters.snapshot();
        assert_eq!((counters.rx_packets, counters.tx_packets), (3, 3));
        assert_eq!(bench.relay.poll_timeout(), Some(start + Duration::from_millis(10)));

        bench.relay.handle_timeout(start + Duration::from_millis(20));
        let counters = bench.counters.snapshot();
        assert_eq!((counters.rx_packets, counters.tx_packets), (5, 5));
        bench.relay.rest();
        assert!(bench.relay.is_busy(), "something waits");
        bench.relay.revoke(Family::Ipv4);
        bench.relay.handle_timeout(start + Duration::from_secs(1));
        let counters = bench.counters.snapshot();
        assert_eq!((counters.rx_drops_not_open, counters.tx_drops_not_open), (1, 1));
        bench.relay.rest();
        assert!(!bench.relay.is_busy());
        for number in 0..5 {
            assert_eq!(bench.host_hears(), [number; 972]);
            assert_eq!(bench.peer_hears()[PACKET_OFFSET + 28..][..972], [number; 972]);
        }
    });
}
