//! Workers of open sessions that hang, or answer heart-beats wrongly: their own sessions end, and nobody else's.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason::WorkerCrash;
use ppp_ipc::worker::{FromWorker, MAX_DESCRIBED, ToWorker};

use super::lab::{Lab, with_wire};
use super::misbehaviour::Peer::CutOff;
use super::misbehaviour::{Case, case, check};
use super::peer::{Host, Subscriber};
use super::worker::{Pipe, beat_mac, good_mac};

/// As quick as can be: a look each second, and a second to answer.
const QUICK: &[&str] = &["--heartbeat", "1", "--heartbeat-timeout", "1"];

pub(crate) const CASES: &[Case] = &[
    case(
        "is stopped when open",
        |mut pipe| {
            pipe.open();
            raise(Signal::SIGSTOP).unwrap()
        },
        CutOff,
        WorkerCrash,
        "the worker did not answer a heart-beat within 1 s (it is stopped)",
    ),
    case(
        "loops when open",
        |mut pipe| {
            pipe.open();
            loop {
                black_box(());
            }
        },
        CutOff,
        WorkerCrash,
        "the worker did not answer a heart-beat within 1 s (it is running, in a loop perhaps)",
    ),
    case(
        "hears and does not answer",
        |mut pipe| {
            pipe.open();
            pipe.wait_for_hang_up()
        },
        CutOff,
        WorkerCrash,
        "the worker did not answer a heart-beat within 1 s (it is waiting)",
    ),
    case(
        "answers what was not asked",
        |mut pipe| {
            pipe.open();
            pipe.send(&FromWorker::Pong { sequence: 1 });
            pipe.wait_for_hang_up()
        },
        CutOff,
        WorkerCrash,
        "it answered a heart-beat that was not sent",
    ),
    case(
        "describes more packets than it may",
        |mut pipe| {
            pipe.open();
            pipe.send(&FromWorker::Described { lines: vec![String::new(); MAX_DESCRIBED + 1], more: 0 });
            pipe.wait_for_hang_up()
        },
        CutOff,
        WorkerCrash,
        "it described more packets than it may",
    ),
    case(
        "answers twice",
        |mut pipe| {
            pipe.open();
            let sequence = pipe.ping();
            pipe.send(&FromWorker::Pong { sequence });
            pipe.send(&FromWorker::Pong { sequence });
            pipe.wait_for_hang_up()
        },
        CutOff,
        WorkerCrash,
        "it answered a heart-beat that was not sent",
    ),
    case(
        "answers the ping before",
        |mut pipe| {
            pipe.open();
            let first = pipe.ping();
            pipe.send(&FromWorker::Pong { sequence: first });
            assert_eq!(pipe.ping(), first + 1);
            pipe.send(&FromWorker::Pong { sequence: first });
            pipe.wait_for_hang_up()
        },
        CutOff,
        WorkerCrash,
        "it answered another heart-beat than the one that was sent",
    ),
    case("is hit by a signal when open", signalled, CutOff, WorkerCrash, "killed by signal 4 (SIGILL)"),
];

fn signalled(mut pipe: Pipe) {
    pipe.open();
    raise(Signal::SIGILL).unwrap();
}

impl Pipe {
    /// Waits for a ping. Its number.
    fn ping(&mut self) -> u64 {
        loop {
            if let ToWorker::Ping { sequence } = self.receive() {
                return sequence;
            }
        }
    }
}

pub(crate) fn tests() -> Vec<super::Test> {
    let case = |(number, case): (usize, &'static Case)| -> super::Test {
        let test = move || with_wire(|| check(beat_mac(number), case, QUICK));
        (format!("a worker that {}", case.name), Box::new(test))
    };
    let mut tests: Vec<super::Test> = CASES.iter().enumerate().map(case).collect();
    tests.push(("without heart-beats nobody is asked".to_owned(), Box::new(|| with_wire(switched_off))));
    tests.push(("a server that sleeps blames no worker".to_owned(), Box::new(|| with_wire(server_stopped))));
    tests
}

fn switched_off() {
    let lab = Lab::start(&["--heartbeat", "0", "--heartbeat-timeout", "1"]);
    let mut host = Host::dial(beat_mac(0));
    let id = host.connected().session_id;
    lab.in_phase(id, Phase::Open);
    thread::sleep(Duration::from_secs(4));
    lab.in_phase(id, Phase::Open);
    host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    lab.stop_with(&mut []);
}

/// Pings are out, or are sent, while the server is stopped for longer than their time.
fn server_stopped() {
    let lab = Lab::start(QUICK);
    let mut subscriber = Subscriber::open(good_mac(1));
    for _ in 0..3 {
        lab.signal(Signal::SIGSTOP);
        thread::sleep(Duration::from_millis(2700));
        lab.signal(Signal::SIGCONT);
        thread::sleep(Duration::from_millis(1300));
        subscriber.assert_alive();
    }
    assert!(!lab.log().contains("session ended"), "{}", lab.log());
    lab.stop_with(&mut [&mut subscriber]);
}
