//! Names, and patterns for names, on the control socket: bytes, compared as they are.
//!
//! [`ppp_wire::name`] says what their text is. In JSON they are that text, in frames the bytes.

use std::fmt;

use ppp_wire::name::{NameText, bytes_of, first_character, units, write_part};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a user, a service or an access concentrator: any bytes. `Display` and `FromStr` are its text.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// The name that is these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The name that is written so. There is no text that is none.
    pub fn from_text(text: impl AsRef<[u8]>) -> Self {
        Self(bytes_of(text.as_ref()))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // For widths.
        f.pad(&NameText(&self.0).to_string())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", NameText(&self.0))
    }
}

impl std::str::FromStr for Name {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_text(text))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => String::deserialize(deserializer).map(Self::from_text),
            false => Vec::deserialize(deserializer).map(Self),
        }
    }
}

/// A pattern for names: `*` is any number of characters, `?` is one, everything else itself. `Display` and
/// [`NamePattern::from_text`] are its text: in it, as in a name's, `\xHH` is one byte, and never a sign of a pattern.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamePattern(Vec<Part>);

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Part {
    /// This byte.
    Byte(u8),
    /// One character, or one byte that is of none.
    One,
    /// Any number of bytes.
    Any,
}

impl NamePattern {
    /// The pattern that is written so. There is no text that is none.
    pub fn from_text(text: impl AsRef<[u8]>) -> Self {
        let mut parts: Vec<Part> = units(text.as_ref())
            .map(|unit| match unit.byte {
                b'*' if !unit.is_escaped => Part::Any,
                b'?' if !unit.is_escaped => Part::One,
                byte => Part::Byte(byte),
            })
            .collect();
        parts.dedup_by(|one, other| *one == Part::Any && *other == Part::Any);
        Self(parts)
    }

    /// The pattern for this name and no other.
    pub fn exactly(name: &Name) -> Self {
        Self(name.0.iter().copied().map(Part::Byte).collect())
    }

    /// The name, if it is a pattern for one only.
    pub fn exact(&self) -> Option<Name> {
        let byte = |part: &Part| match part {
            Part::Byte(byte) => Some(*byte),
            Part::One | Part::Any => None,
        };
        self.0.iter().map(byte).collect::<Option<Vec<u8>>>().map(Name)
    }

    /// Whether no name but the empty one is of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes and signs in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The same with small letters for the large ones of ASCII: for what is in hexadecimal, and no name.
    #[must_use]
    pub fn to_ascii_lowercase(&self) -> Self {
        let lower = |part: &Part| match part {
            Part::Byte(byte) => Part::Byte(byte.to_ascii_lowercase()),
            other => *other,
        };
        Self(self.0.iter().map(lower).collect())
    }

    /// Whether all of `name` is as the pattern says, byte by byte.
    ///
    /// Takes time in proportion to the product of both lengths at most, whatever the pattern.
    pub fn matches(&self, name: impl AsRef<[u8]>) -> bool {
        let name = name.as_ref();
        let (mut at, mut position) = (0, 0);
        // Where to go on when what follows the last star does not fit: the star takes one byte more.
        let mut star: Option<(usize, usize)> = None;
        while let Some(rest) = name.get(position..).filter(|rest| !rest.is_empty()) {
            match self.0.get(at) {
                Some(Part::Any) => {
                    star = Some((at, position));
                    at += 1;
                }
                Some(Part::One) => {
                    at += 1;
                    position += first_character(rest).map_or(1, char::len_utf8);
                }
                Some(Part::Byte(byte)) if rest.first() == Some(byte) => {
                    (at, position) = (at + 1, position + 1)
                }
                _ => match star {
                    Some((star_at, taken)) => {
                        star = Some((star_at, taken + 1));
                        (at, position) = (star_at + 1, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0.iter().skip(at).all(|rest| *rest == Part::Any)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            let is_first = rest.len() == self.0.len();
            rest = match first {
                Part::Any => {
                    f.write_str("*")?;
                    behind
                }
                Part::One => {
                    f.write_str("?")?;
                    behind
                }
                Part::Byte(_) => {
                    let length = rest.iter().take_while(|part| matches!(part, Part::Byte(_))).count();
                    let (run, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    let bytes = run.iter().filter_map(|part| match part {
                        Part::Byte(byte) => Some(*byte),
                        Part::One | Part::Any => None,
                    });
                    write_part(f, &bytes.collect::<Vec<u8>>(), is_first, behind.is_empty())?;
                    behind
                }
            };
        }
        Ok(())
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl std::str::FromStr for NamePattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_text(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("alice", "alice", true),
            ("ALICE", "Alice", false),
            ("A*", "alice", false),
            ("alice", "alice2", false),
            ("al*", "alice", true),
            ("*@isp1.example", "bob@isp1.example", true),
            ("*@isp1.example", "bob@isp1.example.org", false),
            ("u?er*", "user00001", true),
            ("u?er", "uer", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("02:00:5e:*", "02:00:5e:10:00:01", true),
            ("?", "ü", true),
            ("*??", "ü", false),
            ("**", "x", true),
            (r"DOM\*", r"DOM\bob", true),
            (r"a\x2a", "a*", true),
            (r"a\x2a", "ab", false),
            (r"a\x3f", "a?", true),
            (r"caf\xc3\xa9", "café", true),
        ] {
            assert_eq!(NamePattern::from_text(pattern).matches(name), expected, "{pattern:?} {name:?}");
        }
        assert!(NamePattern::from_text(r"caf?").matches(b"caf\xe9"));
        assert!(NamePattern::from_text(r"caf\xc3*").matches("café"));
        assert!(!NamePattern::from_text(r"caf??").matches(b"caf\xe9"));
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let name = "a".repeat(1000);
        assert!(!NamePattern::from_text("*a".repeat(100) + "b").matches(name));
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_typed() {
        for text in ["guest*", "a b*c d?", r"DOM\*", r"a\x2ab*", r"*-x* y", "", "*", r"\x2dx*"] {
            assert_eq!(NamePattern::from_text(text).to_string(), text);
        }
        assert_eq!(NamePattern::from_text("a***?**b").to_string(), "a*?*b");
    }

    proptest! {
        #[test]
        fn a_pattern_is_read_back(text: Vec<u8>) {
            let pattern = NamePattern::from_text(&text);
            prop_assert_eq!(&NamePattern::from_text(pattern.to_string()), &pattern);
        }

        #[test]
        fn the_text_of_a_name_is_a_pattern_for_it_and_for_no_other(name: Vec<u8>, other: Vec<u8>) {
            let name = Name::new(name);
            let pattern = NamePattern::from_text(name.to_string());
            prop_assert_eq!(&pattern, &NamePattern::exactly(&name));
            prop_assert_eq!(pattern.exact(), Some(name.clone()));
            prop_assert!(pattern.matches(name.as_bytes()));
            prop_assert_eq!(pattern.matches(&other), other == name.as_bytes());
        }

        #[test]
        fn a_name_is_bytes_in_a_frame_and_its_text_in_json(bytes: Vec<u8>) {
            let name = Name::new(bytes.clone());
            let frame = codec::encode(&name).unwrap();
            prop_assert_eq!(&*frame, &*codec::encode(&bytes).unwrap());
            prop_assert_eq!(&codec::decode_frame::<Name>(&frame).unwrap(), &name);
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), name.to_string());
            prop_assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
    }
}
