//! A member of the control group, who is not root, tries hooks with fields of his own.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use ppp_ipc::codec;
use ppp_ipc::control::{ClientHello, HookTrial, Request, VERSION};

use super::lab::{self, Lab, until, with_wire};

/// As `compat.lua` gives it to `ip-up`.
const SCRIPT: &str = "function ip_up(s)\n\
    assert(file.append(NOTES, string.format('%s %s\\n', s.ipparam or '-', s.username)))\nend\n";

/// Sends what it reads, and prints what comes back until there is nothing more.
const CONVERSE: &str = r#"
    $SIG{ALRM} = sub { exit 0 };
    alarm 5;
    $| = 1;
    socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die $!;
    connect($socket, sockaddr_un($ARGV[0])) or die $!;
    local $/;
    syswrite($socket, scalar <STDIN>);
    shutdown($socket, 1);
    while (sysread($socket, my $answer, 4096)) { print $answer }
"#;

pub(crate) fn tests() -> Vec<super::Test> {
    vec![(
        "a member of the control group gives root's scripts no words".to_owned(),
        Box::new(|| with_wire(member)),
    )]
}

fn member() {
    let directory = lab::directory();
    let notes = directory.path().join("notes");
    fs::create_dir(directory.path().join("hooks.d")).unwrap();
    fs::write(directory.path().join("hooks.d/a.lua"), format!("NOTES = {notes:?}\n{SCRIPT}")).unwrap();
    let lab = Lab::start_in(directory, &["--hooks-dir", "{lab}/hooks.d", "--control-group", "games"]);
    lab.let_all_pass();
    let trial = |fields: &[(&str, &str)]| {
        Request::RunHook(Box::new(HookTrial {
            function: "ip_up".to_owned(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), ppp_ipc::name::Name::new(*value)))
                .collect(),
            ..HookTrial::default()
        }))
    };
    let as_member = |fields: &[(&str, &str)]| {
        let hello = codec::encode(&ClientHello { version: VERSION }).unwrap();
        let message = [hello.to_vec(), codec::encode(&trial(fields)).unwrap().to_vec()].concat();
        let games = nix::unistd::User::from_name("games").unwrap().unwrap();
        let mut command = Command::new("perl");
        command.args(["-MSocket", "-e", CONVERSE]).arg(lab.path("run/control.sock"));
        command.uid(games.uid.as_raw()).gid(games.gid.as_raw());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&message).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (field, value) in [("ipparam", "$(reboot)"), ("env", "x"), ("scripts", "x"), ("pool", "x")] {
        let answer = as_member(&[(field, value)]);
        assert!(answer.contains("only root can set it here"), "{field}: {answer}");
        lab.logged(&["console", &format!("command=\"hooks run ip_up --set {field}={value}\"")]);
    }
    assert!(as_member(&[("ipremote", "192.0.2.7 x")]).contains("expected an IPv4 address"));
    assert!(as_member(&[("dns3", "192.0.2.7")]).contains("there is no such field"));
    assert!(!notes.exists(), "none was called");
    as_member(&[("username", "bob")]);
    // Root may: the files are his.
    lab.console().ask(&trial(&[("ipparam", "gold")]));
    until("both calls", || {
        let mut lines: Vec<String> =
            fs::read_to_string(&notes).unwrap_or_default().lines().map(str::to_owned).collect();
        lines.sort();
        lines == ["- bob", "gold example"]
    });
}
