//! The sandbox, from within and from outside. Needs root.
//!
//! The program executes itself: as a child it plays the template, and forks a worker that enters the sandbox and tries
//! one thing (see `inside`). The parent looks at both, and at how they ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod child;
mod inside;
mod setup;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, Permissions};
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use child::{Child, Ended, Template};
use inside::IN_TEMPLATE;
use nix::libc;
use ppp_linux::counters::SharedCounters;
use ppp_linux::peercred::peer_credentials;
use ppp_linux::pidfd::{Exit, PidFd};
use ppp_linux::sandbox::Protections;
use setup::{ABSTRACT_NAME, ADDRESS_SPACE, GID, Parameters, SOCKET_NAME, UID};

/// Attempts that have to kill a worker.
const FORBIDDEN: &[&str] = &[
    "open a file",
    "read /proc",
    "make an IPv4 socket",
    "make a packet socket",
    "make a netlink socket",
    "make a Unix socket",
    "send through another interface",
    "send a message",
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
    "handle page faults",
    "open a performance counter",
    "use the keyring",
    "take another process's descriptor",
    "send many messages",
    "splice",
    "fork by another call",
    "write another process's memory",
    "requeue a futex",
    "use another system call interface",
];

/// Of these, the ones that need not kill the template: its workers are still to limit themselves, to look at what they
/// were born with, and to be able to abort. It gains nothing by them.
const HARMLESS_IN_TEMPLATE: &[&str] =
    &["signal a thread of another process", "raise a limit", "map a file", "send through another interface"];

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
        ("a worker has nothing of another".into(), Box::new(nothing_of_another)),
        ("a worker finds the next supervisor, and nobody else".into(), Box::new(way_back)),
        ("workers outlive their template".into(), Box::new(workers_outlive_their_template)),
    ];
    for &attempt in FORBIDDEN {
        tests.push((format!("cannot {attempt}"), Box::new(move || dies(attempt, libc::SIGSYS))));
        if !HARMLESS_IN_TEMPLATE.contains(&attempt) {
            let name = format!("a template cannot {attempt}");
            tests.push((name, Box::new(move || template_dies(attempt, libc::SIGSYS))));
        }
    }
    for &(what, parameters, step) in REFUSED {
        tests.push((format!("refused: {what}"), Box::new(move || refused(parameters, step))));
    }
    run(tests, arguments.iter().find(|argument| !argument.starts_with('-')))
}

fn run(tests: Vec<(String, Box<dyn Fn()>)>, filter: Option<&String>) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let ok = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        passed += u32::from(ok);
        failed += u32::from(!ok);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A template in the first stage, and its first worker.
fn start(parameters: Parameters, attempt: &str) -> (Template, Child) {
    let template = Template::start(parameters, attempt);
    template.expect("entered");
    let child = template.birth();
    (template, child)
}

/// A worker that got inside and has ended.
fn inside(parameters: Parameters, attempt: &str) -> Ended {
    let (template, mut child) = start(parameters, attempt);
    child.expect("inside");
    let ended = child.finish();
    assert!(template.finish().success());
    ended
}

/// The attempt kills the worker, by `signal`.
fn dies(attempt: &str, signal: i32) {
    let ended = inside(Parameters::GOOD, attempt);
    assert_eq!((ended.said.as_str(), ended.exit), ("", Exit::Signal(signal)), "{ended:?}");
}

/// The attempt kills the template, by `signal`.
fn template_dies(attempt: &str, signal: i32) {
    let template = Template::start(Parameters::GOOD, &format!("{IN_TEMPLATE}{attempt}"));
    template.expect("entered");
    template.tell(b"go");
    assert_eq!(template.said(), None);
    assert_eq!(template.finish().signal(), Some(signal));
}

fn works(parameters: Parameters) {
    let ended = inside(parameters, "work");
    assert_eq!((ended.said.as_str(), ended.exit), ("done\n", Exit::Status(0)), "{ended:?}");
    assert_eq!(ended.counters.rx_packets, 1);
    assert!(ended.stderr.ends_with("a line for the log\n"), "{ended:?}");
}

fn panics() {
    let ended = inside(Parameters::GOOD, "panic");
    assert_eq!(ended.exit, Exit::Status(101), "{ended:?}");
    assert!(ended.stderr.contains("as it has to be possible"), "{ended:?}");
}

/// The process says which step failed, and never gets inside.
fn refused(parameters: Parameters, step: &str) {
    let template = Template::start(parameters, "work");
    let first = template.said().unwrap();
    let (said, status) = if first == "entered" {
        let ended = template.birth().finish();
        let Exit::Status(status) = ended.exit else { panic!("{ended:?}") };
        assert!(template.finish().success());
        (ended.said, Some(status))
    } else {
        (first, template.finish().code())
    };
    assert!(said.starts_with(&format!("refused: sandbox: step \"{step}\" failed: ")), "{said:?}");
    assert_eq!(status, Some(2));
}

/// What the process writes is lost, but it lives on.
fn standard_error_is_a_file() {
    let ended = inside(Parameters { stderr_is_file: true, ..Parameters::GOOD }, "log");
    assert_eq!((ended.said.as_str(), ended.exit), ("done\n", Exit::Status(0)), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

fn counters_survive_a_kill() {
    let (_template, mut child) = start(Parameters::GOOD, "count and wait");
    child.expect("inside");
    child.expect("counted");
    child.kill();
    let ended = child.finish();
    assert_eq!(ended.exit, Exit::Signal(libc::SIGKILL), "{ended:?}");
    assert_eq!((ended.counters.rx_packets, ended.counters.tx_bytes), (7, u64::MAX));
}

/// What each descriptor of a process is.
fn descriptors(pid: u32) -> BTreeMap<i32, PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap);
    let number = |entry: &DirEntry| entry.file_name().into_string().unwrap().parse().unwrap();
    entries.map(|entry| (number(&entry), fs::read_link(entry.path()).unwrap())).collect()
}

/// Neither the template nor a worker keeps what another worker was born with.
fn nothing_of_another() {
    let template = Template::start(Parameters::GOOD, "wait");
    template.expect("entered");
    let all = Protections::all().bits();
    let mut workers = [template.birth(), template.birth(), template.birth()];
    for worker in &mut workers {
        worker.expect("inside");
        worker.expect(&format!("protections {all}"));
    }
    let own = |pid| -> BTreeMap<i32, PathBuf> {
        descriptors(pid).into_iter().filter(|(number, _)| *number > 2).collect()
    };
    assert_eq!(own(template.pid()).keys().collect::<Vec<_>>(), [&setup::SOCKET_FD]);
    let mut seen: BTreeSet<PathBuf> = own(template.pid()).into_values().collect();
    for worker in &workers {
        let own = own(worker.pid());
        assert_eq!(own.keys().copied().collect::<Vec<_>>(), setup::KEPT_FDS);
        for (number, what) in own {
            // All TUNs have one name, and all counters; that they are not the same is seen from their other ends.
            let has_no_name = setup::KEPT_FDS[2..].contains(&number);
            assert!(has_no_name || seen.insert(what.clone()), "{what:?} is there twice");
        }
    }
    for worker in workers {
        assert_eq!(worker.finish().exit, Exit::Status(0));
    }
}

/// The socket in the root directory can be connected to with no more descriptors than there were, and tells who came;
/// from there the counters can be had.
fn way_back() {
    let elsewhere = SocketAddr::from_abstract_name(ABSTRACT_NAME).unwrap();
    let _elsewhere = UnixListener::bind_addr(&elsewhere).unwrap();
    let (template, mut child) = start(Parameters::GOOD, "come back");
    let listener = UnixListener::bind(template.root().join(SOCKET_NAME)).unwrap();
    fs::set_permissions(template.root().join(SOCKET_NAME), Permissions::from_mode(0o666)).unwrap();
    child.expect("inside");
    let (mut connection, _) = listener.accept().unwrap();
    let credentials = peer_credentials(&connection).unwrap();
    assert_eq!((credentials.pid.cast_unsigned(), credentials.uid, credentials.gid), (child.pid(), UID, GID));
    let process = PidFd::open(child.pid()).unwrap();
    let counters = process.duplicate_descriptor(setup::KEPT_FDS[3]).unwrap();
    assert_eq!(SharedCounters::from_fd(counters).unwrap().snapshot().rx_packets, 1);
    let packet_socket = process.duplicate_descriptor(setup::KEPT_FDS[1]).unwrap();
    assert!(SharedCounters::from_fd(packet_socket).is_err(), "a worker may say anything");
    connection.write_all(b"?").unwrap();
    let mut said = [0; 4];
    connection.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"back");
    assert_eq!(child.finish().exit, Exit::Status(0));
}

fn workers_outlive_their_template() {
    let (mut template, mut child) = start(Parameters::GOOD, "wait");
    child.expect("inside");
    child.expect(&format!("protections {}", Protections::all().bits()));
    template.kill();
    std::thread::sleep(Duration::from_millis(50));
    let ended = child.finish();
    assert_eq!((ended.said.as_str(), ended.exit), ("done\n", Exit::Status(0)), "{ended:?}");
}

/// What the kernel tells about a worker that waits inside, and about its template.
fn seen_from_outside() {
    let (template, mut child) = start(Parameters { leak: true, ..Parameters::GOOD }, "wait");
    child.expect("inside");
    child.expect(&format!("protections {}", Protections::all().bits()));
    for (pid, filters) in [(template.pid(), "1"), (child.pid(), "2")] {
        status_from_outside(pid, filters);
        surroundings_from_outside(pid, &template);
    }
    assert_eq!(descriptors(template.pid()).into_keys().collect::<Vec<_>>(), [0, 1, 2, setup::SOCKET_FD]);
    let kept: Vec<i32> = (0..3).chain(setup::KEPT_FDS).collect();
    assert_eq!(descriptors(child.pid()).into_keys().collect::<Vec<_>>(), kept);
    limits_from_outside(child.pid(), setup::KEPT_FDS[3] + 2);
    assert_eq!(fs::read_to_string(format!("/proc/{}/comm", child.pid())).unwrap(), "ppp-worker\n");
    let ended = child.finish();
    assert_eq!(ended.exit, Exit::Status(0), "the child ends when its control socket does: {ended:?}");
}

fn status_from_outside(pid: u32, filters: &str) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
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
    assert_eq!(field("Seccomp_filters"), filters);
}

fn surroundings_from_outside(pid: u32, template: &Template) {
    let proc = format!("/proc/{pid}");
    let netns = fs::metadata(format!("{proc}/ns/net")).unwrap();
    let wanted = nix::sys::stat::fstat(template.netns()).unwrap();
    assert_eq!((netns.dev(), netns.ino()), (wanted.st_dev, wanted.st_ino));
    assert_eq!(fs::read_link(format!("{proc}/root")).unwrap(), template.root());
    assert_eq!(fs::read_link(format!("{proc}/cwd")).unwrap(), template.root());
    // The files of a process that is not dumpable belong to root: others of its user cannot open them.
    assert_eq!(fs::metadata(format!("{proc}/mem")).unwrap().uid(), 0);
}

fn limits_from_outside(pid: u32, open_files: i32) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let open_files = open_files.to_string();
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
}
