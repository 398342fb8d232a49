//! Where the headers of a TCP or UDP packet are, and their fields.

use std::ops::Range;

use super::checksum::Sum;
use crate::ip::{Ipv4Packet, Ipv6Packet, PROTOCOL_TCP, PROTOCOL_UDP};

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const ECE: u8 = 0x40;
pub(super) const CWR: u8 = 0x80;

pub(super) const UDP_HEADER_LEN: usize = 8;
const TCP_MIN_HEADER_LEN: usize = 20;

/// Where IPv4 has what (RFC 791 §3.1).
pub(super) mod v4 {
    use std::ops::Range;

    pub(crate) const LENGTH: usize = 2;
    pub(crate) const IDENTIFICATION: usize = 4;
    pub(crate) const FLAGS: usize = 6;
    pub(crate) const CHECKSUM: usize = 10;
    pub(crate) const ADDRESSES: Range<usize> = 12..20;
    pub(crate) const HEADER_LEN: usize = 20;
    pub(crate) const DONT_FRAGMENT: u8 = 0x40;
}

/// Where IPv6 has what (RFC 8200 §3).
pub(super) mod v6 {
    use std::ops::Range;

    pub(crate) const LENGTH: usize = 4;
    pub(crate) const ADDRESSES: Range<usize> = 8..40;
    pub(crate) const HEADER_LEN: usize = 40;
}

/// Where TCP has what (RFC 9293 §3.1).
pub(super) mod tcp {
    pub(crate) const SEQUENCE: usize = 4;
    pub(crate) const DATA_OFFSET: usize = 12;
    pub(crate) const FLAGS: usize = 13;
    pub(crate) const CHECKSUM: usize = 16;
}

/// Where UDP has what (RFC 768).
pub(super) mod udp {
    pub(crate) const LENGTH: usize = 4;
    pub(crate) const CHECKSUM: usize = 6;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

impl Version {
    pub(super) fn addresses(self) -> Range<usize> {
        match self {
            Self::V4 => v4::ADDRESSES,
            Self::V6 => v6::ADDRESSES,
        }
    }
}

impl Transport {
    fn from_number(protocol: u8) -> Option<Self> {
        match protocol {
            PROTOCOL_TCP => Some(Self::Tcp),
            PROTOCOL_UDP => Some(Self::Udp),
            _ => None,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Tcp => PROTOCOL_TCP,
            Self::Udp => PROTOCOL_UDP,
        }
    }

    /// Where the checksum is, from the transport header on.
    pub(super) fn checksum(self) -> usize {
        match self {
            Self::Tcp => tcp::CHECKSUM,
            Self::Udp => udp::CHECKSUM,
        }
    }
}

/// Layout of a packet that is no fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) version: Version,
    pub(super) transport: Transport,
    /// Where the transport header begins.
    pub(super) transport_at: usize,
    /// Where the payload begins.
    pub(super) payload_at: usize,
    /// Bytes of the packet, without what pads it.
    pub(super) total_len: usize,
}

impl Layout {
    /// `None` for everything else, and if a header does not fit in.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let (version, protocol, transport_at, total_len) = match packet.first()? >> 4 {
            4 => {
                let view = Ipv4Packet::new_checked(packet).ok()?;
                if view.is_fragment() {
                    return None;
                }
                (Version::V4, view.protocol(), view.header_len(), view.total_len())
            }
            6 => {
                let view = Ipv6Packet::new_checked(packet).ok()?;
                let (protocol, transport_at) = view.upper_layer()?;
                (Version::V6, protocol, transport_at, view.total_len())
            }
            _ => return None,
        };
        let transport = Transport::from_number(protocol)?;
        let header_len = match transport {
            Transport::Tcp => {
                let units = *packet.get(transport_at + tcp::DATA_OFFSET)? >> 4;
                Some(usize::from(units) * 4).filter(|len| *len >= TCP_MIN_HEADER_LEN)?
            }
            Transport::Udp => UDP_HEADER_LEN,
        };
        let payload_at = transport_at + header_len;
        (payload_at <= total_len).then_some(Self { version, transport, transport_at, payload_at, total_len })
    }

    /// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) with `len` bytes of header and payload.
    pub(super) fn pseudo_header(&self, packet: &[u8], len: usize) -> Sum {
        let addresses = packet.get(self.version.addresses()).unwrap_or_default();
        Sum::default()
            .bytes(addresses)
            .word(self.transport.number().into())
            .word(u16::try_from(len).unwrap_or_default())
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_be_bytes(*field))
}

/// Writes a field, if there is room.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(field) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *field = value;
    }
}

/// Computes the checksum of an IPv4 header.
pub(super) fn put_ipv4_checksum(header: &mut [u8]) {
    put(header, v4::CHECKSUM, [0; 2]);
    let checksum = !Sum::default().bytes(header).fold();
    put(header, v4::CHECKSUM, checksum.to_be_bytes());
}
