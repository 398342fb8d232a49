//! Somebody empties the run directory: while the server runs, and while it does not.

use std::fs;

use super::adoption::open;
use super::exhaustion::dial_until_served;
use super::lab::{Lab, ppp_interfaces, until, with_wire};
use super::reconciled::repaired;

const GO_ON: &[&str] = &["--orphan-timeout", "60", "-N", "4"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 3] = [
        ("a run directory that is emptied under the server is made again", emptied),
        ("a run directory that is removed under the server is made again", removed),
        ("workers of a session that nobody knows are ended first", ghosts),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn empty(lab: &Lab) {
    for entry in fs::read_dir(lab.path("run")).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

fn emptied() {
    is_made_again(empty);
}

fn removed() {
    is_made_again(|lab| fs::remove_dir_all(lab.path("run")).unwrap());
}

fn is_made_again(spoil: fn(&Lab)) {
    let directory = super::lab::directory();
    fs::create_dir(directory.path().join("hooks")).unwrap();
    fs::write(directory.path().join("hooks/a.lua"), "function ip_up(s) end").unwrap();
    let go_on = [GO_ON, &["--hooks-dir", "{lab}/hooks"]].concat();
    let mut lab = Lab::start_in(directory, &go_on);
    let mut subscriber = open(&lab, 1);
    let made = || {
        let names = [
            "control.sock",
            "adoption.key",
            "sessions/1",
            "empty/supervisor.sock",
            "last-good/index.json",
            "last-good-hooks/a.lua",
        ];
        names.iter().all(|name| lab.path("run").join(name).exists())
    };
    until("everything to be there", made);
    spoil(&lab);
    until("everything to be there again", made);
    lab.logged(&["WARN", "run directory recreated", "worker-socket"]);
    assert!(repaired(&lab, "run-directory") >= 1);
    subscriber.assert_alive();
    // A second server does not get in.
    let mut second = open(&lab, 2);
    // Those that were there before cannot come back, and get nobody else into trouble.
    lab.kill();
    lab.restart(&go_on);
    lab.logged(&["session taken over", "session=2 "]);
    lab.logged(&["session ended", "session=1 "]);
    second.assert_alive();
    let mut third = dial_until_served(&lab, 3);
    third.assert_alive();
    until("the interface to go", || ppp_interfaces().len() == 2);
    lab.stop_with(&mut [&mut second, &mut third]);
}

/// Neither key nor records: nobody gets an address before the last of them is gone.
fn ghosts() {
    let mut lab = Lab::start(GO_ON);
    let (_first, _second) = (open(&lab, 1), open(&lab, 2));
    lab.kill();
    empty(&lab);
    lab.restart(GO_ON);
    let mut newcomer = dial_until_served(&lab, 3);
    // The first address and the first interface, which a ghost had.
    assert_eq!(newcomer.address(), Some([10, 0, 0, 2].into()));
    assert_eq!(ppp_interfaces(), ["ppp0"]);
    assert_eq!(repaired(&lab, "worker"), 2);
    lab.logged(&["WARN", "worker of an unknown session ended"]);
    newcomer.assert_alive();
    lab.stop_with(&mut [&mut newcomer]);
}
