//! One packet of the kernel becomes many.

use ppp_wire::offload::{GsoType, PartialChecksum, Segments, VnetHeader};
use proptest::prelude::*;

use super::packets::*;

/// Room for what precedes a packet.
const HEADROOM: usize = 22;

fn gso(packet: &Packet, gso_size: u16) -> VnetHeader {
    VnetHeader {
        gso_type: match (packet.protocol, packet.v6) {
            (Protocol::Tcp, false) => GsoType::TcpV4,
            (Protocol::Tcp, true) => GsoType::TcpV6,
            (Protocol::Udp, _) => GsoType::UdpL4,
        },
        header_len: 0,
        gso_size,
        checksum: Some(PartialChecksum {
            start: u16::try_from(packet.transport_at()).unwrap(),
            offset: u16::try_from(packet.checksum_offset()).unwrap(),
        }),
    }
}

/// All packets; what precedes each is overwritten, as a sender does.
fn segments(packet: &[u8], header: &VnetHeader) -> Result<Vec<Vec<u8>>, ppp_wire::Error> {
    let mut buffer = [&[0xee; HEADROOM], packet].concat();
    let mut segments = Segments::new(&mut buffer, HEADROOM..HEADROOM + packet.len(), header)?;
    let mut cut = Vec::new();
    while let Some(range) = segments.next_packet(&mut buffer) {
        cut.push(buffer[range.clone()].to_vec());
        buffer[range.start - HEADROOM..range.start].fill(0xee);
    }
    Ok(cut)
}

#[test]
fn a_packet_by_bytes() {
    let mut packet = Packet::new(false, Protocol::Udp, b"abcdef");
    packet.identification = 0xffff;
    let cut = segments(&packet.emit_partial(), &gso(&packet, 4)).unwrap();
    let expected: [&[u8]; 2] = [
        &[
            0x45, 0, 0, 32, 0xff, 0xff, 0x40, 0, 64, 17, 0xb6, 0xc9, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
            0x9c, 0x40, 0, 80, 0, 12, 0x1a, 0x7b, b'a', b'b', b'c', b'd',
        ],
        &[
            0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0xb6, 0xcb, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
            0x9c, 0x40, 0, 80, 0, 10, 0x79, 0xdf, b'e', b'f',
        ],
    ];
    for packet in &expected {
        assert_eq!(sum(&packet[..20]), 0xffff, "the vector itself");
    }
    assert_eq!(cut, expected);
}

#[test]
fn a_missing_checksum_is_computed() {
    for v6 in [false, true] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let packet = Packet { flags: SYN, ..Packet::new(v6, protocol, b"odd") };
            let header = VnetHeader { gso_type: GsoType::None, ..gso(&packet, 0) };
            assert_eq!(segments(&packet.emit_partial(), &header), Ok(vec![packet.emit()]));
            let complete = VnetHeader { checksum: None, ..header };
            assert_eq!(segments(&packet.emit(), &complete), Ok(vec![packet.emit()]));
        }
    }
}

#[test]
fn what_cannot_be_cut() {
    let tcp = Packet::new(false, Protocol::Tcp, &[7; 100]);
    let bytes = tcp.emit_partial();
    let header = gso(&tcp, 10);
    assert_eq!(segments(&bytes, &header).unwrap().len(), 10);
    let refused = |bytes: &[u8], header: &VnetHeader, why: &str| {
        assert!(segments(bytes, header).is_err(), "{why}");
    };
    refused(&bytes, &VnetHeader { gso_size: 0, ..header }, "into nothing");
    refused(&bytes, &VnetHeader { gso_type: GsoType::TcpV6, ..header }, "as another version");
    refused(&bytes, &VnetHeader { gso_type: GsoType::UdpL4, ..header }, "as another protocol");
    refused(&bytes, &VnetHeader { gso_type: GsoType::Unknown(3), ..header }, "in an unknown way");
    refused(&bytes[..bytes.len() - 1], &header, "without its end");
    refused(&Packet { flags: SYN, ..tcp.clone() }.emit(), &header, "a SYN");
    refused(&Packet { flags_and_offset: 0x2000, ..tcp.clone() }.emit(), &header, "a fragment");
    let mut short = bytes.clone();
    short[32] = 0x40;
    refused(&short, &header, "a TCP header of 16 bytes");
    let none = VnetHeader { gso_type: GsoType::None, ..header };
    for checksum in [
        PartialChecksum { start: 20, offset: 200 },
        PartialChecksum { start: u16::MAX, offset: u16::MAX },
        PartialChecksum { start: 0, offset: u16::try_from(bytes.len() - 1).unwrap() },
    ] {
        refused(&bytes, &VnetHeader { checksum: Some(checksum), ..none }, "a checksum outside");
    }
    // Options and extension headers are repeated.
    let optional = Packet { ip_options: vec![1, 1, 1, 0], ..tcp };
    assert_eq!(segments(&optional.emit_partial(), &header), Ok(optional.cut(10)));
}

fn packets() -> impl Strategy<Value = Packet> {
    let fields = (any::<bool>(), any::<bool>(), any::<u16>(), any::<u32>(), any::<u8>(), any::<u8>());
    let payload = (0_usize..4000, any::<u8>());
    (fields, payload, prop::collection::vec(any::<u8>(), 0..10)).prop_map(
        |((v6, tcp, identification, sequence, flags, tos), (len, seed), options)| {
            let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
            let payload: Vec<u8> =
                (0..len).map(|at| seed.wrapping_mul(u8::try_from(at % 251).unwrap()) ^ 0x5a).collect();
            Packet {
                identification,
                sequence,
                flags: flags & !SYN,
                tos,
                tcp_options: options.repeat(4),
                ..Packet::new(v6, protocol, &payload)
            }
        },
    )
}

proptest! {
    #[test]
    fn the_packets_are_those_made_one_by_one(packet in packets(), gso_size in 1_u16..2000) {
        let cut = segments(&packet.emit_partial(), &gso(&packet, gso_size)).unwrap();
        prop_assert_eq!(cut, packet.cut(gso_size.into()));
    }

    #[test]
    fn any_bytes_are_cut_or_refused(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        header: [u8; 10],
        first in prop::sample::select(vec![0x45_u8, 0x60, 0x4f]),
        protocol in prop::sample::select(vec![6_u8, 17, 0]),
    ) {
        for (at, byte) in [(0, first), (6, protocol), (9, protocol)] {
            if let Some(to) = bytes.get_mut(at) {
                *to = byte;
            }
        }
        if let Ok(cut) = segments(&bytes, &VnetHeader::parse(&header)) {
            prop_assert!(cut.iter().all(|packet| packet.len() <= bytes.len()));
            prop_assert!(cut.len() <= bytes.len().max(1));
        }
    }
}
