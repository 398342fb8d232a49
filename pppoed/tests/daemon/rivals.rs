//! Another PPPoE server on the wire is found, and told of.

use std::collections::BTreeSet;
use std::process::Command;

use ppp_linux::netlink::Netlink;
use ppp_linux::packet::DiscoverySocket;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, TagType};

use super::lab::{ACCESS, Lab, until, with_wire};
use super::peer::socket;

const RIVAL: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 4] = [
        ("another server is told of", told),
        ("the wire is asked again and again", again),
        ("a program on this machine that takes discovery frames is named", program),
        ("with --no-probe nobody is asked", silent),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// Answers as another server does.
fn offer(wire: &DiscoverySocket, padi: &[u8]) {
    let ethernet = EthernetFrame::new_checked(padi).unwrap();
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
}

fn told() {
    let wire = socket(EtherType::PppoeDiscovery);
    let lab = Lab::start(&[]);
    let mut buffer = [0; 1600];
    // The start asks twice, and only the answer to the last question counts.
    until("the other server to be told of", || {
        if let Ok(received) = wire.recv(&mut buffer) {
            offer(&wire, &buffer[..received.len]);
        }
        lab.log().contains("another PPPoE server answers")
    });
    let line = lab.logged(&["another PPPoE server answers", "access0", "02:00:00:00:00:99"]);
    assert!(line.contains(r"evil\x1b[2Jtwin"), "{line}");
    lab.signal(nix::sys::signal::Signal::SIGTERM);
    lab.wait_stopped();
}

fn again() {
    let wire = socket(EtherType::PppoeDiscovery);
    let lab = Lab::start(&["--rival-interval", "1"]);
    let mut questions = BTreeSet::new();
    until("another question", || {
        let mut buffer = [0; 1600];
        if let Ok(received) = wire.recv(&mut buffer) {
            let ethernet = EthernetFrame::new_checked(&buffer[..received.len]).unwrap();
            let packet = PppoePacket::new_checked(ethernet.payload()).unwrap();
            let host_uniq = packet.tags().flatten().find(|tag| tag.kind == TagType::HostUniq).unwrap();
            questions.insert(host_uniq.value.to_vec());
        }
        questions.len() > 2
    });
    lab.signal(nix::sys::signal::Signal::SIGTERM);
    lab.wait_stopped();
}

/// It gets nothing of what the server sends there, so no question on the wire would find it.
fn program() {
    let lab = Lab::start(&["--rival-interval", "1"]);
    let access = Netlink::open().unwrap().interface(&ACCESS.parse().unwrap()).unwrap().id;
    let size = DiscoverySocket::DEFAULT_RECEIVE_BUFFER;
    let rival = DiscoverySocket::open(&access, EtherType::PppoeDiscovery, size).unwrap();
    let pid = std::process::id().to_string();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let message = "another program on this machine receives PPPoE discovery frames";
    lab.logged(&[message, ACCESS, &format!("pid={pid}"), name.trim_end()]);
    let check = Command::new(env!("CARGO_BIN_EXE_pppoed"))
        .args(["--check", "-I", ACCESS, "--worker", "/bin/true", "--common-options", "/nonexistent"])
        .output()
        .unwrap();
    let said = String::from_utf8(check.stderr).unwrap();
    assert!(said.contains(&format!("(pid {pid}) takes PPPoE discovery frames on {ACCESS}")), "{said}");
    drop(rival);
    assert_eq!(lab.log().matches(message).count(), 1, "told once");
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
