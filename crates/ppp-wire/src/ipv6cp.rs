//! IPv6 Control Protocol: options (RFC 5072 §4).

use std::net::Ipv6Addr;

use crate::Error;
use crate::cp::CpOption;

/// An IPV6CP configuration option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6cpOption<'a> {
    /// Interface-Identifier; zero asks the peer for one (RFC 5072 §4.1).
    InterfaceIdentifier([u8; 8]),
    /// An option without a name here.
    Unknown(CpOption<'a>),
}

const INTERFACE_IDENTIFIER: u8 = 1;

/// The link-local address of the end of a link that has this Interface-Identifier: `fe80::/64` and the identifier
/// (RFC 5072 §5).
pub fn link_local(identifier: [u8; 8]) -> Ipv6Addr {
    let [a, b, c, d, e, f, g, h] = identifier;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

impl<'a> Ipv6cpOption<'a> {
    /// Reads the data of one option.
    ///
    /// # Errors
    /// [`Error::OptionLength`] if an Interface-Identifier is not 8 bytes.
    pub fn parse(option: CpOption<'a>) -> Result<Self, Error> {
        let CpOption { kind, data } = option;
        match kind {
            INTERFACE_IDENTIFIER => data
                .try_into()
                .map(Self::InterfaceIdentifier)
                .map_err(|_| Error::OptionLength { protocol: "IPV6CP", kind, len: data.len() }),
            _ => Ok(Self::Unknown(option)),
        }
    }

    /// The Type octet.
    pub fn kind(&self) -> u8 {
        match self {
            Self::InterfaceIdentifier(_) => INTERFACE_IDENTIFIER,
            Self::Unknown(option) => option.kind,
        }
    }

    /// Appends the option to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the data of an unknown option does not fit.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::InterfaceIdentifier(identifier) => {
                CpOption { kind: INTERFACE_IDENTIFIER, data: identifier }.emit(out)
            }
            Self::Unknown(option) => option.emit(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_the_low_half_of_the_link_local_address() {
        let address = link_local([0x02, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55]);
        assert_eq!(address.to_string(), "fe80::211:22ff:fe33:4455");
    }
}
