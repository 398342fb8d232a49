//! Who dials without proving anything: what that costs those who do.

use std::fs;
use std::time::{Duration, Instant};

use ppp_ipc::control::Phase;

use super::lab::{self, Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::strays;
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 8] = [
        ("silent hosts make room for a customer", silent_hosts),
        ("a silent client has five seconds, or as told", first_packet),
        ("all customers get in after an outage", storm),
        ("who has logged in before goes before strangers", known_station),
        ("no crowd of strangers keeps out who has logged in before", crowd),
        ("a PADR from a forged MAC address ends nobody's session", forged_padr),
        ("a client that has rebooted is in as soon as it has logged in", rebooted),
        ("without authentication a session goes when its peer does not answer", without_authentication),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// Longer than that a customer does not wait where nobody attacks, on whatever machine.
const SOON: Duration = Duration::from_secs(4);

/// As many as there are slots, each with two frames.
fn silent_hosts() {
    let lab = Lab::start(&["-N", "16", "--mac-rate", "0"]);
    let mut hosts: Vec<Host> = (0..40).map(|number| Host::dial(good_mac(number))).collect();
    let mut connected = 0;
    until("some to have sessions", || {
        hosts.iter_mut().for_each(Host::drive);
        connected = lab.console().sessions().len();
        connected >= 4
    });
    assert!(connected <= 8, "{connected} of 16 slots are theirs: 4, and those that change hands");
    let start = Instant::now();
    let mut customer = Subscriber::begin(Host::dial(good_mac(100)), b"alice");
    until("the customer to get in", || {
        hosts.iter_mut().for_each(Host::drive);
        customer.drive();
        customer.address().is_some()
    });
    println!("    a customer waited {:.0?}", start.elapsed());
    lab.logged(&["session ended", "setup-timeout", "it has proven nothing yet, and others dial"]);
    customer.assert_alive();
}

fn first_packet() {
    let lab = Lab::start(&["--lcp-deadline", "1", "--setup-deadline", "30"]);
    let start = Instant::now();
    let mut silent = Host::dial(good_mac(1));
    silent.connected();
    assert_eq!(silent.terminated(), "setup-timeout");
    assert!(start.elapsed() >= Duration::from_secs(1) && start.elapsed() < Duration::from_secs(20));
    lab.logged(&["session ended", "the client sent no LCP packet (--lcp-deadline)"]);
    // Who says something has the whole time.
    let mut slow = Subscriber::begin(Host::dial(good_mac(2)), b"alice");
    slow.drive();
    until("the first deadline to be over", || {
        let sessions = lab.console().sessions();
        assert_eq!(sessions.len(), 1);
        sessions.iter().any(|session| session.uptime_s >= 3)
    });
    until("it to get in", || {
        slow.drive();
        slow.address().is_some()
    });
}

/// All at once, with four times as many as may be in setup.
fn storm() {
    const CUSTOMERS: u8 = 16;
    let lab = Lab::start(&["-N", "16"]);
    let start = Instant::now();
    let hosts: Vec<Host> = (0..CUSTOMERS).map(|number| Host::dial(good_mac(number))).collect();
    until("the offers", || hosts.iter().all(Host::has_frames));
    // Each is served in its turn: none has to dial again.
    let mut subscribers: Vec<Subscriber> = Vec::new();
    for host in hosts {
        let mut subscriber = Subscriber::begin_while(host, b"alice", || {
            subscribers.iter_mut().for_each(Subscriber::drive);
        });
        subscriber.drive();
        subscribers.push(subscriber);
    }
    until("all to get in", || {
        subscribers.iter_mut().for_each(Subscriber::drive);
        subscribers.iter().all(|subscriber| subscriber.address().is_some())
    });
    println!("    {CUSTOMERS} customers were in after {:.0?}", start.elapsed());
    assert_eq!(lab.console().sessions().len(), usize::from(CUSTOMERS));
}

/// Strangers who speak LCP are not silent: they could hold what there is for as long as the set-up may take.
fn known_station() {
    let lab = Lab::start(&["-N", "16", "--mac-rate", "0", "--setup-deadline", "60"]);
    let mut customer = Subscriber::open(good_mac(1));
    customer.host.hang_up();
    until("the session to be gone", || lab.console().sessions().is_empty());
    let mut strangers: Vec<Subscriber> = (10..14)
        .map(|number| {
            let mut stranger = Subscriber::begin(Host::dial(good_mac(number)), b"mallory");
            stranger.drive();
            stranger
        })
        .collect();
    let start = Instant::now();
    let mut customer = Subscriber::open_again(good_mac(1), 2);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    customer.assert_alive();
    until("one of them to be gone", || strangers.iter_mut().any(|stranger| !stranger.host.is_undisturbed()));
}

/// Strangers who speak LCP have all places, and more of them wait than may.
fn crowd() {
    let lab = Lab::start(&["-N", "16", "--mac-rate", "0", "--setup-deadline", "60", "--lcp-deadline", "30"]);
    let mut customer = Subscriber::open(good_mac(1));
    customer.host.hang_up();
    until("the session to be gone", || lab.console().sessions().is_empty());
    let mut strangers: Vec<Subscriber> = (10..14)
        .map(|number| {
            let mut stranger = Subscriber::begin(Host::dial(good_mac(number)), b"mallory");
            stranger.drive();
            stranger
        })
        .collect();
    let mut waiting: Vec<Host> = (20..60).map(|number| Host::dial(good_mac(number))).collect();
    until("some to be turned away", || {
        waiting.iter_mut().for_each(Host::drive);
        strangers.iter_mut().for_each(Subscriber::drive);
        strays::count(&lab, "too_many_starting") > 0
    });
    let start = Instant::now();
    let mut customer = Subscriber::open_again(good_mac(1), 2);
    assert!(start.elapsed() < Duration::from_secs(2), "it was not heard at once: {:?}", start.elapsed());
    customer.assert_alive();
}

fn forged_padr() {
    for (slots, has_room) in [("2", true), ("1", false)] {
        let lab = Lab::start(&["-N", slots, "--lcp-deadline", "1"]);
        let mut victim = Subscriber::open(good_mac(1));
        let mut forger = Host::dial_again(good_mac(1), 2);
        match has_room {
            true => {
                forger.connected();
                assert_eq!(forger.terminated(), "setup-timeout");
            }
            // The victim answers the echo by which it is asked.
            false => until("the forger to be refused", || {
                victim.drive();
                forger.was_refused()
            }),
        }
        victim.assert_alive();
        assert!(!lab.log().contains("reason=\"replaced\""), "{}", lab.log());
        lab.stop_with(&mut [&mut victim]);
    }
}

fn rebooted() {
    for slots in ["2", "1"] {
        let lab = Lab::start(&["-N", slots]);
        let mut before = Subscriber::open(good_mac(1));
        let start = Instant::now();
        // From here on, nobody answers for the old session.
        let mut after = Subscriber::open_again(good_mac(1), 2);
        println!("    with {slots} slots, it is in after {:.0?}", start.elapsed());
        let wait = if slots == "1" { SOON + Duration::from_secs(2) } else { SOON };
        assert!(start.elapsed() < wait, "{:?}", start.elapsed());
        assert_eq!(before.host.terminated(), "replaced");
        assert_eq!(lab.console().sessions().len(), 1);
        after.assert_alive();
        lab.stop_with(&mut [&mut after]);
    }
}

fn without_authentication() {
    let directory = lab::directory();
    fs::write(directory.path().join("options"), "noauth\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\n")
        .unwrap();
    let lab = Lab::start_in(directory, &[]);
    let mut old = Subscriber::open(good_mac(1));
    lab.in_phase(1, Phase::Open);
    let mut other = Host::dial_again(good_mac(1), 2);
    until("the other to be refused", || {
        old.drive();
        other.was_refused()
    });
    old.assert_alive();
    let mut new = Subscriber::open_again(good_mac(1), 3);
    assert_eq!(old.host.terminated(), "replaced");
    lab.logged(&["session ended", "replaced", "did not answer an LCP echo"]);
    new.assert_alive();
    lab.stop_with(&mut [&mut new]);
}
