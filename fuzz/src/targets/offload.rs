//! Coalescing and cutting. First the bytes as a packet of the kernel with its virtio header; then as instructions for
//! the packets of a batch, which must be the same ones after both.

use ppp_wire::offload::{Coalescer, MAX_PACKETS, Mergeable, Segments, Sum, VnetHeader};

fn cut(buffer: &mut [u8], header: &VnetHeader, mut take: impl FnMut(&[u8])) {
    let whole = 0..buffer.len();
    let Ok(mut segments) = Segments::new(buffer, whole, header) else { return };
    while let Some(range) = segments.next_packet(buffer) {
        take(buffer.get(range).expect("a packet lies within the buffer"));
    }
}

/// A segment of one of four flows, which the instruction may spoil at one byte, before or after its checksums are made.
fn packet(instruction: [u8; 4], sequence: u32) -> Vec<u8> {
    let [which, len, at, xor] = instruction;
    let (v6, udp, len) = (which & 1 != 0, which & 2 != 0, u16::from(len & 0x3f));
    let header_len = if udp { 8 } else { 20 };
    let segment_len = header_len + len;
    let mut bytes = vec![];
    if v6 {
        bytes.extend([0x60, 0, 0, 0]);
        bytes.extend(segment_len.to_be_bytes());
        bytes.extend([if udp { 17 } else { 6 }, 64]);
        bytes.extend([1; 32]);
    } else {
        bytes.extend([0x45, 0]);
        bytes.extend((20 + segment_len).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, if udp { 17 } else { 6 }, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    }
    let transport = bytes.len();
    bytes.extend([0, 1, 0, 2]);
    if udp {
        bytes.extend(segment_len.to_be_bytes());
        bytes.extend([0, 0]);
    } else {
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0x50, 0x10, 1, 1, 0, 0, 0, 0]);
    }
    bytes.resize(transport + usize::from(segment_len), 0x77);
    let spoil = |bytes: &mut Vec<u8>, now: bool| {
        if now && let Some(byte) = bytes.get_mut(usize::from(at)) {
            *byte ^= xor;
        }
    };
    spoil(&mut bytes, which & 4 == 0);
    if !v6 {
        let checksum = !Sum::default().bytes(&bytes[..20]).fold();
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    let addresses = if v6 { 8..40 } else { 12..20 };
    let protocol = if udp { 17 } else { 6 };
    let pseudo = Sum::default().bytes(&bytes[addresses]).word(protocol).word(segment_len);
    let checksum = !pseudo.bytes(&bytes[transport..]).fold();
    let field = transport + if udp { 6 } else { 16 };
    bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    spoil(&mut bytes, which & 4 != 0);
    bytes
}

/// A packet without what may change on the way: the identification of IPv4 packets that are never fragmented.
fn without_identification(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet.first() == Some(&0x45) && packet.get(6).is_some_and(|flags| flags & 0x40 != 0) {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    if let Some((header, packet)) = bytes.split_first_chunk() {
        cut(&mut packet.to_vec(), &VnetHeader::parse(header), |made| assert!(made.len() <= packet.len()));
    }

    let mut coalescer = Coalescer::new(Mergeable { tcp: true, udp: true }, MAX_PACKETS);
    let (mut storage, mut ranges, mut sequences) = (Vec::new(), Vec::new(), [0_u32; 8]);
    for instruction in bytes.as_chunks::<4>().0.iter().take(MAX_PACKETS) {
        let sequence = &mut sequences[usize::from(instruction[0] & 7)];
        let made = packet(*instruction, *sequence);
        *sequence = sequence.wrapping_add(u32::from(instruction[1] & 0x3f));
        ranges.push(storage.len()..storage.len() + made.len());
        storage.extend(made);
    }
    let mut sent: Vec<_> =
        ranges.iter().map(|range| without_identification(&storage[range.clone()])).collect();
    for range in ranges {
        assert!(coalescer.push(&storage, range));
    }
    let mut made = Vec::new();
    coalescer.drain(&mut storage, |storage, write| {
        let mut whole: Vec<u8> =
            write.parts.iter().flat_map(|part| &storage[part.clone()]).copied().collect();
        cut(&mut whole, &write.header, |packet| made.push(without_identification(packet)));
    });
    sent.sort();
    made.sort();
    assert_eq!(sent, made);
}
