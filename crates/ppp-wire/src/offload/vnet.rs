//! The header of a virtio network device (Virtual I/O Device 1.2 §5.1.6), as a TUN with `IFF_VNET_HDR` has it.

/// How a packet is to be cut into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GsoType {
    /// It is not.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams, not fragments, over either (`VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpL4,
    /// Anything else, which nobody asked for.
    Unknown(u8),
}

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// A TCP packet with CWR, which only its first segment keeps.
const GSO_ECN: u8 = 0x80;

const FLAG_NEEDS_CSUM: u8 = 1;

/// Where a checksum is still to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// First byte that is summed, from the start of the packet.
    pub start: u16,
    /// The checksum field, from `start`. It holds the sum of the pseudo-header.
    pub offset: u16,
}

/// What precedes each packet of the TUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// How to cut it.
    pub gso_type: GsoType,
    /// Bytes of headers, as a hint.
    pub header_len: u16,
    /// Payload of each segment but the last in bytes.
    pub gso_size: u16,
    /// The checksum that is missing, if any.
    pub checksum: Option<PartialChecksum>,
}

impl VnetHeader {
    /// Bytes of the header.
    pub const LEN: usize = 10;

    /// Reads a header. Every value is one.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LEN]) -> Self {
        // In the machine's byte order, unless TUNSETVNETLE or TUNSETVNETBE was used.
        let [flags, gso_type, len @ .., s0, s1, o0, o1] = *bytes;
        let [h0, h1, g0, g1] = len;
        let gso_type = match gso_type & !GSO_ECN {
            GSO_NONE => GsoType::None,
            GSO_TCPV4 => GsoType::TcpV4,
            GSO_TCPV6 => GsoType::TcpV6,
            GSO_UDP_L4 => GsoType::UdpL4,
            other => GsoType::Unknown(other),
        };
        Self {
            gso_type,
            header_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            checksum: (flags & FLAG_NEEDS_CSUM != 0).then(|| PartialChecksum {
                start: u16::from_ne_bytes([s0, s1]),
                offset: u16::from_ne_bytes([o0, o1]),
            }),
        }
    }

    /// The header as the kernel takes it.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let flags = if self.checksum.is_some() { FLAG_NEEDS_CSUM } else { 0 };
        let gso_type = match self.gso_type {
            GsoType::None => GSO_NONE,
            GsoType::TcpV4 => GSO_TCPV4,
            GsoType::TcpV6 => GSO_TCPV6,
            GsoType::UdpL4 => GSO_UDP_L4,
            GsoType::Unknown(other) => other,
        };
        let [h0, h1] = self.header_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let (start, offset) = self.checksum.map_or((0, 0), |checksum| (checksum.start, checksum.offset));
        let ([s0, s1], [o0, o1]) = (start.to_ne_bytes(), offset.to_ne_bytes());
        [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_header_both_ways() {
        let header = VnetHeader {
            gso_type: GsoType::TcpV6,
            header_len: 60,
            gso_size: 1432,
            checksum: Some(PartialChecksum { start: 40, offset: 16 }),
        };
        let bytes = [1, 4, 60, 0, 0x98, 0x05, 40, 0, 16, 0];
        assert_eq!(header.emit(), bytes);
        assert_eq!(VnetHeader::parse(&bytes), header);
        assert_eq!(VnetHeader::default().emit(), [0; 10]);
        let congested = [1, 0x81, 60, 0, 0x98, 0x05, 40, 0, 16, 0];
        assert_eq!(VnetHeader::parse(&congested).gso_type, GsoType::TcpV4);
        assert_eq!(VnetHeader::parse(&[2, 3, 0, 0, 0, 0, 0, 0, 0, 0]).gso_type, GsoType::Unknown(3));
    }
}
