//! Indices and facts of network interfaces.

use std::fmt;
use std::num::NonZeroU32;

use ppp_wire::MacAddr;
use ppp_wire::if_name::IfName;

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
    fn indices_that_cannot_be() {
        assert_eq!(IfIndex::new(0), None);
        assert_eq!(IfIndex::new(u32::MAX), None);
        assert_eq!(IfIndex::new(7).unwrap().get(), 7);
    }
}
