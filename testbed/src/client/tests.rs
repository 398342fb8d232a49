//! The client against a server in the next namespace.

mod server;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use ppp_proto::auth::AuthMethod;
use ppp_proto::link::{CloseReason, Phase};
use server::{Account, Behaviour, DNS, Ending, SERVER};

use super::{DialConfig, GATHER, LoadConfig, PingConfig, dial, run};
use crate::client::report::Report;
use crate::client::session::End;
use crate::world::{Uplink, Wiring, World};

const STATION: &str = "sta0";

fn world(label: &str) -> World {
    let world = World::build(label, Wiring::AccessOnEth1, Uplink::Routed).expect("this test needs root");
    world.add_station(STATION, "br1", [2, 0, 0, 0, 0, 9]).unwrap();
    world
}

fn behaviour() -> Behaviour {
    Behaviour { methods: vec![AuthMethod::ChapMd5], ends_after: None, overtakes_pads: false }
}

/// Runs `work` while a server is there. Both must end well.
fn with_server<T>(world: &World, behaviour: &Behaviour, work: impl FnOnce() -> Result<T>) -> (T, Account) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| world.srv.run(|| server::serve("eth1", behaviour, &stop)));
        let outcome = work();
        stop.store(true, Ordering::SeqCst);
        let account = serving.join().unwrap().unwrap();
        (outcome.unwrap(), account)
    })
}

fn load(sessions: u32) -> LoadConfig {
    LoadConfig {
        first: 100,
        methods: vec![AuthMethod::ChapMd5, AuthMethod::Pap],
        ping: Some(PingConfig { target: None, interval: Duration::from_millis(100), size: 1400 }),
        hold: Duration::from_secs(1),
        ..LoadConfig::new(STATION.parse().unwrap(), sessions, 200.0)
    }
}

fn run_in(world: &World, config: &LoadConfig, seconds: u64) -> Result<Report> {
    world.cli.run(|| run(config, Instant::now() + Duration::from_secs(seconds)))
}

#[test]
fn many_sessions_open_ping_and_close() {
    for (label, method) in [("load-chap", AuthMethod::ChapMd5), ("load-pap", AuthMethod::Pap)] {
        let world = world(label);
        let behaviour = Behaviour { methods: vec![method], ..behaviour() };
        let (report, account) = with_server(&world, &behaviour, || run_in(&world, &load(50), 60));
        assert_eq!(report.established, 50, "{report}");
        assert!(report.failed.is_empty() && report.lost.is_empty(), "{report}");
        assert!(report.ping.sent >= 50 * 9, "{report}");
        assert_eq!((report.ping.received, report.ping.unexpected), (report.ping.sent, 0), "{report}");
        assert!(report.setup.unwrap().max < Duration::from_secs(2), "no packet was lost: {report}");

        let users: BTreeSet<_> = account.users.iter().cloned().collect();
        let expected: BTreeSet<_> = (100..150).map(|n| format!("user{n}").into_bytes()).collect();
        assert_eq!(users, expected);
        let stations: BTreeSet<_> = account.peers.iter().collect();
        assert_eq!(stations.len(), 50, "each session has an address of its own");
        assert_eq!(account.padt_in, [Phase::Terminate; 50], "a Terminate-Request, then a PADT");
    }
}

#[test]
fn a_configure_request_that_overtakes_the_pads_is_not_lost() {
    let world = world("load-early");
    let behaviour = Behaviour { overtakes_pads: true, ..behaviour() };
    let (report, _) = with_server(&world, &behaviour, || run_in(&world, &load(5), 60));
    assert_eq!(report.established, 5, "{report}");
    assert!(report.setup.unwrap().max < Duration::from_secs(2), "{report}");
}

#[test]
fn a_wrong_password_is_a_failure_with_its_reason() {
    let world = world("load-wrong");
    let config = LoadConfig { password: "wrong".into(), ..load(3) };
    let (report, _) = with_server(&world, &behaviour(), || run_in(&world, &config, 60));
    assert_eq!((report.established, report.ping.sent), (0, 0), "{report}");
    let (reason, count) = report.failed.first_key_value().unwrap();
    assert_eq!((*count, report.failed.len()), (3, 1), "{report}");
    assert!(reason.contains("refused our credentials") && reason.contains("no"), "{reason}");
    assert!(!reason.contains('\x1b'), "{reason:?}");
}

#[test]
fn a_session_that_the_server_ends_is_lost() {
    for (label, ending, reason) in [
        ("load-padt", Ending::Padt, "the server sent a PADT"),
        ("load-terminate", Ending::TerminateAndPadt, "the peer terminated the link"),
    ] {
        let world = world(label);
        let behaviour = Behaviour { ends_after: Some((Duration::from_millis(300), ending)), ..behaviour() };
        let config = LoadConfig { hold: Duration::from_secs(30), ..load(3) };
        let start = Instant::now();
        let (report, _) = with_server(&world, &behaviour, || run_in(&world, &config, 60));
        assert_eq!(report.established, 3, "{report}");
        assert_eq!(report.lost.get(reason), Some(&3), "{report}");
        assert!(start.elapsed() < Duration::from_secs(10), "nothing to hold for");
    }
}

#[test]
fn the_deadline_ends_a_run_without_a_server() {
    let world = world("load-alone");
    let config = LoadConfig { rate: 2.0, ..load(10) };
    let start = Instant::now();
    let report = run_in(&world, &config, 2).unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(report.established, 0);
    assert_eq!(report.failed.values().sum::<u32>(), 10, "{report}");
    let reasons: Vec<_> = report.failed.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["not open in time", "not started in time"]);
}

// ---- One session with a TUN.

fn dial_config(world: &World) -> DialConfig {
    DialConfig {
        netns: Some(world.cli.fd().try_clone_to_owned().unwrap()),
        interface: STATION.parse().unwrap(),
        mac: None,
        user: "user1".into(),
        password: "password1".into(),
        methods: vec![AuthMethod::ChapMd5],
        service_name: String::new(),
        max_payload: None,
        setup_deadline: Duration::from_secs(20),
        tun: "ppp7".parse().unwrap(),
        default_route: true,
        offloads: true,
        gather: GATHER,
    }
}

/// Sends `size` bytes through a connection from one namespace to an echo server in the other.
fn echo_over_tcp(world: &World, size: usize) -> Result<()> {
    let listener = world.srv.run(|| Ok(TcpListener::bind((SERVER, 0))?))?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let echo = scope.spawn(move || -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut buffer = vec![0; size];
            stream.read_exact(&mut buffer)?;
            Ok(stream.write_all(&buffer)?)
        });
        let mut stream =
            world.cli.run(|| Ok(TcpStream::connect_timeout(&address, Duration::from_secs(5))?))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let data: Vec<u8> = (0..=255).cycle().take(size).collect();
        stream.write_all(&data)?;
        let mut answer = vec![0; size];
        stream.read_exact(&mut answer)?;
        assert!(answer == data, "other bytes came back");
        echo.join().map_err(|_| anyhow!("the echo server panicked"))?
    })
}

#[test]
fn ordinary_programs_use_a_dialled_session() {
    const SIZE: usize = 1 << 20;
    let world = world("dial");
    let talk = || {
        let dialled = dial(dial_config(&world), Instant::now() + Duration::from_secs(30))?;
        let opened = *dialled.opened();
        assert_eq!((opened.remote, opened.mtu), (SERVER, 1492));
        assert_eq!(opened.name_servers.dns, [Some(DNS), None]);
        assert!(world.cli.interfaces()?.contains(&"ppp7".to_owned()));
        echo_over_tcp(&world, SIZE)?;
        assert!(!dialled.is_over());
        let ended = dialled.hang_up()?;
        assert!(!world.cli.interfaces()?.contains(&"ppp7".to_owned()));
        Ok(ended)
    };
    let (ended, account) = with_server(&world, &behaviour(), talk);
    assert_eq!(ended.end, End::Link { reason: CloseReason::AdminClose });
    let size = u64::try_from(SIZE).unwrap();
    assert!(ended.sent.bytes > size && ended.received.bytes > size, "{ended:?}");
    assert_eq!(account.padt_in, [Phase::Terminate]);
}

#[test]
fn a_dial_that_is_refused_says_why() {
    let world = world("dial-wrong");
    let config = DialConfig { password: "wrong".into(), ..dial_config(&world) };
    let (error, _) = with_server(&world, &behaviour(), || {
        Ok(dial(config, Instant::now() + Duration::from_secs(30)).map(|_| ()).unwrap_err())
    });
    assert!(format!("{error:#}").contains("refused our credentials"), "{error:#}");

    let error = dial(dial_config(&world), Instant::now() + Duration::from_millis(1500)).unwrap_err();
    assert!(format!("{error:#}").contains("not open in time"), "{error:#}");
}

#[test]
fn a_session_that_the_server_ends_is_over() {
    let world = world("dial-lost");
    let behaviour = Behaviour { ends_after: Some((Duration::from_millis(200), Ending::Padt)), ..behaviour() };
    let (end, _) = with_server(&world, &behaviour, || {
        let dialled = dial(dial_config(&world), Instant::now() + Duration::from_secs(30))?;
        crate::wait::until_true("the end", Duration::from_secs(10), || Ok(dialled.is_over()))?;
        Ok(dialled.hang_up()?.end)
    });
    assert_eq!(end, End::Padt);
}
