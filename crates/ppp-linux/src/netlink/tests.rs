//! Against the kernel, each test in a namespace of its own. `ip` is not used: what it would show is read back
//! here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};

use super::link::link_message;
use super::*;
use crate::interface::InterfaceId;
use crate::netns;
use crate::tun::{Tun, create_tap};

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn in_namespace(test: impl FnOnce(&mut Netlink) + Send) {
    netns::for_test(|| test(&mut Netlink::open().unwrap()));
}

fn tun(name: &str) -> (Tun, InterfaceId) {
    Tun::create(&name.parse().unwrap()).unwrap()
}

fn ipv4(mtu: u16, local: Ipv4Addr, peer: Ipv4Addr) -> PtpConfig {
    PtpConfig { mtu, ipv4: Some(Ipv4Ends { local, peer }) }
}

fn link_local(local: u16, peer: u16) -> Ipv6Ends {
    let address = |last| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
    Ipv6Ends { local: address(local), peer: address(peer) }
}

/// [`link_local`] as it is found on the interface.
fn inet6(local: u16, peer: u16) -> Address {
    let Ipv6Ends { local, peer } = link_local(local, peer);
    Address { local: local.into(), peer: Some(peer.into()), prefix_len: 128, scope: AddressScope::Link }
}

fn add_network(netlink: &mut Netlink, interface: &InterfaceId, address: Ipv4Addr, prefix_len: u8) {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = interface.index.get();
    message.header.prefix_len = prefix_len;
    message.attributes.push(AddressAttribute::Local(address.into()));
    netlink.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, String::new).unwrap();
}

/// What `ip neigh show proxy` shows.
fn proxied(netlink: &mut Netlink) -> Vec<(u32, Ipv4Addr)> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Inet;
    request.header.flags = NeighbourFlags::Proxy;
    let answers = netlink.dump(RouteNetlinkMessage::GetNeighbour(request), String::new).unwrap();
    let entry = |answer: &RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewNeighbour(message) = answer else { panic!("{answer:?}") };
        message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                Some((message.header.ifindex, *address))
            }
            _ => None,
        })
    };
    answers.iter().filter_map(entry).collect()
}

fn link(netlink: &mut Netlink, id: &InterfaceId) -> LinkMessage {
    match netlink.query(RouteNetlinkMessage::GetLink(link_message(id)), String::new).unwrap() {
        RouteNetlinkMessage::NewLink(message) => message,
        other => panic!("{other:?}"),
    }
}

#[derive(Debug, PartialEq)]
struct Address {
    local: IpAddr,
    peer: Option<IpAddr>,
    prefix_len: u8,
    scope: AddressScope,
}

fn addresses(netlink: &mut Netlink, id: &InterfaceId) -> Vec<Address> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = netlink.dump(request, String::new).unwrap();
    let address = |answer: RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewAddress(message) = answer else { panic!("{answer:?}") };
        if message.header.index != id.index.get() {
            return None;
        }
        let find = |local: bool| {
            message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) if local => Some(*address),
                AddressAttribute::Address(address) if !local => Some(*address),
                _ => None,
            })
        };
        // A single IPv6 address comes without a separate local one.
        let (local, peer) = match (find(true), find(false)) {
            (Some(local), peer) => (local, peer),
            (None, address) => (address.unwrap(), None),
        };
        let AddressMessage { header, .. } = &message;
        Some(Address { local, peer, prefix_len: header.prefix_len, scope: header.scope })
    };
    answers.into_iter().filter_map(address).collect()
}

#[test]
fn a_configured_tun_looks_like_pppds() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();

        let flags = link(netlink, &id).header.flags;
        let wanted = LinkFlags::Up
            | LinkFlags::Running
            | LinkFlags::LowerUp
            | LinkFlags::Pointopoint
            | LinkFlags::Noarp
            | LinkFlags::Multicast;
        assert_eq!(flags, wanted, "as `ip link` shows them: {flags}");
        let interface = netlink.interface(&id.name).unwrap();
        assert_eq!((interface.mtu, interface.up, interface.running), (1492, true, true));
        let inet = Address {
            local: LOCAL.into(),
            peer: Some(PEER.into()),
            prefix_len: 32,
            scope: AddressScope::Universe,
        };
        assert_eq!(addresses(netlink, &id), [inet], "and no IPv6 address");
        netlink.verify_host_route(&id, PEER).unwrap();
        assert!(netlink.verify_host_route(&id, Ipv4Addr::new(10, 0, 0, 3)).is_err());
    });
}

#[test]
fn one_local_address_serves_many_tunnels() {
    in_namespace(|netlink| {
        let mut tunnels = Vec::new();
        for n in 2..=20 {
            let (tun, id) = tun(&format!("ppp{n}"));
            let peer = Ipv4Addr::new(10, 0, 0, n);
            netlink.configure_ptp(&id, &ipv4(1492, LOCAL, peer)).unwrap();
            tunnels.push((tun, id, peer));
        }
        // The others' routes stay when one tunnel goes.
        tunnels.remove(0);
        for (_, id, peer) in &tunnels {
            netlink.verify_host_route(id, *peer).unwrap();
        }
    });
}

#[test]
fn nothing_comes_out_of_a_tun_without_ipv6() {
    in_namespace(|netlink| {
        // A router joins more groups, and so has more to report.
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        let (tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        // A router solicitation would come within a second, and first of all the report of a multicast group.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let mut buffer = [0; 1500];
        let outcome = tun.recv(&mut buffer).map(|length| buffer[..length].to_vec());
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn link_local_addresses_of_both_ends() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        netlink.set_ipv6_ends(&id, None, link_local(1, 2)).unwrap();
        let found = addresses(netlink, &id);
        assert!(found.len() == 2 && found.contains(&inet6(1, 2)), "{found:?}");

        // The peer has come back as somebody else.
        netlink.set_ipv6_ends(&id, Some(link_local(1, 2)), link_local(1, 3)).unwrap();
        let found = addresses(netlink, &id);
        assert!(found.len() == 2 && found.contains(&inet6(1, 3)), "{found:?}");
    });
}

#[test]
fn a_peer_is_not_asked_for_routes() {
    in_namespace(|netlink| {
        let (tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        netlink.set_ipv6_ends(&id, None, link_local(1, 2)).unwrap();
        for switch in ["accept_ra", "accept_redirects"] {
            let value = std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/ppp0/{switch}")).unwrap();
            assert_eq!(value.trim(), "0", "{switch}");
        }
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let mut buffer = [0; 1500];
        while let Ok(length) = tun.recv(&mut buffer) {
            // Next Header and, behind the fixed header, the type: no Router Solicitation.
            assert_ne!((buffer[6], buffer[40]), (58, 133), "{:x?}", &buffer[..length]);
        }
    });
}

#[test]
fn own_addresses_are_told_from_others() {
    in_namespace(|netlink| {
        let name = "access0".parse().unwrap();
        let _tap = create_tap(&name).unwrap();
        let access = netlink.interface(&name).unwrap().id;
        add_network(netlink, &access, Ipv4Addr::new(192, 0, 2, 7), 24);
        netlink.link_up(&access).unwrap();
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        for (address, expected) in [
            ([192, 0, 2, 7], true),
            ([192, 0, 2, 255], true),
            ([10, 0, 0, 1], true),
            ([10, 0, 0, 2], false),
            ([192, 0, 2, 8], false),
            // There is no route to it.
            ([198, 51, 100, 1], false),
        ] {
            assert_eq!(netlink.is_own_address(address.into()).unwrap(), expected, "{address:?}");
        }
    });
}

#[test]
fn either_protocol_may_come_first() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &PtpConfig { mtu: 1492, ipv4: None }).unwrap();
        assert_eq!(addresses(netlink, &id), []);
        netlink.set_ipv6_ends(&id, None, link_local(1, 2)).unwrap();
        assert_eq!(addresses(netlink, &id), [inet6(1, 2)]);
        let ends = Ipv4Ends { local: LOCAL, peer: PEER };
        netlink.set_ipv4_ends(&id, None, ends).unwrap();
        assert_eq!(addresses(netlink, &id).len(), 2);
        let other = Ipv4Ends { peer: Ipv4Addr::new(10, 0, 0, 3), ..ends };
        netlink.set_ipv4_ends(&id, Some(ends), other).unwrap();
        assert_eq!(addresses(netlink, &id).len(), 2);
        netlink.verify_host_route(&id, other.peer).unwrap();
        assert!(netlink.verify_host_route(&id, PEER).is_err());
    });
}

#[test]
fn ipv6_needs_its_mtu() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1279, LOCAL, PEER)).unwrap();
        let error = netlink.set_ipv6_ends(&id, None, link_local(1, 2)).unwrap_err();
        assert!(error.to_string().contains("fe80::1 peer fe80::2"), "{error}");
        assert_eq!(addresses(netlink, &id).len(), 1, "and IPv4 is as it was");

        // The kernel takes IPv6 off when the MTU becomes too small, and brings it back when it is large enough.
        netlink.set_mtu(&id, 1280).unwrap();
        netlink.set_ipv6_ends(&id, None, link_local(1, 2)).unwrap();
        netlink.set_mtu(&id, 1000).unwrap();
        netlink.set_mtu(&id, 1492).unwrap();
        netlink.set_ipv6_ends(&id, Some(link_local(1, 2)), link_local(1, 3)).unwrap();
        let found = addresses(netlink, &id);
        assert!(found.contains(&inet6(1, 3)), "{found:?}");
    });
}

#[test]
fn arp_is_answered_for_an_address_behind_another_interface() {
    in_namespace(|netlink| {
        let interfaces =
            [("lan0", [10, 0, 0, 254], 8), ("lan1", [10, 1, 0, 254], 16), ("off0", [10, 1, 1, 1], 24)];
        let _wires = interfaces.map(|(name, _, _)| create_tap(&name.parse().unwrap()));
        let id = |netlink: &mut Netlink, name: &str| netlink.interface(&name.parse().unwrap()).unwrap().id;
        for (name, address, prefix_len) in interfaces {
            let interface = id(netlink, name);
            add_network(netlink, &interface, address.into(), prefix_len);
            if name != "off0" {
                netlink.link_up(&interface).unwrap();
            }
        }
        let (_tun, session) = tun("ppp0");
        netlink.configure_ptp(&session, &ipv4(1492, LOCAL, Ipv4Addr::new(10, 1, 1, 7))).unwrap();

        let mut found = |address: [u8; 4]| {
            netlink.interface_of_network(address.into()).unwrap().map(|found| found.name.to_string())
        };
        assert_eq!(found([10, 1, 1, 7]).as_deref(), Some("lan1"), "neither off0, which is down, nor ppp0");
        assert_eq!(found([10, 2, 0, 1]).as_deref(), Some("lan0"));
        assert_eq!(found([192, 0, 2, 1]), None);
        assert_eq!(found([127, 0, 0, 5]), None);

        let lan = id(netlink, "lan1");
        let peer = Ipv4Addr::new(10, 1, 1, 7);
        assert_eq!(proxied(netlink), []);
        netlink.add_proxy_neighbour(&lan, peer).unwrap();
        netlink.add_proxy_neighbour(&lan, peer).unwrap();
        assert_eq!(proxied(netlink), [(lan.index.get(), peer)]);
        assert!(netlink.has_proxy_neighbour(&lan, peer).unwrap());
        assert!(!netlink.has_proxy_neighbour(&lan, LOCAL).unwrap());
        netlink.remove_proxy_neighbour(&lan, peer).unwrap();
        assert_eq!(proxied(netlink), []);
        assert!(!netlink.has_proxy_neighbour(&lan, peer).unwrap());
        assert!(netlink.remove_proxy_neighbour(&lan, peer).is_err());
    });
}

#[test]
fn a_host_route_is_there_as_long_as_address_and_interface_are() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        let (ends, ends6) = (Ipv4Ends { local: LOCAL, peer: PEER }, link_local(1, 2));
        netlink.set_ipv6_ends(&id, None, ends6).unwrap();
        let has = |netlink: &mut Netlink, peer: IpAddr| netlink.has_host_route(&id, peer).unwrap();
        let (peer, peer6) = (PEER.into(), ends6.peer.into());
        // The kernel makes those of IPv6 a moment later, in a thread of its own.
        let until_there = |netlink: &mut Netlink| {
            let deadline = Instant::now() + Duration::from_secs(10);
            while !has(netlink, peer6) {
                assert!(Instant::now() < deadline, "no IPv6 route");
                std::thread::yield_now();
            }
            assert!(has(netlink, peer));
        };
        until_there(netlink);
        assert!(!netlink.has_host_route(&id, LOCAL.into()).unwrap());
        netlink.remove_address(&id, LOCAL.into(), PEER.into()).unwrap();
        netlink.remove_address(&id, ends6.local.into(), ends6.peer.into()).unwrap();
        assert!(!has(netlink, peer) && !has(netlink, peer6));
        netlink.set_ipv4_ends(&id, Some(ends), ends).unwrap();
        netlink.set_ipv6_ends(&id, Some(ends6), ends6).unwrap();
        until_there(netlink);
        netlink.link_down(&id).unwrap();
        assert!(!has(netlink, peer) && !has(netlink, peer6));
        netlink.delete_link(&id).unwrap();
        assert!(netlink.has_host_route(&id, PEER.into()).is_err());
    });
}

#[test]
fn an_mtu_below_that_of_ipv6_is_possible() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(576, LOCAL, PEER)).unwrap();
        assert_eq!(netlink.interface(&id.name).unwrap().mtu, 576);
    });
}

#[test]
fn what_exists_already_is_said_so() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        let error = netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap_err();
        assert!(matches!(error, NetlinkError::AlreadyExists { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with("cannot add address 10.0.0.1 peer 10.0.0.2 to ppp0: that exists already"),
            "{text}"
        );

        let network = Route { destination: "192.0.2.0".parse().unwrap(), prefix_length: 24, metric: None };
        netlink.add_route(&id, &network).unwrap();
        let error = netlink.add_route(&id, &network).unwrap_err();
        assert!(matches!(error, NetlinkError::AlreadyExists { .. }), "{error}");
        netlink.add_route(&id, &Route { metric: Some(7), ..network }).unwrap();

        let crooked = Route { destination: "192.0.2.1".parse().unwrap(), ..network };
        let error = netlink.add_route(&id, &crooked).unwrap_err();
        assert!(error.to_string().contains("Invalid prefix"), "the kernel's own words: {error}");
    });
}

#[test]
fn what_is_gone_is_said_so() {
    in_namespace(|netlink| {
        let (tun, id) = tun("ppp0");
        netlink.delete_link(&id).unwrap();
        let errors = [
            netlink.delete_link(&id).unwrap_err(),
            netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap_err(),
            netlink.link_down(&id).unwrap_err(),
            netlink.interface(&id.name).unwrap_err(),
            netlink.interface_by_index(id.index).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, NetlinkError::NoSuchInterface { .. }), "{error}");
        }
        assert_eq!(tun.recv(&mut [0; 64]).unwrap_err().raw_os_error(), Some(nix::libc::EBADFD));
    });
}

#[test]
fn down_alias_and_lists() {
    in_namespace(|netlink| {
        let (_tun, id) = tun("ppp0");
        netlink.configure_ptp(&id, &ipv4(1492, LOCAL, PEER)).unwrap();
        netlink.set_alias(&id, "alice 02:00:00:00:00:01").unwrap();
        let alias = LinkAttribute::IfAlias("alice 02:00:00:00:00:01".into());
        assert!(link(netlink, &id).attributes.contains(&alias));

        netlink.link_down(&id).unwrap();
        assert!(!netlink.interface_by_index(id.index).unwrap().up);
        assert!(netlink.verify_host_route(&id, PEER).is_err());

        let names: Vec<_> =
            netlink.interfaces().unwrap().into_iter().map(|i| i.id.name.to_string()).collect();
        assert!(names.contains(&"ppp0".into()) && names.contains(&"lo".into()), "{names:?}");
    });
}

#[test]
fn a_long_list_is_read_to_its_end() {
    in_namespace(|netlink| {
        let tunnels: Vec<_> = (0..100).map(|n| tun(&format!("ppp{n}"))).collect();
        let found = netlink.interfaces().unwrap();
        assert!(tunnels.iter().all(|(_, id)| found.iter().any(|interface| interface.id == *id)));
    });
}
