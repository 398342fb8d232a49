//! Names, indices and facts of network interfaces.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use ppp_wire::MacAddr;
use thiserror::Error;

/// The longest interface name in bytes: the kernel's `IFNAMSIZ` less the terminating zero.
pub const IF_NAME_MAX: usize = nix::libc::IFNAMSIZ - 1;

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

/// The kernel's number of an interface, unique in its network namespace and never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfIndex(NonZeroU32);

impl IfIndex {
    /// `index` as the kernel gave it; `None` for 0, which means "no interface" (or "any") there, and for
    /// numbers beyond `i32::MAX`, which the kernel never gives.
    #[must_use]
    pub fn new(index: u32) -> Option<Self> {
        i32::try_from(index).ok()?;
        NonZeroU32::new(index).map(Self)
    }

    /// The number as netlink has it.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The number as socket addresses have it.
    pub(crate) fn as_i32(self) -> i32 {
        self.get().cast_signed()
    }
}

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which interface: the index is what the kernel is asked with, the name is what messages show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceId {
    /// The kernel's number.
    pub index: IfIndex,
    /// The name at the time of asking.
    pub name: IfName,
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// What an interface is, at the time of asking; see [`crate::netlink::Netlink::interface`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Index and name.
    pub id: InterfaceId,
    /// The hardware address of an Ethernet-like interface; `None` for every other kind.
    pub mac: Option<MacAddr>,
    /// Largest payload of one link-layer frame, in bytes, without the Ethernet header.
    pub mtu: u32,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// Has a carrier and may send (`IFF_RUNNING`).
    pub running: bool,
    /// Hosts on it are found by ARP: it takes broadcasts, and is neither a loopback nor point-to-point.
    pub arp: bool,
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

    #[test]
    fn indices_that_cannot_be() {
        assert_eq!(IfIndex::new(0), None);
        assert_eq!(IfIndex::new(u32::MAX), None);
        assert_eq!(IfIndex::new(7).unwrap().get(), 7);
    }
}
