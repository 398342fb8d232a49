//! Sessions on their own devices: what a worker can send, who keeps the kernel's programs in force, and what follows when somebody
//! meddles with them or with the devices.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ppp_ipc::control::{Phase, Request, Response, SessionDetail};
use ppp_ipc::reason::EndReason;
use ppp_linux::device::{Programs, Settings};
use ppp_linux::interface::Interface;
use ppp_linux::netlink::Netlink;
use ppp_wire::ethernet::EtherType;

use super::lab::{ACCESS, Lab, directory, until, with_wire};
use super::peer::{Subscriber, socket};
use super::worker::good_mac;

/// What a forged frame carries.
const PAYLOAD: &[u8] = b"forged by a worker, and long enough to need no padding";

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 10] = [
        ("a worker that sends past its device", forged),
        ("a worker's frames pass without a server", holds),
        ("the programs of sessions come and go with the server", comes_and_goes),
        ("the programs of an access interface come back within a second", access_comes_back),
        ("programs that somebody removes from a session's interface are put back", device_comes_back),
        ("a device that is set down ends its session", || meddled(&["link", "set", "ppp0", "down"])),
        ("a device that is deleted ends its session", || meddled(&["link", "del", "ppp0"])),
        ("a device that is moved ends its session", moved),
        ("a device without a server that is set down ends its session", set_down_without_a_server),
        ("a server that is to go without eBPF has to be told the risk", refused),
    ];
    tests.map(|(name, test)| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) }).into()
}

pub(super) fn interface(name: &str) -> Interface {
    Netlink::open().unwrap().interface(&name.parse().unwrap()).unwrap()
}

/// The programs of the server of a lab, to be looked at.
pub(super) fn programs(lab: &Lab) -> Programs {
    let settings = Settings {
        session: EtherType::PppoeSession,
        discovery: EtherType::PppoeDiscovery,
        control: None,
        frames: None,
    };
    Programs::load(&lab.path("run"), &settings).unwrap()
}

pub(super) fn detail(lab: &Lab, id: u16) -> SessionDetail {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn count(lab: &Lab, name: &str) -> u64 {
    let answers = lab.console().ask(&Request::ShowStats);
    let Some(Response::Stats(stats)) = answers.into_iter().next() else { panic!("no statistics") };
    let interface = &stats.interfaces[0];
    let mut counts = interface.packets.iter().chain(&interface.dropped);
    counts.find(|count| count.name == name).unwrap_or_else(|| panic!("no counter {name}")).count
}

/// Takes the packet socket of a process, and sends through another interface by it; fails if any frame gets out.
const THIEF: &str = r#"
import ctypes, os, socket, sys
process, interface = os.pidfd_open(int(sys.argv[1])), sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
for number in range(32):
    copy = libc.syscall(438, process, number, 0)
    if copy < 0:
        continue
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        continue
    if found.family == socket.AF_PACKET:
        break
for ether_type in 0x8864, 0x8863, 0x0806:
    try:
        found.sendto(b"forged by a worker, and long enough to need no padding", (interface, ether_type, 0, 0, b"\2\0\0\0\x60\1"))
        sys.exit("a frame got out")
    except OSError:
        pass
"#;

/// The list of system calls forbids an address; whoever holds the socket outside of it has one more bar in front of him.
fn forged() {
    let lab = Lab::start(&[]);
    // Of all EtherTypes that the forgeries have, on the hosts' end of the wire.
    let wire = [0x8864, 0x8863, 0x0806].map(|number| socket(EtherType::from(number)));
    let mut bystander = Subscriber::open(good_mac(1));
    let victim = Subscriber::open(good_mac(2));
    lab.in_phase(victim.session_id, Phase::Open);
    let worker = detail(&lab, victim.session_id).worker_pid.to_string();
    // A program that takes the worker's socket, as root may.
    let status = Command::new("python3").args(["-c", THIEF, &worker, ACCESS]).status().unwrap();
    assert!(status.success());
    let line = lab.logged(&["session ended", "the worker sent past its interface: ", "which were dropped"]);
    assert!(line.contains("reason=\"worker-crash\""), "{line}");
    lab.logged(&["restarting the worker template"]);
    let mut buffer = [0; 2048];
    for socket in &wire {
        while let Ok(received) = socket.recv(&mut buffer) {
            let frame = &buffer[..received.len];
            assert!(!frame.windows(PAYLOAD.len()).any(|part| part == PAYLOAD), "{frame:02x?}");
        }
    }
    assert_eq!(count(&lab, "worker_forged"), 3);
    bystander.assert_alive();
    lab.stop_with(&mut [&mut bystander]);
}

fn holds() {
    const GO_ON: &[&str] = &["--orphan-timeout", "20"];
    let mut lab = Lab::start(GO_ON);
    let mut first = Subscriber::open(good_mac(1));
    lab.in_phase(first.session_id, Phase::Open);
    let record = lab.path(&format!("run/sessions/{}", first.session_id));
    until("its record", || record.exists());
    lab.kill();
    first.assert_alive();
    let device = interface("ppp0").id;
    let is_in_force = || {
        let programs = programs(&lab);
        programs.is_access_attached(&interface(ACCESS).id).unwrap()
            && programs.is_device_attached(&device).unwrap()
    };
    assert!(is_in_force());
    lab.restart(GO_ON);
    lab.logged(&["session taken over"]);
    lab.logged(&["replaced the eBPF programs of all sessions"]);
    first.assert_alive();
    until("the look at it", || {
        detail(&lab, first.session_id).sandbox.iter().any(|phrase| phrase == "own device")
    });
    lab.stop_with(&mut [&mut first]);
}

fn comes_and_goes() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    assert!(programs(&lab).is_access_attached(&interface(ACCESS).id).unwrap());
    subscriber.host.hang_up();
    until("the session to end", || lab.console().sessions().is_empty());
    lab.stop_with(&mut []);
    assert_eq!(tc(&["qdisc", "show", "dev", ACCESS, "clsact"]), "");
    let left = Command::new("bpftool").args(["net", "show", "dev", ACCESS]).output().unwrap();
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    assert!(!left.contains("access_in") && !left.contains("access_out"), "{left}");
}

fn tc(arguments: &[&str]) -> String {
    let output = Command::new("tc").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success());
}

fn says(lab: &Lab, id: u16, what: &str) -> bool {
    detail(lab, id).sandbox.iter().any(|one| one == what)
}

fn access_comes_back() {
    let lab = Lab::start(&[]);
    let mut witness = Subscriber::open(good_mac(2));
    let id = witness.session_id;
    until("the first look", || says(&lab, id, "own device"));
    assert!(says(&lab, id, "system call filter") && says(&lab, id, "empty network namespace"));
    programs(&lab).detach_access(&interface(ACCESS).id).unwrap();
    let began = Instant::now();
    lab.logged(&["eBPF programs of the access interface had been removed; restored"]);
    // A second, and what a loaded machine takes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(count(&lab, "programs_put_back"), 1);
    witness.assert_alive();
    let mut subscriber = Subscriber::open(good_mac(1));
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber, &mut witness]);
}

fn device_comes_back() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    assert!(Command::new("tc").args(["qdisc", "del", "dev", "ppp0", "clsact"]).status().unwrap().success());
    assert!(says(&lab, subscriber.session_id, "NOT own device: the eBPF programs at ppp0 were removed"));
    lab.logged(&["WARN", "session protection restored", "protection=\"own device\""]);
    assert!(says(&lab, subscriber.session_id, "own device"));
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}

fn meddled(command: &[&str]) {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    ip(command);
    let line = lab.logged(&["session ended", "session=1 "]);
    assert!(line.contains("reason=\"device-gone\""), "{line}");
    assert_eq!(subscriber.host.terminated(), EndReason::DeviceGone.as_str());
    let mut next = Subscriber::open(good_mac(2));
    next.assert_alive();
    lab.stop_with(&mut [&mut next]);
}

fn moved() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    let mut other = Command::new("unshare").args(["-n", "sleep", "30"]).stdin(Stdio::null()).spawn().unwrap();
    let namespace = format!("/proc/{}/ns/net", other.id());
    let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    until("the other namespace", || std::fs::read_link(&namespace).is_ok_and(|other| other != own));
    ip(&["link", "set", "ppp0", "netns", &other.id().to_string()]);
    let line = lab.logged(&["session ended", "session=1 "]);
    assert!(line.contains("reason=\"device-gone\""), "{line}");
    assert_eq!(subscriber.host.terminated(), EndReason::DeviceGone.as_str());
    other.kill().unwrap();
    other.wait().unwrap();
    lab.stop_with(&mut []);
}

fn set_down_without_a_server() {
    const GO_ON: &[&str] = &["--orphan-timeout", "20"];
    let mut lab = Lab::start(GO_ON);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    let record = lab.path(&format!("run/sessions/{}", subscriber.session_id));
    until("its record", || record.exists());
    lab.kill();
    ip(&["link", "set", "ppp0", "down"]);
    lab.restart(GO_ON);
    let line = lab.logged(&["session ended", "session=1 "]);
    assert!(line.contains("reason=\"device-gone\""), "{line}");
    assert_eq!(subscriber.host.terminated(), EndReason::DeviceGone.as_str());
    lab.stop_with(&mut []);
}

fn refused() {
    let directory = directory();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pppoed"));
    command.args([
        "-F",
        "-I",
        ACCESS,
        "-L",
        "10.0.0.1",
        "-R",
        "10.0.0.2",
        "-N",
        "2",
        "--worker-user",
        "nobody",
    ]);
    command
        .arg("-O")
        .arg(directory.path().join("options"))
        .arg("--run-dir")
        .arg(directory.path().join("run"))
        .arg("--worker")
        .arg(directory.path().join(super::worker::NAME))
        .arg("--no-ebpf");
    let output = command.env_remove("JOURNAL_STREAM").stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--no-ebpf") && said.contains("--allow-unfiltered-workers"), "{said}");
}
