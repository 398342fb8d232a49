//! What the kernel has counted of all interfaces, in one go.
//!
//! `/proc/net/dev` is made without the lock of the network configuration (`rtnl_lock`), which a dump over netlink holds: with ten
//! thousand interfaces, that would delay whoever sets up another.

use std::collections::HashMap;
use std::fs;
use std::io;

/// Traffic of an interface since it was made. For a TUN that is from the IP header on; `rx` is what its holder wrote, `tx`
/// what that read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes that the host received.
    pub rx_bytes: u64,
    /// Packets that the host received; many segments may be one.
    pub rx_packets: u64,
    /// Bytes that the host sent.
    pub tx_bytes: u64,
    /// Packets that the host sent; many segments may be one.
    pub tx_packets: u64,
}

/// The traffic of each interface in the calling thread's network namespace, by its name.
///
/// # Errors
/// When there is no such file: `/proc` is not mounted.
pub fn traffic() -> io::Result<HashMap<String, Counted>> {
    Ok(parse(&fs::read_to_string("/proc/thread-self/net/dev")?))
}

/// proc_pid_net(5): a name and a colon, then eight numbers of what came in and eight of what went out.
fn parse(table: &str) -> HashMap<String, Counted> {
    let line = |line: &str| {
        // A name may have a colon itself only as an alias of old, which has no counters.
        let (name, numbers) = line.rsplit_once(':')?;
        let mut numbers = numbers.split_ascii_whitespace().map(|number| number.parse::<u64>().ok());
        let counted = Counted {
            rx_bytes: numbers.next()??,
            rx_packets: numbers.next()??,
            tx_bytes: numbers.nth(6)??,
            tx_packets: numbers.next()??,
        };
        Some((name.trim().to_owned(), counted))
    };
    table.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::netlink::{Ipv4Ends, Netlink, PtpConfig};
    use crate::netns;
    use crate::tun::Tun;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes packets errs|bytes packets\n    \
                     lo:     100 1 2 3 4 5 6 7 200 8 9 10 11 12 13 14\nppp0:5 1 0 0 0 0 0 0 7 2 0 0 0 0 0 0\n bad: 1 2\n";
        let found = parse(table);
        assert_eq!(found.len(), 2);
        assert_eq!(found["lo"], Counted { rx_bytes: 100, rx_packets: 1, tx_bytes: 200, tx_packets: 8 });
        assert_eq!(found["ppp0"].tx_packets, 2);
    }

    #[test]
    fn a_tuns_traffic_is_what_was_written_and_read() {
        netns::for_test(|| {
            let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
            let (local, peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            let config = PtpConfig { mtu: 1492, ipv4: Some(Ipv4Ends { local, peer }) };
            Netlink::open().unwrap().configure_ptp(&id, &config).unwrap();
            let socket = UdpSocket::bind((local, 0)).unwrap();
            socket.send_to(&[0; 72], (peer, 9)).unwrap();
            let mut packet = [0; 2048];
            // What the kernel says of itself on a new interface comes, too.
            while tun.recv(&mut packet).unwrap() != 100 {}
            let counted = traffic().unwrap()["ppp0"];
            assert!(counted.tx_bytes >= 100 && counted.tx_packets >= 1, "{counted:?}");
            assert_eq!(counted.rx_bytes, 0);
        });
    }
}
