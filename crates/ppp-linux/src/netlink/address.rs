//! The two ends of a point-to-point interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use nix::libc;

use super::{Netlink, NetlinkError};
use crate::interface::{IfIndex, InterfaceId};

/// The IPv4 addresses of both ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Ends {
    /// Our end; the same address may be our end of any number of sessions.
    pub local: Ipv4Addr,
    /// The peer's end, as assigned by IPCP.
    pub peer: Ipv4Addr,
}

/// The link-local IPv6 addresses of both ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Ends {
    /// Our end: `fe80::/64` and our interface identifier (RFC 5072 section 5).
    pub local: Ipv6Addr,
    /// The peer's end: `fe80::/64` and the peer's interface identifier.
    pub peer: Ipv6Addr,
}

/// How a session's interface shall be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtpConfig {
    /// Largest IP packet towards the peer, in bytes; at least 68 (RFC 791).
    pub mtu: u16,
    /// Addresses, where IPCP is open.
    pub ipv4: Option<Ipv4Ends>,
}

/// A network that an interface is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InterfaceNetwork {
    pub(super) interface: IfIndex,
    /// An address in it.
    pub(super) address: Ipv4Addr,
    /// Bits of the prefix, at most 32.
    pub(super) prefix_len: u8,
}

impl InterfaceNetwork {
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        let host_bits = 32_u32.saturating_sub(self.prefix_len.into());
        let network = |address: Ipv4Addr| address.to_bits().checked_shr(host_bits).unwrap_or(0);
        network(address) == network(self.address)
    }
}

impl Netlink {
    /// Sets a new TUN up, with this MTU in bytes, without addresses and without IPv6: packets of a session's control pass, and
    /// nothing is routed there.
    ///
    /// The kernel tells every packet socket of the namespace of each change of an interface, so there are as few as possible.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn raise_bare(&mut self, interface: &InterfaceId, mtu: u16) -> Result<(), NetlinkError> {
        self.switch_ipv6(interface, false)?;
        self.link_up_with_mtu(interface, mtu)
    }

    /// Sets the MTU and the addresses of a TUN that is down, and sets it up. The kernel adds the route to the peer by itself; that is
    /// verified. IPv6 is off until [`Netlink::set_ipv6_ends`]. To be called in the network namespace that the socket was opened in.
    ///
    /// The outcome looks like pppd's interfaces: point-to-point, no ARP, `inet LOCAL peer PEER/32`.
    ///
    /// # Errors
    /// The first step that the kernel refused; the interface may be half configured then and should be
    /// deleted.
    pub fn configure_ptp(&mut self, interface: &InterfaceId, config: &PtpConfig) -> Result<(), NetlinkError> {
        self.switch_ipv6(interface, false)?;
        // Before the MTU: below 1280 bytes the kernel takes IPv6 off the interface, and there is nothing to
        // set.
        self.no_automatic_ipv6(interface)?;
        self.set_mtu(interface, config.mtu)?;
        if let Some(Ipv4Ends { local, peer }) = config.ipv4 {
            self.add_address(interface, local.into(), peer.into())?;
        }
        self.link_up(interface)?;
        if let Some(Ipv4Ends { peer, .. }) = config.ipv4 {
            self.verify_host_route(interface, peer)?;
        }
        Ok(())
    }

    /// Gives an interface that is up ([`Netlink::raise_bare`], [`Netlink::configure_ptp`]) these IPv4 addresses, in place of those that
    /// it `had`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_ipv4_ends(
        &mut self,
        interface: &InterfaceId,
        had: Option<Ipv4Ends>,
        ends: Ipv4Ends,
    ) -> Result<(), NetlinkError> {
        if let Some(had) = had {
            self.remove_address(interface, had.local.into(), had.peer.into())?;
        }
        self.add_address(interface, ends.local.into(), ends.peer.into())?;
        self.verify_host_route(interface, ends.peer)
    }

    /// Switches IPv6 on for an interface that is up ([`Netlink::raise_bare`], [`Netlink::configure_ptp`]), and gives it these
    /// addresses, in place of those that it `had`. The peer cannot make itself a router of this machine by it.
    ///
    /// # Errors
    /// When the kernel refuses: it has no IPv6, or the interface's MTU is less than IPv6 needs (1280 bytes).
    pub fn set_ipv6_ends(
        &mut self,
        interface: &InterfaceId,
        had: Option<Ipv6Ends>,
        ends: Ipv6Ends,
    ) -> Result<(), NetlinkError> {
        if let Some(had) = had {
            self.remove_address(interface, had.local.into(), had.peer.into())?;
        }
        // Before IPv6 begins, which is when the kernel would make an address; and again, for an interface whose
        // MTU was too small meanwhile has forgotten it.
        self.no_automatic_ipv6(interface)?;
        self.ignore_ipv6_routers(interface)?;
        self.switch_ipv6(interface, true)?;
        self.add_address(interface, ends.local.into(), ends.peer.into())
    }

    /// The IPv4 networks of all interfaces.
    pub(super) fn ipv4_networks(&mut self) -> Result<Vec<InterfaceNetwork>, NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        let operation = || "list the IPv4 addresses".into();
        let answers = self.dump(RouteNetlinkMessage::GetAddress(message), operation)?;
        Ok(answers.iter().filter_map(network).collect())
    }

    /// Adds `local`, with `peer` as the single address at the other end, to an interface.
    fn add_address(
        &mut self,
        interface: &InterfaceId,
        local: IpAddr,
        peer: IpAddr,
    ) -> Result<(), NetlinkError> {
        let message = address_message(interface, local, peer);
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, || {
            format!("add address {local} peer {peer} to {interface}")
        })
    }

    pub(super) fn remove_address(
        &mut self,
        interface: &InterfaceId,
        local: IpAddr,
        peer: IpAddr,
    ) -> Result<(), NetlinkError> {
        let message = address_message(interface, local, peer);
        let removed = self.change(RouteNetlinkMessage::DelAddress(message), 0, || {
            format!("remove address {local} peer {peer} from {interface}")
        });
        match removed {
            // The kernel takes them away itself, with IPv6 from an interface whose MTU becomes too small.
            Err(NetlinkError::Refused { source, .. })
                if source.raw_os_error() == Some(libc::EADDRNOTAVAIL) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }
}

fn address_message(interface: &InterfaceId, local: IpAddr, peer: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = interface.index.get();
    match local {
        IpAddr::V4(_) => {
            message.header.family = AddressFamily::Inet;
            message.header.prefix_len = 32;
            message.header.scope = AddressScope::Universe;
        }
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.prefix_len = 128;
            message.header.scope = AddressScope::Link;
            // IPV6CP made sure that the two ends differ (RFC 5072 section 5).
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    message.attributes.push(AddressAttribute::Local(local));
    message.attributes.push(AddressAttribute::Address(peer));
    message
}

/// What an answer of the kernel says about a network. The address without "local" is the network's, whatever our own.
fn network(answer: &RouteNetlinkMessage) -> Option<InterfaceNetwork> {
    let RouteNetlinkMessage::NewAddress(AddressMessage { header, attributes, .. }) = answer else {
        return None;
    };
    let address = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })?;
    Some(InterfaceNetwork { interface: IfIndex::new(header.index)?, address, prefix_len: header.prefix_len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_has_their_prefix() {
        let network = |prefix_len| InterfaceNetwork {
            interface: IfIndex::new(1).unwrap(),
            address: Ipv4Addr::new(10, 1, 2, 1),
            prefix_len,
        };
        let table = [
            (24, [10, 1, 2, 254], true),
            (24, [10, 1, 3, 1], false),
            (25, [10, 1, 2, 128], false),
            (32, [10, 1, 2, 1], true),
            (32, [10, 1, 2, 2], false),
            (0, [192, 0, 2, 1], true),
        ];
        for (prefix_len, address, expected) in table {
            assert_eq!(network(prefix_len).contains(address.into()), expected, "{address:?}/{prefix_len}");
        }
    }
}
