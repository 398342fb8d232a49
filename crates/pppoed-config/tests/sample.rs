//! `etc/pppoed.toml`, which is installed as the first configuration file: every line of it, uncommented.
//!
//! It is written from the keys by `UPDATE_MAN=1 cargo test -p pppoed-config --test sample`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pppoed_config::config::{CommandLine, Config, Source, reference, sample_file};

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc/pppoed.toml")
}

/// Settings that a `pppoed.toml` makes, without their origins, on a machine that has no other file.
fn config(text: &str) -> Result<Config, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    for (name, contents) in [
        ("pppoed.toml", text),
        ("options", ""),
        ("pool", "10.0.0.2-9\n"),
        ("macs.allow", ""),
        ("macs.deny", ""),
        ("users.toml", ""),
    ] {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    // What the file itself says about options files is taken, and these machines have none.
    let line = format!("pppoed -c {at}/pppoed.toml -O {at}/options --common-options {at}/none");
    let source = Source::new(CommandLine::try_parse_from(line.split_whitespace()).unwrap());
    let shown = |errors: Vec<_>| errors.iter().map(ToString::to_string).collect();
    source.config().0.map_err(|errors: Vec<pppoed_config::config::ConfigError>| shown(errors))
}

fn values(config: &Config) -> BTreeMap<String, String> {
    let entries = config.entries().into_iter();
    entries
        .map(|entry| (entry.key.into_owned(), entry.value))
        .chain([("pool".into(), format!("{:?}", config.pool))])
        .collect()
}

#[test]
fn the_file_is_that_of_the_keys() {
    if std::env::var_os("UPDATE_MAN").is_some() {
        fs::write(path(), sample_file()).unwrap();
    }
    let there = fs::read_to_string(path()).unwrap_or_default();
    assert!(
        there == sample_file(),
        "etc/pppoed.toml: UPDATE_MAN=1 cargo test -p pppoed-config --test sample"
    );
    assert!(there.lines().all(|line| line.is_empty() || line.starts_with('#')), "all lines are comments");
    assert!(there.lines().all(|line| line.chars().count() <= 130), "lines to read");
}

/// The keys in the file that can be uncommented: name, the line with its table before it, and whether it says that
/// this is the default.
fn lines() -> Vec<(String, String, bool)> {
    let text = fs::read_to_string(path()).unwrap();
    let (mut table, mut before, mut found) = ("", "", Vec::new());
    for line in text.lines() {
        let Some(setting) = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty())
        else {
            before = line;
            continue;
        };
        match setting.split_once(" = ") {
            Some((key, _)) => {
                found.push((key.to_owned(), format!("{table}{setting}\n"), before.ends_with(" Default:")));
            }
            None => {
                assert_eq!(setting, "[ppp]");
                table = "[ppp]\n";
            }
        }
    }
    found
}

#[test]
fn every_line_can_be_uncommented_and_says_the_default_where_it_says_so() {
    let defaults = values(&config("").unwrap());
    let lines = lines();
    for (key, line, is_default) in &lines {
        let beside = if key == "user-limit" { "sessions-per-user = 2\n" } else { "" };
        let config = config(&format!("{beside}{line}")).unwrap_or_else(|errors| panic!("{line}: {errors:?}"));
        let values = values(&config);
        if *is_default {
            let differ: Vec<_> =
                values.iter().filter(|(key, value)| defaults.get(*key) != Some(value)).collect();
            assert!(differ.is_empty() && values.len() == defaults.len(), "{line}: {differ:?}");
        }
    }
    assert!(lines.iter().filter(|(.., is_default)| *is_default).count() > 50);
    // The four lines to begin with, and every key once.
    let keys: Vec<&String> = lines.iter().skip(4).map(|(key, ..)| key).collect();
    let reference = reference();
    assert_eq!(keys, reference.iter().map(|key| &key.key).collect::<Vec<_>>());
    let first: String = lines.iter().take(4).map(|(_, line, _)| line.as_str()).collect();
    let config = config(&first).unwrap();
    assert_eq!((config.interfaces.as_slice(), config.pool.len()), (&["eth1".to_owned()][..], 64));
}

/// All of them at once, but for those that contradict each other.
#[test]
fn the_whole_file_can_be_uncommented() {
    let lines = lines();
    let of = |table: bool| -> String {
        let own = lines.iter().skip(4).filter(|(_, line, _)| line.starts_with("[ppp]") == table);
        own.map(|(_, line, _)| line.trim_start_matches("[ppp]\n")).collect()
    };
    let text = format!(
        "{}sessions-per-user = 2\n[ppp]\n{}",
        of(false).replace("sessions-per-user = 0\n", ""),
        of(true)
    );
    let config = config(&text).unwrap();
    assert_eq!(config.interfaces, ["eth1", "eth2"]);
}
