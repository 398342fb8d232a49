//! Names through `pppctl`: what it shows of one is what it takes, in every format, as an argument and in the shell.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use ppp_ipc::control::{Failure, Request, Response, Selector, ServerStats, SessionSummary};
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, PolicyChange, PolicyRequest, Subject};
use serde_json::Value;

use crate::{
    fake::{Fake, Server, pppctl},
    result, summary,
    terminal::Terminal,
};

pub(crate) const NAMES: [&[u8]; 17] = [
    br"DOM\bob",
    br"\\srv\xe9",
    b"say \"hi\" it's",
    b"it's \\ \"both\"",
    b"tab\there",
    b"\x01\x1b[2J\x7f",
    b"caf\xe9 \xff\xfe",
    "\u{202e}evil\u{200b} e\u{301}".as_bytes(),
    b" a b ",
    b"-rf",
    b"--yes",
    b"gu*st?",
    b"two\r\nlines\n",
    b"=1+1",
    b"@x",
    b"a|b;c#d, e",
    "Zoë@用户".as_bytes(),
];

pub(crate) fn named(name: &[u8]) -> SessionSummary {
    SessionSummary { username: Some(Name::new(name)), service: Name::new(name), ..summary(7) }
}

fn shown(name: &[u8], arguments: &[&str]) -> String {
    let session = named(name);
    let fake = Fake::answering(move |_| vec![Response::Sessions(vec![session.clone()]), Response::Done]);
    let output = fake.run(&[&["show", "sessions"], arguments].concat());
    let (code, stdout, stderr) = result(&output);
    assert_eq!((code, stderr), (0, ""), "{name:?}");
    stdout.to_owned()
}

/// What a fake server is asked for by a command with this word behind it.
fn asked(arguments: &[&str], word: &OsStr) -> Request {
    let asked = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&asked);
    let fake = Fake::answering(move |request| {
        *seen.lock().unwrap() = Some(request);
        vec![Response::Failed(Failure::NoSuchSession)]
    });
    let mut command = pppctl(&fake.socket, arguments);
    let output = command.arg(word).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{word:?}: {output:?}");
    fake.join();
    let request = asked.lock().unwrap().take();
    request.unwrap_or_else(|| panic!("{arguments:?} {word:?}: nothing was asked for"))
}

/// The fields of the second row of a CSV document of one column.
fn csv_field(text: &str) -> String {
    let row = text.split("\r\n").nth(1).unwrap();
    match row.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').unwrap().replace("\"\"", "\""),
        None => row.to_owned(),
    }
}

#[test]
fn every_format_shows_what_every_command_takes() {
    for name in NAMES {
        let json: Value = serde_json::from_str(&shown(name, &["-o", "json"])).unwrap();
        let texts = [
            json["sessions"][0]["username"].as_str().unwrap().to_owned(),
            json["sessions"][0]["service"].as_str().unwrap().to_owned(),
            csv_field(&shown(name, &["-o", "csv", "--columns", "user"])),
            csv_field(&shown(name, &["-o", "csv", "--columns", "service"])),
            shown(name, &["--columns", "user"]).split_once('\n').unwrap().1.trim_end_matches('\n').to_owned(),
        ];
        let expected = Name::new(name);
        for text in &texts {
            assert_eq!(Name::from_text(text), expected, "{text}");
            assert!(!text.starts_with('\''), "{text}");
        }
        for (text, raw) in texts.iter().take(1).map(|text| (text, name)) {
            let words = [OsStr::new(text), OsStr::from_bytes(raw)];
            // As it is it can be given as well, unless it is taken for something else, or says something else as text.
            let is_itself = !raw.starts_with(b"-") && Name::from_text(raw) == expected;
            for word in words.into_iter().take(if is_itself { 2 } else { 1 }) {
                assert_eq!(
                    asked(&["terminate", "user", "--yes"], word),
                    Request::Terminate(Selector::User(expected.clone()))
                );
                let Request::AuthTest(test) = asked(&["auth", "test"], word) else { panic!("{word:?}") };
                assert_eq!(test.user, expected);
                assert_eq!(asked(&["show", "session"], word), Request::FindSessions(expected.clone()));
            }
            let list = PolicyChange::List {
                list: ListName::Deny,
                who: Subject::User(NamePattern::exactly(&expected)),
            };
            let Request::Policy(request) = asked(&["set", "deny", "--yes", "user"], words[0]) else {
                panic!()
            };
            assert_eq!(*request, PolicyRequest { change: list, dry_run: false, end: false });
            let pattern = Selector::Pattern(NamePattern::exactly(&expected));
            assert_eq!(asked(&["terminate", "pattern", "--yes"], words[0]), Request::Terminate(pattern));
        }
    }
}

#[test]
fn a_list_is_filtered_by_what_it_shows() {
    for name in NAMES {
        let text = Name::new(name).to_string();
        let list = shown(name, &["--columns", "id", "--user", &text, "-o", "csv"]);
        assert_eq!(list, "id\r\n7\r\n", "{text}");
        assert_eq!(shown(b"somebody else", &["--columns", "id", "--user", &text, "-o", "csv"]), "id\r\n");
    }
}

#[test]
fn the_shell_completes_names_and_takes_what_it_completes() {
    for name in NAMES {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let server = Server::answering(move |request| match request {
            Request::ShowSessions => vec![Response::Sessions(vec![named(name)]), Response::Done],
            Request::ShowStats => {
                let stats = ServerStats { sessions: 1, ..ServerStats::default() };
                vec![Response::Stats(Box::new(stats)), Response::Done]
            }
            other => {
                seen.lock().unwrap().push(other);
                vec![Response::PolicyChanged(Box::default()), Response::Done]
            }
        });
        let terminal = Terminal::start(&server.socket, &[]);
        terminal.wait_for_prompt("bras1 (1 session)>");
        terminal.send("set deny user \t--yes\r");
        terminal.wait_for("nothing changes");
        let who = Subject::User(NamePattern::exactly(&Name::new(name)));
        let change = PolicyChange::List { list: ListName::Deny, who };
        let request = PolicyRequest { change, dry_run: false, end: false };
        assert_eq!(*asked.lock().unwrap(), [Request::Policy(Box::new(request))], "{}", terminal.screen());
    }
}

#[test]
fn one_session_is_found_by_any_word_and_several_are_listed() {
    let answer = |count: u16| {
        move |request| match request {
            Request::FindSessions(word) => {
                assert_eq!(word, Name::new("02:00:5e:10:00:01"));
                vec![Response::Sessions((1..=count).map(summary).collect()), Response::Done]
            }
            Request::SetRate { id: 1, .. } => vec![Response::Failed(Failure::Refused("found".to_owned()))],
            other => panic!("{other:?}"),
        }
    };
    let output = Fake::answering(answer(2)).run(&["show", "session", "02-00-5E-10-00-01"]);
    let (code, stdout, _) = result(&output);
    assert!(code == 0 && stdout.contains("\n 1  alice") && stdout.contains("\n 2  alice"), "{stdout}");
    let output = Fake::answering(answer(12)).run(&["set", "rate", "02-00-5E-10-00-01", "10M"]);
    let (code, _, stderr) = result(&output);
    let expected = "pppctl: 12 sessions match 02:00:5e:10:00:01: 1, 2, 3, 4, 5, 6, 7, 8 and 4 more. Give one id; \
                    `pppctl show session 02:00:5e:10:00:01` lists them\n";
    assert_eq!((code, stderr), (1, expected));
    let output = Fake::answering(answer(1)).run(&["set", "rate", "02-00-5E-10-00-01", "10M"]);
    assert_eq!(result(&output), (1, "", "pppctl: found\n"));

    // A number is an id, and only where there is no such session a user.
    let server = Server::answering(|request| match request {
        Request::SetRate { id: 7, .. } => vec![Response::Failed(Failure::NoSuchSession)],
        Request::FindSessions(word) if word == Name::new("7") => {
            vec![Response::Sessions(vec![summary(9)]), Response::Done]
        }
        Request::SetRate { id: 9, .. } => vec![Response::Failed(Failure::Refused("found".to_owned()))],
        other => panic!("{other:?}"),
    });
    let output = pppctl(&server.socket, &["set", "rate", "7", "10M"]).output().unwrap();
    assert_eq!(result(&output), (1, "", "pppctl: found\n"));
}
