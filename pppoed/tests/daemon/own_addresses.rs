//! The server's own addresses, which no subscriber may have, whoever says that he should.

use std::fs;
use std::net::Ipv4Addr;

use ppp_ipc::control::{Failure, Request, Response};
use ppp_ipc::policy::{PolicyChange, PolicyRequest};
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig};
use ppp_linux::tun::Tun;

use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

/// An address of the machine that has nothing to do with PPP.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

pub(crate) fn tests() -> Vec<super::Test> {
    vec![("no subscriber gets an address of the server".to_owned(), Box::new(|| with_wire(nobody_gets_them)))]
}

fn nobody_gets_them() {
    let (_tun, id) = Tun::create(&"own0".parse().unwrap()).unwrap();
    let ends = Ipv4Ends { local: OWN, peer: Ipv4Addr::new(192, 0, 2, 1) };
    Netlink::open().unwrap().configure_ptp(&id, &PtpConfig { mtu: 1500, ipv4: Some(ends) }).unwrap();
    let directory = lab::directory();
    let secrets = format!("* * \"{SECRET}\" *\nthief * \"{SECRET}\" {OWN}\n");
    fs::write(directory.path().join("secrets"), secrets).unwrap();
    // The pool has it in its middle.
    let lab = Lab::start_in(directory, &["-R", "192.0.2.6", "-N", "3"]);
    lab.logged(&["WARN", "belongs to the server", "192.0.2.7"]);

    let mut subscribers = [1, 2].map(|number| Subscriber::open(good_mac(number)));
    let addresses = subscribers.each_ref().map(|subscriber| subscriber.address().unwrap().octets()[3]);
    assert_eq!(addresses, [6, 8]);

    let mut thief = Subscriber::begin(Host::dial(good_mac(3)), b"thief");
    until("the refusal", || {
        thief.drive();
        lab.log().contains("address 192.0.2.7 is one of the server's own")
    });

    let change = |address: &str| {
        let options = vec![("address".to_owned(), address.to_owned())];
        let change = PolicyChange::SetUser { name: ppp_ipc::name::Name::new("alice"), options };
        let request = PolicyRequest { change, dry_run: false, end: false };
        lab.console().ask(&Request::Policy(Box::new(request))).pop().unwrap()
    };
    for own in ["192.0.2.7", "10.0.0.1", "127.0.0.1"] {
        let answer = change(own);
        let Response::Failed(Failure::Refused(why)) = answer else { panic!("{own}: {answer:?}") };
        assert!(own == "127.0.0.1" || why == format!("{own} is one of the server's own addresses"), "{why}");
    }
    assert!(matches!(change("192.0.2.9"), Response::PolicyChanged(_)));
    let [first, second] = &mut subscribers;
    lab.stop_with(&mut [first, second, &mut thief]);
}
