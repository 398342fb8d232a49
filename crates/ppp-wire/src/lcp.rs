//! Link Control Protocol: codes, options and bodies (RFC 1661 §5 and §6, RFC 1570).

use crate::Error;
use crate::cp::{CpOption, emit_option};
use crate::macros::open_enum;
use crate::ppp::Protocol;
use crate::reader::Reader;

/// The MRU in bytes of a link that did not negotiate one (RFC 1661 §6.1).
pub const DEFAULT_MRU: u16 = 1500;

open_enum! {
    /// The Code octet of LCP (RFC 1661 §5, RFC 1570 §2.1 and §2.2).
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
        /// Answers a protocol that is not known.
        ProtocolReject = 8,
        /// Asks whether the peer is there.
        EchoRequest = 9,
        /// Answers an Echo-Request.
        EchoReply = 10,
        /// To be thrown away.
        DiscardRequest = 11,
        /// Says what the sender is.
        Identification = 12,
        /// Says how many seconds are left.
        TimeRemaining = 13,
    }
}

open_enum! {
    /// The Algorithm octet of an Authentication-Protocol option for CHAP (RFC 1994 §3 and IANA).
    pub enum ChapAlgorithm(u8) {
        /// MD5 (RFC 1994).
        Md5 = 5,
        /// SHA-1 (IANA).
        Sha1 = 6,
        /// MS-CHAP (RFC 2433).
        MsChapV1 = 0x80,
        /// MS-CHAP-V2 (RFC 2759).
        MsChapV2 = 0x81,
    }
}

/// The value of an Authentication-Protocol option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthProtocol<'a> {
    /// Password Authentication Protocol.
    Pap,
    /// Challenge-Handshake Authentication Protocol.
    Chap(ChapAlgorithm),
    /// Another protocol, with its data.
    Other {
        /// The Authentication-Protocol field.
        protocol: Protocol,
        /// What follows it.
        data: &'a [u8],
    },
}

/// An LCP configuration option (RFC 1661 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LcpOption<'a> {
    /// Maximum-Receive-Unit in bytes (RFC 1661 §6.1).
    Mru(u16),
    /// Async-Control-Character-Map (RFC 1662 §7.1); PPPoE has no use for it.
    Accm(u32),
    /// Authentication-Protocol (RFC 1661 §6.2).
    AuthProtocol(AuthProtocol<'a>),
    /// Quality-Protocol (RFC 1661 §6.3).
    QualityProtocol {
        /// The Quality-Protocol field.
        protocol: Protocol,
        /// What follows it.
        data: &'a [u8],
    },
    /// Magic-Number (RFC 1661 §6.4). Zero is to be NAKed, so it is kept here.
    MagicNumber(u32),
    /// Protocol-Field-Compression (RFC 1661 §6.5).
    Pfc,
    /// Address-and-Control-Field-Compression (RFC 1661 §6.6).
    Acfc,
    /// An option without a name here.
    Unknown(CpOption<'a>),
}

const MRU: u8 = 1;
const ACCM: u8 = 2;
const AUTH_PROTOCOL: u8 = 3;
const QUALITY_PROTOCOL: u8 = 4;
const MAGIC_NUMBER: u8 = 5;
const PFC: u8 = 7;
const ACFC: u8 = 8;

impl<'a> LcpOption<'a> {
    /// Reads the data of one option.
    ///
    /// # Errors
    /// [`Error::OptionLength`] if a known option has a size that it cannot have. RFC 1661 §6 then asks for a
    /// Configure-Nak with the right one.
    pub fn parse(option: CpOption<'a>) -> Result<Self, Error> {
        let CpOption { kind, data } = option;
        let bad_length = Error::OptionLength { protocol: "LCP", kind, len: data.len() };
        let number = |data: &[u8]| data.try_into().map(u32::from_be_bytes).map_err(|_| bad_length);
        let protocol = |data: &'a [u8]| {
            let (field, rest) = data.split_first_chunk().ok_or(bad_length)?;
            Ok((Protocol::from(u16::from_be_bytes(*field)), rest))
        };
        let empty = |value| if data.is_empty() { Ok(value) } else { Err(bad_length) };
        match kind {
            MRU => data.try_into().map(|mru| Self::Mru(u16::from_be_bytes(mru))).map_err(|_| bad_length),
            ACCM => number(data).map(Self::Accm),
            AUTH_PROTOCOL => {
                let auth = match protocol(data)? {
                    (Protocol::Pap, []) => AuthProtocol::Pap,
                    (Protocol::Chap, [algorithm]) => AuthProtocol::Chap(ChapAlgorithm::from(*algorithm)),
                    (Protocol::Pap | Protocol::Chap, _) => return Err(bad_length),
                    (protocol, data) => AuthProtocol::Other { protocol, data },
                };
                Ok(Self::AuthProtocol(auth))
            }
            QUALITY_PROTOCOL => {
                let (protocol, data) = protocol(data)?;
                Ok(Self::QualityProtocol { protocol, data })
            }
            MAGIC_NUMBER => number(data).map(Self::MagicNumber),
            PFC => empty(Self::Pfc),
            ACFC => empty(Self::Acfc),
            _ => Ok(Self::Unknown(option)),
        }
    }

    /// The Type octet.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Mru(_) => MRU,
            Self::Accm(_) => ACCM,
            Self::AuthProtocol(_) => AUTH_PROTOCOL,
            Self::QualityProtocol { .. } => QUALITY_PROTOCOL,
            Self::MagicNumber(_) => MAGIC_NUMBER,
            Self::Pfc => PFC,
            Self::Acfc => ACFC,
            Self::Unknown(option) => option.kind,
        }
    }

    /// Appends the option to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the data of a variant that carries a slice does not fit one option.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let kind = self.kind();
        let mut put = |parts: &[&[u8]]| emit_option(out, kind, parts);
        match *self {
            Self::Mru(mru) => put(&[&mru.to_be_bytes()]),
            Self::Accm(number) | Self::MagicNumber(number) => put(&[&number.to_be_bytes()]),
            Self::AuthProtocol(AuthProtocol::Pap) => put(&[&Protocol::Pap.to_be_bytes()]),
            Self::AuthProtocol(AuthProtocol::Chap(algorithm)) => {
                put(&[&Protocol::Chap.to_be_bytes(), &[algorithm.into()]])
            }
            Self::AuthProtocol(AuthProtocol::Other { protocol, data })
            | Self::QualityProtocol { protocol, data } => put(&[&protocol.to_be_bytes(), data]),
            Self::Pfc | Self::Acfc => put(&[]),
            Self::Unknown(option) => put(&[option.data]),
        }
    }
}

/// Body of Echo-Request, Echo-Reply, Discard-Request and Identification: a Magic-Number, then anything
/// (RFC 1661 §5.8 and §5.9, RFC 1570 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MagicBody<'a> {
    /// The sender's Magic-Number, 0 if it has not negotiated one.
    pub magic_number: u32,
    /// Data of an echo or discard, message of an Identification.
    pub data: &'a [u8],
}

impl<'a> MagicBody<'a> {
    /// Reads the data of a control packet.
    ///
    /// # Errors
    /// [`Error::Truncated`] under 4 bytes.
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(data);
        Ok(Self { magic_number: reader.u32("Magic-Number")?, data: reader.rest() })
    }

    /// Appends the body to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.magic_number.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// Body of Time-Remaining (RFC 1570 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRemaining<'a> {
    /// The sender's Magic-Number, 0 if it has not negotiated one.
    pub magic_number: u32,
    /// Seconds left; `u32::MAX` means for ever.
    pub seconds_remaining: u32,
    /// Text for people.
    pub message: &'a [u8],
}

impl<'a> TimeRemaining<'a> {
    /// Reads the data of a control packet.
    ///
    /// # Errors
    /// [`Error::Truncated`] under 8 bytes.
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(data);
        Ok(Self {
            magic_number: reader.u32("Magic-Number")?,
            seconds_remaining: reader.u32("Seconds-Remaining")?,
            message: reader.rest(),
        })
    }

    /// Appends the body to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.magic_number.to_be_bytes());
        out.extend_from_slice(&self.seconds_remaining.to_be_bytes());
        out.extend_from_slice(self.message);
    }
}

/// Body of Protocol-Reject (RFC 1661 §5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolReject<'a> {
    /// The protocol that is refused.
    pub rejected_protocol: Protocol,
    /// The refused Information field, cut to the peer's MRU by whoever makes the packet.
    pub rejected_information: &'a [u8],
}

impl<'a> ProtocolReject<'a> {
    /// Reads the data of a control packet.
    ///
    /// # Errors
    /// [`Error::Truncated`] under 2 bytes.
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(data);
        Ok(Self {
            rejected_protocol: reader.u16("Rejected-Protocol")?.into(),
            rejected_information: reader.rest(),
        })
    }

    /// Appends the body to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rejected_protocol.to_be_bytes());
        out.extend_from_slice(self.rejected_information);
    }
}

/// Body of Code-Reject (RFC 1661 §5.6): a copy of the refused packet, perhaps cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeReject<'a> {
    /// The Code octet that is refused.
    pub rejected_code: u8,
    /// The refused packet from its Code octet on, cut to the peer's MRU by whoever makes the packet.
    pub rejected_packet: &'a [u8],
}

impl<'a> CodeReject<'a> {
    /// Reads the data of a control packet.
    ///
    /// # Errors
    /// [`Error::Truncated`] if not even the refused Code is there.
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        Ok(Self { rejected_code: Reader::new(data).u8("Rejected-Packet")?, rejected_packet: data })
    }

    /// Appends the body to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.rejected_packet);
    }
}
