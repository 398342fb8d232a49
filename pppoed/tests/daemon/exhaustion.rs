//! The system has no more threads, processes or descriptors: what needs some is refused, and sessions go on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use ppp_ipc::control::Phase;

use super::adoption::{known, open, taken_over};
use super::lab::{Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

const GO_ON: &[&str] = &["--orphan-timeout", "30", "-N", "4"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 3] = [
        ("a restart under a limit of processes", few_processes),
        ("a server without processes", no_processes),
        ("a server without descriptors", no_descriptors),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// A control group that limits processes and threads. This thread, and what it starts, is in it.
struct Processes(PathBuf);

impl Processes {
    fn enter(name: &str) -> Self {
        let root = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(PathBuf::from);
        let root = root.into_iter().find(|root| root.join("cgroup.procs").exists()).expect("control groups");
        let group = Self(root.join(format!("pppoed-test-{}-{name}", std::process::id())));
        fs::create_dir(&group.0).unwrap();
        // In version 2 a thread can only leave with its process.
        let own = ["tasks", "cgroup.procs"].into_iter().find(|name| group.0.join(name).exists()).unwrap();
        fs::write(group.0.join(own), nix::unistd::gettid().to_string()).unwrap();
        group
    }

    fn count(&self) -> u32 {
        fs::read_to_string(self.0.join("pids.current")).unwrap().trim().parse().unwrap()
    }

    fn limit(&self, most: Option<u32>) {
        let most = most.map_or_else(|| "max".to_owned(), |most| most.to_string());
        fs::write(self.0.join("pids.max"), most).unwrap();
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.limit(None);
        let parent = self.0.parent().unwrap();
        for own in ["tasks", "cgroup.procs"] {
            for task in fs::read_to_string(self.0.join(own)).unwrap_or_default().lines() {
                let _ = fs::write(parent.join(own), task);
            }
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// The next server may have one thread beside its own, or a few, or all that it wants.
fn few_processes() {
    let processes = Processes::enter("restart");
    let mut lab = Lab::start(GO_ON);
    let mut subscribers = [open(&lab, 1), open(&lab, 2)];
    // What is there while nobody starts: this thread, workers, and the server with its threads and template.
    let steady = processes.count();
    for (times, most) in [(1, steady), (2, steady - 6), (3, steady - 10)] {
        lab.kill();
        until("its threads to be gone", || processes.count() < most);
        processes.limit(Some(most));
        lab.restart(GO_ON);
        for (id, subscriber) in (1..).zip(&mut subscribers) {
            taken_over(&lab, id, times);
            subscriber.assert_alive();
        }
        assert!(!lab.log().contains("panicked"), "{}", lab.log());
        processes.limit(None);
    }
    lab.logged(&["WARN", "cannot create all threads"]);
    lab.logged(&["WARN", "cannot create more threads", "name=\"consoles\""]);
    let mut third = dial_until_served(&lab, 3);
    let [first, second] = &mut subscribers;
    lab.stop_with(&mut [first, second, &mut third]);
}

/// What could not be done for want of something is tried again now and then: dials until there is a session.
pub(super) fn dial_until_served(lab: &Lab, number: u8) -> Subscriber {
    let mut time = 10;
    let mut host = Host::dial_again(good_mac(number), time);
    until("a session", || {
        if host.was_refused() {
            time += 1;
            host = Host::dial_again(good_mac(number), time);
        }
        host.is_connected()
    });
    let mut subscriber = Subscriber::begin(host, b"alice");
    until("IPCP to open", || {
        subscriber.drive();
        subscriber.address().is_some()
    });
    known(lab, subscriber)
}

/// With a limit that is reached all the time, everything that wants a thread has one.
fn no_processes() {
    let processes = Processes::enter("running");
    let lab = Lab::start(GO_ON);
    let mut first = open(&lab, 1);
    processes.limit(Some(1));
    // Longer than tokio keeps threads that have nothing to do, if it is left alone.
    std::thread::sleep(std::time::Duration::from_secs(11));
    Host::dial(good_mac(2)).refused();
    // Reads files in a thread.
    lab.signal(Signal::SIGHUP);
    lab.logged(&["reload"]);
    first.host.hang_up();
    lab.logged(&["session ended", "session=1 "]);
    assert!(!lab.log().contains("panicked"), "{}", lab.log());
    processes.limit(None);
    let mut again = dial_until_served(&lab, 3);
    lab.stop_with(&mut [&mut again]);
}

fn no_descriptors() {
    let lab = Lab::start(GO_ON);
    let mut first = open(&lab, 1);
    let limit = |most: &str| {
        let of = format!("--nofile={most}:");
        let status = Command::new("prlimit").args(["--pid", &lab.pid().to_string(), &of]).status().unwrap();
        assert!(status.success());
    };
    limit("8");
    Host::dial(good_mac(2)).refused();
    lab.signal(Signal::SIGHUP);
    lab.logged(&["reload"]);
    first.assert_alive();
    limit("500");
    assert!(!lab.log().contains("panicked"), "{}", lab.log());
    lab.in_phase(1, Phase::Open);
    let mut second = dial_until_served(&lab, 3);
    lab.stop_with(&mut [&mut first, &mut second]);
}
