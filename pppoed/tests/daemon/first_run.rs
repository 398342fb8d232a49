//! What a newcomer is told.

use std::process::Command;

use nix::sys::signal::Signal;

use super::lab::{Lab, with_wire};

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 4] = [
        ("without arguments there is a line to copy", welcome),
        ("nobody but root is told what is missing", not_root),
        ("a missing TUN is named", no_tun),
        ("forwarding that is off is named", no_forwarding),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// Exit status and standard error of `pppoed`, started by these words in front of it.
fn run(before: &str, arguments: &str) -> (Option<i32>, String) {
    let line = format!("{before} '{}' {arguments}", env!("CARGO_BIN_EXE_pppoed"));
    let output = Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn welcome() {
    // -F alone is what a unit has whose settings are all in files.
    for arguments in ["", "-F"] {
        let (status, said) = run("", arguments);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("pppoed -I access0 -L 10.0.0.1"), "{said}");
        assert!(said.contains("access0, hosts0\n"), "{said}");
    }
}

fn not_root() {
    let (status, said) = run(
        "setpriv --reuid 65534 --regid 65534 --clear-groups",
        "-F -I access0 --common-options /nonexistent --console-file /nonexistent",
    );
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("must be started as root"), "{said}");
}

fn no_tun() {
    let hide = "mount -t tmpfs none /dev/net && exec";
    let (status, said) = run(
        &format!("unshare --mount sh -c '{hide} \"$0\" \"$@\"'"),
        "-F -I access0 --common-options /nonexistent --console-file /nonexistent",
    );
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("there is no /dev/net/tun: modprobe tun"), "{said}");
}

fn no_forwarding() {
    let lab = Lab::start(&[]);
    lab.logged(&["WARN", "ip_forward is 0", "sysctl -w"]);
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}
