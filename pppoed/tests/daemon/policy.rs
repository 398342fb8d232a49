//! The configuration from the console: what holds, where it differs from the files, and what consoles change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use ppp_ipc::control::{
    BitRate, ConfigDiffEnd, ConfigDifference, ConfigSetting, Failure, LogLevel, Phase, Request, Response,
    SessionDetail,
};
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{
    ListName, PolicyChange, PolicyEntry, PolicyRequest, PolicySummary, PolicyWritten, Subject,
};
use ppp_ipc::reload::Setting;

use super::console::Console;
use super::lab::{self, Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

const OPTIONS: &str = "require-chap\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\nms-dns 9.9.9.9\n";

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 8] = [
        ("every setting is shown with its origin", shows),
        ("what runs is compared with the files as they are", compares),
        ("who is denied at the console does not get in", denies),
        ("settings of the console hold as those of files do", sets),
        ("users get rates at once, and the rest with their next session", overrides),
        ("what files say of a user is the old value, and a user that none has is told", users_of_files),
        ("what was written outlives a restart, and the rest does not", writes),
        ("hook scripts are called no more, and again", switches_hooks),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn start() -> Lab {
    let directory = lab::directory();
    fs::write(directory.path().join("options"), OPTIONS).unwrap();
    fs::write(directory.path().join("deny"), format!("{}\n", good_mac(9))).unwrap();
    Lab::start_in(directory, &FLAGS)
}

const FLAGS: [&str; 6] =
    ["-N", "3", "--mac-deny", "{lab}/deny", "--console-file", "{lab}/state/console.toml"];

fn change(lab: &Lab, change: PolicyChange) -> Result<(Vec<String>, PolicySummary), Failure> {
    request(lab, PolicyRequest { change, dry_run: false, end: false })
}

fn request(lab: &Lab, request: PolicyRequest) -> Result<(Vec<String>, PolicySummary), Failure> {
    let mut changes = Vec::new();
    for response in lab.console().ask(&Request::Policy(Box::new(request))) {
        match response {
            Response::Changes(more) => changes.extend(more.iter().map(|change| {
                let (old, new) = (text(lab, change.old.as_ref()), text(lab, change.new.as_ref()));
                format!("{}: {old} -> {new}, {}", change.key, change.effect.as_str())
            })),
            Response::PolicyChanged(summary) => return Ok((changes, *summary)),
            Response::Failed(failure) => return Err(failure),
            other => panic!("{other:?}"),
        }
    }
    panic!("no summary")
}

fn refused(lab: &Lab, change: PolicyChange) -> String {
    match self::change(lab, change) {
        Err(Failure::Refused(why)) => why,
        Err(Failure::BadFiles(mistakes)) => mistakes.join("; "),
        other => panic!("{other:?}"),
    }
}

fn set(key: &str, values: &[&str]) -> PolicyChange {
    PolicyChange::Set { key: key.into(), values: values.iter().map(ToString::to_string).collect() }
}

fn deny(who: Subject) -> PolicyChange {
    PolicyChange::List { list: ListName::Deny, who }
}

fn user(name: &str) -> Subject {
    Subject::User(NamePattern::from_text(name))
}

fn set_user(name: &str, options: &[(&str, &str)]) -> PolicyChange {
    let options = options.iter().map(|(option, value)| ((*option).into(), (*value).into()));
    PolicyChange::SetUser { name: Name::new(name), options: options.collect() }
}

fn log_in(lab: &Lab, mac: u8, name: &str) -> Subscriber {
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(mac)), name.as_bytes());
    until("the session to open", || {
        subscriber.drive();
        subscriber.address().is_some()
    });
    lab.in_phase(subscriber.session_id, Phase::Open);
    subscriber
}

fn detail(lab: &Lab, id: u16) -> SessionDetail {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

fn dropped(lab: &Lab, cause: &str) -> u64 {
    let Response::Stats(stats) = lab.console().ask(&Request::ShowStats).remove(0) else { panic!() };
    stats.interfaces[0].dropped.iter().find(|drop| drop.name == cause).map_or(0, |drop| drop.count)
}

/// Without the directory.
fn text(lab: &Lab, setting: Option<&Setting>) -> String {
    let directory = format!("{}/", lab.path("").display()).replace("//", "/");
    let text = |one: &Setting| format!("{} ({})", one.value, one.origin).replace(&directory, "");
    setting.map_or("-".to_owned(), text)
}

fn settings(lab: &Lab, console: &mut Console) -> Vec<(String, String)> {
    let of = |response| match response {
        Response::Config(settings) => settings,
        other => panic!("{other:?}"),
    };
    let shown = |one: ConfigSetting| (one.key, text(lab, Some(&one.setting)));
    console.ask(&Request::ShowConfig).into_iter().flat_map(of).map(shown).collect()
}

fn differences(lab: &Lab) -> Vec<String> {
    let shown = |one: &ConfigDifference| {
        let (running, files) = (text(lab, one.running.as_ref()), text(lab, one.files.as_ref()));
        format!("{}: {running} / {files}, {}", one.key, one.fate.as_str())
    };
    let mut found = Vec::new();
    let mut answers = lab.console().ask(&Request::ShowConfigDiff);
    match answers.pop() {
        Some(Response::ConfigDiffEnd(end)) => assert_eq!(*end, ConfigDiffEnd::default()),
        other => panic!("{other:?}"),
    }
    for answer in answers {
        match answer {
            Response::ConfigDifferences(more) => found.extend(more.iter().map(shown)),
            other => panic!("{other:?}"),
        }
    }
    found
}

fn shows() {
    let lab = start();
    let has = |console: &mut Console, key: &str, value: &str| {
        let all = settings(&lab, console);
        assert!(all.iter().any(|one| one.0 == key && one.1 == value), "{key} {value}: {all:#?}");
    };
    let mut console = lab.console();
    for (key, value) in [
        ("setup-deadline", "5s (--setup-deadline)"),
        ("ms-dns", "9.9.9.9 (options:5)"),
        ("auth", "chap (options:1)"),
        ("idle", "none (default)"),
        ("addresses", "10.0.0.2-10.0.0.4, ours is 10.0.0.1 (-R)"),
        ("mac-deny address", &format!("{} (deny)", good_mac(9))),
        ("log-level", "info (default)"),
    ] {
        has(&mut console, key, value);
    }
    console.ask(&Request::SetLogLevel { level: Some(LogLevel::Debug), session: None });
    has(&mut console, "log-level", "debug (console: set log-level)");
    lab.stop_with(&mut []);
}

fn compares() {
    let lab = start();
    assert_eq!(differences(&lab), Vec::<String>::new());
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    lab.console().ask(&Request::SetLogLevel { level: Some(LogLevel::Debug), session: None });
    lab.console().ask(&Request::SetRate { id, down: BitRate(10_000), up: None });
    lab.console().ask(&Request::Drain { on: true });
    // Read by itself.
    fs::write(lab.path("deny"), "").unwrap();
    lab.logged(&["lists of MAC addresses changed"]);
    fs::write(lab.path("options"), format!("{OPTIONS}mtu 1400\n")).unwrap();
    let of_session = "options of the session";
    assert_eq!(
        differences(&lab),
        [
            "log-level: debug (console: set log-level) / info (default), lost".to_owned(),
            "service: draining (console: drain, shutdown) / -, kept".to_owned(),
            format!(
                "rates of session {id}: 10M down, none up (console: set rate) / none down, none up ({of_session}), kept"
            ),
            "mtu: 1500 (default) / 1400 (options:6), reload".to_owned(),
        ]
    );
    fs::write(lab.path("options"), "mtu big\n").unwrap();
    match lab.console().ask(&Request::ShowConfigDiff).remove(0) {
        Response::Failed(Failure::BadFiles(mistakes)) => {
            assert!(mistakes[0].contains("/options:1: ") && mistakes[0].contains("mtu"), "{mistakes:?}");
        }
        other => panic!("{other:?}"),
    }
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}

fn denies() {
    let lab = start();
    let mut bob = log_in(&lab, 1, "bob");
    let mut carol = log_in(&lab, 2, "carol");
    let look = PolicyRequest { change: deny(user("bob")), dry_run: true, end: true };
    let (changes, summary) = request(&lab, look.clone()).unwrap();
    assert_eq!(changes, ["user bob: - -> deny (console), now"]);
    assert_eq!((summary.applied, summary.changes, summary.ending.ids), (false, 1, vec![bob.session_id]));
    assert_eq!(differences(&lab), Vec::<String>::new(), "a dry run has changed something");

    let (_, summary) = change(&lab, deny(user("bob"))).unwrap();
    assert_eq!((summary.applied, summary.denied.ids, summary.ending.count), (true, vec![bob.session_id], 0));
    lab.logged(&["console: user bob: - -> deny (console)", "uid=0"]);
    lab.logged(&["the configuration was changed from the console", "command=\"set deny user bob\""]);
    bob.assert_alive();
    let mut again = Subscriber::begin(Host::dial(good_mac(3)), b"bob");
    until("the end of LCP", || again.is_over());
    lab.logged(&[
        "authentication refused",
        "username=\"bob\"",
        "denied at the console: set deny user bob (by uid 0",
    ]);
    again.host.hang_up();
    carol.assert_alive();

    // With --end, also when he is on the list already.
    request(&lab, PolicyRequest { dry_run: false, ..look }).unwrap();
    until("the session to end", || bob.is_over());
    lab.logged(&["session ended", "reason=\"admin\"", "denied by uid 0 with pppctl"]);
    bob.host.hang_up();
    carol.assert_alive();

    // Stations: what consoles say goes over files.
    assert_eq!(dropped(&lab, "mac_not_allowed"), 0);
    let mut listed = Host::dial(good_mac(9));
    until("a PADI to be ignored", || {
        listed.drive();
        dropped(&lab, "mac_not_allowed") > 0
    });
    listed.hang_up();
    let allow = PolicyChange::List { list: ListName::Allow, who: Subject::Mac(good_mac(9).0) };
    change(&lab, allow).unwrap();
    let mut listed = Subscriber::open_again(good_mac(9), 2);
    change(&lab, deny(Subject::Mac(good_mac(4).0))).unwrap();
    let before = dropped(&lab, "mac_not_allowed");
    let mut denied = Host::dial(good_mac(4));
    until("a PADI to be ignored", || {
        denied.drive();
        dropped(&lab, "mac_not_allowed") > before
    });
    denied.hang_up();
    // Files that change later do not bring him back.
    fs::write(lab.path("deny"), "").unwrap();
    lab.logged(&["lists of MAC addresses changed"]);
    let before = dropped(&lab, "mac_not_allowed");
    let mut denied = Host::dial_again(good_mac(4), 2);
    until("a PADI to be ignored", || {
        denied.drive();
        dropped(&lab, "mac_not_allowed") > before
    });
    denied.hang_up();
    change(&lab, PolicyChange::UnsetAll).unwrap();
    let mut bob = log_in(&lab, 5, "bob");
    lab.stop_with(&mut [&mut carol, &mut listed, &mut bob]);
}

fn sets() {
    let lab = start();
    let mut old = log_in(&lab, 1, "alice");
    let (changes, summary) = change(&lab, set("ppp.mtu", &["1400"])).unwrap();
    assert_eq!(changes, ["mtu: 1500 (default) -> 1400 (console), new-sessions"]);
    assert_eq!(summary.keeping.ids, [old.session_id]);
    let (changes, _) = change(&lab, set("service", &["isp", "vpn"])).unwrap();
    assert_eq!(changes, ["service: none (default) -> \"isp\" \"vpn\" (console), now"]);
    change(&lab, PolicyChange::RemoveService(Name::new("vpn"))).unwrap();
    change(&lab, set("log-level", &["debug"])).unwrap();
    let all = settings(&lab, &mut lab.console());
    for (key, value) in
        [("mtu", "1400 (console)"), ("service", "\"isp\" (console)"), ("log-level", "debug (console)")]
    {
        assert!(all.iter().any(|one| one.0 == key && one.1 == value), "{key}: {all:#?}");
    }
    let mut new = log_in(&lab, 2, "bob");
    until("the interface to be configured", || detail(&lab, new.session_id).mtu == Some(1400));
    assert_eq!(detail(&lab, old.session_id).mtu, Some(1492));

    // What cannot be set.
    let why = refused(&lab, set("cookie-lifetime", &["9"]));
    assert!(why.starts_with("cookie-lifetime changes only when pppoed is started again"), "{why}");
    let why = refused(&lab, set("ppp.mtu", &["big"]));
    assert_eq!(why, "ppp.mtu: \"big\": not a number");
    let why = refused(&lab, set("ppp.mtu", &["70000"]));
    assert!(why.contains("console: mtu"), "{why}");
    assert!(refused(&lab, set("pado-delay", &["soon"])).contains("\"soon\" is not a valid delay"));
    assert!(refused(&lab, set("ppp.logfile", &["/etc/passwd"])).contains("it names a file"));
    // Ours would be a session's address.
    let local = old.address().unwrap().to_string();
    let why = refused(&lab, set("local", &[&local]));
    assert!(why.contains("is to be our own end of links"), "{why}");

    // What others have changed in files does not come in by this door.
    fs::write(lab.path("options"), format!("{OPTIONS}idle 600\n")).unwrap();
    let why = refused(&lab, set("pado-delay", &["5"]));
    assert_eq!(
        why,
        "files have changed since they were read (idle): `reload` first, or see `show config --diff`"
    );
    // Lists need no files.
    change(&lab, deny(user("mallory"))).unwrap();
    lab.console().ask(&Request::Reload { check: false });
    let (changes, _) = change(&lab, set("pado-delay", &["5"])).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    // And a reload keeps what was set.
    let all = settings(&lab, &mut lab.console());
    assert!(all.iter().any(|one| one.0 == "mtu" && one.1 == "1400 (console)"), "{all:#?}");
    let (changes, _) = change(&lab, PolicyChange::UnsetAll).unwrap();
    assert!(
        changes.contains(&"mtu: 1400 (console) -> 1500 (default), new-sessions".to_owned()),
        "{changes:?}"
    );
    lab.stop_with(&mut [&mut old, &mut new]);
}

fn overrides() {
    let lab = start();
    let mut alice = log_in(&lab, 1, "alice");
    let mut bob = log_in(&lab, 2, "bob");
    let rates = |subscriber: &Subscriber| {
        let detail = detail(&lab, subscriber.session_id);
        (detail.rate_down, detail.rate_up)
    };
    let options = [("rate-down", "10M"), ("maxconnect", "3600"), ("address", "10.0.0.77")];
    let (changes, summary) = change(&lab, set_user("alice", &options)).unwrap();
    let expected = [
        "user alice address: * (secrets:1) -> 10.0.0.77 (console), new-sessions",
        "user alice maxconnect: none (default) -> 3600 (console), new-sessions",
        "user alice rate-down: none (default) -> 10M (console), now",
    ];
    assert_eq!(changes, expected);
    assert_eq!((summary.rates.ids, summary.keeping.ids), (vec![alice.session_id], vec![alice.session_id]));
    assert_eq!(rates(&alice), (BitRate(10_000), BitRate(0)));
    assert_eq!(rates(&bob), (BitRate(0), BitRate(0)));
    alice.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    let mut alice = log_in(&lab, 3, "alice");
    assert_eq!(alice.address().unwrap().to_string(), "10.0.0.77");
    assert_eq!(rates(&alice), (BitRate(10_000), BitRate(0)));
    let left = detail(&lab, alice.session_id).timers.session_left_s.unwrap();
    assert!((3500..=3600).contains(&left), "{left}");
    // The session began with that limit; without it, it has that of the files.
    let unset = PolicyChange::UnsetUser { name: Name::new("alice"), options: vec!["rate-down".into()] };
    change(&lab, unset).unwrap();
    assert_eq!(rates(&alice), (BitRate(0), BitRate(0)));
    alice.assert_alive();
    lab.stop_with(&mut [&mut alice, &mut bob]);
}

fn users_of_files() {
    let directory = lab::directory();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("secrets"), format!("bob * \"{}\" 10.0.0.9 -- rate-up 1M\n", lab::SECRET)).unwrap();
    let users = "[alice]\npassword = \"x\"\naddress = \"10.0.0.7\"\nrate-down = \"5M\"\nproxyarp = true\n[bob]\nidle = 60\n";
    fs::write(path("users.toml"), users).unwrap();
    for name in ["secrets", "users.toml"] {
        fs::set_permissions(path(name), Permissions::from_mode(0o600)).unwrap();
    }
    let lab = Lab::start_in(directory, &["--users-file", "{lab}/users.toml"]);
    let changed = |change| {
        let (changes, summary) = self::change(&lab, change).unwrap();
        let remarks =
            summary.remarks.iter().map(|remark| remark.replace(&lab.path("").display().to_string(), ""));
        (changes, remarks.collect::<Vec<_>>())
    };
    let options = [("rate-down", "10M"), ("address", "10.0.0.8"), ("idle", "30s"), ("noproxyarp", "true")];
    let (changes, remarks) = changed(set_user("alice", &options));
    let expected = [
        "user alice address: 10.0.0.7 (users.toml:1) -> 10.0.0.8 (console), new-sessions",
        "user alice idle: none (default) -> 30 (console), new-sessions",
        "user alice noproxyarp: false (users.toml:5) -> true (console), new-sessions",
        "user alice rate-down: 5M (users.toml:4) -> 10M (console), now",
    ];
    assert_eq!(changes, expected);
    assert!(remarks.is_empty(), "{remarks:?}");
    let (changes, _) =
        changed(set_user("bob", &[("rate-up", "2M"), ("idle", "none"), ("address", "10.0.0.10")]));
    let expected = [
        "user bob address: 10.0.0.9 (secrets:1) -> 10.0.0.10 (console), new-sessions",
        "user bob idle: 60 (users.toml:7) -> 0 (console), new-sessions",
        "user bob rate-up: 1M (secrets:1) -> 2M (console), now",
    ];
    assert_eq!(changes, expected);
    // What is taken back goes back to that, and the last of two opposites holds.
    let (changes, _) = changed(set_user("alice", &[("proxyarp", "true")]));
    let expected = [
        "user alice noproxyarp: true (console) -> false (users.toml:5), new-sessions",
        "user alice proxyarp: true (users.toml:5) -> true (console), new-sessions",
    ];
    assert_eq!(changes, expected);
    let unset = PolicyChange::UnsetUser { name: Name::new("alice"), options: vec!["rate-down".into()] };
    assert_eq!(changed(unset).0, ["user alice rate-down: 10M (console) -> 5M (users.toml:4), now"]);

    // Nobody is called so.
    let slip = "users.toml:1: this line is for user \"alice\", not \"Alice\": upper and lower case differ";
    assert_eq!(changed(set_user("Alice", &[("rate-down", "1M")])).1, [slip]);
    for change in [set_user("carol", &[("idle", "60")]), deny(user("carol"))] {
        let (_, remarks) = changed(change);
        assert!(remarks.len() == 1 && remarks[0].contains("has no entry for user \"carol\""), "{remarks:?}");
    }
    assert!(changed(deny(user("car*"))).1.is_empty(), "a pattern is for whoever may come");
    assert!(changed(deny(user("bob"))).1.is_empty());
    lab.stop_with(&mut []);
}

fn entries(lab: &Lab) -> Vec<PolicyEntry> {
    let of = |response| match response {
        Response::Policy(entries) => entries,
        other => panic!("{other:?}"),
    };
    lab.console().ask(&Request::ShowPolicy).into_iter().flat_map(of).collect()
}

fn write(lab: &Lab, check: bool) -> PolicyWritten {
    match lab.console().ask(&Request::WritePolicy { check }).remove(0) {
        Response::PolicyWritten(written) => *written,
        other => panic!("{other:?}"),
    }
}

fn writes() {
    let mut lab = start();
    let changes = [
        set("ppp.mtu", &["1400"]),
        deny(user("bob")),
        set_user("alice", &[("rate-down", "10M")]),
        PolicyChange::Hooks { enabled: false, file: None },
    ];
    for one in changes {
        change(&lab, one).unwrap();
    }
    assert_eq!(
        differences(&lab),
        [
            "user bob: deny (console) / -, lost",
            "user alice rate-down: 10M (console) / -, lost",
            "hooks all scripts: disabled (console) / -, lost",
            "mtu: 1400 (console) / 1500 (default), lost",
        ]
    );
    let written = write(&lab, true);
    assert_eq!((written.entries, written.differs, written.applied), (4, true, false));
    assert!(!lab.path("state/console.toml").exists() && entries(&lab).iter().all(|entry| !entry.is_written));
    assert!(write(&lab, false).applied);
    assert!(!write(&lab, true).differs);
    assert_eq!(differences(&lab), Vec::<String>::new());
    let all = entries(&lab);
    let kinds: Vec<_> =
        all.iter().map(|one| (one.kind.as_str(), one.name.as_str(), one.is_written)).collect();
    let expected = [
        ("config", "ppp.mtu", true),
        ("deny", "user bob", true),
        ("user", "alice", true),
        ("hooks", "all scripts", true),
    ];
    assert_eq!(kinds, expected);
    // This one is not.
    change(&lab, set("ppp.idle", &["600"])).unwrap();
    lab.kill();
    lab.restart(&FLAGS);
    let all = settings(&lab, &mut lab.console());
    for (key, value) in [("mtu", "1400 (console)"), ("idle", "none (default)")] {
        assert!(all.iter().any(|one| one.0 == key && one.1 == value), "{key}: {all:#?}");
    }
    assert_eq!((differences(&lab), entries(&lab).len()), (Vec::new(), 4));
    let mut alice = log_in(&lab, 1, "alice");
    assert_eq!(detail(&lab, alice.session_id).rate_down, BitRate(10_000));
    let mut bob = Subscriber::begin(Host::dial(good_mac(2)), b"bob");
    until("the end of LCP", || bob.is_over());
    lab.logged(&["authentication refused", "username=\"bob\"", "denied at the console"]);
    bob.host.hang_up();
    alice.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    // What is taken back comes back, too, unless that is written.
    change(&lab, PolicyChange::UnsetAll).unwrap();
    assert_eq!(differences(&lab).len(), 4);
    // A file that is damaged stops the start.
    fs::write(lab.path("state/console.toml"), "[deny]\nuser = 7\n").unwrap();
    let failed = lab.console().ask(&Request::ShowConfigDiff).remove(0);
    let Response::Failed(Failure::BadFiles(mistakes)) = failed else { panic!("{failed:?}") };
    assert!(mistakes[0].contains("console.toml:2:8: user: expected a list of strings"), "{mistakes:?}");
    lab.kill();
    let refusal = lab.refused_start(&FLAGS);
    assert!(
        refusal.contains("console.toml:2:8: ") && refusal.contains("fix it, or move it away"),
        "{refusal}"
    );
}

fn switches_hooks() {
    let directory = lab::directory();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("hooks.d")).unwrap();
    let note = |name: &str| {
        let script = format!("function ip_up(s) file.append({:?}, '{name} ') end\n", path("notes"));
        fs::write(path("hooks.d").join(name), script).unwrap();
    };
    ["a.lua", "b.lua"].into_iter().for_each(note);
    let flags = ["--hooks-dir", "{lab}/hooks.d", "--hook-store", "{lab}/store"];
    let lab = Lab::start_in(directory, &[&FLAGS[2..], &flags[..], &["--mac-deny", "{lab}/empty"]].concat());
    let notes = || fs::read_to_string(lab.path("notes")).unwrap_or_default();
    let mut first = log_in(&lab, 1, "a");
    until("both scripts", || notes() == "a.lua b.lua ");
    let off = |file: Option<&str>| PolicyChange::Hooks { enabled: false, file: file.map(Into::into) };
    let (_, summary) = change(&lab, off(Some("c.lua"))).unwrap();
    assert_eq!(summary.remarks, ["there is no hook script \"c.lua\" in use now"]);
    change(&lab, off(Some("a.lua"))).unwrap();
    let all = settings(&lab, &mut lab.console());
    let script = ("hook script".to_owned(), "a.lua (disabled) (console: set hooks disable)".to_owned());
    assert!(all.contains(&script), "{all:#?}");
    first.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
    let mut second = log_in(&lab, 2, "b");
    until("one script", || notes() == "a.lua b.lua b.lua ");
    change(&lab, off(None)).unwrap();
    let mut third = log_in(&lab, 3, "c");
    change(&lab, PolicyChange::Hooks { enabled: true, file: None }).unwrap();
    second.host.hang_up();
    until("its end", || lab.log().matches("session ended").count() == 2);
    let mut fourth = log_in(&lab, 4, "d");
    until("both scripts", || notes() == "a.lua b.lua b.lua a.lua b.lua ");
    lab.stop_with(&mut [&mut third, &mut fourth]);
}
