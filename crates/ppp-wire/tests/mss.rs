//! MSS clamping, checked against a TCP checksum that is computed from scratch.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ppp_wire::mss::clamp;
use proptest::collection::vec;
use proptest::prelude::*;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const MSS_1460: [u8; 4] = [2, 4, 0x05, 0xb4];

/// The one's complement sum of all 16-bit words.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total: u64 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            total += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap()
}

fn segment(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4) && options.len() <= 40);
    let offset = u8::try_from(5 + options.len() / 4).unwrap() << 4;
    let mut tcp = vec![0x12, 0x34, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, offset, flags, 0xff, 0xff, 0, 0, 0, 0];
    tcp.extend(options);
    tcp.extend(payload);
    tcp
}

struct Packet {
    bytes: Vec<u8>,
    /// Where the TCP header begins.
    tcp: usize,
    /// The addresses, for the pseudo header.
    addresses: std::ops::Range<usize>,
}

impl Packet {
    fn v4(flags: u8, options: &[u8]) -> Self {
        let tcp = segment(flags, options, &[]);
        let total = u16::try_from(24 + tcp.len()).unwrap().to_be_bytes();
        // With an IP option, so that the header is longer than usual.
        let mut bytes = vec![0x46, 0, total[0], total[1], 0, 1, 0x40, 0, 64, 6, 0, 0];
        bytes.extend([192, 0, 2, 1, 198, 51, 100, 7, 1, 1, 1, 0]);
        bytes.extend(tcp);
        Self { bytes, tcp: 24, addresses: 12..20 }.with_checksum()
    }

    fn v6(flags: u8, options: &[u8], extensions: &[u8], next_header: u8) -> Self {
        let tcp = segment(flags, options, &[]);
        let len = u16::try_from(extensions.len() + tcp.len()).unwrap().to_be_bytes();
        let mut bytes = vec![0x60, 0, 0, 0, len[0], len[1], next_header, 64];
        bytes.extend((0..32).map(|n| n * 7));
        bytes.extend(extensions);
        bytes.extend(tcp);
        Self { bytes, tcp: 40 + extensions.len(), addresses: 8..40 }.with_checksum()
    }

    fn with_checksum(mut self) -> Self {
        let checksum = !self.sum();
        self.bytes[self.tcp + 16..self.tcp + 18].copy_from_slice(&checksum.to_be_bytes());
        assert!(self.is_valid());
        self
    }

    fn sum(&self) -> u16 {
        let tcp = &self.bytes[self.tcp..];
        let len = u16::try_from(tcp.len()).unwrap().to_be_bytes();
        sum(&[&self.bytes[self.addresses.clone()], &[0, 6], &len, tcp])
    }

    fn is_valid(&self) -> bool {
        self.sum() == 0xffff
    }

    fn options(&self) -> &[u8] {
        &self.bytes[self.tcp + 20..]
    }
}

#[test]
fn lowers_the_mss_of_syn_and_syn_ack() {
    for flags in [SYN, SYN | ACK] {
        let mut packet = Packet::v4(flags, &MSS_1460);
        assert!(clamp(&mut packet.bytes, 1452, 1));
        assert_eq!(packet.options(), [2, 4, 0x05, 0xac]);
        assert!(packet.is_valid());

        let mut packet = Packet::v6(flags, &MSS_1460, &[], 6);
        assert!(clamp(&mut packet.bytes, 1, 1432));
        assert_eq!(packet.options(), [2, 4, 0x05, 0x98]);
        assert!(packet.is_valid());
    }
}

#[test]
fn finds_the_option_at_any_offset() {
    for nops in 0..=36 {
        let mut options = vec![1; nops];
        options.extend(MSS_1460);
        options.resize(40, 0);
        let mut packet = Packet::v4(SYN, &options);
        assert!(clamp(&mut packet.bytes, 1000, 1000), "after {nops} no-operations");
        assert_eq!(packet.options()[nops..nops + 4], [2, 4, 0x03, 0xe8]);
        assert!(packet.is_valid(), "after {nops} no-operations");
    }
}

#[test]
fn passes_extension_headers() {
    // Hop-by-Hop, then 16 bytes of Destination Options.
    let mut extensions = vec![60, 0, 1, 4, 0, 0, 0, 0];
    extensions.extend([6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut packet = Packet::v6(SYN, &MSS_1460, &extensions, 0);
    assert!(clamp(&mut packet.bytes, 1452, 1432));
    assert!(packet.is_valid());
}

fn assert_untouched(mut bytes: Vec<u8>, why: &str) {
    let before = bytes.clone();
    assert!(!clamp(&mut bytes, 1000, 1000), "{why}");
    assert_eq!(bytes, before, "{why}");
}

#[test]
fn leaves_everything_else_alone() {
    assert_untouched(Packet::v4(ACK, &MSS_1460).bytes, "no SYN");
    assert_untouched(Packet::v4(SYN, &[]).bytes, "no options");
    assert_untouched(Packet::v4(SYN, &[1, 3, 3, 7]).bytes, "no MSS option");
    assert_untouched(Packet::v4(SYN, &[2, 4, 0x03, 0xe8]).bytes, "equal");
    assert_untouched(Packet::v4(SYN, &[2, 4, 0x01, 0x00]).bytes, "smaller");
    assert_untouched(Packet::v4(SYN, &[0, 2, 4, 0x05, 0xb4, 0, 0, 0]).bytes, "behind the end of options");
    assert_untouched(Packet::v4(SYN, &[2, 3, 0x05, 0xb4]).bytes, "MSS option of wrong size");
    assert_untouched(Packet::v4(SYN, &[1, 1, 2, 4]).bytes, "MSS option cut off");
    assert_untouched(Packet::v4(SYN, &[8, 0, 2, 4, 0x05, 0xb4, 1, 1]).bytes, "option of length 0");
    assert_untouched(Packet::v4(SYN, &[8, 1, 2, 4, 0x05, 0xb4, 1, 1]).bytes, "option of length 1");
    assert_untouched(Packet::v4(SYN, &[8, 40, 2, 4, 0x05, 0xb4, 1, 1]).bytes, "option past the end");
    assert_untouched(Packet::v4(SYN, &[1, 1, 1, 8]).bytes, "option without length");

    let change_v4 = |at: usize, byte: u8| {
        let mut bytes = Packet::v4(SYN, &MSS_1460).bytes;
        bytes[at] = byte;
        bytes
    };
    assert_untouched(change_v4(9, 17), "UDP");
    assert_untouched(change_v4(6, 0x20), "first fragment");
    assert_untouched(change_v4(7, 0x01), "later fragment");
    assert_untouched(change_v4(0, 0x44), "IP header too short");
    assert_untouched(change_v4(0, 0x4f), "IP header longer than the segment leaves room for");
    assert_untouched(change_v4(3, 200), "total length past the end");
    assert_untouched(change_v4(3, 47), "options past the total length");
    assert_untouched(change_v4(0, 0x56), "IP version 5");
    assert_untouched(change_v4(24 + 12, 0x40), "TCP header too short");
    assert_untouched(change_v4(24 + 12, 0xf0), "TCP header past the end");

    let fragment = [6, 0, 0, 0, 0, 0, 0, 1];
    assert_untouched(Packet::v6(SYN, &MSS_1460, &fragment, 44).bytes, "IPv6 fragment");
    assert_untouched(Packet::v6(SYN, &MSS_1460, &[], 58).bytes, "ICMPv6");
    let endless = [0, 200, 0, 0, 0, 0, 0, 0];
    assert_untouched(Packet::v6(SYN, &MSS_1460, &endless, 0).bytes, "extension header past the end");
    for len in 0..Packet::v4(SYN, &MSS_1460).bytes.len() {
        assert_untouched(Packet::v4(SYN, &MSS_1460).bytes[..len].to_vec(), "cut off");
    }
}

#[test]
fn lowers_every_mss_option() {
    let mut options = MSS_1460.to_vec();
    options.extend([1, 2, 4, 0xff, 0xff, 1, 1, 1]);
    let mut packet = Packet::v4(SYN, &options);
    assert!(clamp(&mut packet.bytes, 1000, 1000));
    assert_eq!(packet.options(), [2, 4, 3, 0xe8, 1, 2, 4, 3, 0xe8, 1, 1, 1]);
    assert!(packet.is_valid());
}

proptest! {
    #[test]
    fn keeps_checksum_and_size_and_only_lowers(
        options in vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(4), any::<u8>()], 40),
        nops in 0usize..5,
        mss: u16,
        v6: bool,
    ) {
        let mut options = options;
        options[..nops].fill(1);
        options[nops..nops + 2].copy_from_slice(&[2, 4]);
        let offered = u16::from_be_bytes([options[nops + 2], options[nops + 3]]);
        let mut packet = if v6 { Packet::v6(SYN, &options, &[], 6) } else { Packet::v4(SYN, &options) };
        let before = packet.bytes.clone();
        let changed = clamp(&mut packet.bytes, mss, mss);
        prop_assert!(packet.is_valid());
        prop_assert_eq!(changed, before != packet.bytes);
        let found = u16::from_be_bytes([packet.options()[nops + 2], packet.options()[nops + 3]]);
        prop_assert_eq!(found, offered.min(mss));
        prop_assert!(!clamp(&mut packet.bytes, mss, mss), "nothing is left to do");
    }
}
