use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::config::{Change, Changes, CommandLine, Effect, Reading, Source};
use crate::origin::Place;
use crate::secrets::Digest;

fn at(line: u32) -> Origin {
    Origin::File(Place::new(Arc::from(Path::new("pppoed.toml")), line))
}

fn sourced<T>(value: T, line: u32) -> Sourced<T> {
    Sourced::new(value, at(line))
}

fn base(flags: &str) -> Config {
    let line = format!("pppoed --common-options /no/such/file -C ac {flags}");
    let line = CommandLine::try_parse_from(line.split_whitespace()).unwrap();
    Source::new(line).config().0.unwrap()
}

fn pool(name: &str, ranges: &[&str], line: u32) -> NamedPool {
    let ranges: Vec<_> = ranges.iter().map(|range| sourced((*range).to_owned(), line + 1)).collect();
    NamedPool::from_ranges(name.into(), at(line), Ipv4Addr::new(10, 1, 0, 1), &ranges).unwrap()
}

fn profile(name: &str, line: u32, pool: Option<&str>) -> Profile {
    let pool = pool.map(|pool| sourced(PoolName::from(pool), line + 1));
    Profile { pool, ..Profile::new(name, at(line)) }
}

fn with(
    flags: &str,
    profiles: Vec<Profile>,
    pools: Vec<NamedPool>,
) -> (Result<Config, Vec<String>>, Vec<String>) {
    let mut notices = Vec::new();
    let config = base(flags).with_sections(Sections { profiles, pools }, &mut notices);
    let text = |errors: Vec<ConfigError>| errors.iter().map(ToString::to_string).collect();
    (config.map_err(text), notices.iter().map(ToString::to_string).collect())
}

#[test]
fn a_profile_goes_over_what_holds_for_all() {
    let mut office = profile("eth1.10", 3, Some("office"));
    office.services = Some(sourced(vec![b"office".to_vec()], 5));
    office.ac_name = Some(sourced(b"ac-office".to_vec(), 6));
    office.padi_rate = Some(sourced(None, 7));
    office.mac_rate = Some(sourced(NonZeroU32::new(3).map(Rate::per_second), 8));
    office.sessions = Some(sourced(NonZeroUsize::new(9), 9));
    office.per_mac = Some(sourced(PerMac::AtMost(2), 10));
    office.auth_methods = Some(sourced(Vec::new(), 11));
    office.session.ms_dns = vec![sourced([9, 9, 9, 9].into(), 12)];
    let pools = vec![pool("office", &["10.1.0.2-4"], 20)];
    let (config, notices) =
        with("-S general -N 8 --mac-rate 5", vec![office, profile("eth1.*", 30, None)], pools);
    let config = config.unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(
        (config.interfaces.as_slice(), config.patterns.as_slice()),
        (&["eth1.10".into()][..], &["eth1.*".into()][..])
    );
    let name = |interface| config.profile(interface).map(|profile| profile.name.as_str());
    assert_eq!([name("eth1.10"), name("eth1.11"), name("eth1")], [Some("eth1.10"), Some("eth1.*"), None]);
    assert!(
        config.serves("eth1.10")
            && config.serves("eth1.77")
            && !config.serves("eth1")
            && !config.serves("eth2")
    );

    let own = config.for_profile(config.profile("eth1.10").unwrap());
    assert_eq!(own.services, [b"office"]);
    assert_eq!(own.ac_name.value, b"ac-office");
    assert_eq!((own.limits.discovery.padi, own.limits.discovery.padr), (None, config.limits.discovery.padr));
    assert_eq!(own.limits.discovery.per_mac.unwrap().burst(), 3);
    assert_eq!((own.limits.per_interface, own.per_mac.value), (NonZeroUsize::new(9), PerMac::AtMost(2)));
    assert!(own.auth_methods.value.is_empty() && own.session.ms_dns.len() == 1);
    let other = config.for_profile(config.profile("eth1.11").unwrap());
    assert_eq!(
        (other.services, other.limits.discovery.per_mac.unwrap().burst()),
        (vec![b"general".to_vec()], 5)
    );
    assert_eq!((config.max_sessions(), config.pools().count()), (11, 2));
    assert!(config.session_table().ends_with(
        "Session random local 10.1.0.1 remote 10.1.0.2\n\
        Session random local 10.1.0.1 remote 10.1.0.3\nSession random local 10.1.0.1 remote 10.1.0.4\n"
    ));
}

#[test]
fn flags_say_which_interfaces_are_served() {
    let profiles = || vec![profile("eth1", 1, None), profile("eth2.*", 3, None)];
    let served = |flags: &str| {
        let config = with(flags, profiles(), Vec::new()).0.unwrap();
        (config.interfaces, config.patterns)
    };
    assert_eq!(served("-I eth7"), (vec!["eth7".to_owned()], Vec::new()));
    assert_eq!(served("-I eth7 -I eth8.*"), (vec!["eth7".to_owned()], vec!["eth8.*".to_owned()]));
    assert_eq!(served(""), (vec!["eth1".to_owned()], vec!["eth2.*".to_owned()]));
    assert_eq!(with("", Vec::new(), Vec::new()).0.unwrap().interfaces, ["eth0"]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let errors = |profiles, pools| with("-N 4 -R 10.9.0.1", profiles, pools).0.unwrap_err();
    assert_eq!(
        errors(vec![profile("eth1", 1, None), profile("eth1", 5, None)], Vec::new()),
        ["pppoed.toml:5: there is a section for interface \"eth1\" already, at pppoed.toml:1"]
    );
    assert_eq!(
        errors(vec![profile("eth1", 1, Some("ofice"))], vec![pool("office", &["10.1.0.2"], 9)]),
        ["pppoed.toml:2: there is no pool \"ofice\"; there are: office, default"]
    );
    assert_eq!(
        errors(Vec::new(), vec![pool("a", &["10.1.0.2-9"], 9), pool("b", &["10.1.0.1", "10.1.0.9-12"], 14)]),
        [
            "pppoed.toml:15: 10.1.0.9 is in pool \"b\" and, at pppoed.toml:10, in pool \"a\": addresses must be \
             unique"
        ]
    );
    assert_eq!(
        errors(Vec::new(), vec![pool("a", &["10.9.0.4"], 9)]),
        [
            "pppoed.toml:10: 10.9.0.4 is in pool \"a\" and, at -R, in pool \"default\": addresses must be unique"
        ]
    );
    let many = errors(Vec::new(), vec![pool("a", &["10.10.0.0-10.10.255.253"], 9)]);
    assert_eq!(
        many,
        ["65538 sessions from id 1 on are too many: session ids end at 65534 (-N or -p, and -o)"]
    );
}

#[test]
fn a_pool_that_nobody_has_is_told_or_is_not_there() {
    let pools = || vec![pool("a", &["10.1.0.2"], 9)];
    let (config, notices) = with("", Vec::new(), pools());
    assert_eq!(notices, ["pppoed.toml:9: no interface has pool \"a\""]);
    assert_eq!(config.unwrap().max_sessions(), 65);
    // Nobody asked for the default pool, and nobody would get it.
    let (config, notices) = with("", vec![profile("eth1", 1, Some("a"))], pools());
    assert_eq!((config.unwrap().max_sessions(), notices.len()), (1, 0));
    let (config, notices) = with("-N 3", vec![profile("eth1", 1, Some("a"))], pools());
    assert_eq!(config.unwrap().max_sessions(), 1);
    assert_eq!(notices.len(), 1, "a number of sessions asks for no pool: {notices:?}");
    let asked_for = with("-N 3 -R 10.9.0.1", vec![profile("eth1", 1, Some("a"))], pools()).0.unwrap();
    assert_eq!(asked_for.max_sessions(), 4);
    let both = || vec![profile("eth1", 1, Some("a")), profile("eth2", 3, None)];
    assert_eq!(
        with("", both(), pools()).0.unwrap_err(),
        [
            "pppoed.toml:3: interface \"eth2\" has no pool: give it one (pool = \"…\" in its [[interface]]; there are: a), or \
             set remote and sessions for the default pool"
        ]
    );
    let refused = with("-I eth1 -I eth3", both(), pools()).0.unwrap_err();
    assert!(refused[0].starts_with("-I: interface \"eth3\" has no pool"), "{refused:?}");
    for asked_for in ["-N 64", "-R 10.9.0.1"] {
        assert_eq!(with(asked_for, both(), pools()).0.unwrap().max_sessions(), 65);
    }
}

#[test]
fn changes_are_told_by_interface_and_pool() {
    let reading = |profiles, pools| {
        let config = with("-N 4", profiles, pools).0.unwrap();
        Reading { config, users: Digest::default() }
    };
    let mut eth1 = profile("eth1", 1, Some("a"));
    let before = reading(vec![eth1.clone()], vec![pool("a", &["10.1.0.2-5"], 9)]);
    eth1.services = Some(sourced(vec![b"x".to_vec()], 3));
    eth1.session.mtu = Some(sourced(1400, 4));
    let eth2 = profile("eth2", 6, Some("b"));
    let pools = vec![pool("a", &["10.1.0.2-6"], 9), pool("b", &["10.2.0.2"], 12)];
    let after = reading(vec![eth1, eth2], pools);
    let changes = Changes::between(&before, &after);
    let setting = |setting: &Option<crate::config::Setting>| {
        setting.as_ref().map_or("-".to_owned(), |setting| format!("{} ({})", setting.value, setting.origin))
    };
    let line =
        |change: &Change| format!("{}: {} -> {}", change.key, setting(&change.old), setting(&change.new));
    let lines: Vec<_> = changes.list.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "interface: eth1 (pppoed.toml:1) -> eth1 eth2 (pppoed.toml:1)",
            "pool a: sessions: 4 (pppoed.toml:9) -> 5 (pppoed.toml:9)",
            "pool b: sessions: - -> 1 (pppoed.toml:12)",
            "interface eth1: service: - -> \"x\" (pppoed.toml:3)",
            "interface eth1: mtu: - -> 1400 (pppoed.toml:4)",
            "interface eth2: pool: - -> b (pppoed.toml:7)",
            "pool a: addresses: - -> 10.1.0.6, ours is 10.1.0.1 (pppoed.toml:10)",
            "pool b: addresses: - -> 10.2.0.2, ours is 10.1.0.1 (pppoed.toml:13)",
        ]
    );
    assert!(!changes.for_new_sessions && !changes.needs_restart);
    assert_eq!(changes.profiles, ["eth1".to_owned(), "eth2".to_owned()].into());
    assert!(changes.list.iter().all(|change| change.effect != Effect::Restart));
    assert!(Changes::between(&after, &after.clone().applied_over(&before)).is_empty());
}
