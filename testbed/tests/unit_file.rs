//! The systemd unit, by systemd's own tools.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output};

/// What `systemd-analyze security` may say at most, in tenths: less is better. Most of the rest is what the server is for:
/// root, the network, raw sockets, namespaces for its workers, and hook scripts that run what they like.
const EXPOSURE: u32 = 45;

/// Runs `systemd-analyze` on a copy of the unit whose programs are there.
fn analyze(arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pppoed.service");
    let unit = fs::read_to_string(manual::root().join("etc/systemd/pppoed.service")).unwrap();
    let unit = unit.replace("/usr/sbin/pppoed", "/bin/true").replace("/usr/bin/pppctl", "/bin/true");
    fs::write(&path, unit).unwrap();
    Command::new("systemd-analyze").args(arguments).arg(path).output().expect("systemd-analyze")
}

#[test]
fn systemd_finds_no_mistake_in_the_unit() {
    let output = analyze(&["verify", "--man=no"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let about_us: Vec<&str> = said.lines().filter(|line| line.contains("pppoed")).collect();
    assert!(about_us.is_empty(), "{about_us:#?}");
}

#[test]
fn the_service_is_no_more_exposed_than_it_was() {
    let threshold = format!("--threshold={EXPOSURE}");
    let output = analyze(&["security", "--offline=true", "--no-pager", &threshold]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said.lines().rfind(|line| !line.is_empty()).unwrap_or_default());
    assert!(said.contains("Overall exposure level for pppoed.service"), "{said}");
}
