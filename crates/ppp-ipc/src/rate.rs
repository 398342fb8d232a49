//! Rates in words, as options and commands have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A rate in kbit/s (1000 bits); 0 is no limit.
///
/// In words: a number of kbit/s, or one with `k`, `M` or `G` behind it, such as `512k` and `10M`; `0`, `none` for no
/// limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BitRate(pub u32);

/// What is no [`BitRate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not a rate at all.
    #[error("not a rate; expected a number in kbit/s, a number with a unit such as 512k, 10M or 1G, or none")]
    Malformed,
    /// More than 2^32 kbit/s.
    #[error("a rate must be less than 4294G")]
    TooLarge,
}

impl FromStr for BitRate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        if text == "none" {
            return Ok(Self(0));
        }
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let factor = match unit {
            "" | "k" | "K" => 1,
            "m" | "M" => 1000,
            "g" | "G" => 1_000_000,
            _ => return Err(RateError::Malformed),
        };
        if digits.is_empty() {
            return Err(RateError::Malformed);
        }
        let number: u32 = digits.parse().map_err(|_| RateError::TooLarge)?;
        number.checked_mul(factor).map(Self).ok_or(RateError::TooLarge)
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none"),
            rate if rate.is_multiple_of(1_000_000) => write!(f, "{}G", rate / 1_000_000),
            rate if rate.is_multiple_of(1000) => write!(f, "{}M", rate / 1000),
            rate => write!(f, "{rate}k"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_words() {
        for (text, kbit, shown) in [
            ("0", 0, "none"),
            ("none", 0, "none"),
            ("512", 512, "512k"),
            ("512k", 512, "512k"),
            ("10M", 10_000, "10M"),
            ("1500K", 1500, "1500k"),
            ("1g", 1_000_000, "1G"),
            ("4294967295", u32::MAX, "4294967295k"),
        ] {
            assert_eq!(text.parse(), Ok(BitRate(kbit)), "{text}");
            assert_eq!(BitRate(kbit).to_string(), shown);
            assert_eq!(shown.parse(), Ok(BitRate(kbit)), "{shown}");
        }
        for text in ["", "M", "10 M", "10Mbit", "-1", "1.5M", "+1", "ten"] {
            assert_eq!(text.parse::<BitRate>(), Err(RateError::Malformed), "{text}");
        }
        for text in ["4295G", "4294967296", "99999999999999999999"] {
            assert_eq!(text.parse::<BitRate>(), Err(RateError::TooLarge), "{text}");
        }
    }
}
