//! The sandbox, from within and from outside. Needs root.
//!
//! The program executes itself: as a child it plays the worker, enters the sandbox and tries one thing (see
//! `inside`). The parent looks at the child, and at how it ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod child;
mod inside;
mod setup;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use child::{Child, Ended};
use nix::libc;
use ppp_linux::sandbox::Protections;
use setup::{ADDRESS_SPACE, GID, Parameters, UID};

/// Attempts that have to kill the process.
const FORBIDDEN: &[&str] = &[
    "open a file",
    "read /proc",
    "make an IPv4 socket",
    "make a packet socket",
    "make a netlink socket",
    "make a Unix socket",
    "send through another interface",
    "send a message",
    "connect",
    "bind",
    "execute a program",
    "fork",
    "start a thread",
    "trace",
    "be traced",
    "read another process's memory",
    "signal another process",
    "signal a thread of another process",
    "become root",
    "change the group",
    "raise a limit",
    "become dumpable",
    "mount",
    "leave the root directory",
    "change the namespace",
    "duplicate a descriptor",
    "make a memory file",
    "map executable memory",
    "map a file",
    "make memory executable",
    "control a device",
    "set a socket option",
    "load a BPF program",
    "make an io_uring",
    "requeue a futex",
    "use another system call interface",
];

/// Set-ups in which the sandbox must not be entered, and the step that has to notice.
const REFUSED: &[(&str, Parameters, &str)] = &[
    ("user 0", Parameters { uid: 0, ..Parameters::GOOD }, "configuration"),
    ("group 0", Parameters { gid: 0, ..Parameters::GOOD }, "configuration"),
    ("user -1", Parameters { uid: u32::MAX, ..Parameters::GOOD }, "configuration"),
    ("a second thread", Parameters { second_thread: true, ..Parameters::GOOD }, "single thread"),
    ("a directory kept", Parameters { keep_directory: true, ..Parameters::GOOD }, "descriptors"),
    ("no namespace", Parameters { netns: "none", ..Parameters::GOOD }, "network namespace"),
    ("an interface up", Parameters { netns: "lo is up", ..Parameters::GOOD }, "network namespace"),
    ("no root directory", Parameters { root: "missing", ..Parameters::GOOD }, "root directory"),
    ("a file as root directory", Parameters { root: "file", ..Parameters::GOOD }, "root directory"),
    ("a link to the root directory", Parameters { root: "link", ..Parameters::GOOD }, "root directory"),
    ("a file in the root directory", Parameters { root: "not empty", ..Parameters::GOOD }, "root directory"),
    (
        "a root directory that all may write",
        Parameters { root: "open", ..Parameters::GOOD },
        "root directory",
    ),
    ("a root directory of another user", Parameters { root: "owned", ..Parameters::GOOD }, "root directory"),
    ("not started as root", Parameters { drop_root: true, ..Parameters::GOOD }, "network namespace"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, parameters, attempt] = arguments.as_slice()
        && role == setup::CHILD
    {
        return inside::run(&Parameters::decode(parameters), attempt);
    }
    assert!(nix::unistd::geteuid().is_root(), "these tests need root: they enter the worker's sandbox");

    let mut tests: Vec<(String, Box<dyn Fn()>)> = vec![
        ("what is in force, seen from outside".into(), Box::new(seen_from_outside)),
        ("a worker's work is possible".into(), Box::new(|| works(Parameters::GOOD))),
        (
            "a socket may be in the root directory".into(),
            Box::new(|| works(Parameters { root: "socket", ..Parameters::GOOD })),
        ),
        ("a panic is an ordinary end".into(), Box::new(panics)),
        ("an abort is an abort".into(), Box::new(|| dies("abort", libc::SIGABRT))),
        ("a crash is a crash".into(), Box::new(|| dies("crash", libc::SIGSEGV))),
        ("counters survive a kill".into(), Box::new(counters_survive_a_kill)),
        ("memory is limited".into(), Box::new(|| dies("allocate too much", libc::SIGABRT))),
        ("a file on standard error cannot grow".into(), Box::new(standard_error_is_a_file)),
    ];
    for &attempt in FORBIDDEN {
        tests.push((format!("cannot {attempt}"), Box::new(move || dies(attempt, libc::SIGSYS))));
    }
    for &(what, parameters, step) in REFUSED {
        tests.push((format!("refused: {what}"), Box::new(move || refused(parameters, step))));
    }
    run(tests, arguments.iter().find(|argument| !argument.starts_with('-')))
}

fn run(tests: Vec<(String, Box<dyn Fn()>)>, filter: Option<&String>) -> ExitCode {
    let mut failed = 0;
    for (name, test) in tests {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let ok = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += u32::from(!ok);
    }
    println!("\ntest result: {failed} failed\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A child that got inside and has ended.
fn inside(parameters: Parameters, attempt: &str) -> Ended {
    let mut child = Child::start(parameters, attempt);
    child.expect("inside");
    child.finish()
}

/// The attempt kills the process, by `signal`.
fn dies(attempt: &str, signal: i32) {
    let ended = inside(Parameters::GOOD, attempt);
    assert_eq!((ended.said.as_str(), ended.status.signal()), ("", Some(signal)), "{ended:?}");
}

fn works(parameters: Parameters) {
    let ended = inside(parameters, "work");
    assert_eq!((ended.said.as_str(), ended.status.code()), ("done\n", Some(0)), "{ended:?}");
    assert_eq!(ended.counters.rx_packets, 1);
    assert!(ended.stderr.ends_with("a line for the log\n"), "{ended:?}");
}

fn panics() {
    let ended = inside(Parameters::GOOD, "panic");
    assert_eq!(ended.status.code(), Some(101), "{ended:?}");
    assert!(ended.stderr.contains("as it has to be possible"), "{ended:?}");
}

/// The process says which step failed, and never gets inside.
fn refused(parameters: Parameters, step: &str) {
    let ended = Child::start(parameters, "work").finish();
    let wanted = format!("refused: sandbox: step \"{step}\" failed: ");
    assert!(ended.said.starts_with(&wanted), "{ended:?}");
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
}

/// What the process writes is lost, but it lives on.
fn standard_error_is_a_file() {
    let ended = inside(Parameters { stderr_is_file: true, ..Parameters::GOOD }, "log");
    assert_eq!((ended.said.as_str(), ended.status.code()), ("done\n", Some(0)), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

fn counters_survive_a_kill() {
    let mut child = Child::start(Parameters::GOOD, "count and wait");
    child.expect("inside");
    child.expect("counted");
    nix::sys::signal::kill(child.pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
    let ended = child.finish();
    assert_eq!(ended.status.signal(), Some(libc::SIGKILL), "{ended:?}");
    assert_eq!((ended.counters.rx_packets, ended.counters.tx_bytes), (7, u64::MAX));
}

/// What the kernel tells about a child that waits inside.
fn seen_from_outside() {
    let mut child = Child::start(Parameters { leak: true, ..Parameters::GOOD }, "wait");
    child.expect("inside");
    child.expect(&format!("protections {}", Protections::all().bits()));
    let proc = format!("/proc/{}", child.pid());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(field("Uid"), [UID.to_string().as_str(); 4].join(" "));
    assert_eq!(field("Gid"), [GID.to_string().as_str(); 4].join(" "));
    assert_eq!(field("Groups"), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(
        (field("NoNewPrivs"), field("Seccomp"), field("Threads")),
        ("1".into(), "2".into(), "1".into())
    );

    let netns = fs::metadata(format!("{proc}/ns/net")).unwrap();
    let wanted = nix::sys::stat::fstat(child.netns()).unwrap();
    assert_eq!((netns.dev(), netns.ino()), (wanted.st_dev, wanted.st_ino));
    assert_eq!(fs::read_link(format!("{proc}/root")).unwrap(), child.root());
    assert_eq!(fs::read_link(format!("{proc}/cwd")).unwrap(), child.root());
    // The files of a process that is not dumpable belong to root: others of its user cannot open them.
    assert_eq!(fs::metadata(format!("{proc}/mem")).unwrap().uid(), 0);

    let mut open: Vec<i32> = fs::read_dir(format!("{proc}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().parse().unwrap())
        .collect();
    open.sort_unstable();
    assert_eq!(open, [0, 1, 2, setup::CONTROL_FD, setup::PACKET_FD, setup::TUN_FD]);

    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let open_files = (setup::TUN_FD + 1).to_string();
    let address_space = ADDRESS_SPACE.to_string();
    for (name, value) in [
        ("Max open files", open_files.as_str()),
        ("Max address space", address_space.as_str()),
        ("Max processes", "0"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max locked memory", "0"),
        ("Max msgqueue size", "0"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let values: Vec<_> = line.split_whitespace().take(2).collect();
        assert_eq!(values, [value; 2], "{name}");
    }
    assert_eq!(fs::read_to_string(format!("{proc}/comm")).unwrap(), "ppp-worker\n");
    let ended = child.finish();
    assert!(ended.status.success(), "the child ends when its control socket does: {ended:?}");
}
