//! Traces of negotiations.

use std::time::Duration;

use ppp_ipc::control::{
    CaptureEnd, Failure, Phase, Request, Response, Selector, TraceRequest, TraceTarget, TracedFrame,
};
use ppp_ipc::name::Name;
use ppp_wire::describe::Frame;

use super::console::Console;
use super::lab::{ACCESS, Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 5] = [
        ("a trace of the next client begins with its PADI and has nobody else in it", next_client),
        ("a trace of a session ends with it, and shows its last packets", one_session),
        ("a trace of a host sees one that gets no session", no_session),
        ("the packets of a session are logged while somebody wants them", debug_log),
        ("a trace is refused or ends at its limits", limits),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn request(target: TraceTarget) -> TraceRequest {
    TraceRequest { target, data: false, packets: 1000, seconds: 60 }
}

fn begin(lab: &Lab, request: TraceRequest) -> Console {
    let mut console = lab.console();
    console.send(&Request::Trace(request));
    // It listens as soon as the server has read this.
    lab.console().sessions();
    console
}

/// The packets in words, until one of them satisfies `is_last`.
fn lines(console: &mut Console, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match console.receive().expect("a piece of the trace") {
            Response::Traced(frames) => lines.extend(frames.iter().map(line)),
            other => panic!("{other:?} after {lines:#?}"),
        }
        if lines.iter().any(|line| is_last(line)) {
            return lines;
        }
    }
}

fn rest(console: &mut Console) -> (Vec<String>, CaptureEnd) {
    let mut lines = Vec::new();
    loop {
        match console.receive().expect("a piece of the trace") {
            Response::Traced(frames) => lines.extend(frames.iter().map(line)),
            Response::CaptureEnd(end) => {
                assert_eq!(console.receive(), Some(Response::Done));
                return (lines, end);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn line(traced: &TracedFrame) -> String {
    let frame = Frame::read(&traced.frame.bytes);
    let (way, peer) = match traced.frame.is_from_peer {
        true => ("rcvd", frame.source),
        false => ("sent", frame.destination),
    };
    format!("{} {way} {} {}", traced.interface, peer.unwrap(), frame.packet)
}

fn position(lines: &[String], way: &str, what: &str) -> usize {
    let found = lines.iter().position(|line| line.contains(way) && line.contains(what));
    found.unwrap_or_else(|| panic!("no {way} {what} in {lines:#?}"))
}

fn next_client() {
    let lab = Lab::start(&["-N", "3"]);
    let mut before = Subscriber::open(good_mac(1));
    let mut console = begin(&lab, request(TraceTarget::New));
    // Its echoes are not looked for, and neither is a client that comes later.
    before.assert_alive();
    let mut subscriber = Subscriber::open(good_mac(2));
    let mut later = Subscriber::open(good_mac(3));
    let opened = |line: &str| line.contains("sent") && line.contains("IPCP Configure-Ack");
    let lines = lines(&mut console, opened);
    let mac = good_mac(2).to_string();
    assert!(lines.iter().all(|line| line.contains(&mac)), "{lines:#?}");
    let order = [
        position(&lines, " rcvd ", "PADI"),
        position(&lines, " sent ", "PADO"),
        position(&lines, " rcvd ", "PADR"),
        position(&lines, " sent ", &format!("PADS session={}", subscriber.session_id)),
        position(&lines, " sent ", "LCP Configure-Request"),
        position(&lines, " rcvd ", "IPCP Configure-Request"),
    ];
    assert!(order.is_sorted() && order[0] == 0, "{lines:#?}");
    let password = lines.iter().find(|line| line.contains("PAP Authenticate-Request"));
    if let Some(line) = password {
        assert!(line.ends_with("password=<hidden>"), "{line}");
    }
    lab.logged(&["console", "command=\"trace new\""]);
    drop(console);
    lab.stop_with(&mut [&mut before, &mut subscriber, &mut later]);
}

fn one_session() {
    let lab = Lab::start(&[]);
    let mut one = Subscriber::open(good_mac(1));
    let mut other = Subscriber::open(good_mac(2));
    let mut consoles = [
        begin(&lab, request(TraceTarget::Session(one.session_id))),
        begin(&lab, TraceRequest { data: true, ..request(TraceTarget::Interface("ppp0".into())) }),
    ];
    one.assert_alive();
    other.assert_alive();
    lab.console().terminate(Selector::Id(one.session_id));
    until("the session to be over", || {
        one.drive();
        lab.console().sessions().len() == 1
    });
    for console in &mut consoles {
        let (lines, end) = rest(console);
        assert_eq!((end.why.as_str(), end.lost), ("the session is over", 0));
        assert_eq!(end.frames, u64::try_from(lines.len()).unwrap());
        let mac = good_mac(1).to_string();
        assert!(lines.iter().all(|line| line.contains(&mac)), "{lines:#?}");
        let order = [
            position(&lines, " sent ", "LCP Terminate-Request"),
            position(&lines, " rcvd ", "LCP Terminate-Ack"),
            position(&lines, " sent ", &format!("PADT session={}", one.session_id)),
        ];
        assert!(order.is_sorted(), "{lines:#?}");
    }
    lab.stop_with(&mut [&mut other]);
}

fn no_session() {
    let lab = Lab::start(&["-S", "internet"]);
    lab.console().ask(&Request::Drain { on: true });
    let mut consoles = [
        begin(&lab, request(TraceTarget::Mac(good_mac(1).0))),
        begin(&lab, request(TraceTarget::Interface(ACCESS.into()))),
    ];
    let mut host = Host::dial(good_mac(1));
    host.drive();
    for console in &mut consoles {
        // Before it, there may be the PADI by which pppoed looks for other servers.
        let padi = format!("{ACCESS} rcvd {} PADI service_name=", good_mac(1));
        lines(console, |line| line.starts_with(&padi));
    }
    lab.stop_with(&mut []);
}

fn limits() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    let session = || request(TraceTarget::Session(id));
    let ask = |request| lab.console().ask(&Request::Trace(request));
    for target in [TraceTarget::Session(99), TraceTarget::User(Name::new("nobody"))] {
        assert_eq!(ask(request(target)), [Response::Failed(Failure::NoSuchSession)]);
    }
    for bad in [
        request(TraceTarget::Interface("eth99".into())),
        TraceRequest { packets: 0, ..session() },
        TraceRequest { seconds: 0, ..session() },
        TraceRequest { seconds: TraceRequest::MAX_SECONDS + 1, ..session() },
    ] {
        assert!(matches!(ask(bad.clone()).as_slice(), [Response::Failed(Failure::Refused(_))]), "{bad:?}");
    }
    for (limited, why) in [
        (TraceRequest { packets: 1, ..session() }, "that many packets were asked for"),
        (TraceRequest { seconds: 1, ..session() }, "the time is over"),
    ] {
        let mut console = begin(&lab, limited.clone());
        subscriber.assert_alive();
        let (lines, end) = rest(&mut console);
        assert_eq!(end.why, why);
        assert!(limited.seconds == 1 || lines.len() == 1, "{lines:#?}");
    }
    let going_on: Vec<Console> = (0..4).map(|_| begin(&lab, session())).collect();
    assert!(matches!(ask(session()).as_slice(), [Response::Failed(Failure::Busy(_))]));
    drop(going_on);
    until("room for another one", || {
        let mut console = begin(&lab, TraceRequest { seconds: 1, ..session() });
        !matches!(console.receive(), Some(Response::Failed(_)))
    });
    lab.stop_with(&mut [&mut subscriber]);
}

fn debug_log() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let mut other = Subscriber::open(good_mac(2));
    let id = subscriber.session_id;
    let set = |which, on| lab.console().ask(&Request::SetDebug { which, on });
    assert_eq!(set(Selector::Id(99), true), [Response::Failed(Failure::NoSuchSession)]);
    let answer = set(Selector::Id(id), true);
    let [Response::LogLevels(levels)] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!((levels.sessions.len(), levels.sessions[0].id), (1, id));
    let in_log = |level_and_id: &str, text: &str| {
        lab.log().lines().filter(|line| line.contains(level_and_id) && line.contains(text)).count()
    };
    let field = format!("session={id}");
    until("the echoes in the log", || {
        subscriber.assert_alive();
        in_log(&field, "packet: rcvd LCP Echo-Request id=119") > 0
            && in_log(&field, "packet: sent LCP Echo-Reply id=119") > 0
    });
    other.assert_alive();
    // Off again; the second of the last message is over.
    set(Selector::Id(id), false);
    let before = in_log(&field, "packet: ");
    subscriber.assert_alive();
    std::thread::sleep(Duration::from_millis(1200));
    subscriber.assert_alive();
    assert_eq!(in_log(&field, "packet: "), before);
    // A flood costs neither the session nor the log much.
    set(Selector::Id(id), true);
    (0..300).for_each(|_| subscriber.assert_alive());
    until("what was left out", || in_log(&field, "more in this second are not shown") > 0);
    subscriber.assert_alive();
    // The last packets come before the end, unless they are too many in their second.
    std::thread::sleep(Duration::from_millis(1200));
    subscriber.close();
    lab.in_phase(id, Phase::Terminate);
    until("the end of the session", || lab.console().sessions().len() == 1);
    lab.logged(&["packet: rcvd LCP Terminate-Request", &field]);
    assert_eq!(in_log(&format!("session={}", other.session_id), "packet: "), 0);
    lab.stop_with(&mut [&mut other]);
}
