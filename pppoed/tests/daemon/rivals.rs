//! Another PPPoE server on the wire is found, and told of.

use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, TagType};

use super::lab::{Lab, until_some, with_wire};
use super::peer::socket;

const RIVAL: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] =
        [("another server is told of", told), ("with --no-probe nobody is asked", silent)];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn told() {
    let wire = socket(EtherType::PppoeDiscovery);
    let lab = Lab::start(&[]);
    let mut buffer = [0; 1600];
    let padi = until_some("a PADI", || {
        let length = wire.recv(&mut buffer).ok()?.len;
        Some(buffer[..length].to_vec())
    })
    .unwrap();
    let ethernet = EthernetFrame::new_checked(&padi).unwrap();
    let packet = PppoePacket::new_checked(ethernet.payload()).unwrap();
    assert_eq!((packet.code(), ethernet.destination()), (Code::Padi, MacAddr::BROADCAST));

    let header = EthernetHeader {
        destination: ethernet.source(),
        source: RIVAL,
        ether_type: EtherType::PppoeDiscovery,
    };
    let mut pado = DiscoveryBuilder::new(&header, Code::Pado, 0);
    pado.tag(TagType::AcName, b"evil\x1b[2Jtwin").unwrap();
    let host_uniq = packet.tags().flatten().find(|tag| tag.kind == TagType::HostUniq).unwrap();
    pado.tag(TagType::HostUniq, host_uniq.value).unwrap();
    wire.send(&pado.finish()).unwrap();
    let line = lab.logged(&["another PPPoE server answers", "access0", "02:00:00:00:00:99"]);
    assert!(line.contains(r"evil\u{1b}[2Jtwin"), "{line}");
    lab.signal(nix::sys::signal::Signal::SIGTERM);
    lab.wait_stopped();
}

fn silent() {
    let wire = socket(EtherType::PppoeDiscovery);
    let lab = Lab::start(&["--no-probe"]);
    assert!(wire.recv(&mut [0; 1600]).is_err(), "a frame was sent");
    lab.signal(nix::sys::signal::Signal::SIGTERM);
    lab.wait_stopped();
}
