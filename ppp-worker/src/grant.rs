//! Which packets of data a session may carry.

use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_wire::ip::{Ipv4Packet, Ipv6Packet};
use ppp_wire::ppp::Protocol;

/// IPv4 and TCP headers without options, which MTU and maximum segment size differ by (RFC 9293 §3.7.1).
const IPV4_TCP_HEADERS: u16 = 40;
/// As above for IPv6.
const IPV6_TCP_HEADERS: u16 = 60;
/// Protocol number of ICMPv6 (RFC 4443 §1).
const ICMPV6: u8 = 58;

/// A version of IP. Each has a network control protocol of its own, so each is granted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family whose data a PPP protocol is.
    pub(crate) fn of_protocol(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Ip => Some(Self::Ipv4),
            Protocol::Ipv6 => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// The family of a packet of the kernel, if it is well-formed.
    pub(crate) fn of_packet(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Ipv4Packet::new_checked(packet).is_ok().then_some(Self::Ipv4),
            6 => Ipv6Packet::new_checked(packet).is_ok().then_some(Self::Ipv6),
            _ => None,
        }
    }

    /// The PPP protocol that carries it.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Ipv4 => Protocol::Ip,
            Self::Ipv6 => Protocol::Ipv6,
        }
    }
}

/// What an open session may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The peer's IPv4 address, the only source of its packets; `None` while IPv4 is closed.
    pub(crate) ipv4: Option<Ipv4Addr>,
    /// Its IPv4 packets may have any source: the kernel looks at it.
    pub(crate) any_source: bool,
    /// The peer's link-local address, likewise.
    pub(crate) ipv6: Option<Ipv6Addr>,
    /// Longest packet to the peer in bytes.
    pub(crate) mtu: u16,
    /// Largest TCP segment in bytes beside the one that the MTU gives; 0 none.
    pub(crate) max_mss: u16,
}

/// Why a packet of the peer is not for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    /// Its family is not granted.
    NotOpen,
    /// Its source is not the peer's address.
    Source,
}

impl Grant {
    pub(crate) fn allows(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4.is_some(),
            Family::Ipv6 => self.ipv6.is_some(),
        }
    }

    pub(crate) fn revoke(&mut self, family: Family) {
        match family {
            Family::Ipv4 => self.ipv4 = None,
            Family::Ipv6 => self.ipv6 = None,
        }
    }

    /// Checks a packet of the peer; its length in bytes without what pads it.
    pub(crate) fn check_received(&self, family: Family, packet: &[u8]) -> Result<usize, Refusal> {
        match family {
            Family::Ipv4 => {
                let remote = self.ipv4.ok_or(Refusal::NotOpen)?;
                let packet = Ipv4Packet::new_checked(packet).map_err(|_| Refusal::Malformed)?;
                let fits = self.any_source || packet.source() == remote;
                if fits { Ok(packet.total_len()) } else { Err(Refusal::Source) }
            }
            Family::Ipv6 => {
                let remote = self.ipv6.ok_or(Refusal::NotOpen)?;
                let packet = Ipv6Packet::new_checked(packet).map_err(|_| Refusal::Malformed)?;
                let fits = packet.source() == remote || is_unaddressed(&packet);
                if fits { Ok(packet.total_len()) } else { Err(Refusal::Source) }
            }
        }
    }

    /// Largest TCP segments over IPv4 and IPv6 that fit through the session, both ways.
    pub(crate) fn segment_sizes(&self) -> (u16, u16) {
        let bound = |headers: u16| match (self.mtu.saturating_sub(headers), self.max_mss) {
            (mss, 0) => mss,
            (mss, max) => mss.min(max),
        };
        (bound(IPV4_TCP_HEADERS), bound(IPV6_TCP_HEADERS))
    }
}

/// Whether this is what a host says on its link before it has an address: duplicate address detection, a Router
/// Solicitation (RFC 4861 §4.1, §4.3) or a report of multicast groups (RFC 3810 §5.2.13). Nothing of it is ever
/// forwarded.
fn is_unaddressed(packet: &Ipv6Packet<'_>) -> bool {
    let [prefix, flags_and_scope, ..] = packet.destination().octets();
    let to_link = prefix == 0xff && flags_and_scope & 0x0f == 2;
    let is_icmp = packet.upper_layer().is_some_and(|(protocol, _)| protocol == ICMPV6);
    packet.source().is_unspecified() && to_link && is_icmp
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    const GRANT: Grant =
        Grant { ipv4: Some(PEER_V4), any_source: false, ipv6: Some(PEER_V6), mtu: 1492, max_mss: 0 };

    fn ipv4(source: Ipv4Addr) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend(source.octets());
        packet.extend([192, 0, 2, 1]);
        packet
    }

    fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(payload.len()).unwrap(), next_header, 255];
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend(payload);
        packet
    }

    fn received(packet: &[u8]) -> Result<usize, Refusal> {
        GRANT.check_received(Family::of_packet(packet).unwrap(), packet)
    }

    #[test]
    fn the_source_must_be_the_peers() {
        assert_eq!(received(&ipv4(PEER_V4)), Ok(20));
        assert_eq!(received(&ipv4(Ipv4Addr::new(10, 0, 0, 3))), Err(Refusal::Source));
        let global: Ipv6Addr = "2001:db8::2".parse().unwrap();
        assert_eq!(received(&ipv6(PEER_V6, global, 17, &[0; 8])), Ok(48));
        let foreign = ["fe80::3", "2001:db8::1", "::1", "ff02::1", "::ffff:10.0.0.2"];
        for source in foreign.map(|source| source.parse().unwrap()) {
            assert_eq!(received(&ipv6(source, global, 17, &[0; 8])), Err(Refusal::Source), "{source}");
        }
    }

    #[test]
    fn any_source_is_any_of_ipv4_while_that_is_open() {
        let grant = Grant { any_source: true, ..GRANT };
        let foreign = ipv4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(grant.check_received(Family::Ipv4, &foreign), Ok(20));
        let closed = Grant { ipv4: None, ..grant };
        assert_eq!(closed.check_received(Family::Ipv4, &foreign), Err(Refusal::NotOpen));
        let foreign = ipv6("fe80::3".parse().unwrap(), "2001:db8::2".parse().unwrap(), 17, &[0; 8]);
        assert_eq!(grant.check_received(Family::Ipv6, &foreign), Err(Refusal::Source));
    }

    #[test]
    fn without_an_address_a_host_may_only_ask_and_report_on_its_link() {
        let nobody = Ipv6Addr::UNSPECIFIED;
        let solicitation = [133, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(received(&ipv6(nobody, ALL_ROUTERS, ICMPV6, &solicitation)), Ok(48));
        // A report of multicast groups has the Router Alert option in front.
        let report = [ICMPV6, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(received(&ipv6(nobody, ALL_ROUTERS, 0, &report)), Ok(56));

        let site: Ipv6Addr = "ff05::2".parse().unwrap();
        for packet in [
            ipv6(nobody, PEER_V6, ICMPV6, &solicitation),
            ipv6(nobody, site, ICMPV6, &solicitation),
            ipv6(nobody, ALL_ROUTERS, 17, &solicitation),
            ipv6(nobody, ALL_ROUTERS, 44, &solicitation),
        ] {
            assert_eq!(received(&packet), Err(Refusal::Source), "{packet:x?}");
        }
    }

    #[test]
    fn each_family_is_granted_by_itself() {
        let (v4, v6) = (ipv4(PEER_V4), ipv6(PEER_V6, ALL_ROUTERS, ICMPV6, &[0; 8]));
        for (revoked, kept) in [(Family::Ipv4, Family::Ipv6), (Family::Ipv6, Family::Ipv4)] {
            let mut grant = GRANT;
            grant.revoke(revoked);
            assert!(grant.allows(kept) && !grant.allows(revoked));
            let check = |family| match family {
                Family::Ipv4 => grant.check_received(family, &v4),
                Family::Ipv6 => grant.check_received(family, &v6),
            };
            assert_eq!(check(revoked), Err(Refusal::NotOpen));
            assert!(check(kept).is_ok());
        }
    }

    /// One family's packet cannot come in by the other one's protocol.
    #[test]
    fn a_packet_must_be_what_its_protocol_says() {
        assert_eq!(GRANT.check_received(Family::Ipv6, &ipv4(PEER_V4)), Err(Refusal::Malformed));
        let v6 = ipv6(PEER_V6, ALL_ROUTERS, ICMPV6, &[]);
        assert_eq!(GRANT.check_received(Family::Ipv4, &v6), Err(Refusal::Malformed));
        assert_eq!(Family::of_packet(&v6[..39]), None);
        assert_eq!(Family::of_packet(&[0x50; 40]), None);
        assert_eq!(Family::of_packet(&[]), None);
    }

    #[test]
    fn segments_fit_through_the_session() {
        assert_eq!(GRANT.segment_sizes(), (1452, 1432));
        assert_eq!(Grant { max_mss: 1440, ..GRANT }.segment_sizes(), (1440, 1432));
        assert_eq!(Grant { mtu: 10, ..GRANT }.segment_sizes(), (0, 0));
    }
}
