//! The parts of IPv4 and IPv6 headers that the relay looks at (RFC 791 §3.1, RFC 8200 §3 and §4).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Error;

/// Protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

/// Protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

const IPV4_MIN_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

/// View of an IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Packet<'a> {
    header: &'a [u8; IPV4_MIN_HEADER_LEN],
    payload: &'a [u8],
    header_len: usize,
}

impl<'a> Ipv4Packet<'a> {
    /// Checks version, header length and total length, and cuts off what follows the total length. The header
    /// checksum is for the kernel to check.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::IpVersion`], or [`Error::Length`] if one of the lengths is impossible.
    pub fn new_checked(packet: &'a [u8]) -> Result<Self, Error> {
        let header: &[u8; IPV4_MIN_HEADER_LEN] = packet.first_chunk().ok_or(Error::Truncated {
            what: "IPv4 header",
            needed: IPV4_MIN_HEADER_LEN,
            have: packet.len(),
        })?;
        expect_version(header[0], 4)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if !(IPV4_MIN_HEADER_LEN..=packet.len()).contains(&header_len) {
            return Err(Error::Length {
                what: "IPv4 header",
                claimed: header_len,
                min: IPV4_MIN_HEADER_LEN,
                max: packet.len(),
            });
        }
        let payload = packet.get(header_len..total_len).ok_or(Error::Length {
            what: "IPv4",
            claimed: total_len,
            min: header_len,
            max: packet.len(),
        })?;
        Ok(Self { header, payload, header_len })
    }

    /// Source address.
    pub fn source(&self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = *self.header;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Destination address.
    pub fn destination(&self) -> Ipv4Addr {
        let [.., a, b, c, d] = *self.header;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Number of the protocol that the payload belongs to.
    pub fn protocol(&self) -> u8 {
        self.header[9]
    }

    /// Whether this is any part of a fragmented datagram, the first included.
    pub fn is_fragment(&self) -> bool {
        // More Fragments, and the 13 bits of the offset.
        u16::from_be_bytes([self.header[6], self.header[7]]) & 0x3fff != 0
    }

    /// Bytes of header, options included.
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// Bytes of header and payload, as the total length field says.
    pub fn total_len(&self) -> usize {
        self.header_len + self.payload.len()
    }

    /// What follows the header, cut to the total length.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// View of an IPv6 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Packet<'a> {
    header: &'a [u8; IPV6_HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Ipv6Packet<'a> {
    /// Checks version and payload length, and cuts off what follows the payload.
    ///
    /// A jumbogram (RFC 2675), whose payload length is 0, has an empty payload here: no PPPoE frame can hold one.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::IpVersion`], or [`Error::Length`] if the payload runs past the end.
    pub fn new_checked(packet: &'a [u8]) -> Result<Self, Error> {
        let (header, rest): (&[u8; IPV6_HEADER_LEN], _) = packet
            .split_first_chunk()
            .ok_or(Error::Truncated { what: "IPv6 header", needed: IPV6_HEADER_LEN, have: packet.len() })?;
        expect_version(header[0], 6)?;
        let claimed = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let payload =
            rest.get(..claimed).ok_or(Error::Length { what: "IPv6", claimed, min: 0, max: rest.len() })?;
        Ok(Self { header, payload })
    }

    /// Source address.
    pub fn source(&self) -> Ipv6Addr {
        let mut address = [0; 16];
        address.copy_from_slice(&self.header[8..24]);
        address.into()
    }

    /// Destination address.
    pub fn destination(&self) -> Ipv6Addr {
        let mut address = [0; 16];
        address.copy_from_slice(&self.header[24..40]);
        address.into()
    }

    /// Number of the header that follows the fixed one.
    pub fn next_header(&self) -> u8 {
        self.header[6]
    }

    /// Bytes of header and payload.
    pub fn total_len(&self) -> usize {
        IPV6_HEADER_LEN + self.payload.len()
    }

    /// What follows the fixed header, extension headers included.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The protocol behind the extension headers, and where its header begins, in bytes from the start of the
    /// packet. `None` for a fragment, or if the chain of headers does not end within the packet.
    pub fn upper_layer(&self) -> Option<(u8, usize)> {
        const HOP_BY_HOP: u8 = 0;
        const ROUTING: u8 = 43;
        const FRAGMENT: u8 = 44;
        const DESTINATION_OPTIONS: u8 = 60;

        let mut next = self.next_header();
        let mut offset = 0;
        loop {
            match next {
                FRAGMENT => return None,
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                    let [following, units] = *self.payload.get(offset..)?.first_chunk()?;
                    next = following;
                    offset += 8 * (usize::from(units) + 1);
                }
                protocol if offset <= self.payload.len() => {
                    return Some((protocol, IPV6_HEADER_LEN + offset));
                }
                _ => return None,
            }
        }
    }
}

fn expect_version(first: u8, expected: u8) -> Result<(), Error> {
    match first >> 4 {
        found if found == expected => Ok(()),
        found => Err(Error::IpVersion { expected, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [u8; 22] =
        [0x45, 0, 0, 21, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, 0xaa, 0xbb];

    #[test]
    fn ipv4_fields() {
        let packet = Ipv4Packet::new_checked(&V4).unwrap();
        assert_eq!(packet.source(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(packet.destination(), Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!((packet.protocol(), packet.header_len(), packet.total_len()), (17, 20, 21));
        assert_eq!(packet.payload(), [0xaa], "the byte behind the total length is padding");
        assert!(!packet.is_fragment());
    }

    #[test]
    fn ipv4_lengths_are_checked() {
        let with = |at: usize, byte| {
            let mut bytes = V4;
            bytes[at] = byte;
            Ipv4Packet::new_checked(&bytes).map(drop)
        };
        let header = |claimed| Err(Error::Length { what: "IPv4 header", claimed, min: 20, max: 22 });
        assert_eq!(with(0, 0x44), header(16));
        assert_eq!(with(0, 0x46), header(24));
        assert_eq!(with(3, 19), Err(Error::Length { what: "IPv4", claimed: 19, min: 20, max: 22 }));
        assert_eq!(with(3, 23), Err(Error::Length { what: "IPv4", claimed: 23, min: 20, max: 22 }));
        assert_eq!(with(3, 20), Ok(()));
        assert_eq!(with(0, 0x65), Err(Error::IpVersion { expected: 4, found: 6 }));
        let cut = Error::Truncated { what: "IPv4 header", needed: 20, have: 19 };
        assert_eq!(Ipv4Packet::new_checked(&V4[..19]), Err(cut));
    }

    fn v6(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, u8::try_from(payload.len()).unwrap(), next_header, 64];
        bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn ipv6_fields() {
        let mut bytes = v6(17, &[1, 2, 3]);
        bytes.push(0);
        let packet = Ipv6Packet::new_checked(&bytes).unwrap();
        assert_eq!(packet.source(), "2001:db8::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!(packet.destination(), "2001:db8::2".parse::<Ipv6Addr>().unwrap());
        assert_eq!((packet.next_header(), packet.total_len()), (17, 43));
        assert_eq!(packet.payload(), [1, 2, 3]);
        assert_eq!(packet.upper_layer(), Some((17, 40)));
    }

    #[test]
    fn ipv6_lengths_are_checked() {
        let mut bytes = v6(17, &[1, 2, 3]);
        bytes[5] = 4;
        let past = Error::Length { what: "IPv6", claimed: 4, min: 0, max: 3 };
        assert_eq!(Ipv6Packet::new_checked(&bytes), Err(past));
        let cut = Error::Truncated { what: "IPv6 header", needed: 40, have: 39 };
        assert_eq!(Ipv6Packet::new_checked(&bytes[..39]), Err(cut));
        bytes[0] = 0x45;
        let version = Error::IpVersion { expected: 6, found: 4 };
        assert_eq!(Ipv6Packet::new_checked(&bytes), Err(version));
    }

    #[test]
    fn upper_layer_follows_the_chain_of_headers() {
        let upper = |next, payload: &[u8]| Ipv6Packet::new_checked(&v6(next, payload)).unwrap().upper_layer();
        assert_eq!(upper(0, &[43, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]), Some((6, 56)));
        assert_eq!(upper(60, &[58, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some((58, 56)));
        assert_eq!(upper(59, &[]), Some((59, 40)), "no next header");
        assert_eq!(upper(44, &[6, 0, 0, 0, 0, 0, 0, 0]), None, "fragment");
        assert_eq!(upper(0, &[6, 0, 0, 0, 0, 0, 0]), None, "header cut off");
        assert_eq!(upper(0, &[6, 1, 0, 0, 0, 0, 0, 0]), None, "header past the end");
        assert_eq!(upper(0, &[]), None);
    }
}
