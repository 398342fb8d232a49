//! `top`, in a terminal and without one.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ppp_ipc::control::{Request, Response, ServerStats, SessionSummary, Traffic};
use ppp_ipc::name::Name;

use crate::{
    fake::{Server, pppctl},
    result, summary,
    terminal::Terminal,
};

/// Thirty sessions: the more traffic the higher the id.
fn server() -> Server {
    let start = Instant::now();
    Server::answering(move |request| match request {
        Request::ShowSessions => {
            let millis = u64::try_from(start.elapsed().as_millis()).unwrap();
            let session = |id: u16| {
                let traffic = Traffic { rx_bytes: millis * u64::from(id) * 1000, ..Traffic::default() };
                let username = Some(Name::new(format!("user{id}")));
                SessionSummary { traffic, username, uptime_s: millis / 1000, ..summary(id) }
            };
            vec![Response::Sessions((1..=30).map(session).collect()), Response::Done]
        }
        Request::ShowStats => {
            let stats = ServerStats { sessions: 30, ..ServerStats::default() };
            vec![Response::Stats(Box::new(stats)), Response::Done]
        }
        other => panic!("{other:?}"),
    })
}

/// The number at the beginning of a line of the screen.
fn number(screen: &str, line: usize) -> Option<u16> {
    screen.lines().nth(line)?.split_whitespace().next()?.parse().ok()
}

#[test]
fn the_busiest_are_on_top() {
    let server = server();
    let mut terminal = Terminal::start(&server.socket, &["top", "-d", "0.1"]);
    // After the second list there are rates: 8 Mbit/s times the id.
    let screen = terminal.wait_until(|screen| number(screen, 4) == Some(30) && screen.contains("Mbit/s"));
    assert!(screen.starts_with("bras1  30 sessions, 30 open  received "), "{screen}");
    assert!(screen.lines().nth(1).unwrap().starts_with("by rate-,traffic-  (q: leave"), "{screen}");
    assert!(screen.lines().count() == 24 && screen.lines().all(|line| line.len() <= 80), "{screen}");
    // The last column is whole.
    let ends = |line: &str| line.ends_with("open") || line.ends_with("bit/s") || line.ends_with('s');
    assert!(screen.lines().skip(4).all(ends), "{screen}");
    assert!(terminal.is_taken() && !terminal.is_cooked());
    terminal.send("r");
    terminal.wait_until(|screen| number(screen, 4) == Some(1));
    terminal.send("\x1b[B\x1b[B");
    terminal.wait_until(|screen| number(screen, 4) == Some(3) && screen.contains("from row 3"));
    terminal.send("g");
    terminal.resize(10, 55);
    terminal.wait_until(|screen| {
        let lines: Vec<_> = screen.lines().collect();
        lines.len() == 10 && lines[4].len() <= 55 && number(screen, 9) == Some(6)
    });
    terminal.send("h");
    terminal.wait_for("the other way round");
    terminal.send("xq");
    assert_eq!(terminal.wait(), 0);
    terminal.wait_until(|_| !terminal.is_taken());
    assert!(terminal.is_cooked());
}

#[test]
fn the_terminal_is_as_before_whatever_ends_it() {
    let server = server();
    type End = fn(&Terminal);
    let ends: [(End, i32); 5] = [
        (|terminal| terminal.send("q"), 0),
        (|terminal| terminal.send("\x03"), 0),
        (|terminal| terminal.send("\x1b"), 0),
        (|terminal| terminal.signal(Signal::SIGTERM), -15),
        (|terminal| terminal.signal(Signal::SIGHUP), -1),
    ];
    for (end, status) in ends {
        let mut terminal = Terminal::start(&server.socket, &["top"]);
        terminal.wait_for("by rate-");
        assert!(terminal.is_taken() && !terminal.is_cooked());
        end(&terminal);
        assert_eq!(terminal.wait(), status);
        assert!(terminal.is_cooked());
        terminal.wait_until(|_| !terminal.is_taken());
    }
}

#[test]
fn it_ends_by_itself_after_so_many_looks() {
    let server = server();
    let mut terminal = Terminal::start(&server.socket, &["top", "-n", "2", "-d", "0.1"]);
    assert_eq!(terminal.wait(), 0);
    // What it showed last stays.
    terminal.wait_until(|screen| !terminal.is_taken() && screen.contains("user30"));
    assert!(terminal.is_cooked());
}

#[test]
fn in_the_shell_it_ends_and_the_shell_goes_on() {
    let server = server();
    let mut terminal = Terminal::start(&server.socket, &[]);
    terminal.wait_for_prompt("bras1 (30 sessions)>");
    terminal.send("top\r");
    terminal.wait_for("by rate-");
    terminal.send("\x03");
    terminal.wait_for_prompt("bras1 (30 sessions)>");
    terminal.wait_until(|_| !terminal.is_taken());
    // What it showed last stays above the prompt.
    terminal.send("top -n 1 -d 0.1\r");
    terminal.wait_until(|screen| {
        let lines: Vec<&str> = screen.trim_end().lines().collect();
        !terminal.is_taken() && screen.contains("user30") && lines.last() == Some(&"bras1 (30 sessions)>")
    });
    terminal.send("sh ses --limit 3 | count\r");
    terminal.wait_until(|screen| screen.contains("\n3\n"));
    // Signals do again what they did.
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.wait(), -15);
}

#[test]
fn a_server_that_goes_and_comes_is_waited_for() {
    let mut first = server();
    let socket = first.socket.clone();
    let terminal = Terminal::start(&socket, &["top", "-d", "0.1"]);
    terminal.wait_for("30 sessions");
    first.stop();
    let screen = terminal.wait_for("pppoed is not running");
    assert!(number(&screen, 4).is_some(), "{screen}");
    let _second = Server::at(&socket, |_| vec![Response::Sessions(vec![summary(7)]), Response::Done]);
    terminal.wait_until(|screen| screen.contains("1 session,") && number(screen, 4) == Some(7));
}

#[test]
fn programs_get_one_table_after_the_other() {
    let server = server();
    let run = |arguments: &[&str]| {
        let arguments = [&["top", "-d", "0.05", "--columns", "id,user"], arguments].concat();
        pppctl(&server.socket, &arguments).output().unwrap()
    };
    let table = "ID  USER\n30  user30\n29  user29\n";
    let output = run(&["-n", "2", "--limit", "2"]);
    assert_eq!(result(&output), (0, format!("{table}\n{table}").as_str(), ""));
    let output = run(&["-n", "1", "--user", "user?", "--sort", "id", "-o", "csv"]);
    let (code, stdout, _) = result(&output);
    assert_eq!(
        (code, stdout.lines().count(), stdout.starts_with("id,username\r\n1,user1\r\n")),
        (0, 10, true)
    );
    let output = run(&["-n", "3", "--json"]);
    let documents: Vec<serde_json::Value> =
        result(&output).1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    assert!(documents[0]["sessions"][0]["rate"]["rx_bit_per_s"].as_u64() > Some(0));
    assert_eq!(pppctl(&server.socket, &["top", "-n", "0"]).output().unwrap().status.code(), Some(2));
}

/// Nobody waits for a stuck server longer than need be.
#[test]
fn a_silent_server_does_not_hold_the_keys_up() {
    let server = Server::answering(|_| Vec::new());
    let mut terminal = Terminal::start(&server.socket, &["top", "--timeout", "600"]);
    terminal.wait_for("no answer from pppoed within 2s");
    let start = Instant::now();
    terminal.send("q");
    assert_eq!(terminal.wait(), 0);
    assert!(start.elapsed() < Duration::from_secs(30));
}
