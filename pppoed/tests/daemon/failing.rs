//! A subscriber that fails again and again, and what the log says of it.

use std::fs;

use super::lab::{Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    vec![("a router with a wrong password is told three times".to_owned(), Box::new(|| with_wire(failing)))]
}

fn failing() {
    let secrets = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secrets, format!("alice * \"{SECRET}\" *\n")).unwrap();
    let lab = Lab::start(&["--chap-secrets", secrets.path().to_str().unwrap()]);
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
    lab.logged(&["dials that failed were left out of the log", "count=3", &good_mac(1).to_string()]);
    subscriber.close();
    lab.logged(&["session ended", "username=\"alice\"", "reason=\"peer-terminated\""]);
}
