//! What all control protocols share: the packet header and the configuration options (RFC 1661 §5 and §6).
//!
//! PAP and CHAP use the same header.

use crate::Error;
use crate::macros::open_enum;
use crate::reader::Reader;

/// Bytes of Code, Identifier and Length.
pub const HEADER_LEN: usize = 4;

/// Bytes of an option's Type and Length.
pub const OPTION_HEADER_LEN: usize = 2;

/// The most data in bytes that one option can hold.
pub const MAX_OPTION_LEN: usize = u8::MAX as usize - OPTION_HEADER_LEN;

open_enum! {
    /// The codes that every control protocol has (RFC 1661 §5). LCP has more: [`crate::lcp::Code`].
    pub enum Code(u8) {
        /// Asks for options.
        ConfigureRequest = 1,
        /// Agrees to all of them.
        ConfigureAck = 2,
        /// Proposes other values.
        ConfigureNak = 3,
        /// Refuses options as such.
        ConfigureReject = 4,
        /// Asks to close.
        TerminateRequest = 5,
        /// Agrees to close.
        TerminateAck = 6,
        /// Answers a code that is not known.
        CodeReject = 7,
    }
}

/// View of a control packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpPacket<'a> {
    header: &'a [u8; HEADER_LEN],
    data: &'a [u8],
    whole: &'a [u8],
}

impl<'a> CpPacket<'a> {
    /// Checks header and Length, and cuts off what follows the Length as padding (RFC 1661 §5).
    ///
    /// # Errors
    /// * [`Error::Truncated`] under 4 bytes.
    /// * [`Error::Length`] if Length is less than 4 or runs past the end.
    pub fn new_checked(information: &'a [u8]) -> Result<Self, Error> {
        let header: &[u8; HEADER_LEN] = information.first_chunk().ok_or(Error::Truncated {
            what: "control packet header",
            needed: HEADER_LEN,
            have: information.len(),
        })?;
        let [_, _, high, low] = *header;
        let claimed = usize::from(u16::from_be_bytes([high, low]));
        let bad_length =
            Error::Length { what: "control packet", claimed, min: HEADER_LEN, max: information.len() };
        let whole = information.get(..claimed).ok_or(bad_length)?;
        let data = whole.get(HEADER_LEN..).ok_or(bad_length)?;
        Ok(Self { header, data, whole })
    }

    /// The Code octet. Which codes exist is the protocol's matter: convert into its own enum.
    pub fn code(&self) -> u8 {
        self.header[0]
    }

    /// The Identifier octet, which matches answers to questions.
    pub fn identifier(&self) -> u8 {
        self.header[1]
    }

    /// The Length field: bytes of header and data, always at least 4.
    pub fn length(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// What follows the header, cut to Length.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Header and data without padding, as a Code-Reject returns them.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.whole
    }

    /// The data of a Configure packet, option by option.
    pub fn options(&self) -> CpOptions<'a> {
        CpOptions::new(self.data)
    }
}

/// Appends a control packet to `out`: the header, then what `body` appends.
///
/// # Errors
/// Those of `body`, and [`Error::TooLong`] past 65535 bytes. `out` is then as long as it was before.
pub fn emit(
    out: &mut Vec<u8>,
    code: u8,
    identifier: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[code, identifier, 0, 0]);
    let length = body(out).and_then(|()| {
        let len = out.len() - start;
        u16::try_from(len).map_err(|_| Error::TooLong {
            what: "control packet",
            len,
            max: usize::from(u16::MAX),
        })
    });
    match length {
        Ok(length) => {
            if let Some(field) = out.get_mut(start + 2..start + HEADER_LEN) {
                field.copy_from_slice(&length.to_be_bytes());
            }
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// One configuration option, its data not yet looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpOption<'a> {
    /// The Type octet.
    pub kind: u8,
    /// What follows Type and Length; at most 253 bytes.
    pub data: &'a [u8],
}

impl CpOption<'_> {
    /// Appends the option to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] over 253 bytes of data.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        emit_option(out, self.kind, &[self.data])
    }
}

/// Appends an option whose data are `parts`, one after the other.
pub(crate) fn emit_option(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) -> Result<(), Error> {
    let len = parts.iter().map(|part| part.len()).sum();
    let length = u8::try_from(OPTION_HEADER_LEN + len).map_err(|_| Error::TooLong {
        what: "option data",
        len,
        max: MAX_OPTION_LEN,
    })?;
    out.extend_from_slice(&[kind, length]);
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// The options of a Configure packet in their order, up to the first malformed one.
#[derive(Debug, Clone)]
pub struct CpOptions<'a> {
    reader: Reader<'a>,
}

impl<'a> CpOptions<'a> {
    /// Reads the data of a Configure packet.
    pub fn new(data: &'a [u8]) -> Self {
        Self { reader: Reader::new(data) }
    }

    fn read(&mut self) -> Result<CpOption<'a>, Error> {
        let kind = self.reader.u8("option Type")?;
        let length = usize::from(self.reader.u8("option Length")?);
        let len = length.checked_sub(OPTION_HEADER_LEN).ok_or(Error::Length {
            what: "option",
            claimed: length,
            min: OPTION_HEADER_LEN,
            max: usize::from(u8::MAX),
        })?;
        let data = self.reader.bytes(len, "option data")?;
        Ok(CpOption { kind, data })
    }
}

impl<'a> Iterator for CpOptions<'a> {
    type Item = Result<CpOption<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let option = self.read();
        if option.is_err() {
            self.reader.rest();
        }
        Some(option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_both_ways() {
        let bytes = [0x01, 0x07, 0x00, 0x0a, 0x01, 0x04, 0x05, 0xd4, 0x07, 0x02];
        let mut out = vec![0xaa];
        emit(&mut out, Code::ConfigureRequest.into(), 7, |out| {
            CpOption { kind: 1, data: &[0x05, 0xd4] }.emit(out)?;
            CpOption { kind: 7, data: &[] }.emit(out)
        })
        .unwrap();
        assert_eq!(out[1..], bytes);

        let mut padded = bytes.to_vec();
        padded.extend([0; 5]);
        let packet = CpPacket::new_checked(&padded).unwrap();
        assert_eq!((packet.code(), packet.identifier(), packet.length()), (1, 7, 10));
        assert_eq!(packet.as_bytes(), bytes);
        let options: Result<Vec<_>, _> = packet.options().collect();
        assert_eq!(
            options.unwrap(),
            [CpOption { kind: 1, data: &[0x05, 0xd4] }, CpOption { kind: 7, data: &[] }]
        );
    }

    #[test]
    fn bad_lengths_are_refused() {
        let length = |claimed, max| Error::Length { what: "control packet", claimed, min: 4, max };
        for (bytes, error) in [
            (&[1, 1, 0][..], Error::Truncated { what: "control packet header", needed: 4, have: 3 }),
            (&[1, 1, 0, 3], length(3, 4)),
            (&[1, 1, 0, 0], length(0, 4)),
            (&[1, 1, 0, 5], length(5, 4)),
            (&[1, 1, 0xff, 0xff, 0], length(65535, 5)),
        ] {
            assert_eq!(CpPacket::new_checked(bytes), Err(error));
        }
    }

    #[test]
    fn options_end_after_the_first_malformed_one() {
        let good = CpOption { kind: 5, data: &[9] };
        for (bytes, error) in [
            (&[5, 3, 9, 1][..], Error::Truncated { what: "option Length", needed: 1, have: 0 }),
            (&[5, 3, 9, 1, 0, 5, 3, 9], Error::Length { what: "option", claimed: 0, min: 2, max: 255 }),
            (&[5, 3, 9, 1, 1, 5, 3, 9], Error::Length { what: "option", claimed: 1, min: 2, max: 255 }),
            (&[5, 3, 9, 1, 4, 1], Error::Truncated { what: "option data", needed: 2, have: 1 }),
        ] {
            let options: Vec<_> = CpOptions::new(bytes).collect();
            assert_eq!(options, [Ok(good), Err(error)]);
        }
    }

    #[test]
    fn a_refused_body_leaves_the_buffer_alone() {
        let mut out = vec![1, 2, 3];
        let too_long = emit(&mut out, 1, 1, |out| CpOption { kind: 1, data: &[0; 254] }.emit(out));
        assert_eq!(too_long, Err(Error::TooLong { what: "option data", len: 254, max: 253 }));
        let huge = emit(&mut out, 1, 1, |out| {
            out.resize(out.len() + 65532, 0);
            Ok(())
        });
        assert_eq!(huge, Err(Error::TooLong { what: "control packet", len: 65536, max: 65535 }));
        assert_eq!(out, [1, 2, 3]);
    }
}
