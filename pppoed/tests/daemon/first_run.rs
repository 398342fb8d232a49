//! What a newcomer is told.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::lab::{Lab, directory, until, with_wire};

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 7] = [
        ("without arguments there is a line to copy", welcome),
        ("nobody but root is told what is missing", not_root),
        ("a missing TUN is named", no_tun),
        ("forwarding that is off is named", no_forwarding),
        ("warnings of a start in the background reach the terminal", background),
        ("a capability that is missing is named, with how to give it", no_capability),
        ("too few descriptors are told, with how many are needed", few_descriptors),
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

/// What is refused at the start is refused by `--check`, too.
fn refused_with(before: &str, expected: &[&str]) -> String {
    let arguments = "-I access0 --common-options /nonexistent --console-file /nonexistent --worker /bin/true";
    let (status, started) = run(before, &format!("-F {arguments} --run-dir /nonexistent/run"));
    assert_eq!(status, Some(1), "{started}");
    let (status, checked) = run(before, &format!("--check {arguments}"));
    assert_eq!(status, Some(2), "{checked}");
    for expected in expected {
        assert!(
            started.contains(expected) && checked.contains(expected),
            "{expected}:\n{started}\n{checked}"
        );
    }
    checked
}

fn no_capability() {
    for name in
        ["net_admin", "net_raw", "sys_admin", "sys_chroot", "setpcap", "setuid", "setgid", "kill", "chown"]
    {
        let capital = name.to_uppercase();
        let _ = refused_with(
            &format!("setpriv --bounding-set -{name}"),
            &[
                &format!("root lacks CAP_{capital} ("),
                &format!("a container needs --cap-add={capital}, a systemd unit CAP_{capital}"),
            ],
        );
    }
    let _ = refused_with(
        "setpriv --bounding-set -net_admin,-sys_admin",
        &[
            "a container needs --cap-add=NET_ADMIN --cap-add=SYS_ADMIN, a systemd unit CAP_NET_ADMIN CAP_SYS_ADMIN",
        ],
    );
}

fn few_descriptors() {
    let checked = refused_with(
        "prlimit --nofile=64:64 setpriv --bounding-set -sys_resource",
        &[
            "the hard limit of open files is 64, and pppoed needs 160 to start, 837 with all sessions: ulimit -Hn",
        ],
    );
    // Nothing else that follows from it.
    assert!(!checked.contains("cannot start the worker program"), "{checked}");
}

fn no_forwarding() {
    let lab = Lab::start(&[]);
    lab.logged(&["WARN", "ip_forward is 0", "sysctl -w"]);
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}

fn background() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let arguments = [
        "-I access0 -L 10.0.0.1 -R 10.0.0.2 -N 2 --worker-user nobody --orphan-timeout 0".to_owned(),
        format!("-X {} --run-dir {} --worker {}", path("pid"), path("run"), path(super::worker::NAME)),
        format!(
            "-O {} --common-options {} --chap-secrets {}",
            path("warned"),
            path("empty"),
            path("secrets")
        ),
        format!("--hook-store {} --console-file {}", path("hooks.store"), path("console.toml")),
    ];
    let options = format!("require-chap\nlogfile {}\ncrtscts\n", path("log"));
    fs::write(path("warned"), options).unwrap();
    let (status, said) = run("", &arguments.join(" "));
    let pid = fs::read_to_string(path("pid")).unwrap();
    let log = || fs::read_to_string(path("log")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGTERM).unwrap();
    until("the server to stop", || log().contains(" stopped"));
    assert_eq!(status, Some(0), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("ip_forward is 0")).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].starts_with("pppoed: net.ipv4.ip_forward is 0"), "{said}");
    assert!(!said.contains("stopped") && !said.contains("ready"), "{said}");
    // What the log of the same start has as warnings is on the terminal, and nothing twice.
    for warning in log().lines().filter_map(|line| line.split_once(" WARN ").map(|(_, words)| words)) {
        let seen = said.lines().filter(|line| line.strip_prefix("pppoed: ") == Some(warning)).count();
        assert_eq!(seen, 1, "{warning}: {said}");
    }
}
