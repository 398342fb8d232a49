//! Frames of sessions that are there, and of sessions that are not.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ppp_ipc::control::{Request, Response};
use ppp_linux::netlink::Netlink;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::if_name::IfName;
use ppp_wire::pppoe::{Code, PppoePacket, emit_session_header};

use super::adoption::known;
use super::lab::{ACCESS, HOSTS, Lab, until, until_some, with_wire};
use super::peer::{Subscriber, socket};
use super::worker::good_mac;

/// An LCP Echo-Request.
const ECHO: [u8; 10] = [0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0];

/// Somebody without a session.
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0x57, 0x7a]);

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 5] = [
        ("a host whose session is over is told so", told),
        ("answers to session data of nobody are limited", limited),
        ("sessions without eBPF", without_ebpf),
        ("sessions go on when the interface was down for a moment", flap),
        ("sessions go on when the interface was down while there was no server", flap_without_a_server),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn access_mac() -> MacAddr {
    let name: IfName = ACCESS.parse().unwrap();
    Netlink::open().unwrap().interface(&name).unwrap().mac.unwrap()
}

fn send_stray(source: MacAddr, session_id: u16) {
    let header = EthernetHeader { destination: access_mac(), source, ether_type: EtherType::PppoeSession };
    let mut frame = emit_session_header(&header, session_id, 10).to_vec();
    frame.extend(ECHO);
    frame.resize(MIN_FRAME_LEN, 0);
    socket(EtherType::PppoeSession).send(&frame).unwrap();
}

/// Ids of the PADTs for a host that come while `act` is done, and until there is one or for half a second.
fn padts(host: MacAddr, act: impl FnOnce()) -> Vec<u16> {
    let socket = socket(EtherType::PppoeDiscovery);
    act();
    let deadline = Instant::now() + Duration::from_millis(500);
    let mut found = Vec::new();
    let mut buffer = [0; 2048];
    until("PADTs", || {
        while let Ok(received) = socket.recv(&mut buffer) {
            let frame = EthernetFrame::new_checked(&buffer[..received.len]).unwrap();
            let packet = PppoePacket::new_checked(frame.payload()).unwrap();
            if (frame.destination(), packet.code()) == (host, Code::Padt) {
                assert_eq!(frame.source(), access_mac());
                found.push(packet.session_id());
            }
        }
        Instant::now() > deadline
    });
    found
}

/// A counter of discovery.
pub(crate) fn count(lab: &Lab, name: &str) -> u64 {
    let answers = lab.console().ask(&Request::ShowStats);
    let Some(Response::Stats(stats)) = answers.into_iter().next() else { panic!("no statistics") };
    let interface = &stats.interfaces[0];
    let mut counts = interface.packets.iter().chain(&interface.dropped);
    counts.find(|count| count.name == name).unwrap_or_else(|| panic!("no counter {name}")).count
}

fn told() {
    let lab = Lab::start(&[]);
    assert_eq!(padts(STRANGER, || send_stray(STRANGER, 77)), [77]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    // The session is somebody else's now.
    assert_eq!(padts(STRANGER, || send_stray(STRANGER, id)), [id]);
    assert_eq!(padts(good_mac(1), || send_stray(good_mac(1), id + 1)), [id + 1]);
    subscriber.assert_alive();
    assert_eq!(count(&lab, "received_stray"), 3);

    subscriber.host.hang_up();
    until("the session to end", || lab.console().sessions().is_empty());
    // Its socket is closed a moment later, and hears this until then.
    until("a PADT", || padts(good_mac(1), || send_stray(good_mac(1), id)) == [id]);
    lab.stop_with(&mut []);
}

fn limited() {
    let lab = Lab::start(&["--padt-rate", "3"]);
    let answered = padts(STRANGER, || (1..=30).for_each(|id| send_stray(STRANGER, 100 + id)));
    // Three at once, and three per second after that.
    assert!((3..=5).contains(&answered.len()), "{answered:?}");
    let dropped = until_some("the rest to be counted", || {
        let dropped = count(&lab, "padt_rate") + count(&lab, "mac_rate");
        (usize::try_from(dropped).unwrap() + answered.len() == 30).then_some(dropped)
    });
    assert!(dropped.unwrap() >= 25);
    lab.stop_with(&mut []);
}

fn without_ebpf() {
    let lab = Lab::start(&["--no-ebpf", "--allow-unfiltered-workers"]);
    lab.logged(&["--no-ebpf", "get no PADT"]);
    assert_eq!(padts(STRANGER, || send_stray(STRANGER, 77)), [0_u16; 0]);
    let mut subscribers = [1, 2].map(|number| Subscriber::open(good_mac(number)));
    subscribers.iter_mut().for_each(Subscriber::assert_alive);
    let [first, second] = &mut subscribers;
    lab.stop_with(&mut [first, second]);
}

fn set_down_and_up() {
    let mut netlink = Netlink::open().unwrap();
    let names = [ACCESS, HOSTS].map(|name| name.parse::<IfName>().unwrap());
    let id = netlink.interface(&names[0]).unwrap().id;
    netlink.link_down(&id).unwrap();
    netlink.link_up(&id).unwrap();
    until("the carrier", || names.iter().all(|name| netlink.interface(name).unwrap().running));
}

fn flap() {
    let lab = Lab::start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    let mut second = Subscriber::open(good_mac(2));
    for _ in 0..2 {
        set_down_and_up();
        // Who answers this has been told that the interface was down.
        until("a PADT", || padts(STRANGER, || send_stray(STRANGER, 77)) == [77]);
        first.assert_alive();
        second.assert_alive();
    }
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn flap_without_a_server() {
    const FLAGS: &[&str] = &["--orphan-timeout", "20", "-N", "3"];
    let mut lab = Lab::start(FLAGS);
    let mut subscribers = [1, 2, 3].map(|number| known(&lab, Subscriber::open(good_mac(number))));
    for is_told in [false, true] {
        match is_told {
            false => lab.kill(),
            true => {
                lab.signal(Signal::SIGUSR1);
                assert!(lab.wait_gone().success());
            }
        }
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
        set_down_and_up();
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
        lab.restart(FLAGS);
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
        set_down_and_up();
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
    }
    let [first, second, third] = &mut subscribers;
    second.host.hang_up();
    lab.logged(&["session ended", "session=2 "]);
    first.assert_alive();
    third.assert_alive();
    lab.stop_with(&mut [first, third]);
}
