//! Lowers the TCP Maximum Segment Size of passing connections (RFC 9293 §3.7.1), so that full segments fit the link
//! even where ICMP "packet too big" messages get lost.

use crate::ip::{Ipv4Packet, Ipv6Packet, PROTOCOL_TCP};

const TCP_MIN_HEADER_LEN: usize = 20;
const FLAG_SYN: u8 = 0x02;
const OPTION_END: u8 = 0;
const OPTION_NO_OPERATION: u8 = 1;
const OPTION_MSS: u8 = 2;
const OPTION_MSS_LEN: usize = 4;

/// Lowers the MSS option of a TCP SYN to `mss_v4` or `mss_v6` bytes, and corrects the TCP checksum.
///
/// Returns whether the packet was changed. Never raises a value, never adds an option. Everything that is not a
/// whole, well-formed TCP SYN is left alone: fragments, other protocols, headers or options whose lengths do not fit.
///
/// The checksum is updated, not computed (RFC 1624), so it must be a complete one: a wrong checksum stays wrong, and
/// a packet whose checksum the kernel left for later (`VIRTIO_NET_HDR_F_NEEDS_CSUM`) must be completed first.
pub fn clamp(packet: &mut [u8], mss_v4: u16, mss_v6: u16) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => clamp_ipv4(packet, mss_v4).unwrap_or(false),
        Some(6) => clamp_ipv6(packet, mss_v6).unwrap_or(false),
        _ => false,
    }
}

/// `None` if this is no TCP packet that can be looked at.
fn clamp_ipv4(packet: &mut [u8], mss: u16) -> Option<bool> {
    let view = Ipv4Packet::new_checked(packet).ok()?;
    if view.protocol() != PROTOCOL_TCP || view.is_fragment() {
        return None;
    }
    let segment = view.header_len()..view.total_len();
    clamp_tcp(packet.get_mut(segment)?, mss)
}

fn clamp_ipv6(packet: &mut [u8], mss: u16) -> Option<bool> {
    let view = Ipv6Packet::new_checked(packet).ok()?;
    let (protocol, start) = view.upper_layer()?;
    if protocol != PROTOCOL_TCP {
        return None;
    }
    let segment = start..view.total_len();
    clamp_tcp(packet.get_mut(segment)?, mss)
}

fn clamp_tcp(segment: &mut [u8], mss: u16) -> Option<bool> {
    let header: &[u8; TCP_MIN_HEADER_LEN] = segment.first_chunk()?;
    if header[13] & FLAG_SYN == 0 {
        return None;
    }
    let header_len = usize::from(header[12] >> 4) * 4;
    let mut checksum = u16::from_be_bytes([header[16], header[17]]);
    // Also refuses a header length under 20.
    let options = segment.get_mut(TCP_MIN_HEADER_LEN..header_len)?;

    let mut changed = false;
    let mut offset = 0;
    // `offset` grows by at least one in every round.
    while let Some(&kind) = options.get(offset) {
        let len = match kind {
            OPTION_END => break,
            OPTION_NO_OPERATION => 1,
            _ => match options.get(offset + 1) {
                Some(&len) if len >= 2 => usize::from(len),
                _ => break,
            },
        };
        if kind == OPTION_MSS
            && len == OPTION_MSS_LEN
            && let Some(field) = options.get_mut(offset + 2..offset + OPTION_MSS_LEN)
            && let Ok(old) = <[u8; 2]>::try_from(&*field)
            && u16::from_be_bytes(old) > mss
        {
            let new = mss.to_be_bytes();
            field.copy_from_slice(&new);
            checksum = update_checksum(checksum, old, new, (offset & 1) == 1);
            changed = true;
        }
        offset += len;
    }
    if changed {
        segment.get_mut(16..18)?.copy_from_slice(&checksum.to_be_bytes());
    }
    Some(changed)
}

/// The Internet checksum after two of its bytes changed from `old` to `new` (RFC 1624 equation 3).
///
/// `straddles` says that the bytes lie in two neighbouring 16-bit words, which is the same as one swapped word,
/// because the sum carries around.
fn update_checksum(checksum: u16, old: [u8; 2], new: [u8; 2], straddles: bool) -> u16 {
    let word = |bytes| if straddles { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    let add = |a: u16, b: u16| {
        let (sum, carry) = a.overflowing_add(b);
        // A sum that overflowed is at most 0xfffe, so this cannot.
        sum + u16::from(carry)
    };
    !add(add(!checksum, !word(old)), word(new))
}
