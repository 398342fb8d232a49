//! The few rtnetlink requests that build a world; no iproute2 needed.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use ppp_linux::netlink::Netlink;

use super::netns::Netns;
use crate::wait;

/// Makes a veth pair: `name` in `here`, `peer` in `there`. Both ends stay down.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn add_veth(here: &Netns, name: &str, there: &Netns, peer: &str) -> Result<()> {
    let mut far = LinkMessage::default();
    far.attributes.push(LinkAttribute::IfName(peer.to_owned()));
    far.attributes.push(LinkAttribute::NetNsFd(there.fd().as_raw_fd()));
    add_link(
        here,
        name,
        vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far)))],
    )
}

/// Makes a bridge. It stays down.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn add_bridge(namespace: &Netns, name: &str) -> Result<()> {
    add_link(namespace, name, vec![LinkInfo::Kind(InfoKind::Bridge)])
}

fn add_link(namespace: &Netns, name: &str, info: Vec<LinkInfo>) -> Result<()> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.push(LinkAttribute::LinkInfo(info));
    request(namespace, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
        .with_context(|| format!("make link {name} in {}", namespace.name()))
}

/// Brings a link up.
///
/// # Errors
/// When there is no such link.
pub(super) fn set_up(namespace: &Netns, name: &str) -> Result<()> {
    change_link(namespace, name, |message| {
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
    })
}

/// Waits until a link that is up can send. The kernel notices a carrier up to a second late, and drops until then.
///
/// # Errors
/// When it cannot within five seconds.
pub(super) fn wait_running(namespace: &Netns, name: &str) -> Result<()> {
    let wanted = name.parse()?;
    let mut netlink = namespace.run(|| Ok(Netlink::open()?))?;
    let what = format!("the carrier of {name} in {}", namespace.name());
    wait::until_true(&what, Duration::from_secs(5), || Ok(netlink.interface(&wanted)?.running))
}

/// Takes a link down.
///
/// # Errors
/// When there is no such link.
pub(super) fn set_down(namespace: &Netns, name: &str) -> Result<()> {
    change_link(namespace, name, |message| message.header.change_mask = LinkFlags::Up)
}

/// Makes a link a port of a bridge.
///
/// # Errors
/// When either does not exist.
pub(super) fn set_bridge(namespace: &Netns, port: &str, bridge: &str) -> Result<()> {
    let bridge = index(namespace, bridge)?;
    change_link(namespace, port, |message| message.attributes.push(LinkAttribute::Controller(bridge)))
}

/// Sets a link's hardware address.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn set_mac(namespace: &Netns, name: &str, mac: [u8; 6]) -> Result<()> {
    change_link(namespace, name, |message| message.attributes.push(LinkAttribute::Address(mac.to_vec())))
}

/// Sets the longest payload of a link's frames, in bytes.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn set_mtu(namespace: &Netns, name: &str, mtu: u32) -> Result<()> {
    change_link(namespace, name, |message| message.attributes.push(LinkAttribute::Mtu(mtu)))
}

/// Deletes a link; a veth goes with its other end.
///
/// # Errors
/// When there is no such link.
pub(super) fn delete(namespace: &Netns, name: &str) -> Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index(namespace, name)?;
    request(namespace, RouteNetlinkMessage::DelLink(message), 0)
        .with_context(|| format!("delete link {name} in {}", namespace.name()))
}

fn change_link(namespace: &Netns, name: &str, edit: impl FnOnce(&mut LinkMessage)) -> Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index(namespace, name)?;
    edit(&mut message);
    request(namespace, RouteNetlinkMessage::SetLink(message), 0)
        .with_context(|| format!("change link {name} in {}", namespace.name()))
}

/// Gives a link an IPv4 address.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn add_address(namespace: &Netns, name: &str, address: Ipv4Addr, prefix_len: u8) -> Result<()> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = prefix_len;
    message.header.index = index(namespace, name)?;
    message.attributes.push(AddressAttribute::Local(IpAddr::V4(address)));
    message.attributes.push(AddressAttribute::Address(IpAddr::V4(address)));
    request(namespace, RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
        .with_context(|| format!("add {address}/{prefix_len} to {name}"))
}

/// Adds an IPv4 default route.
///
/// # Errors
/// When the gateway is not reachable.
pub(super) fn add_default_route(namespace: &Netns, gateway: Ipv4Addr) -> Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    request(namespace, RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
        .with_context(|| format!("default route by {gateway}"))
}

fn index(namespace: &Netns, name: &str) -> Result<u32> {
    namespace.run(|| {
        let interface = Netlink::open()?.interface(&name.parse()?);
        let interface = interface.with_context(|| format!("no link {name} in {}", namespace.name()))?;
        Ok(interface.id.index.get())
    })
}

/// Sends one request from inside `namespace` and waits for the kernel's verdict.
fn request(namespace: &Netns, message: RouteNetlinkMessage, flags: u16) -> Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let (answer, _) = namespace.run(|| {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&bytes, 0)?;
        Ok(socket.recv_from_full()?)
    })?;
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)?.payload {
        NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
        NetlinkPayload::Error(error) => Err(error.to_io().into()),
        other => bail!("unexpected netlink answer {other:?}"),
    }
}
