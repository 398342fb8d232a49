use super::{Code, HEADER_LEN, TAG_HEADER_LEN, TagType, emit_header};
use crate::Error;
use crate::ethernet::{self, EthernetHeader, MIN_FRAME_LEN};

/// The largest PADI in bytes, PPPoE header included: it leaves room for a relay's tag (RFC 2516 §5.1).
pub const MAX_PADI_LEN: usize = 1484;

/// The largest discovery packet in bytes, PPPoE header included: the payload of an Ethernet frame.
pub const MAX_DISCOVERY_LEN: usize = 1500;

/// Writes one discovery frame, from the Ethernet header to the padding.
///
/// ```
/// use ppp_wire::MacAddr;
/// use ppp_wire::ethernet::{EtherType, EthernetHeader};
/// use ppp_wire::pppoe::{Code, DiscoveryBuilder, TagType};
///
/// let header = EthernetHeader {
///     destination: MacAddr::BROADCAST,
///     source: MacAddr([2, 0, 0, 0, 0, 1]),
///     ether_type: EtherType::PppoeDiscovery,
/// };
/// let mut padi = DiscoveryBuilder::new(&header, Code::Padi, 0);
/// padi.tag(TagType::ServiceName, b"")?;
/// assert_eq!(padi.finish().len(), 60);
/// # Ok::<(), ppp_wire::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DiscoveryBuilder {
    frame: Vec<u8>,
    code: Code,
    session_id: u16,
    /// Bytes of tags that still fit.
    room: usize,
}

impl DiscoveryBuilder {
    /// Begins a frame. A PADI may have 1484 bytes of PPPoE packet, every other code 1500.
    pub fn new(header: &EthernetHeader, code: Code, session_id: u16) -> Self {
        let limit = if code == Code::Padi { MAX_PADI_LEN } else { MAX_DISCOVERY_LEN };
        let mut frame = Vec::with_capacity(MIN_FRAME_LEN);
        frame.extend_from_slice(&header.emit());
        frame.extend_from_slice(&emit_header(code, session_id, 0));
        Self { frame, code, session_id, room: limit - HEADER_LEN }
    }

    /// Lowers the limit to the MTU of an interface that cannot carry 1500 bytes. Call it before the first tag.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.room = self.room.min(usize::from(mtu).saturating_sub(HEADER_LEN));
        self
    }

    /// Appends a tag.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the packet would pass its limit. The frame is then as it was before the call, so that
    /// a tag that is only nice to have can be left out.
    pub fn tag(&mut self, kind: TagType, value: &[u8]) -> Result<&mut Self, Error> {
        let too_long = Error::TooLong {
            what: "PPPoE tag",
            len: value.len(),
            max: self.room.saturating_sub(TAG_HEADER_LEN),
        };
        let length = u16::try_from(value.len()).map_err(|_| too_long)?;
        self.room = self.room.checked_sub(TAG_HEADER_LEN + value.len()).ok_or(too_long)?;
        self.frame.extend_from_slice(&u16::from(kind).to_be_bytes());
        self.frame.extend_from_slice(&length.to_be_bytes());
        self.frame.extend_from_slice(value);
        Ok(self)
    }

    /// Fills in LENGTH, and pads to the smallest Ethernet frame.
    pub fn finish(mut self) -> Vec<u8> {
        let payload = self.frame.len() - ethernet::HEADER_LEN - HEADER_LEN;
        // `room` keeps the payload under 1500 bytes.
        let length = u16::try_from(payload).unwrap_or(u16::MAX);
        let header = emit_header(self.code, self.session_id, length);
        if let Some(field) = self.frame.get_mut(ethernet::HEADER_LEN..ethernet::HEADER_LEN + HEADER_LEN) {
            field.copy_from_slice(&header);
        }
        if self.frame.len() < MIN_FRAME_LEN {
            self.frame.resize(MIN_FRAME_LEN, 0);
        }
        self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MacAddr;
    use crate::ethernet::{EtherType, EthernetFrame};
    use crate::pppoe::{PppoePacket, Tag};

    const HEADER: EthernetHeader = EthernetHeader {
        destination: MacAddr::BROADCAST,
        source: MacAddr([2, 0, 0, 0, 0, 1]),
        ether_type: EtherType::PppoeDiscovery,
    };

    /// The packet of RFC 2516 appendix B.1 with its Service-Name empty, then Host-Uniq.
    const PADI: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x88, 0x63, // Ethernet
        0x11, 0x09, 0x00, 0x00, 0x00, 0x0c, // PPPoE, 12 bytes of tags
        0x01, 0x01, 0x00, 0x00, // Service-Name
        0x01, 0x03, 0x00, 0x04, 0xde, 0xad, 0xbe, 0xef, // Host-Uniq
    ];

    #[test]
    fn padi_both_ways() {
        let mut builder = DiscoveryBuilder::new(&HEADER, Code::Padi, 0);
        builder.tag(TagType::ServiceName, b"").unwrap();
        builder.tag(TagType::HostUniq, &[0xde, 0xad, 0xbe, 0xef]).unwrap();
        let frame = builder.finish();
        assert_eq!(frame[..32], PADI);
        assert_eq!(frame[32..], [0; 28]);

        let packet = PppoePacket::new_checked(EthernetFrame::new_checked(&frame).unwrap().payload()).unwrap();
        assert_eq!((packet.code(), packet.session_id()), (Code::Padi, 0));
        let tags: Result<Vec<_>, _> = packet.tags().collect();
        assert_eq!(
            tags.unwrap(),
            [
                Tag { kind: TagType::ServiceName, value: b"" },
                Tag { kind: TagType::HostUniq, value: &[0xde, 0xad, 0xbe, 0xef] },
            ]
        );
    }

    #[test]
    fn limits_count_the_pppoe_header() {
        for (code, mtu, limit) in [
            (Code::Padi, 1500, 1484),
            (Code::Pado, 1500, 1500),
            (Code::Pado, 9000, 1500),
            (Code::Pado, 576, 576),
        ] {
            let fits = vec![0x55; limit - HEADER_LEN - TAG_HEADER_LEN];
            let mut builder = DiscoveryBuilder::new(&HEADER, code, 0).mtu(mtu);
            builder.tag(TagType::HostUniq, &fits).unwrap();
            let refused = builder.tag(TagType::Motm, b"").map(drop);
            assert_eq!(refused, Err(Error::TooLong { what: "PPPoE tag", len: 0, max: 0 }));
            let frame = builder.finish();
            assert_eq!(frame.len(), 14 + limit);
            assert_eq!(usize::from(u16::from_be_bytes([frame[18], frame[19]])), limit - HEADER_LEN);
        }
    }

    #[test]
    fn a_refused_tag_leaves_the_frame_alone() {
        let mut builder = DiscoveryBuilder::new(&HEADER, Code::Padi, 0);
        assert!(builder.tag(TagType::HostUniq, &[0; 1475]).is_err());
        assert!(builder.tag(TagType::HostUniq, &[0; 70_000]).is_err());
        builder.tag(TagType::HostUniq, &[0; 1474]).unwrap();
    }
}
