//! The template that workers are forked from dies or hangs: sessions go on, and new ones begin.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::lab::{self, Lab, until, until_some, with_wire};
use super::misbehaviour::mac_of;
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 4] = [
        ("sessions outlive the template", killed),
        ("a template that hangs is replaced", hung),
        ("a worker that crashes takes its template with it", renewed),
        ("the template ends with the server", stopped),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// The server's template.
fn template(lab: &Lab) -> Pid {
    let find = || lab::children(lab.pid()).into_iter().find(is_template);
    until_some("a template", find).unwrap_or_else(|why| panic!("{why}:\n{}", lab.log()))
}

fn is_template(pid: &Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "ppp-template\n")
}

fn killed() {
    let lab = Lab::start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    let old = template(&lab);
    kill(old, Signal::SIGKILL).unwrap();
    lab.logged(&["WARN", "template failed; restarting it", "it ended"]);
    first.assert_alive();

    let mut second = Subscriber::open(good_mac(2));
    assert_ne!(template(&lab), old);
    first.assert_alive();
    second.assert_alive();
    // How the worker of a template that is gone went is known all the same.
    second.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    lab.stop_with(&mut [&mut first]);
}

fn hung() {
    let lab = Lab::start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    let old = template(&lab);
    kill(old, Signal::SIGSTOP).unwrap();
    let mut unlucky = Host::dial(good_mac(2));
    unlucky.refused();
    lab.logged(&["WARN", "template failed; restarting it", "did not answer in time"]);
    lab.logged(&["session ended", "reason=\"system-error\"", "template failed"]);
    assert!(!is_template(&old), "it is still there");

    let mut second = Subscriber::open_again(good_mac(2), 1);
    first.assert_alive();
    second.assert_alive();
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn renewed() {
    let lab = Lab::start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    let old = template(&lab);
    Host::dial(mac_of("is killed at once")).refused();
    lab.logged(&["restarting the worker template", "a worker crashed"]);
    until("the old template to go", || !is_template(&old));
    let mut second = Subscriber::open(good_mac(2));
    first.assert_alive();
    second.assert_alive();
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn stopped() {
    let lab = Lab::start(&[]);
    let template = template(&lab);
    lab.stop_with(&mut []);
    assert!(!is_template(&template), "it outlived the server");
}
