//! Challenge-Handshake Authentication Protocol (RFC 1994 §4).

use std::fmt;

use crate::Error;
use crate::cp::{self, CpPacket};
use crate::reader::Reader;

/// Bytes of a Response value with the MD5 algorithm (RFC 1994 §4.1).
pub const MD5_VALUE_LEN: usize = 16;

/// A CHAP packet. `Debug` does not show the value of a response, from which a weak secret can be guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The authenticator asks.
    Challenge {
        /// Changes with every challenge.
        identifier: u8,
        /// 1 to 255 bytes that cannot be guessed.
        value: &'a [u8],
        /// Who asks.
        name: &'a [u8],
    },
    /// The peer answers.
    Response {
        /// That of the challenge.
        identifier: u8,
        /// 1 to 255 bytes; [`MD5_VALUE_LEN`] with MD5, which is for the verifier to check.
        value: &'a [u8],
        /// Who answers.
        name: &'a [u8],
    },
    /// The response was right.
    Success {
        /// That of the response.
        identifier: u8,
        /// Text for people.
        message: &'a [u8],
    },
    /// The response was wrong.
    Failure {
        /// That of the response.
        identifier: u8,
        /// Text for people.
        message: &'a [u8],
    },
}

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

impl<'a> Packet<'a> {
    /// Reads the Information field of a PPP frame. Padding after the Length is ignored.
    ///
    /// # Errors
    /// * those of [`CpPacket::new_checked`];
    /// * [`Error::UnknownCode`] for a Code other than 1 to 4;
    /// * [`Error::Truncated`] if the value runs past the Length;
    /// * [`Error::Empty`] if Value-Size is 0 ("one or more octets", RFC 1994 §4.1).
    pub fn parse(information: &'a [u8]) -> Result<Self, Error> {
        let packet = CpPacket::new_checked(information)?;
        let identifier = packet.identifier();
        match packet.code() {
            CHALLENGE => {
                let (value, name) = split_value(packet.data())?;
                Ok(Self::Challenge { identifier, value, name })
            }
            RESPONSE => {
                let (value, name) = split_value(packet.data())?;
                Ok(Self::Response { identifier, value, name })
            }
            SUCCESS => Ok(Self::Success { identifier, message: packet.data() }),
            FAILURE => Ok(Self::Failure { identifier, message: packet.data() }),
            code => Err(Error::UnknownCode { protocol: "CHAP", code }),
        }
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the value has more than 255 bytes or the packet more than 65535, [`Error::Empty`] if
    /// the value has none; `out` is then as it was.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let (code, identifier, value, text) = match *self {
            Self::Challenge { identifier, value, name } => (CHALLENGE, identifier, Some(value), name),
            Self::Response { identifier, value, name } => (RESPONSE, identifier, Some(value), name),
            Self::Success { identifier, message } => (SUCCESS, identifier, None, message),
            Self::Failure { identifier, message } => (FAILURE, identifier, None, message),
        };
        cp::emit(out, code, identifier, |out| {
            if let Some(value) = value {
                out.push(value_size(value)?);
                out.extend_from_slice(value);
            }
            out.extend_from_slice(text);
            Ok(())
        })
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, identifier, field, text) = match self {
            Self::Challenge { identifier, name, value } => {
                let mut shown = f.debug_struct("Challenge");
                shown.field("identifier", identifier).field("value", value);
                return shown.field("name", name).finish();
            }
            Self::Response { identifier, name, .. } => ("Response", identifier, "name", name),
            Self::Success { identifier, message } => ("Success", identifier, "message", message),
            Self::Failure { identifier, message } => ("Failure", identifier, "message", message),
        };
        f.debug_struct(code).field("identifier", identifier).field(field, text).finish_non_exhaustive()
    }
}

fn split_value(data: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let mut reader = Reader::new(data);
    let size = usize::from(reader.u8("Value-Size")?);
    if size == 0 {
        return Err(Error::Empty { what: "CHAP Value" });
    }
    let value = reader.bytes(size, "CHAP Value")?;
    Ok((value, reader.rest()))
}

fn value_size(value: &[u8]) -> Result<u8, Error> {
    let what = "CHAP Value";
    match u8::try_from(value.len()) {
        Ok(0) => Err(Error::Empty { what }),
        Ok(size) => Ok(size),
        Err(_) => Err(Error::TooLong { what, len: value.len(), max: usize::from(u8::MAX) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_both_ways() {
        let challenge = Packet::Challenge { identifier: 1, value: &[0xa1, 0xa2], name: b"ac" };
        let response = Packet::Response { identifier: 1, value: &[0x77; 16], name: b"" };
        let success = Packet::Success { identifier: 1, message: b"ok" };
        let failure = Packet::Failure { identifier: 2, message: b"" };
        let mut response_bytes = vec![2, 1, 0, 21, 16];
        response_bytes.extend([0x77; 16]);
        for (packet, bytes) in [
            (challenge, &b"\x01\x01\x00\x09\x02\xa1\xa2ac"[..]),
            (response, &response_bytes),
            (success, b"\x03\x01\x00\x06ok"),
            (failure, b"\x04\x02\x00\x04"),
        ] {
            let mut out = Vec::new();
            packet.emit(&mut out).unwrap();
            assert_eq!(out, bytes);
            assert_eq!(Packet::parse(bytes), Ok(packet));
        }
    }

    #[test]
    fn malformed_packets_are_refused() {
        for (bytes, error) in [
            (&[1, 1, 0, 4][..], Error::Truncated { what: "Value-Size", needed: 1, have: 0 }),
            (&[1, 1, 0, 5, 0], Error::Empty { what: "CHAP Value" }),
            (&[2, 1, 0, 6, 2, 9], Error::Truncated { what: "CHAP Value", needed: 2, have: 1 }),
            (&[2, 1, 0, 6, 2, 9, 9], Error::Truncated { what: "CHAP Value", needed: 2, have: 1 }),
            (&[0, 1, 0, 4], Error::UnknownCode { protocol: "CHAP", code: 0 }),
            (&[5, 1, 0, 4], Error::UnknownCode { protocol: "CHAP", code: 5 }),
        ] {
            assert_eq!(Packet::parse(bytes), Err(error));
        }
    }

    #[test]
    fn debug_hides_the_response() {
        let packet = Packet::Response { identifier: 1, value: &[211, 212], name: b"a" };
        let text = format!("{packet:?}");
        assert!(text.contains("97") && !text.contains("211"), "{text}");
        let packet = Packet::Challenge { identifier: 1, value: &[211, 212], name: b"a" };
        assert_eq!(format!("{packet:?}"), "Challenge { identifier: 1, value: [211, 212], name: [97] }");
    }

    #[test]
    fn values_that_do_not_fit_are_not_emitted() {
        let mut out = vec![9];
        for (value, error) in [
            (&[0; 256][..], Error::TooLong { what: "CHAP Value", len: 256, max: 255 }),
            (&[], Error::Empty { what: "CHAP Value" }),
        ] {
            assert_eq!(Packet::Challenge { identifier: 1, value, name: b"" }.emit(&mut out), Err(error));
        }
        assert_eq!(out, [9]);
    }
}
