//! Routes through an interface.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};
use crate::interface::InterfaceId;

/// A network behind the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Its address, with no bit set beyond the prefix: the kernel refuses that.
    pub destination: IpAddr,
    /// Length of the prefix in bits: 0..=32 for IPv4, 0..=128 for IPv6.
    pub prefix_length: u8,
    /// Priority among routes to the same network, smaller first; `None` lets the kernel choose (0 for IPv4,
    /// 1024 for IPv6).
    pub metric: Option<u32>,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.destination, self.prefix_length)?;
        self.metric.map_or(Ok(()), |metric| write!(f, " metric {metric}"))
    }
}

impl Netlink {
    /// Adds a route to the main table. The kernel removes it when the interface goes down or disappears.
    ///
    /// # Errors
    /// [`NetlinkError::AlreadyExists`] when there is a route to the same network with the same metric,
    /// through whichever interface.
    pub fn add_route(&mut self, interface: &InterfaceId, route: &Route) -> Result<(), NetlinkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(route.destination);
        message.header.destination_prefix_length = route.prefix_length;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Link;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(RouteAttribute::Destination(route.destination.into()));
        message.attributes.push(RouteAttribute::Oif(interface.index.get()));
        message.attributes.extend(route.metric.map(RouteAttribute::Priority));
        self.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL, || {
            format!("add a route to {route} through {interface}")
        })
    }

    /// Whether an IPv4 address is one of this machine's own, or a broadcast address of one of its networks: what is sent there
    /// from here stays here, or goes to everybody.
    ///
    /// # Errors
    /// The kernel's answer, but for "there is no route", which means no.
    pub fn is_own_address(&mut self, address: Ipv4Addr) -> Result<bool, NetlinkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.destination_prefix_length = 32;
        message.attributes.push(RouteAttribute::Destination(RouteAddress::Inet(address)));
        let operation = || format!("look up the route to {address}");
        match self.query(RouteNetlinkMessage::GetRoute(message), operation) {
            Ok(RouteNetlinkMessage::NewRoute(route)) => {
                Ok(matches!(route.header.kind, RouteType::Local | RouteType::Broadcast))
            }
            Ok(_) => Ok(false),
            // No route at all, or one of the kinds "unreachable", "prohibit" and "blackhole" (ip-route(8)).
            Err(NetlinkError::NotPermitted { .. } | NetlinkError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a route to `peer`, and to nobody else, through `interface`. The kernel makes it with the address, and
    /// removes it with that, and when the interface is set down.
    ///
    /// # Errors
    /// When the kernel cannot be asked, and [`NetlinkError::NoSuchInterface`].
    pub fn has_host_route(&mut self, interface: &InterfaceId, peer: IpAddr) -> Result<bool, NetlinkError> {
        let prefix_length = if peer.is_ipv4() { 32 } else { 128 };
        let mut message = RouteMessage::default();
        message.header.address_family = family(peer);
        message.header.destination_prefix_length = prefix_length;
        // The entry of the table that matches, not the path that it leads to.
        message.header.flags = RouteFlags::FibMatch;
        message.attributes.push(RouteAttribute::Destination(peer.into()));
        message.attributes.push(RouteAttribute::Oif(interface.index.get()));
        let operation = || format!("look up the route to {peer} through {interface}");
        let oif = RouteAttribute::Oif(interface.index.get());
        match self.query(RouteNetlinkMessage::GetRoute(message), operation) {
            Ok(RouteNetlinkMessage::NewRoute(RouteMessage { header, attributes, .. })) => Ok(header.kind
                == RouteType::Unicast
                && header.destination_prefix_length == prefix_length
                && attributes.contains(&oif)),
            // No route at all, or one of the kinds "unreachable", "prohibit" and "blackhole" (ip-route(8)).
            Ok(_) | Err(NetlinkError::NotPermitted { .. } | NetlinkError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure of [`Netlink::has_host_route`].
    pub(super) fn verify_host_route(
        &mut self,
        interface: &InterfaceId,
        peer: Ipv4Addr,
    ) -> Result<(), NetlinkError> {
        match self.has_host_route(interface, peer.into())? {
            true => Ok(()),
            false => Err(NetlinkError::NotInForce {
                interface: interface.to_string(),
                problem: format!("there is no route to {peer} through it"),
            }),
        }
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
