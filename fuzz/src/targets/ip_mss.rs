//! IP headers and MSS clamping. The first two bytes are the MSS, the rest is the packet.

use ppp_wire::ip::{Ipv4Packet, Ipv6Packet};
use ppp_wire::mss;

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    let Some((limit, packet)) = bytes.split_first_chunk() else { return };
    let limit = u16::from_be_bytes(*limit);
    if let Ok(ipv4) = Ipv4Packet::new_checked(packet) {
        let _ = (ipv4.source(), ipv4.destination(), ipv4.protocol(), ipv4.is_fragment());
        assert!(ipv4.total_len() <= packet.len());
    }
    if let Ok(ipv6) = Ipv6Packet::new_checked(packet) {
        let _ = (ipv6.source(), ipv6.destination());
        assert!(ipv6.upper_layer().is_none_or(|(_, offset)| offset <= ipv6.total_len()));
    }

    let mut clamped = packet.to_vec();
    let changed = mss::clamp(&mut clamped, limit, limit);
    assert_eq!(changed, clamped != packet);
    assert!(!mss::clamp(&mut clamped, limit, limit), "nothing is left to do");
    // Nothing but MSS values and the TCP checksum may change.
    let differing = packet.iter().zip(&clamped).filter(|(before, after)| before != after).count();
    assert!(differing <= 2 + 2 * 10);
}
