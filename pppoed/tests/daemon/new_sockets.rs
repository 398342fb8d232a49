//! Sessions that were taken over get packet sockets whose places the server knows.

use nix::sys::signal::Signal;
use ppp_ipc::control::{Request, Response};
use ppp_linux::interface::IfName;
use ppp_linux::netlink::Netlink;

use super::adoption::known;
use super::lab::{ACCESS, HOSTS, Lab, until, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

const FLAGS: &[&str] = &["--orphan-timeout", "20", "-N", "3"];

pub(crate) fn tests() -> Vec<super::Test> {
    let test =
        |name: &str, test: fn()| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    vec![test("sessions that were taken over go on when the interface was down", flap_after_takeover)]
}

/// Whether a session has got another packet socket since it was taken over.
fn has_another_socket(lab: &Lab, id: u16) -> bool {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => {
            let last = |event: &str| detail.history.iter().rposition(|entry| entry.event == event);
            last("has another packet socket") > last("taken over from another pppoed")
        }
        other => panic!("{other:?}"),
    }
}

fn flap() {
    let mut netlink = Netlink::open().unwrap();
    let names = [ACCESS, HOSTS].map(|name| name.parse::<IfName>().unwrap());
    let id = netlink.interface(&names[0]).unwrap().id;
    netlink.link_down(&id).unwrap();
    netlink.link_up(&id).unwrap();
    until("the carrier", || names.iter().all(|name| netlink.interface(name).unwrap().running));
}

fn flap_after_takeover() {
    let mut lab = Lab::start(FLAGS);
    let [first, second, third] = [1, 2, 3].map(|number| known(&lab, Subscriber::open(good_mac(number))));
    // The kernel's order of the sockets is not that of their birth now.
    drop(first);
    let mut subscribers = [known(&lab, Subscriber::open_again(good_mac(1), 2)), second, third];
    for is_told in [false, true] {
        match is_told {
            false => lab.kill(),
            true => {
                lab.signal(Signal::SIGUSR1);
                assert!(lab.wait_gone().success());
            }
        }
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
        lab.restart(FLAGS);
        for id in 1..=3 {
            until("another packet socket", || has_another_socket(&lab, id));
        }
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
        for _ in 0..2 {
            flap();
            subscribers.iter_mut().for_each(Subscriber::assert_alive);
        }
    }
    // Its place is filled, and the server knows by whom.
    let [first, second, third] = &mut subscribers;
    second.host.hang_up();
    lab.logged(&["session ended", "session=2 "]);
    first.assert_alive();
    third.assert_alive();
    lab.stop_with(&mut [first, third]);
}
