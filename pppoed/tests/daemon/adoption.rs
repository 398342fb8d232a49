//! The server is killed, stopped, or told to leave, and started again: sessions go on, and what ended is cleaned up.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ppp_ipc::adoption::{Claim, Returning, TAG_LEN, Ticket};
use ppp_ipc::codec;
use ppp_ipc::control::{Phase, Request, Response, ServiceState, SessionDetail, Shutdown};
use ppp_ipc::worker::VERSION;

use super::lab::{self, HOSTS, Lab, ppp_interfaces, until, with_wire};
use super::peer::{Host, Subscriber};
use super::stranger::{self, NOBODY};
use super::worker::good_mac;

/// Long enough for every test, and short enough for the workers of one that failed.
const GO_ON: &[&str] = &["--orphan-timeout", "20"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 17] = [
        ("sessions outlive a server that is killed", killed),
        ("sessions outlive a server that is told to leave", left),
        ("a console may end the server alone", shutdown_keep),
        ("sessions that were taken over end without harm to the others", one_of_three_ends),
        ("sessions outlive three servers", three_servers),
        ("a worker that died meanwhile is cleaned up", worker_died_meanwhile),
        ("a peer that left meanwhile is accounted for", peer_left_meanwhile),
        ("a session without a server ends in time", orphan_timeout),
        ("a session that is not open ends with its server", not_open),
        ("a new proof waits for the next server", proof_waits),
        ("a worker that does not come back is given up", stopped_worker),
        ("strangers get nothing", strangers),
        ("torn files cost no session", torn_files),
        ("a full disk costs no session", full_disk),
        ("without key and records workers are ended at the start", nothing_left),
        ("an interface that is not served any more", unserved_interface),
        ("another pool and fewer sessions", other_pool),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn detail(lab: &Lab, id: u16) -> SessionDetail {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

fn worker_of(lab: &Lab, id: u16) -> Pid {
    Pid::from_raw(detail(lab, id).worker_pid.try_into().unwrap())
}

/// A session that is open on both ends, and whose worker has its record.
pub(super) fn open(lab: &Lab, number: u8) -> Subscriber {
    known(lab, Subscriber::open(good_mac(number)))
}

/// As [`open`], once it is open on its own end.
pub(super) fn known(lab: &Lab, subscriber: Subscriber) -> Subscriber {
    lab.in_phase(subscriber.session_id, Phase::Open);
    let record = lab.path(&format!("run/sessions/{}", subscriber.session_id));
    until("its record", || record.exists());
    subscriber
}

/// What must be the same afterwards.
fn identity(detail: &SessionDetail) -> impl PartialEq + std::fmt::Debug + use<> {
    let summary = detail.summary.clone();
    (
        (
            summary.id,
            summary.ifname,
            summary.username,
            summary.ip,
            summary.mac,
            summary.interface,
            summary.state,
        ),
        (
            detail.worker_pid,
            detail.local_ip,
            detail.mtu,
            detail.peer_mru,
            detail.auth,
            detail.secret_origin.clone(),
        ),
        (detail.host_uniq.clone(), detail.sandbox.clone()),
    )
}

/// Waits until the server has taken the session over.
pub(super) fn taken_over(lab: &Lab, id: u16, times: usize) {
    let words = ["session taken over", &format!("session={id} ")];
    until("the session to be taken over", || {
        lab.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count() >= times
    });
    lab.in_phase(id, Phase::Open);
}

fn killed() {
    let mut lab = Lab::start(GO_ON);
    let mut first = open(&lab, 1);
    let mut second = open(&lab, 2);
    let before = [detail(&lab, 1), detail(&lab, 2)];
    lab.kill();
    assert_eq!(ppp_interfaces().len(), 2);
    first.assert_alive();
    second.assert_alive();

    lab.restart(GO_ON);
    let ready = Instant::now();
    taken_over(&lab, 1, 1);
    taken_over(&lab, 2, 1);
    assert!(ready.elapsed() < Duration::from_secs(5), "{:?}", ready.elapsed());
    for before in before {
        let after = detail(&lab, before.summary.id);
        assert_eq!(identity(&after), identity(&before));
        assert!(after.summary.uptime_s >= before.summary.uptime_s);
        assert!(after.summary.traffic.rx_packets >= before.summary.traffic.rx_packets);
        let events: Vec<&str> = after.history.iter().map(|entry| entry.event.as_str()).collect();
        assert!(events.contains(&"PADR") && events.contains(&"taken over from another pppoed"), "{events:?}");
    }
    first.assert_alive();
    second.assert_alive();
    // It is a session as any other.
    second.host.hang_up();
    lab.logged(&["session ended", "session=2 ", "reason=\"padt\"", "username=\"alice\""]);
    let mut third = Subscriber::open_again(good_mac(2), 2);
    assert_eq!((third.session_id, third.address()), (2, Some([10, 0, 0, 3].into())));
    lab.stop_with(&mut [&mut first, &mut third]);
}

fn left() {
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = open(&lab, 1);
    let before = detail(&lab, 1);
    lab.signal(Signal::SIGUSR1);
    assert!(lab.wait_gone().success());
    lab.logged(&["exiting", "sessions=1"]);
    assert!(!lab.path("run/control.sock").exists());
    subscriber.assert_alive();
    lab.restart(GO_ON);
    taken_over(&lab, 1, 1);
    assert_eq!(identity(&detail(&lab, 1)), identity(&before));
    subscriber.assert_alive();
    let mut second = open(&lab, 2);
    assert_eq!(second.session_id, 2);
    lab.stop_with(&mut [&mut subscriber, &mut second]);
}

/// Each worker's socket has its place among all; see `ppp_linux::packet::SessionGroup`.
fn one_of_three_ends() {
    let flags = [GO_ON, &["-N", "3"]].concat();
    for leave in [false, true] {
        let mut lab = Lab::start(&flags);
        let mut subscribers = [1, 2, 3].map(|number| open(&lab, number));
        match leave {
            true => {
                lab.signal(Signal::SIGUSR1);
                assert!(lab.wait_gone().success());
            }
            false => lab.kill(),
        }
        subscribers.iter_mut().for_each(Subscriber::assert_alive);
        lab.restart(&flags);
        [1, 2, 3].into_iter().for_each(|id| taken_over(&lab, id, 1));
        let [first, second, third] = &mut subscribers;
        first.host.hang_up();
        lab.logged(&["session ended", "session=1 "]);
        second.assert_alive();
        third.assert_alive();
        let mut fourth = Subscriber::open_again(good_mac(1), 2);
        for subscriber in [&mut *second, &mut *third, &mut fourth] {
            subscriber.assert_alive();
        }
        lab.stop_with(&mut [second, third, &mut fourth]);
    }
}

/// And the next one still takes no new sessions.
fn shutdown_keep() {
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = open(&lab, 1);
    lab.console().ask(&Request::Drain { on: true });
    let answer = lab.console().ask(&Request::Shutdown(Shutdown::Keep));
    let leaving = Response::Service { state: ServiceState::Leaving, sessions: 1 };
    assert_eq!(answer, [leaving]);
    assert!(lab.wait_gone().success());
    subscriber.assert_alive();
    lab.restart(GO_ON);
    taken_over(&lab, 1, 1);
    subscriber.assert_alive();
    lab.logged(&["draining, as before the restart"]);
    let answer = lab.console().ask(&Request::Drain { on: false });
    assert_eq!(answer, [Response::Service { state: ServiceState::Serving, sessions: 1 }]);
    lab.kill();
    lab.restart(GO_ON);
    taken_over(&lab, 1, 2);
    assert_eq!(lab.log().matches("draining, as before").count(), 1);
    lab.stop_with(&mut [&mut subscriber]);
}

fn three_servers() {
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = open(&lab, 1);
    for times in 1..4 {
        lab.kill();
        subscriber.assert_alive();
        lab.restart(GO_ON);
        taken_over(&lab, 1, times);
        subscriber.assert_alive();
    }
    lab.stop_with(&mut [&mut subscriber]);
}

fn worker_died_meanwhile() {
    let mut lab = Lab::start(GO_ON);
    let mut lucky = open(&lab, 1);
    let mut unlucky = open(&lab, 2);
    let worker = worker_of(&lab, 2);
    lab.kill();
    kill(worker, Signal::SIGKILL).unwrap();
    until("its interface to go", || ppp_interfaces() == ["ppp0"]);
    lab.restart(GO_ON);
    assert_eq!(unlucky.host.terminated(), "worker-crash");
    lab.logged(&[
        "session ended",
        "session=2 ",
        "peer_ip=10.0.0.3",
        "username=\"alice\"",
        "its worker ended while there was no pppoed",
    ]);
    taken_over(&lab, 1, 1);
    assert_eq!(lab.console().sessions().len(), 1);
    let mut again = Subscriber::open_again(good_mac(2), 2);
    assert_eq!((again.session_id, again.address()), (2, Some([10, 0, 0, 3].into())));
    lab.stop_with(&mut [&mut lucky, &mut again]);
}

fn peer_left_meanwhile() {
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = open(&lab, 1);
    lab.kill();
    subscriber.close();
    until("the link to end", || subscriber.is_over());
    // Its worker knows what nobody else does, and waits to tell it.
    assert_eq!(subscriber.host.terminated(), "");
    lab.restart(GO_ON);
    lab.logged(&["session ended", "session=1 ", "reason=\"peer-terminated\"", "username=\"alice\""]);
    assert_eq!(ppp_interfaces(), Vec::<String>::new());
    lab.stop_with(&mut []);
}

fn orphan_timeout() {
    let mut lab = Lab::start(&["--orphan-timeout", "2"]);
    let mut subscriber = open(&lab, 1);
    let worker = worker_of(&lab, 1);
    lab.kill();
    let killed = Instant::now();
    subscriber.assert_alive();
    until("the link to end", || subscriber.is_over());
    assert!(killed.elapsed() >= Duration::from_millis(1900), "{:?}", killed.elapsed());
    assert_eq!(subscriber.host.terminated(), "");
    until("the worker to go", || kill(worker, None).is_err());
    assert_eq!(ppp_interfaces(), Vec::<String>::new());
    // The next one cleans up after it.
    lab.restart(GO_ON);
    lab.logged(&["session ended", "session=1 "]);
    let mut again = Subscriber::open_again(good_mac(1), 2);
    again.assert_alive();
    lab.stop_with(&mut [&mut again]);
}

fn not_open() {
    let mut lab = Lab::start(GO_ON);
    let mut host = Host::dial(good_mac(1));
    host.connected();
    let worker = worker_of(&lab, 1);
    lab.kill();
    assert_eq!(host.terminated(), "");
    until("the worker to go", || kill(worker, None).is_err());
    assert_eq!(ppp_interfaces(), Vec::<String>::new());
    lab.restart(GO_ON);
    assert_eq!(lab.console().sessions().len(), 0);
    lab.stop_with(&mut []);
}

fn proofs_of(lab: &Lab) -> usize {
    detail(lab, 1).history.iter().filter(|entry| entry.event == "proof received").count()
}

/// A re-challenge, of which every part may meet a server that has just gone.
fn proof_waits() {
    let directory = lab::directory();
    let options =
        "require-chap\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\nchap-interval 1\nchap-restart 10\n";
    fs::write(directory.path().join("options"), options).unwrap();
    let mut lab = Lab::start_in(directory, GO_ON);
    let mut subscriber = open(&lab, 1);
    for times in 1..4 {
        lab.kill();
        let killed = Instant::now();
        while killed.elapsed() < Duration::from_millis(1500) {
            subscriber.drive();
            thread::sleep(Duration::from_millis(5));
        }
        lab.restart(GO_ON);
        until("the session to be taken over", || {
            subscriber.drive();
            lab.log().matches("session taken over").count() >= times
        });
        let proofs = proofs_of(&lab);
        until("another proof", || {
            subscriber.drive();
            proofs_of(&lab) > proofs
        });
        assert!(subscriber.host.is_undisturbed());
    }
    lab.stop_with(&mut [&mut subscriber]);
}

/// It is waited for, and so is its address; but not for ever.
fn stopped_worker() {
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = open(&lab, 1);
    let worker = worker_of(&lab, 1);
    lab.kill();
    kill(worker, Signal::SIGSTOP).unwrap();
    lab.restart(GO_ON);
    assert_eq!(detail(&lab, 1).summary.ip, Some([10, 0, 0, 2].into()));
    let mut other = open(&lab, 2);
    assert_eq!((other.session_id, other.address()), (2, Some([10, 0, 0, 3].into())));
    // What it is told meanwhile it hears when it is back.
    lab.console().ask(&Request::Terminate(ppp_ipc::control::Selector::Id(1)));
    kill(worker, Signal::SIGCONT).unwrap();
    until("the link to end", || subscriber.is_over());
    lab.logged(&["session ended", "session=1 ", "reason=\"admin\""]);
    other.assert_alive();
    lab.stop_with(&mut [&mut other]);
}

/// A claim on the session whose record this is.
fn claim(ticket: Ticket) -> Vec<u8> {
    let returning = Returning {
        version: VERSION,
        ticket,
        counters: 7,
        lcp: None,
        authenticated: true,
        network: None,
        ipv6: None,
        ended: None,
    };
    codec::encode(&Claim::Session(Box::new(returning))).unwrap().to_vec()
}

fn strangers() {
    let mut lab = Lab::start(GO_ON);
    lab.let_all_pass();
    let mut subscriber = open(&lab, 1);
    let file = fs::read(lab.path("run/sessions/1")).unwrap();
    let (record, rest) = file.split_at(file.len() - TAG_LEN - 32);
    let genuine = Ticket { record: record.to_vec(), tag: rest[..TAG_LEN].try_into().unwrap() };
    let mut forged = genuine.clone();
    forged.record[0] ^= 1;
    let nonsense = [4_u32.to_le_bytes().to_vec(), vec![0xee; 4]].concat();
    let messages =
        [vec![], vec![0xff; 100], nonsense, claim(forged), claim(genuine.clone()), claim(genuine.clone())];

    // Of another user, of another user's group, and of the workers' own.
    assert_eq!(stranger::says(&lab, 12345, &claim(genuine.clone())), "refused");
    assert_eq!(stranger::says(&lab, 0, &claim(genuine)), "0 bytes");
    for message in &messages {
        assert_eq!(stranger::says(&lab, NOBODY, message), "0 bytes", "{message:x?}");
    }
    lab.logged(&["connection to the worker socket refused", "user 0"]);
    subscriber.assert_alive();

    // While a worker is expected, a record of it serves nobody else either.
    let worker = worker_of(&lab, 1);
    lab.kill();
    kill(worker, Signal::SIGSTOP).unwrap();
    lab.restart(GO_ON);
    for message in &messages {
        assert_eq!(stranger::says(&lab, NOBODY, message), "0 bytes", "{message:x?}");
    }
    kill(worker, Signal::SIGCONT).unwrap();
    taken_over(&lab, 1, 1);
    subscriber.assert_alive();
    // One line each minute, however many they are.
    assert_eq!(lab.log().matches("connection to the worker socket refused").count(), 2, "{}", lab.log());
    lab.stop_with(&mut [&mut subscriber]);
}

fn torn_files() {
    let mut lab = Lab::start(GO_ON);
    let mut first = open(&lab, 1);
    let mut second = open(&lab, 2);
    let [one, two] = [1, 2].map(|id| lab.path(&format!("run/sessions/{id}")));
    let all_there = || one.exists() && two.exists();
    let key = lab.path("run/adoption.key");
    type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let cut = |path: &std::path::Path| {
        let content = fs::read(path).unwrap();
        fs::write(path, &content[..content.len() / 2]).unwrap();
    };
    let damages: [Damage<'_>; 4] = [
        ("a torn record", Box::new(|| cut(&one))),
        ("a torn key", Box::new(|| cut(&key))),
        ("no key", Box::new(|| fs::remove_file(&key).unwrap())),
        ("no records", Box::new(|| [&one, &two].into_iter().for_each(|path| fs::remove_file(path).unwrap()))),
    ];
    let warnings = [Some("/sessions/1: it is damaged"), Some("the key in it is damaged"), None, None];
    for (times, ((what, damage), warning)) in (1..).zip(damages.iter().zip(warnings)) {
        lab.kill();
        damage();
        lab.restart(GO_ON);
        println!("{what}");
        taken_over(&lab, 1, times);
        taken_over(&lab, 2, times);
        if let Some(warning) = warning {
            lab.logged(&["WARN", warning]);
        }
        first.assert_alive();
        second.assert_alive();
        until("the records", all_there);
    }
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn full_disk() {
    // A small file system that only this thread and its server see.
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let directory = lab::directory();
    let run = directory.path().join("run");
    fs::create_dir(&run).unwrap();
    mount(Some("tmpfs"), &run, Some("tmpfs"), MsFlags::empty(), Some("size=128k,mode=755")).unwrap();

    let mut lab = Lab::start_in(directory, GO_ON);
    let mut first = open(&lab, 1);
    let mut ballast = fs::File::create(run.join("ballast")).unwrap();
    while ballast.write_all(&[0; 512]).is_ok() {}
    let mut second = Subscriber::open(good_mac(2));
    lab.in_phase(2, Phase::Open);
    lab.logged(&["WARN", "records of sessions cannot be written"]);
    for times in 1..3 {
        lab.kill();
        lab.restart(GO_ON);
        taken_over(&lab, 1, times);
        taken_over(&lab, 2, times);
        first.assert_alive();
        second.assert_alive();
    }
    // Not even the one that was never written down.
    assert!(run.join("sessions/1").exists() && !run.join("sessions/2").exists());
    fs::remove_file(run.join("ballast")).unwrap();
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn nothing_left() {
    let mut lab = Lab::start(&["--orphan-timeout", "60"]);
    let mut subscriber = open(&lab, 1);
    lab.kill();
    fs::remove_file(lab.path("run/adoption.key")).unwrap();
    fs::remove_dir_all(lab.path("run/sessions")).unwrap();
    lab.restart(GO_ON);
    lab.logged(&["WARN", "worker of an unknown session ended"]);
    until("its interface to go", || ppp_interfaces().is_empty());
    // There is nobody left to tell the peer, until it sends something.
    until("a PADT", || {
        subscriber.ask_for_echo();
        !subscriber.host.is_undisturbed()
    });
    assert_eq!(subscriber.host.terminated(), "there is no such session");
    lab.stop_with(&mut []);
}

/// The worker says good-bye itself: the server has no socket there.
fn unserved_interface() {
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = open(&lab, 1);
    lab.kill();
    lab.restart_on(HOSTS, GO_ON);
    until("the link to end", || subscriber.is_over());
    assert_eq!(subscriber.host.terminated(), "");
    lab.logged(&[
        "session ended",
        "session=1 ",
        "reason=\"interface-gone\"",
        "access0 is not served any more (-I)",
    ]);
    lab.stop_with(&mut []);
}

fn other_pool() {
    let mut lab = Lab::start(&["-N", "3", "--orphan-timeout", "20"]);
    let mut subscribers: Vec<Subscriber> = (1..4).map(|number| open(&lab, number)).collect();
    lab.kill();
    // One session at most, with an address that somebody has.
    let flags = ["-N", "1", "-R", "10.0.0.4", "-o", "3", "--orphan-timeout", "20"];
    lab.restart(&flags);
    for (id, subscriber) in (1..).zip(&mut subscribers) {
        taken_over(&lab, id, 1);
        subscriber.assert_alive();
        assert_eq!(detail(&lab, id).summary.ip, Some(Ipv4Addr::new(10, 0, 0, u8::try_from(id).unwrap() + 1)));
    }
    subscribers[2].host.hang_up();
    lab.logged(&["session ended", "session=3 "]);
    // Only now is it free.
    let mut again = Subscriber::open(good_mac(9));
    assert_eq!((again.session_id, again.address()), (4, Some([10, 0, 0, 4].into())));
    let mut rest: Vec<&mut Subscriber> = subscribers.iter_mut().take(2).collect();
    rest.push(&mut again);
    lab.stop_with(&mut rest);
}
