//! What is written is read back by the rules of OpenMetrics 1.0.0.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::output::samples;

type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
struct Read {
    kind: String,
    unit: Option<String>,
    help: String,
    samples: BTreeMap<Labels, f64>,
}

fn facts() -> Facts {
    let mut stats = samples::stats();
    let mut interface = stats.interfaces.remove(0);
    interface.packets =
        ["received_padi", "sent_pado"].map(|name| NamedCount { name: name.into(), count: 7 }).into();
    let mut other = interface.clone();
    other.interface = "odd\"\\\n\u{1b}[2J\u{202e}name".into();
    let access = |stats| AccessInterface {
        stats,
        index: Some(1),
        sessions: 3,
        open: 2,
        is_served: true,
        profile: None,
        ac_name: ppp_ipc::name::Name::new("ac"),
        services: Vec::new(),
        pool: "default".into(),
        max_sessions: None,
        free_slots: 1,
    };
    Facts {
        version: Some(ServerVersion {
            software: "0.1.0".into(),
            protocol: 2,
            host: "bras1".into(),
            pid: 1,
            uptime_s: 1,
        }),
        stats: Some(stats),
        interfaces: vec![access(interface), access(other)],
        pool: Some(PoolStats { size: 9, in_use: 1, reserved: 1, free: 7, ..PoolStats::default() }),
    }
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Label values, and what follows the closing brace.
fn labels(mut text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").unwrap();
        assert!(is_name(name), "{name}");
        let mut value = String::new();
        let mut characters = rest.chars();
        loop {
            match characters.next().unwrap() {
                '"' => break,
                '\\' => value.push(match characters.next().unwrap() {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    other => panic!("\\{other}"),
                }),
                '\n' => panic!("a line end in a value"),
                other => value.push(other),
            }
        }
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        text = characters.as_str();
        match text.split_at(1) {
            (",", rest) => text = rest,
            ("}", rest) => return (labels, rest),
            other => panic!("{other:?}"),
        }
    }
}

/// Everything between the first line and `# EOF`.
fn parse(text: &str) -> BTreeMap<String, Read> {
    let mut families: BTreeMap<String, Read> = BTreeMap::new();
    let mut current = String::new();
    let body = text.strip_suffix("# EOF\n").expect("the end");
    for line in body.lines() {
        assert!(!line.is_empty() && !line.starts_with("# EOF"), "{line:?}");
        if let Some(descriptor) = line.strip_prefix("# ") {
            let (what, rest) = descriptor.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            assert!(is_name(name), "{name}");
            if name != current {
                assert_eq!(what, "TYPE", "the type comes first");
                assert!(
                    families.insert(name.to_owned(), Read::default()).is_none(),
                    "{name} is in two pieces"
                );
                current = name.to_owned();
            }
            let family = families.get_mut(name).unwrap();
            assert!(family.samples.is_empty(), "{name}: a descriptor behind samples");
            match what {
                "TYPE" => family.kind = value.to_owned(),
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{value}")), "{name} {value}");
                    family.unit = Some(value.to_owned());
                }
                "HELP" => family.help = value.to_owned(),
                other => panic!("{other}"),
            }
            continue;
        }
        let family = families.get_mut(&current).expect("a sample behind its type");
        let end = line.find(['{', ' ']).unwrap();
        let (name, rest) = line.split_at(end);
        let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{name} in {current}"));
        let expected = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            "gauge" | "stateset" => "",
            other => panic!("{other}"),
        };
        assert_eq!(suffix, expected, "{line}");
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inner) => labels(inner),
            None => (Labels::new(), rest),
        };
        let value = rest.strip_prefix(' ').unwrap().parse().unwrap();
        assert!(family.samples.insert(labels, value).is_none(), "the same sample twice: {line}");
    }
    families
}

#[test]
fn what_is_written_can_be_read() {
    let families = parse(&facts().to_string());
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels: Labels =
            labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        *families[name].samples.get(&labels).unwrap_or_else(|| panic!("{name} {labels:?}"))
    };
    assert_eq!(value("pppoed", &[("version", "0.1.0"), ("protocol", "2")]), 1.0);
    assert_eq!(value("pppoed_uptime_seconds", &[]), 200_000.0);
    assert_eq!(families["pppoed_uptime_seconds"].unit.as_deref(), Some("seconds"));
    assert_eq!(value("pppoed_service", &[("pppoed_service", "draining")]), 1.0);
    assert_eq!(value("pppoed_service", &[("pppoed_service", "serving")]), 0.0);
    assert_eq!(value("pppoed_sessions_started", &[]), 12.0);
    assert_eq!(value("pppoed_sessions_ended", &[("reason", "echo-lost")]), 1.0);
    assert_eq!(value("pppoed_pool_addresses", &[("state", "free")]), 7.0);
    assert_eq!(value("pppoed_waiting_dials", &[]), 5.0);
    assert_eq!(value("pppoed_setup_wait_seconds", &[]), 1.234);
    let busy = [("event", "worker message")];
    assert_eq!(value("pppoed_event_loop_turns", &busy), 108.0);
    assert_eq!(value("pppoed_event_loop_busy_seconds", &busy), 0.15);
    assert_eq!(value("pppoed_event_loop_longest_turn_seconds", &busy), 0.1324);
    assert_eq!(value("pppoed_event_loop_stalls", &busy), 2.0);
    // Nothing that acts on a terminal is left.
    let odd = ("interface", "odd\"\\\\n\\u{1b}[2J\\u{202e}name");
    assert_eq!(value("pppoed_interface_sessions", &[odd]), 3.0);
    assert_eq!(value("pppoed_discovery_packets", &[odd, ("direction", "received"), ("code", "padi")]), 7.0);
    assert_eq!(value("pppoed_discovery_dropped_packets", &[odd, ("cause", "truncated")]), 1.0);
    assert!(families.values().all(|family| !family.help.is_empty()));
}

#[test]
fn nothing_known_is_an_empty_exposition() {
    assert!(parse(&Facts::default().to_string()).values().all(|family| family.samples.is_empty()));
}

#[test]
fn every_metric_is_documented() {
    let documentation = include_str!("../../../../docs/metrics.md");
    let families = parse(&facts().to_string());
    for (name, family) in &families {
        let row = format!("| `{name}` | {} |", family.kind);
        assert!(documentation.contains(&row), "docs/metrics.md has no {row}");
        let labels: BTreeSet<&String> = family.samples.keys().flat_map(BTreeMap::keys).collect();
        assert!(labels.iter().all(|label| documentation.contains(&format!("`{label}`"))), "{labels:?}");
    }
    let rows = documentation.lines().filter(|line| line.starts_with("| `pppoed")).count();
    assert_eq!(rows, families.len(), "docs/metrics.md has a metric that there is not");
}
