//! Which flow a packet belongs to, for those that wait.

use ppp_wire::ip::{Ipv4Packet, Ipv6Packet};

/// How many numbers of flows there are.
pub(super) const FLOWS: usize = 1024;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A number that packets of one flow have in common: of the same addresses, protocol, and ports or, with ICMP,
/// identifier. `None` for fragments and for what is no IP packet. Different flows may have the same number: who sees to it
/// that they do only has them take turns.
pub(super) fn flow_of(packet: &[u8]) -> Option<usize> {
    let (addresses, protocol, transport_at) = match packet.first()? >> 4 {
        4 => {
            let view = Ipv4Packet::new_checked(packet).ok().filter(|view| !view.is_fragment())?;
            (packet.get(12..20)?, view.protocol(), view.header_len())
        }
        6 => {
            let (protocol, transport_at) = Ipv6Packet::new_checked(packet).ok()?.upper_layer()?;
            (packet.get(8..40)?, protocol, transport_at)
        }
        _ => return None,
    };
    let transport = packet.get(transport_at..)?;
    let ports = match protocol {
        // The identifier of an echo (RFC 792, RFC 4443 §4.1).
        ICMP | ICMPV6 => transport.get(4..6),
        _ => transport.get(..4),
    };
    let (words, _) = addresses.as_chunks::<4>();
    let mix = |hash: u32, word: u32| (hash ^ word).wrapping_mul(0x9e37_79b1).rotate_left(13);
    let hash =
        ports.unwrap_or_default().iter().fold(u32::from(protocol), |hash, byte| mix(hash, (*byte).into()));
    let hash = words.iter().fold(hash, |hash, word| mix(hash, u32::from_be_bytes(*word)));
    // The upper bits depend on all.
    usize::try_from(hash.wrapping_mul(0x85eb_ca6b) >> 22).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn v4(protocol: u8, transport: &[u8]) -> Vec<u8> {
        let len = 20 + u8::try_from(transport.len()).unwrap();
        let mut packet = vec![0x45, 0, 0, len, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7];
        packet.extend(transport);
        packet
    }

    fn v6(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(payload.len()).unwrap(), next_header, 64];
        packet.extend([0x20; 32]);
        packet.extend(payload);
        packet
    }

    #[test]
    fn packets_of_a_flow_have_one_number() {
        for (protocol, one, other) in [
            (6, [0x01, 0xbb, 0xc0, 1, 9, 9, 9, 9], [0x01, 0xbb, 0xc0, 1, 7, 7, 7, 7]),
            (ICMP, [8, 0, 1, 1, 0x12, 0x34, 0, 1], [8, 0, 2, 2, 0x12, 0x34, 0, 2]),
        ] {
            assert_eq!(flow_of(&v4(protocol, &one)), flow_of(&v4(protocol, &other)));
            assert!(flow_of(&v4(protocol, &one)).is_some_and(|flow| flow < FLOWS));
        }
        let echo = [128, 0, 1, 1, 0x12, 0x34, 0, 1];
        assert!(flow_of(&v6(ICMPV6, &echo)).is_some());
        let behind_options = [&[ICMPV6, 0, 0, 0, 0, 0, 0, 0][..], &echo].concat();
        assert_eq!(flow_of(&v6(60, &behind_options)), flow_of(&v6(ICMPV6, &echo)));
    }

    #[test]
    fn other_flows_have_other_numbers_mostly() {
        let numbers: BTreeSet<_> =
            (0..=255).map(|port| flow_of(&v4(17, &[port, 1, 0, 53, 0, 0, 0, 0]))).collect();
        assert!(numbers.len() > 200, "{}", numbers.len());
    }

    #[test]
    fn what_has_no_flow() {
        let mut fragment = v4(17, &[1, 2, 3, 4, 5, 6, 7, 8]);
        fragment[6] = 0x20;
        assert_eq!(flow_of(&fragment), None);
        assert_eq!(flow_of(&v6(44, &[17, 0, 0, 0, 0, 0, 0, 1])), None);
        assert_eq!(flow_of(&[0x45; 10]), None);
        assert_eq!(flow_of(&[]), None);
        assert_eq!(flow_of(&[1; 100]), None);
    }
}
