//! What consoles are shown of the server itself, and what they change of it.

use std::net::Ipv4Addr;

use ppp_ipc::control::{
    AddressSource, AuthTest, Failure, InterfaceState, LogLevel, LogLine, LogQuery, Password, Phase, Request,
    Response, Selector, SessionTimers, VERSION,
};
use ppp_ipc::name::{Name, NamePattern};

use ppp_wire::ethernet::{EtherType, MIN_FRAME_LEN};

use super::lab::{ACCESS, Lab, SECRET, SHORT_USER, with_wire};
use super::peer::{Subscriber, socket};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 6] = [
        ("who decides about a user is shown, and a password tried", auth),
        ("the pool, the interfaces and the version are shown", facts),
        ("the log is shown, and its level set while it runs", log),
        ("a dropped dial is logged with its sender and what it asked for", dropped),
        ("sessions are counted and ended by a pattern", patterns),
        ("a session's log level ends with it", session_level_ends),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn facts() {
    let lab = Lab::start(&["-N", "3"]);
    let mut subscriber = Subscriber::open(good_mac(1));
    // The peer knows its address before the interface has it.
    lab.in_phase(subscriber.session_id, Phase::Open);
    let answer = lab.console().ask(&Request::ShowSession { id: subscriber.session_id });
    let [Response::Session(detail)] = answer.as_slice() else { panic!("{answer:?}") };
    let option = |protocol: &str, name: &str| {
        let mut all = detail.options.iter();
        all.find(|it| it.protocol == protocol && it.option == name)
            .map(|it| (it.ours.as_deref(), it.peers.as_deref()))
    };
    assert_eq!(option("lcp", "authentication-protocol"), Some((None, Some("chap-md5"))));
    let address = subscriber.address().unwrap().to_string();
    assert_eq!(option("ipcp", "ip-address"), Some((Some("10.0.0.1"), Some(address.as_str()))));
    assert_eq!(detail.timers, SessionTimers::default());
    assert!(detail.control.rx_packets >= 4 && detail.control.tx_packets >= 4, "{:?}", detail.control);
    let answer = lab.console().ask(&Request::ShowPool);
    let [Response::Pool(pool), Response::Leases(leases)] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!((pool.size, pool.in_use, pool.free, pool.reserved, pool.outside), (3, 1, 2, 0, 0));
    let range = pool.ranges[0];
    assert_eq!((range.first, range.last), (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 4)));
    assert_eq!((range.in_use, pool.ranges.len()), (1, 1));
    assert_eq!(
        (leases.len(), leases[0].id, leases[0].source),
        (1, subscriber.session_id, AddressSource::Pool)
    );
    assert_eq!(Some(leases[0].ip), subscriber.address());

    let answer = lab.console().ask(&Request::ShowInterfaces);
    let [Response::Interface(interface)] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!((interface.stats.interface.as_str(), interface.stats.state), (ACCESS, InterfaceState::Up));
    assert_eq!((interface.sessions, interface.open), (1, 1));
    assert!(interface.index.is_some());

    let answer = lab.console().ask(&Request::ShowVersion);
    let [Response::Version(version)] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!((version.protocol, version.pid), (VERSION, u32::try_from(lab.pid().as_raw()).unwrap()));
    lab.stop_with(&mut [&mut subscriber]);
}

fn lines(lab: &Lab, query: LogQuery) -> Vec<LogLine> {
    let of = |response| match response {
        Response::Log(lines) => lines,
        other => panic!("{other:?}"),
    };
    lab.console().ask(&Request::ShowLog(query)).into_iter().flat_map(of).collect()
}

fn auth() {
    let lab = Lab::start(&[]);
    let ask = |user: &str, password: Option<&str>| {
        let password = password.map(|password| Password(password.as_bytes().to_vec()));
        let answer = lab.console().ask(&Request::AuthTest(AuthTest { user: Name::new(user), password }));
        let [Response::AuthVerdict(chap), Response::AuthVerdict(pap)] = answer.as_slice() else {
            panic!("{answer:?}")
        };
        assert!(chap.is_asked_for && !pap.is_asked_for);
        assert!(!format!("{answer:?}").contains(SECRET));
        chap.clone()
    };
    let secrets = lab.path("secrets").display().to_string();
    let alice = ask("alice", None);
    assert_eq!((alice.decided_by, alice.is_right), (Some(format!("{secrets}:1")), None));
    let short = ask(SHORT_USER, Some(SECRET));
    assert_eq!((&short.decided_by, short.is_right), (&Some(format!("{secrets}:2")), Some(true)));
    assert_eq!(short.others[0].place, format!("{secrets}:1"));
    assert!(short.others[0].why.contains("comes first"), "{short:?}");
    let wrong = ask("al\nice", Some("a guess"));
    assert_eq!(wrong.is_right, Some(false));
    assert!(wrong.refusal.unwrap().contains("wrong password"));
    lab.logged(&["console", "command=\"auth test al\\\\x0aice\"", "uid=0"]);
    assert!(!lab.log().contains(SECRET) && !lab.log().contains("a guess"));
    lab.stop_with(&mut []);
}

fn log() {
    let lab = Lab::start(&[]);
    let all = LogQuery::latest(1000);
    let mut first = Subscriber::open(good_mac(1));
    lab.logged(&["session up"]);
    assert!(lines(&lab, all.clone()).iter().all(|line| line.level <= LogLevel::Info));
    let up = lines(&lab, LogQuery { session: Some(first.session_id), ..all.clone() });
    assert!(up.iter().any(|line| line.message == "session up"), "{up:?}");
    assert_eq!(lines(&lab, LogQuery { count: 1, ..all.clone() }).len(), 1);

    let set = |level, session| lab.console().ask(&Request::SetLogLevel { level, session });
    let answer = set(Some(LogLevel::Debug), None);
    let [Response::LogLevels(levels)] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!((levels.level, levels.sessions.len()), (LogLevel::Debug, 0));
    let mut second = Subscriber::open(good_mac(2));
    let steps = lines(&lab, LogQuery { session: Some(second.session_id), ..all.clone() });
    assert!(steps.iter().any(|line| line.level == LogLevel::Debug), "{steps:?}");
    assert_eq!(set(None, Some(9)), [Response::Failed(Failure::NoSuchSession)]);
    assert!(matches!(set(None, None).as_slice(), [Response::Failed(Failure::Refused(_))]));

    // More than one page.
    for _ in 0..300 {
        set(Some(LogLevel::Debug), None);
    }
    let many = lines(&lab, all);
    assert!(many.len() > 300, "{}", many.len());
    assert!(many.iter().zip(many.iter().skip(1)).all(|(one, next)| one.seq < next.seq));

    let ups = |query| lines(&lab, query).iter().filter(|line| line.message == "session up").count();
    let all = LogQuery::latest(10_000);
    assert_eq!(ups(all.clone()), 2);
    assert_eq!(ups(LogQuery { user: Some(Name::new("alice")), ..all.clone() }), 2);
    assert_eq!(ups(LogQuery { user: Some(Name::new("Alice")), ..all.clone() }), 0, "as logins are compared");
    assert_eq!(ups(LogQuery { mac: Some(good_mac(2).0), ..all.clone() }), 1);
    assert_eq!(ups(LogQuery { mac: Some(good_mac(3).0), ..all.clone() }), 0);
    let last = many.last().unwrap().time_ms;
    let since = lines(&lab, LogQuery { since_ms: last, ..all.clone() });
    assert!(since.len() < many.len() && since.iter().all(|line| line.time_ms >= last), "{since:?}");
    assert_eq!(lines(&lab, LogQuery { since_ms: u64::MAX, ..all }), []);
    lab.stop_with(&mut [&mut first, &mut second]);
}

fn dropped() {
    let lab = Lab::start(&["-S", "internet"]);
    let header = [&[0xff; 6][..], &good_mac(7).0, &[0x88, 0x63, 0x11, 0x09, 0, 0]].concat();
    let tags = b"\x01\x03\0\x01\xff\x01\x01\0\x06v\x1b p\xff\"";
    let mut padi = [&header[..], &[0, tags.len().try_into().unwrap()], tags].concat();
    padi.resize(MIN_FRAME_LEN, 0);
    socket(EtherType::PppoeDiscovery).send(&padi).unwrap();
    let mac = format!("peer_mac={}", good_mac(7));
    let service = r#"service="v\\u{1b} p\\xff\\\"""#;
    lab.logged(&["frames were dropped", "service_unknown", "count=1", &mac, service]);
    lab.stop_with(&mut []);
}

fn patterns() {
    let lab = Lab::start(&[]);
    let mut subscribers = [Subscriber::open(good_mac(1)), Subscriber::open(good_mac(2))];
    let count = |pattern: &str| {
        lab.console().ask(&Request::Count(Selector::Pattern(NamePattern::from_text(pattern))))
    };
    assert_eq!(count("02:00:*"), [Response::Count { count: 2 }]);
    assert_eq!(count(&format!("{}*", good_mac(2))), [Response::Count { count: 1 }]);
    assert_eq!(count("nobody*"), [Response::Count { count: 0 }]);
    for bad in [String::new(), "a".repeat(257)] {
        assert!(matches!(count(&bad).as_slice(), [Response::Failed(Failure::Refused(_))]));
        let end = lab.console().terminate(Selector::Pattern(NamePattern::from_text(bad)));
        assert!(matches!(end.as_slice(), [Response::Failed(Failure::Refused(_))]));
    }
    let told = lab.console().terminate(Selector::Pattern(NamePattern::from_text("*:02")));
    assert_eq!(told, [Response::Terminated { count: 1 }]);
    super::lab::until("one to be over", || {
        subscribers.iter_mut().for_each(Subscriber::drive);
        lab.console().sessions().len() == 1
    });
    let [one, _] = &mut subscribers;
    one.assert_alive();
    lab.stop_with(&mut [one]);
}

fn session_level_ends() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let session = Some(subscriber.session_id);
    let set = Request::SetLogLevel { level: Some(LogLevel::Trace), session };
    let answer = lab.console().ask(&set);
    let [Response::LogLevels(levels)] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!((levels.level, levels.sessions[0].id), (LogLevel::Info, subscriber.session_id));
    lab.console().terminate(Selector::All);
    lab.logged(&["DEBUG", "ending: admin"]);
    super::lab::until("it to be over", || {
        subscriber.drive();
        lab.console().sessions().is_empty()
    });
    let answer = lab.console().ask(&Request::SetLogLevel { level: Some(LogLevel::Info), session: None });
    let [Response::LogLevels(levels)] = answer.as_slice() else { panic!("{answer:?}") };
    assert!(levels.sessions.is_empty(), "{levels:?}");
    lab.stop_with(&mut []);
}
