//! Completion in a real bash, of the file that is installed.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ppp_ipc::control::{Failure, Request, Response, Selector};
use ppp_ipc::name::Name;
use ppp_ipc::policy::{PolicyEntry, Settable};

use crate::{
    fake::{Server, pppctl},
    names::{NAMES, named},
    summary,
    terminal::Terminal,
};

/// Where the file is in the tree; `make install` puts it where bash-completion looks.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/bash-completion/pppctl");

fn bash() -> Terminal {
    let terminal = Terminal::bash();
    terminal.send(&format!("source {FILE}; bind 'set bell-style none'; clear\r"));
    terminal.wait_until(|screen| screen.trim_end() == "$");
    terminal
}

fn settable(key: &str, is_of_user: bool, values: &[&str]) -> Settable {
    let values = values.iter().map(ToString::to_string).collect();
    Settable { key: key.into(), is_of_user, values, about: String::new() }
}

/// A server that knows a little of everything, and what it is asked for beside that.
fn server(name: &'static [u8]) -> (Server, Arc<Mutex<Vec<Request>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let server = Server::answering(move |request| match request {
        Request::ShowSessions => vec![Response::Sessions(vec![named(name)]), Response::Done],
        Request::ShowSettable => {
            let all = vec![
                settable("no-offloads", false, &["true", "false"]),
                settable("lcp-echo-interval", false, &[]),
                settable("rate-down", true, &[]),
                settable("proxyarp", true, &["true", "false"]),
            ];
            vec![Response::Settable(all), Response::Done]
        }
        Request::ShowPolicy => {
            let entry = PolicyEntry {
                kind: "config".into(),
                name: "pado-delay".into(),
                value: "5".into(),
                uid: 0,
                time_ms: 0,
                is_written: false,
            };
            vec![Response::Policy(vec![entry]), Response::Done]
        }
        other => {
            seen.lock().unwrap().push(other);
            vec![Response::Failed(Failure::NoSuchSession)]
        }
    });
    (server, asked)
}

#[test]
fn the_file_is_what_the_program_prints() {
    let output = pppctl(Path::new("/nonexistent"), &["completions", "bash"]).output().unwrap();
    assert_eq!(output.stdout, std::fs::read(FILE).unwrap());
}

#[test]
fn commands_ids_and_settings_are_completed() {
    let (server, _) = server(b"alice@isp.net");
    let id = summary(7).id.to_string();
    let at = server.socket.display().to_string();
    for (typed, completed) in [
        ("termi\t", "terminate ".to_owned()),
        ("sho\tstat\t", "show stats ".to_owned()),
        ("show sessions --sta\tope\t", "show sessions --state open ".to_owned()),
        ("terminate user al\t", "terminate user alice@isp.net ".to_owned()),
        ("terminate user alice@\t", "terminate user alice@isp.net ".to_owned()),
        ("terminate mac 02:00:\t", format!("terminate mac {} ", summary(7).mac)),
        ("set rate \t7\t", format!("set rate {id} ")),
        ("set config no-\tf\t", "set config no-offloads false ".to_owned()),
        ("set config ppp.lcp-\t20", "set config ppp.lcp-echo-interval 20".to_owned()),
        ("set user bob ra\t10M pr\tt\t", "set user bob rate-down=10M proxyarp=true ".to_owned()),
        ("unset config \t", "unset config pado-delay ".to_owned()),
        ("capture 7 -w /etc/hostn\t", "capture 7 -w /etc/hostname ".to_owned()),
    ] {
        let terminal = bash();
        terminal.send(&format!("pppctl --socket {at} {typed}_"));
        terminal.wait_until(|screen| {
            screen.lines().rev().any(|line| line.ends_with(&format!("{at} {completed}_")))
        });
    }
}

/// What is refused is not offered.
#[test]
fn nothing_is_offered_that_is_refused() {
    let (server, _) = server(b"alice");
    let output = pppctl(&server.socket, &["__complete", "pppctl set config ", " \t\n\"'@><=;|&(:"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(text, "space\nlcp-echo-interval\nno-offloads\n");
}

#[test]
fn a_name_that_bash_completes_is_the_name() {
    for name in NAMES {
        for quote in ["", "'", "\""] {
            // In single quotes, an apostrophe cannot be written.
            if quote == "'" && name.contains(&b'\'') {
                continue;
            }
            let (server, asked) = server(name);
            let terminal = bash();
            terminal
                .send(&format!("pppctl --socket {} terminate --yes user {quote}\t", server.socket.display()));
            terminal
                .wait_until(|screen| screen.trim_end().len() > screen.find("user").unwrap_or_default() + 6);
            // bash closes a quote that it finds open.
            terminal.send("\r");
            terminal.wait_for("no session");
            let expected = Request::Terminate(Selector::User(Name::new(name)));
            assert_eq!(*asked.lock().unwrap(), [expected], "{quote} {}", terminal.screen());
        }
    }
}
