//! Messages of every socket, as their senders make them, and records for the next `pppoed`.

use std::net::Ipv4Addr;

use ppp_ipc::adoption::{Claim, Returning, TAG_LEN, Ticket, Welcome};
use ppp_ipc::codec::encode;
use ppp_ipc::control::{
    AuthTest, CaptureRequest, CapturedFrame, ClientHello, EventFilter, EventName, Failure, HookTrial,
    LogField, LogLevel, LogLine, Password, Phase, Request, Response, Selector, ServerHello, ServiceState,
    SessionSummary, Traffic,
};
use ppp_ipc::frame::HEADER_LEN;
use ppp_ipc::hooks::{
    Answer, Argument, AuthAnswer, Call, CallError, Event, FileReport, FromHost, Function, Level, Load,
    Question, Reply, Returned, Secret, SessionFields, Source, StoreValue, ToHost, Value, Which,
};
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::rate::BitRate;
use ppp_ipc::reason::EndReason;
use ppp_ipc::template::{FromTemplate, SandboxParameters, ToTemplate};
use ppp_ipc::worker::{
    AuthMethod, Ended, FromWorker, Ipv6Parameters, Ipv6Report, LcpReport, LinkParameters, Network,
    NetworkReport, Offloads, Proof, Rates, Relay, RestartParameters, Start, ToWorker, Verdict,
};
use serde::Serialize;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const NETWORK: Network =
    Network { local: ADDRESS, remote: ADDRESS, dns: [Some(ADDRESS), None], nbns: [None; 2] };
const REPORT: NetworkReport = NetworkReport { local: ADDRESS, remote: ADDRESS };
const LCP: LcpReport = LcpReport { mru: 1492, peer_mru: 1492, auth: Some(AuthMethod::ChapMd5) };
const RESTART: RestartParameters =
    RestartParameters { restart_ms: 3000, max_configure: 10, max_terminate: 2, max_failure: 5 };

/// A record with everything in it, as a test of `pppoed` pins it.
const RECORD: &[u8] = include_bytes!("../../samples/session-record");

pub(super) fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "adoption_records" => [0, 1, 2].map(|choice| [&[choice][..], RECORD].concat()).to_vec(),
        "control_socket" => control_socket(),
        "framing" => {
            let frames = [frame(&Request::ShowSessions), frame(&Request::Drain { on: true })].concat();
            vec![[&[3][..], &frames].concat(), vec![1, 0, 0, 0, 0], vec![1, 0xff, 0xff, 0xff, 0xff]]
        }
        "hook_messages" => hook_messages(),
        "template_socket" => template_socket(),
        "worker_socket" => worker_socket(),
        _ => Vec::new(),
    }
}

fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    encode(message).expect("a message fits into a frame").to_vec()
}

fn with_choice<T: Serialize>(choice: u8, message: &T) -> Vec<u8> {
    [&[choice][..], &frame(message)[HEADER_LEN..]].concat()
}

fn worker_socket() -> Vec<Vec<u8>> {
    let link = LinkParameters {
        name: b"ac".to_vec(),
        mru: 1492,
        max_peer_mru: 1492,
        auth_methods: vec![AuthMethod::ChapMd5, AuthMethod::Pap],
        lcp: RESTART,
        ipcp: RESTART,
        ipv6cp: RESTART,
        ipv6: Some(Ipv6Parameters { local: [1; 8], remote: None }),
        network: Some(NETWORK),
        auth_restart_ms: 3000,
        auth_max_transmits: 10,
        auth_max_tries: 3,
        chap_interval_ms: 0,
        auth_deadline_ms: 30_000,
        setup_deadline_ms: 60_000,
        echo_interval_ms: 10_000,
        echo_failure: 3,
        echo_adaptive: true,
        dead_peer_ms: 0,
        idle_ms: 0,
        max_mss: 1412,
    };
    let start = Start {
        version: ppp_ipc::worker::VERSION,
        session_id: 7,
        peer_mac: [2, 0, 0, 0, 0, 1],
        own_mac: [2, 0, 0, 0, 0, 2],
        session_ethertype: 0x8864,
        discovery_ethertype: 0x8863,
        orphan_timeout_ms: 120_000,
        seed: 0x0123_4567_89ab_cdef,
        offloads: Offloads { tcp: true, udp: false },
        gather_us: 50,
        link,
    };
    let ended = Ended { reason: EndReason::PeerTerminated, detail: b"User request".to_vec() };
    let ticket = Ticket { record: RECORD.to_vec(), tag: [9; TAG_LEN] };
    let from_worker = [
        FromWorker::Ready { version: ppp_ipc::worker::VERSION, protections: 0xff },
        FromWorker::SandboxFailed { why: "chroot: EPERM".into() },
        FromWorker::LcpOpened(LCP),
        FromWorker::ChallengeNeeded,
        FromWorker::Authenticate(Proof::Pap { name: b"alice".to_vec(), password: b"open sesame".to_vec() }),
        FromWorker::Authenticate(Proof::Chap {
            identifier: 1,
            response: vec![7; 16],
            name: b"alice".to_vec(),
        }),
        FromWorker::NetworkUp(REPORT),
        FromWorker::NetworkDown,
        FromWorker::Ipv6Up(Ipv6Report { local: [1; 8], remote: [2; 8] }),
        FromWorker::Ended(ended.clone()),
        FromWorker::Pong { sequence: 300 },
    ];
    let to_worker = [
        ToWorker::Start(Box::new(start)),
        ToWorker::Open,
        ToWorker::Challenge { identifier: 1, value: vec![5; 16] },
        ToWorker::Verdict(Verdict::Accept {
            message: b"Access granted".to_vec(),
            network: NETWORK,
            idle_ms: 0,
        }),
        ToWorker::Verdict(Verdict::Reject { message: b"Access denied".to_vec() }),
        ToWorker::Relay(Relay { mtu: 1492, ipv4: true, ipv6: Some([2; 8]) }),
        ToWorker::Terminate(EndReason::Admin),
        ToWorker::Ping { sequence: 1 },
        ToWorker::Record(ticket.clone()),
        ToWorker::AnySource,
        ToWorker::SetRates(Rates { down: 10_000, up: 1000, burst: 0 }),
    ];
    let claim = Claim::Session(Box::new(Returning {
        version: ppp_ipc::worker::VERSION,
        ticket,
        counters: 7,
        lcp: Some(LCP),
        authenticated: true,
        network: Some(REPORT),
        ipv6: None,
        ended: Some(ended),
    }));
    let from_worker = from_worker.iter().map(|message| with_choice(0, message));
    let to_worker = to_worker.iter().map(|message| with_choice(1, message));
    let welcome = Welcome::Adopted { version: ppp_ipc::worker::VERSION, farewell: true };
    from_worker.chain(to_worker).chain([with_choice(2, &claim), with_choice(3, &welcome)]).collect()
}

fn control_socket() -> Vec<Vec<u8>> {
    let requests = [
        Request::ShowSessions,
        Request::ShowSession { id: 7 },
        Request::Terminate(Selector::User(Name::new("bob"))),
        Request::Terminate(Selector::Mac([2, 0, 0, 0, 0, 1])),
        Request::Count(Selector::Pattern(NamePattern::from_text("*@isp"))),
        Request::Monitor(EventFilter {
            names: vec![EventName::SessionOpen],
            sessions: Some(Selector::Interface("ppp0".into())),
        }),
        Request::AuthTest(AuthTest { user: Name::new("alice"), password: Some(Password(b"x".to_vec())) }),
        Request::Capture(CaptureRequest {
            session: 7,
            packets: 10,
            bytes: 1000,
            seconds: 5,
            snaplen: 128,
            secrets: false,
        }),
        Request::SetLogLevel { level: Some(LogLevel::Debug), session: Some(7) },
        Request::SetRate { id: 7, down: BitRate(10_000), up: None },
        Request::Reload { check: true },
        Request::RunHook(Box::new(HookTrial {
            function: "ip_up".into(),
            fields: vec![("username".into(), Name::new("bob"))],
            ..HookTrial::default()
        })),
    ];
    let traffic = Traffic { rx_packets: 1, rx_bytes: 2, tx_packets: 3, tx_bytes: u64::MAX };
    let summary = SessionSummary {
        id: 7,
        ifname: "ppp0".into(),
        username: Some(Name::new("alice")),
        ip: Some(ADDRESS),
        mac: "02:00:00:00:00:01".into(),
        interface: "eth1".into(),
        service: Name::default(),
        state: Phase::Open,
        uptime_s: 60,
        traffic,
    };
    let line = LogLine {
        seq: 1,
        time_ms: 1_700_000_000_000,
        level: LogLevel::Info,
        message: "session open".into(),
        fields: vec![LogField { name: "session".into(), value: "7".into() }],
    };
    let frame = CapturedFrame { time_ns: 1, is_from_peer: true, wire_len: 60, bytes: vec![0; 60] };
    let responses = [
        Response::Sessions(vec![summary.clone(), summary]),
        Response::Terminated { count: 2 },
        Response::Service { state: ServiceState::Draining, sessions: 3 },
        Response::Failed(Failure::BadFiles(vec!["/etc/ppp/options:3: no".into()])),
        Response::Done,
        Response::Log(vec![line]),
        Response::Frames(vec![frame]),
        Response::Lost { count: 9 },
    ];
    let requests = requests.iter().map(|request| with_choice(0, request));
    let responses = responses.iter().map(|response| with_choice(1, response));
    let hellos = [
        with_choice(2, &ClientHello { version: 3 }),
        with_choice(3, &ServerHello { version: 3, software: "0.1.0".into(), host: "bras1".into() }),
    ];
    requests.chain(responses).chain(hellos).collect()
}

fn hook_messages() -> Vec<Vec<u8>> {
    let answer = AuthAnswer {
        secret: Some(Secret(b"open sesame".to_vec())),
        pool: Some((ADDRESS, ADDRESS)),
        options: vec![vec![b"ms-dns".to_vec(), b"10.0.0.1".to_vec()]],
        ..AuthAnswer::default()
    };
    let returned = |result| FromHost::Returned(Box::new(Returned { result, shown: None, is_worn: false }));
    let from_host = [
        FromHost::Loaded(vec![FileReport {
            events: vec![Event::IpUp, Event::Auth],
            every: vec![60],
            deadline: None,
        }]),
        FromHost::LoadFailed(vec!["nat.lua:3: no".into()]),
        FromHost::Log { level: Level::Warn, text: b"hello".to_vec() },
        FromHost::Child(Some(77)),
        FromHost::Ask(Question::Sessions { after: 3, fields: vec!["sid".to_owned()] }),
        FromHost::Ask(Question::Terminate { which: Which::Sid("0123".into()), text: b"bye".to_vec() }),
        FromHost::Ask(Question::SetRate { which: Which::Id(7), down: 1, up: 2 }),
        FromHost::Ask(Question::StoreSet(b"k".to_vec(), Some(StoreValue::Number(0.5)))),
        FromHost::Ask(Question::StoreKeys { prefix: b"k".to_vec(), after: None }),
        returned(Ok(Answer::Auth(Box::new(answer)))),
        returned(Ok(Answer::Deny(Some(b"closed".to_vec())))),
        returned(Err(CallError { is_nonsense: true, message: "x".into() })),
    ];
    let fields = vec![
        ("username".to_owned(), Value::Bytes(b"alice".to_vec())),
        ("password".to_owned(), Value::Secret(Secret(b"x".to_vec()))),
        ("dns".to_owned(), Value::List(vec![b"10.0.0.1".to_vec()])),
        ("env".to_owned(), Value::Table(vec![(b"A".to_vec(), b"B".to_vec())])),
        ("id".to_owned(), Value::Integer(7)),
    ];
    let call = Call {
        file: 0,
        function: Function::Event(Event::SessionChange),
        arguments: vec![Argument::Table(fields.clone()), Argument::Names(vec!["ipv4_open".into()])],
        deadline_ms: 5000,
        show: true,
    };
    let sessions = Reply::Sessions { sessions: vec![SessionFields { id: 7, fields }], more: true };
    let to_host = [
        ToHost::Load(Load { files: vec![Source { name: "a.lua".into(), len: 3 }], memory_limit: 1 << 26 }),
        ToHost::Call(call),
        ToHost::Reply(sessions),
        ToHost::Reply(Reply::Value(Some(StoreValue::Integer(-1)))),
    ];
    let from_host = from_host.iter().map(|message| with_choice(0, message));
    from_host.chain(to_host.iter().map(|message| with_choice(1, message))).collect()
}

fn template_socket() -> Vec<Vec<u8>> {
    let sandbox =
        SandboxParameters { uid: 1, gid: 2, chroot: "/run/empty".into(), address_space_limit: 1 << 26 };
    let from_template = [
        FromTemplate::Ready { version: 5 },
        FromTemplate::Failed { why: "chroot".into() },
        FromTemplate::Forked { pid: 4242 },
        FromTemplate::NotForked { why: "EAGAIN".into() },
    ];
    let to_template = [ToTemplate::Enter { version: 5, sandbox }, ToTemplate::Fork];
    let from_template = from_template.iter().map(|message| [&[0][..], &frame(message)].concat());
    from_template.chain(to_template.iter().map(|message| [&[1][..], &frame(message)].concat())).collect()
}
