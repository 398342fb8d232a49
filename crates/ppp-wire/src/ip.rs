//! The parts of IPv4 and IPv6 headers that the relay looks at (RFC 791 §3.1, RFC 8200 §3 and §4).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Error;

/// Protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

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
