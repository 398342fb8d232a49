//! What went through an interface, as the kernel counted it.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::link::link_message;
use super::{Netlink, NetlinkError};
use crate::interface::InterfaceId;

/// Bytes of packets since the interface was made. For a TUN that is from the IP header on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTraffic {
    /// Received by the host: for a session's TUN, what its worker wrote, which came from the peer.
    pub rx_bytes: u64,
    /// Sent by the host: for a session's TUN, what its worker read, which is for the peer.
    pub tx_bytes: u64,
}

impl Netlink {
    /// The kernel's counters of an interface. Whoever holds a TUN's descriptor cannot change them but by sending
    /// and receiving.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn traffic(&mut self, interface: &InterfaceId) -> Result<LinkTraffic, NetlinkError> {
        let operation = || format!("read the counters of {interface}");
        let answer = self.query(RouteNetlinkMessage::GetLink(link_message(interface)), operation)?;
        counters(&answer).ok_or_else(|| NetlinkError::Malformed {
            operation: operation(),
            reason: "it lacks the counters".into(),
        })
    }
}

fn counters(answer: &RouteNetlinkMessage) -> Option<LinkTraffic> {
    let RouteNetlinkMessage::NewLink(LinkMessage { attributes, .. }) = answer else { return None };
    attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => {
            Some(LinkTraffic { rx_bytes: stats.rx_bytes, tx_bytes: stats.tx_bytes })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::netlink::{Ipv4Ends, PtpConfig};
    use crate::netns;
    use crate::tun::Tun;

    #[test]
    fn a_tuns_counters_are_what_was_written_and_read() {
        netns::for_test(|| {
            let mut netlink = Netlink::open().unwrap();
            let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
            let (local, peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            let config = PtpConfig { mtu: 1492, ipv4: Some(Ipv4Ends { local, peer }) };
            netlink.configure_ptp(&id, &config).unwrap();
            assert_eq!(netlink.traffic(&id).unwrap(), LinkTraffic::default());

            // To the peer: 28 bytes of headers and 72 of data. They count once they were read.
            let socket = UdpSocket::bind((local, 0)).unwrap();
            socket.send_to(&[0; 72], (peer, 9)).unwrap();
            let mut packet = [0; 1500];
            assert_eq!(tun.recv(&mut packet).unwrap(), 100);
            assert_eq!(netlink.traffic(&id).unwrap(), LinkTraffic { rx_bytes: 0, tx_bytes: 100 });

            // From the peer, the same packet twice, although nobody wants it.
            tun.send(&packet[..100]).unwrap();
            tun.send(&packet[..100]).unwrap();
            assert_eq!(netlink.traffic(&id).unwrap(), LinkTraffic { rx_bytes: 200, tx_bytes: 100 });
            drop(tun);
            assert!(matches!(netlink.traffic(&id), Err(NetlinkError::NoSuchInterface { .. })));
        });
    }
}
