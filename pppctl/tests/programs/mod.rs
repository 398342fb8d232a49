//! What `pppctl` writes for other programs, read by these: shells and tshark. `testbed setup` installs them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ppp_ipc::control::{CaptureEnd, CapturedFrame, Response};
use tempfile::TempDir;

use crate::fake::{Fake, pppctl};
use crate::{result, trace};

fn completions(shell: &str, name: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let output = pppctl(Path::new("/nonexistent"), &["completions", shell]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    fs::write(directory.path().join(name), &output.stdout).unwrap();
    directory
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    command.output().unwrap_or_else(|error| panic!("{program} ({error}): `testbed setup` installs it"))
}

#[test]
fn fish_completes_the_words_of_the_table() {
    let directory = completions("fish", "pppctl.fish");
    let complete = |line: &str| {
        let script = format!("source {}/pppctl.fish; complete -C '{line}'", directory.path().display());
        let output = run("fish", &["--no-config", "-c", &script]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{:?}", output.stderr);
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(complete("pppctl termi"), ["terminate"]);
    assert_eq!(complete("pppctl show sessions --sta"), ["--state"]);
    assert_eq!(complete("pppctl trace inter"), ["interface"]);
}

/// In an interactive zsh, with the key.
#[test]
fn zsh_completes_the_words_of_the_table() {
    let directory = completions("zsh", "_pppctl");
    let complete = |typed: &str, wanted: &str| {
        let script = format!(
            r#"zmodload zsh/zpty
            zpty z "TERM=dumb zsh -f -i"
            zpty -w z "PS1=; fpath=({} \$fpath); autoload -Uz compinit; compinit -u -D; echo re''ady"
            zpty -r z out '*ready*'
            zpty -w -n z $'{typed}\t'
            zpty -r z out '*{wanted}*' && print -r -- complete
            zpty -d z"#,
            directory.path().display()
        );
        let output = run("timeout", &["30", "zsh", "-f", "-c", &script]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.ends_with("complete\n"),
            "{typed}: {text:?} {:?}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    complete("pppctl termi", "pppctl terminate");
    complete("pppctl show sessions --sta", "pppctl show sessions --state");
    complete("pppctl terminate inter", "pppctl terminate interface");
}

#[test]
fn tshark_finds_nothing_malformed_in_a_capture() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("one.pcapng");
    // All but the one that is malformed.
    let frames: Vec<CapturedFrame> = trace::dial()
        .into_iter()
        .map(|traced| traced.frame)
        .filter(|frame| !frame.bytes.ends_with(b"\0\x63"))
        .collect();
    let count = frames.len();
    let answer = vec![
        Response::Frames(frames),
        Response::CaptureEnd(CaptureEnd { frames: 9, lost: 0, why: "the session is over".into() }),
        Response::Done,
    ];
    let output =
        Fake::answering(move |_| answer.clone()).run(&["capture", "7", "-w", file.to_str().unwrap()]);
    assert_eq!(result(&output), (0, "9 packets captured: the session is over\n", ""));
    let read = |arguments: &[&str]| {
        let output = run("tshark", &[&["-n", "-r", file.to_str().unwrap()], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(read(&["-Y", "_ws.malformed || _ws.short"]), "");
    let fields =
        ["-T", "fields", "-e", "frame.time_epoch", "-e", "pppoe.code", "-e", "frame.packet_flags_direction"];
    let lines = read(&fields);
    assert_eq!(lines.lines().count(), count, "{lines}");
    let first: Vec<&str> = lines.lines().next().unwrap().split('\t').collect();
    assert!(first[0].starts_with("37862.0") && first[1] == "0x09", "{lines}");
    assert_eq!(
        read(&["-Y", "lcp.opt.type == 3", "-T", "fields", "-e", "pppoe.session_id"]).lines().count(),
        2
    );
}
