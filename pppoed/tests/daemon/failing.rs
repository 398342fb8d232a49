//! A subscriber that fails again and again, and what the log says of it.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ppp_ipc::control::{Phase, Selector};

use super::lab::{Lab, SECRET, until, with_wire};
use super::misbehaviour::mac_of;
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 6] = [
        ("a router with a wrong password is told three times", failing),
        ("a wrong password is answered late, and nobody else waits", late),
        ("a verdict that is overtaken is logged as any other", overtaken),
        ("guesses at a line that cannot be used write one notice", unusable_line),
        ("an account that comes and goes is told three times", coming_and_going),
        ("an end that we decide is told however often its host dials", decided_ends),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn late() {
    let secrets = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secrets, format!("alice * \"{SECRET}\" *\n")).unwrap();
    let lab = Lab::start(&["--chap-secrets", secrets.path().to_str().unwrap(), "--refusal-delay", "2500"]);
    let start = Instant::now();
    let mut guesser = Subscriber::begin(Host::dial(good_mac(1)), b"mallory");
    until("the proof", || {
        guesser.drive();
        lab.console().sessions().iter().any(|session| session.state == Phase::Authenticate)
    });
    let mut subscriber = Subscriber::open(good_mac(2));
    guesser.drive();
    assert!(!guesser.is_over() && !lab.log().contains("authentication refused"));
    until("the refusal", || guesser.is_over());
    assert!(start.elapsed() >= Duration::from_millis(2500), "{:?}", start.elapsed());
    lab.logged(&["authentication refused", "mallory"]);
    subscriber.close();
}

fn failing() {
    let secrets = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secrets, format!("alice * \"{SECRET}\" *\n")).unwrap();
    let lab = Lab::start(&["--chap-secrets", secrets.path().to_str().unwrap(), "--refusal-delay", "0"]);
    let count = |words: &str| lab.log().matches(words).count();
    for time in 0..6 {
        let mut router = Subscriber::begin(Host::dial_again(good_mac(1), time), b"mallory");
        until("the refusal", || router.is_over());
        until("the session to be gone", || lab.console().sessions().is_empty());
    }
    let lines = ["session started", "authentication refused", "session ended"];
    assert_eq!(lines.map(count), [3, 3, 3], "{}", lab.log());
    let line = lab.logged(&["session ended", "reason=\"auth-failed\""]);
    assert!(line.contains("username=\"mallory\"") && line.contains("ifname="), "{line}");

    // All is told of a dial that succeeds, and of the end of that session.
    let mut subscriber = Subscriber::open_again(good_mac(1), 6);
    lab.logged(&["session up", "username=\"alice\"", "peer_ip="]);
    lab.logged(&["repeated failed dials of this client", &good_mac(1).to_string()]);
    lab.logged(&["suppressed repeated failed dials", "count=3", &good_mac(1).to_string()]);
    subscriber.close();
    lab.logged(&["session ended", "username=\"alice\"", "reason=\"peer-terminated\""]);
}

/// Anybody can guess at the password of a user whose line names a file that is not there, so that the next line decides.
fn unusable_line() {
    let secrets = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secrets, "alice * @/nonexistent/password *\n* * another *\n").unwrap();
    let secrets = secrets.path().to_str().unwrap();
    let lab = Lab::start(&["--chap-secrets", secrets, "--refusal-delay", "0", "--mac-rate", "0"]);
    for number in 0..8 {
        let mut guesser = Subscriber::begin(Host::dial(good_mac(number)), b"alice");
        until("the refusal", || guesser.is_over());
    }
    let count = |words: &str| lab.log().matches(words).count();
    until("all in the log", || count("authentication refused") == 8);
    // At the start, and at the first guess.
    assert_eq!(count("the line is skipped: its secret cannot be read from"), 2, "{}", lab.log());
}

/// The worker of this host belongs to somebody who guesses, and begins LCP anew before each verdict.
fn overtaken() {
    let secrets = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secrets, format!("alice * \"{SECRET}\" *\n")).unwrap();
    let secrets = secrets.path().to_str().unwrap();
    let lab = Lab::start(&["--chap-secrets", secrets, "--refusal-delay", "300", "--auth-tries", "3"]);
    let mut guesser = Host::dial(mac_of("guesses and begins anew"));
    guesser.connected();
    guesser.terminated();
    lab.logged(&["session ended", "reason=\"auth-failed\""]);
    // Three tries, and the one that would have been one too many.
    until("all guesses in the log", || lab.log().matches("authentication refused").count() == 4);
    lab.logged(&["authentication refused", "username=\"mallory\"", "has no line for user"]);
}

fn coming_and_going() {
    let lab = Lab::start(&["--mac-rate", "0"]);
    let count = |words: &str| lab.log().matches(words).count();
    for time in 0..8 {
        come_and_go(&lab, b"alice", time);
    }
    let lines = ["session started", "INFO authenticated", "session up", "session ended"];
    assert_eq!(lines.map(count), [3; 4], "{}", lab.log());
    assert_eq!(count("repeated failed dials of this client"), 1);
}

/// Has a session on the same address as the times before, and hangs up once it is open.
fn come_and_go(lab: &Lab, name: &[u8], time: u8) {
    let mut subscriber = open_by_name(lab, name, time);
    subscriber.host.hang_up();
    until("the session to be gone", || lab.console().sessions().is_empty());
}

fn open_by_name(lab: &Lab, name: &[u8], time: u8) -> Subscriber {
    let mut subscriber = Subscriber::begin(Host::dial_again(good_mac(1), time), name);
    until("the session to be open", || {
        subscriber.drive();
        lab.console().sessions().iter().any(|session| session.state == Phase::Open)
    });
    subscriber
}

/// Beyond three dials in a minute, its own hang-ups are left out of the log.
fn decided_ends() {
    let lab = Lab::start(&["--mac-rate", "0"]);
    let count = |words: &str| lab.log().matches(words).count();
    for time in 0..5 {
        come_and_go(&lab, b"alice", time);
    }
    assert_eq!(["session up", "reason=\"padt\""].map(count), [3, 3], "{}", lab.log());
    let mut subscriber = open_by_name(&lab, b"alice", 5);
    lab.console().terminate(Selector::Id(subscriber.session_id));
    until("the end", || subscriber.is_over());
    lab.logged(&["session ended", "username=\"alice\"", "reason=\"admin\""]);
    until("the session to be gone", || lab.console().sessions().is_empty());
    // Anybody may dial with somebody else's MAC address: that leaves out no line about its owner.
    come_and_go(&lab, b"bob", 6);
    lab.logged(&["session up", "username=\"bob\""]);
    lab.logged(&["session ended", "username=\"bob\"", "reason=\"padt\""]);
    let mut last = open_by_name(&lab, b"alice", 7);
    assert_eq!(count("session up"), 4, "{}", lab.log());
    lab.signal(Signal::SIGTERM);
    until("the end", || last.is_over());
    lab.logged(&["session ended", "username=\"alice\"", "reason=\"shutdown\""]);
    lab.wait_stopped();
}
