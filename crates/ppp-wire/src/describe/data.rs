//! Packets of data: their ends, and no more.

use super::Description;
use crate::ip::{Ipv4Packet, Ipv6Packet};

/// First bytes of a malformed packet.
const HEAD: usize = 16;

pub(super) fn ipv4(description: Description, information: &[u8]) -> Description {
    match Ipv4Packet::new_checked(information) {
        Ok(packet) => description
            .word("source", packet.source())
            .word("destination", packet.destination())
            .word("protocol", protocol(packet.protocol()))
            .count("length", packet.total_len()),
        Err(error) => description.malformed(&error, information, HEAD),
    }
}

pub(super) fn ipv6(description: Description, information: &[u8]) -> Description {
    match Ipv6Packet::new_checked(information) {
        Ok(packet) => description
            .word("source", packet.source())
            .word("destination", packet.destination())
            .word("protocol", protocol(packet.next_header()))
            .count("length", packet.total_len()),
        Err(error) => description.malformed(&error, information, HEAD),
    }
}

/// Names of the protocols that are most often seen (IANA Protocol Numbers).
fn protocol(number: u8) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        58 => "icmpv6",
        132 => "sctp",
        _ => return number.to_string(),
    };
    name.to_owned()
}
