//! The arrows between the crates: who may depend on whom, checked from `cargo metadata`.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// Every crate of the workspace, the crates of the workspace that it may use, and what it may never pull in.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    // Only tests use it, and so it stands in no list of what may be used.
    ("manual", &[], &["tokio", "nix"]),
    ("ppp-wire", &[], &["tokio", "nix", "serde"]),
    ("ppp-proto", &["ppp-wire"], &["tokio", "nix", "getrandom"]),
    ("ppp-ipc", &["ppp-wire"], &["tokio", "nix"]),
    ("ppp-linux", &["ppp-wire"], &["tokio"]),
    ("pppoed-config", &["ppp-proto", "ppp-wire", "ppp-ipc"], &["tokio", "mlua", "tracing"]),
    ("pppoed-hooks", &["pppoed-config", "ppp-wire", "ppp-ipc", "ppp-linux"], &["tokio", "tracing"]),
    ("pppoed-state", &["pppoed-config", "ppp-wire", "ppp-ipc"], &["tokio", "mlua", "nix", "tracing"]),
    (
        "pppoed",
        &["pppoed-config", "pppoed-hooks", "pppoed-state", "ppp-proto", "ppp-wire", "ppp-ipc", "ppp-linux"],
        &[],
    ),
    ("ppp-worker", &["ppp-proto", "ppp-wire", "ppp-ipc", "ppp-linux"], &["tokio", "mlua", "toml", "clap"]),
    // The formats only to show packets (`trace`): who has privileges is not to read them for that.
    ("pppctl", &["ppp-ipc", "ppp-wire"], &[]),
    (
        "pppoed-fuzz",
        &["ppp-proto", "ppp-wire", "ppp-ipc", "pppoed-config", "pppoed-state"],
        &["tokio", "mlua", "nix"],
    ),
    ("testbed", &["ppp-proto", "ppp-wire", "ppp-ipc", "ppp-linux"], &[]),
];

/// The one crate that may use bincode, the one that may use Lua, and the one that may hold unsafe code.
const ONLY_USER_OF_BINCODE: &str = "ppp-ipc";
const ONLY_USER_OF_LUA: &str = "pppoed-hooks";
const ONLY_UNSAFE: &str = "ppp-linux";

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of the normal and build dependencies of a package; tests may use more.
fn dependencies(package: &Value) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn only_the_allowed_arrows_stand_between_the_crates() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let members: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(members, known, "a crate was added or removed: say here what it may use");

    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed, forbidden) = ALLOWED.iter().find(|(known, ..)| *known == name).unwrap();
        for dependency in dependencies(package) {
            if members.contains(dependency.as_str()) {
                assert!(allowed.contains(&dependency.as_str()), "{name} may not use {dependency}");
            }
            assert!(!forbidden.contains(&dependency.as_str()), "{name} may not use {dependency}");
            assert!(dependency != "mlua" || name == ONLY_USER_OF_LUA, "{name} may not use mlua");
            assert!(dependency != "bincode" || name == ONLY_USER_OF_BINCODE, "{name} may not use bincode");
        }
    }
}

/// `forbid` comes with the workspace's lints, so a crate that does not inherit them could hold unsafe code.
#[test]
fn every_crate_but_one_forbids_unsafe_code() {
    let root = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
    assert!(root.contains("unsafe_code = \"forbid\""));
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert_eq!(inherits, name != ONLY_UNSAFE, "{name}: lints.workspace");
    }
}
