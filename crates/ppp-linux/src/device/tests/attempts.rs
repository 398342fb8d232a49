//! What a worker that its peer has taken over can try with its TUN and its packet socket.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::libc;

use super::*;

/// A virtio header (linux/virtio_net.h) that asks for a checksum.
fn asks(start: u16, offset: u16) -> [u8; 10] {
    let [a, b] = start.to_ne_bytes();
    let [c, d] = offset.to_ne_bytes();
    [1, 0, 0, 0, 0, 0, a, b, c, d]
}

/// How many IPv6 packets the namespace has taken in.
fn taken_in() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap();
    let line = counters.lines().find_map(|line| line.strip_prefix("Ip6InReceives")).unwrap();
    line.trim().parse().unwrap()
}

/// A packet of nothing but a header that says "nothing follows" (RFC 8200 §4.7).
fn ipv6(source: Ipv6Addr, destination: Ipv6Addr) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[0] = 0x60;
    packet[6..8].copy_from_slice(&[59, 255]);
    packet[8..24].copy_from_slice(&source.octets());
    packet[24..40].copy_from_slice(&destination.octets());
    packet
}

fn passes_ipv6(session: &Session<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    let before = taken_in();
    // That it was dropped is told here, too.
    let _ = session.tun.send(&ipv6(source, destination));
    taken_in() > before
}

/// A host at our end that hears everything.
fn host() -> UdpSocket {
    // Nothing but the program stops what is to be stopped.
    for path in ["all", "default", "ppp0"] {
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{path}/rp_filter"), "0").unwrap();
    }
    let host = UdpSocket::bind((OURS_V4, 9)).unwrap();
    host.set_nonblocking(true).unwrap();
    host
}

#[test]
fn the_kernel_takes_nobody_elses_ipv4_address_whatever_rp_filter_says() {
    with_open_session(|session| {
        let host = host();
        let arrives = |source| {
            let _ = session.tun.send(&udp(source, OURS_V4, b"x"));
            host.recv_from(&mut [0; 8]).ok().map(|(_, from)| from.ip())
        };
        assert_eq!(arrives(PEER_V4), Some(PEER_V4.into()));
        let strangers =
            [Ipv4Addr::new(10, 0, 0, 3), Ipv4Addr::new(192, 0, 2, 1), OURS_V4, Ipv4Addr::LOCALHOST];
        for (number, nobody) in strangers.into_iter().enumerate() {
            assert_eq!(arrives(nobody), None, "{nobody}");
            assert_eq!(session.drops().of("worker_ipv4_source"), u64::try_from(number).unwrap() + 1);
        }
        // `nosourcecheck`, for a user with a network behind.
        let any = Open { any_ipv4_source: true, ..OPEN };
        session.programs.set_open(session.device.index, &session.line, any).unwrap();
        let behind = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(arrives(behind), Some(behind.into()));
    });
}

#[test]
fn the_kernel_takes_ipv6_from_nobody_but_the_peer() {
    with_open_session(|session| {
        assert!(passes_ipv6(session, PEER_V6, OURS_V6));
        let neighbours = (0..128).step_by(7).map(|bit| Ipv6Addr::from_bits(PEER_V6.to_bits() ^ 1 << bit));
        let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        for source in neighbours.chain([elsewhere, OURS_V6, Ipv6Addr::LOCALHOST]) {
            assert!(!passes_ipv6(session, source, OURS_V6), "{source}");
        }
    });
}

#[test]
fn a_host_without_an_address_can_speak_on_its_link() {
    with_open_session(|session| {
        for (destination, expected) in [
            ("ff02::2", true),
            // A transient address of the link.
            ("ff12::1:ff00:1", true),
            ("ff05::2", false),
            ("fe80::1", false),
            ("2001:db8::1", false),
        ] {
            let destination = destination.parse().unwrap();
            assert_eq!(passes_ipv6(session, Ipv6Addr::UNSPECIFIED, destination), expected, "{destination}");
        }
    });
}

/// A checksum that the kernel fills in behind all checks would write two bytes of the writer's choice, of an address for instance.
#[test]
fn a_checksum_is_filled_in_where_tcp_and_udp_have_it_and_nowhere_else() {
    with_open_session(|session| {
        assert!(session.programs.checks_requests(), "this test needs a kernel with type information (BTF)");
        let host = host();
        let packet = udp(PEER_V4, OURS_V4, b"payload of some length");
        let write = |header: [u8; 10], packet: &[u8]| {
            let before = session.drops().of("worker_checksum_request");
            // Later kernels refuse the worst themselves.
            let is_refused = session.tun.write(&[IoSlice::new(&header), IoSlice::new(packet)]).is_err();
            let arrived = host.recv_from(&mut [0; 64]).ok();
            let is_dropped = session.drops().of("worker_checksum_request") == before + 1;
            (arrived.map(|(_, from)| from.ip()), is_refused || is_dropped)
        };
        // The sum of the pseudo header, as a writer that asks has to leave it there (RFC 768).
        let mut honest = packet.clone();
        let pseudo = [&packet[12..20], &[0, 17], &packet[24..26]].concat();
        honest[26..28].copy_from_slice(&(!checksum(&pseudo)).to_be_bytes());
        assert_eq!(write(asks(20, 6), &honest), (Some(PEER_V4.into()), false));
        for (start, offset) in
            [(0, 12), (0, 14), (20, 16), (20, 0), (20, 8), (12, 0), (16, 4), (19, 7), (28, 6)]
        {
            assert_eq!(write(asks(start, offset), &packet), (None, true), "{start} {offset}");
        }
        // A protocol without a checksum that is filled in so.
        let mut icmp = packet.clone();
        icmp[9] = 1;
        icmp[10..12].fill(0);
        let sum = checksum(&icmp[..20]).to_be_bytes();
        icmp[10..12].copy_from_slice(&sum);
        assert_eq!(write(asks(20, 6), &icmp), (None, true));
        // IPv6: at the source address, and by its end into it.
        let mut packet = ipv6(PEER_V6, OURS_V6).to_vec();
        packet[4..7].copy_from_slice(&[0, 8, 17]);
        packet.extend([0, 9, 0, 9, 0, 8, 0, 0]);
        for (start, offset) in [(0, 8), (8, 0), (20, 0), (20, 2), (38, 0)] {
            let before = taken_in();
            assert_eq!(write(asks(start, offset), &packet), (None, true), "IPv6: {start} {offset}");
            assert_eq!(taken_in(), before);
        }
    });
}

#[test]
fn a_packet_is_cut_into_as_many_as_a_worker_has_coalesced_and_no_more() {
    with_open_session(|session| {
        session.tun.offer().unwrap();
        // TCP over IPv4 in segments of `size`, with the checksum asked for.
        let write = |size: u16, payload: usize| {
            let total = 40 + payload;
            let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
            packet[2..4].copy_from_slice(&u16::try_from(total).unwrap().to_be_bytes());
            packet.extend(PEER_V4.octets());
            packet.extend(OURS_V4.octets());
            let sum = checksum(&packet).to_be_bytes();
            packet[10..12].copy_from_slice(&sum);
            packet.extend([0, 9, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
            packet.resize(total, 7);
            // VIRTIO_NET_HDR_GSO_TCPV4
            let mut header = asks(20, 16);
            header[1] = 1;
            header[2..4].copy_from_slice(&40_u16.to_ne_bytes());
            header[4..6].copy_from_slice(&size.to_ne_bytes());
            let before = session.drops().of("worker_segments");
            let _ = session.tun.write(&[IoSlice::new(&header), IoSlice::new(&packet)]);
            session.drops().of("worker_segments") - before
        };
        assert_eq!(write(1452, 1452 * 44), 0);
        assert_eq!(write(100, 100 * 64), 0);
        assert_eq!(write(1, 60_000), 1);
        assert_eq!(write(100, 60_000), 1);
        assert_eq!(write(1501, 1501 * 4), 1);
    });
}

#[test]
fn nothing_but_its_own_line_leaves_through_its_socket() {
    with_open_session(|session| {
        let bad: [(&str, &[u8], &str); 6] = [
            ("nothing", &[0x45], "session_malformed"),
            ("half a header of control", &[0xc0, 0x21, 1], "session_malformed"),
            ("Multilink", &[0x00, 0x3d, 1, 2, 3, 4], "worker_kind"),
            ("another network layer", &[0x00, 0x2b, 1, 2, 3, 4], "worker_kind"),
            ("IP by its PPP protocol", &[0x00, 0x21, 0x45, 2, 3, 4], "worker_kind"),
            ("a protocol of 0x7fff", &[0x7f, 0xff, 1, 2, 3, 4], "worker_kind"),
        ];
        for (what, bytes, cause) in bad {
            let before = session.drops().of(cause);
            let _ = session.socket.send(bytes);
            assert_eq!(session.wire.sent(), None, "{what}");
            assert_eq!(session.drops().of(cause), before + 1, "{what}");
        }
    });
}

/// With an address, its socket would send through every interface of the namespace. The list of system calls is one bar, and this is
/// the other.
#[test]
fn what_is_sent_past_the_device_is_dropped_and_counted() {
    with_open_session(|session| {
        let forged = || session.programs.forged(SESSION_ID).unwrap();
        for ether_type in [0x8864_u16, 0x8863, 0x0806, 0x0800] {
            let before = forged();
            let address = libc::sockaddr_ll {
                sll_family: u16::try_from(libc::AF_PACKET).unwrap(),
                sll_protocol: ether_type.to_be(),
                sll_ifindex: session.wire.id().index.as_i32(),
                sll_hatype: 0,
                sll_pkttype: 0,
                sll_halen: 6,
                sll_addr: [2, 0, 0, 0, 0, 0xaa, 0, 0],
            };
            let bytes = [0x11; 46];
            // SAFETY: the bytes and the address are valid for reads of the lengths given.
            let sent = unsafe {
                libc::sendto(
                    session.socket.as_fd().as_raw_fd(),
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    0,
                    (&raw const address).cast(),
                    u32::try_from(size_of_val(&address)).unwrap(),
                )
            };
            assert!(sent < 0, "{ether_type:x}");
            assert_eq!(session.wire.sent(), None, "{ether_type:x}");
            assert_eq!(forged(), before + 1, "{ether_type:x}");
        }
        assert_eq!(session.drops().of("worker_forged"), 4);
        assert_eq!(session.programs.forged(SESSION_ID + 1).unwrap(), 0);
    });
}

#[test]
fn a_worker_that_floods_is_bounded() {
    with_wire(|wire| {
        let control = Some(Rate { per_second: 1, burst: 5 });
        let session = Session::begin(wire, &Settings { control, ..SETTINGS });
        session.open();
        let sent = |bytes: &[u8]| {
            let _ = session.socket.send(bytes);
            wire.sent().is_some()
        };
        let passed = (0..50).filter(|_| sent(&[0xc0, 0x21, 9, 1])).count();
        assert!((5..=10).contains(&passed), "{passed}");
        assert!(session.drops().of("worker_flood") >= 40);
        assert!((0..50).all(|_| sent(&[0x45; 28])), "data is not control");
    });
    with_wire(|wire| {
        let frames = Some(Rate { per_second: 1, burst: 7 });
        let session = Session::begin(wire, &Settings { frames, ..SETTINGS });
        session.open();
        let passes = |_: &u8| {
            let _ = session.socket.send(&[0x45; 28]);
            wire.sent().is_some()
        };
        assert!((7..=12).contains(&(0..50).filter(passes).count()));
        // Other rates hold at once, also after a longer one was used up.
        session.programs.set_settings(&SETTINGS).unwrap();
        assert_eq!((0..50).filter(passes).count(), 50);
    });
}
