//! IPv4 addresses and names as C programs of pppd's age read them.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

/// Reads the forms of `inet_aton`: `a.b.c.d`, `a.b.c` (`c` fills 16 bits), `a.b` and `a`, each part decimal, octal
/// (leading `0`) or hexadecimal (leading `0x`).
pub fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut bits: u32 = 0;
    let mut parts = text.split('.').peekable();
    for shift in [24, 16, 8, 0] {
        let part = parse_part(parts.next()?)?;
        if parts.peek().is_none() {
            // the last part fills all the bytes that are left
            let room = u32::MAX >> (24 - shift);
            return (part <= room).then(|| Ipv4Addr::from_bits(bits | part));
        }
        if part > 0xff {
            return None;
        }
        bits |= part.checked_shl(shift)?;
    }
    None
}

fn parse_part(text: &str) -> Option<u32> {
    let (digits, radix) = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (hex, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (text, 8)
    } else {
        (text, 10)
    };
    // from_str_radix alone would take a sign
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// Asks the system's resolver for the first IPv4 address of a host. May block.
pub fn resolve_host(name: &str) -> Option<Ipv4Addr> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return None;
    }
    (name, 0).to_socket_addrs().ok()?.find_map(|address| match address.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

/// Loopback, multicast and reserved (240.0.0.0/4) addresses, which pppd never lets a peer have.
pub fn is_bad_host(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first == 127 || first >= 224
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_inet_aton() {
        let table: &[(&str, Option<[u8; 4]>)] = &[
            ("10.0.0.1", Some([10, 0, 0, 1])),
            ("255.255.255.255", Some([255; 4])),
            ("10.1", Some([10, 0, 0, 1])),
            ("10.1.65535", Some([10, 1, 255, 255])),
            ("10.1.65536", None),
            ("10.16777215", Some([10, 255, 255, 255])),
            ("10.16777216", None),
            ("4294967295", Some([255; 4])),
            ("4294967296", None),
            ("0x0a000001", Some([10, 0, 0, 1])),
            ("010.0.0.010", Some([8, 0, 0, 8])),
            ("10.0.0.256", None),
            ("10.0.0.08", None),
            ("10.0.0.1.2", None),
            ("10.0.0.1-9", None),
            ("10..0.1", None),
            ("10.0.0.", None),
            ("+10.0.0.1", None),
            ("", None),
            ("host", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_ipv4(text), expected.map(Ipv4Addr::from), "{text}");
        }
    }

    #[test]
    fn bad_hosts() {
        for (address, bad) in [
            ([126, 255, 255, 255], false),
            ([127, 0, 0, 1], true),
            ([128, 0, 0, 0], false),
            ([223, 255, 255, 255], false),
            ([224, 0, 0, 1], true),
            ([240, 0, 0, 1], true),
            ([255; 4], true),
        ] {
            assert_eq!(is_bad_host(address.into()), bad, "{address:?}");
        }
    }
}
