//! Session ids that nobody can guess, so that who sees no frame of a session cannot end it by a PADT.

use ppp_linux::netlink::Netlink;
use ppp_wire::ethernet::{EtherType, EthernetHeader};
use ppp_wire::if_name::IfName;
use ppp_wire::pppoe::{Code, DiscoveryBuilder};

use super::adoption::{known, taken_over};
use super::lab::{ACCESS, Lab, with_wire};
use super::peer::{Subscriber, socket};
use super::worker::good_mac;

/// `-r` says what is the case anyway; without it, this lab counts the ids.
const FLAGS: &[&str] = &["-r", "-N", "6", "--orphan-timeout", "20"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("a PADT of somebody who guesses ends no session", blind),
        ("sessions keep ids that are random", kept),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn open(lab: &Lab, count: u8) -> Vec<Subscriber> {
    (1..=count).map(|number| known(lab, Subscriber::open(good_mac(number)))).collect()
}

/// The attacker knows his victims' addresses, and tries all ids that a server gives first, and those that are near one that he
/// has himself.
fn blind() {
    let lab = Lab::start(FLAGS);
    let mut subscribers = open(&lab, 5);
    let own = subscribers[4].session_id;
    let name: IfName = ACCESS.parse().unwrap();
    let destination = Netlink::open().unwrap().interface(&name).unwrap().mac.unwrap();
    let socket = socket(EtherType::PppoeDiscovery);
    let mut sessions: Vec<u16> = subscribers.iter().map(|subscriber| subscriber.session_id).collect();
    for victim in 1..5 {
        let header =
            EthernetHeader { destination, source: good_mac(victim), ether_type: EtherType::PppoeDiscovery };
        for id in (1..=64).chain(own.saturating_sub(8)..=own.saturating_add(8)) {
            // One guess of a thousand is right by chance.
            if !sessions.contains(&id) {
                socket.send(&DiscoveryBuilder::new(&header, Code::Padt, id).finish()).unwrap();
            }
        }
    }
    subscribers.iter_mut().for_each(Subscriber::assert_alive);
    sessions.sort_unstable();
    assert!(sessions.windows(2).any(|pair| pair[1] - pair[0] > 64), "in a row: {sessions:?}");
    assert!(sessions[4] > 64, "the first there are: {sessions:?}");
    lab.stop_with(&mut subscribers.iter_mut().collect::<Vec<_>>());
}

fn kept() {
    let mut lab = Lab::start(FLAGS);
    let mut subscribers = open(&lab, 3);
    lab.kill();
    lab.restart(FLAGS);
    for subscriber in &mut subscribers {
        taken_over(&lab, subscriber.session_id, 1);
        subscriber.assert_alive();
    }
    // The others' ids, slots and addresses are free.
    subscribers.extend((4..=6).map(|number| known(&lab, Subscriber::open(good_mac(number)))));
    let addresses = subscribers.iter().map(|subscriber| subscriber.address().unwrap());
    assert_eq!(addresses.collect::<std::collections::BTreeSet<_>>().len(), 6);
    // A server that counts them takes them over as well.
    lab.kill();
    let flags = ["-o", "0", "-N", "6", "--orphan-timeout", "20"];
    lab.restart(&flags);
    for subscriber in &mut subscribers {
        taken_over(&lab, subscriber.session_id, 1);
        subscriber.assert_alive();
    }
    lab.stop_with(&mut subscribers.iter_mut().collect::<Vec<_>>());
}
