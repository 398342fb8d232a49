//! What is shown of a user is what every command, file and hook takes, whatever the name.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use ppp_ipc::control::{
    AuthTest, BitRate, EventFilter, EventName, HookTrial, Password, Phase, Request, Response, Selector,
    SessionDetail, SessionSummary,
};
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, PolicyChange, PolicyRequest, PolicySummary, Subject};
use tempfile::TempDir;

use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

/// A Windows domain, quotes, a tab, control characters, Latin-1, marks that turn text round, spaces at the ends, what looks
/// like an option, a pattern, an escape, a formula and a session id, line ends, TOML and Lua.
const NAMES: [&[u8]; 16] = [
    br"DOM\bob",
    br"\\srv\xe9",
    b"say \"hi\" it's",
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
    b"7",
    b"[user.\"x\"] # ]]",
    "Zoë@用户".as_bytes(),
];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 3] = [
        ("a name is found, set, tested, traced and denied by what is shown", round_trip),
        ("a name that looks like another one's text is another name", lookalikes),
        ("a word finds sessions by id, interface, MAC, address and user", words),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// As a text of TOML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// With a users file that has each name by its text, and a hook that knows each by its text.
fn directory() -> TempDir {
    let directory = lab::directory();
    let path = |name: &str| directory.path().join(name);
    let mut users = String::new();
    let mut known = String::new();
    for name in NAMES {
        let text = Name::new(name).to_string();
        users += &format!("[{}]\npassword = {}\nrate-down = \"5M\"\n", quoted(&text), quoted(SECRET));
        known += &format!("[names.bytes({})] = true,\n", quoted(&text));
    }
    fs::write(path("users.toml"), users).unwrap();
    fs::set_permissions(path("users.toml"), Permissions::from_mode(0o600)).unwrap();
    let script = format!(
        "local known = {{ {known} }}\n\
         function auth(s) if not known[s.username] then return false, 'not known' end end\n\
         function ip_up(s) return names.text(s.username), known[s.username] end\n"
    );
    fs::create_dir(path("hooks.d")).unwrap();
    fs::write(path("hooks.d/a.lua"), script).unwrap();
    fs::set_permissions(path("hooks.d"), Permissions::from_mode(0o755)).unwrap();
    directory
}

const FLAGS: [&str; 7] = [
    "--users-file",
    "{lab}/users.toml",
    "--hooks-dir",
    "{lab}/hooks.d",
    "--refusal-delay",
    "0",
    "--no-probe",
];

fn log_in(lab: &Lab, number: u8, name: &[u8]) -> Subscriber {
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(number)), name);
    until("the session to open", || {
        subscriber.drive();
        subscriber.address().is_some()
    });
    lab.in_phase(subscriber.session_id, Phase::Open);
    subscriber
}

/// Answers until the session is gone.
fn ends(lab: &Lab, subscriber: &mut Subscriber) {
    until("the session to end", || {
        subscriber.drive();
        lab.console().sessions().iter().all(|session| session.id != subscriber.session_id)
    });
}

fn detail(lab: &Lab, id: u16) -> SessionDetail {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

fn count(lab: &Lab, selector: Selector) -> u32 {
    match lab.console().ask(&Request::Count(selector)).as_slice() {
        [Response::Count { count }] => *count,
        other => panic!("{other:?}"),
    }
}

fn found(lab: &Lab, word: &Name) -> Vec<u16> {
    let of = |response| match response {
        Response::Sessions(sessions) => sessions,
        Response::Failed(_) => Vec::new(),
        other => panic!("{other:?}"),
    };
    let sessions: Vec<SessionSummary> =
        lab.console().ask(&Request::FindSessions(word.clone())).into_iter().flat_map(of).collect();
    sessions.iter().map(|session| session.id).collect()
}

fn change(lab: &Lab, change: PolicyChange, end: bool) -> PolicySummary {
    let request = PolicyRequest { change, dry_run: false, end };
    let answer = lab.console().ask(&Request::Policy(Box::new(request)));
    match answer.last() {
        Some(Response::PolicyChanged(summary)) => (**summary).clone(),
        other => panic!("{other:?}"),
    }
}

fn round_trip() {
    let lab = Lab::start_in(directory(), &FLAGS);
    // A host that fails again and again is left out of the log.
    for (number, name) in (10..).zip(NAMES) {
        let mut monitor = lab.console();
        let mut subscriber = log_in(&lab, 1, name);
        let id = subscriber.session_id;

        // As a program gets it: the text in a JSON document.
        let json = serde_json::to_string(&lab.console().sessions()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let shown = json[0]["username"].as_str().unwrap().to_owned();
        let (by_name, by_pattern) = (Name::from_text(&shown), NamePattern::from_text(&shown));
        assert_eq!(by_name.as_bytes(), name, "{shown}");

        assert_eq!(count(&lab, Selector::User(by_name.clone())), 1, "{shown}");
        assert_eq!(count(&lab, Selector::Pattern(by_pattern.clone())), 1, "{shown}");
        assert_eq!(found(&lab, &by_name), [id], "{shown}");
        let mut filter = EventFilter { names: vec![EventName::SessionEnded], sessions: None };
        filter.sessions = Some(Selector::User(by_name.clone()));
        monitor.send(&Request::Monitor(filter));

        // The users file, and then the console over it.
        assert_eq!(detail(&lab, id).rate_down, BitRate(5_000), "{shown}");
        let options = vec![("rate-down".to_owned(), "10M".to_owned())];
        let summary = change(&lab, PolicyChange::SetUser { name: by_name.clone(), options }, false);
        assert_eq!((summary.rates.ids, summary.remarks), (vec![id], vec![]), "{shown}");
        assert_eq!(detail(&lab, id).rate_down, BitRate(10_000), "{shown}");

        let password = Some(Password(SECRET.as_bytes().to_vec()));
        let test = AuthTest { user: by_name.clone(), password };
        match lab.console().ask(&Request::AuthTest(test)).as_slice() {
            [Response::AuthVerdict(chap), _] => assert_eq!(chap.is_right, Some(true), "{chap:?}"),
            other => panic!("{other:?}"),
        }

        let fields = vec![("username".to_owned(), by_name.clone())];
        let trial = HookTrial { function: "ip_up".to_owned(), fields, ..HookTrial::default() };
        match lab.console().ask(&Request::RunHook(Box::new(trial))).as_slice() {
            [Response::HookRun(run)] => {
                let expected = format!("{}, true", serde_json::to_string(&shown).unwrap());
                assert_eq!(run.returned.as_ref(), Some(&expected), "{run:?}");
            }
            other => panic!("{other:?}"),
        }

        let who = || Subject::User(by_pattern.clone());
        let summary = change(&lab, PolicyChange::List { list: ListName::Deny, who: who() }, true);
        assert_eq!(summary.ending.ids, [id], "{shown}");
        ends(&lab, &mut subscriber);
        match monitor.receive() {
            Some(Response::Event(event)) => {
                assert_eq!(event.session.unwrap().username, Some(by_name.clone()))
            }
            other => panic!("{other:?}"),
        }
        let refusals = lab.log().matches("denied at the console").count();
        let mut denied = Subscriber::begin(Host::dial(good_mac(number)), name);
        until("the refusal", || denied.is_over());
        until("it in the log", || lab.log().matches("denied at the console").count() > refusals);
        // The refusal says what to type.
        let refusal = format!("unset deny user {shown})").replace('\\', "\\\\");
        assert!(lab.log().contains(&refusal), "{refusal}");
        change(&lab, PolicyChange::Unlist { list: ListName::Deny, who: who() }, false);

        let mut subscriber = log_in(&lab, 3, name);
        assert_eq!(
            lab.console().terminate(Selector::User(by_name.clone())),
            [Response::Terminated { count: 1 }],
            "{shown}"
        );
        ends(&lab, &mut subscriber);
    }

    // What was set is in the console file by the same text, and found there by the next start.
    lab.console().ask(&Request::WritePolicy { check: false });
    let mut lab = lab;
    lab.kill();
    lab.restart(&FLAGS);
    let mut subscriber = log_in(&lab, 4, NAMES[0]);
    assert_eq!(detail(&lab, subscriber.session_id).rate_down, BitRate(10_000));
    let entries = lab.console().ask(&Request::ShowPolicy).into_iter().flat_map(|response| match response {
        Response::Policy(entries) => entries,
        other => panic!("{other:?}"),
    });
    let mut names: Vec<Vec<u8>> =
        entries.map(|entry| Name::from_text(entry.name).as_bytes().to_vec()).collect();
    names.sort();
    let mut expected = NAMES.map(<[u8]>::to_vec);
    expected.sort();
    assert_eq!(names, expected);
    lab.stop_with(&mut [&mut subscriber]);
}

fn lookalikes() {
    let lab = Lab::start(&["--no-probe"]);
    let deny = |text: &str| {
        let who = Subject::User(NamePattern::from_text(text));
        change(&lab, PolicyChange::List { list: ListName::Deny, who }, false);
    };
    deny(r"DOM\bob");
    deny("Guest*");
    for (number, name) in [(1, &br"DOM\\bob"[..]), (2, br"dom\bob"), (3, b"guest1")] {
        let mut subscriber = log_in(&lab, number, name);
        subscriber.close();
        ends(&lab, &mut subscriber);
    }
    for (number, name) in [(4, &br"DOM\bob"[..]), (5, b"Guest1")] {
        let mut denied = Subscriber::begin(Host::dial(good_mac(number)), name);
        until("the refusal", || denied.is_over());
    }
    lab.stop_with(&mut []);
}

fn words() {
    let lab = Lab::start(&["--no-probe"]);
    // Each user is called as something of the other one's session.
    let mut one = log_in(&lab, 1, b"ppp1");
    let mut two = log_in(&lab, 2, one.session_id.to_string().as_bytes());
    let find = |word: &str| found(&lab, &Name::from_text(word));
    let (first, second) = (one.session_id, two.session_id);
    assert_eq!(find(&first.to_string()), [first], "an id goes before a user");
    assert_eq!(find(&second.to_string()), [second]);
    assert_eq!(find("ppp0"), [first]);
    assert_eq!(find("ppp1"), [second], "and so does an interface");
    let mut all = [first, second];
    all.sort_unstable();
    assert_eq!(find(lab::ACCESS), all);
    assert_eq!(find(&good_mac(2).to_string()), [second]);
    assert_eq!(find(&one.address().unwrap().to_string()), [first]);
    assert!(find("nobody").is_empty());
    assert!(find("02:00").is_empty());
    two.close();
    ends(&lab, &mut two);
    assert_eq!(find("ppp1"), [first], "there is no such interface any more, and so the user is meant");
    lab.stop_with(&mut [&mut one]);
}
