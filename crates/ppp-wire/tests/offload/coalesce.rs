//! Many packets become one for the kernel, which makes the same ones of it again.

use std::collections::BTreeMap;
use std::ops::Range;

use ppp_wire::offload::{Coalescer, GsoType, MAX_PACKETS, Mergeable, Segments, VnetHeader};
use proptest::prelude::*;

use super::packets::*;

const BOTH: Mergeable = Mergeable { tcp: true, udp: true };

/// Writes of a batch, each with its header.
fn coalesce(packets: &[Vec<u8>], mergeable: Mergeable) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut coalescer = Coalescer::new(mergeable, MAX_PACKETS);
    let mut storage = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for packet in packets {
        // As if there were frame headers between.
        storage.extend([0xee; 3]);
        ranges.push(storage.len()..storage.len() + packet.len());
        storage.extend(packet);
    }
    for range in ranges {
        assert!(coalescer.push(&storage, range));
    }
    let mut writes = Vec::new();
    let mut counted = (0, 0);
    coalescer.drain(&mut storage, |storage, write| {
        let bytes: Vec<u8> = write.parts.iter().flat_map(|part| &storage[part.clone()]).copied().collect();
        assert_eq!(write.packets, write.parts.len());
        counted = (counted.0 + write.packets, counted.1 + write.bytes);
        writes.push((write.header, bytes));
    });
    assert!(coalescer.is_empty());
    assert_eq!(counted, (packets.len(), packets.iter().map(Vec::len).sum()));
    writes
}

/// What the kernel makes of the writes.
fn cut(writes: &[(VnetHeader, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for (header, bytes) in writes {
        let mut buffer = bytes.clone();
        let mut segments = Segments::new(&mut buffer, 0..bytes.len(), header).unwrap();
        while let Some(range) = segments.next_packet(&mut buffer) {
            packets.push(buffer[range].to_vec());
        }
    }
    packets
}

/// Consecutive segments of a flow.
fn flow(packet: &Packet, count: usize) -> Vec<Vec<u8>> {
    let gso_size = packet.payload.len();
    Packet { payload: packet.payload.repeat(count), ..packet.clone() }.cut(gso_size)
}

#[test]
fn a_flow_becomes_one_write() {
    for v6 in [false, true] {
        for (protocol, flags) in [(Protocol::Tcp, ACK), (Protocol::Tcp, ACK | PSH | ECE), (Protocol::Udp, 0)]
        {
            let packet = Packet { flags, ..Packet::new(v6, protocol, &[9; 1000]) };
            let mut packets = flow(&packet, 40);
            // The last one may be shorter.
            packets.truncate(39);
            let mut last = Packet { payload: vec![5; 333], ..packet.clone() };
            last.sequence += 39_000;
            last.identification += 39;
            packets.push(last.emit());
            let writes = coalesce(&packets, BOTH);
            let [(header, bytes)] = &writes[..] else { panic!("{} writes", writes.len()) };
            let payload = [vec![9; 39_000], vec![5; 333]].concat();
            assert_eq!(*bytes, Packet { payload, ..packet.clone() }.emit_partial());
            let gso_type = match (protocol, v6) {
                (Protocol::Tcp, false) => GsoType::TcpV4,
                (Protocol::Tcp, true) => GsoType::TcpV6,
                (Protocol::Udp, _) => GsoType::UdpL4,
            };
            assert_eq!((header.gso_type, header.gso_size), (gso_type, 1000));
            assert_eq!(usize::from(header.header_len), packet.header_len());
            let checksum = header.checksum.unwrap();
            assert_eq!(usize::from(checksum.start), packet.transport_at());
            assert_eq!(usize::from(checksum.offset), packet.checksum_offset());
            assert_eq!(cut(&writes), packets);
        }
    }
}

#[test]
fn a_write_ends_at_64_kb_and_a_batch_when_it_is_full() {
    let packets = flow(&Packet::new(false, Protocol::Tcp, &[9; 1440]), 64);
    let writes = coalesce(&packets, BOTH);
    let lengths: Vec<_> = writes.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [52 + 45 * 1440, 52 + 19 * 1440]);
    assert_eq!(cut(&writes), packets);

    let mut coalescer = Coalescer::new(BOTH, 2);
    let storage = packets[0].clone();
    let all = 0..storage.len();
    assert_eq!([(); 3].map(|()| coalescer.push(&storage, all.clone())), [true, true, false]);
}

#[test]
fn flows_are_merged_beside_each_other() {
    let one = flow(&Packet::new(false, Protocol::Tcp, &[1; 500]), 5);
    let two = flow(&Packet { ports: (1, 2), ..Packet::new(false, Protocol::Tcp, &[2; 700]) }, 5);
    let three = flow(&Packet::new(true, Protocol::Udp, &[3; 300]), 5);
    let mixed: Vec<_> = (0..5).flat_map(|at| [&one, &two, &three].map(|flow| flow[at].clone())).collect();
    let writes = coalesce(&mixed, BOTH);
    assert_eq!(writes.len(), 3);
    assert_eq!(cut(&writes), [one, two, three].concat());
}

/// Two packets that follow one another but for what `change` does to the second.
fn is_merged(v6: bool, protocol: Protocol, change: impl FnOnce(&mut Packet)) -> bool {
    let first = Packet::new(v6, protocol, &[9; 100]);
    let mut second = Packet { sequence: 1100, identification: 8, ..first.clone() };
    change(&mut second);
    let packets = [first.emit(), second.emit()];
    let writes = coalesce(&packets, BOTH);
    assert_eq!(writes.len() == 2, writes.iter().all(|(header, _)| *header == VnetHeader::default()));
    if writes.len() == 2 {
        assert_eq!(writes.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), packets);
    }
    writes.len() == 1
}

#[test]
fn what_differs_is_not_merged() {
    for v6 in [false, true] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let merged = |change: fn(&mut Packet)| is_merged(v6, protocol, change);
            assert!(merged(|_| {}));
            assert!(merged(|packet| packet.payload.truncate(1)));
            assert!(!merged(|packet| packet.payload.push(0)), "longer than the first");
            assert!(!merged(|packet| packet.payload.clear()), "no payload");
            assert!(!merged(|packet| packet.tos = 1), "ECN");
            assert!(!merged(|packet| packet.tos = 4));
            assert!(!merged(|packet| packet.ttl = 63));
            assert!(!merged(|packet| packet.hosts.0 = 9));
            assert!(!merged(|packet| packet.hosts.1 = 9));
            assert!(!merged(|packet| packet.ports.0 = 9));
            assert!(!merged(|packet| packet.ports.1 = 9));
            assert_eq!(merged(|packet| packet.flow_label = 9), !v6);
            assert_eq!(merged(|packet| packet.flags_and_offset = 0), v6);
            assert_eq!(merged(|packet| packet.flags_and_offset = 0x2000), v6, "a fragment");
            assert_eq!(merged(|packet| packet.ip_options = vec![1, 1, 1, 0]), v6);
            assert_eq!(merged(|packet| packet.identification = 9), v6, "not the next identification");
            assert!(merged(|packet| packet.identification = 7), "none");
        }
        let merged = |change: fn(&mut Packet)| is_merged(v6, Protocol::Tcp, change);
        assert!(merged(|packet| packet.flags |= PSH));
        for flag in [FIN, SYN, RST, URG, ECE, CWR, ACK] {
            assert!(!is_merged(v6, Protocol::Tcp, |packet| packet.flags ^= flag), "{flag:#x}");
        }
        assert!(!merged(|packet| packet.sequence -= 1));
        assert!(!merged(|packet| packet.sequence += 1));
        assert!(!merged(|packet| packet.acknowledgment += 1));
        assert!(!merged(|packet| packet.window += 1));
        assert!(!merged(|packet| packet.urgent += 1));
        assert!(!merged(|packet| packet.tcp_options[11] += 1), "another timestamp");
        assert!(!merged(|packet| packet.tcp_options.clear()));
    }
}

/// Merges two TCP packets after the one at `number` was changed by `spoil`.
fn survives(number: usize, protocol: Protocol, spoil: impl FnOnce(&mut Vec<u8>)) -> bool {
    let mut packets = flow(&Packet::new(false, protocol, &[9; 100]), 2);
    spoil(&mut packets[number]);
    let writes = coalesce(&packets, BOTH);
    if writes.len() == 2 {
        assert_eq!(writes.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), packets);
    }
    writes.len() == 1
}

#[test]
fn what_is_not_right_is_not_merged_and_not_corrected() {
    for number in [0, 1] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert!(survives(number, protocol, |_| {}));
            assert!(!survives(number, protocol, |packet| packet[60] ^= 1), "the payload");
            assert!(!survives(number, protocol, |packet| packet[11] ^= 1), "the IP checksum");
            let at = if protocol == Protocol::Tcp { 36 } else { 26 };
            assert!(!survives(number, protocol, |packet| packet[at] ^= 1), "the checksum");
        }
        assert!(!survives(number, Protocol::Udp, |packet| packet[26..28].fill(0)), "no checksum");
        assert!(!survives(number, Protocol::Udp, |packet| packet[25] -= 1), "a length");
    }
}

#[test]
fn a_checksum_of_all_ones_is_kept() {
    // The sum of the rest is 0xffff, so that both 0 and 0xffff would be right.
    let second = (0..=u16::MAX).map(|window| {
        let packet = Packet { window, ..Packet::new(false, Protocol::Tcp, &[9; 100]) };
        flow(&packet, 2)
    });
    let mut packets = second.into_iter().find(|packets| packets[1][36..38] == [0, 0]).unwrap();
    assert_eq!(coalesce(&packets, BOTH).len(), 1);
    packets[1][36..38].fill(0xff);
    assert_eq!(coalesce(&packets, BOTH).len(), 2);
}

#[test]
fn nothing_overtakes_within_a_flow() {
    let packets = flow(&Packet::new(false, Protocol::Tcp, &[9; 100]), 6);
    let ack = Packet { payload: Vec::new(), sequence: 1300, ..Packet::new(false, Protocol::Tcp, &[]) };
    let mut order = packets.clone();
    order.insert(3, ack.emit());
    let writes = coalesce(&order, BOTH);
    assert_eq!(writes.len(), 3, "the acknowledgment parts them");
    assert_eq!(cut(&writes), order);

    order = packets;
    order.swap(3, 4);
    assert_eq!(cut(&coalesce(&order, BOTH)), order);

    // An ICMP message and a fragment are not overtaken either.
    for odd in [0, 1] {
        let mut other = Packet::new(false, Protocol::Udp, &[1; 50]).emit();
        if odd == 0 {
            other[9] = 1
        } else {
            other[6] = 0x20
        }
        let mut order = order.clone();
        order.insert(2, other);
        assert_eq!(cut(&coalesce(&order, BOTH)), order);
    }
}

#[test]
fn only_what_may_be_is_merged() {
    let (tcp, udp) =
        (Packet::new(false, Protocol::Tcp, &[9; 10]), Packet::new(false, Protocol::Udp, &[9; 10]));
    for (mergeable, tcp_writes, udp_writes) in [
        (Mergeable { tcp: false, udp: false }, 3, 3),
        (Mergeable { tcp: true, udp: false }, 1, 3),
        (Mergeable { tcp: false, udp: true }, 3, 1),
    ] {
        assert_eq!(coalesce(&flow(&tcp, 3), mergeable).len(), tcp_writes);
        assert_eq!(coalesce(&flow(&udp, 3), mergeable).len(), udp_writes);
    }
}

/// A stretch of a flow, and what goes wrong with it.
#[derive(Clone, Debug)]
struct Stretch {
    packet: Packet,
    count: usize,
    /// Packet, byte and bit that is flipped.
    flip: Option<(usize, usize, u8)>,
    identification_stays: bool,
}

impl Stretch {
    fn emit(&self) -> Vec<Vec<u8>> {
        let mut packets = flow(&self.packet, self.count);
        if self.identification_stays && !self.packet.v6 {
            for packet in &mut packets {
                packet[4..6].copy_from_slice(&self.packet.identification.to_be_bytes());
                packet[10..12].fill(0);
                let checksum = !sum(&packet[..20]);
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
        }
        if let Some((number, at, bit)) = self.flip
            && let Some(packet) = packets.get_mut(number % self.count)
        {
            let at = at % packet.len();
            packet[at] ^= 1 << bit;
        }
        packets
    }
}

fn stretches() -> impl Strategy<Value = Stretch> {
    let fields = (any::<bool>(), any::<bool>(), 0_u8..2, any::<u16>(), any::<u32>(), any::<bool>());
    let flags = prop::sample::select(vec![ACK, ACK | PSH, ACK | ECE, ACK | FIN, ACK | CWR, SYN, RST]);
    let flip = prop::option::weighted(0.4, (0_usize..20, 0_usize..120, 0_u8..8));
    let rest = (1_usize..200, 1_usize..12, any::<bool>(), prop::sample::select(vec![DF, 0, 0x2000]));
    (fields, flags, flip, rest).prop_map(
        |(
            (v6, tcp, host, identification, sequence, timestamp),
            flags,
            flip,
            (len, count, stays, fragment),
        )| {
            let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
            let payload: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut packet = Packet::new(v6, protocol, &payload);
            packet.hosts.0 = host;
            (packet.identification, packet.sequence, packet.flags) = (identification, sequence, flags);
            packet.flags_and_offset = fragment;
            if !timestamp {
                packet.tcp_options.clear();
            }
            Stretch { packet, count, flip, identification_stays: stays }
        },
    )
}

/// Which packets must not overtake each other: rougher than flows, so that spoilt ones count, too.
fn by_host(packets: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut hosts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for packet in packets {
        let addresses = if packet[0] >> 4 == 6 { 8..40 } else { 12..20 };
        let protocol = if packet[0] >> 4 == 6 { packet[6] } else { packet[9] };
        let ports = if packet[0] >> 4 == 6 { 40..44 } else { 20..24 };
        let key = [&packet[addresses], &packet[ports], &[protocol]].concat();
        hosts.entry(key).or_default().push(packet.clone());
    }
    hosts
}

/// Whether the kernel may have changed the identification, and has changed nothing else.
fn is_same(sent: &[u8], made: &[u8]) -> bool {
    let without = |packet: &[u8]| {
        let mut packet = packet.to_vec();
        packet[4..6].fill(0);
        packet[10..12].fill(0);
        packet
    };
    let is_free = sent[0] == 0x45 && sent[6] & 0x40 != 0 && sum(&made[..20]) == 0xffff;
    sent == made || is_free && without(sent) == without(made)
}

proptest! {
    /// Whatever a peer sends: the kernel gets the same packets, in the same order within each flow.
    #[test]
    fn cutting_undoes_coalescing(stretches in prop::collection::vec(stretches(), 1..6), interleave: bool) {
        let mut flows: Vec<_> = stretches.iter().map(Stretch::emit).collect();
        let mut packets = Vec::new();
        if interleave {
            for at in 0..12 {
                packets.extend(flows.iter().filter_map(|flow| flow.get(at).cloned()));
            }
        } else {
            packets.extend(flows.drain(..).flatten());
        }
        packets.truncate(MAX_PACKETS);
        let made = cut(&coalesce(&packets, BOTH));
        prop_assert_eq!(made.len(), packets.len());
        let (sent, made) = (by_host(&packets), by_host(&made));
        prop_assert_eq!(sent.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
        for (host, sent) in sent {
            for (sent, made) in sent.iter().zip(&made[&host]) {
                prop_assert!(is_same(sent, made), "{:x?}\n{:x?}", sent, made);
            }
        }
    }

    #[test]
    fn any_bytes_pass(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..40)) {
        let packets: Vec<Vec<u8>> = packets.into_iter().map(|mut packet| {
            if let Some(first) = packet.first_mut() {
                *first = if *first & 1 == 0 { 0x45 } else { 0x60 };
            }
            packet
        }).collect();
        let mut made: Vec<Vec<u8>> = coalesce(&packets, BOTH).into_iter().map(|(_, bytes)| bytes).collect();
        let mut sent = packets;
        made.sort();
        sent.sort();
        prop_assert_eq!(made, sent);
    }
}
