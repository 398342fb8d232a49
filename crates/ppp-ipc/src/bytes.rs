//! Numbers of bytes in words, as options, hooks and commands have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes; 0 is no limit.
///
/// In words: a number, or one with `k`, `M`, `G` or `T` behind it, such as `50G`; `0`, `none` for no limit. The letters are
/// powers of 1024, as for tc(8) and nft(8) and as `pppctl` shows traffic, and may be written out (`50GiB`). Rates are
/// powers of 1000 ([`crate::rate::BitRate`]), as lines are sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ByteCount(pub u64);

/// Why a text is not a [`ByteCount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteCountError {
    /// `GB` and the like, which mean powers of 1000 to some.
    #[error("GB, MB and similar units are ambiguous; use 50G or 50GiB for powers of 1024, or a plain number")]
    Ambiguous,
    /// Something else.
    #[error(
        "not a number of bytes; expected a number, also with a unit such as 500M, 50G or 2T (powers of 1024), or none"
    )]
    Malformed,
    /// 2^64 or more.
    #[error("exceeds the maximum of 18446744073709551615 bytes")]
    TooLarge,
}

const UNITS: [(&str, u32); 4] = [("k", 10), ("M", 20), ("G", 30), ("T", 40)];

impl FromStr for ByteCount {
    type Err = ByteCountError;

    fn from_str(text: &str) -> Result<Self, ByteCountError> {
        if text == "none" {
            return Ok(Self(0));
        }
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(ByteCountError::Malformed);
        }
        let letter = match unit.get(1..) {
            None | Some("" | "i" | "iB") => unit.get(..1).unwrap_or_default(),
            Some("B" | "b") => return Err(ByteCountError::Ambiguous),
            Some(_) => return Err(ByteCountError::Malformed),
        };
        let power = match letter {
            "" | "B" if unit.len() <= 1 => 0,
            letter => UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(letter))
                .map(|(_, power)| *power)
                .ok_or(ByteCountError::Malformed)?,
        };
        let number: u64 = digits.parse().map_err(|_| ByteCountError::TooLarge)?;
        number.checked_mul(1 << power).map(Self).ok_or(ByteCountError::TooLarge)
    }
}

/// The number exactly, with the largest unit that does without a fraction.
impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().rev().find(|(_, power)| self.0 > 0 && self.0.is_multiple_of(1 << power));
        match unit {
            Some((name, power)) => write!(f, "{}{name}", self.0 >> power),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_words() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("none", 0, "0"),
            ("1000", 1000, "1000"),
            ("1024", 1024, "1k"),
            ("5k", 5120, "5k"),
            ("7B", 7, "7"),
            ("50G", 50 << 30, "50G"),
            ("50GiB", 50 << 30, "50G"),
            ("50Gi", 50 << 30, "50G"),
            ("1536m", 1536 << 20, "1536M"),
            ("2t", 2 << 40, "2T"),
            ("18446744073709551615", u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(text.parse(), Ok(ByteCount(bytes)), "{text}");
            assert_eq!(ByteCount(bytes).to_string(), shown);
            assert_eq!(shown.parse(), Ok(ByteCount(bytes)), "{shown}");
        }
        for text in ["", "G", "5 G", "-1", "1.5G", "5P", "ten", "5Gib", "5é", "5Bi"] {
            assert_eq!(text.parse::<ByteCount>(), Err(ByteCountError::Malformed), "{text}");
        }
        for text in ["50GB", "50Mb"] {
            assert_eq!(text.parse::<ByteCount>(), Err(ByteCountError::Ambiguous), "{text}");
        }
        for text in ["18446744073709551616", "16777216T", "99999999999999999999999k"] {
            assert_eq!(text.parse::<ByteCount>(), Err(ByteCountError::TooLarge), "{text}");
        }
    }
}
