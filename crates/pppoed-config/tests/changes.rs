//! The differences between two readings of the configuration.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use ppp_ipc::rate::BitRate;
use ppp_proto::auth::AuthMethod;
use ppp_wire::ethernet::EtherType;
use pppoed_config::config::{
    Change, Changes, CommandLine, Config, Effect, Ipv6Config, MAX_CHANGES, Reading, Source,
};
use pppoed_config::flags::{LogLevel, MissingProtection, PerMac, UserLimitPolicy};
use pppoed_config::options::{OctetDirection, Script};
use pppoed_config::origin::Sourced;
use pppoed_config::pool::Numbering;
use proptest::prelude::*;

/// A directory in place of `/etc/ppp`, and a command line that names its files.
struct Etc {
    directory: tempfile::TempDir,
    source: Source,
}

impl Etc {
    fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().display();
        let line = format!(
            "pppoed -c {at}/pppoed.toml -O {at}/options --common-options {at}/common --chap-secrets {at}/secrets --pap-secrets {at}/pap \
             -p {at}/pool --mac-deny {at}/deny -C ac {more}"
        );
        let source = Source::new(CommandLine::try_parse_from(line.split_whitespace()).unwrap());
        let etc = Self { directory, source };
        for (name, text) in [
            ("options", "require-chap\n"),
            ("secrets", ""),
            ("pool", "10.0.0.2-9\n"),
            ("deny", ""),
            ("pppoed.toml", ""),
        ] {
            etc.write(name, text);
        }
        etc
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn read(&self) -> Reading {
        let config = self.source.config().0.unwrap();
        let users = self.source.users(&config, None).0;
        Reading { config, users }
    }

    fn shown(&self, changes: &Changes) -> Vec<String> {
        let setting = |setting: &Option<pppoed_config::config::Setting>| {
            setting
                .as_ref()
                .map_or("-".to_owned(), |setting| format!("{} ({})", setting.value, setting.origin))
        };
        let line = |change: &Change| {
            let line = format!("{}: {} -> {}", change.key, setting(&change.old), setting(&change.new));
            line.replace(&format!("{}/", self.directory.path().display()), "")
        };
        changes.list.iter().map(line).collect()
    }
}

#[test]
fn changes_name_old_and_new_with_file_and_line() {
    let etc = Etc::new("");
    let old = etc.read();
    assert!(Changes::between(&old, &old).is_empty());
    etc.write("options", "# moved\nrequire-chap\nidle 60\nms-dns 9.9.9.9\nlcp-restart 5\n");
    etc.write("secrets", "alice * secret *\n");
    etc.write("pool", "10.0.0.2-5\n10.0.1.1-3\n10.0.0.7\n");
    etc.write("deny", "02:00:5e:10:00:01\n");
    let new = etc.read();
    let changes = Changes::between(&old, &new);
    assert_eq!(
        etc.shown(&changes),
        [
            "lcp-restart: 3s (default) -> 5s (options:5)",
            "idle: none (default) -> 60 (options:3)",
            "ms-dns: none (default) -> 9.9.9.9 (options:4)",
            "addresses: 10.0.0.6, ours is 10.0.0.1 (pool:1) -> -",
            "addresses: 10.0.0.8-10.0.0.9, ours is 10.0.0.1 (pool:1) -> -",
            "addresses: - -> 10.0.1.1-10.0.1.3, ours is 10.0.0.1 (pool:2)",
            "mac-deny: - -> 02:00:5e:10:00:01 (deny)",
            "user \"alice\" (chap-secrets): - -> new (secrets:1)",
        ]
    );
    assert!(changes.for_new_sessions && !changes.needs_restart);
    assert_eq!(changes.users, BTreeSet::new(), "nobody was let in by a line that was not there");
    let back = Changes::between(&new, &old);
    assert_eq!(back.count(), changes.count());
    assert_eq!(back.users, BTreeSet::from([Some(b"alice".to_vec())]));

    etc.write("pool", "10.0.0.3\n10.0.0.2\n10.0.0.4-9\n");
    let changes = etc.shown(&Changes::between(&old, &etc.read()));
    let line = "order of addresses: slot 0 has 10.0.0.2, ours is 10.0.0.1 (pool:1) -> slot 0 has 10.0.0.3, ours is \
                10.0.0.1 (pool:1)";
    assert!(changes.contains(&line.to_owned()), "{changes:?}");
}

#[test]
fn a_flood_of_changes_is_counted() {
    let etc = Etc::new("");
    let old = etc.read();
    let users: String = (0..5000).map(|number| format!("user{number} * x *\n")).collect();
    etc.write("secrets", &users);
    let changes = Changes::between(&old, &etc.read());
    assert_eq!((changes.list.len(), changes.count()), (MAX_CHANGES, 5000));
}

type Mutation = (&'static str, fn(&mut Config));

fn set<T>(setting: &mut Option<Sourced<T>>, value: T) {
    *setting = Some(Sourced::default_value(value));
}

/// One for each setting, by its key.
const MUTATIONS: &[Mutation] = &[
    ("interface", |config| config.interfaces.push("eth9".to_owned())),
    ("wait-for-interfaces", |config| config.wait_for_interfaces ^= true),
    ("frame-types", |config| config.discovery_ether_type = EtherType::from(0x9999)),
    ("frame-types", |config| config.session_ether_type = EtherType::from(0x9999)),
    ("ac-name", |config| config.ac_name.value.push(b'x')),
    ("service", |config| config.services.push(b"x".to_vec())),
    ("motm", |config| config.motm = Some(b"x".to_vec())),
    ("hurl", |config| config.hurl = Some(b"x".to_vec())),
    ("ignore-when-full", |config| config.ignore_when_full ^= true),
    ("cookie-lifetime", |config| config.cookie_lifetime += Duration::from_secs(1)),
    ("session-offset", |config| config.numbering = Numbering::From(7)),
    ("random-order", |config| config.random_order ^= true),
    ("unit-from-slot", |config| config.unit_from_slot ^= true),
    ("per-mac", |config| config.per_mac.value = PerMac::AtMost(3)),
    ("padi-rate", |config| config.limits.discovery.padi = None),
    ("padr-rate", |config| config.limits.discovery.padr = None),
    ("padt-rate", |config| config.limits.discovery.padt = None),
    ("mac-rate", |config| config.limits.discovery.per_mac = None),
    ("pado-delay", |config| {
        config.limits.pado_delay = "5".parse::<pppoed_config::flags::PadoDelayText>().unwrap().0;
    }),
    ("max-starting", |config| config.limits.max_starting = pppoed_config::config::MaxStarting::Unlimited),
    ("setups-at-once", |config| config.limits.setups.at_once = NonZeroUsize::MIN),
    ("setup-wait", |config| config.limits.setups.wait = None),
    ("dial-patience", |config| config.limits.setups.patience += Duration::from_secs(1)),
    ("lcp-deadline", |config| config.limits.lcp_deadline += Duration::from_secs(1)),
    ("replace-wait", |config| config.limits.replace_wait += Duration::from_millis(1)),
    ("sessions-per-interface", |config| config.limits.per_interface = NonZeroUsize::new(7)),
    ("sessions-per-user", |config| config.limits.per_user.as_mut().unwrap().sessions = NonZeroUsize::MIN),
    ("user-limit", |config| config.limits.per_user.as_mut().unwrap().policy = UserLimitPolicy::Deny),
    ("heartbeat", |config| {
        config.limits.heartbeat.as_mut().unwrap().interval += Duration::from_secs(1);
    }),
    ("heartbeat-timeout", |config| {
        config.limits.heartbeat.as_mut().unwrap().timeout += Duration::from_secs(1);
    }),
    ("missing-protection", |config| config.limits.missing_protection = MissingProtection::Refuse),
    ("control-rate", |config| config.limits.control_rate = None),
    ("frame-rate", |config| config.limits.frame_rate = Some(NonZeroU32::MIN)),
    ("protection-check", |config| config.limits.protection_check = None),
    ("reconcile-interval", |config| config.limits.reconcile = None),
    ("refusal-delay", |config| config.limits.refusal_delay += Duration::from_millis(1)),
    ("hash-wait", |config| config.limits.hash_wait += Duration::from_millis(1)),
    ("name-wait", |config| config.limits.name_wait += Duration::from_millis(1)),
    ("reload-deadline", |config| config.limits.reload_deadline += Duration::from_secs(1)),
    ("stall-limit", |config| config.limits.stall_limit = None),
    ("mac-allow", |config| config.limits.mac_files.allow = Some("/x".into())),
    ("mac-deny", |config| config.limits.mac_files.deny = None),
    ("mru", |config| config.mru.value -= 1),
    ("lcp-restart", |config| config.lcp.restart += Duration::from_secs(1)),
    ("lcp-max-configure", |config| config.lcp.max_configure += 1),
    ("lcp-max-terminate", |config| config.lcp.max_terminate += 1),
    ("lcp-max-failure", |config| config.lcp.max_failure += 1),
    ("ipcp-restart", |config| config.ipcp.restart += Duration::from_secs(1)),
    ("ipcp-max-configure", |config| config.ipcp.max_configure += 1),
    ("ipcp-max-terminate", |config| config.ipcp.max_terminate += 1),
    ("ipcp-max-failure", |config| config.ipcp.max_failure += 1),
    ("ipv6cp-restart", |config| config.ipv6cp.restart += Duration::from_secs(1)),
    ("ipv6cp-max-configure", |config| config.ipv6cp.max_configure += 1),
    ("ipv6cp-max-terminate", |config| config.ipv6cp.max_terminate += 1),
    ("ipv6cp-max-failure", |config| config.ipv6cp.max_failure += 1),
    ("lcp-echo-interval", |config| config.echo.as_mut().unwrap().interval += Duration::from_secs(1)),
    ("lcp-echo-failure", |config| config.echo.as_mut().unwrap().max_failures += 1),
    ("lcp-echo-adaptive", |config| config.echo.as_mut().unwrap().only_when_idle ^= true),
    ("auth", |config| config.auth_methods.value.push(AuthMethod::Pap)),
    ("chap-restart", |config| config.auth.restart += Duration::from_secs(1)),
    ("chap-max-challenge", |config| config.auth.max_transmits += 1),
    ("auth-tries", |config| config.auth.max_tries += 1),
    ("auth-deadline", |config| config.auth.deadline = None),
    ("chap-interval", |config| config.auth.rechallenge = Some(Duration::from_secs(1))),
    ("users-file", |config| config.secrets.users_file = Some("/x".into())),
    ("chap-secrets", |config| config.secrets.chap_secrets = "/x".into()),
    ("pap-secrets", |config| config.secrets.pap_secrets = "/x".into()),
    ("name", |config| config.secrets.our_name.push(b'x')),
    ("papcrypt", |config| config.secrets.papcrypt ^= true),
    ("setup-deadline", |config| config.setup_deadline += Duration::from_secs(1)),
    ("orphan-timeout", |config| config.orphan_timeout += Duration::from_secs(1)),
    ("adoption-grace", |config| config.adoption_grace += Duration::from_secs(1)),
    ("no-offloads", |config| config.offloads ^= true),
    ("gather", |config| config.gather += Duration::from_micros(1)),
    ("ipv6", |config| config.ipv6 = Some(Ipv6Config { local: None, remote: Some(1) })),
    ("idle", |config| set(&mut config.session.idle, 1)),
    ("maxconnect", |config| set(&mut config.session.maxconnect, 1)),
    ("maxoctets", |config| set(&mut config.session.maxoctets, 1)),
    ("mo-direction", |config| set(&mut config.session.mo_direction, OctetDirection::In)),
    ("mo-timeout", |config| set(&mut config.session.mo_timeout, 2)),
    ("mtu", |config| set(&mut config.session.mtu, 1000)),
    ("ms-dns", |config| config.session.ms_dns.push(Sourced::default_value([9, 9, 9, 9].into()))),
    ("ms-wins", |config| config.session.ms_wins.push(Sourced::default_value([9, 9, 9, 9].into()))),
    ("proxyarp", |config| set(&mut config.session.proxyarp, true)),
    ("rate-down", |config| set(&mut config.session.rate_down, BitRate(1))),
    ("rate-up", |config| set(&mut config.session.rate_up, BitRate(1))),
    ("rate-burst", |config| set(&mut config.session.rate_burst, 1)),
    ("nosourcecheck", |config| set(&mut config.session.source_check, false)),
    ("ipparam", |config| set(&mut config.session.ipparam, b"x".to_vec())),
    ("set X", |config| {
        let value = Some(Sourced::default_value(b"y".to_vec()));
        config.session.environment.insert(b"X".to_vec(), value);
    }),
    ("dead-peer", |config| config.dead_peer = Some(Duration::from_secs(1))),
    ("max-mss", |config| config.max_mss = Some(1000)),
    ("ip-up-script", |config| {
        config.scripts.insert(Script::IpUp, Sourced::default_value(PathBuf::from("/x")));
    }),
    ("logfile", |config| set(&mut config.logfile, PathBuf::from("/x"))),
    ("log-level", |config| config.log_level.value = LogLevel::Trace),
    ("no-offloads", |config| config.offloads ^= true),
    ("no-probe", |config| config.probe ^= true),
    ("rival-interval", |config| config.rival_interval = None),
    ("no-ebpf", |config| config.ebpf ^= true),
    ("allow-unfiltered-workers", |config| config.allow_unfiltered_workers ^= true),
    ("run-dir", |config| config.run_dir = "/x".into()),
    ("control-socket", |config| config.control_socket = "/x".into()),
    ("pid-file", |config| config.pid_file = Some("/x".into())),
    ("foreground", |config| config.foreground ^= true),
    ("console-file", |config| config.console_file = "/x".into()),
    ("worker", |config| config.worker = Some("/x".into())),
    ("worker-user", |config| config.worker_user.push('x')),
    ("hooks-dir", |config| config.hooks.directory = "/x".into()),
    ("hook-hosts", |config| config.hooks.hosts += 1),
    ("hook-deadline", |config| config.hooks.deadline += Duration::from_secs(1)),
    ("hook-leftovers", |config| config.hooks.leftovers = None),
    ("hook-failure", |config| config.hooks.failure = pppoed_config::flags::HookFailure::Allow),
    ("hook-memory", |config| config.hooks.memory_limit += 1 << 20),
    ("hook-padi-limit", |config| config.hooks.padi_limit += 1),
    ("hook-store", |config| config.hooks.store = "/x".into()),
    ("control-group", |config| config.control_group.push('x')),
    ("view-group", |config| config.view_group.push('x')),
];

#[test]
fn every_setting_is_seen_and_told_when_it_takes_effect() {
    // Only with that limit there is a user-limit.
    let old = Etc::new("--sessions-per-user 2").read();
    for (key, mutate) in MUTATIONS {
        let mut new = old.clone();
        mutate(&mut new.config);
        let changes = Changes::between(&old, &new);
        let [change] = changes.list.as_slice() else { panic!("{key}: {changes:?}") };
        assert_eq!(change.key, *key);
        assert_ne!(change.old.as_ref().map(|old| &old.value), change.new.as_ref().map(|new| &new.value));

        // What is taken over is all but what needs a restart.
        let applied = new.clone().applied_over(&old);
        let (done, left) = (Changes::between(&old, &applied), Changes::between(&applied, &new));
        assert_eq!(done.is_empty(), change.effect == Effect::Restart, "{key}");
        assert_eq!(left.is_empty(), change.effect != Effect::Restart, "{key}");
        assert_eq!(changes.for_new_sessions, change.effect == Effect::NewSessions, "{key}");
        assert_eq!(changes.needs_restart, change.effect == Effect::Restart, "{key}");
    }
    // None is missing above; `sessions` is the number of addresses.
    let mut all = old.config;
    MUTATIONS.iter().for_each(|(_, mutate)| mutate(&mut all));
    let keys: BTreeSet<String> = all.entries().into_iter().map(|entry| entry.key.into_owned()).collect();
    let mut tried: BTreeSet<String> = MUTATIONS.iter().map(|(key, _)| (*key).to_owned()).collect();
    tried.insert("sessions".to_owned());
    assert_eq!(keys, tried);
}

#[test]
fn what_is_not_a_default_says_where_it_comes_from() {
    let etc = Etc::new("-I eth1 -i -o 5 --padi-rate 7 --heartbeat 9 -T 60 --run-dir /x --auth-tries 2");
    etc.write(
        "options",
        "require-pap\nlcp-max-configure 4\nipv6cp-restart 9\nlcp-echo-failure 2\nchap-interval 60\n\
         papcrypt\nname gw\nipv6 ::1,::2\ndebug\nproxyarp\n",
    );
    for entry in etc.read().config.entries() {
        let origin = entry.origin.to_string();
        let origin = origin.rsplit('/').next().unwrap();
        let expected = match entry.key.as_ref() {
            "interface" => "-I",
            "ac-name" => "-C",
            "ignore-when-full" => "-i",
            "session-offset" => "-o",
            "padi-rate" => "--padi-rate",
            "heartbeat" => "--heartbeat",
            "dead-peer" => "-T",
            "run-dir" => "--run-dir",
            "auth-tries" => "--auth-tries",
            "chap-secrets" => "--chap-secrets",
            "pap-secrets" => "--pap-secrets",
            "mac-deny" => "--mac-deny",
            "sessions" => "pool:1",
            "auth" => "options:1",
            "lcp-max-configure" => "options:2",
            "ipv6cp-restart" => "options:3",
            "lcp-echo-failure" => "options:4",
            "chap-interval" => "options:5",
            "papcrypt" => "options:6",
            "name" => "options:7",
            "ipv6" => "options:8",
            "log-level" => "options:9",
            "proxyarp" => "options:10",
            _ => "default",
        };
        assert_eq!(origin, expected, "{entry:?}");
    }
}

/// What the files say, so that two of them can be compared without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    /// Values that are not the defaults.
    options: Vec<Option<u8>>,
    users: BTreeSet<(u8, u8)>,
    pool: Vec<u8>,
    denied: BTreeSet<u8>,
}

const OPTIONS: [&str; 8] = [
    "lcp-restart",
    "ipcp-max-failure",
    "lcp-echo-interval",
    "chap-max-challenge",
    "idle",
    "maxconnect",
    "maxoctets",
    "ipparam",
];

impl Model {
    fn any() -> impl Strategy<Value = Self> {
        let option = proptest::option::of(21u8..24);
        (
            proptest::collection::vec(option, OPTIONS.len()),
            proptest::collection::btree_set((0u8..4, 0u8..2), 0..4),
            proptest::collection::vec(2u8..9, 1..6),
            proptest::collection::btree_set(0u8..4, 0..3),
        )
            .prop_map(|(options, users, pool, denied)| Self { options, users, pool, denied })
    }

    /// Writes it down in one of many ways.
    fn write(&self, etc: &Etc, reversed: bool, comment: bool) {
        let mut lines: Vec<String> = OPTIONS
            .iter()
            .zip(&self.options)
            .filter_map(|(name, value)| Some(format!("{name} {}", (*value)?)))
            .collect();
        lines.push("require-chap".to_owned());
        let mut users: Vec<_> =
            self.users.iter().map(|(user, secret)| format!("user{user} * s{secret} *")).collect();
        let mut denied: Vec<_> = self.denied.iter().map(|mac| format!("02:00:00:00:00:0{mac}")).collect();
        // The secrets of one user in another order would be another meaning, so no user is turned round.
        users.sort_by_key(|line| line.split(' ').next().unwrap().to_owned());
        if reversed {
            lines.reverse();
            denied.reverse();
        }
        let text = |mut lines: Vec<String>| {
            if comment {
                lines.insert(0, "# a comment".to_owned());
            }
            lines.into_iter().map(|line| line + "\n").collect::<String>()
        };
        etc.write("options", &text(lines));
        etc.write("secrets", &text(users));
        etc.write("deny", &text(denied));
        etc.write("pool", &text(self.pool.iter().map(|last| format!("10.0.0.{last}")).collect()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn there_are_changes_exactly_if_the_files_say_something_else(
        (one, other) in prop_oneof![
            Model::any().prop_map(|model| (model.clone(), model)),
            (Model::any(), Model::any()),
        ],
        ways in any::<[bool; 4]>(),
    ) {
        let etc = Etc::new("");
        one.write(&etc, ways[0], ways[1]);
        let old = etc.read();
        other.write(&etc, ways[2], ways[3]);
        let new = etc.read();
        let changes = Changes::between(&old, &new);
        prop_assert_eq!(changes.is_empty(), one == other, "{:?}", changes);
        // No file can change what needs a restart, so what is taken over is the new one.
        prop_assert!(!changes.needs_restart);
        let applied = new.clone().applied_over(&old);
        prop_assert!(Changes::between(&applied, &new).is_empty());
        prop_assert_eq!(Changes::between(&new, &old).count() == 0, changes.is_empty());
    }
}
