//! The scripts that ship in `scripts/`, as far as they do without a session. The test bed's scenarios do the rest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ppp_ipc::hooks::{
    Answer, Argument, Event, Field, Function, Level, Question, Reply, SessionFields, StoreValue, Value,
};

use crate::host::Host;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts");

/// A shipped script with other settings.
pub(crate) fn script(name: &str, settings: &[(&str, &str)]) -> String {
    let mut source = fs::read_to_string(Path::new(SCRIPTS).join(name)).unwrap();
    for (shipped, wanted) in settings {
        assert_eq!(source.matches(shipped).count(), 1, "{name}: {shipped}");
        source = source.replace(shipped, wanted);
    }
    source
}

fn fields(fields: &[(&str, &str)]) -> Vec<Field> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

fn sessions(of: &[&[(&str, &str)]]) -> Reply {
    let sessions = (1..).zip(of).map(|(id, of)| SessionFields { id, fields: fields(of) });
    Reply::Sessions { sessions: sessions.collect(), more: false }
}

fn every(host: &mut Host) {
    host.begin(Function::Every(0), Vec::<Argument>::new(), Duration::from_secs(20));
    host.finish().unwrap().result.unwrap();
}

#[test]
fn all_of_them_load_together_as_they_are() {
    let mut names: Vec<String> = fs::read_dir(SCRIPTS)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".lua"))
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    let sources: Vec<String> = names.iter().map(|name| script(name, &[])).collect();
    let scripts: Vec<(&str, &str)> =
        names.iter().zip(&sources).map(|(name, source)| (name.as_str(), source.as_str())).collect();
    let (_, reports) = Host::start(&scripts).unwrap_or_else(|errors| panic!("{errors:#?}"));
    for (name, report) in names.iter().zip(&reports) {
        assert!(!report.events.is_empty(), "{name}: {report:?}");
    }
}

/// What the script says to alice at a time of the week.
fn at(weekday: u8, time: &str, hours: &str) -> Answer {
    let mut digits = time.split(':').map(|digits| digits.parse::<u8>().unwrap());
    let mut next = || digits.next().unwrap_or(0);
    let clock = format!(
        "os = {{ date = function() return {{ wday = {weekday}, hour = {}, min = {}, sec = {} }} end }}\n",
        next(),
        next(),
        next()
    );
    let hours = format!("local HOURS = {hours}\n");
    let mut host = Host::of(&(clock + &script("deny-and-hours.lua", &[("local HOURS = nil\n", &hours)])));
    host.call(Event::Auth, &fields(&[("username", "alice"), ("mac", "02:00:00:00:00:01")])).result.unwrap()
}

#[test]
fn opening_hours_at_their_edges() {
    let closed = Answer::Deny(Some(b"closed at this time".to_vec()));
    let open = Answer::None;
    let monday = "{ monday = { '08:00', '22:00' } }";
    let night = "{ monday = { '18:00', '02:00:30' }, saturday = { '23:00', '01:00' } }";
    let whole = "{ monday = { '00:00', '00:00' } }";
    for (weekday, time, hours, expected) in [
        (2, "07:59:59", monday, &closed),
        (2, "08:00:00", monday, &open),
        (2, "21:59:59", monday, &open),
        (2, "22:00:00", monday, &closed),
        (3, "12:00:00", monday, &closed),
        (2, "17:59:59", night, &closed),
        (2, "18:00:00", night, &open),
        (3, "02:00:29", night, &open),
        (3, "02:00:30", night, &closed),
        (2, "01:00:00", night, &closed),
        (7, "23:00:00", night, &open),
        (1, "00:59:59", night, &open),
        (1, "01:00:00", night, &closed),
        (2, "12:00:00", whole, &open),
        (3, "00:00:00", whole, &closed),
        (3, "00:00:00", "nil", &open),
        (3, "00:00:00", "{}", &closed),
    ] {
        assert_eq!(at(weekday, time, hours), *expected, "{weekday} {time} {hours}");
    }
    for (hours, expected) in [
        ("{ monday = { '8:00', '22:00' } }", "the time \"8:00\" is not like"),
        ("{ Monday = { '08:00', '22:00' } }", "\"Monday\" is no day of the week"),
    ] {
        let hours = format!("local HOURS = {hours}\n");
        let source = script("deny-and-hours.lua", &[("local HOURS = nil\n", &hours)]);
        let errors = Host::start(&[("deny-and-hours.lua", &source)]).err().unwrap();
        assert!(errors.iter().any(|error| error.contains(expected)), "{errors:?}");
    }
}

#[test]
fn who_is_on_a_list_is_refused_and_ended() {
    let settings = [
        ("local DENIED_USERS = {\n", "local DENIED_USERS = { [\"mallory\"] = true,\n"),
        ("local DENIED_DEVICES = {\n", "local DENIED_DEVICES = { [\"02:00:00:00:00:66\"] = true,\n"),
        ("local HOURS = nil\n", "local HOURS = {}\n"),
        ("local ALWAYS = {\n", "local ALWAYS = { [\"office\"] = true,\n"),
    ];
    let mut host = Host::of(&script("deny-and-hours.lua", &settings));
    let mut padi = |mac| host.call(Event::Padi, &fields(&[("mac", mac)])).result.unwrap();
    assert_eq!(padi("02:00:00:00:00:66"), Answer::Silence);
    assert_eq!(padi("02:00:00:00:00:67"), Answer::None);
    let mut auth = |user, mac| {
        let answer = host.call(Event::Auth, &fields(&[("username", user), ("mac", mac)])).result.unwrap();
        match answer {
            Answer::Deny(Some(why)) => String::from_utf8(why).unwrap(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(auth("mallory", "02:00:00:00:00:01"), "this user is not welcome");
    assert_eq!(auth("office", "02:00:00:00:00:66"), "this device is not welcome");
    assert_eq!(auth("office", "02:00:00:00:00:01"), "None");
    assert_eq!(auth("alice", "02:00:00:00:00:01"), "closed at this time");

    let of =
        |sid, user, state| [("sid", sid), ("username", user), ("mac", "02:00:00:00:00:01"), ("state", state)];
    let (alice, office, newcomer) =
        (of("a1", "alice", "open"), of("b2", "office", "open"), of("c3", "bob", "authenticate"));
    host.replies = vec![sessions(&[&alice, &office, &newcomer]), Reply::Done(Ok(()))];
    every(&mut host);
    let ended: Vec<_> = host
        .questions
        .iter()
        .filter_map(|question| match question {
            Question::Terminate { which, text } => Some((which, text.as_slice())),
            _ => None,
        })
        .collect();
    let expected = ppp_ipc::hooks::Which::Sid("a1".to_owned());
    assert_eq!(ended, [(&expected, b"closed at this time".as_slice())]);
}

#[test]
fn rates_of_the_table_and_the_others() {
    let users = ("local USERS = {\n", "local USERS = { [\"alice\"] = { down = 7000, up = 0 },\n");
    let mut host = Host::of(&script("rate-limit.lua", &[users]));
    for (user, rate) in [("alice", "\"down\":7000,\"up\":0"), ("bob", "\"down\":50000,\"up\":10000")] {
        let returned = host.call(Event::Auth, &fields(&[("username", user)]));
        assert!(matches!(returned.result, Ok(Answer::Auth(_))), "{returned:?}");
        assert!(returned.shown.unwrap_or_default().contains(rate), "{user}");
    }
    let mut alice = fields(&[("sid", "a1"), ("username", "alice")]);
    alice.push(("rate_down".to_owned(), 7000_u32.into()));
    let list = Reply::Sessions {
        sessions: vec![
            SessionFields { id: 1, fields: alice },
            SessionFields { id: 2, fields: fields(&[("sid", "b2"), ("username", "bob")]) },
            SessionFields { id: 3, fields: fields(&[("sid", "c3")]) },
        ],
        more: false,
    };
    host.replies = vec![list, Reply::Done(Ok(()))];
    host.call(Event::Reload, &[]).result.unwrap();
    let which = ppp_ipc::hooks::Which::Sid("b2".to_owned());
    assert_eq!(host.questions.last(), Some(&Question::SetRate { which, down: 50000, up: 10000 }));
    assert_eq!(host.questions.len(), 2, "{:?}", host.questions);
}

#[test]
fn accounts_wait_while_they_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("away/accounts.json");
    let path = format!("local FILE = \"{}\"", file.display());
    let source = script("accounting.lua", &[("local FILE = \"/var/log/pppoed-accounting.json\"", &path)]);
    let mut host = Host::of(&source);
    let session = fields(&[("sid", "a1"), ("username", "al\"ice\n"), ("ipremote", "10.0.0.2")]);
    let done = || Reply::Done(Ok(()));
    // The number of the line, the line, and what is remembered of the session.
    host.replies = vec![Reply::Value(Some(StoreValue::Integer(1))), done(), done()];
    host.call(Event::IpUp, &session).result.unwrap();
    let kept = host.questions.iter().find_map(|question| match question {
        Question::StoreSet(key, Some(StoreValue::Bytes(line))) if key.starts_with(b"accounting.waiting.") => {
            Some((key.clone(), line.clone()))
        }
        _ => None,
    });
    let (key, line) = kept.unwrap();
    assert_eq!(key, b"accounting.waiting.000000000001");
    let text = String::from_utf8(line.clone()).unwrap();
    assert!(text.contains(r#""event":"start""#) && text.contains(r#""user":"al\\x22ice\\x0a""#), "{text}");
    assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "{text}");
    assert!(
        host.logged.iter().any(|(_, line)| line.contains("the line waits in the store")),
        "{:?}",
        host.logged
    );

    fs::create_dir(directory.path().join("away")).unwrap();
    host.replies = vec![
        Reply::Keys { keys: vec![key.clone()], more: false },
        Reply::Value(Some(StoreValue::Bytes(line))),
        done(),
        Reply::Keys { keys: Vec::new(), more: false },
        sessions(&[]),
    ];
    every(&mut host);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(host.questions.contains(&Question::StoreSet(key, None)), "{:?}", host.questions);
}

#[test]
fn who_ended_while_nobody_looked_has_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("accounts.json");
    let path = format!("local FILE = \"{}\"", file.display());
    let source = script("accounting.lua", &[("local FILE = \"/var/log/pppoed-accounting.json\"", &path)]);
    let mut host = Host::of(&source);
    let open = |sid| format!("accounting.open.{sid}").into_bytes();
    let entry = |sid| {
        let text = format!(r#"{{"event":"interim","sid":"{sid}","user":"alice","rx_bytes":77}}"#);
        Reply::Value(Some(StoreValue::Bytes(text.into_bytes())))
    };
    let keys = |keys: Vec<Vec<u8>>| Reply::Keys { keys, more: false };
    // The third ends in the meantime.
    host.replies = vec![
        keys(Vec::new()),
        keys(vec![open("a1"), open("b2"), open("c3")]),
        sessions(&[&[("sid", "a1"), ("state", "terminate")]]),
        entry("b2"),
        Reply::Done(Ok(())),
        Reply::Value(None),
    ];
    every(&mut host);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in [r#""sid":"b2""#, r#""event":"stop""#, r#""reason":"unknown""#, r#""rx_bytes":77"#] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(host.questions.contains(&Question::StoreSet(open("b2"), None)), "{:?}", host.questions);
}

/// What compat.lua logs when a session is authenticated and `auth-up` is there like that; or when an option says that it
/// is at `named`.
fn auth_up(contents: Option<(&str, u32)>, named: Option<&str>) -> Vec<(Level, String)> {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("auth-up");
    if let Some((contents, mode)) = contents {
        fs::write(&program, contents).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    }
    let ours = format!("local DIRECTORY = {:?}", directory.path());
    let mut host = Host::of(&script("compat.lua", &[("local DIRECTORY = \"/etc/ppp\"", &ours)]));
    let mut fields = fields(&[
        ("mac", "02:00:5e:10:00:01"),
        ("ifname", "ppp0"),
        ("username", "alice"),
        ("ppplogname", "root"),
        ("interface", "eth1"),
        ("speed", "0"),
    ]);
    let scripts = named.map(|path| (b"auth-up".to_vec(), path.as_bytes().to_vec()));
    fields.push(("scripts".to_owned(), Value::Table(scripts.into_iter().collect())));
    host.call(Event::AuthUp, &fields).result.unwrap();
    let shown = |text: &String| text.replace(&program.display().to_string(), "auth-up");
    host.logged.iter().map(|(level, text)| (*level, shown(text))).collect()
}

/// pppd's rule is that a script which is not there is not wanted. Everything else is told, and counts as a failure.
#[test]
fn scripts_of_pppd_that_cannot_be_run_are_told() {
    assert_eq!(auth_up(None, None), []);
    assert_eq!(auth_up(Some(("#!/bin/sh\nexit 0\n", 0o755)), None), []);
    let failure = |text: &str| vec![(Level::Failure, text.to_owned())];
    assert_eq!(
        auth_up(Some(("#!/bin/sh\r\nexit 0\r\n", 0o755)), None),
        failure(
            "not run: auth-up: its first line ends with a carriage return, as lines of DOS do, so its interpreter would \
             be \"/bin/sh\\r\": sed -i 's/\\r$//' auth-up"
        )
    );
    assert_eq!(
        auth_up(Some(("#!/usr/local/bin/no-such-shell\n", 0o755)), None),
        failure(
            "not run: auth-up: its interpreter \"/usr/local/bin/no-such-shell\", which its first line names, is not \
             installed"
        )
    );
    assert_eq!(
        auth_up(Some(("#!/bin/sh\n", 0o644)), None),
        failure("not run: auth-up: it is not executable: chmod +x auth-up")
    );
    assert_eq!(
        auth_up(Some(("#!/bin/sh\n", 0o775)), None),
        failure("not run: auth-up: its mode 0775 lets other users change it: chmod go-w it")
    );
    assert_eq!(auth_up(None, Some("/no/such/script")), failure("not run: /no/such/script: no such program"));
    let [(Level::Warn, said)] = &*auth_up(Some(("#!/bin/sh\nno-such-command\r\nexit 127", 0o755)), None)
    else {
        panic!("one warning")
    };
    assert!(said.ends_with(
        "ended with status 127: a command in it was not found, or a line ends with a carriage return"
    ));
}
