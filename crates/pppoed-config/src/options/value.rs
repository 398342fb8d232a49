//! Values of options: numbers and addresses as pppd writes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_ipc::bytes::{ByteCount, ByteCountError};
use ppp_ipc::rate::{BitRate, RateError};

use super::ValueError;
use crate::inet::{self, Resolve as _, SystemNames};

/// A number in C's notation: decimal, `0x` hexadecimal, or octal with a leading 0.
pub(super) fn number(word: &[u8], min: u32, max: u32) -> Result<u32, ValueError> {
    let text = std::str::from_utf8(word).map_err(|_| ValueError::NotANumber)?;
    let (digits, radix) = match text {
        text if text.starts_with("0x") || text.starts_with("0X") => (text.get(2..).unwrap_or_default(), 16),
        text if text.starts_with('0') && text.len() > 1 => (text, 8),
        text => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    if number.is_empty() {
        return Err(ValueError::NotANumber);
    }
    let value = u32::from_str_radix(number, radix).map_err(|_| ValueError::OutOfRange { min, max })?;
    if !rest.is_empty() {
        return Err(ValueError::NotQuiteANumber(value));
    }
    if !(min..=max).contains(&value) {
        return Err(ValueError::OutOfRange { min, max });
    }
    Ok(value)
}

/// A number as options files have it, whatever its range: decimal, hexadecimal or octal.
pub fn number_in_c(word: &[u8]) -> Option<u32> {
    number(word, 0, u32::MAX).ok()
}

/// An IPv4 address, or the name of a host.
pub(super) fn address(word: &[u8]) -> Result<Ipv4Addr, ValueError> {
    let text = std::str::from_utf8(word).map_err(|_| ValueError::NotAnAddress)?;
    match inet::parse_ipv4(text) {
        Some(address) if text.parse() == Ok(address) => Ok(address),
        Some(address) => Err(ValueError::NotQuiteAnAddress(address)),
        None => SystemNames.host(text).ok_or(ValueError::NotAnAddress),
    }
}

/// An address that a host on a PPP link may have.
pub(super) fn host_address(word: &[u8]) -> Result<Ipv4Addr, ValueError> {
    let address = address(word)?;
    if inet::is_bad_host(address) { Err(ValueError::BadAddress) } else { Ok(address) }
}

/// A limit of a session's traffic.
pub(super) fn rate(word: &[u8]) -> Result<BitRate, ValueError> {
    let text = std::str::from_utf8(word).map_err(|_| RateError::Malformed)?;
    Ok(text.parse()?)
}

/// A number of bytes: with a unit, or in the notation of C as all numbers in pppd's files.
pub(super) fn bytes(word: &[u8], max: u64) -> Result<u64, ValueError> {
    let text = std::str::from_utf8(word).map_err(|_| ByteCountError::Malformed)?;
    let is_other_radix = text.len() > 1 && text.starts_with('0');
    let count = match is_other_radix {
        true => u64::from(number(word, 0, u32::MAX)?),
        false => text.parse::<ByteCount>()?.0,
    };
    if count > max { Err(ValueError::TooManyBytes(ByteCount(max))) } else { Ok(count) }
}

/// The low 64 bits of an IPv6 address whose high 64 bits are zero.
pub(super) fn interface_identifier(word: &[u8]) -> Result<u64, ValueError> {
    let address: Ipv6Addr = std::str::from_utf8(word)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(ValueError::NotAnIdentifier)?;
    match u64::try_from(address.to_bits()) {
        Ok(0) | Err(_) => Err(ValueError::NotAnIdentifier),
        Ok(identifier) => Ok(identifier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_the_notation_of_c() {
        let range = ValueError::OutOfRange { min: 1, max: 1000 };
        let table: &[(&str, Result<u32, ValueError>)] = &[
            ("1", Ok(1)),
            ("1000", Ok(1000)),
            ("0x1F", Ok(31)),
            ("010", Ok(8)),
            ("0", Err(range.clone())),
            ("1001", Err(range.clone())),
            ("99999999999999999999", Err(range)),
            ("2.4.4", Err(ValueError::NotQuiteANumber(2))),
            ("10s", Err(ValueError::NotQuiteANumber(10))),
            ("09", Err(ValueError::NotQuiteANumber(0))),
            ("0x", Err(ValueError::NotANumber)),
            ("", Err(ValueError::NotANumber)),
            ("-1", Err(ValueError::NotANumber)),
            ("ten", Err(ValueError::NotANumber)),
        ];
        for (word, expected) in table {
            assert_eq!(number(word.as_bytes(), 1, 1000), *expected, "{word}");
        }
    }

    #[test]
    fn bytes_with_units_and_in_the_notation_of_c() {
        for (word, expected) in [
            ("0", Ok(0)),
            ("none", Ok(0)),
            ("0x10", Ok(16)),
            ("010", Ok(8)),
            ("4294967296", Ok(1 << 32)),
            ("50G", Ok(50 << 30)),
            ("2T", Err(ValueError::TooManyBytes(ByteCount(1 << 40)))),
            ("50GB", Err(ValueError::Bytes(ByteCountError::Ambiguous))),
            ("-1", Err(ValueError::Bytes(ByteCountError::Malformed))),
            ("09", Err(ValueError::NotQuiteANumber(0))),
        ] {
            assert_eq!(bytes(word.as_bytes(), 1 << 40), expected, "{word}");
        }
    }

    #[test]
    fn identifiers_are_the_low_half_only() {
        assert_eq!(interface_identifier(b"::1000"), Ok(0x1000));
        assert_eq!(interface_identifier(b"::2:0:0:1"), Ok(0x0002_0000_0000_0001));
        for bad in ["::", "fe80::1", "1", "::1%eth0", ""] {
            assert_eq!(interface_identifier(bad.as_bytes()), Err(ValueError::NotAnIdentifier), "{bad}");
        }
    }
}
