//! What a trace sees, against the kernel.

use std::io::ErrorKind;

use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;

use super::tests::{PEER, STRANGER, Wire, tagged, with_wire};
use super::{DiscoverySocket, Watch, WatchSocket};

const ALL: Watch = Watch {
    discovery: EtherType::PppoeDiscovery,
    session: EtherType::PppoeSession,
    peer: None,
    session_id: None,
    data: true,
};

fn open(wire: &Wire, watch: Watch) -> WatchSocket {
    WatchSocket::open(wire.id(), &watch, WatchSocket::DEFAULT_RECEIVE_BUFFER).unwrap()
}

/// The last byte of each frame that waits, and whether a peer sent it.
fn seen(socket: &WatchSocket) -> Vec<(u8, bool)> {
    let mut buffer = [0; 64];
    let mut all = Vec::new();
    loop {
        match socket.recv(&mut buffer) {
            Ok(Some(seen)) => all.push((buffer[seen.len - 1], seen.is_from_peer)),
            Ok(None) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return all;
            }
        }
    }
}

#[test]
fn each_part_of_the_filter_counts() {
    with_wire(|wire| {
        let frame = |destination: MacAddr, source: MacAddr, kind: u16, session: u16, ppp: &[u8], mark: u8| {
            let kind = kind.to_be_bytes();
            let head = [&destination.0[..], &source.0, &kind, &[0x11, 0], &session.to_be_bytes(), &[0, 9]];
            [&head.concat(), ppp, &[mark]].concat()
        };
        let own = wire.own();
        let (lcp, ip): (&[u8], &[u8]) = (&[0xc0, 0x21, 9, 9], &[0x00, 0x21, 0x45, 0]);
        let from_peer = [
            frame(MacAddr::BROADCAST, PEER, 0x8863, 0, &[0; 8], 1),
            frame(own, PEER, 0x8864, 7, lcp, 2),
            frame(own, PEER, 0x8864, 7, ip, 3),
            frame(own, PEER, 0x8864, 8, lcp, 4),
            // No Protocol field in it.
            frame(own, PEER, 0x8864, 7, &[], 5),
            frame(MacAddr::BROADCAST, STRANGER, 0x8863, 0, &[0; 8], 6),
            frame(own, STRANGER, 0x8864, 7, lcp, 7),
            // Neither PPPoE nor ours to see.
            frame(own, PEER, 0x0800, 7, lcp, 8),
            frame(STRANGER, PEER, 0x8864, 7, lcp, 9),
            tagged(&frame(own, PEER, 0x8864, 7, lcp, 10)),
        ];
        let ours = [frame(PEER, own, 0x8864, 7, lcp, 11), frame(STRANGER, own, 0x8863, 0, &[0; 8], 12)];
        let (peer, session_id) = (Some(PEER), Some(7));
        for (watch, expected) in [
            (ALL, &[1, 2, 3, 4, 5, 6, 7, 11, 12][..]),
            (Watch { data: false, ..ALL }, &[1, 2, 4, 5, 6, 7, 11, 12]),
            (Watch { peer, ..ALL }, &[1, 2, 3, 4, 5, 11]),
            (Watch { peer, session_id, ..ALL }, &[1, 2, 3, 5, 11]),
            (Watch { peer, session_id, data: false, ..ALL }, &[1, 2, 5, 11]),
            (Watch { discovery: EtherType::from(0x3c12), ..ALL }, &[2, 3, 4, 5, 7, 11]),
            (Watch { session: EtherType::from(0x3c13), ..ALL }, &[1, 6, 12]),
        ] {
            let socket = open(wire, watch);
            from_peer.iter().for_each(|frame| wire.inject(frame));
            let sender = DiscoverySocket::open(wire.id(), EtherType::PppoeDiscovery, 1 << 16).unwrap();
            ours.iter().for_each(|frame| sender.send(frame).unwrap());
            let expected: Vec<_> = expected.iter().map(|&mark| (mark, mark < 11)).collect();
            assert_eq!(seen(&socket), expected, "{watch:?}");
        }
    });
}

#[test]
fn what_is_longer_than_the_buffer_or_too_much_is_counted() {
    with_wire(|wire| {
        let socket = WatchSocket::open(wire.id(), &ALL, 4096).unwrap();
        let frame = wire.frame(wire.own(), PEER, EtherType::PppoeSession, [0x11, 0], 7, 0xc0);
        wire.inject(&frame);
        let seen = socket.recv(&mut [0; 20]).unwrap().unwrap();
        assert_eq!((seen.len, seen.wire_len), (20, frame.len()));
        (0..100).for_each(|_| wire.inject(&frame));
        assert!(socket.take_statistics().unwrap().dropped > 0);
    });
}
