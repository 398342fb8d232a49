//! PPPoE header, tags and frames (RFC 2516, RFC 4638).

mod builder;
mod tag;

pub use builder::{DiscoveryBuilder, MAX_DISCOVERY_LEN, MAX_PADI_LEN};
pub use tag::{MAX_TAG_LEN, TAG_HEADER_LEN, Tag, TagType, Tags};

use crate::Error;
use crate::ethernet::{self, EthernetHeader};
use crate::macros::open_enum;

/// Bytes of VER, TYPE, CODE, SESSION_ID and LENGTH.
pub const HEADER_LEN: usize = 6;

/// Bytes of the Ethernet and PPPoE headers before the PPP frame of a session.
pub const SESSION_HEADER_LEN: usize = ethernet::HEADER_LEN + HEADER_LEN;

/// The only version and type that RFC 2516 §4 defines: 1 and 1.
pub const VERSION_TYPE: u8 = 0x11;

open_enum! {
    /// The CODE octet (RFC 2516 §5 and §6).
    pub enum Code(u8) {
        /// A frame of the Session stage.
        SessionData = 0x00,
        /// PPPoE Active Discovery Offer.
        Pado = 0x07,
        /// PPPoE Active Discovery Initiation.
        Padi = 0x09,
        /// PPPoE Active Discovery Request.
        Padr = 0x19,
        /// PPPoE Active Discovery Session-confirmation.
        Pads = 0x65,
        /// PPPoE Active Discovery Terminate.
        Padt = 0xa7,
        /// PPPoE Active Discovery Message, which carries HURL and MOTM to the client
        /// (draft-carrel-info-pppoe-ext).
        Padm = 0xd3,
    }
}

/// View of a PPPoE packet: what an Ethernet frame of either PPPoE EtherType carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PppoePacket<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> PppoePacket<'a> {
    /// Checks header, version, type and LENGTH, and cuts off the Ethernet padding.
    ///
    /// # Errors
    /// * [`Error::Truncated`] under 6 bytes.
    /// * [`Error::VersionType`] for anything but version 1, type 1.
    /// * [`Error::Length`] if LENGTH runs past the end of the frame.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, rest): (&[u8; HEADER_LEN], _) = bytes.split_first_chunk().ok_or(Error::Truncated {
            what: "PPPoE header",
            needed: HEADER_LEN,
            have: bytes.len(),
        })?;
        let [version_type, .., high, low] = *header;
        if version_type != VERSION_TYPE {
            return Err(Error::VersionType(version_type));
        }
        let claimed = usize::from(u16::from_be_bytes([high, low]));
        let payload =
            rest.get(..claimed).ok_or(Error::Length { what: "PPPoE", claimed, min: 0, max: rest.len() })?;
        Ok(Self { header, payload })
    }

    /// The CODE octet.
    pub fn code(&self) -> Code {
        Code::from(self.header[1])
    }

    /// The SESSION_ID field, 0 before a session exists.
    pub fn session_id(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// As many bytes as LENGTH says.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The payload of a discovery packet, tag by tag.
    pub fn tags(&self) -> Tags<'a> {
        Tags::new(self.payload)
    }
}

/// The PPPoE header as it goes onto the wire; `length` counts the payload in bytes.
fn emit_header(code: Code, session_id: u16, length: u16) -> [u8; HEADER_LEN] {
    let [id0, id1] = session_id.to_be_bytes();
    let [len0, len1] = length.to_be_bytes();
    [VERSION_TYPE, code.into(), id0, id1, len0, len1]
}

/// Everything before the PPP frame of a session: Ethernet header and PPPoE header with CODE 0.
///
/// `length` is the size in bytes of the PPP frame, from its Protocol field on (RFC 2516 §6).
pub fn emit_session_header(
    ethernet: &EthernetHeader,
    session_id: u16,
    length: u16,
) -> [u8; SESSION_HEADER_LEN] {
    let mut header = [0; SESSION_HEADER_LEN];
    let (first, second) = header.split_at_mut(ethernet::HEADER_LEN);
    first.copy_from_slice(&ethernet.emit());
    second.copy_from_slice(&emit_header(Code::SessionData, session_id, length));
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MacAddr;
    use crate::ethernet::EtherType;

    #[test]
    fn session_frame_both_ways() {
        let bytes = [
            0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0x64, // Ethernet
            0x11, 0x00, 0x12, 0x34, 0x00, 0x02, // PPPoE
        ];
        let ethernet = EthernetHeader {
            destination: MacAddr([2, 0, 0, 0, 0, 1]),
            source: MacAddr([2, 0, 0, 0, 0, 2]),
            ether_type: EtherType::PppoeSession,
        };
        assert_eq!(emit_session_header(&ethernet, 0x1234, 2), bytes);

        let mut packet = bytes[14..].to_vec();
        packet.extend([0xc0, 0x21, 0, 0, 0]); // three bytes of padding
        let packet = PppoePacket::new_checked(&packet).unwrap();
        assert_eq!(packet.code(), Code::SessionData);
        assert_eq!(packet.session_id(), 0x1234);
        assert_eq!(packet.payload(), [0xc0, 0x21]);
    }

    #[test]
    fn malformed_headers_are_told_apart() {
        for (bytes, error) in [
            (&[0x11, 9, 0, 0, 0][..], Error::Truncated { what: "PPPoE header", needed: 6, have: 5 }),
            (&[0x21, 9, 0, 0, 0, 0], Error::VersionType(0x21)),
            (&[0x12, 9, 0, 0, 0, 0], Error::VersionType(0x12)),
            (&[0x11, 9, 0, 0, 0, 2, 0], Error::Length { what: "PPPoE", claimed: 2, min: 0, max: 1 }),
        ] {
            assert_eq!(PppoePacket::new_checked(bytes), Err(error));
        }
    }
}
