//! Ethernet and PPPoE headers, tags, and the PPP Protocol field.

use ppp_wire::ethernet::{EthernetFrame, EthernetHeader};
use ppp_wire::ppp;
use ppp_wire::pppoe::{DiscoveryBuilder, MAX_DISCOVERY_LEN, PppoePacket, Tag};

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    let Ok(frame) = EthernetFrame::new_checked(bytes) else { return };
    let Ok(packet) = PppoePacket::new_checked(frame.payload()) else { return };
    let _ = ppp::split_protocol(packet.payload());

    let header = EthernetHeader {
        destination: frame.destination(),
        source: frame.source(),
        ether_type: frame.ether_type(),
    };
    let mut builder = DiscoveryBuilder::new(&header, packet.code(), packet.session_id());
    let mut written: Vec<Tag<'_>> = Vec::new();
    for tag in packet.tags().flatten() {
        if builder.tag(tag.kind, tag.value).is_ok() {
            written.push(tag);
        }
    }
    let again = builder.finish();
    assert!(again.len() <= 14 + MAX_DISCOVERY_LEN);
    let ethernet = EthernetFrame::new_checked(&again).expect("what was built has a header");
    let packet = PppoePacket::new_checked(ethernet.payload()).expect("what was built is well formed");
    let tags: Vec<_> = packet.tags().collect::<Result<_, _>>().expect("what was built has good tags");
    assert_eq!(tags, written);
}
