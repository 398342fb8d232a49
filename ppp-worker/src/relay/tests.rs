//! Frames by themselves, and against the kernel: the access interface is the loopback one of a namespace of the test's
//! own, so that what either end sends arrives at the other.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use ppp_linux::counters::{SharedCounters, Snapshot};
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig};
use ppp_linux::netns;
use ppp_linux::packet::{DiscoverySocket, SessionKey};
use ppp_wire::ethernet::EtherType;

use super::*;

/// The loopback interface's address.
const OWN: MacAddr = MacAddr([0; 6]);
const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
const SESSION_ID: u16 = 0x1234;
const ADDRESSING: Addressing =
    Addressing { own_mac: OWN, peer_mac: PEER, ether_type: EtherType::PppoeSession, session_id: SESSION_ID };

const OURS_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GRANT: Grant = Grant { ipv4: Some(PEER_V4), any_source: false, ipv6: None, mtu: 1492, max_mss: 0 };
const PORT: u16 = 2000;

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
        let (found, whole, information) = locate(&bytes).unwrap();
        assert_eq!(found, protocol);
        assert_eq!((&bytes[whole], &bytes[information]), (ppp, &packet[..]), "{ppp:x?}");
    }
}

#[test]
fn what_is_no_frame_of_a_session() {
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

/// [`downstream`] with a packet in a buffer that is full of something else.
fn send_down(packet: &[u8], grant: Option<Grant>) -> (Option<Vec<u8>>, Snapshot) {
    let shared = SharedCounters::create().unwrap();
    let counters = WorkerCounters::map(&shared).unwrap();
    let mut buffer = vec![0xee; PACKET_OFFSET + MAX_INFORMATION];
    buffer[PACKET_OFFSET..PACKET_OFFSET + packet.len()].copy_from_slice(packet);
    let len = downstream(&mut buffer, packet.len(), grant, &ADDRESSING, &counters);
    (len.map(|len| buffer[..len].to_vec()), shared.snapshot())
}

#[test]
fn a_packet_gets_its_headers_and_nothing_of_another_packet() {
    let packet = udp(OURS_V4, PEER_V4, b"x");
    let (frame, counters) = send_down(&packet, Some(GRANT));
    let frame = frame.unwrap();
    assert_eq!(frame[..12], [2, 0, 0, 0, 0, 0xaa, 0, 0, 0, 0, 0, 0]);
    assert_eq!(frame[12..22], [0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 31, 0, 0x21]);
    assert_eq!(frame[22..51], packet);
    assert_eq!(frame[51..], [0; 9], "the padding");
    assert_eq!((counters.tx_packets, counters.tx_bytes), (1, 29));

    let packet = udp(OURS_V4, PEER_V4, &[7; 1464]);
    let (frame, _) = send_down(&packet, Some(GRANT));
    assert_eq!(frame.unwrap().len(), 1514);
}

#[test]
fn what_is_not_sent_down_is_counted() {
    let packet = udp(OURS_V4, PEER_V4, b"x");
    let count = |packet: &[u8], grant| {
        let (frame, counters) = send_down(packet, grant);
        assert_eq!(frame, None);
        assert_eq!((counters.tx_packets, counters.tx_bytes), (0, 0));
        counters
    };
    assert_eq!(count(&packet, None).tx_drops_not_open, 1);
    assert_eq!(count(&packet, Some(Grant { ipv4: None, ..GRANT })).tx_drops_not_open, 1);
    assert_eq!(count(&packet, Some(Grant { mtu: 28, ..GRANT })).tx_drops_oversize, 1);
    let mut ipv6 = vec![0; 40];
    ipv6[0] = 0x60;
    assert_eq!(count(&ipv6, Some(GRANT)).tx_drops_not_open, 1);
    for malformed in [&[0x45][..], &[0; 20], &[]] {
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
        let (frame, _) = send_down(&syn(sent), Some(grant));
        assert_eq!(frame.unwrap()[64..66], u16::to_be_bytes(mss), "{grant:?}");
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
    /// The host that is at our end of the link.
    host: UdpSocket,
}

impl Bench {
    fn run(test: impl FnOnce(Self) + Send) {
        netns::run_in_new(|| test(Self::new())).expect("this test needs root: it makes a network namespace");
    }

    fn new() -> Self {
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
        let relay = Relay::new(socket, tun, WorkerCounters::map(&counters).unwrap(), ADDRESSING, 1492);
        Self { relay, plane: Plane::default(), counters, peer, host }
    }

    /// The peer sends these frames, and the relay takes them.
    fn receive(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            self.peer.send(frame).unwrap();
        }
        let mut left = frames.len();
        let deadline = Instant::now() + Duration::from_secs(10);
        while left > 0 {
            assert!(Instant::now() < deadline, "{left} frames do not arrive");
            left -= self.relay.receive(&mut self.plane).unwrap();
        }
        assert_eq!(self.relay.receive(&mut self.plane).unwrap(), 0);
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
        let deadline = Instant::now() + Duration::from_secs(10);
        while bench.relay.transmit().unwrap() == 0 {
            assert!(Instant::now() < deadline, "the packet does not arrive");
        }
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
        assert!(bench.relay.is_busy(), "there was more than a quiet line has room for");
        for number in 0..100 {
            assert_eq!(bench.host_hears(), [number]);
        }
        for number in 0..100_u8 {
            bench.host.send_to(&[number], (PEER_V4, PORT)).unwrap();
        }
        bench.relay.rest();
        assert!(!bench.relay.is_busy());
        let mut sent = 0;
        while sent < 100 {
            sent += bench.relay.transmit().unwrap();
        }
        assert!(bench.relay.is_busy(), "this way too");
        for number in 0..100 {
            assert_eq!(bench.peer_hears()[PACKET_OFFSET + 28], number);
        }
    });
}
