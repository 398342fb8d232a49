//! Names of network interfaces, as Linux takes them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest interface name in bytes: the kernel's `IFNAMSIZ` of 16 less the terminating zero.
pub const IF_NAME_MAX: usize = 15;

/// The name of a network interface, e.g. `eth1` or `ppp0`; only names that the kernel itself would take.
///
/// A `%` is refused although the kernel takes it: when a device is made, the kernel would replace `%d` by a
/// number of its own choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfName(String);

/// A text that cannot be the name of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IfNameError {
    /// The text is empty.
    #[error("an interface name cannot be empty")]
    Empty,
    /// The text has more than [`IF_NAME_MAX`] bytes.
    #[error("interface name {name:?} has {length} bytes; at most {IF_NAME_MAX} are allowed")]
    TooLong {
        /// The text.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The text is `.` or `..`, which name directories in `/sys/class/net`.
    #[error("{name:?} cannot be the name of an interface")]
    Reserved {
        /// The text.
        name: String,
    },
    /// The text has a character that the kernel refuses, or `%`.
    #[error("interface name {name:?} contains {character:?}, which is not allowed there")]
    Character {
        /// The text.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl IfName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IfName {
    type Err = IfNameError;

    fn from_str(name: &str) -> Result<Self, IfNameError> {
        let owned = || name.to_owned();
        if name.is_empty() {
            return Err(IfNameError::Empty);
        }
        if name.len() > IF_NAME_MAX {
            return Err(IfNameError::TooLong { name: owned(), length: name.len() });
        }
        if name == "." || name == ".." {
            return Err(IfNameError::Reserved { name: owned() });
        }
        // The kernel refuses '/', ':' and white space only; the rest of this would make log lines ambiguous.
        let refused = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | ':' | '%');
        match name.chars().find(|&c| refused(c)) {
            Some(character) => Err(IfNameError::Character { name: owned(), character }),
            None => Ok(Self(owned())),
        }
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_takes() {
        for name in ["eth0", "ppp65534", "br-lan.100", "a", "fifteen-letters"] {
            assert_eq!(name.parse::<IfName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_cannot_be() {
        assert_eq!("".parse::<IfName>(), Err(IfNameError::Empty));
        assert_eq!(
            "sixteen-letters!".parse::<IfName>(),
            Err(IfNameError::TooLong { name: "sixteen-letters!".into(), length: 16 })
        );
        for name in [".", ".."] {
            assert_eq!(name.parse::<IfName>(), Err(IfNameError::Reserved { name: name.into() }));
        }
        for (name, character) in
            [("a/b", '/'), ("a:b", ':'), ("a b", ' '), ("ppp%d", '%'), ("a\0", '\0'), ("ppp\u{e9}", '\u{e9}')]
        {
            assert_eq!(name.parse::<IfName>(), Err(IfNameError::Character { name: name.into(), character }));
        }
    }
}
