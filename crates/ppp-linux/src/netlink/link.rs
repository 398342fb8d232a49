//! Interfaces: what they are, and setting them up and down.

use std::fs;
use std::io::ErrorKind;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkLayerType, LinkMessage,
};
use nix::libc;
use ppp_wire::MacAddr;

use super::error::refusal;
use super::{Netlink, NetlinkError};
use crate::interface::{IfIndex, Interface, InterfaceId};
use crate::rtnl;
use ppp_wire::if_name::IfName;

impl Netlink {
    /// Every interface of the namespace, in the kernel's order.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn interfaces(&mut self) -> Result<Vec<Interface>, NetlinkError> {
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.dump(message, || "list the interfaces".into())?;
        // An interface whose name is beyond what `IfName` allows cannot be one of ours, nor be asked for by
        // name.
        Ok(answers.iter().filter_map(facts).collect())
    }

    /// What the interface `name` is now; its MAC address and MTU can change at any time.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn interface(&mut self, name: &IfName) -> Result<Interface, NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_string()));
        self.one_interface(message, || format!("look up interface {name}"))
    }

    /// As [`Netlink::interface`], by number: this still finds an interface that was renamed.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn interface_by_index(&mut self, index: IfIndex) -> Result<Interface, NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index.get();
        self.one_interface(message, || format!("look up interface number {index}"))
    }

    fn one_interface(
        &mut self,
        message: LinkMessage,
        operation: impl Fn() -> String,
    ) -> Result<Interface, NetlinkError> {
        let answer = self.query(RouteNetlinkMessage::GetLink(message), &operation)?;
        facts(&answer).ok_or_else(|| NetlinkError::Malformed {
            operation: operation(),
            reason: "it lacks the index, the name or the MTU".into(),
        })
    }

    /// Sets an interface up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn link_up(&mut self, interface: &InterfaceId) -> Result<(), NetlinkError> {
        self.set_link(up_message(interface), || format!("set {interface} up"))
    }

    /// As [`Netlink::link_up`] after [`Netlink::set_mtu`], in one request.
    pub(super) fn link_up_with_mtu(&mut self, interface: &InterfaceId, mtu: u16) -> Result<(), NetlinkError> {
        let mut message = up_message(interface);
        message.attributes.push(LinkAttribute::Mtu(u32::from(mtu)));
        self.set_link(message, || format!("set {interface} up with an MTU of {mtu}"))
    }

    /// Sets an interface down: the kernel forgets the routes through it, and keeps its IPv4 addresses.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn link_down(&mut self, interface: &InterfaceId) -> Result<(), NetlinkError> {
        let mut message = link_message(interface);
        message.header.change_mask = LinkFlags::Up;
        self.set_link(message, || format!("set {interface} down"))
    }

    /// Deletes an interface. A TUN needs this only while somebody else (a worker that hangs) still holds a
    /// descriptor.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`] when it is gone already.
    pub fn delete_link(&mut self, interface: &InterfaceId) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelLink(link_message(interface));
        self.change(message, 0, || format!("delete interface {interface}"))
    }

    /// Sets the largest packet, in bytes, that the interface takes.
    ///
    /// # Errors
    /// When the kernel refuses, e.g. because the device cannot take `mtu`.
    pub fn set_mtu(&mut self, interface: &InterfaceId, mtu: u16) -> Result<(), NetlinkError> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::Mtu(u32::from(mtu)));
        self.set_link(message, || format!("set the MTU of {interface} to {mtu}"))
    }

    /// Gives an interface another hardware address.
    ///
    /// # Errors
    /// When the kernel refuses: some devices must be down for that, and some have no such address.
    pub fn set_mac(&mut self, interface: &InterfaceId, mac: MacAddr) -> Result<(), NetlinkError> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
        self.set_link(message, || format!("set the hardware address of {interface} to {mac}"))
    }

    /// Sets the description that `ip link` shows as `alias`; at most 255 bytes, empty removes it.
    ///
    /// # Errors
    /// When the kernel refuses, e.g. because `alias` is too long.
    pub fn set_alias(&mut self, interface: &InterfaceId, alias: &str) -> Result<(), NetlinkError> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
        self.set_link(message, || format!("set the alias of {interface} to {alias:?}"))
    }

    /// Keeps the kernel from giving the interface a link-local IPv6 address of its own when it comes up, and
    /// so from soliciting routers through it. A kernel without IPv6, or with IPv6 off on this interface, has
    /// nothing to keep.
    pub(super) fn no_automatic_ipv6(&mut self, interface: &InterfaceId) -> Result<(), NetlinkError> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![
            AfSpecInet6::AddrGenMode(In6AddrGenMode::None),
        ])]));
        match self.set_link(message, || format!("turn off automatic IPv6 addresses on {interface}")) {
            Err(NetlinkError::Refused { source, .. })
                if source.raw_os_error() == Some(libc::EAFNOSUPPORT) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Takes IPv6 off an interface, or puts it back. Netlink has no way to do this.
    ///
    /// Where `/proc/sys` does not have the switch (no IPv6 at all) or is read-only (some containers), IPv6
    /// stays as it is: a router then reports its multicast groups into the session, and the worker drops
    /// that.
    pub(super) fn switch_ipv6(&self, interface: &InterfaceId, on: bool) -> Result<(), NetlinkError> {
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
        let _turn = rtnl::turn();
        match fs::write(&path, if on { "0" } else { "1" }) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ReadOnlyFilesystem) => {
                Ok(())
            }
            Err(source) => {
                let switch = if on { "on" } else { "off" };
                Err(refusal(format!("turn IPv6 {switch} for {interface} in {path}"), source, None))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Keeps what comes in through an interface from changing this machine's own routing: Router Advertisements
    /// (RFC 4861 §4.2) would be heeded by a machine that does not forward IPv6, and Redirects (§4.5) by any.
    ///
    /// # Errors
    /// When that cannot be switched off, and is not off.
    pub(super) fn ignore_ipv6_routers(&self, interface: &InterfaceId) -> Result<(), NetlinkError> {
        for switch in ["accept_ra", "accept_redirects"] {
            let path = format!("/proc/sys/net/ipv6/conf/{interface}/{switch}");
            match fs::read(&path) {
                Ok(value) if value.trim_ascii() == b"0" => {}
                // There is no IPv6 on this interface: what is to follow will fail, and say so.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                _ => fs::write(&path, "0")
                    .map_err(|source| refusal(format!("write 0 to {path}"), source, None))?,
            }
        }
        Ok(())
    }

    fn set_link(&mut self, message: LinkMessage, operation: impl Fn() -> String) -> Result<(), NetlinkError> {
        self.change(RouteNetlinkMessage::SetLink(message), 0, operation)
    }
}

fn up_message(interface: &InterfaceId) -> LinkMessage {
    let mut message = link_message(interface);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}

pub(super) fn link_message(interface: &InterfaceId) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = interface.index.get();
    message
}

fn facts(message: &RouteNetlinkMessage) -> Option<Interface> {
    let RouteNetlinkMessage::NewLink(LinkMessage { header, attributes, .. }) = message else { return None };
    let name = attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => name.parse().ok(),
        _ => None,
    })?;
    let mtu = attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })?;
    let address = attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(address) => <[u8; 6]>::try_from(address.as_slice()).ok(),
        _ => None,
    });
    let no_arp = LinkFlags::Loopback | LinkFlags::Pointopoint | LinkFlags::Noarp;
    Some(Interface {
        id: InterfaceId { index: IfIndex::new(header.index)?, name },
        mac: address.filter(|_| header.link_layer_type == LinkLayerType::Ether).map(MacAddr),
        mtu,
        up: header.flags.contains(LinkFlags::Up),
        running: header.flags.contains(LinkFlags::Running),
        arp: header.flags.contains(LinkFlags::Broadcast) && !header.flags.intersects(no_arp),
    })
}
