//! ICMP Echo in IPv4 packets (RFC 792), made and read without the kernel.

use std::net::Ipv4Addr;

use ppp_wire::ip::Ipv4Packet;

const IP_HEADER_LEN: usize = 20;
const ICMP_HEADER_LEN: usize = 8;

/// Bytes that an echo adds to its data.
pub(super) const OVERHEAD: usize = IP_HEADER_LEN + ICMP_HEADER_LEN;

const PROTOCOL_ICMP: u8 = 1;

/// RFC 792, page 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Reply,
}

/// An Echo or Echo Reply message and its IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    pub(super) kind: Kind,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) identifier: u16,
    pub(super) sequence: u16,
    pub(super) data: &'a [u8],
}

impl<'a> Echo<'a> {
    /// `None` for whatever is not a whole, intact echo.
    pub(super) fn parse(packet: &'a [u8]) -> Option<Self> {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        if ip.protocol() != PROTOCOL_ICMP || ip.is_fragment() {
            return None;
        }
        let message = ip.payload();
        let (&[kind, code, _, _, i0, i1, s0, s1], data) = message.split_first_chunk::<ICMP_HEADER_LEN>()?;
        let kind = match (kind, code) {
            (8, 0) => Kind::Request,
            (0, 0) => Kind::Reply,
            _ => return None,
        };
        let intact = checksum(packet.get(..ip.header_len())?) == 0 && checksum(message) == 0;
        intact.then(|| Self {
            kind,
            source: ip.source(),
            destination: ip.destination(),
            identifier: u16::from_be_bytes([i0, i1]),
            sequence: u16::from_be_bytes([s0, s1]),
            data,
        })
    }

    /// The answer to a request.
    pub(super) fn reply(&self) -> Self {
        Self { kind: Kind::Reply, source: self.destination, destination: self.source, ..*self }
    }

    /// The whole IPv4 packet. Data that is longer than a packet can be is cut.
    pub(super) fn to_packet(self) -> Vec<u8> {
        let room = usize::from(u16::MAX) - OVERHEAD;
        let data = self.data.get(..room).unwrap_or(self.data);
        let total_len = u16::try_from(OVERHEAD + data.len()).unwrap_or(u16::MAX);

        let mut packet = vec![0x45, 0];
        packet.extend(total_len.to_be_bytes());
        // Identification 0, Don't Fragment, TTL 64, checksum to come.
        packet.extend([0, 0, 0x40, 0, 64, PROTOCOL_ICMP, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        let sum = checksum(&packet);
        put(&mut packet, 10, sum);

        packet.extend([if self.kind == Kind::Request { 8 } else { 0 }, 0, 0, 0]);
        packet.extend(self.identifier.to_be_bytes());
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(data);
        let sum = checksum(packet.get(IP_HEADER_LEN..).unwrap_or_default());
        put(&mut packet, IP_HEADER_LEN + 2, sum);
        packet
    }
}

fn put(packet: &mut [u8], at: usize, value: u16) {
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071). Over bytes that hold their own checksum it is 0.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = bytes
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(high) << 8,
            _ => 0,
        })
        .sum();
    while sum > u64::from(u16::MAX) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Echo of "abc" with checksums worked out by hand.
    const PACKET: [u8; 31] = [
        0x45, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x26, 0xdc, // IPv4
        10, 0, 0, 2, 10, 0, 0, 1, // addresses
        0x08, 0x00, 0x2e, 0xca, 0x04, 0xd2, 0x00, 0x01, // ICMP
        0x61, 0x62, 0x63,
    ];

    const ECHO: Echo<'static> = Echo {
        kind: Kind::Request,
        source: Ipv4Addr::new(10, 0, 0, 2),
        destination: Ipv4Addr::new(10, 0, 0, 1),
        identifier: 1234,
        sequence: 1,
        data: b"abc",
    };

    #[test]
    fn both_ways() {
        assert_eq!(ECHO.to_packet(), PACKET);
        assert_eq!(Echo::parse(&PACKET), Some(ECHO));
        let mut padded = PACKET.to_vec();
        padded.extend([0; 15]);
        assert_eq!(Echo::parse(&padded), Some(ECHO), "Ethernet's padding is not data");
    }

    #[test]
    fn a_reply_goes_back() {
        let reply = ECHO.reply();
        assert_eq!(
            (reply.kind, reply.source, reply.destination),
            (Kind::Reply, ECHO.destination, ECHO.source)
        );
        assert_eq!(Echo::parse(&reply.to_packet()), Some(reply));
    }

    #[test]
    fn any_changed_byte_is_seen() {
        for position in 0..PACKET.len() {
            let mut changed = PACKET;
            changed[position] ^= 0x01;
            assert_eq!(Echo::parse(&changed), None, "byte {position}");
            assert_eq!(Echo::parse(&PACKET[..position]), None, "cut to {position}");
        }
    }
}
