//! Proxy ARP: answering for an address that lies behind another interface.

use std::io;
use std::net::Ipv4Addr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};
use crate::interface::InterfaceId;

impl Netlink {
    /// The interface in whose network `address` lies as if it were a host there: up, with broadcast and ARP, neither a
    /// loopback nor point-to-point. Of several, the one with the longest prefix, as pppd chooses. `None` if there is
    /// none.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn interface_of_network(&mut self, address: Ipv4Addr) -> Result<Option<InterfaceId>, NetlinkError> {
        let mut networks = self.ipv4_networks()?;
        networks.retain(|network| network.contains(address));
        networks.sort_by_key(|network| std::cmp::Reverse(network.prefix_len));
        for network in networks {
            let interface = self.interface_by_index(network.interface)?;
            if interface.up && interface.arp {
                return Ok(Some(interface.id));
            }
        }
        Ok(None)
    }

    /// Has the kernel answer ARP requests for `address` on an interface with the interface's own MAC address. It
    /// does so only while it forwards IPv4 from that interface and its route to `address` leads elsewhere.
    ///
    /// # Errors
    /// When the kernel refuses. An entry that is there already is taken over without a word.
    pub fn add_proxy_neighbour(
        &mut self,
        interface: &InterfaceId,
        address: Ipv4Addr,
    ) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::NewNeighbour(proxy_message(interface, address));
        self.change(message, NLM_F_CREATE | NLM_F_REPLACE, || {
            format!("answer ARP requests for {address} on {interface}")
        })
    }

    /// Whether [`Netlink::add_proxy_neighbour`] is in force. (A kernel before Linux 5.0 cannot say, and is taken to have it.)
    ///
    /// # Errors
    /// When the kernel cannot be asked, and [`NetlinkError::NoSuchInterface`].
    pub fn has_proxy_neighbour(
        &mut self,
        interface: &InterfaceId,
        address: Ipv4Addr,
    ) -> Result<bool, NetlinkError> {
        let mut message = proxy_message(interface, address);
        // The kernel wants no state in a question.
        message.header.state = NeighbourState::None;
        let operation = || format!("look whether ARP requests for {address} on {interface} are answered");
        match self.query(RouteNetlinkMessage::GetNeighbour(message), operation) {
            Err(NetlinkError::Refused { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(false)
            }
            Ok(_) | Err(NetlinkError::Refused { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Ends what [`Netlink::add_proxy_neighbour`] began.
    ///
    /// # Errors
    /// When the kernel refuses; the interface or the entry may be gone.
    pub fn remove_proxy_neighbour(
        &mut self,
        interface: &InterfaceId,
        address: Ipv4Addr,
    ) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelNeighbour(proxy_message(interface, address));
        self.change(message, 0, || format!("stop to answer ARP requests for {address} on {interface}"))
    }
}

fn proxy_message(interface: &InterfaceId, address: Ipv4Addr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = interface.index.get();
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Proxy;
    message.attributes.push(NeighbourAttribute::Destination(address.into()));
    message
}
