//! A session's interface is up, and has its addresses, with the routes that the kernel makes of them, and its proxy ARP entry. Its MTU
//! and what else somebody has set there (`ip-up`, say) are left alone.

use std::net::Ipv4Addr;

use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{Ipv4Ends, Ipv6Ends, Netlink, NetlinkError};
use ppp_wire::causes::chain;
use tracing::debug;

use super::super::network::Given;
use super::super::session::{Session, Token};

/// What an interface is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    ipv4: Option<Ipv4Ends>,
    ipv6: Option<Ipv6Ends>,
    proxy_arp: Option<(InterfaceId, Ipv4Addr)>,
}

impl Settings {
    /// Of an interface that was configured.
    pub(super) fn of(given: &Given) -> Option<Self> {
        given.mtu?;
        let proxy_arp = given.proxy_arp.as_ref().map(|entry| entry.describe());
        let proxy_arp = proxy_arp.map(|(interface, address)| (interface.clone(), address));
        Some(Self { ipv4: given.ipv4, ipv6: given.ipv6, proxy_arp })
    }
}

/// An interface that is to be looked at.
#[derive(Debug)]
pub(super) struct Look {
    token: Token,
    tun: InterfaceId,
    settings: Settings,
}

impl Look {
    pub(super) fn new(session: &Session) -> Option<Self> {
        let settings = session.given.as_ref().and_then(Settings::of)?;
        Some(Self { token: session.token, tun: session.tun.clone()?, settings })
    }
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    Down,
    NoIpv4,
    NoIpv6,
    NoProxyArp,
}

impl Difference {
    /// As it is counted.
    fn kind(self) -> &'static str {
        match self {
            Self::Down => "interface",
            Self::NoIpv4 | Self::NoIpv6 => "address",
            Self::NoProxyArp => "proxy-arp",
        }
    }
}

/// What came of putting an interface right.
#[derive(Debug)]
pub(in super::super) enum Outcome {
    /// The kinds of what was put right; none, if nothing differed any more.
    Repaired(Vec<&'static str>),
    /// There is no such interface.
    Gone,
    /// The kernel refused.
    Failed(String),
}

/// Those whose interfaces differ, or are gone. May block: a few questions to the kernel for each.
pub(super) fn survey(looks: Vec<Look>) -> Vec<(Token, Settings)> {
    let mut netlink = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(error) => {
            debug!(reason = chain(&error), "the interfaces of sessions are not compared");
            return Vec::new();
        }
    };
    let mut differs = |look: &Look| match differences(&mut netlink, &look.tun, &look.settings) {
        Ok(differences) => !differences.is_empty(),
        Err(error) => error.is_missing(),
    };
    looks.into_iter().filter(|look| differs(look)).map(|look| (look.token, look.settings)).collect()
}

/// Puts an interface right. May block.
pub(super) fn repair(tun: &InterfaceId, settings: &Settings) -> Outcome {
    match try_repair(tun, settings) {
        Ok(kinds) => Outcome::Repaired(kinds),
        Err(error) if error.is_missing() => Outcome::Gone,
        Err(error) => Outcome::Failed(chain(&error)),
    }
}

fn differences(
    netlink: &mut Netlink,
    tun: &InterfaceId,
    settings: &Settings,
) -> Result<Vec<Difference>, NetlinkError> {
    let mut found = Vec::new();
    if !netlink.interface_by_index(tun.index)?.up {
        found.push(Difference::Down);
    }
    if let Some(ends) = settings.ipv4
        && !netlink.has_host_route(tun, ends.peer.into())?
    {
        found.push(Difference::NoIpv4);
    }
    if let Some(ends) = settings.ipv6
        && !netlink.has_host_route(tun, ends.peer.into())?
    {
        found.push(Difference::NoIpv6);
    }
    if let Some((interface, address)) = &settings.proxy_arp {
        // If that interface is gone, there is nobody to answer.
        match netlink.has_proxy_neighbour(interface, *address) {
            Ok(false) => found.push(Difference::NoProxyArp),
            Err(error) if !error.is_missing() => return Err(error),
            _ => {}
        }
    }
    Ok(found)
}

fn try_repair(tun: &InterfaceId, settings: &Settings) -> Result<Vec<&'static str>, NetlinkError> {
    let mut netlink = Netlink::open()?;
    let mut repaired = Vec::new();
    if !netlink.interface_by_index(tun.index)?.up {
        netlink.link_up(tun)?;
        repaired.push(Difference::Down.kind());
    }
    // The kernel has made the routes of addresses that are still there again.
    for difference in differences(&mut netlink, tun, settings)? {
        match (difference, settings) {
            (Difference::NoIpv4, Settings { ipv4: Some(ends), .. }) => {
                netlink.set_ipv4_ends(tun, Some(*ends), *ends)?;
            }
            (Difference::NoIpv6, Settings { ipv6: Some(ends), .. }) => {
                netlink.set_ipv6_ends(tun, Some(*ends), *ends)?;
            }
            (Difference::NoProxyArp, Settings { proxy_arp: Some((interface, address)), .. }) => {
                netlink.add_proxy_neighbour(interface, *address)?;
            }
            _ => continue,
        }
        repaired.push(difference.kind());
    }
    Ok(repaired)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::{Duration, Instant};

    use ppp_linux::netlink::PtpConfig;
    use ppp_linux::netns;
    use ppp_linux::tun::Tun;

    use super::*;

    #[test]
    fn what_somebody_took_from_an_interface_is_put_back() {
        netns::run_in_new(|| {
            let mut netlink = Netlink::open().unwrap();
            let (_tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
            let ipv4 = Ipv4Ends { local: [10, 0, 0, 1].into(), peer: [10, 0, 0, 2].into() };
            let link_local = |last| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
            let ipv6 = Ipv6Ends { local: link_local(1), peer: link_local(2) };
            netlink.configure_ptp(&id, &PtpConfig { mtu: 1492, ipv4: Some(ipv4) }).unwrap();
            netlink.set_ipv6_ends(&id, None, ipv6).unwrap();
            let settings = Settings { ipv4: Some(ipv4), ipv6: Some(ipv6), proxy_arp: None };
            let differing =
                || survey(vec![Look { token: Token(7), tun: id.clone(), settings: settings.clone() }]).len();
            let kinds = || match repair(&id, &settings) {
                Outcome::Repaired(kinds) => kinds,
                other => panic!("{other:?}"),
            };
            // The kernel makes routes of IPv6 a moment later, in a thread of its own.
            let settle = || {
                let deadline = Instant::now() + Duration::from_secs(10);
                while differing() > 0 {
                    assert!(Instant::now() < deadline, "it still differs");
                    std::thread::yield_now();
                }
            };
            settle();
            assert_eq!(kinds(), Vec::<&str>::new());

            netlink.link_down(&id).unwrap();
            assert_eq!(differing(), 1);
            // The kernel forgets IPv6 addresses of an interface that is down, and keeps those of IPv4.
            assert_eq!(kinds(), ["interface", "address"]);
            settle();

            // `ip address flush`, as it were.
            let other = Ipv4Ends { local: [10, 0, 0, 1].into(), peer: [10, 9, 9, 9].into() };
            netlink.set_ipv4_ends(&id, Some(ipv4), other).unwrap();
            assert_eq!((differing(), kinds()), (1, vec!["address"]));
            assert!(
                netlink.has_host_route(&id, other.peer.into()).unwrap(),
                "what is not ours is left alone"
            );
            settle();

            netlink.delete_link(&id).unwrap();
            assert_eq!(differing(), 1);
            assert!(matches!(repair(&id, &settings), Outcome::Gone));
        })
        .unwrap();
    }
}
