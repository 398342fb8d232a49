//! The shell, in a terminal and without one.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use ppp_ipc::control::{
    Failure, Password, Request, Response, Selector, ServerStats, ServiceState, SessionSummary,
};
use ppp_ipc::name::Name;

use crate::{
    fake::{Server, pppctl},
    result, summary,
    terminal::Terminal,
};

const PROMPT: &str = "bras1 (3 sessions)>";

fn sessions() -> Vec<SessionSummary> {
    ["alice", "bob", "carol b"]
        .iter()
        .zip(1..)
        .map(|(name, id)| SessionSummary { username: Some(Name::new(*name)), ..summary(id) })
        .collect()
}

/// A server with three sessions.
fn answer(request: Request) -> Vec<Response> {
    let pieces = match request {
        Request::ShowSessions => vec![Response::Sessions(sessions())],
        Request::ShowStats => {
            let stats = ServerStats { sessions: 3, max_sessions: 64, ..ServerStats::default() };
            vec![Response::Stats(Box::new(stats))]
        }
        Request::Count(_) => vec![Response::Count { count: 1 }],
        Request::Terminate(_) => vec![Response::Terminated { count: 1 }],
        Request::Drain { on } => {
            let state = if on { ServiceState::Draining } else { ServiceState::Serving };
            vec![Response::Service { state, sessions: 3 }]
        }
        Request::FindSessions(word) => {
            let of_user = |session: &SessionSummary| session.username.as_ref() == Some(&word);
            match sessions().into_iter().filter(of_user).collect::<Vec<_>>() {
                none if none.is_empty() => return vec![Response::Failed(Failure::NoSuchSession)],
                found => vec![Response::Sessions(found)],
            }
        }
        other => panic!("{other:?}"),
    };
    pieces.into_iter().chain([Response::Done]).collect()
}

fn shell(server: &Server) -> Terminal {
    let terminal = Terminal::start(&server.socket, &[]);
    terminal.wait_for_prompt(PROMPT);
    terminal
}

#[test]
fn it_greets_and_leaves() {
    let server = Server::answering(answer);
    for keys in ["exit\r", "quit\r", "\x04", "ex\r"] {
        let mut terminal = shell(&server);
        assert!(terminal.screen().starts_with("pppoed 0.1.0 on bras1; help or ? tells"));
        terminal.send(keys);
        assert_eq!(terminal.wait(), 0, "{keys:?}");
        assert!(terminal.is_cooked());
    }
}

#[test]
fn lines_are_carried_out() {
    let server = Server::answering(answer);
    let terminal = shell(&server);
    terminal.send("sh ses | include bob\r");
    let screen = terminal.wait_for(" 2  bob");
    assert!(screen.contains("ID  USER") && !screen.contains("alice"), "{screen}");
    terminal.send("sh ses | count; sh st | i of\r");
    let screen = terminal.wait_for("3 of 64");
    assert!(screen.contains("\n3\n"), "{screen}");
    // What is typed ahead is not lost.
    terminal.send("sh ses | i carol\rsh ses | i alice\r");
    let screen = terminal.wait_for(" 1  alice");
    assert!(screen.contains(" 3  carol b"), "{screen}");
}

#[test]
fn what_is_wrong_is_told_and_the_shell_goes_on() {
    let server = Server::answering(answer);
    let terminal = shell(&server);
    for (line, message) in [
        ("sh s", "pppctl: \"s\" after \"show\" may be sessions or stats"),
        ("frob", "pppctl: no command \"frob\": try show,"),
        ("show", "pppctl: show what? "),
        ("sh ses x", "pppctl: no session is called x: `pppctl show sessions` lists them"),
        ("sh ses alice bob", "pppctl: unexpected argument 'bob'"),
        ("sh ses | grep x", "pppctl: unknown filter \"grep\""),
        ("sh 'ses", "pppctl: unterminated '"),
        ("| count", "pppctl: expected a command before |"),
    ] {
        terminal.send(&format!("{line}\r"));
        terminal.wait_for(message);
        terminal.wait_for_prompt(PROMPT);
        terminal.send("\x0c");
    }
}

#[test]
fn a_question_mark_tells_what_may_come_next() {
    let server = Server::answering(answer);
    let terminal = shell(&server);
    terminal.send("sh ?");
    let screen = terminal.wait_for("  stats ");
    assert!(screen.contains(" List sessions"), "{screen}");
    // The line is as it was.
    terminal.wait_for_prompt(&format!("{PROMPT} sh"));
    terminal.send("ses ?");
    let screen = terminal.wait_for("<Enter>");
    assert!(screen.contains("  carol b") && screen.contains("--sort"), "{screen}");
    terminal.wait_for_prompt(&format!("{PROMPT} sh ses"));
    terminal.send("| ?");
    let screen = terminal.wait_for("no-more");
    assert!(screen.contains("  include  Show headings"), "{screen}");
    terminal.send("include 'a?b' | count\r");
    terminal.wait_until(|screen| screen.contains("\n2\n"));
}

#[test]
fn words_and_values_are_completed() {
    let server = Server::answering(answer);
    let terminal = shell(&server);
    terminal.send("ter\tu\tb\t");
    terminal.wait_for_prompt(&format!("{PROMPT} terminate user bob"));
    terminal.send("\x15term user c\t");
    terminal.wait_for_prompt(&format!("{PROMPT} term user 'carol b'"));
    terminal.send("\x15show sessions --js\t| cou\t\r");
    terminal.wait_until(|screen| screen.contains("--json | count") && screen.contains("\n1\n"));
    terminal.send("sh ses --col id,us\t,sta\t --so\tifn\t- | i USER\r");
    terminal.wait_for("ID  USER     STATE");
    terminal.wait_for_prompt(PROMPT);
    terminal.send("term session \t\t");
    let screen = terminal.wait_for_prompt(&format!("{PROMPT} term session"));
    assert!(screen.contains("1 ") && screen.contains("alice") && screen.contains("ppp3"), "{screen}");
}

#[test]
fn long_answers_are_shown_a_screen_at_a_time() {
    let server = Server::answering(|request| match request {
        Request::ShowSessions => vec![Response::Sessions((1..200).map(summary).collect()), Response::Done],
        other => answer(other),
    });
    let terminal = shell(&server);
    terminal.send("show sessions\r");
    let screen = terminal.wait_for("-- more --");
    assert!(screen.starts_with(" ID  USER") && screen.contains("\n 22 "), "{screen}");
    terminal.send(" ");
    terminal.wait_until(|screen| screen.contains("\n 45 ") && screen.contains("-- more --"));
    terminal.send("\r");
    terminal.wait_until(|screen| screen.contains("\n 46 ") && screen.contains("-- more --"));
    terminal.send("q");
    let screen = terminal.wait_for_prompt(PROMPT);
    assert!(!screen.contains(" 47 "), "{screen}");
    terminal.send("show sessions | no-more\r");
    terminal.wait_until(|screen| screen.contains("\n199 ") && screen.trim_end().ends_with(PROMPT));
    // A pager of the user's choice, with its arguments.
    let arguments = ["NO_COLOR", "PAGER"].into_iter().zip(["1", "sed 's/^/paged: /'"]).collect::<Vec<_>>();
    let terminal = Terminal::with(&server.socket, &[], (24, 80), &arguments);
    terminal.wait_for_prompt(PROMPT);
    terminal.send("show sessions\r");
    terminal.wait_for("paged: 199 ");
    terminal.send("\x0cshow stats\r");
    let screen = terminal.wait_for("3 of 64");
    assert!(!screen.contains("paged: "), "{screen}");
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let mut server = Server::answering(answer);
    let socket = server.socket.clone();
    let terminal = shell(&server);
    terminal.send("show stats\r");
    terminal.wait_for("3 of 64");
    server.stop();
    // The prompt is older than the end.
    terminal.send("\x0cshow stats\r");
    terminal.wait_for("pppctl: pppoed is not running (no socket at");
    terminal.wait_for_prompt("pppctl (not connected)>");
    let _server = Server::at(&socket, answer);
    terminal.send("\x0cshow sessions\r");
    terminal.wait_for(" 3  carol b");
    terminal.wait_for_prompt(PROMPT);

    let terminal = Terminal::start(Path::new("/nonexistent/control.sock"), &[]);
    let screen = terminal.wait_for_prompt("pppctl (not connected)>");
    assert!(screen.contains("systemctl start pppoed"), "{screen}");
}

#[test]
fn ctrl_c_ends_a_command_and_not_the_shell() {
    let server = Server::answering(|request| match request {
        // Begins and never ends.
        Request::ShowSessions => vec![Response::Sessions(sessions())],
        other => answer(other),
    });
    let mut terminal = Terminal::start(&server.socket, &["--timeout", "600"]);
    terminal.wait_for_prompt(PROMPT);
    terminal.send("show sessions\r");
    // The line has been taken once the terminal is the command's.
    while !terminal.is_cooked() {
        std::thread::yield_now();
    }
    terminal.send("\x03");
    terminal.wait_until(|screen| screen.contains("^C") && screen.trim_end().ends_with(PROMPT));
    terminal.send("show stats\r");
    terminal.wait_for("3 of 64");
    terminal.wait_for_prompt(PROMPT);
    // At the prompt it throws the line away.
    terminal.send("terminate all");
    terminal.wait_for_prompt(&format!("{PROMPT} terminate all"));
    terminal.send("\x03");
    terminal.wait_for_prompt(PROMPT);
    // At a question it is a no.
    terminal.send("terminate all\r");
    terminal.wait_for("[y/N]");
    terminal.send("\x03");
    terminal.wait_for("pppctl: cancelled; nothing changed");
    terminal.wait_for_prompt(PROMPT);
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_monitor_goes_on_until_ctrl_c() {
    let server = Server::answering(|request| match request {
        Request::Monitor(filter) => {
            assert_eq!(filter.sessions, Some(Selector::User(Name::new("alice"))));
            vec![Response::Lost { count: 7 }]
        }
        other => answer(other),
    });
    // Longer than an answer may take.
    let mut terminal = Terminal::start(&server.socket, &["--timeout", "0.2"]);
    terminal.wait_for_prompt(PROMPT);
    terminal.send("mon --us ali\t\r");
    terminal.wait_for("7 events");
    std::thread::sleep(Duration::from_millis(400));
    terminal.send("\x03");
    terminal.wait_for_prompt(PROMPT);
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let server = Server::answering(|request| match request {
        Request::AuthTest(test) => {
            assert_eq!((test.user, test.password), (Name::new("alice"), Some(Password(b"hunter2".to_vec()))));
            vec![Response::Done]
        }
        other => answer(other),
    });
    let mut terminal = shell(&server);
    terminal.send("auth test alice --password\r");
    terminal.wait_for("Password: ");
    // A letter too many is taken back.
    terminal.send("huntes\x7fr2\r");
    terminal.wait_until(|screen| screen.matches(PROMPT).count() >= 2);
    terminal.send("auth test alice -p\r");
    terminal.wait_until(|screen| screen.matches("Password: ").count() == 2);
    terminal.send("hunt\x03");
    let screen = terminal.wait_for("pppctl: cancelled; nothing changed");
    assert!(!screen.contains("hunt"), "{screen}");
    terminal.wait_until(|screen| screen.matches(PROMPT).count() >= 3);
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_monitor_goes_on_with_the_next_server() {
    let say = |count| {
        move |request: Request| match request {
            Request::Monitor(_) => vec![Response::Lost { count }],
            other => answer(other),
        }
    };
    let mut server = Server::answering(say(7));
    let socket = server.socket.clone();
    let mut terminal = Terminal::start(&socket, &[]);
    terminal.wait_for_prompt(PROMPT);
    terminal.send("monitor\r");
    terminal.wait_for("7 events");
    server.stop();
    terminal.wait_for("-- pppoed is gone; waiting until it is there again");
    let next = Server::at(&socket, say(8));
    terminal.wait_for("-- connected again");
    terminal.wait_for("8 events");
    terminal.send("\x03");
    terminal.wait_for_prompt(PROMPT);
    // Whoever does not want that is told as ever.
    terminal.send("monitor --no-reconnect\r");
    std::thread::sleep(Duration::from_millis(300));
    drop(next);
    terminal.wait_for("closed the connection");
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_silent_server_does_not_hold_the_prompt_up() {
    let server = Server::answering(|_| Vec::new());
    let mut terminal = Terminal::start(&server.socket, &["--timeout", "600"]);
    terminal.wait_for_prompt("pppctl (not connected)>");
    terminal.send("terminate user \t\t\x15exit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn the_history_is_kept_and_private() {
    let server = Server::answering(answer);
    let mut terminal = shell(&server);
    terminal.send("show stats | count\r show sessions | count\r");
    terminal.wait_for("\n3\n");
    terminal.send("\x1b[A");
    terminal.wait_for_prompt(&format!("{PROMPT} show stats | count"));
    terminal.send("\x15exit\r");
    terminal.wait();
    let path = terminal.home.path().join(".local/state/pppctl/history");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("show stats | count\n") && !text.contains("show sessions"), "{text}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn help_tells_everything() {
    let server = Server::answering(answer);
    let terminal = Terminal::with(&server.socket, &[], (60, 100), &[("NO_COLOR", "1")]);
    terminal.wait_for_prompt(PROMPT);
    terminal.send("help\r");
    let screen = terminal.wait_for("help COMMAND shows");
    for expected in ["Commands", "  terminate ", "  include PATTERN ", "sh ses | count", "Ctrl-C"] {
        assert!(screen.contains(expected), "{expected}: {screen}");
    }
    terminal.send("\x0chelp term user\r");
    terminal.wait_for("Exact user name");
    terminal.send("\x0cterminate user --help\r");
    terminal.wait_for("Exact user name");
}

/// The server is hostile: it leaves control characters in.
#[test]
fn no_escape_sequence_of_the_server_reaches_the_terminal() {
    const EVIL: &str = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\r\nforged\u{202e}";
    let server = Server::answering(|request| match request {
        Request::ShowSessions => {
            let evil = || EVIL.to_owned();
            let session = SessionSummary {
                username: Some(Name::new(EVIL)),
                ifname: evil(),
                interface: evil(),
                mac: evil(),
                service: Name::new(EVIL),
                ..summary(1)
            };
            vec![Response::Sessions(vec![session]), Response::Done]
        }
        other => answer(other),
    });
    let terminal = shell(&server);
    for line in ["sh ses\r", "sh ses -o json\r", "terminate user \t\t\x15", "terminate mac ?\x15"] {
        terminal.send(line);
        terminal.wait_for_prompt(PROMPT);
    }
    terminal.send("show stats\r");
    terminal.wait_for("3 of 64");
    let text = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    for evil in ["\x1b]0", "\x1b[2J", "\u{9b}", "\r\nforged", "\u{202e}"] {
        assert!(!text.contains(evil), "{evil:?} in {text:?}");
    }
}

// ---- Without a terminal.

fn batch(server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut child = pppctl(&server.socket, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A line that is refused ends it before the rest is read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn lines_from_a_file() {
    let server = Server::answering(answer);
    let output = batch(&server, &[], "# all of them\nsh ses | count\n\ndrain on; drain off\nexit\nfrob\n");
    let shown = "3\ndraining: no new sessions, 3 sessions left\naccepts new sessions\n";
    assert_eq!(result(&output), (0, shown, ""));
    // A last line without an end is a line.
    let output = batch(&server, &["--json"], "sh ses | count");
    assert_eq!(result(&output), (0, "1\n", ""));
    let output = batch(&server, &[], "show ?\n");
    assert!(result(&output).1.contains("Show server counters"), "{output:?}");
}

#[test]
fn the_first_line_that_fails_is_the_last() {
    let server = Server::answering(|request| match request {
        Request::Terminate(Selector::User(_)) => {
            vec![Response::Failed(ppp_ipc::control::Failure::NoSuchSession)]
        }
        other => answer(other),
    });
    let output = batch(&server, &[], "sh ses | count\nterminate user zed; drain on\ndrain on\n");
    let message = "pppctl: line 2: no session of the user \"zed\": `pppctl show sessions` lists them\n";
    assert_eq!(result(&output), (1, "3\n", message));
    let output = batch(&server, &[], "frob\n");
    assert_eq!(output.status.code(), Some(2));
    let output = batch(&server, &[], &"x".repeat(100_000));
    assert_eq!(output.status.code(), Some(2));
    let output = batch(&server, &[], "terminate all\n");
    let (code, _, stderr) = result(&output);
    assert!(code == 2 && stderr.contains("line 1: this ends every session"), "{stderr}");
}

#[test]
fn commands_in_an_argument() {
    let server = Server::answering(answer);
    let output = batch(&server, &["-c", "sh ses | i bob | count; drain on"], "");
    assert_eq!(result(&output), (0, "1\ndraining: no new sessions, 3 sessions left\n", ""));
    let output = batch(&server, &["-c", "frob; drain on"], "");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    let output = batch(&server, &["-c", "sh ses", "show", "stats"], "");
    assert_eq!(output.status.code(), Some(2));
}
