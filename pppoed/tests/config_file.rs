//! `pppoed.toml` with the command line, the options files and the console around it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use pppoed_config::config::{CommandLine, Config, Layer, Source};
use pppoed_config::origin::{Assignment, Origin};

/// A directory in place of `/etc`, with `pppoed.toml` and options files in it.
struct Etc(tempfile::TempDir);

impl Etc {
    fn new(toml: &str) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        etc.write("pppoed.toml", toml);
        etc.write("options", "");
        etc.write("common", "");
        etc
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn source(&self, words: &str) -> Source {
        let at = self.0.path().display();
        let mut line = format!("pppoed -c {at}/pppoed.toml {words}");
        for (flag, name) in [("-O", "options"), ("--common-options", "common")] {
            if !words.contains("-O") || flag != "-O" {
                line.push_str(&format!(" {flag} {at}/{name}"));
            }
        }
        Source::new(CommandLine::try_parse_from(line.split_whitespace()).unwrap())
    }

    fn config(&self, words: &str) -> Config {
        self.source(words).config().0.unwrap()
    }

    fn errors(&self, words: &str) -> Vec<String> {
        let errors = self.source(words).config().0.unwrap_err();
        errors.iter().map(|error| self.shown(error)).collect()
    }

    fn shown(&self, message: impl ToString) -> String {
        message.to_string().replace(&self.0.path().display().to_string(), "/etc")
    }

    /// Value and origin of an entry.
    fn entry(&self, config: &Config, key: &str) -> (String, String) {
        let entry = config.entries().into_iter().find(|entry| entry.key == key).unwrap();
        (self.shown(&entry.value), self.shown(&entry.origin))
    }
}

fn pair(value: &str, origin: &str) -> (String, String) {
    (value.to_owned(), origin.to_owned())
}

#[test]
fn the_command_line_beats_the_file_and_the_file_the_options() {
    let etc = Etc::new(
        "interface = \"eth1\"\nsessions = 20\nlocal = \"10.0.0.1\"\nsetup-deadline = 9\nservice = [\"a\", \"b\"]\n\
         [ppp]\nlcp-echo-interval = 20\nms-dns = [\"1.1.1.1\", \"9.9.9.9\"]\n",
    );
    etc.write("options", "lcp-echo-interval 5\nlcp-echo-failure 7\nms-dns 8.8.8.8\n");
    let config = etc.config("-N 30 -S c");
    assert_eq!(config.interfaces, ["eth1"]);
    assert_eq!(config.pool.len(), 30);
    for (key, value, origin) in [
        ("interface", "eth1", "/etc/pppoed.toml:1"),
        ("sessions", "30", "-N"),
        ("setup-deadline", "9s", "/etc/pppoed.toml:4"),
        ("service", "\"c\"", "-S"),
        ("lcp-echo-interval", "20s", "/etc/pppoed.toml:7"),
        ("lcp-echo-failure", "7", "/etc/options:2"),
        ("ms-dns", "1.1.1.1 9.9.9.9", "/etc/pppoed.toml:8"),
        ("cookie-lifetime", "5s", "default"),
        ("run-dir", "/run/pppoed", "default"),
    ] {
        assert_eq!(etc.entry(&config, key), pair(value, origin), "{key}");
    }
}

#[test]
fn switches_and_options_without_argument_can_be_taken_back() {
    let etc = Etc::new(
        "no-probe = false\n[ppp]\nrequire-pap = false\nproxyarp = false\nipv6 = true\nauth = true\ndebug = false\n",
    );
    etc.write("options", "+pap\nproxyarp\nipv6 ::1,::2\nnoauth\ndebug\n");
    let config = etc.config("");
    assert!(config.probe);
    for (key, value, origin) in [
        ("auth", "chap pap", "/etc/pppoed.toml:6"),
        ("proxyarp", "false", "/etc/pppoed.toml:4"),
        ("ipv6", "true", "/etc/pppoed.toml:5"),
        ("log-level", "info", "default"),
        ("no-probe", "false", "/etc/pppoed.toml:1"),
    ] {
        assert_eq!(etc.entry(&config, key), pair(value, origin), "{key}");
    }
    // On the command line a switch can only be given.
    assert!(!etc.config("--no-probe").probe);
}

#[test]
fn every_setting_tells_its_line() {
    let etc = Etc::new(
        "per-mac = 2\nlog-level = \"warn\"\nhooks-dir = \"hooks\"\ncontrol-socket = \"sock\"\nlocal = \"10.1.0.1\"\n\
         remote = \"10.1.0.2\"\nac-name = \"ac\"\n[ppp]\nname = \"isp\"\nmtu = 1400\nlogfile = \"log\"\n\
         set = [\"A=b\"]\nip-up-script = \"up\"\nmaxconnect = 3600\n",
    );
    let config = etc.config("");
    for (key, value, line) in [
        ("per-mac", "2", 1),
        ("log-level", "warn", 2),
        ("hooks-dir", "/etc/hooks", 3),
        ("control-socket", "/etc/sock", 4),
        ("ac-name", "\"ac\"", 7),
        ("name", "\"isp\"", 9),
        ("mtu", "1400", 10),
        ("logfile", "/etc/log", 11),
        ("set A", "\"b\"", 12),
        ("ip-up-script", "/etc/up", 13),
        ("maxconnect", "3600", 14),
    ] {
        assert_eq!(etc.entry(&config, key), pair(value, &format!("/etc/pppoed.toml:{line}")), "{key}");
    }
    assert_eq!(etc.entry(&config, "sessions"), pair("64", "default"));
    assert_eq!(config.pool[0].local, "10.1.0.1".parse::<std::net::Ipv4Addr>().unwrap());
}

#[test]
fn values_are_judged_as_on_the_command_line_and_in_options_files() {
    let etc = Etc::new(
        "sessions = 0\nlocal = \"10.0.0.300\"\nhook-failure = \"maybe\"\nfoo = 1\n\
         [ppp]\nmtu = 50\nlcp-echo-interval = -1\nmultilink = true\nms-dns = \"1.1.1\"\n",
    );
    assert_eq!(
        etc.errors(""),
        [
            "/etc/pppoed.toml:4:1: unknown key \"foo\"",
            "/etc/pppoed.toml:1:12: sessions \"0\": 0 is not in 1..=65534",
            "/etc/pppoed.toml:2:9: local \"10.0.0.300\": expected an IPv4 address such as 10.0.0.1",
            "/etc/pppoed.toml:3:16: hook-failure \"maybe\": must be one of: deny, allow",
        ]
    );
    etc.write(
        "pppoed.toml",
        "[ppp]\nmtu = 50\nlcp-echo-interval = -1\nmultilink = true\nms-dns = \"1.1.1\"\nfile = \"x\"\n",
    );
    assert_eq!(
        etc.errors(""),
        [
            "/etc/pppoed.toml:2:7: mtu \"50\": must be between 128 and 1500",
            "/etc/pppoed.toml:3:21: lcp-echo-interval \"-1\": not a number",
            "/etc/pppoed.toml:4:13: multilink is not supported: each client has one session; remove it",
            "/etc/pppoed.toml:5:10: ms-dns \"1.1.1\": not a full IPv4 address (pppd reads it as 1.1.0.1; write 1.1.0.1 if that is \
             what you mean)",
            "/etc/pppoed.toml:6:8: file is not supported: name the file by options-file, above [ppp]",
        ]
    );
    etc.write("pppoed.toml", "local = \"127.0.0.1\"\nuser-limit = \"deny\"\n");
    assert_eq!(
        etc.errors(""),
        [
            "/etc/pppoed.toml:2:14: user-limit has no effect without sessions-per-user: set sessions-per-user as well, or remove user-limit"
        ]
    );
    assert_eq!(
        etc.errors("--sessions-per-user 2"),
        [
            "127.0.0.1 (/etc/pppoed.toml:1) cannot be the local address: it is a loopback, multicast or reserved \
             address"
        ]
    );
    assert_eq!(
        etc.errors("-P"),
        [
            "-P: check-pool has no effect without pool-file: set pool-file as well, or remove check-pool",
            "/etc/pppoed.toml:2:14: user-limit has no effect without sessions-per-user: set sessions-per-user as well, or remove user-limit",
        ]
    );
}

#[test]
fn the_console_beats_everything() {
    let etc = Etc::new("sessions = 20\n[ppp]\nms-dns = \"1.1.1.1\"\nmtu = 1400\n");
    let set = |key: &str, values: &[&str]| Assignment {
        key: key.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
        origin: Origin::Console,
    };
    let console = Layer {
        server: vec![set("sessions", &["7"])],
        ppp: vec![set("ms-dns", &["9.9.9.9", "8.8.8.8"])],
        ..Layer::default()
    };
    let config = etc.source("-N 30").with_console(console.clone()).config().0.unwrap();
    assert_eq!(config.pool.len(), 7);
    for (key, value, origin) in [
        ("sessions", "7", "console"),
        ("ms-dns", "9.9.9.9 8.8.8.8", "console"),
        ("mtu", "1400", "/etc/pppoed.toml:4"),
    ] {
        assert_eq!(etc.entry(&config, key), pair(value, origin), "{key}");
    }
    let bad = Layer {
        server: vec![set("sessions", &["0"]), set("dump", &["true"])],
        ppp: vec![set("mtu", &["1"])],
        ..Layer::default()
    };
    let errors = etc.source("").with_console(bad).config().0.unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["console: sessions \"0\": 0 is not in 1..=65534", "console: there is no setting \"dump\""]
    );
    let bad = Layer {
        ppp: vec![set("mtu", &["1"]), set("nonsense", &[]), set("mtu", &["1400", "1"])],
        ..Layer::default()
    };
    let errors = etc.source("").with_console(bad).config().0.unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "console: mtu \"1\": must be between 128 and 1500",
            "console: \"nonsense\" is not an option; correct or remove it",
            "console: mtu \"1400 1\": must be one value",
        ]
    );
}

#[test]
fn a_named_file_must_exist_and_be_ours() {
    let etc = Etc::new("");
    let path = etc.0.path().join("pppoed.toml");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let notices = etc.source("").config().1;
    assert_eq!(
        etc.shown(&notices[0]),
        "configuration file \"/etc/pppoed.toml\": its mode 0666 lets other users change it: chmod go-w it"
    );
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(etc.source("").config().1, []);
    fs::remove_file(path).unwrap();
    assert_eq!(
        etc.errors(""),
        ["cannot read configuration file \"/etc/pppoed.toml\": No such file or directory (os error 2)"]
    );
}

/// Exit status, standard output and standard error of `pppoed` with these words, on a machine with an interface eth1.
fn run(etc: &Etc, words: &str) -> (Option<i32>, String, String) {
    let at = etc.0.path().display();
    let files =
        format!("-c {at}/pppoed.toml -O {at}/options --common-options {at}/common --hooks-dir {at}/hooks.d");
    let line = format!(
        "{words} {files} --chap-secrets {at}/chap --pap-secrets {at}/pap --worker /bin/true --worker-user nobody"
    );
    let machine = "ip link add eth1 type veth peer name far1 && ip link set eth1 up && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", machine, env!("CARGO_BIN_EXE_pppoed")])
        .args(line.split_whitespace())
        .output()
        .unwrap();
    let text = |bytes| etc.shown(String::from_utf8(bytes).unwrap());
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_reads_everything_and_explains_it() {
    let etc = Etc::new("interface = \"eth1\"\nsessions = 20\n[ppp]\nms-dns = \"9.9.9.9\"\n");
    fs::create_dir(etc.0.path().join("hooks.d")).unwrap();
    etc.write("options", "idle 600\n");
    let users = |name: &str| {
        etc.write(name, "alice * \"secret\" *\n");
        fs::set_permissions(etc.0.path().join(name), Permissions::from_mode(0o600)).unwrap();
    };
    ["chap", "pap"].into_iter().for_each(users);
    let (status, said, errors) = run(&etc, "check");
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert_eq!(said, "no errors in the configuration: 20 sessions\n");
    let (status, said, errors) = run(&etc, "check --explain -N 30");
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let line =
        |key: &str| said.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap_or("none");
    let words = |key: &str| line(key).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("interface"), ["interface", "eth1", "/etc/pppoed.toml:1"]);
    assert_eq!(words("sessions"), ["sessions", "30", "-N"]);
    assert_eq!(words("ms-dns"), ["ms-dns", "9.9.9.9", "/etc/pppoed.toml:4"]);
    assert_eq!(words("idle"), ["idle", "600", "/etc/options:1"]);
    assert_eq!(words("setup-deadline"), ["setup-deadline", "60s", "default"]);
    assert_eq!(words("addresses"), ["addresses", "10.67.15.1-10.67.15.30,", "ours", "is", "10.0.0.1", "-N"]);
    assert_eq!(line("idle").find("/etc"), line("sessions").find("-N"), "columns:\n{said}");
    assert!(said.ends_with("no errors in the configuration: 30 sessions\n"));

    // What a start would find out later.
    etc.write("hooks.d/a.lua", "function on_up( end\n");
    fs::remove_file(etc.0.path().join("pap")).unwrap();
    let (status, said, errors) = run(&etc, "check");
    assert_eq!((status, said.as_str()), (Some(2), ""));
    assert!(errors.contains("/etc/pap\": No such file or directory"), "{errors}");
    assert!(errors.contains("pppoed: a.lua:1: "), "{errors}");
    etc.write("pppoed.toml", "sesions = 20\n");
    let (status, said, errors) = run(&etc, "--check");
    assert_eq!((status, said.as_str()), (Some(2), ""));
    assert_eq!(
        errors,
        "pppoed: /etc/pppoed.toml:1:1: unknown key \"sesions\" (did you mean \"sessions\"?)\n"
    );
    // What only the machine tells.
    etc.write("pppoed.toml", "interface = [\"eth1\", \"eth7\", \"lo\"]\n");
    fs::remove_dir_all(etc.0.path().join("hooks.d")).unwrap();
    users("pap");
    let (status, said, errors) = run(&etc, "check");
    assert_eq!((status, said.as_str()), (Some(2), ""));
    assert!(errors.contains("there is no interface eth7 (-I); available: lo"), "{errors}");
    assert!(errors.contains("interface lo (-I) is not Ethernet"), "{errors}");
    etc.write("pppoed.toml", "interface = \"eth7\"\nwait-for-interfaces = true\n");
    let (status, _, errors) = run(&etc, "check");
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains("there is no interface eth7 yet"), "{errors}");
    etc.write("pppoed.toml", "interface = \"eth1\"\nno-ebpf = true\n");
    etc.write("chap", "alice * x 10.0.0.5\nbob * x 10.0.0.5\ncarol * x\n");
    etc.write("options", "ip-up-script /etc/ppp/mine\n");
    let (status, _, errors) = run(&etc, "check");
    assert_eq!(status, Some(2), "{errors}");
    for expected in [
        "--no-ebpf also disables",
        "10.0.0.5 is the address of user \"alice\" and, at",
        "chap:3: no address is allowed",
        "options:1: nothing runs /etc/ppp/mine: that is done by the hook script compat.lua",
    ] {
        assert!(errors.contains(expected), "{expected}:\n{errors}");
    }
    etc.write(
        "pppoed.toml",
        "interface = \"eth1\"\ncontrol-group = \"no-such-group\"\nrun-dir = \"run\"\npid-file = \"no/pid\"\n",
    );
    fs::create_dir(etc.0.path().join("run")).unwrap();
    fs::set_permissions(etc.0.path().join("run"), Permissions::from_mode(0o777)).unwrap();
    let (status, _, errors) = run(&etc, "check");
    assert_eq!(status, Some(2), "{errors}");
    for expected in [
        "there is no group \"no-such-group\" (/etc/pppoed.toml:2",
        "mode 777; only root may be able to write to it",
        "no/pid: there is no directory",
        "hooks.d\" does not exist; no hook scripts are loaded",
    ] {
        assert!(errors.contains(expected), "{expected}:\n{errors}");
    }
    // Only as the first word.
    let (status, ..) = run(&etc, "-F check");
    assert_eq!(status, Some(2));
}
