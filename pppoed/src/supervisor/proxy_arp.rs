//! `proxyarp`: hosts of a network on Ethernet find a peer whose address is one of theirs.

use std::net::Ipv4Addr;

use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{Netlink, NetlinkError};
use ppp_wire::causes::chain;
use tracing::warn;

/// ARP requests for a peer's address are answered. Ends when it is dropped, which is when the session is, whichever way
/// that ends.
#[derive(Debug)]
pub(super) struct ProxyArp {
    interface: InterfaceId,
    address: Ipv4Addr,
}

impl ProxyArp {
    /// Begins on the interface in whose network `address` lies. `Err` says why there is none.
    pub(super) fn begin(netlink: &mut Netlink, address: Ipv4Addr) -> Result<Self, String> {
        let found = netlink.interface_of_network(address).map_err(|error| chain(&error))?;
        let interface = found.ok_or_else(|| {
            format!("{address} lies in no network of an interface that is up and takes broadcasts")
        })?;
        netlink.add_proxy_neighbour(&interface, address).map_err(|error| chain(&error))?;
        Ok(Self { interface, address })
    }

    /// Takes over an entry that an earlier `pppoed` made.
    pub(super) fn restore(interface: InterfaceId, address: Ipv4Addr) -> Self {
        Self { interface, address }
    }

    /// Whose entry it is, and on which interface.
    pub(super) fn describe(&self) -> (&InterfaceId, Ipv4Addr) {
        (&self.interface, self.address)
    }

    /// Leaves the entry to the next `pppoed`.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }

    fn end(&self) -> Result<(), NetlinkError> {
        Netlink::open()?.remove_proxy_neighbour(&self.interface, self.address)
    }
}

impl Drop for ProxyArp {
    fn drop(&mut self) {
        match self.end() {
            // The entry went with its interface.
            Ok(()) | Err(NetlinkError::NoSuchInterface { .. }) => {}
            Err(error) => warn!(reason = chain(&error), "proxyarp: a stale entry may remain"),
        }
    }
}
