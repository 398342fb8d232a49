//! What somebody else changed in the kernel, or in the run directory, is put right and counted.

use std::fs;
use std::process::Command;

use ppp_ipc::control::{Request, Response};

use super::adoption::open;
use super::lab::{Lab, until, with_wire};

const OFTEN: &[&str] = &["--reconcile-interval", "1"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 3] = [
        ("an interface that somebody changed is put right", interface),
        ("a session whose interface somebody deleted ends", deleted),
        ("records are compared with the sessions", records),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn repaired(lab: &Lab, kind: &str) -> u64 {
    let Response::Stats(stats) = lab.console().ask(&Request::ShowStats).remove(0) else {
        panic!("no counters")
    };
    stats.repaired.iter().find(|count| count.name == kind).unwrap().count
}

fn interface() {
    let lab = Lab::start(OFTEN);
    let mut subscriber = open(&lab, 1);
    let has_route = || ip("route show dev ppp0").contains("10.0.0.2");
    assert!(has_route());
    ip("address flush dev ppp0");
    lab.logged(&["WARN", "kernel state of a session repaired", "kind=\"address\""]);
    until("the route", has_route);
    ip("route delete 10.0.0.2 dev ppp0");
    until("the route", has_route);
    until("both to be counted", || repaired(&lab, "address") == 2);
    assert!(ip("address show dev ppp0").contains("inet 10.0.0.1 peer 10.0.0.2/32"));
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}

fn deleted() {
    let lab = Lab::start(OFTEN);
    let mut subscriber = open(&lab, 1);
    ip("link delete ppp0");
    lab.logged(&["session ended", "session=1 "]);
    until("the end of the link", || subscriber.is_over() || !subscriber.host.is_undisturbed());
    lab.stop_with(&mut []);
}

fn records() {
    let lab = Lab::start(OFTEN);
    let mut subscriber = open(&lab, 1);
    let (own, other) = (lab.path("run/sessions/1"), lab.path("run/sessions/77"));
    until("its record", || own.exists());
    fs::remove_file(&own).unwrap();
    fs::write(&other, "of nobody").unwrap();
    until("its record again, and none of others", || own.exists() && !other.exists());
    until("both to be counted", || repaired(&lab, "record") == 2);
    lab.logged(&["WARN", "run directory recreated", "records of 1 sessions"]);
    lab.logged(&["WARN", "stale state of ended sessions removed", "kind=\"record\" count=1"]);
    lab.stop_with(&mut [&mut subscriber]);
}
