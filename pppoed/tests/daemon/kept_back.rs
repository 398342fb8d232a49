//! Out of descriptors, and who goes first when there is no memory.

use std::fs;
use std::process::Command;

use ppp_ipc::control::{Phase, Request, Response};

use super::console::Console;
use super::lab::{Lab, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

/// Descriptors that can still be opened below the limit.
const HOLES: u64 = 2;
/// More consoles than there can be holes.
const MOST: usize = 60;
/// `CAP_SYS_RESOURCE`, which it takes to be spared (linux/capability.h).
const SYS_RESOURCE: u64 = 1 << 24;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("a console gets in when all descriptors are taken", descriptors),
        ("without memory, a worker goes before pppoed", memory),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn numbers(lab: &Lab) -> Vec<u64> {
    let files = fs::read_dir(format!("/proc/{}/fd", lab.pid())).unwrap();
    files.map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

fn descriptors() {
    let lab = Lab::start(&["--log-level", "debug"]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let path = lab.path("run/control.sock");
    let greet = || {
        let mut console = Console::connect(&path);
        assert!(matches!(console.ask(&Request::ShowVersion)[0], Response::Version(_)));
        console
    };
    drop(greet());
    // Two can still be opened; some far above the limit may be open as well.
    let open = numbers(&lab);
    let limit = (0..).find(|number| !open.contains(number)).unwrap() + HOLES;
    let limit_is = format!("--nofile={limit}:");
    let limited =
        Command::new("prlimit").args(["--pid", &lab.pid().to_string(), &limit_is]).status().unwrap();
    assert!(limited.success());
    let mut consoles: Vec<Console> = Vec::new();
    while !lab.log().contains("a descriptor that was kept back is used") {
        assert!(consoles.len() < MOST, "there was room for {MOST} consoles below {limit}");
        consoles.push(greet());
    }
    // There is another one.
    consoles.push(greet());
    // They go on, and the next one has a place as soon as one leaves.
    assert_eq!(consoles[0].sessions().len(), 1);
    consoles.pop();
    consoles.push(greet());
    drop(consoles);
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}

fn memory() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    let Response::Session(detail) =
        lab.console().ask(&Request::ShowSession { id: subscriber.session_id }).remove(0)
    else {
        panic!("no session")
    };
    let score = |pid: &str| -> i32 {
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let capabilities = u64::from_str_radix(capabilities.trim(), 16).unwrap();
    let own = score(&lab.pid().to_string());
    match capabilities & SYS_RESOURCE != 0 {
        true => assert_eq!(own, -500),
        false => assert!(own == 0 && lab.log().contains("the kernel may kill pppoed first"), "{own}"),
    }
    assert_eq!(score(&detail.worker_pid.to_string()), 0);
    lab.stop_with(&mut [&mut subscriber]);
}
