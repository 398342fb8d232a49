//! The Protocol field of PPP (RFC 1661 §2).

use crate::Error;
use crate::macros::open_enum;
use crate::reader::Reader;

open_enum! {
    /// The Protocol field.
    pub enum Protocol(u16) {
        /// Internet Protocol version 4 (RFC 1332).
        Ip = 0x0021,
        /// Van Jacobson compressed TCP/IP (RFC 1332).
        VjCompressedTcp = 0x002d,
        /// Van Jacobson uncompressed TCP/IP (RFC 1332).
        VjUncompressedTcp = 0x002f,
        /// Multilink (RFC 1990).
        Multilink = 0x003d,
        /// Internet Protocol version 6 (RFC 5072).
        Ipv6 = 0x0057,
        /// Compressed datagram (RFC 1962).
        Compressed = 0x00fd,
        /// IP Control Protocol (RFC 1332).
        Ipcp = 0x8021,
        /// Bridging Control Protocol (RFC 3518).
        Bcp = 0x8031,
        /// Encryption Control Protocol (RFC 1968).
        Ecp = 0x8053,
        /// IPv6 Control Protocol (RFC 5072).
        Ipv6cp = 0x8057,
        /// Compression Control Protocol (RFC 1962).
        Ccp = 0x80fd,
        /// MPLS Control Protocol (RFC 3032).
        Mplscp = 0x8281,
        /// Link Control Protocol (RFC 1661).
        Lcp = 0xc021,
        /// Password Authentication Protocol (RFC 1334).
        Pap = 0xc023,
        /// Link Quality Report (RFC 1989).
        LinkQualityReport = 0xc025,
        /// Challenge-Handshake Authentication Protocol (RFC 1994).
        Chap = 0xc223,
        /// Extensible Authentication Protocol (RFC 3748).
        Eap = 0xc227,
    }
}

impl Protocol {
    /// The field as it goes onto the wire, never compressed.
    pub fn to_be_bytes(self) -> [u8; 2] {
        u16::from(self).to_be_bytes()
    }
}

/// Splits the payload of a PPPoE session frame into Protocol and Information.
///
/// Takes what a receiver should take whatever was negotiated: Address and Control fields (ff 03) before the
/// Protocol field (RFC 1661 §6.6), and a Protocol field compressed to one octet, which is then odd (RFC 1661 §6.5).
/// A field that breaks the rules of RFC 1661 §2 (its last octet is even) comes out as [`Protocol::Unknown`], since
/// such a frame "MUST be treated as having an unrecognized Protocol".
///
/// # Errors
/// [`Error::Truncated`] if the payload ends before or inside the field.
pub fn split_protocol(payload: &[u8]) -> Result<(Protocol, &[u8]), Error> {
    // 0x00ff is never assigned, so the first ff cannot be a compressed Protocol field.
    let payload = payload.strip_prefix(&[0xff, 0x03]).unwrap_or(payload);
    let mut reader = Reader::new(payload);
    if let [first, ..] = payload
        && first & 1 == 1
    {
        let protocol = reader.u8("PPP Protocol")?;
        return Ok((Protocol::from(u16::from(protocol)), reader.rest()));
    }
    let protocol = reader.u16("PPP Protocol")?;
    Ok((Protocol::from(protocol), reader.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_compressed_and_prefixed() {
        for (bytes, protocol, information) in [
            (&[0xc0, 0x21, 1][..], Protocol::Lcp, &[1][..]),
            (&[0x00, 0x21, 0x45], Protocol::Ip, &[0x45]),
            (&[0x21, 0x45], Protocol::Ip, &[0x45]),
            (&[0x57], Protocol::Ipv6, &[]),
            (&[0xff, 0x03, 0xc2, 0x23], Protocol::Chap, &[]),
            (&[0xff, 0x03, 0x21], Protocol::Ip, &[]),
            (&[0xc0, 0x22, 9], Protocol::Unknown(0xc022), &[9]),
        ] {
            assert_eq!(split_protocol(bytes), Ok((protocol, information)), "{bytes:02x?}");
        }
    }

    #[test]
    fn cut_off_protocol_is_refused() {
        for (bytes, have) in [(&[][..], 0), (&[0xc0], 1), (&[0xff, 0x03], 0)] {
            let error = Error::Truncated { what: "PPP Protocol", needed: 2, have };
            assert_eq!(split_protocol(bytes), Err(error));
        }
    }

    #[test]
    fn protocols_keep_their_numbers() {
        for number in 0..=u16::MAX {
            assert_eq!(Protocol::from(number).to_be_bytes(), number.to_be_bytes());
        }
    }
}
