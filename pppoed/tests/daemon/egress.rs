//! Workers that send what is not theirs to send, and the filter that keeps them from it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ppp_ipc::control::{Request, Response};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::Start;
use ppp_linux::egress::EgressFilter;
use ppp_linux::interface::{IfName, InterfaceId};
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::SessionSocket;
use ppp_linux::pidfd::PidFd;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::pppoe::emit_session_header;

use super::lab::{ACCESS, Lab, add_ingress, directory, until, with_wire};
use super::peer::{Host, Subscriber, socket};
use super::worker::{Pipe, forger_mac, good_mac, sleep_for_ever};

/// What a forged frame carries.
const PAYLOAD: &[u8] = b"forged by a worker";

/// How a worker forges a frame.
type Forgery = fn(&Start) -> (EthernetHeader, u16);

const FORGERIES: [(&str, Forgery); 4] = [
    ("of another session", |start| (header(start, start.own_mac, start.peer_mac), start.session_id + 1)),
    ("to another host", |start| (header(start, start.own_mac, good_mac(1).0), start.session_id)),
    ("from another host", |start| (header(start, good_mac(1).0, start.peer_mac), start.session_id)),
    ("of another kind", |start| {
        let ether_type = EtherType::Unknown(0x0806);
        (EthernetHeader { ether_type, ..header(start, start.own_mac, [0xff; 6]) }, start.session_id)
    }),
];

fn header(start: &Start, source: [u8; 6], destination: [u8; 6]) -> EthernetHeader {
    EthernetHeader {
        source: MacAddr(source),
        destination: MacAddr(destination),
        ether_type: EtherType::from(start.session_ethertype),
    }
}

pub(crate) fn tests() -> Vec<super::Test> {
    let mut tests: Vec<super::Test> = Vec::new();
    for (number, (what, _)) in FORGERIES.iter().enumerate() {
        let test = move || with_wire(|| forged(u8::try_from(number).unwrap()));
        tests.push((format!("a worker that sends a frame {what}"), Box::new(test)));
    }
    let others: [(&str, fn()); 5] = [
        ("the filter of what workers send holds without a server", holds),
        ("the filter of what workers send comes and goes with the server", comes_and_goes),
        ("the filter of what workers send comes back", comes_back),
        ("a server whose workers cannot be filtered does not start", refused),
        ("a server whose workers may go unfiltered starts", allowed),
    ];
    tests.extend(
        others.map(|(name, test)| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) }),
    );
    tests
}

/// A worker that sends good frames, and bad ones when its session is open.
pub(crate) fn forge(number: u8, start: &Start, mut pipe: Pipe, socket: &SessionSocket) -> ! {
    pipe.open();
    let (_, forgery) = FORGERIES[usize::from(number)];
    let (header, id) = forgery(start);
    let mut frame = emit_session_header(&header, id, u16::try_from(PAYLOAD.len()).unwrap()).to_vec();
    frame.extend(PAYLOAD);
    frame.resize(MIN_FRAME_LEN, 0);
    for _ in 0..3 {
        // That it was dropped is told here, too.
        assert!(socket.send(&frame).is_err());
    }
    sleep_for_ever()
}

fn access() -> InterfaceId {
    Netlink::open().unwrap().interface(&ACCESS.parse::<IfName>().unwrap()).unwrap().id
}

/// The filter of the server of a lab, to be looked at.
fn filter(lab: &Lab) -> EgressFilter {
    let owner = format!("pppoed {}", lab.path("run").display());
    EgressFilter::open(&owner, EtherType::PppoeDiscovery).unwrap()
}

fn forged(number: u8) {
    let lab = Lab::start(&[]);
    // Of all EtherTypes that the forgeries have, on the hosts' end of the wire.
    let wire = [0x8864, 0x0806].map(|number| socket(EtherType::from(number)));
    let mut bystander = Subscriber::open(good_mac(1));
    let mut victim = Host::dial(forger_mac(number));
    victim.connected();
    assert_eq!(victim.terminated(), EndReason::WorkerCrash.as_str());
    let line =
        lab.logged(&["session ended", "what is not its session's to send: 3 frames, which were dropped"]);
    assert!(line.contains("reason=\"worker-crash\""), "{line}");
    lab.logged(&["a new template"]);

    let mut buffer = [0; 2048];
    for socket in &wire {
        while let Ok(received) = socket.recv(&mut buffer) {
            let frame = &buffer[..received.len];
            assert!(!frame.windows(PAYLOAD.len()).any(|part| part == PAYLOAD), "{frame:02x?}");
        }
    }
    until("the frames to be counted", || worker_forged(&lab) == 3);
    bystander.assert_alive();
    lab.stop_with(&mut [&mut bystander]);
}

fn worker_forged(lab: &Lab) -> u64 {
    let answers = lab.console().ask(&Request::ShowStats);
    let Some(Response::Stats(stats)) = answers.into_iter().next() else { panic!("no statistics") };
    stats.interfaces[0].dropped.iter().find(|count| count.name == "worker_forged").unwrap().count
}

fn holds() {
    const GO_ON: &[&str] = &["--orphan-timeout", "20"];
    let mut lab = Lab::start(GO_ON);
    let mut first = Subscriber::open(good_mac(1));
    lab.in_phase(first.session_id, ppp_ipc::control::Phase::Open);
    let record = lab.path(&format!("run/sessions/{}", first.session_id));
    until("its record", || record.exists());
    lab.kill();
    first.assert_alive();
    let before = filter(&lab);
    assert!(before.is_attached(&access()).unwrap());
    // Its session has its rule, and nobody has taken it away.
    assert_eq!(before.dropped_of(first.session_id).unwrap(), Some(0));
    assert_eq!(before.dropped().unwrap(), ppp_linux::egress::Dropped::default());
    before.forbid(first.session_id).unwrap();

    // The next server gives it its rule again.
    lab.restart(GO_ON);
    lab.logged(&["session taken over"]);
    assert_eq!(before.dropped_of(first.session_id).unwrap(), Some(0));
    first.assert_alive();
    // The packet socket that it has got instead bears its mark, too.
    let detail = || match lab.console().ask(&Request::ShowSession { id: first.session_id }).remove(0) {
        Response::Session(detail) => detail,
        other => panic!("{other:?}"),
    };
    until("another packet socket", || {
        detail().history.iter().any(|entry| entry.event == "has another packet socket")
    });
    assert_eq!(marks_of(detail().worker_pid), [before.mark(first.session_id)]);
    lab.stop_with(&mut [&mut first]);
}

/// The marks of the packet sockets of a worker.
fn marks_of(worker: u32) -> Vec<u32> {
    let worker = PidFd::open(worker).unwrap();
    let descriptors = (0..32).filter_map(|number| worker.duplicate_descriptor(number).ok());
    descriptors.filter_map(|fd| Some(SessionSocket::from_fd(fd).ok()?.mark().unwrap())).collect()
}

fn comes_and_goes() {
    let lab = Lab::start(&[]);
    let filter = filter(&lab);
    assert!(filter.is_attached(&access()).unwrap());
    let mut subscriber = Subscriber::open(good_mac(1));
    assert_eq!(filter.dropped_of(subscriber.session_id).unwrap(), Some(0));
    subscriber.host.hang_up();
    until("the session to end", || lab.console().sessions().is_empty());
    assert_eq!(filter.dropped_of(subscriber.session_id).unwrap(), None);
    lab.stop_with(&mut []);
    assert!(!filter.is_attached(&access()).unwrap());
    assert_eq!(tc(&["qdisc", "show", "dev", ACCESS, "clsact"]), "");
}

fn tc(arguments: &[&str]) -> String {
    let output = Command::new("tc").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn comes_back() {
    let lab = Lab::start(&[]);
    let filter = filter(&lab);
    let mut witness = Subscriber::open(good_mac(2));
    let says =
        |what: &str| match lab.console().ask(&Request::ShowSession { id: witness.session_id }).remove(0) {
            Response::Session(detail) => detail.sandbox.iter().any(|one| one.starts_with(what)),
            other => panic!("{other:?}"),
        };
    assert!(
        says("sends its own frames only") && says("system call filter") && says("empty network namespace")
    );
    filter.detach_all().unwrap();
    assert!(says("NOT sends its own frames only: the filter at access0 was removed"));
    let began = Instant::now();
    lab.logged(&["somebody removed the filter", "it is back"]);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(filter.is_attached(&access()).unwrap());
    assert!(says("sends its own frames only"));
    let mut subscriber = Subscriber::open(good_mac(1));
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber, &mut witness]);
}

/// What a server says that does not start.
fn refusal(flags: &[&str]) -> String {
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
        .arg(directory.path().join("run"));
    command.arg("--worker").arg(directory.path().join(super::worker::NAME)).args(flags);
    command.env_remove("JOURNAL_STREAM").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused() {
    let said = refusal(&["--no-ebpf"]);
    assert!(said.contains("--no-ebpf") && said.contains("--allow-unfiltered-workers"), "{said}");
    add_ingress(&access());
    let said = refusal(&[]);
    for part in ["--allow-unfiltered-workers", "tc qdisc add dev access0 clsact"] {
        assert!(said.contains(part), "{said}");
    }
}

fn allowed() {
    add_ingress(&access());
    let lab = Lab::start(&["--allow-unfiltered-workers"]);
    lab.logged(&[
        "--allow-unfiltered-workers: a worker that its peer takes over",
        "tc qdisc add dev access0",
    ]);
    let mut subscriber = Subscriber::open(good_mac(1));
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}
