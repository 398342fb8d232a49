//! Ethernet II header.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::Error;
use crate::macros::open_enum;

/// Bytes of destination, source and EtherType.
pub const HEADER_LEN: usize = 14;

/// The smallest frame on the wire, without its frame check sequence.
pub const MIN_FRAME_LEN: usize = 60;

/// A 48-bit Ethernet address. Ordered and printed by its bytes: `aa:bb:cc:dd:ee:ff`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// `00:00:00:00:00:00`, which no station has.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether this is the address of one station: the group bit is clear, and it is not all zero.
    pub const fn is_unicast(&self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Whether this is the address of all stations.
    pub const fn is_broadcast(&self) -> bool {
        matches!(self.0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an Ethernet address (expected aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff or aabb.ccdd.eeff)"
)]
pub struct ParseMacError {
    /// The text as it was given.
    pub text: String,
}

/// As the programs write them that show addresses: `02:00:5e:10:00:01` (Linux; also `2:0:5e:10:0:1`),
/// `02-00-5E-10-00-01` (IEEE 802, Windows), `0200.5e10.0001` (Cisco). Digits of either case.
impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.contains('.') {
            true => groups::<3>(text, '.', 4..=4).map(|groups| {
                let [[a, b], [c, d], [e, f]] = groups.map(u16::to_be_bytes);
                [a, b, c, d, e, f]
            }),
            false => {
                let separator = if text.contains('-') { '-' } else { ':' };
                groups::<6>(text, separator, 1..=2).map(|groups| groups.map(|group| group.to_be_bytes()[1]))
            }
        };
        parsed.map(Self).ok_or_else(|| ParseMacError { text: text.to_owned() })
    }
}

/// `N` groups of so many hexadecimal digits each.
fn groups<const N: usize>(text: &str, separator: char, digits: RangeInclusive<usize>) -> Option<[u16; N]> {
    let mut groups = [0; N];
    let mut parts = text.split(separator);
    for group in &mut groups {
        let part = parts.next().filter(|part| digits.contains(&part.len()))?;
        // from_str_radix would take a sign, so the digits are checked first.
        let is_number = part.bytes().all(|digit| digit.is_ascii_hexdigit());
        *group = is_number.then(|| u16::from_str_radix(part, 16).ok()).flatten()?;
    }
    parts.next().is_none().then_some(groups)
}

open_enum! {
    /// EtherType. The PPPoE values are the standard ones; `pppoe-server -f` can choose others, so code that serves
    /// sessions compares with its configured value.
    pub enum EtherType(u16) {
        /// IPv4.
        Ipv4 = 0x0800,
        /// IPv6.
        Ipv6 = 0x86dd,
        /// PPPoE Discovery stage (RFC 2516 §4).
        PppoeDiscovery = 0x8863,
        /// PPPoE Session stage (RFC 2516 §4).
        PppoeSession = 0x8864,
    }
}

/// The values of an Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Where the frame goes.
    pub destination: MacAddr,
    /// Who sent it.
    pub source: MacAddr,
    /// What it carries.
    pub ether_type: EtherType,
}

impl EthernetHeader {
    /// The header as it goes onto the wire.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let [d0, d1, d2, d3, d4, d5] = self.destination.0;
        let [s0, s1, s2, s3, s4, s5] = self.source.0;
        let [t0, t1] = u16::from(self.ether_type).to_be_bytes();
        [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1]
    }
}

/// View of an Ethernet frame without its frame check sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetFrame<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> EthernetFrame<'a> {
    /// Checks that the header is there.
    ///
    /// # Errors
    /// [`Error::Truncated`] under 14 bytes. Frames under 60 bytes are accepted: virtual interfaces do not pad.
    pub fn new_checked(frame: &'a [u8]) -> Result<Self, Error> {
        let (header, payload) = frame.split_first_chunk().ok_or(Error::Truncated {
            what: "Ethernet header",
            needed: HEADER_LEN,
            have: frame.len(),
        })?;
        Ok(Self { header, payload })
    }

    /// The station or group that the frame is for.
    pub fn destination(&self) -> MacAddr {
        let [a, b, c, d, e, f, ..] = *self.header;
        MacAddr([a, b, c, d, e, f])
    }

    /// The station that sent the frame.
    pub fn source(&self) -> MacAddr {
        let [.., a, b, c, d, e, f, _, _] = *self.header;
        MacAddr([a, b, c, d, e, f])
    }

    /// What the frame carries.
    pub fn ether_type(&self) -> EtherType {
        let [.., high, low] = *self.header;
        EtherType::from(u16::from_be_bytes([high, low]))
    }

    /// Everything after the header, padding included.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_address_text_round_trip() {
        let mac = MacAddr([0x02, 0xab, 0x00, 0x9f, 0xff, 0x10]);
        assert_eq!(mac.to_string(), "02:ab:00:9f:ff:10");
        for text in ["02:AB:00:9f:ff:10", "2:ab:0:9f:ff:10", "02-AB-00-9F-FF-10", "02ab.009f.ff10"] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
    }

    #[test]
    fn mac_address_refuses_other_texts() {
        for text in [
            "",
            "02:ab:00:9f:ff",
            "02:ab:00:9f:ff:10:11",
            "02:ab:00:9f:ff:100",
            "+2:ab:00:9f:ff:10",
            "02-ab",
            "02-ab:00-9f-ff-10",
            "2ab.9f.ff10",
            "02ab.009f.ff10.0001",
            "02ab009fff10",
            "::::: ",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError { text: text.to_owned() }));
        }
    }

    #[test]
    fn unicast_is_one_station() {
        assert!(MacAddr([2, 0, 0, 0, 0, 1]).is_unicast());
        assert!(!MacAddr::BROADCAST.is_unicast());
        assert!(!MacAddr([1, 0, 0x5e, 0, 0, 1]).is_unicast());
        assert!(!MacAddr::ZERO.is_unicast());
        assert!(MacAddr::BROADCAST.is_broadcast());
        assert!(!MacAddr([0xff; 6].map(|byte: u8| byte & 0xfe)).is_broadcast());
    }

    #[test]
    fn header_both_ways() {
        let bytes = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x63, 0xaa];
        let frame = EthernetFrame::new_checked(&bytes).unwrap();
        let header = EthernetHeader {
            destination: frame.destination(),
            source: frame.source(),
            ether_type: frame.ether_type(),
        };
        assert_eq!(header.destination, MacAddr([2, 0, 0, 0, 0, 1]));
        assert_eq!(header.source, MacAddr([2, 0, 0, 0, 0, 2]));
        assert_eq!(header.ether_type, EtherType::PppoeDiscovery);
        assert_eq!(frame.payload(), [0xaa]);
        assert_eq!(header.emit(), bytes[..14]);
    }

    #[test]
    fn short_frame_is_refused() {
        assert_eq!(
            EthernetFrame::new_checked(&[0; 13]),
            Err(Error::Truncated { what: "Ethernet header", needed: 14, have: 13 })
        );
    }
}
