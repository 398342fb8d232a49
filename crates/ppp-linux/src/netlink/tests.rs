//! Against the kernel, each test in a namespace of its own. `ip` is not used: what it would show is read back
//! here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::link::link_message;
use super::*;
use crate::interface::InterfaceId;
use crate::netns;
use crate::tun::Tun;

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn in_namespace(test: impl FnOnce(&mut Netlink) + Send) {
    netns::for_test(|| test(&mut Netlink::open().unwrap()));
}

fn tun(name: &str) -> (Tun, InterfaceId) {
    Tun::create(&name.parse().unwrap()).unwrap()
}

fn ipv4(mtu: u16, local: Ipv4Addr, peer: Ipv4Addr) -> PtpConfig {
    PtpConfig { mtu, ipv4: Some(Ipv4Ends { local, peer }), ipv6: None }
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
        let local: Ipv6Addr = "fe80::1".parse().unwrap();
        let peer: Ipv6Addr = "fe80::2".parse().unwrap();
        let config = PtpConfig { ipv6: Some(Ipv6Ends { local, peer }), ..ipv4(1492, LOCAL, PEER) };
        netlink.configure_ptp(&id, &config).unwrap();
        let addresses = addresses(netlink, &id);
        let inet6 = Address {
            local: local.into(),
            peer: Some(peer.into()),
            prefix_len: 128,
            scope: AddressScope::Link,
        };
        assert_eq!(addresses.len(), 2, "{addresses:?}");
        assert!(addresses.contains(&inet6), "{addresses:?}");
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
