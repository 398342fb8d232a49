//! The real `pppctl` against a server of our own: output, exit status, and what it makes of a hostile server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy.toml excuses the test functions themselves only, not what they share"
)]

mod bash;
mod fake;
mod names;
mod programs;
mod shell;
mod terminal;
mod top;
mod trace;

use std::{
    fs::File,
    io::{Read, Write},
    net::Ipv4Addr,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use fake::{Fake, pppctl};
use ppp_ipc::control::{
    Failure, Phase, Request, Response, Selector, ServerHello, ServerStats, ServiceState, SessionSummary,
    Shutdown, Traffic, VERSION,
};
use ppp_ipc::name::Name;

fn summary(id: u16) -> SessionSummary {
    SessionSummary {
        id,
        ifname: format!("ppp{id}"),
        username: Some(Name::new("alice")),
        ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
        mac: "02:00:5e:10:00:01".into(),
        interface: "eth1".into(),
        service: Name::new("internet"),
        state: Phase::Open,
        uptime_s: 61,
        traffic: Traffic::default(),
    }
}

/// Status, standard output, standard error.
fn result(output: &Output) -> (i32, &str, &str) {
    let stdout = std::str::from_utf8(&output.stdout).unwrap();
    (output.status.code().expect("killed by a signal"), stdout, std::str::from_utf8(&output.stderr).unwrap())
}

fn assert_fails(output: &Output, status: i32, message: &str) {
    let (code, stdout, stderr) = result(output);
    assert_eq!((code, stdout), (status, ""), "{stderr}");
    assert!(stderr.starts_with("pppctl: ") && stderr.contains(message), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

// ---- Answers.

#[test]
fn a_table_that_is_not_for_a_terminal_is_whole() {
    let fake = Fake::answering(|request| {
        assert_eq!(request, Request::ShowSessions);
        vec![Response::Sessions(vec![summary(1)]), Response::Sessions(vec![summary(2)]), Response::Done]
    });
    let output = fake.run(&["sh", "sess"]);
    let (code, stdout, stderr) = result(&output);
    assert_eq!((code, stderr), (0, ""));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{stdout}");
    assert!(lines[0].starts_with("ID  USER") && lines[0].ends_with("SERVICE"), "{stdout}");
    assert!(lines[2].starts_with(" 2  alice  10.0.0.2  ppp2"), "{stdout}");
}

#[test]
fn a_list_in_json_is_one_array() {
    let fake = Fake::answering(|_| {
        vec![Response::Sessions(vec![summary(1)]), Response::Sessions(vec![summary(2)]), Response::Done]
    });
    let output = fake.run(&["show", "sessions", "--json"]);
    let (code, stdout, _) = result(&output);
    assert_eq!(code, 0);
    let value: serde_json::Value = serde_json::from_str(stdout).unwrap();
    assert_eq!(value["schema"], 1);
    assert_eq!(value["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(value["sessions"][1]["id"], 2);
}

#[test]
fn terminate_names_its_sessions() {
    let mac = || Selector::Mac([2, 0, 0x5e, 0x10, 0, 1]);
    let fake = |count| {
        Fake::answering(move |request| {
            if request == Request::Count(mac()) {
                return vec![Response::Count { count }, Response::Done];
            }
            assert_eq!(request, Request::Terminate(mac()));
            vec![Response::Terminated { count }, Response::Done]
        })
    };
    // One session, which was named: no question.
    let output = fake(1).run(&["terminate", "mac", "02:00:5e:10:00:01"]);
    assert_eq!(result(&output), (0, "terminating 1 session\n", ""));
    let output = fake(2).run(&["terminate", "mac", "02:00:5e:10:00:01"]);
    assert_fails(&output, 2, "this ends 2 sessions (mac 02:00:5e:10:00:01); without a terminal");
    let output = fake(2).run(&["terminate", "--yes", "mac", "02:00:5e:10:00:01"]);
    assert_eq!(result(&output), (0, "terminating 2 sessions\n", ""));
    let (code, stdout, shown) =
        on_a_terminal_with(fake(2), &["terminate", "mac", "02:00:5e:10:00:01"], b"y\n");
    assert_eq!((code, stdout.as_str()), (0, "terminating 2 sessions\n"));
    assert!(shown.contains("Terminate mac 02:00:5e:10:00:01 on bras1 (2 sessions now)? [y/N] "), "{shown:?}");
}

#[test]
fn terminate_all_needs_a_yes_where_nobody_can_be_asked() {
    // Nothing listens there: the refusal comes before the connection.
    let output = pppctl(Path::new("/nonexistent"), &["terminate", "all"]).output().unwrap();
    assert_fails(&output, 2, "with --yes");

    let fake = Fake::answering(|request| {
        assert_eq!(request, Request::Terminate(Selector::All));
        vec![Response::Terminated { count: 9 }, Response::Done]
    });
    assert_eq!(result(&fake.run(&["terminate", "all", "--yes"])), (0, "terminating 9 sessions\n", ""));
}

#[test]
fn a_monitor_that_cannot_begin_does_not_wait() {
    let output = pppctl(Path::new("/nonexistent"), &["monitor"]).output().unwrap();
    assert_fails(&output, 3, "pppoed is not running");
    let busy = |_| vec![Response::Failed(Failure::Busy("50 consoles have one".into()))];
    assert_fails(&Fake::answering(busy).run(&["monitor"]), 1, "50 consoles have one");
}

#[test]
fn whoever_has_read_enough_may_stop_reading() {
    let fake = Fake::answering(|_| {
        let mut answer: Vec<_> = (0..400).map(|_| Response::Sessions(vec![summary(1); 32])).collect();
        answer.push(Response::Done);
        answer
    });
    let mut child = pppctl(&fake.socket, &["show", "sessions"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(result(&child.wait_with_output().unwrap()), (0, "", ""));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let fake = Fake::answering(|_| vec![Response::Sessions(vec![]), Response::Done]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = pppctl(&fake.socket, &["show", "sessions"]).stdout(full).output().unwrap();
    assert_fails(&output, 1, "cannot write the answer: No space left");
}

#[test]
fn a_list_is_filtered_sorted_and_cut() {
    let sessions = || {
        let names = ["alice", "bob", "carol", "albert"];
        names
            .iter()
            .zip(1..)
            .map(|(name, id)| SessionSummary { username: Some(Name::new(*name)), ..summary(id) })
            .collect()
    };
    let run = |arguments: &[&str]| {
        let fake = Fake::answering(move |_| vec![Response::Sessions(sessions()), Response::Done]);
        let output = fake.run(&[&["show", "sessions"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["--columns", "id,user", "--user", "al*"]), "ID  USER\n 1  alice\n 4  albert\n");
    assert_eq!(run(&["--columns", "user", "--sort", "user-", "--limit", "2"]), "USER\ncarol\nbob\n");
    assert_eq!(run(&["--columns", "id,state", "--limit", "1"]), "ID  STATE\n 1  open\n");
    assert_eq!(run(&["--columns", "id,user", "-o", "csv", "--match", "^b"]), "id,username\r\n2,bob\r\n");
    assert_eq!(run(&["--user", "zed"]), "no sessions\n");
    let rates = run(&["--columns", "id,rate,rx-rate", "--limit", "1"]);
    assert_eq!(rates, "ID     RATE  RX-RATE\n 1  0 bit/s  0 bit/s\n");
}

#[test]
fn an_endless_list_is_refused() {
    let fake = Fake::answering(|_| vec![Response::Sessions(vec![summary(1); 64]); 1100]);
    let output = fake.run(&["show", "sessions", "--sort", "id"]);
    assert_fails(&output, 5, "pppoed listed more than 65534 sessions");
}

// ---- Failures.

#[test]
fn failures_have_their_exit_status() {
    for (failure, status, message) in [
        (Failure::NoSuchSession, 1, "no session has the id 7"),
        (Failure::Busy("too many\x1b[2J clients".into()), 1, r"too many\u{1b}[2J clients"),
        (Failure::NotAllowed, 4, "permission denied"),
    ] {
        let fake = Fake::answering(move |request| {
            assert_eq!(request, Request::ShowSession { id: 7 });
            vec![Response::Failed(failure.clone())]
        });
        assert_fails(&fake.run(&["show", "session", "7"]), status, message);
    }
}

#[test]
fn a_wrong_command_line() {
    for arguments in [&["show"][..], &["shout"], &["show", "session", "7", "8"], &["show", "stats", "--frob"]]
    {
        let output = pppctl(Path::new("/nonexistent"), arguments).output().unwrap();
        let (code, stdout, stderr) = result(&output);
        assert_eq!((code, stdout), (2, ""), "{arguments:?}");
        assert!(stderr.contains("--help"), "{stderr}");
    }
    let output = pppctl(Path::new("/nonexistent"), &["--help"]).output().unwrap();
    let (code, stdout, _) = result(&output);
    assert!(code == 0 && stdout.contains("Exit status:"), "{stdout}");
}

#[test]
fn no_server() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let output = pppctl(&socket, &["show", "stats"]).output().unwrap();
    let expected = format!("pppoed is not running (no socket at {})", socket.display());
    assert_fails(&output, 3, &expected);
    assert_fails(&output, 3, "start it (systemctl start pppoed), or give --socket");

    // What a server that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let output = pppctl(&socket, &["show", "stats"]).output().unwrap();
    assert_fails(&output, 3, &format!("pppoed is not running (nobody listens on {})", socket.display()));

    let too_long = directory.path().join("x".repeat(120));
    let output = pppctl(&too_long, &["show", "stats"]).output().unwrap();
    assert_fails(&output, 3, "cannot connect to");
}

#[test]
fn a_socket_that_may_not_be_used() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};

    // Root passes every permission, so the program runs as somebody else; a copy of it that they can reach.
    assert!(nix::unistd::geteuid().is_root(), "this test needs root");
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("pppctl");
    // By cp, because a file that this process has open for writing could be inherited by another test's child, and
    // the kernel runs no program that somebody may write to.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_pppctl")).arg(&program).status().unwrap();
    assert!(copied.success());
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = directory.path().join("control.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();

    let mut command = Command::new(program);
    command.arg("--socket").arg(&socket).args(["show", "stats"]).uid(65534).gid(65534);
    assert_fails(&command.output().unwrap(), 4, "permission denied");
}

// ---- A hostile server.

const QUICK: [&str; 4] = ["show", "stats", "--timeout", "1"];

/// Runs the quick command, which must end soon after its time-out at the latest.
fn assert_fails_soon(fake: Fake, status: i32, message: &str) {
    let start = Instant::now();
    let output = fake.run(&QUICK);
    assert_fails(&output, status, message);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_server_of_another_version() {
    let fake = Fake::start(|connection| {
        connection.send(&ServerHello { version: VERSION + 1, software: "9.9.9".into(), host: "h".into() });
        connection.wait_for_end();
    });
    let message = format!("pppoed 9.9.9 speaks version {} of the control protocol", VERSION + 1);
    assert_fails_soon(fake, 5, &message);
}

#[test]
fn a_server_that_accepts_and_says_nothing() {
    assert_fails_soon(Fake::start(|it| it.wait_for_end()), 5, "no greeting from pppoed within 1s");
}

#[test]
fn a_server_that_does_not_answer() {
    let fake = Fake::start(|connection| {
        connection.greet();
        connection.wait_for_end();
    });
    assert_fails_soon(fake, 5, "no answer from pppoed within 1s");
}

#[test]
fn a_server_whose_queue_is_full() {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    use std::os::fd::AsRawFd;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();

    let start = Instant::now();
    let output = pppctl(&path, &QUICK).output().unwrap();
    assert_fails(&output, 5, "no accepted connection from pppoed within 1s");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn half_a_frame_and_then_silence() {
    let fake = Fake::start(|connection| {
        connection.greet();
        connection.send_raw(&[9, 0, 0, 0, 1, 2]);
        connection.wait_for_end();
    });
    assert_fails_soon(fake, 5, "no answer from pppoed within 1s");
}

#[test]
fn a_frame_that_trickles_in_does_not_renew_the_time() {
    let fake = Fake::start(|connection| {
        connection.greet();
        connection.send_raw(&1000_u32.to_le_bytes());
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(50));
            connection.send_raw(&[0]);
        }
    });
    assert_fails_soon(fake, 5, "no answer from pppoed within 1s");
}

#[test]
fn a_frame_that_is_too_long() {
    let fake = Fake::start(|connection| {
        connection.send_raw(b"HTTP/1.1 400 Bad Request\r\n");
        connection.wait_for_end();
    });
    assert_fails_soon(fake, 5, "is --socket its control socket?");
}

#[test]
fn garbage_in_a_frame() {
    let fake = Fake::start(|connection| {
        connection.greet();
        connection.send_raw(&[3, 0, 0, 0, 0xff, 0xff, 0xff]);
        connection.wait_for_end();
    });
    assert_fails_soon(fake, 5, "does not understand");
}

#[test]
fn an_answer_to_another_question() {
    let fake = Fake::answering(|_| vec![Response::Terminated { count: 1 }]);
    assert_fails_soon(fake, 5, "a number of ended sessions to a request for counters");
}

#[test]
fn a_server_that_hangs_up() {
    assert_fails_soon(Fake::start(|_| {}), 5, "closed the connection without an answer");
    let fake = Fake::start(|connection| {
        connection.greet();
        connection.receive::<Request>();
        connection.send_raw(&[9, 0, 0, 0, 1]);
    });
    assert_fails_soon(fake, 5, "in the middle of an answer");
}

#[test]
fn drain_is_switched() {
    for (word, on, state, shown) in [
        ("on", true, ServiceState::Draining, "draining: no new sessions, 2 sessions left\n"),
        ("off", false, ServiceState::Serving, "accepts new sessions\n"),
    ] {
        let fake = Fake::answering(move |request| {
            assert_eq!(request, Request::Drain { on });
            vec![Response::Service { state, sessions: 2 }, Response::Done]
        });
        assert_eq!(result(&fake.run(&["drain", word])), (0, shown, ""));
    }
    let fake = Fake::answering(|_| vec![Response::Terminated { count: 1 }, Response::Done]);
    assert_fails_soon(fake, 5, "a number of ended sessions to a request for");
}

// ---- On a terminal.

/// A terminal of this many columns: our side and the program's.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).unwrap();
    (File::from(pty.master), pty.slave)
}

/// What was written to a terminal whose programs have ended.
fn shown(mut terminal: File) -> String {
    let mut shown = Vec::new();
    let mut buffer = [0; 1024];
    // The terminal ends with EIO once the last holder of its other side has gone.
    while let Ok(len @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_table_fits_the_terminal() {
    for (columns, last) in [(200, "SERVICE"), (80, "ON"), (64, "MAC"), (50, "UPTIME"), (10, "STATE")] {
        let fake = Fake::answering(|_| vec![Response::Sessions(vec![summary(1)]), Response::Done]);
        let (master, slave) = terminal(columns);
        let status = pppctl(&fake.socket, &["show", "sessions"]).stdout(slave).status().unwrap();
        let shown = shown(master);
        assert!(status.success(), "{shown}");
        assert!(shown.lines().next().is_some_and(|line| line.ends_with(last)), "{columns}: {shown}");
        let fits = |line: &str| line.trim_end().len() <= usize::from(columns);
        assert!(shown.lines().all(fits) || last == "STATE", "{columns}: {shown}");
    }
}

/// Runs `terminate all` with a terminal for its input and messages, and types `typed`.
fn on_a_terminal(fake: Fake, typed: &[u8]) -> (i32, String, String) {
    on_a_terminal_with(fake, &["terminate", "all"], typed)
}

/// As [`on_a_terminal`], with any command.
fn on_a_terminal_with(fake: Fake, command: &[&str], typed: &[u8]) -> (i32, String, String) {
    let (mut master, slave) = terminal(80);
    master.write_all(typed).unwrap();
    let child = pppctl(&fake.socket, command)
        .stdin(slave.try_clone().unwrap())
        .stderr(slave)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let code = output.status.code().unwrap();
    (code, String::from_utf8(output.stdout).unwrap(), shown(master))
}

fn fake_with_five_sessions() -> Fake {
    Fake::answering(|request| match request {
        Request::ShowStats => {
            let stats = ServerStats { sessions: 5, ..ServerStats::default() };
            vec![Response::Stats(Box::new(stats)), Response::Done]
        }
        Request::Terminate(Selector::All) => vec![Response::Terminated { count: 5 }, Response::Done],
        other => panic!("{other:?}"),
    })
}

#[test]
fn terminate_all_asks() {
    let (code, stdout, shown) = on_a_terminal(fake_with_five_sessions(), b"y\n");
    assert_eq!((code, stdout.as_str()), (0, "terminating 5 sessions\n"));
    assert!(shown.contains("Terminate all sessions on bras1 (5 sessions now)? [y/N] "), "{shown:?}");
}

#[test]
fn shutdown_hard_asks_and_soft_does_not() {
    let fake = || {
        Fake::answering(|request| match request {
            Request::ShowStats => {
                let stats = ServerStats { sessions: 5, ..ServerStats::default() };
                vec![Response::Stats(Box::new(stats)), Response::Done]
            }
            Request::Shutdown(how) => {
                let state = match how {
                    Shutdown::Soft => ServiceState::ShutdownSoft,
                    Shutdown::Hard => ServiceState::Stopping,
                    Shutdown::Keep => ServiceState::Leaving,
                };
                vec![Response::Service { state, sessions: 5 }, Response::Done]
            }
            other => panic!("{other:?}"),
        })
    };
    let output = pppctl(Path::new("/nonexistent"), &["shutdown", "hard"]).output().unwrap();
    assert_fails(&output, 2, "with --yes");
    let output = fake().run(&["shutdown", "keep"]);
    assert_eq!(result(&output), (0, "ending; 5 sessions left to the next pppoed\n", ""));
    let output = fake().run(&["shutdown", "hard", "--yes"]);
    assert_eq!(result(&output), (0, "stopping, 5 sessions left\n", ""));
    let output = fake().run(&["shutdown", "soft"]);
    assert_eq!(result(&output), (0, "shutting down after the last session, 5 sessions left\n", ""));

    let (code, stdout, shown) = on_a_terminal_with(fake(), &["shutdown", "hard"], b"y\n");
    assert_eq!((code, stdout.as_str()), (0, "stopping, 5 sessions left\n"));
    assert!(shown.contains("End pppoed and all sessions on bras1 (5 sessions now)? [y/N] "), "{shown:?}");
}

#[test]
fn anything_but_yes_is_no() {
    for typed in [&b"n\n"[..], b"\n", b"maybe\n", b"\x04"] {
        let fake = Fake::start(|connection| {
            connection.greet();
            assert_eq!(connection.receive(), Some(Request::ShowStats));
            connection.send(&Response::Stats(Box::default()));
            connection.send(&Response::Done);
            assert_eq!(connection.receive::<Request>(), None, "terminated without a yes");
        });
        let (code, stdout, shown) = on_a_terminal(fake, typed);
        assert_eq!((code, stdout.as_str()), (1, ""), "{typed:?}");
        assert!(shown.contains("cancelled; nothing changed"), "{shown:?}");
    }
}

fn a_setting(key: &str) -> ppp_ipc::control::ConfigSetting {
    let setting = ppp_ipc::reload::Setting { value: "10s".into(), origin: "/etc/ppp/options:3".into() };
    ppp_ipc::control::ConfigSetting { key: key.into(), setting, effect: ppp_ipc::reload::Effect::NewSessions }
}

#[test]
fn settings_are_picked_by_name() {
    let fake = || {
        Fake::answering(|request| {
            assert_eq!(request, Request::ShowConfig);
            let settings = ["lcp-echo-interval", "lcp-restart", "mtu"].map(a_setting);
            let (first, rest) = settings.split_at(2);
            vec![Response::Config(first.to_vec()), Response::Config(rest.to_vec()), Response::Done]
        })
    };
    let keys = |arguments: &[&str]| {
        let output = fake().run(&[&["show", "config"], arguments, &["--json"]].concat());
        let (code, stdout, stderr) = result(&output);
        assert_eq!((code, stderr), (0, ""));
        let value: serde_json::Value = serde_json::from_str(stdout).unwrap();
        let all = value["config"].as_array().unwrap();
        assert!(
            all.iter().all(|one| one["origin"] == "/etc/ppp/options:3" && one["effect"] == "new-sessions")
        );
        all.iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&[]), ["lcp-echo-interval", "lcp-restart", "mtu"]);
    assert_eq!(keys(&["lcp"]), ["lcp-echo-interval", "lcp-restart"]);
    assert_eq!(keys(&["lcp-?es*"]), ["lcp-restart"]);
    assert_eq!(keys(&["mt?"]), ["mtu"]);
    let output = fake().run(&["show", "config", "mtu", "-o", "csv"]);
    assert_eq!(
        result(&output),
        (0, "key,value,origin,effect\r\nmtu,10s,/etc/ppp/options:3,new-sessions\r\n", "")
    );
    let output = fake().run(&["show", "config", "nothing"]);
    assert_eq!(result(&output), (0, "no such setting\n", ""));
}

#[test]
fn differences_from_the_files_are_told() {
    use ppp_ipc::control::{ConfigDifference, Fate};
    let fake = || {
        Fake::answering(|request| {
            assert_eq!(request, Request::ShowConfigDiff);
            let running = Some(a_setting("mtu").setting);
            let difference = ConfigDifference { key: "mtu".into(), running, files: None, fate: Fate::Lost };
            vec![
                Response::ConfigDifferences(vec![difference]),
                Response::ConfigDiffEnd(Box::default()),
                Response::Done,
            ]
        })
    };
    let output = fake().run(&["show", "config", "--diff"]);
    let line = "mtu: running 10s (/etc/ppp/options:3), files -; lost by a restart\n";
    assert_eq!(result(&output), (0, line, ""));
    let output = fake().run(&["show", "config", "--diff", "--json"]);
    let value: serde_json::Value = serde_json::from_str(result(&output).1).unwrap();
    assert_eq!(value["config_diff"]["differences"][0]["fate"], "lost");
    assert_eq!((&value["config_diff"]["more"], value["schema"].as_u64()), (&0.into(), Some(1)));
}

/// A server with one change, that touches these sessions.
fn policy_server(denied: &[u16], ending: &[u16]) -> Fake {
    use ppp_ipc::policy::{PolicySummary, Sessions};
    use ppp_ipc::reload::{Change, Effect, Setting};
    let (denied, ending) = (Sessions::new(denied), Sessions::new(ending));
    Fake::answering(move |request| {
        let Request::Policy(request) = request else { panic!("{request:?}") };
        let new = Some(Setting { value: "deny".into(), origin: "console".into() });
        let change = Change { key: "user bob".into(), old: None, new, effect: Effect::Now };
        let summary = PolicySummary {
            applied: !request.dry_run,
            changes: 1,
            denied: denied.clone(),
            ending: ending.clone(),
            ..PolicySummary::default()
        };
        let changed = Response::PolicyChanged(Box::new(summary));
        vec![Response::Changes(vec![change]), changed, Response::Done]
    })
}

#[test]
fn a_change_says_what_it_touches() {
    let deny = ["set", "deny", "user", "bob"];
    let line = "user bob: - -> deny (console)\n";
    let output = policy_server(&[], &[]).run(&deny);
    assert_eq!(result(&output), (0, &*format!("{line}applied; `pppctl write` saves it\n"), ""));
    let dry = [&deny[..], &["--dry-run"]].concat();
    let touched = "2 sessions now denied, but stay up (--end disconnects them): 7, 9\n";
    let output = policy_server(&[7, 9], &[]).run(&dry);
    assert_eq!(result(&output), (0, &*format!("{line}{touched}not applied\n"), ""));
    // Nobody is asked where there is nobody, unless sessions end.
    let output = policy_server(&[7, 9], &[]).run(&deny);
    assert_eq!(result(&output).0, 0);
    let end = [&deny[..], &["--end"]].concat();
    let output = policy_server(&[], &[7, 9]).run(&end);
    assert_fails(&output, 2, "this ends 2 sessions; without a terminal, confirm with --yes");
    let output = policy_server(&[], &[7, 9]).run(&[&end[..], &["--yes"]].concat());
    assert!(result(&output).1.contains("2 sessions terminated: 7, 9\n"), "{output:?}");
    let output = policy_server(&[], &[7]).run(&["set", "deny", "user", "b*", "--end"]);
    assert_fails(&output, 2, "this ends 1 session");
    let output = policy_server(&[7], &[]).run(&[&dry[..], &["--json"]].concat());
    let value: serde_json::Value = serde_json::from_str(result(&output).1).unwrap();
    let change = &value["policy_change"];
    assert_eq!((&change["applied"], &change["sessions_denied"]["ids"][0]), (&false.into(), &7.into()));
}

#[test]
fn a_change_that_sessions_feel_is_asked_about_on_a_terminal() {
    let deny = ["set", "deny", "user", "bob"];
    let (code, stdout, shown) = on_a_terminal_with(policy_server(&[7], &[]), &deny, b"n\n");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(shown.contains("1 session now denied"), "{shown:?}");
    assert!(shown.contains("set deny user bob on bras1? [y/N] "), "{shown:?}");
    let (code, stdout, _) = on_a_terminal_with(policy_server(&[7], &[]), &deny, b"y\n");
    assert_eq!(code, 0);
    assert!(stdout.ends_with("applied; `pppctl write` saves it\n"), "{stdout:?}");
    let (code, _, shown) = on_a_terminal_with(policy_server(&[], &[]), &deny, b"");
    assert_eq!((code, shown.contains("y/N")), (0, false));
}

#[test]
fn what_was_set_is_listed_and_written() {
    use ppp_ipc::policy::{PolicyEntry, PolicyWritten};
    let list = || {
        Fake::answering(|request| {
            assert_eq!(request, Request::ShowPolicy);
            let entry = PolicyEntry {
                kind: "user".into(),
                name: "alice".into(),
                value: "rate-down=10M".into(),
                uid: 1000,
                time_ms: 0,
                is_written: false,
            };
            vec![Response::Policy(vec![entry]), Response::Done]
        })
    };
    let output = list().run(&["show", "policy"]);
    let (code, stdout, _) = result(&output);
    assert_eq!(code, 0);
    assert!(stdout.contains("user  alice  rate-down=10M  uid 1000"), "{stdout}");
    assert!(stdout.ends_with("lost by a restart: `write` keeps it\n"), "{stdout}");
    let output = list().run(&["show", "policy", "--json"]);
    let value: serde_json::Value = serde_json::from_str(result(&output).1).unwrap();
    assert_eq!((&value["policy"][0]["written"], &value["policy"][0]["uid"]), (&false.into(), &1000.into()));
    let fake = Fake::answering(|request| {
        assert_eq!(request, Request::WritePolicy { check: true });
        let written = PolicyWritten { path: "/c".into(), entries: 3, differs: true, applied: false };
        vec![Response::PolicyWritten(Box::new(written)), Response::Done]
    });
    let output = fake.run(&["write", "--check"]);
    assert_eq!(result(&output), (0, "/c: 3 settings to be written; it says something else\n", ""));
}
