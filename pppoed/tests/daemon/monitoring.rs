//! Many consoles at once, and consoles that listen.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ppp_ipc::control::{
    Event, EventFilter, EventName, Failure, LogLevel, Request, Response, Selector, ServiceState,
};

use super::console::Console;
use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 7] = [
        ("a monitor is told of a session's life, and of commands", life_of_a_session),
        ("a monitor is told of refusals", refusals),
        ("a monitor is told of interfaces, settings and reloads, each once", interfaces_and_settings),
        ("a request ends a monitor", request_ends_monitor),
        ("a monitor that does not read loses events", slow_monitor),
        ("a hundred consoles ask at once", hundred_ask),
        ("idle consoles make room", idle_make_room),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn monitor(lab: &Lab, filter: EventFilter) -> Console {
    let mut console = lab.console();
    console.send(&Request::Monitor(filter));
    // It listens as soon as the server has read this.
    lab.console().sessions();
    console
}

fn next(console: &mut Console) -> Event {
    match console.receive().expect("an event") {
        Response::Event(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn life_of_a_session() {
    let lab = Lab::start(&[]);
    let mut listener = monitor(&lab, EventFilter::default());
    let sessions = Some(Selector::Id(99));
    let mut other = monitor(&lab, EventFilter { names: vec![], sessions });
    let mut subscriber = Subscriber::open(good_mac(1));

    let started = next(&mut listener);
    assert_eq!((started.event, started.seq), (EventName::SessionStarted, 1));
    let session = started.session.unwrap();
    assert_eq!((session.id, session.username, session.ip), (subscriber.session_id, None, None));
    assert_eq!(session.mac, good_mac(1).to_string());
    let accepted = next(&mut listener);
    assert_eq!(accepted.event, EventName::AuthAccepted);
    assert!(accepted.session.unwrap().username.is_some());
    let open = next(&mut listener);
    assert_eq!((open.event, open.seq), (EventName::SessionOpen, 3));
    assert_eq!(open.session.unwrap().ip, subscriber.address());
    assert!(open.time_ms >= started.time_ms);

    let told = lab.console().terminate(Selector::Mac(good_mac(1).0));
    assert_eq!(told, [Response::Terminated { count: 1 }]);
    until("the session to be over", || {
        subscriber.drive();
        lab.console().sessions().is_empty()
    });
    let command = next(&mut listener);
    assert_eq!(command.event, EventName::Command);
    assert_eq!(command.detail.unwrap(), format!("terminate mac {}", good_mac(1)));
    assert_eq!(command.caller.unwrap().pid, i32::try_from(std::process::id()).unwrap());
    lab.logged(&["console", &format!("command=\"terminate mac {}\"", good_mac(1)), "uid=0"]);
    let ended = next(&mut listener);
    assert_eq!((ended.event, ended.reason.as_deref()), (EventName::SessionEnded, Some("admin")));
    assert!(ended.traffic.is_some() && ended.duration_s.is_some());

    lab.stop_with(&mut []);
    let stopping = next(&mut listener);
    assert_eq!(
        (stopping.event, stopping.detail.as_deref()),
        (EventName::Service, Some(ServiceState::Stopping.as_str()))
    );
    assert_eq!(listener.receive::<Response>(), Some(Response::Done));
    assert_eq!(other.receive::<Response>(), Some(Response::Done), "of a session that there never was");
}

fn refusals() {
    let lab = Lab::start(&["-u"]);
    let names = vec![EventName::Refused, EventName::AuthRefused];
    let mut listener = monitor(&lab, EventFilter { names, sessions: None });
    let mut guest = Subscriber::begin(Host::dial(good_mac(0)), &[b'\n'; 1400]);
    until("it to be refused", || {
        guest.drive();
        lab.log().contains("authentication refused")
    });
    let refused = next(&mut listener);
    assert_eq!(refused.event, EventName::AuthRefused);
    assert!(refused.session.unwrap().username.unwrap().as_bytes().starts_with(b"\n\n"));
    let reason = refused.reason.unwrap();
    until("it to be gone", || {
        guest.drive();
        lab.console().sessions().is_empty()
    });
    assert!(!reason.is_empty() && !reason.contains(SECRET), "{reason}");

    // The name of the next slot is taken: that host gets a refusal in place of a session.
    lab::add_veth("ppp1", "other1");
    Host::dial(good_mac(2)).refused();
    let refused = next(&mut listener);
    assert_eq!((refused.event, refused.detail), (EventName::Refused, Some(good_mac(2).to_string())));
    assert_eq!(refused.reason.as_deref(), Some("ppp1 exists already (-u)"));
}

fn request_ends_monitor() {
    let lab = Lab::start(&[]);
    let mut console = monitor(&lab, EventFilter::default());
    lab.console().ask(&Request::Drain { on: true });
    assert_eq!(next(&mut console).event, EventName::Command);
    assert_eq!(next(&mut console).event, EventName::Service);
    console.send(&Request::ShowSession { id: 1 });
    assert_eq!(console.receive(), Some(Response::Done));
    assert_eq!(console.receive(), Some(Response::Failed(Failure::NoSuchSession)));
    assert!(console.sessions().is_empty());
    lab.stop_with(&mut []);
}

fn slow_monitor() {
    let lab = Lab::start(&[]);
    let mut slow = monitor(&lab, EventFilter::default());
    let mut busy = lab.console();
    for _ in 0..1250 {
        busy.ask(&Request::Drain { on: true });
        busy.ask(&Request::Drain { on: false });
    }
    let (mut heard, mut lost, mut last) = (0, 0, 0);
    while last < 5000 {
        match slow.receive().expect("an event, or how many are lost") {
            Response::Event(event) => {
                assert!(event.seq > last);
                (heard, last) = (heard + 1, event.seq);
            }
            Response::Lost { count } => lost += count,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0 && heard > 1000, "{heard} heard, {lost} lost");
    assert_eq!(heard + lost, 5000);
    lab.stop_with(&mut []);
}

fn hundred_ask() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let mut consoles: Vec<Console> = (0..100).map(|_| lab.console()).collect();
    for _ in 0..5 {
        for console in &mut consoles {
            console.send(&Request::ShowSessions);
        }
        for console in &mut consoles {
            let answer: Response = console.receive().unwrap();
            assert!(matches!(&answer, Response::Sessions(sessions) if sessions.len() == 1), "{answer:?}");
            assert_eq!(console.receive(), Some(Response::Done));
        }
    }
    subscriber.assert_alive();
    drop(consoles);
    lab.stop_with(&mut [&mut subscriber]);
}

fn idle_make_room() {
    let lab = Lab::start(&[]);
    let mut idle: Vec<Console> = (0..100).map(|_| lab.console()).collect();
    // It has asked since, so others have been idle for longer.
    assert!(idle[0].sessions().is_empty());
    // Nobody who listens is idle, but there are not more of those than a half.
    for console in idle.iter_mut().skip(1).take(60) {
        console.send(&Request::Monitor(EventFilter::default()));
    }
    thread::sleep(Duration::from_millis(100));
    let before = Instant::now();
    for _ in 0..20 {
        assert!(lab.console().sessions().is_empty());
    }
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    assert!(idle[0].sessions().is_empty(), "the one that has asked last is still there");
    let refused = idle.iter_mut().skip(51).take(10).filter_map(|console| console.receive::<Response>());
    assert!(refused.into_iter().all(|response| matches!(response, Response::Failed(Failure::Busy(_)))));
    assert!(idle[61].receive::<Response>().is_none(), "the one that has been idle for the longest time");
    drop(idle);
    lab.stop_with(&mut []);
}

fn interfaces_and_settings() {
    let lab = Lab::start(&[]);
    let names = vec![EventName::Interface, EventName::Config, EventName::Service, EventName::Reload];
    let mut listener = monitor(&lab, EventFilter { names, sessions: None });
    let link = |state: &str| {
        let status = Command::new("ip").args(["link", "set", lab::ACCESS, state]).status();
        assert!(status.unwrap().success());
    };
    let mut expect = |event: EventName, text: &str| {
        let next = next(&mut listener);
        let detail = next.detail.unwrap_or_default();
        assert!(next.event == event && detail.contains(text), "{:?} {detail:?}, not {text:?}", next.event);
    };
    link("down");
    lab.logged(&["access interface down"]);
    // A console's command comes next: the carrier, which went with it, is no news of its own.
    lab.console().ask(&Request::SetLogLevel { level: Some(LogLevel::Debug), session: None });
    expect(EventName::Interface, "is down");
    expect(EventName::Config, "set log-level debug");
    // What is refused changes nothing.
    lab.console().ask(&Request::SetLogLevel { level: None, session: None });
    lab.console().ask(&Request::Drain { on: true });
    expect(EventName::Service, "draining");
    lab.console().ask(&Request::Reload { check: false });
    expect(EventName::Reload, "0 changes");
    link("up");
    expect(EventName::Interface, "is up");
    lab.stop_with(&mut []);
}
