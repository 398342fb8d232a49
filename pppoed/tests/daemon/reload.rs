//! SIGHUP and `reload`: what changes, what stays, and what a mistake costs (nothing).

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::Signal;
use ppp_ipc::control::{Failure, Request, Response, SessionDetail};
use ppp_ipc::policy::{PolicyChange, PolicyRequest};
use ppp_ipc::reload::{Change, Summary};

use super::lab::{self, Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

const OPTIONS: &str = "require-chap\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\nlogfile ";

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 10] = [
        ("a reload applies the difference", applies),
        ("a reload with a bad file changes nothing", bad_files),
        ("a reload takes slots away when their sessions end", shrinks),
        ("a reload cannot take a session's address for ours", conflicts),
        ("a session that began before a reload keeps its rules", keeps_rules),
        ("a reload tells whose line has changed", users),
        ("a reload reads pppoed.toml and the users file", own_files),
        ("a reload tells of edits that a console hides, and of changed hook scripts", hidden_and_scripts),
        ("a reload opens the log file anew", rotates),
        ("a reload from a slow disk holds nobody up", slow),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// A server for the addresses of a file, with a list of MAC addresses.
fn start(flags: &[&str]) -> Lab {
    let directory = lab::directory();
    for (name, text) in [("pool", "10.0.0.2\n10.0.0.3\n"), ("deny", "")] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let options = format!("{OPTIONS}{}\n", directory.path().join("log").display());
    fs::write(directory.path().join("options"), options).unwrap();
    let flags = [&["-p", "{lab}/pool", "--mac-deny", "{lab}/deny"], flags].concat();
    Lab::start_logging_to(directory, &flags, &[], Stdio::null())
}

fn write(lab: &Lab, name: &str, text: &str) {
    fs::write(lab.path(name), text).unwrap();
    fs::set_permissions(lab.path(name), Permissions::from_mode(0o600)).unwrap();
}

fn options(lab: &Lab, more: &str) {
    write(lab, "options", &format!("{OPTIONS}{}\n{more}", lab.path("log").display()));
}

fn ask(lab: &Lab, check: bool) -> Result<(Vec<Change>, Summary), Failure> {
    let mut answer = Err(Failure::Busy(String::new()));
    // A signal's may be under way.
    until("a reload to begin", || {
        answer = ask_once(lab, check);
        !matches!(answer, Err(Failure::Busy(_)))
    });
    answer
}

fn ask_once(lab: &Lab, check: bool) -> Result<(Vec<Change>, Summary), Failure> {
    let mut changes = Vec::new();
    for response in lab.console().ask(&Request::Reload { check }) {
        match response {
            Response::Changes(more) => changes.extend(more),
            Response::Reloaded(summary) => return Ok((changes, *summary)),
            Response::Failed(failure) => return Err(failure),
            other => panic!("{other:?}"),
        }
    }
    panic!("no summary")
}

/// Changes in one line each, without the directory.
fn lines(lab: &Lab, changes: &[Change]) -> Vec<String> {
    let directory = format!("{}/", lab.path("").display()).replace("//", "/");
    let line = |change: &Change| {
        let setting = |setting: &Option<ppp_ipc::reload::Setting>| {
            setting.as_ref().map_or("-".to_owned(), |one| format!("{} ({})", one.value, one.origin))
        };
        let (old, new) = (setting(&change.old), setting(&change.new));
        format!("{}: {old} -> {new}, {}", change.key, change.effect.as_str()).replace(&directory, "")
    };
    changes.iter().map(line).collect()
}

fn refused(lab: &Lab, check: bool) -> Vec<String> {
    match ask(lab, check) {
        Err(Failure::BadFiles(mistakes)) => mistakes,
        other => panic!("{other:?}"),
    }
}

fn detail(lab: &Lab, id: u16) -> SessionDetail {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

fn max_sessions(lab: &Lab) -> u32 {
    match lab.console().ask(&Request::ShowStats).remove(0) {
        Response::Stats(stats) => stats.max_sessions,
        other => panic!("{other:?}"),
    }
}

fn ip(last: u8) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::new(10, 0, 0, last))
}

fn applies() {
    let lab = start(&[]);
    let mut old = Subscriber::open(good_mac(1));
    assert_eq!(old.address(), ip(2));
    options(&lab, "# new\nms-dns 9.9.9.9\nmtu 1400\n");
    write(&lab, "pool", "10.0.0.9\n10.0.0.10-11\n");
    write(&lab, "deny", &format!("{}\n", good_mac(3)));
    let expected = [
        "sessions: 2 (pool:1) -> 3 (pool:1), now",
        "mtu: 1500 (default) -> 1400 (options:8), new-sessions",
        "ms-dns: none (default) -> 9.9.9.9 (options:7), new-sessions",
        "addresses: 10.0.0.2-10.0.0.3, ours is 10.0.0.1 (pool:1) -> -, now",
        "addresses: - -> 10.0.0.9-10.0.0.11, ours is 10.0.0.1 (pool:1), now",
        &format!("mac-deny: - -> {} (deny), now", good_mac(3)),
    ];
    let (changes, summary) = ask(&lab, true).unwrap();
    assert_eq!(lines(&lab, &changes), expected);
    assert_eq!((summary.applied, summary.changes, summary.keeping), (false, 6, 1));
    assert_eq!(
        (max_sessions(&lab), lab.log().contains("reloaded")),
        (2, false),
        "a check has changed something"
    );

    let (changes, summary) = ask(&lab, false).unwrap();
    assert_eq!(lines(&lab, &changes), expected);
    assert_eq!((summary.applied, summary.keeping_ids), (true, vec![old.session_id]));
    lab.logged(&["reload: mtu: 1500 (default) -> 1400 (", "options:8), for new sessions"]);
    lab.logged(&["reloaded changes=6 sessions_with_old_values=1"]);
    assert_eq!(max_sessions(&lab), 3);

    // The old session has what it had; the new ones have what is new, and nobody has what is gone.
    let mut new = Subscriber::open(good_mac(2));
    assert_eq!(new.address(), ip(10));
    until("the session to be configured", || detail(&lab, new.session_id).mtu == Some(1400));
    assert_eq!(detail(&lab, new.session_id).dns, [Ipv4Addr::new(9, 9, 9, 9); 2]);
    assert_eq!((detail(&lab, old.session_id).dns, detail(&lab, old.session_id).mtu), (vec![], Some(1492)));
    let mut third = Subscriber::open(good_mac(4));
    old.assert_alive();
    old.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    let mut again = Subscriber::open_again(good_mac(1), 2);
    let given: Vec<_> = [&third, &again].map(Subscriber::address).into();
    assert!(given.contains(&ip(9)) && given.contains(&ip(11)), "{given:?}");
    let mut denied = Host::dial(good_mac(3));

    lab.signal(Signal::SIGHUP);
    lab.logged(&["reloaded changes=0 sessions_with_old_values=0"]);
    for subscriber in [&mut new, &mut third, &mut again] {
        subscriber.assert_alive();
    }
    assert!(denied.is_undisturbed(), "it was answered");
    lab.stop_with(&mut [&mut new, &mut third, &mut again]);
}

fn bad_files() {
    let lab = start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    options(&lab, "idle soon\nno-such-option\n");
    write(&lab, "deny", "02:00:5e\n");
    for check in [true, false] {
        let mistakes = refused(&lab, check);
        assert!(mistakes[0].contains("/options:6: ") && mistakes[0].contains("idle"), "{mistakes:?}");
        assert!(
            mistakes[1].contains("/options:7: ") && mistakes[1].contains("no-such-option"),
            "{mistakes:?}"
        );
        assert!(mistakes[2].contains("/deny:1: \"02:00:5e\" is not a MAC address"), "{mistakes:?}");
    }
    options(&lab, "ms-dns 9.9.9.9\n");
    assert!(refused(&lab, false)[0].contains("/deny:1: "));
    fs::remove_file(lab.path("deny")).unwrap();
    assert!(refused(&lab, false)[0].contains("No such file"));
    write(&lab, "deny", "");
    fs::rename(lab.path("secrets"), lab.path("elsewhere")).unwrap();
    assert!(refused(&lab, false)[0].contains("nobody can log in by CHAP"), "{:?}", refused(&lab, false));
    lab.signal(Signal::SIGHUP);
    lab.logged(&["WARN", "reload failed; nothing changed mistakes=1"]);
    fs::rename(lab.path("elsewhere"), lab.path("secrets")).unwrap();
    write(&lab, "pool", "# nothing\n");
    assert!(refused(&lab, false)[0].contains("has no address"));

    // All of that left everything as it was.
    let mut other = Subscriber::open(good_mac(2));
    assert_eq!(detail(&lab, other.session_id).dns, Vec::<Ipv4Addr>::new());
    assert_eq!((other.address(), max_sessions(&lab)), (ip(3), 2));
    write(&lab, "pool", "10.0.0.2\n10.0.0.3\n");
    let (changes, _) = ask(&lab, false).unwrap();
    assert_eq!(lines(&lab, &changes), ["ms-dns: none (default) -> 9.9.9.9 (options:6), new-sessions"]);
    subscriber.assert_alive();
    other.assert_alive();
    lab.stop_with(&mut [&mut subscriber, &mut other]);
}

fn shrinks() {
    let lab = start(&["-i"]);
    let mut first = Subscriber::open(good_mac(1));
    let mut second = Subscriber::open(good_mac(2));
    write(&lab, "pool", "10.0.0.2\n");
    let (_, summary) = ask(&lab, false).unwrap();
    assert_eq!((summary.keeping_ids, max_sessions(&lab)), (vec![second.session_id], 1));
    first.assert_alive();
    second.assert_alive();
    second.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    let mut third = Host::dial(good_mac(3));
    until("a PADI to be ignored", || {
        third.drive();
        let Response::Stats(stats) = lab.console().ask(&Request::ShowStats).remove(0) else { panic!() };
        stats.interfaces[0].dropped.iter().any(|drop| drop.name == "no_free_slot" && drop.count > 0)
    });
    write(&lab, "pool", "10.0.0.2-5\n");
    ask(&lab, false).unwrap();
    let mut fourth = Subscriber::open(good_mac(4));
    assert_eq!(fourth.address(), ip(3));
    first.assert_alive();
    third.hang_up();
    lab.stop_with(&mut [&mut first, &mut fourth]);
}

fn conflicts() {
    let lab = start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    write(&lab, "pool", "10.0.0.2:10.0.0.7\n10.0.0.2:10.0.0.8\n");
    let mistakes = refused(&lab, false);
    let expected = "10.0.0.2 is to be our own end of links, and session 1 has it: end that session first (pppctl \
                    terminate session 1)";
    assert_eq!(mistakes, [expected]);
    subscriber.assert_alive();
    subscriber.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    ask(&lab, false).unwrap();
    let mut next = Subscriber::open(good_mac(2));
    assert_eq!(next.address(), ip(8));
    next.assert_alive();
    lab.stop_with(&mut [&mut next]);
}

/// Its worker was told to ask for CHAP, and nothing else may be held against it.
fn keeps_rules() {
    let lab = start(&["--pap-secrets", "{lab}/pap"]);
    let mut slow = Host::dial(super::misbehaviour::mac_of("hears late of a new beginning"));
    slow.connected();
    let options = fs::read_to_string(lab.path("options")).unwrap();
    write(&lab, "options", &options.replace("require-chap", "require-pap"));
    let mut old = Subscriber::open(good_mac(1));
    let refused = refused(&lab, false);
    assert!(refused[0].contains("nobody can log in by PAP"), "{refused:?}");
    write(&lab, "options", &options.replace("require-chap", "noauth"));
    let (changes, summary) = ask(&lab, false).unwrap();
    // With it go the lines of the secrets, which nobody reads any more.
    assert_eq!(lines(&lab, &changes)[0], "auth: chap (options:1) -> none (options:1), new-sessions");
    assert_eq!(summary.keeping, 2);
    old.assert_alive();
    assert!(slow.is_undisturbed());
    old.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    let mut new = Subscriber::open_again(good_mac(1), 2);
    lab.logged(&["no authentication required (noauth)"]);
    new.assert_alive();
    slow.hang_up();
    lab.stop_with(&mut [&mut new]);
}

fn users() {
    let lab = start(&[]);
    let secrets = fs::read_to_string(lab.path("secrets")).unwrap();
    let mut alice = Subscriber::open(good_mac(1));
    write(&lab, "secrets", &format!("alice * \"{}\" *\n{secrets}", lab::SECRET));
    let (changes, summary) = ask(&lab, false).unwrap();
    assert_eq!(lines(&lab, &changes), ["user \"alice\" (chap-secrets): - -> new (secrets:1), now"]);
    assert_eq!(summary.keeping, 0);
    write(&lab, "secrets", &format!("\nalice * other 10.0.0.3\n{secrets}"));
    let (changes, summary) = ask(&lab, false).unwrap();
    let line = "user \"alice\" (chap-secrets): a line (secrets:1) -> another secret, other addresses (secrets:2), now";
    assert_eq!(lines(&lab, &changes), [line]);
    assert_eq!(summary.keeping_ids, [alice.session_id]);
    assert!(!lab.log().contains("other 10"), "a line of secrets is in the log");
    alice.assert_alive();
    lab.stop_with(&mut [&mut alice]);
}

fn hidden_and_scripts() {
    let directory = lab::directory();
    let options = |idle: u32| format!("{OPTIONS}{}\nidle {idle}\n", directory.path().join("log").display());
    fs::write(directory.path().join("options"), options(60)).unwrap();
    fs::create_dir(directory.path().join("hooks")).unwrap();
    let script = directory.path().join("hooks/10-a.lua");
    fs::write(&script, "function ip_up(s) end\n").unwrap();
    let (old, new) = (options(60), options(90));
    let flags = ["--hooks-dir", "{lab}/hooks", "--console-file", "{lab}/console.toml"];
    let lab = Lab::start_in(directory, &flags);
    let set = PolicyChange::Set { key: "ppp.idle".into(), values: vec!["30".into()] };
    let request = PolicyRequest { change: set, dry_run: false, end: false };
    drop(lab.console().ask(&Request::Policy(Box::new(request))));

    let (changes, summary) = ask(&lab, false).unwrap();
    assert_eq!((changes.len(), summary.changes), (0, 0));
    assert!(!summary.remarks.iter().any(|remark| remark.contains("idle")), "{summary:?}");
    write(&lab, "options", &new);
    fs::write(lab.path("hooks/10-a.lua"), "function ip_down(s) end\n").unwrap();
    fs::write(lab.path("hooks/20-b.lua"), "function ip_up(s) end\n").unwrap();
    for check in [true, false] {
        let (changes, summary) = ask(&lab, check).unwrap();
        let lines = lines(&lab, &changes);
        assert!(lines[0].starts_with("hook script 10-a.lua: version ") && lines.len() == 2, "{lines:?}");
        assert!(lines[1].starts_with("hook script 20-b.lua: - -> version "), "{lines:?}");
        assert_eq!((summary.changes, summary.applied), (2, !check));
        let hidden =
            "idle is 90 there now, but a console has set another value, which holds: unset config ppp.idle";
        assert!(summary.remarks.iter().any(|remark| remark.ends_with(hidden)), "{summary:?}");
    }
    // Told once: it is known now.
    let (changes, summary) = ask(&lab, false).unwrap();
    assert_eq!((changes.len(), summary.changes), (0, 0));
    assert!(!summary.remarks.iter().any(|remark| remark.contains("console has set")), "{summary:?}");
    write(&lab, "options", &old);
    lab.stop_with(&mut []);
}

fn own_files() {
    let directory = lab::directory();
    let alice_is =
        |more: &str| format!("[alice]\npassword = \"{}\"\naddress = \"10.0.0.3\"\n{more}", lab::SECRET);
    for (name, text) in [
        ("pppoed.toml", "users-file = \"users.toml\"\n[ppp]\nms-dns = \"9.9.9.9\"\n"),
        ("users.toml", &alice_is("")),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
        fs::set_permissions(directory.path().join(name), Permissions::from_mode(0o600)).unwrap();
    }
    let lab = Lab::start_in(directory, &["-c", "{lab}/pppoed.toml"]);
    let mut alice = Subscriber::open(good_mac(1));
    assert_eq!(alice.address(), Some(Ipv4Addr::new(10, 0, 0, 3)));
    write(&lab, "pppoed.toml", "users-file = \"users.toml\"\n\n[ppp]\nms-dns = \"1.1.1.1\"\n");
    write(&lab, "users.toml", &alice_is("deny = true\n"));
    let (changes, summary) = ask(&lab, false).unwrap();
    assert_eq!(
        lines(&lab, &changes),
        [
            "ms-dns: 9.9.9.9 (pppoed.toml:3) -> 1.1.1.1 (pppoed.toml:4), new-sessions",
            "user \"alice\" (users-file): a line (users.toml:1) -> denied (users.toml:1), now",
        ]
    );
    assert_eq!(summary.keeping_ids, [alice.session_id]);
    let mut again = Subscriber::begin(Host::dial(good_mac(2)), b"alice");
    until("a refusal", || {
        again.drive();
        lab.log().contains("authentication refused")
    });
    lab.logged(&["authentication refused", "users.toml:4: user", "alice", "is denied: deny = true"]);
    write(&lab, "pppoed.toml", "sesions = 5\n");
    let Err(Failure::BadFiles(errors)) = ask(&lab, false) else { panic!("a bad file was taken") };
    assert!(
        errors[0].ends_with("pppoed.toml:1:1: unknown key \"sesions\" (did you mean \"sessions\"?)"),
        "{errors:?}"
    );
    alice.assert_alive();
    lab.stop_with(&mut [&mut alice]);
}

fn rotates() {
    let lab = start(&[]);
    fs::rename(lab.path("log"), lab.path("log.1")).unwrap();
    // Also when the files are wrong.
    options(&lab, "no-such-option\n");
    lab.signal(Signal::SIGHUP);
    lab.logged(&["SIGHUP: reloading the configuration"]);
    lab.logged(&["reload failed; nothing changed"]);
    let old = fs::read_to_string(lab.path("log.1")).unwrap();
    assert!(old.contains(" ready ") && !old.contains("SIGHUP"), "{old}");

    // Another level, and another file.
    write(&lab, "options", &format!("{OPTIONS}{}\ndebug\n", lab.path("log.2").display()));
    ask(&lab, false).unwrap();
    let mut subscriber = Subscriber::open(good_mac(1));
    until("debugging in the new file", || {
        fs::read_to_string(lab.path("log.2"))
            .is_ok_and(|log| log.contains("DEBUG") && log.contains("session up"))
    });
    assert!(!lab.log().contains("session up"));
    options(&lab, "");
    ask(&lab, false).unwrap();
    subscriber.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    lab.stop_with(&mut []);
}

fn slow() {
    let lab = start(&["--reload-deadline", "1"]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let secrets = fs::read_to_string(lab.path("secrets")).unwrap();
    // A file as long as it takes, in place of a disk that hangs.
    let why = (17..22)
        .find_map(|power| {
            let many: String = (0..1_u32 << power).map(|number| format!("user{number} * x *\n")).collect();
            write(&lab, "secrets", &format!("{secrets}{many}"));
            match ask_once(&lab, true) {
                Err(Failure::Busy(why)) => Some(why),
                Ok(_) => None,
                Err(other) => panic!("{other:?}"),
            }
        })
        .expect("no file takes longer than a second");
    assert!(why.contains("longer than 1 s (--reload-deadline); nothing was changed"), "{why}");
    write(&lab, "secrets", &secrets);
    // The first one is still at it: another one does not begin beside it, and sessions do not notice.
    match ask_once(&lab, true) {
        Err(Failure::Busy(why)) => assert!(why.contains("being read already"), "{why}"),
        other => panic!("{other:?}"),
    }
    lab.signal(Signal::SIGHUP);
    subscriber.assert_alive();
    // The signal is not forgotten.
    lab.logged(&["reloaded changes=0"]);
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}
