//! The two ends of a point-to-point interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};
use crate::interface::InterfaceId;

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
    /// Addresses, where IPV6CP is open. Without them IPv6 is off on the interface.
    pub ipv6: Option<Ipv6Ends>,
}

impl Netlink {
    /// Sets the MTU and the addresses of a TUN that is down, and then sets it up, so that nobody ever sees it
    /// half configured. The kernel adds the route to the peer by itself; that is verified. To be called in
    /// the network namespace that the socket was opened in.
    ///
    /// The outcome looks like pppd's interfaces: point-to-point, no ARP, `inet LOCAL peer PEER/32`.
    ///
    /// # Errors
    /// The first step that the kernel refused; the interface may be half configured then and should be
    /// deleted.
    pub fn configure_ptp(&mut self, interface: &InterfaceId, config: &PtpConfig) -> Result<(), NetlinkError> {
        self.switch_ipv6(interface, config.ipv6.is_some())?;
        // Before the MTU: below 1280 bytes the kernel takes IPv6 off the interface, and there is nothing to
        // set.
        self.no_automatic_ipv6(interface)?;
        self.set_mtu(interface, config.mtu)?;
        if let Some(Ipv4Ends { local, peer }) = config.ipv4 {
            self.add_address(interface, local.into(), peer.into())?;
        }
        if let Some(Ipv6Ends { local, peer }) = config.ipv6 {
            self.add_address(interface, local.into(), peer.into())?;
        }
        self.link_up(interface)?;
        if let Some(Ipv4Ends { peer, .. }) = config.ipv4 {
            self.verify_host_route(interface, peer)?;
        }
        Ok(())
    }

    /// Adds `local`, with `peer` as the single address at the other end, to an interface.
    fn add_address(
        &mut self,
        interface: &InterfaceId,
        local: IpAddr,
        peer: IpAddr,
    ) -> Result<(), NetlinkError> {
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
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, || {
            format!("add address {local} peer {peer} to {interface}")
        })
    }
}
