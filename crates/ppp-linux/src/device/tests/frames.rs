//! Frames of the peer to the worker, and of the worker to the peer.

use aya::programs::{TestRun, TestRunOptions};
use ppp_wire::ethernet::MIN_FRAME_LEN;

use super::*;
use crate::netns;
use crate::packet::tests::{STRANGER, tagged};
use crate::packet::{PADT, StraySocket};

const LCP_ECHO: [u8; 10] = [0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];

/// A session frame with this PPP packet.
fn frame(destination: MacAddr, source: MacAddr, session_id: u16, ppp: &[u8]) -> Vec<u8> {
    let mut frame = [destination.0, source.0].concat();
    frame.extend([0x88, 0x64, 0x11, 0]);
    frame.extend(session_id.to_be_bytes());
    frame.extend(u16::try_from(ppp.len()).unwrap().to_be_bytes());
    frame.extend(ppp);
    frame
}

#[test]
fn a_frame_of_the_peer_comes_to_its_worker_and_nowhere_else() {
    with_session(|session| {
        let wire = session.wire;
        let strays = StraySocket::open(wire.id(), EtherType::PppoeSession).unwrap();
        let stray = || strays.recv(&mut [0; 64]).is_ok();
        let good = frame(wire.own(), PEER, SESSION_ID, &LCP_ECHO);
        wire.inject(&good);
        let heard = session.heard().unwrap();
        assert_eq!(heard[..16], good[14..30], "the PPPoE header first");
        assert!(!stray());

        let somebody_else = [
            ("another host", frame(wire.own(), STRANGER, SESSION_ID, &LCP_ECHO), true),
            ("another session", frame(wire.own(), PEER, SESSION_ID + 1, &LCP_ECHO), true),
            ("not to us", frame(STRANGER, PEER, SESSION_ID, &LCP_ECHO), false),
            ("to all", frame(MacAddr::BROADCAST, PEER, SESSION_ID, &LCP_ECHO), false),
            ("of a VLAN", tagged(&good), false),
        ];
        for (what, other, is_stray) in somebody_else {
            wire.inject(&other);
            assert_eq!(session.heard(), None, "{what}");
            assert_eq!(stray(), is_stray, "{what}");
        }
        for (what, byte, value) in [("a version", 14, 0x21), ("a code", 15, 0xa7)] {
            let mut bad = good.clone();
            bad[byte] = value;
            wire.inject(&bad);
            assert!(session.heard().is_none() && !stray(), "{what}");
        }
        assert_eq!(session.drops().of("session_malformed"), 2);
    });
}

#[test]
fn a_promiscuous_interface_brings_nobody_elses_frames() {
    with_session(|session| {
        let wire = session.wire;
        let run =
            |arguments: &[&str]| std::process::Command::new("ip").args(arguments).status().unwrap().success();
        assert!(run(&["link", "set", wire.id().name.as_str(), "promisc", "on"]));
        wire.inject(&frame(STRANGER, PEER, SESSION_ID, &LCP_ECHO));
        assert_eq!(session.heard(), None);
    });
}

#[test]
fn long_frames_pass_both_ways() {
    for (mtu, information) in [(1492, 1492_usize), (1500, 1500)] {
        with_wire(|wire| {
            let mut netlink = Netlink::open().unwrap();
            netlink.set_mtu(wire.id(), 1508).unwrap();
            let session = Session::begin(wire, &SETTINGS);
            session.open();
            netlink.set_mtu(&session.device, mtu).unwrap();
            let packet = udp(PEER_V4, OURS_V4, &vec![7; information - 28]);
            session.wire.inject(&frame(wire.own(), PEER, SESSION_ID, &[&[0, 0x21], &packet[..]].concat()));
            assert_eq!(session.heard().unwrap().len(), 6 + 2 + information);

            session.socket.send(&packet).unwrap();
            assert_eq!(wire.sent().unwrap().len(), 22 + information);
            assert!(session.socket.send(&vec![0x45; information + 1]).is_err(), "more than the MTU");
            // An answer to an Echo-Request of the longest kind.
            let echo = [&[0xc0, 0x21, 10, 1][..], &vec![8; information - 4]].concat();
            session.socket.send(&echo).unwrap();
            let sent = wire.sent().unwrap();
            assert_eq!(sent.len(), 22 + information);
            assert_eq!(sent[24..26], u16::try_from(information).unwrap().to_be_bytes());
        });
    }
}

#[test]
fn what_a_worker_sends_gets_its_headers_from_the_kernel() {
    with_open_session(|session| {
        let (wire, own) = (session.wire, session.wire.own());
        let expect = |what: &str, sent: &[u8], ppp: &[u8]| {
            session.socket.send(sent).unwrap();
            let mut expected = frame(PEER, own, SESSION_ID, ppp);
            expected.resize(expected.len().max(MIN_FRAME_LEN), 0);
            assert_eq!(wire.sent().as_deref(), Some(&expected[..]), "{what}");
        };
        expect("control", &[&LCP_ECHO[..4], &LCP_ECHO[6..]].concat(), &LCP_ECHO);
        expect("short control", &[0x80, 0x21, 5, 7], &[0x80, 0x21, 5, 7, 0, 4]);
        let long = [&[0xc2, 0x23, 1, 2, 0x01, 0x04][..], &[9; 256]].concat();
        expect("long control", &[&long[..4], &long[6..]].concat(), &long);
        let packet = udp(OURS_V4, PEER_V4, b"x");
        expect("IPv4", &packet, &[&[0, 0x21], &packet[..]].concat());
        let packet = [&[0x60][..], &[1; 60]].concat();
        expect("IPv6", &packet, &[&[0, 0x57], &packet[..]].concat());
        let packet = [&[0x45][..], &[1; 1491]].concat();
        expect("the longest", &packet, &[&[0, 0x21], &packet[..]].concat());

        session.socket.send(&PADT).unwrap();
        let mut padt = [PEER.0, own.0].concat();
        padt.extend([0x88, 0x63, 0x11, 0xa7, 0x12, 0x34, 0, 0]);
        padt.resize(MIN_FRAME_LEN, 0);
        assert_eq!(wire.sent(), Some(padt));
        assert!(session.drops().iter().all(|(_, count)| count == 0), "{:?}", session.drops());
    });
}

#[test]
fn ip_passes_neither_way_before_the_session_is_open() {
    with_session(|session| {
        let mut netlink = Netlink::open().unwrap();
        let ends = Ipv4Ends { local: OURS_V4, peer: PEER_V4 };
        netlink.configure_ptp(&session.device, &PtpConfig { mtu: 1492, ipv4: Some(ends) }).unwrap();
        let host = std::net::UdpSocket::bind((OURS_V4, 9)).unwrap();
        host.set_nonblocking(true).unwrap();
        let count = || session.drops().of("data_before_open");
        let _ = host.send_to(b"x", (PEER_V4, 9));
        assert!(session.tun.recv(&mut [0; 64]).is_err());
        assert_eq!(count(), 1);
        let _ = session.tun.send(&udp(PEER_V4, OURS_V4, b"x"));
        assert!(host.recv(&mut [0; 8]).is_err());
        assert_eq!(count(), 2);
        let _ = session.socket.send(&udp(OURS_V4, PEER_V4, b"x"));
        assert_eq!((session.wire.sent(), count()), (None, 3));

        session.programs.set_open(session.device.index, &session.line, OPEN).unwrap();
        host.send_to(b"x", (PEER_V4, 9)).unwrap();
        assert!(session.tun.recv(&mut [0; 64]).is_ok());
        session.tun.send(&udp(PEER_V4, OURS_V4, b"x")).unwrap();
        assert!(host.recv(&mut [0; 8]).is_ok());
        // And again not, when a network protocol has closed.
        let closed = Open { ipv4: None, ..OPEN };
        session.programs.set_open(session.device.index, &session.line, closed).unwrap();
        let _ = session.tun.send(&udp(PEER_V4, OURS_V4, b"x"));
        assert!(host.recv(&mut [0; 8]).is_err());
    });
}

#[test]
fn frames_pass_no_shaper_of_the_device_and_count_in_none_of_its_counters() {
    with_open_session(|session| {
        let name = session.device.name.as_str();
        let tc =
            ["qdisc", "add", "dev", name, "root", "tbf", "rate", "8kbit", "burst", "1600", "latency", "1ms"];
        assert!(std::process::Command::new("tc").args(tc).status().unwrap().success());
        let mut netlink = Netlink::open().unwrap();
        let before = netlink.traffic(&session.device).unwrap();
        let packet = udp(PEER_V4, OURS_V4, &[7; 1000]);
        let data = [&[0, 0x21], &packet[..]].concat();
        for _ in 0..100 {
            session.wire.inject(&frame(session.wire.own(), PEER, SESSION_ID, &data));
            assert!(session.heard().is_some());
            session.socket.send(&packet).unwrap();
            assert!(session.wire.sent().is_some());
        }
        assert_eq!(netlink.traffic(&session.device).unwrap(), before);
    });
}

/// The program by itself (`BPF_PROG_TEST_RUN`): each bit of a frame's headers, the other way round.
#[test]
fn each_bit_of_the_headers_of_a_frame_counts() {
    /// What the program answers (linux/pkt_cls.h).
    const GO_ON: i32 = -1;
    const DROP: i32 = 2;
    const REDIRECT: i32 = 7;

    netns::for_test(|| {
        let (mut object, _) = load_object(None).unwrap();
        let maps = Maps::take(&mut object).unwrap();
        let run_dir = tempfile::tempdir().unwrap();
        maps.set_settings(&RawSettings::new(&Owner::new(run_dir.path()), &SETTINGS)).unwrap();
        load_program(&mut object, ACCESS_IN).unwrap();
        // The kernel says that the frames are of the loopback interface, which has the address 0.
        let (access, device) = (IfIndex::new(1).unwrap(), IfIndex::new(7).unwrap());
        let own = MacAddr([0; 6]);
        maps.admit(device, &Line { access, session_id: SESSION_ID, own, peer: PEER }, Open::default())
            .unwrap();
        let verdict = |frame: &[u8]| {
            let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() };
            program(&object, ACCESS_IN).unwrap().test_run(options).unwrap().return_value.cast_signed()
        };
        let good = frame(own, PEER, SESSION_ID, &LCP_ECHO);
        assert_eq!(verdict(&good), REDIRECT);
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                // Addresses, EtherType, session id: somebody else's.
                0..14 | 16..18 => GO_ON,
                // Version, type and code.
                14..16 => DROP,
                // The worker looks at the rest.
                _ => REDIRECT,
            };
            assert_eq!(verdict(&bad), expected, "bit {bit}");
        }
        for length in 14..good.len() {
            let expected = if length < 20 { GO_ON } else { REDIRECT };
            assert_eq!(verdict(&good[..length]), expected, "cut to {length} bytes");
        }
    });
}
