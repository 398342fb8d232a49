//! Beginnings and ends of sessions and of the server that come at the wrong moment.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ppp_ipc::control::{Phase, Request, Response};
use ppp_linux::netlink::Netlink;

use super::lab::{self, Lab, ppp_interfaces, until, with_wire};
use super::misbehaviour::mac_of;
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 10] = [
        ("nothing is sent after a PADT", silent_after_padt),
        ("a stop while a session starts", stop_while_starting),
        ("a second stop does not wait", second_stop),
        ("no session begins while the server stops", dial_while_stopping),
        ("a new dial replaces the session", replaced),
        ("a new dial replaces the session when there is room for one", replaced_in_the_same_slot),
        ("the last of several hasty dials gets the session", hasty_dials),
        ("names of other programs' interfaces are left alone", names_in_use),
        ("sessions end when the server is killed", server_killed),
        ("a background server with relative paths", background),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn stop_while_starting() {
    let lab = Lab::start(&[]);
    let mut host = Host::dial(mac_of("is never ready"));
    until("the session to start", || {
        host.drive();
        lab.console().sessions().iter().any(|session| session.state == Phase::Starting)
    });
    lab.signal(Signal::SIGTERM);
    host.refused();
    lab.logged(&["session ended", "reason=\"shutdown\""]);
    lab.wait_stopped();
}

fn second_stop() {
    let lab = Lab::start(&[]);
    let mut host = Host::dial(mac_of("ignores a Terminate"));
    host.connected();
    lab.signal(Signal::SIGTERM);
    lab.logged(&["stopping", "sessions=1"]);
    lab.signal(Signal::SIGTERM);
    assert_eq!(host.terminated(), "shutdown");
    let line = lab.logged(&["session ended", "reason=\"shutdown\""]);
    // The first stop alone gives the worker three seconds.
    assert!(
        ["duration_s=0", "duration_s=1", "duration_s=2"].iter().any(|part| line.contains(part)),
        "{line}"
    );
    lab.wait_stopped();
}

fn dial_while_stopping() {
    let lab = Lab::start(&[]);
    let mut slow = Host::dial(mac_of("ignores a Terminate"));
    slow.connected();
    lab.signal(Signal::SIGTERM);
    lab.logged(&["stopping", "sessions=1"]);
    let mut late = Host::dial(good_mac(1));
    lab.wait_stopped_while(|| late.drive());
    assert!(late.is_undisturbed(), "it was answered");
}

/// Not even a Terminate-Request (RFC 2516 section 5.5).
fn silent_after_padt() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    subscriber.assert_alive();
    subscriber.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    assert!(subscriber.hears_nothing());
    lab.stop_with(&mut []);
}

fn replaced() {
    let lab = Lab::start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    let mut other = Subscriber::open(good_mac(2));
    assert_eq!((first.session_id, other.session_id), (1, 2));
    let mut second = Host::dial_again(good_mac(1), 2);
    // Both slots are taken, so it gets the one that it frees.
    assert_eq!(second.connected().session_id, 1);
    assert_eq!(first.host.terminated(), "replaced");
    other.assert_alive();
    assert_eq!(lab.console().sessions().len(), 2);
    lab.logged(&["session ended", "session=1", "reason=\"replaced\"", "peer_ip=10.0.0.2"]);
}

fn replaced_in_the_same_slot() {
    let lab = Lab::start(&["-N", "1"]);
    let mut first = Subscriber::open(good_mac(1));
    let mut second = Subscriber::open_again(good_mac(1), 2);
    assert_eq!(first.host.terminated(), "replaced");
    assert_eq!((second.session_id, second.address()), (1, Some([10, 0, 0, 2].into())));
    second.assert_alive();
    lab.stop_with(&mut [&mut second]);
}

fn hasty_dials() {
    let lab = Lab::start(&["-N", "1", "--mac-rate", "0"]);
    let mut old = Subscriber::open(good_mac(1));
    let mut hosts: Vec<Host> = (2..20).map(|number| Host::dial_again(good_mac(1), number)).collect();
    // All have their offer before the first asks for the session: the requests come together.
    until("the offers", || hosts.iter().all(Host::has_frames));
    hosts.iter_mut().for_each(Host::drive);
    let mut last = hosts.pop().unwrap();
    assert_eq!(last.connected().session_id, 1);
    assert_eq!(old.host.terminated(), "replaced");
    assert_eq!(lab.console().sessions().len(), 1);
    // The others get no answer that it could take for its own.
    assert!(last.is_undisturbed() && !hosts.iter_mut().any(Host::was_refused));
    lab.stop_with(&mut []);
}

fn names_in_use() {
    let lab = Lab::start(&[]);
    for name in ["ppp0", "ppp1", "ppp3"] {
        lab::add_veth(name, &format!("far-{name}"));
    }
    let ifnames =
        || -> Vec<String> { lab.console().sessions().iter().map(|session| session.ifname.clone()).collect() };
    let mut first = Subscriber::open(good_mac(1));
    assert_eq!(ifnames(), ["ppp2"]);
    let mut second = Subscriber::open(good_mac(2));
    assert_eq!(ifnames(), ["ppp2", "ppp4"]);
    assert_eq!(ppp_interfaces(), ["ppp0", "ppp1", "ppp3", "ppp2", "ppp4"]);
    let mut netlink = Netlink::open().unwrap();
    for name in ["ppp0", "ppp1", "ppp3"] {
        let interface = netlink.interface(&name.parse().unwrap()).unwrap();
        netlink.delete_link(&interface.id).unwrap();
    }
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn server_killed() {
    let mut lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    let worker = match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => Pid::from_raw(detail.worker_pid.try_into().unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(ppp_interfaces(), ["ppp0"]);
    lab.kill();
    // The worker tells the peer, and goes.
    until("the link to end", || subscriber.is_over());
    until("the worker to go", || kill(worker, None).is_err());
    assert_eq!(ppp_interfaces(), Vec::<String>::new());
}

fn background() {
    let directory = lab::directory();
    let start = |pid_file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pppoed"));
        command.current_dir(directory.path()).env_remove("JOURNAL_STREAM");
        command.args([
            "-I",
            lab::ACCESS,
            "-O",
            "options",
            "--common-options",
            "empty",
            "--worker-user",
            "nobody",
        ]);
        command.args([
            "--chap-secrets",
            "secrets",
            "--run-dir",
            "run",
            "--worker",
            "bad-worker",
            "-X",
            pid_file,
        ]);
        command.output().unwrap()
    };
    fs::write(directory.path().join("options"), "require-chap\nlogfile log\n").unwrap();
    let first = start("pid");
    assert!(first.status.success(), "{first:?}");
    let pid: i32 = fs::read_to_string(directory.path().join("pid")).unwrap().trim().parse().unwrap();
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(), "pppoed\n");
    let pid = Pid::from_raw(pid);
    assert!(directory.path().join("run/control.sock").exists());

    let second = start("pid");
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("another pppoed has locked the pid file"), "{complaint}");
    let third = start("other-pid");
    let complaint = String::from_utf8_lossy(&third.stderr).into_owned();
    assert_eq!(third.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("another pppoed is running"), "{complaint}");
    assert!(!directory.path().join("other-pid").exists(), "a pid file of nobody");

    // Relative paths are found again, although the server has left the directory.
    let mut console = super::console::Console::connect(&directory.path().join("run/control.sock"));
    let answers = console.ask(&Request::Reload { check: false });
    assert!(matches!(&answers[..], [Response::Reloaded(summary)] if summary.changes == 0), "{answers:?}");

    // The first one is not disturbed.
    let mut subscriber = Subscriber::open(good_mac(1));
    kill(pid, Signal::SIGTERM).unwrap();
    until("the server to exit", || {
        subscriber.drive();
        !directory.path().join("pid").exists()
    });
    until("the log's last line", || {
        fs::read_to_string(directory.path().join("log")).unwrap().ends_with("INFO stopped\n")
    });
    assert!(!directory.path().join("run/control.sock").exists());
}
