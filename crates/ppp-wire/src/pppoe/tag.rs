use crate::Error;
use crate::macros::open_enum;
use crate::reader::Reader;

/// Bytes of TAG_TYPE and TAG_LENGTH.
pub const TAG_HEADER_LEN: usize = 4;

/// The largest TAG_VALUE that TAG_LENGTH can tell.
pub const MAX_TAG_LEN: usize = u16::MAX as usize;

open_enum! {
    /// TAG_TYPE (RFC 2516 appendix A, RFC 4638 §3, draft-carrel-info-pppoe-ext).
    pub enum TagType(u16) {
        /// Ends the list; what follows is not looked at.
        EndOfList = 0x0000,
        /// The service asked for or offered; empty means any.
        ServiceName = 0x0101,
        /// The access concentrator's name.
        AcName = 0x0102,
        /// The client's own mark, which the answer carries unchanged.
        HostUniq = 0x0103,
        /// The concentrator's mark, which the PADR carries unchanged.
        AcCookie = 0x0104,
        /// Anything of one vendor, for example circuit-id and remote-id of TR-101.
        VendorSpecific = 0x0105,
        /// A relay's mark, which the answer carries unchanged.
        RelaySessionId = 0x0110,
        /// A URL for the client to show, in a PADM.
        Hurl = 0x0111,
        /// A message for the client to show, in a PADM.
        Motm = 0x0112,
        /// The largest PPP payload in bytes, more than 1492 (RFC 4638 §3).
        PppMaxPayload = 0x0120,
        /// The service cannot be had; the value may say why.
        ServiceNameError = 0x0201,
        /// The concentrator cannot make a session; the value may say why.
        AcSystemError = 0x0202,
        /// Anything else that went wrong; the value may say what.
        GenericError = 0x0203,
    }
}

/// One tag of a discovery packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// TAG_TYPE.
    pub kind: TagType,
    /// TAG_VALUE.
    pub value: &'a [u8],
}

impl Tag<'_> {
    /// The value of a tag that holds one 16-bit number, as PPP-Max-Payload does.
    ///
    /// # Errors
    /// [`Error::TagLength`] if the value is not two bytes.
    pub fn as_u16(&self) -> Result<u16, Error> {
        let bytes =
            self.value.try_into().map_err(|_| Error::TagLength { kind: self.kind, len: self.value.len() })?;
        Ok(u16::from_be_bytes(bytes))
    }
}

/// The tags of a discovery packet in their order, up to End-Of-List or the first malformed tag.
///
/// End-Of-List itself is not yielded, and what follows it is not looked at (RFC 2516 appendix A).
#[derive(Debug, Clone)]
pub struct Tags<'a> {
    reader: Reader<'a>,
}

impl<'a> Tags<'a> {
    /// Reads the payload of a discovery packet.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload) }
    }

    fn read(&mut self) -> Result<Tag<'a>, Error> {
        let kind = TagType::from(self.reader.u16("TAG_TYPE")?);
        let len = self.reader.u16("TAG_LENGTH")?;
        let value = self.reader.bytes(usize::from(len), "TAG_VALUE")?;
        Ok(Tag { kind, value })
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<Tag<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let tag = self.read();
        match tag {
            Ok(Tag { kind: TagType::EndOfList, .. }) => {
                self.reader.rest();
                None
            }
            Ok(_) => Some(tag),
            Err(_) => {
                self.reader.rest();
                Some(tag)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(payload: &[u8]) -> Vec<Result<Tag<'_>, Error>> {
        Tags::new(payload).collect()
    }

    #[test]
    fn end_of_list_hides_what_follows() {
        let payload = [0x01, 0x01, 0, 1, b'x', 0, 0, 0, 0, 0xff];
        assert_eq!(collect(&payload), [Ok(Tag { kind: TagType::ServiceName, value: b"x" })]);
    }

    #[test]
    fn iteration_ends_after_the_first_malformed_tag() {
        for (payload, error) in [
            (&[1][..], Error::Truncated { what: "TAG_TYPE", needed: 2, have: 1 }),
            (&[1, 1, 0], Error::Truncated { what: "TAG_LENGTH", needed: 2, have: 1 }),
            (&[1, 1, 0, 2, 0], Error::Truncated { what: "TAG_VALUE", needed: 2, have: 1 }),
            (&[1, 1, 0xff, 0xff], Error::Truncated { what: "TAG_VALUE", needed: 65535, have: 0 }),
        ] {
            assert_eq!(collect(payload), [Err(error)]);
        }
    }

    #[test]
    fn max_payload_is_two_bytes() {
        let tag = |value| Tag { kind: TagType::PppMaxPayload, value };
        assert_eq!(tag(&[0x05, 0xdc]).as_u16(), Ok(1500));
        assert_eq!(tag(&[5]).as_u16(), Err(Error::TagLength { kind: TagType::PppMaxPayload, len: 1 }));
    }

    #[test]
    fn tag_types_keep_their_numbers() {
        for number in 0..=u16::MAX {
            assert_eq!(u16::from(TagType::from(number)), number);
        }
        assert_eq!(TagType::from(0x0104), TagType::AcCookie);
        assert_eq!(TagType::from(0x0199), TagType::Unknown(0x0199));
    }
}
