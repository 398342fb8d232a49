//! IPv4 addresses and names as C programs of pppd's age read them.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use crate::files;

/// Most bytes of `/etc/networks`; a larger one is not read.
const MAX_NETWORKS: u64 = 1 << 20;

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

/// Looks up names of hosts and networks.
pub trait Resolve {
    /// The first IPv4 address of a host.
    fn host(&self, name: &str) -> Option<Ipv4Addr>;
    /// The address of a network.
    fn network(&self, name: &str) -> Option<Ipv4Addr>;
    /// Changes when a name that was asked for has come to mean something else, as far as that is known.
    fn generation(&self) -> u64 {
        0
    }
}

/// Knows no name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoNames;

impl Resolve for NoNames {
    fn host(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }

    fn network(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }
}

/// The system's own names: its resolver for hosts, `/etc/networks` for networks. May block.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNames;

impl Resolve for SystemNames {
    fn host(&self, name: &str) -> Option<Ipv4Addr> {
        if !is_name(name) {
            return None;
        }
        (name, 0).to_socket_addrs().ok()?.find_map(|address| match address.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    }

    fn network(&self, name: &str) -> Option<Ipv4Addr> {
        let contents = files::read_bounded("/etc/networks".as_ref(), MAX_NETWORKS).ok()?;
        find_network(&String::from_utf8_lossy(&contents), name)
    }
}

/// Could this be the name of a host or network? Numbers and dots alone are not one.
pub fn is_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Finds a network in the contents of networks(5): `name number [alias…]`. Missing parts of the number are 0.
fn find_network(contents: &str, name: &str) -> Option<Ipv4Addr> {
    contents.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (official, number) = (words.next()?, words.next()?);
        if official != name && !words.any(|alias| alias == name) {
            return None;
        }
        let missing = 3usize.checked_sub(number.matches('.').count())?;
        parse_ipv4(&format!("{number}{}", ".0".repeat(missing)))
    })
}

/// The netmask that a network address had before CIDR, as bits. Classes D and E count as single hosts.
pub fn classful_mask(network: Ipv4Addr) -> u32 {
    match network.octets()[0] {
        0..=127 => 0xff00_0000,
        128..=191 => 0xffff_0000,
        192..=223 => 0xffff_ff00,
        224.. => 0xffff_ffff,
    }
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
    fn networks_by_name_and_alias() {
        let contents = "# comment\nloopback 127.0.0.0\nlan 192.168.1 office # no\nbad x.y\nshort\nten 10\n";
        for (name, expected) in [
            ("loopback", Some([127, 0, 0, 0])),
            ("lan", Some([192, 168, 1, 0])),
            ("office", Some([192, 168, 1, 0])),
            ("ten", Some([10, 0, 0, 0])),
            ("no", None),
            ("bad", None),
            ("short", None),
            ("comment", None),
        ] {
            assert_eq!(find_network(contents, name), expected.map(Ipv4Addr::from), "{name}");
        }
    }

    #[test]
    fn names_are_not_numbers() {
        for (word, is) in
            [("host", true), ("a-b.example_x", true), ("10.0.0.300", false), ("", false), ("a b", false)]
        {
            assert_eq!(is_name(word), is, "{word}");
        }
        assert_eq!(SystemNames.host("no host has this name"), None);
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
