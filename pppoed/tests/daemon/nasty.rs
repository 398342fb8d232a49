//! Names that mean harm, and secrets, through a whole server: what of them is shown, and where.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use ppp_ipc::control::{EventFilter, LogQuery, Phase, Request, Response, Selector};
use ppp_ipc::name::Name;
use ppp_proto::auth::AuthMethod;
use ppp_wire::name::NameText;
use serde_json::Value;
use tempfile::TempDir;

use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

/// Sequences for terminals, line ends that forge a line, quotes, shell and spreadsheet, NUL, bytes that are no UTF-8, and
/// marks that turn text round.
pub(super) const NASTY: &[u8] =
    b"=cmd|' /C calc'!A0\x1b]0;owned\x07\x1b[2J\r\n2026-01-01 ERROR forged=\"yes\" \
    $(reboot) `reboot` ;'\"\\ \0 \xff\xfe\xe2\x80\xae\xe2\x81\xa6";

/// A password that is wrong, and stands nowhere else. The allocator may write into the ends of memory that is free.
const WRONG: &str = "the ends of this may be gone: swordfish-4711 :but not the middle, which is looked for";

/// Its middle.
const MIDDLE: &str = "swordfish-4711";

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 3] = [
        ("a nasty name acts on nobody who reads it", names),
        ("passwords are shown nowhere, whatever is logged", passwords),
        ("memory is in no core file", memory),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// The longest name that PAP and a line of a secrets file have room for.
fn nasty() -> Vec<u8> {
    let mut name = NASTY.to_vec();
    name.resize(253, b'x');
    name
}

/// Files of a server that asks for this, with a hook that does with names what hooks do.
fn directory(options: &str) -> TempDir {
    let directory = lab::directory();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("options"), format!("{options}\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\n")).unwrap();
    let script = concat!(
        "function ip_up(s)\n",
        "  log.info('up ' .. s.username)\n",
        "  store.set(s.username, s.username)\n",
        "  local name = s.username:gsub('%c', '^')\n",
        "  exec { '/bin/sh', '-c', 'env >\"$OUT\"', env = { NAME = name, OUT = OUT } }\n",
        "  local ok, why = pcall(exec, { '/bin/true', env = { NAME = s.username } })\n",
        "  log.info('with NUL: ' .. tostring(ok) .. ' ' .. tostring(why))\n",
        "end\n",
    );
    fs::create_dir(path("hooks.d")).unwrap();
    fs::write(path("hooks.d/a.lua"), format!("OUT = {:?}\n{script}", path("environment"))).unwrap();
    fs::set_permissions(path("hooks.d"), Permissions::from_mode(0o755)).unwrap();
    directory
}

const FLAGS: [&str; 8] = [
    "--pap-secrets",
    "{lab}/secrets",
    "--hooks-dir",
    "{lab}/hooks.d",
    "--hook-store",
    "{lab}/store",
    "--log-level",
    "trace",
];

fn dial(number: u8, name: &[u8], method: AuthMethod, secret: &str) -> Subscriber {
    Subscriber::begin_by(Host::dial(good_mac(number)), name, method, secret)
}

/// No text in it acts on a terminal.
pub(super) fn assert_harmless(value: &Value) {
    match value {
        Value::String(text) => {
            let acts =
                |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(!text.chars().any(acts), "{text:?}");
        }
        Value::Array(values) => values.iter().for_each(assert_harmless),
        Value::Object(fields) => fields.values().for_each(assert_harmless),
        _ => {}
    }
}

pub(super) fn everything_shown(lab: &Lab, session: u16) -> String {
    let log = LogQuery::latest(10_000);
    let requests = [
        Request::ShowSessions,
        Request::ShowSession { id: session },
        Request::ShowStats,
        Request::ShowPool,
        Request::ShowInterfaces,
        Request::ShowHooks,
        Request::ShowLog(log),
        Request::Count(Selector::All),
    ];
    let answers = requests.iter().flat_map(|request| lab.console().ask(request));
    let answers: Vec<Value> = answers.map(|answer| serde_json::to_value(answer).unwrap()).collect();
    answers.iter().for_each(assert_harmless);
    serde_json::to_string(&answers).unwrap()
}

fn names() {
    let lab = Lab::start_in(directory("require-chap"), &FLAGS);
    let (name, shown) = (nasty(), NameText(&nasty()).to_string());
    let mut monitor = lab.console();
    monitor.send(&Request::Monitor(EventFilter::default()));
    let mut refused = dial(1, &name, AuthMethod::ChapMd5, WRONG);
    until("the refusal", || refused.is_over());
    let mut subscriber = dial(2, &name, AuthMethod::ChapMd5, SECRET);
    until("IPCP to open", || {
        subscriber.drive();
        subscriber.address().is_some()
    });
    lab.in_phase(subscriber.session_id, Phase::Open);
    lab.logged(&["with NUL: "]);

    // The log: every line is ours, and tells the name on one line.
    let line = lab.logged(&["authentication refused", "gave a wrong password"]);
    assert!(
        line.contains(&shown.replace('\\', "\\\\").replace('"', "\\\"")) || line.contains(&shown),
        "{line}"
    );
    let log = fs::read(lab.path("log")).unwrap();
    let log = String::from_utf8(log).expect("the log is UTF-8");
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log}");
    assert!(!log.contains('\u{202e}') && !log.contains('\u{2066}'), "{log}");
    assert!(log.lines().all(|line| line.starts_with("20") && !line.starts_with("2026-01-01 ERROR")), "{log}");

    // The console: tables, JSON and events.
    let sessions = lab.console().sessions();
    assert_eq!(
        sessions.iter().filter_map(|session| session.username.clone()).collect::<Vec<_>>(),
        [Name::new(name.clone())]
    );
    let all = everything_shown(&lab, subscriber.session_id);
    assert!(all.contains(&serde_json::to_string(&shown).unwrap()), "{all}");
    let count = |selector| match lab.console().ask(&Request::Count(selector)).as_slice() {
        [Response::Count { count }] => *count,
        other => panic!("{other:?}"),
    };
    assert_eq!(count(Selector::User(Name::from_text(&shown))), 1, "it is found by what is shown");
    loop {
        let Some(Response::Event(event)) = monitor.receive() else { panic!("no events") };
        assert_harmless(&serde_json::to_value(&event).unwrap());
        if event
            .session
            .and_then(|session| session.username)
            .is_some_and(|username| username.as_bytes() == name)
        {
            break;
        }
    }

    // Hooks get bytes, programs a variable; a shell takes it for nothing but a value, and no line is forged.
    let environment = fs::read(lab.path("environment")).unwrap();
    let expected: Vec<u8> =
        name.iter().map(|byte| if byte.is_ascii_control() { b'^' } else { *byte }).collect();
    let found =
        environment.split(|byte| *byte == b'\n').any(|line| line == [b"NAME=", &expected[..]].concat());
    assert!(found, "{}", String::from_utf8_lossy(&environment));
    let refused = lab.logged(&["with NUL: "]);
    assert!(refused.contains("with NUL: false") && refused.contains("NUL"), "{refused}");

    subscriber.close();
    let stopped = || fs::read(lab.path("store")).is_ok();
    until("the store to be written", || {
        subscriber.drive();
        stopped()
    });
    let store = fs::read_to_string(lab.path("store")).expect("the store is UTF-8");
    assert_eq!(store.lines().count(), 1, "{store}");
    assert!(serde_json::from_str::<Value>(&store).is_ok() && !store.trim_end().chars().any(char::is_control));
}

/// Whether it is anywhere in the memory that a process can write to.
fn memory_holds(pid: Pid, text: &str) -> bool {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let ranges = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        rest.starts_with("rw").then(|| (address(start), address(end)))
    });
    let mut buffer = vec![0; 1 << 20];
    for (mut at, end) in ranges {
        while at < end {
            let wanted = buffer.len().min(usize::try_from(end - at).unwrap());
            let Ok(read) = memory.read_at(&mut buffer[..wanted], at) else { break };
            let first = text.as_bytes()[0];
            let mut starts = (0..read).filter(|start| buffer[*start] == first);
            if starts.any(|start| buffer[start..read].starts_with(text.as_bytes())) {
                return true;
            }
            // It may begin in one part and end in the next.
            at += u64::try_from(read.saturating_sub(text.len()).max(1)).unwrap();
        }
    }
    false
}

fn passwords() {
    let directory = directory("require-pap");
    // So that the hooks' host gets them, too.
    fs::write(directory.path().join("hooks.d/b.lua"), "function auth(s, proof) return {} end\n").unwrap();
    let lab = Lab::start_in(directory, &FLAGS);
    let mut refused = dial(1, b"alice", AuthMethod::Pap, WRONG);
    until("the refusal", || refused.is_over());
    let mut subscriber = dial(2, b"alice", AuthMethod::Pap, SECRET);
    until("IPCP to open", || {
        subscriber.drive();
        subscriber.address().is_some()
    });
    lab.in_phase(subscriber.session_id, Phase::Open);
    lab.logged(&["authentication refused"]);
    lab.logged(&["session up"]);

    let mut places =
        vec![("the console".to_owned(), everything_shown(&lab, subscriber.session_id).into_bytes())];
    places.push(("the log".to_owned(), lab.log().into_bytes()));
    let mut processes = vec![lab.pid()];
    while let Some(pid) = processes.pop() {
        for file in ["cmdline", "environ", "comm", "stack"] {
            let path = format!("/proc/{pid}/{file}");
            places.push((path.clone(), fs::read(path).unwrap_or_default()));
        }
        processes.extend(lab::children(pid));
    }
    for directory in [lab.path("run"), lab.path("run/sessions")] {
        let files = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
        places.extend(files.map(|path| (path.display().to_string(), fs::read(&path).unwrap_or_default())));
    }
    assert!(places.len() > 10, "{places:?}");
    // What was compared is wiped, wherever it was on its way. (The secret itself is kept, as is the users file.)
    assert!(memory_holds(lab.pid(), SECRET), "the memory was not looked through");
    assert!(!memory_holds(lab.pid(), MIDDLE));
    for (place, text) in &places {
        for secret in [SECRET, MIDDLE] {
            let is_there = text.windows(secret.len()).any(|piece| piece == secret.as_bytes());
            assert!(!is_there, "{secret} is in {place}: {}", String::from_utf8_lossy(text));
        }
    }
    subscriber.close();
}

fn memory() {
    let lab = Lab::start_in(directory("require-chap"), &FLAGS);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    let pids = lab::children(lab.pid());
    assert!(pids.len() >= 3, "a template, a worker and a hook host: {pids:?}");
    for pid in pids.into_iter().chain([lab.pid()]) {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{pid}: {core}");
    }
    subscriber.close();
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped_while(|| subscriber.drive());

    // The kernel tells nobody else about the flag: what `pppoed` does at its start is done here.
    // (Other tests run in this process, and some change who it is, which clears the flag, too.)
    prctl::set_dumpable(true).unwrap();
    pppoed::daemon::keep_memory_private().unwrap();
    assert_eq!(prctl::get_dumpable(), Ok(false));
    prctl::set_dumpable(true).unwrap();
}
