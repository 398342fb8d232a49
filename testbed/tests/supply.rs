//! What `deny.toml` allows of the dependencies, held against the lock file: licences, sources and bans. cargo-deny checks the
//! same, and advisories; this needs nothing but cargo, so that every test run does it.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

struct Supply {
    rules: toml::Table,
    packages: Vec<Value>,
}

impl Supply {
    /// The whole lock file.
    fn read() -> Self {
        let rules = std::fs::read_to_string(format!("{TOP}/deny.toml")).unwrap().parse().unwrap();
        Self { rules, packages: packages(&[]) }
    }

    /// The packages of the platforms that deny.toml names.
    fn built(&self) -> Vec<Value> {
        let targets = self.list("graph", "targets").iter();
        packages(&targets.map(|target| target.as_str().unwrap()).collect::<Vec<_>>())
    }

    fn list(&self, table: &str, key: &str) -> &[toml::Value] {
        self.rules[table][key].as_array().unwrap()
    }
}

/// The packages of these platforms, or of all.
fn packages(platforms: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .args(["--manifest-path", &format!("{TOP}/Cargo.toml")])
        .args(platforms.iter().flat_map(|platform| ["--filter-platform", platform]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a toml::Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Whether an SPDX expression can be met by licences that `allows` says yes to.
fn is_met(expression: &str, allows: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    let met = alternatives(&mut rest, allows);
    assert!(rest.is_empty(), "{expression:?} is no SPDX expression");
    met
}

fn alternatives(rest: &mut &[&str], allows: &dyn Fn(&str) -> bool) -> bool {
    let mut met = conjunction(rest, allows);
    while let ["OR", tail @ ..] = rest {
        *rest = tail;
        met |= conjunction(rest, allows);
    }
    met
}

fn conjunction(rest: &mut &[&str], allows: &dyn Fn(&str) -> bool) -> bool {
    let mut met = licence(rest, allows);
    while let ["AND", tail @ ..] = rest {
        *rest = tail;
        met &= licence(rest, allows);
    }
    met
}

fn licence(rest: &mut &[&str], allows: &dyn Fn(&str) -> bool) -> bool {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let met = alternatives(rest, allows);
            *rest = rest.strip_prefix(&[")"]).unwrap();
            met
        }
        [id, "WITH", exception, tail @ ..] => {
            *rest = tail;
            allows(&format!("{id} WITH {exception}"))
        }
        [id, tail @ ..] => {
            *rest = tail;
            allows(id)
        }
        [] => panic!("a licence is missing"),
    }
}

#[test]
fn expressions_of_licences() {
    let allows = |id: &str| matches!(id, "MIT" | "Apache-2.0" | "Unicode-3.0");
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND NCSA", false),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
    ] {
        assert_eq!(is_met(expression, &allows), expected, "{expression}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let supply = Supply::read();
    let allowed: BTreeSet<&str> =
        supply.list("licenses", "allow").iter().map(|id| id.as_str().unwrap()).collect();
    let exceptions: BTreeMap<&str, &toml::Value> =
        supply.list("licenses", "exceptions").iter().map(|one| (text(one, "crate"), one)).collect();
    let mut needed = BTreeSet::new();
    let built = supply.built();
    assert!(built.len() > 100);
    for package in &built {
        let expression = package["license"].as_str();
        let expression = expression.unwrap_or_else(|| panic!("{} has no licence", name(package)));
        if is_met(expression, &|id| allowed.contains(id)) {
            continue;
        }
        let exception = exceptions.get(name(package));
        let exception = exception.unwrap_or_else(|| panic!("{}: {expression}", name(package)));
        let more: Vec<&str> =
            exception["allow"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let both = |id: &str| allowed.contains(id) || more.contains(&id);
        assert!(is_met(expression, &both), "{}: {expression}", name(package));
        needed.insert(name(package));
    }
    let listed: BTreeSet<&str> = exceptions.into_keys().collect();
    assert_eq!(needed, listed, "an exception that is not needed is to go");
}

#[test]
fn every_package_is_our_own_or_of_crates_io_and_none_is_banned() {
    let supply = Supply::read();
    let registries = supply.list("sources", "allow-registry");
    assert_eq!(registries.len(), 1);
    assert!(CRATES_IO.ends_with(registries[0].as_str().unwrap()));
    assert!(supply.list("sources", "allow-git").is_empty());
    let banned: BTreeSet<&str> = supply.list("bans", "deny").iter().map(|one| text(one, "name")).collect();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in &supply.packages {
        match package["source"].as_str() {
            Some(source) => assert_eq!(source, CRATES_IO, "{}", name(package)),
            None => assert!(package["publish"] == Value::Array(Vec::new()), "{} is ours?", name(package)),
        }
        assert!(!banned.contains(name(package)), "{} is banned", name(package));
        *versions.entry(name(package)).or_default() += 1;
    }
    let several: BTreeSet<&str> =
        versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    let skipped: BTreeSet<&str> = supply.list("bans", "skip").iter().map(|one| text(one, "name")).collect();
    assert_eq!(several, skipped, "packages in several versions, and those that deny.toml knows");
    assert!(supply.packages.len() > 100);
}

/// `=1.2.3`: what is built is what was looked at.
#[test]
fn every_dependency_has_an_exact_version() {
    let supply = Supply::read();
    let own = supply.packages.iter().filter(|package| package["source"].is_null());
    for package in own {
        for dependency in package["dependencies"].as_array().unwrap() {
            let (name, req) = (dependency["name"].as_str().unwrap(), dependency["req"].as_str().unwrap());
            assert!(!dependency["path"].is_null() || req.starts_with('='), "{name} {req}");
        }
    }
}

#[test]
fn every_advisory_that_is_ignored_has_a_reason() {
    let supply = Supply::read();
    for ignored in supply.list("advisories", "ignore") {
        assert!(text(ignored, "id").starts_with("RUSTSEC-") && text(ignored, "reason").len() > 20);
    }
}
