//! `[[interface]]` and `[pool.NAME]` of `pppoed.toml`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use pppoed_config::config::{CommandLine, Config, ConfigError, Notice, Source};
use pppoed_config::flags::PerMac;

/// What comes of a `pppoed.toml` in `/etc`, beside a pool file.
fn read(toml: &str, words: &str) -> (Result<Config, Vec<String>>, Vec<String>) {
    let etc = tempfile::tempdir().unwrap();
    let at = etc.path().display().to_string();
    for (name, text) in [("pppoed.toml", toml), ("options", ""), ("pool", "10.7.0.2-4\n10.8.0.1:10.8.0.9\n")]
    {
        fs::write(etc.path().join(name), text).unwrap();
    }
    let line =
        format!("pppoed -c {at}/pppoed.toml -O {at}/options --common-options {at}/options -C ac {words}");
    let line = CommandLine::try_parse_from(line.split_whitespace()).unwrap();
    let (config, notices) = Source::new(line).config();
    let shown = |message: String| message.replace(&at, "/etc");
    let errors = |errors: Vec<ConfigError>| errors.iter().map(|error| shown(error.to_string())).collect();
    let notices = notices.iter().filter(|notice| !matches!(notice, Notice::Exposed { .. }));
    (config.map_err(errors), notices.map(|notice| shown(notice.to_string())).collect())
}

const VLANS: &str = r#"
mac-rate = 5

[pool.offices]
local = "10.1.0.1"
addresses = ["10.1.0.2-10.1.0.65", "10.2.0.1:10.2.0.7"]

[pool.flats]
file = "pool"

[[interface]]
name = "eth1.10"
service = ["office", "backup"]
ac-name = "offices"
pool = "offices"
sessions = 40
per-mac = 2
padi-rate = 0
mac-rate = 50
pado-delay = "20"
auth = ["chap"]
ms-dns = "9.9.9.9"
rate-down = "10M"
mtu = 1400

[[interface]]
name = "eth1.*"
pool = "flats"
auth = "none"
"#;

#[test]
fn every_key_of_an_interface_and_a_pool() {
    let (config, notices) = read(VLANS, "");
    let config = config.unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(
        (config.interfaces.as_slice(), config.patterns.as_slice()),
        (&["eth1.10".into()][..], &["eth1.*".into()][..])
    );
    let pools: Vec<_> = config.pools().map(|(name, entries)| (name.to_string(), entries.len())).collect();
    assert_eq!(pools, [("offices".to_owned(), 65), ("flats".to_owned(), 4)]);
    let own: Vec<String> = config
        .entries()
        .into_iter()
        .filter(|entry| entry.key.starts_with("interface ") || entry.key.starts_with("pool "))
        .map(|entry| {
            format!(
                "{} = {} ({})",
                entry.key,
                entry.value,
                entry.origin.to_string().rsplit('/').next().unwrap()
            )
        })
        .collect();
    assert_eq!(
        own,
        [
            "pool offices: sessions = 65 (pppoed.toml:4)",
            "pool flats: sessions = 4 (pppoed.toml:8)",
            "interface eth1.10: service = \"office\" \"backup\" (pppoed.toml:13)",
            "interface eth1.10: ac-name = \"offices\" (pppoed.toml:14)",
            "interface eth1.10: pado-delay = 20 (pppoed.toml:20)",
            "interface eth1.10: padi-rate = none (pppoed.toml:18)",
            "interface eth1.10: mac-rate = 50 (pppoed.toml:19)",
            "interface eth1.10: sessions = 40 (pppoed.toml:16)",
            "interface eth1.10: per-mac = 2 (pppoed.toml:17)",
            "interface eth1.10: auth = chap (pppoed.toml:21)",
            "interface eth1.10: pool = offices (pppoed.toml:15)",
            "interface eth1.10: mtu = 1400 (pppoed.toml:24)",
            "interface eth1.10: ms-dns = 9.9.9.9 (pppoed.toml:22)",
            "interface eth1.10: rate-down = 10M (pppoed.toml:23)",
            "interface eth1.*: auth = none (pppoed.toml:29)",
            "interface eth1.*: pool = flats (pppoed.toml:28)",
        ]
    );
    let flats = config.for_profile(config.profile("eth1.77").unwrap());
    assert_eq!((flats.per_mac.value, flats.limits.discovery.per_mac.unwrap().burst()), (PerMac::Replace, 5));
    let locals: Vec<_> =
        config.pools().flat_map(|(_, entries)| entries).map(|entry| entry.local.to_string()).collect();
    assert_eq!(&locals[63..], ["10.1.0.1", "10.2.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.8.0.1"]);
}

#[test]
fn mistakes_name_line_and_column() {
    for (toml, expected) in [
        (
            "[[interface]]\npool = \"x\"",
            "1:1: [[interface]] has no name: give name = \"eth1\", or a pattern, \"eth1.*\"",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nservce = \"x\"",
            "3:1: unknown key \"servce\" (did you mean \"service\"?)",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nms-dsn = \"x\"",
            "3:1: unknown key \"ms-dsn\" (did you mean \"ms-dns\"?)",
        ),
        (
            "[[interface]]\nname = \"eth1\"\ncookie-lifetime = 3",
            "3:1: \"cookie-lifetime\" does not belong here: it holds for all interfaces: put it above the first line in \
             [brackets]",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nlcp-restart = 3",
            "3:1: \"lcp-restart\" does not belong here: it holds for all interfaces: put it below [ppp]",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nsessions = \"9\"",
            "3:12: sessions: expected a number without quotes, found a string",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nsessions = -1",
            "3:12: sessions \"-1\": -1 is not in 0..=4294967295",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nauth = \"eap\"",
            "3:8: auth must be \"chap\", \"pap\", [\"chap\", \"pap\"] or \"none\"",
        ),
        (
            "[[interface]]\nname = \"eth1\"\nauth = []",
            "3:8: auth is empty: say \"none\" if clients need not prove who they are",
        ),
        (
            "[[interface]]\nname = \"a/b\"",
            "2:8: name \"a/b\" is no name of an interface: interface name \"a/b\" contains '/', which is not allowed there",
        ),
        ("[[interface]]\nname = \"eth1\"\npool = \"p\"", "3:8: there is no pool \"p\"; there are: default"),
        (
            "[[interface]]\nname = \"eth1\"\n[[interface]]\nname = \"eth1\"",
            "3:1: there is a section for interface \"eth1\" already, at /etc/pppoed.toml:1",
        ),
        ("[pool.a]\nadresses = []", "2:1: unknown key \"adresses\" (did you mean \"addresses\"?)"),
        (
            "[pool.a]\naddresses = []",
            "1:1: pool \"a\" has no address: give addresses = [\"a.b.c.d-e.f.g.h\"], or file",
        ),
        (
            "[pool.a]\naddresses = [\"10.0.0.2\", \"10.0.0.9-3\"]",
            "2:26: addresses \"10.0.0.9-3\": the end of the range is before its start",
        ),
        (
            "[pool.a]\naddresses = \"10.0.0.2\"\nfile = \"pool\"",
            "1:1: a pool has addresses or a file, not both",
        ),
        ("[pool.a]\nlocal = \"x\"\nfile = \"pool\"", "2:9: local \"x\" is no IPv4 address"),
        (
            "[pool.default]\nfile = \"pool\"",
            "1:1: pool \"default\" is that of local, remote, sessions and pool-file: set these, above the first line in \
             [brackets]",
        ),
        (
            "[pool.\"a b\"]\nfile = \"pool\"",
            "1:1: \"a b\" is no name of a pool: 1 to 32 letters, digits, hyphens and underscores",
        ),
        (
            "[pool.a]\naddresses = \"10.7.0.4\"\n[pool.b]\nfile = \"pool\"",
            "/etc/pool:1: 10.7.0.4 is in pool \"b\" and, at /etc/pppoed.toml:2, in pool \"a\": addresses must be \
             unique",
        ),
    ] {
        let errors = read(toml, "").0.unwrap_err();
        let whole = if expected.starts_with('/') {
            expected.to_owned()
        } else {
            format!("/etc/pppoed.toml:{expected}")
        };
        assert_eq!(errors, [whole], "{toml}");
    }
    let (_, notices) = read("[pool.a]\nfile = \"pool\"", "");
    assert_eq!(notices, ["/etc/pppoed.toml:1: no interface has pool \"a\""]);
}
