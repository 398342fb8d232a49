use std::path::Path;

use super::*;

const BY: By = By { uid: 1000, time_ms: 1_795_257_062_123 };
const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];

fn set(key: &str, values: &[&str]) -> PolicyChange {
    PolicyChange::Set { key: key.into(), values: values.iter().map(ToString::to_string).collect() }
}

fn list(list: ListName, who: Subject) -> PolicyChange {
    PolicyChange::List { list, who }
}

fn user(name: &str) -> Subject {
    Subject::User(NamePattern::from_text(name))
}

fn set_user(name: &str, options: &[(&str, &str)]) -> PolicyChange {
    let options = options.iter().map(|(option, value)| ((*option).into(), (*value).into()));
    PolicyChange::SetUser { name: Name::new(name), options: options.collect() }
}

fn after(changes: &[PolicyChange]) -> Policy {
    changes.iter().fold(Policy::default(), |policy, change| policy.changed(change, &lists(), BY).unwrap())
}

fn lists() -> Lists {
    Lists { services: vec![Name::new("isp")], interfaces: vec!["eth1".to_owned(), "eth2.*".to_owned()] }
}

fn refused(policy: &Policy, change: &PolicyChange) -> String {
    policy.changed(change, &lists(), BY).unwrap_err().to_string()
}

#[test]
fn interfaces_are_added_and_removed_one_by_one() {
    let add = |name: &str| PolicyChange::AddInterface(name.into());
    let remove = |name: &str| PolicyChange::RemoveInterface(name.into());
    let values = |policy: &Policy| policy.get(&Key::Setting("interface".into())).unwrap().values.join(" ");
    assert_eq!(values(&after(&[add("eth3")])), "eth1 eth2.* eth3");
    assert_eq!(values(&after(&[remove("eth2.*")])), "eth1");
    let policy = Policy::default();
    assert_eq!(refused(&policy, &add("eth1")), "interface eth1 is served already");
    assert_eq!(
        refused(&policy, &remove("eth9")),
        "interface eth9 is not an access interface; access interfaces: eth1 eth2.*"
    );
    assert!(refused(&policy, &add("eth0:3")).contains("the interface is eth0"));
    let one = Lists { interfaces: vec!["eth1".into()], ..Lists::default() };
    let last = policy.changed(&remove("eth1"), &one, BY).unwrap_err().to_string();
    assert!(last.starts_with("eth1 is the only access interface"), "{last}");
}

/// Something of every kind.
fn rich() -> Policy {
    after(&[
        set("pado-delay", &["0,100:50"]),
        set("sessions", &["20"]),
        set("no-probe", &["true"]),
        set("motm", &["say \"hi\"\\\u{7}ü"]),
        PolicyChange::AddService(Name::new("vpn")),
        set("ppp.ms-dns", &["1.1.1.1", "9.9.9.9"]),
        set("ppp.lcp-echo-interval", &["20"]),
        set("ppp.proxyarp", &["true"]),
        set("ppp.ipv6", &["true"]),
        set("ppp.rate-down", &["10M"]),
        list(ListName::Deny, Subject::Mac(MAC)),
        list(ListName::Deny, user("guest*")),
        list(ListName::Allow, user("guest7")),
        PolicyChange::Hooks { enabled: false, file: Some("20-nat.lua".into()) },
        set_user("al\"ice", &[("rate-down", "10M"), ("address", "10.0.0.9"), ("noproxyarp", "true")]),
        set_user("bob", &[("maxconnect", "3600")]),
    ])
}

#[test]
fn the_file_says_what_was_set() {
    let policy = rich();
    let text = text(&policy, BY);
    let read =
        file::parse(Path::new("/c.toml"), text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}\n{text}"));
    assert_eq!(read, policy, "{text}");
    assert!(text.contains("\n[written]\nuid = 1000\ntime-ms = 1795257062123\n"), "{text}");
    // The kinds are those of pppoed.toml.
    for line in
        ["sessions = 20", "no-probe = true", "service = [\"isp\", \"vpn\"]", "pado-delay = \"0,100:50\""]
    {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }
    let empty = file::parse(Path::new("/c.toml"), super::text(&Policy::default(), BY).as_bytes()).unwrap();
    assert!(empty.is_empty());
    assert!(read.says_the_same(&policy) && !read.says_the_same(&empty));
}

#[test]
fn numbers_are_kept_as_the_file_can_have_them() {
    let policy = after(&[
        set("sessions", &["007"]),
        set("per-mac", &["+3"]),
        set("ppp.mru", &["0x5a0"]),
        set("ppp.lcp-echo-interval", &["010"]),
    ]);
    let values: Vec<_> = policy.entries().map(|(key, entry)| format!("{key}={}", entry.values[0])).collect();
    // As pppd reads them.
    assert_eq!(values, ["per-mac=3", "sessions=7", "ppp.lcp-echo-interval=8", "ppp.mru=1440"]);
    let text = text(&policy, BY);
    let read = file::parse(Path::new("/c.toml"), text.as_bytes());
    assert_eq!(read.unwrap_or_else(|why| panic!("{why:?}\n{text}")), policy);
}

/// Also those that nothing becomes of: the console file has to have them.
#[test]
fn values_are_of_the_kind_of_their_option() {
    for (key, values, expected) in [
        ("ppp.idle", &["soon"][..], "ppp.idle: \"soon\": not a number"),
        ("ppp.idle", &["2.4"], "ppp.idle: \"2.4\": not a number (pppd reads it as 2; "),
        ("ppp.defaultroute6-metric", &["10.0.0.5"], "ppp.defaultroute6-metric: \"10.0.0.5\": not a number"),
        ("ppp.bsdcomp", &["1", "2"], "ppp.bsdcomp: \"1 2\": must be one value"),
        ("ppp.nodetach", &["maybe"], "ppp.nodetach: \"maybe\": must be true or false"),
    ] {
        let why = refused(&Policy::default(), &set(key, values));
        assert!(why.starts_with(expected), "{why}");
    }
}

#[test]
fn mistakes_in_the_file_have_places() {
    for (text, expected) in [
        ("sesions = 5\n", "/c.toml:1:1: unknown key \"sesions\""),
        ("\nsessions = \"5\"\n", "/c.toml:2:12: sessions: expected a number without quotes, found a string"),
        ("sessions = 0\n", "/c.toml:1:12: sessions: \"0\": 0 is not in 1..=65534"),
        (
            "pool-file = \"/etc/shadow\"\n",
            "/c.toml:1:13: pool-file cannot be set at runtime: it names a file",
        ),
        ("[ppp]\nlogfile = \"/etc/passwd\"\n", "/c.toml:2:11: logfile cannot be set at runtime"),
        ("[deny]\nmac = [\"x\"]\n", "/c.toml:2:7: \"x\" is not a station's MAC address"),
        ("[deny]\nip = []\n", "/c.toml:2:1: unknown key \"ip\""),
        ("[user.a]\nrate-down = \"fast\"\n", "/c.toml:2:13: "),
        (
            "[user.a]\naddress = \"10.0.0.9\"\n[user.b]\naddress = \"10.0.0.9\"\n",
            "/c.toml:4:11: 10.0.0.9 is the address of user a",
        ),
        ("deny = 7\n", "/c.toml:1:8: deny: expected a table"),
        ("[hooks]\nall-disabled = 1\n", "/c.toml:2:16: all-disabled: expected true or false"),
        ("[written]\nuid = -1\n", "/c.toml:2:7: uid: expected a number"),
    ] {
        let errors = file::parse(Path::new("/c.toml"), text.as_bytes()).unwrap_err();
        let first = errors[0].to_string();
        assert!(first.starts_with(expected), "{text}: {first}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    assert!(read(&path).unwrap().is_empty(), "none is empty");
    std::fs::write(&path, "[user").unwrap();
    let why = read(&path).unwrap_err()[0].to_string();
    assert!(why.contains("/c:1:") && why.contains("fix it, or move it away"), "{why}");
    std::fs::create_dir(directory.path().join("d")).unwrap();
    let why = read(&directory.path().join("d")).unwrap_err()[0].to_string();
    assert!(why.contains("console file") && why.contains("not a regular file"), "{why}");
}

#[test]
fn what_root_would_open_or_run_cannot_be_set() {
    let policy = Policy::default();
    for key in [
        "pool-file",
        "run-dir",
        "hooks-dir",
        "worker",
        "options-file",
        "ppp.logfile",
        "ppp.ip-up-script",
        "ppp.chap-secrets",
    ] {
        let why = refused(&policy, &set(key, &["/tmp/x"]));
        assert!(why.contains("it names a file"), "{key}: {why}");
    }
    for key in ["ppp.set", "ppp.ipparam"] {
        let why = refused(&policy, &set(key, &["PATH=/tmp"]));
        assert!(why.contains("scripts that run as root"), "{key}: {why}");
    }
    assert!(refused(&policy, &set("foreground", &["true"])).contains("command line only"));
    assert!(refused(&policy, &set_user("a", &[("set", "PATH=/tmp")])).contains("scripts that run as root"));
    let hint = "there is no setting \"lcp-echo-intervall\" (did you mean \"lcp-echo-interval\"?): pppctl show config lists them";
    assert_eq!(refused(&policy, &set("lcp-echo-intervall", &["1"])), hint);
    assert!(refused(&policy, &set("pado-delays", &["1"])).contains("did you mean \"pado-delay\"?"));
    assert!(refused(&policy, &set("ppp.lcp-echo-intervall", &["1"])).contains("did you mean"));
    assert!(refused(&policy, &set("sessions", &["many"])).starts_with("sessions: \"many\": "));
    assert!(refused(&policy, &set_user("a", &[("maxconnect", "soon")])).contains("maxconnect"));
    assert!(
        refused(&policy, &set_user("a", &[("address", "224.0.0.1")])).contains("not the address of a host")
    );
    assert!(refused(&policy, &set_user("a", &[("require-chap", "true")])).contains("require-chap"));
}

#[test]
fn everything_is_bounded() {
    let mut policy = Policy::default();
    let deny = |number: usize| list(ListName::Deny, user(&format!("user{number}")));
    for number in 0..MAX_ENTRIES {
        policy = policy.changed(&deny(number), &Lists::default(), BY).unwrap();
    }
    assert!(refused(&policy, &deny(MAX_ENTRIES)).contains("is reached"));
    policy.changed(&deny(0), &Lists::default(), BY).expect("one that is there can be set again");
    let mut policy = Policy::default();
    for number in 0..MAX_PATTERNS {
        policy = policy
            .changed(&list(ListName::Deny, user(&format!("u{number}*"))), &Lists::default(), BY)
            .unwrap();
    }
    assert!(refused(&policy, &list(ListName::Deny, user("x*"))).contains("64 patterns"));
    let long = "x".repeat(MAX_TEXT);
    let policy = after(&[list(ListName::Deny, user(&long))]);
    assert!(
        refused(&policy, &list(ListName::Deny, user(&(long + "x"))))
            .contains("257 bytes exceeds the maximum of 256")
    );
    let many = vec!["a"; MAX_VALUES + 1];
    assert!(refused(&policy, &set("service", &many)).contains("33 values exceed the maximum of 32"));
    after(&[set("service", &many[1..])]);
}

#[test]
fn the_exact_name_decides_before_patterns_and_allow_before_deny() {
    let policy = after(&[
        list(ListName::Deny, user("guest*")),
        list(ListName::Allow, user("guest7")),
        list(ListName::Allow, user("*-vip")),
        list(ListName::Deny, user("bob")),
    ]);
    let expected = "denied at the console: set deny user guest* (by uid 1000; unset deny user guest*)";
    assert_eq!(policy.denial(b"guest1").as_deref(), Some(expected));
    assert_eq!(policy.denial(b"GUEST1"), None, "patterns are compared as names are");
    assert_eq!(policy.denial(b"guest7"), None);
    assert_eq!(policy.denial(b"guest1-vip"), None);
    assert!(policy.denial(b"bob").is_some());
    assert_eq!(policy.denial(b"Bob"), None, "names have one");
    assert_eq!(policy.denial(b"alice"), None);
    // One of both lists at most.
    let policy = after(&[list(ListName::Deny, user("bob")), list(ListName::Allow, user("bob"))]);
    assert_eq!((policy.denial(b"bob"), policy.len()), (None, 1));
    let unlist = PolicyChange::Unlist { list: ListName::Deny, who: user("bob") };
    assert_eq!(refused(&policy, &unlist), "user bob is not on the list of deny: pppctl show policy");
    assert!(
        refused(&policy, &list(ListName::Deny, Subject::Mac([255; 6]))).contains("not a unicast MAC address")
    );
}

#[test]
fn names_are_compared_as_they_are() {
    for (name, text) in [
        (&br"DOM\bob"[..], r"DOM\bob"),
        (b"caf\xe9", r"caf\xe9"),
        (b"a\tb\n\"", r"a\x09b\x0a\x22"),
        (b"a*", r"a\x2a"),
        (b"-x ", r"\x2dx\x20"),
    ] {
        let (exact, shown) = (Name::new(name), NamePattern::from_text(text));
        let policy = after(&[
            list(ListName::Deny, Subject::User(shown)),
            PolicyChange::SetUser { name: exact, options: vec![("address".into(), "10.0.0.9".into())] },
        ]);
        let why = policy.denial(name).unwrap();
        assert!(why.contains(&format!("unset deny user {text})")), "it says what to type: {why}");
        assert_eq!(policy.denial(text.as_bytes()).is_some(), text.as_bytes() == name, "{text}");
        assert!(policy.user(name).address.is_some());
        let written = super::text(&policy, BY);
        let read = parse(Path::new("/c.toml"), written.as_bytes()).unwrap();
        assert_eq!(read, policy, "{written}");
    }
    let policy = after(&[list(ListName::Deny, user(r"DOM\*"))]);
    assert!(policy.denial(br"DOM\bob").is_some() && policy.denial(br"dom\bob").is_none());
}

#[test]
fn what_was_set_can_be_taken_back() {
    let policy = rich();
    let back = [
        PolicyChange::Unset { key: "pado-delay".into() },
        PolicyChange::Unset { key: "ppp.ms-dns".into() },
        PolicyChange::Unlist { list: ListName::Deny, who: Subject::Mac(MAC) },
        PolicyChange::UnsetUser { name: Name::new("bob"), options: vec!["maxconnect".into()] },
        PolicyChange::UnsetUser { name: Name::new("al\"ice"), options: vec![] },
        PolicyChange::Hooks { enabled: true, file: Some("20-nat.lua".into()) },
    ];
    let mut rest = policy.clone();
    for change in &back {
        rest = rest.changed(change, &Lists::default(), BY).unwrap();
        assert!(!refused(&rest, change).is_empty(), "{change}: nothing is there twice");
    }
    assert_eq!(rest.len(), policy.len() - 8);
    assert!(rest.changed(&PolicyChange::UnsetAll, &Lists::default(), BY).unwrap().is_empty());
}

#[test]
fn services_and_hooks() {
    let policy = after(&[PolicyChange::AddService(Name::new("vpn"))]);
    assert_eq!(policy.layer().server[0].values, ["isp", "vpn"]);
    assert!(refused(&policy, &PolicyChange::AddService(Name::new("isp"))).contains("is already offered"));
    assert!(refused(&policy, &PolicyChange::AddService(Name::new("a'b"))).contains("not allowed"));
    assert!(
        refused(&policy, &PolicyChange::RemoveService(Name::new("x")))
            .contains("service \"x\" is not offered")
    );
    let policy = after(&[PolicyChange::RemoveService(Name::new("isp"))]);
    assert!(policy.layer().server[0].values.is_empty());

    let hooks = |enabled, file: Option<&str>| PolicyChange::Hooks { enabled, file: file.map(Into::into) };
    let policy = after(&[hooks(false, Some("a.lua"))]);
    assert!(!policy.hooks_off().calls("a.lua") && policy.hooks_off().calls("b.lua"));
    let policy = after(&[hooks(false, Some("a.lua")), hooks(false, None)]);
    assert!(!policy.hooks_off().calls("b.lua"));
    assert!(refused(&policy, &hooks(true, Some("a.lua"))).contains("all hook scripts are disabled"));
    let policy = policy.changed(&hooks(true, None), &Lists::default(), BY).unwrap();
    assert!(policy.is_empty() && policy.hooks_off().calls("a.lua"));
}

#[test]
fn users_have_options_and_addresses() {
    let policy = rich();
    let alice = policy.user(b"al\"ice");
    assert_eq!((alice.options.rates().down, alice.address), (10_000, Some(Ipv4Addr::new(10, 0, 0, 9))));
    assert_eq!(alice.options.rate_down.unwrap().origin.to_string(), "console");
    assert_eq!(policy.user(b"carol"), UserOverride::default());
    assert_eq!(policy.addresses().collect::<Vec<_>>(), [(Ipv4Addr::new(10, 0, 0, 9), &Name::new("al\"ice"))]);
    let taken = refused(&policy, &set_user("bob", &[("address", "10.0.0.9")]));
    assert_eq!(taken, r"10.0.0.9 is the address of user al\x22ice already (unset user al\x22ice address)");
    let mac = MacAddr(MAC);
    assert!(policy.macs().deny.contains(&mac) && policy.macs().allow.is_empty());
}
