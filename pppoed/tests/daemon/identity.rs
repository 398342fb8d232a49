//! Who a process is, when clocks do not say so.

use std::fs;

use super::adoption::{known, taken_over};
use super::lab::{Lab, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

const GO_ON: &[&str] = &["--orphan-timeout", "20", "-N", "3"];
/// As in a container that was moved here from a machine that had been up for longer: twelve days.
const ELSEWHEN: &str = "unshare --time --boottime 1000000 --monotonic 1000000";

pub(crate) fn tests() -> Vec<super::Test> {
    vec![(
        "sessions outlive a server in another time namespace".to_owned(),
        Box::new(|| with_wire(another_time)),
    )]
}

fn another_time() {
    let mut lab = Lab::start(GO_ON);
    let mut subscribers = [1, 2].map(|number| known(&lab, Subscriber::open(good_mac(number))));
    let namespace = |pid: String| fs::read_link(format!("/proc/{pid}/ns/time")).unwrap();
    for (times, under) in [(1, ELSEWHEN), (2, ""), (3, ELSEWHEN)] {
        lab.kill();
        // One of them has no record but its worker's.
        fs::remove_file(lab.path("run/sessions/2")).unwrap();
        lab.restart_under(under, GO_ON);
        assert_eq!(namespace(lab.pid().to_string()) != namespace("self".to_owned()), !under.is_empty());
        for subscriber in &mut subscribers {
            taken_over(&lab, subscriber.session_id, times);
            subscriber.assert_alive();
        }
        assert!(lab.console().sessions().iter().all(|session| session.uptime_s < 600), "{times}");
        let record = lab.path("run/sessions/2");
        super::lab::until("its record", || record.exists());
    }
    assert!(!lab.log().contains("session ended"), "{}", lab.log());
    let [first, second] = &mut subscribers;
    lab.stop_with(&mut [first, second]);
}
