//! The program itself, started by hand instead of by `pppoed`.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

#[test]
fn whoever_starts_it_by_hand_is_told_that_pppoed_does() {
    let output = Command::new(env!("CARGO_BIN_EXE_ppp-worker")).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("it is started by pppoed only"), "{told}");
}
