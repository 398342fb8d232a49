//! IP Control Protocol: options (RFC 1332 §3, RFC 1877 §1).

use std::net::Ipv4Addr;

use crate::Error;
use crate::cp::{CpOption, emit_option};
use crate::ppp::Protocol;
use crate::reader::Reader;

/// An IPCP configuration option. An address of 0.0.0.0 asks the peer for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpcpOption<'a> {
    /// IP-Addresses, deprecated (RFC 1332 §3.1).
    IpAddresses {
        /// The sender's own address.
        source: Ipv4Addr,
        /// The address that it wants the receiver to have.
        destination: Ipv4Addr,
    },
    /// IP-Compression-Protocol (RFC 1332 §3.2).
    IpCompression {
        /// The IP-Compression-Protocol field, 0x002d for Van Jacobson.
        protocol: Protocol,
        /// What follows it.
        data: &'a [u8],
    },
    /// IP-Address: the sender's own (RFC 1332 §3.3).
    IpAddress(Ipv4Addr),
    /// Primary DNS server (RFC 1877 §1.1).
    PrimaryDns(Ipv4Addr),
    /// Primary NBNS server (RFC 1877 §1.2).
    PrimaryNbns(Ipv4Addr),
    /// Secondary DNS server (RFC 1877 §1.3).
    SecondaryDns(Ipv4Addr),
    /// Secondary NBNS server (RFC 1877 §1.4).
    SecondaryNbns(Ipv4Addr),
    /// An option without a name here.
    Unknown(CpOption<'a>),
}

const IP_ADDRESSES: u8 = 1;
const IP_COMPRESSION: u8 = 2;
const IP_ADDRESS: u8 = 3;
const PRIMARY_DNS: u8 = 129;
const PRIMARY_NBNS: u8 = 130;
const SECONDARY_DNS: u8 = 131;
const SECONDARY_NBNS: u8 = 132;

impl<'a> IpcpOption<'a> {
    /// Reads the data of one option.
    ///
    /// # Errors
    /// [`Error::OptionLength`] if a known option has a size that it cannot have.
    pub fn parse(option: CpOption<'a>) -> Result<Self, Error> {
        let CpOption { kind, data } = option;
        let bad_length = Error::OptionLength { protocol: "IPCP", kind, len: data.len() };
        let address = || <[u8; 4]>::try_from(data).map(Ipv4Addr::from).map_err(|_| bad_length);
        match kind {
            IP_ADDRESSES => {
                let (source, destination) = data.split_first_chunk::<4>().ok_or(bad_length)?;
                let destination = <[u8; 4]>::try_from(destination).map_err(|_| bad_length)?;
                Ok(Self::IpAddresses { source: (*source).into(), destination: destination.into() })
            }
            IP_COMPRESSION => {
                let mut reader = Reader::new(data);
                let protocol = reader.u16("IP-Compression-Protocol").map_err(|_| bad_length)?;
                Ok(Self::IpCompression { protocol: protocol.into(), data: reader.rest() })
            }
            IP_ADDRESS => address().map(Self::IpAddress),
            PRIMARY_DNS => address().map(Self::PrimaryDns),
            PRIMARY_NBNS => address().map(Self::PrimaryNbns),
            SECONDARY_DNS => address().map(Self::SecondaryDns),
            SECONDARY_NBNS => address().map(Self::SecondaryNbns),
            _ => Ok(Self::Unknown(option)),
        }
    }

    /// The Type octet.
    pub fn kind(&self) -> u8 {
        match self {
            Self::IpAddresses { .. } => IP_ADDRESSES,
            Self::IpCompression { .. } => IP_COMPRESSION,
            Self::IpAddress(_) => IP_ADDRESS,
            Self::PrimaryDns(_) => PRIMARY_DNS,
            Self::PrimaryNbns(_) => PRIMARY_NBNS,
            Self::SecondaryDns(_) => SECONDARY_DNS,
            Self::SecondaryNbns(_) => SECONDARY_NBNS,
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
            Self::IpAddresses { source, destination } => put(&[&source.octets(), &destination.octets()]),
            Self::IpCompression { protocol, data } => put(&[&protocol.to_be_bytes(), data]),
            Self::IpAddress(address)
            | Self::PrimaryDns(address)
            | Self::PrimaryNbns(address)
            | Self::SecondaryDns(address)
            | Self::SecondaryNbns(address) => put(&[&address.octets()]),
            Self::Unknown(option) => put(&[option.data]),
        }
    }
}
