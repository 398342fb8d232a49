//! Password Authentication Protocol (RFC 1334 §2).

use std::fmt;

use crate::Error;
use crate::cp::{self, CpPacket};
use crate::reader::Reader;

/// A PAP packet. `Debug` does not show the password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The peer says who it is. Either field has 0 to 255 bytes.
    AuthenticateRequest {
        /// Matches the answer to this request.
        identifier: u8,
        /// The Peer-ID: the name.
        peer_id: &'a [u8],
        /// The Password, in the clear.
        password: &'a [u8],
    },
    /// The peer is who it says.
    AuthenticateAck {
        /// That of the request.
        identifier: u8,
        /// Text for people, 0 to 255 bytes.
        message: &'a [u8],
    },
    /// The peer is refused.
    AuthenticateNak {
        /// That of the request.
        identifier: u8,
        /// Text for people, 0 to 255 bytes.
        message: &'a [u8],
    },
}

const AUTHENTICATE_REQUEST: u8 = 1;
const AUTHENTICATE_ACK: u8 = 2;
const AUTHENTICATE_NAK: u8 = 3;

impl<'a> Packet<'a> {
    /// Reads the Information field of a PPP frame. Padding after the Length is ignored.
    ///
    /// An Ack or Nak without a Msg-Length octet, which some peers send, has an empty message.
    ///
    /// # Errors
    /// * those of [`CpPacket::new_checked`];
    /// * [`Error::UnknownCode`] for a Code other than 1, 2 and 3;
    /// * [`Error::Truncated`] or [`Error::TrailingBytes`] if the fields do not fill the Length exactly.
    pub fn parse(information: &'a [u8]) -> Result<Self, Error> {
        let packet = CpPacket::new_checked(information)?;
        let identifier = packet.identifier();
        let mut reader = Reader::new(packet.data());
        let parsed = match packet.code() {
            AUTHENTICATE_REQUEST => Self::AuthenticateRequest {
                identifier,
                peer_id: counted(&mut reader, "Peer-ID")?,
                password: counted(&mut reader, "Password")?,
            },
            AUTHENTICATE_ACK => Self::AuthenticateAck { identifier, message: message(&mut reader)? },
            AUTHENTICATE_NAK => Self::AuthenticateNak { identifier, message: message(&mut reader)? },
            code => return Err(Error::UnknownCode { protocol: "PAP", code }),
        };
        reader.finish("PAP packet")?;
        Ok(parsed)
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] if a field has more than 255 bytes; `out` is then as it was.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match *self {
            Self::AuthenticateRequest { identifier, peer_id, password } => {
                cp::emit(out, AUTHENTICATE_REQUEST, identifier, |out| {
                    put_counted(out, "Peer-ID", peer_id)?;
                    put_counted(out, "Password", password)
                })
            }
            Self::AuthenticateAck { identifier, message } => {
                cp::emit(out, AUTHENTICATE_ACK, identifier, |out| put_counted(out, "Message", message))
            }
            Self::AuthenticateNak { identifier, message } => {
                cp::emit(out, AUTHENTICATE_NAK, identifier, |out| put_counted(out, "Message", message))
            }
        }
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, identifier, field, value) = match self {
            Self::AuthenticateRequest { identifier, peer_id, .. } => {
                ("AuthenticateRequest", identifier, "peer_id", peer_id)
            }
            Self::AuthenticateAck { identifier, message } => {
                ("AuthenticateAck", identifier, "message", message)
            }
            Self::AuthenticateNak { identifier, message } => {
                ("AuthenticateNak", identifier, "message", message)
            }
        };
        f.debug_struct(name).field("identifier", identifier).field(field, value).finish_non_exhaustive()
    }
}

fn counted<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], Error> {
    let len = reader.u8(what)?;
    reader.bytes(usize::from(len), what)
}

fn message<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    if reader.is_empty() { Ok(&[]) } else { counted(reader, "Message") }
}

fn put_counted(out: &mut Vec<u8>, what: &'static str, value: &[u8]) -> Result<(), Error> {
    let max = usize::from(u8::MAX);
    let len = u8::try_from(value.len()).map_err(|_| Error::TooLong { what, len: value.len(), max })?;
    out.push(len);
    out.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(packet: &Packet<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        packet.emit(&mut out).unwrap();
        out
    }

    #[test]
    fn packets_both_ways() {
        let request = Packet::AuthenticateRequest { identifier: 3, peer_id: b"alice", password: b"pw" };
        let ack = Packet::AuthenticateAck { identifier: 3, message: b"hi" };
        let nak = Packet::AuthenticateNak { identifier: 4, message: b"" };
        for (packet, bytes) in [
            (request, &b"\x01\x03\x00\x0d\x05alice\x02pw"[..]),
            (ack, b"\x02\x03\x00\x07\x02hi"),
            (nak, b"\x03\x04\x00\x05\x00"),
        ] {
            assert_eq!(emitted(&packet), bytes);
            assert_eq!(Packet::parse(bytes), Ok(packet));
        }
    }

    #[test]
    fn full_size_name_and_password() {
        let packet =
            Packet::AuthenticateRequest { identifier: 0, peer_id: &[b'n'; 255], password: &[b'p'; 255] };
        let bytes = emitted(&packet);
        assert_eq!(bytes.len(), 4 + 2 * 256);
        assert_eq!(Packet::parse(&bytes), Ok(packet));
        let packet = Packet::AuthenticateRequest { identifier: 0, peer_id: &[b'n'; 256], password: b"" };
        let mut out = vec![1];
        assert_eq!(packet.emit(&mut out), Err(Error::TooLong { what: "Peer-ID", len: 256, max: 255 }));
        assert_eq!(out, [1]);
    }

    #[test]
    fn answers_without_message_length_are_taken() {
        let ack = Packet::AuthenticateAck { identifier: 1, message: b"" };
        assert_eq!(Packet::parse(&[2, 1, 0, 4]), Ok(ack));
    }

    #[test]
    fn malformed_packets_are_refused() {
        let truncated = |what, needed, have| Error::Truncated { what, needed, have };
        for (bytes, error) in [
            (&[1, 1, 0, 4][..], truncated("Peer-ID", 1, 0)),
            (&[1, 1, 0, 5, 1], truncated("Peer-ID", 1, 0)),
            (&[1, 1, 0, 5, 0], truncated("Password", 1, 0)),
            (&[1, 1, 0, 6, 0, 255], truncated("Password", 255, 0)),
            (&[1, 1, 0, 7, 0, 0, 9], Error::TrailingBytes { what: "PAP packet", count: 1 }),
            (&[2, 1, 0, 5, 3], truncated("Message", 3, 0)),
            (&[4, 1, 0, 4], Error::UnknownCode { protocol: "PAP", code: 4 }),
        ] {
            assert_eq!(Packet::parse(bytes), Err(error));
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let packet = Packet::AuthenticateRequest { identifier: 1, peer_id: b"a", password: &[211, 212] };
        let text = format!("{packet:?}");
        assert!(text.contains("97") && !text.contains("211"), "{text}");
    }
}
