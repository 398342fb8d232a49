//! `pppoed import`: the set-ups that people have, carried over.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use pppoed_config::config::{CommandLine, Config, Layer, Source, file};
use pppoed_config::import::{ImportFlags, Imported, find, import};
use proptest::prelude::*;

/// A directory in place of `/etc/ppp`.
struct Etc(tempfile::TempDir);

impl Etc {
    fn new(files: &[(&str, &str)]) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        for (name, contents) in files {
            fs::write(etc.path(name), contents).unwrap();
        }
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, text: &str) -> String {
        text.replace("/etc/ppp", &self.0.path().display().to_string())
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "/etc/ppp")
    }

    /// Imports these words, with `/etc/ppp/options` and the `-O` of pppoe-server being those of this directory.
    fn import(&self, words: &str) -> Imported {
        let line = self.at(&format!("pppoed import --common-options /etc/ppp/options {words}"));
        let words = line.split_whitespace().skip(1);
        import(&ImportFlags::try_parse_from(words).unwrap()).unwrap()
    }

    /// What the command line makes, and what its import makes.
    fn both(&self, words: &str) -> (Config, Config, Imported) {
        let options = if words.contains("-O") { "" } else { " -O /etc/ppp/pppoe-server-options" };
        let line = self.at(&format!("pppoed {words}{options} --common-options /etc/ppp/options"));
        let old = Source::new(CommandLine::try_parse_from(line.split_whitespace()).unwrap());
        let imported = self.import(&format!("-- pppoe-server {words}{options}"));
        let (layer, errors) = file::layer(Path::new("/etc/pppoed/pppoed.toml"), imported.toml.as_bytes());
        assert_eq!(errors, [], "{}", imported.toml);
        let new = Source::new(CommandLine::try_parse_from(["pppoed"]).unwrap()).with_file(layer);
        let old = old.with_file(Layer::default()).config().0.unwrap();
        (old, new.config().0.unwrap(), imported)
    }

    /// Asserts that nothing has changed, and returns what was said.
    fn round_trip(&self, words: &str) -> Vec<String> {
        let (old, new, imported) = self.both(words);
        let values = |config: &Config| -> BTreeMap<String, String> {
            let entries = config.entries().into_iter();
            // Who starts the server says that again.
            entries
                .filter(|entry| entry.key != "foreground")
                .map(|entry| (entry.key.into_owned(), entry.value))
                .collect()
        };
        assert_eq!(values(&old), values(&new), "{}", imported.toml);
        assert_eq!(old.pool, new.pool);
        assert!(values(&new).len() > 60);
        imported.remarks.iter().map(|remark| self.shown(remark)).collect()
    }
}

#[test]
fn guide_a() {
    let etc = Etc::new(&[(
        "pppoe-server-options",
        "lcp-echo-interval 10\nlcp-echo-failure 2\nlogfile /var/log/pppoe.log\n",
    )]);
    assert_eq!(etc.round_trip("-I eth0 -L 192.168.100.1 -R 192.168.100.10"), Vec::<String>::new());
}

const GUIDE_B: &str = "require-pap\nrequire-chap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\n\
                       logfile /var/log/pppoe.log\nms-dns 8.8.8.8\nms-dns 8.8.4.4\ndefaultroute\n";

#[test]
fn guide_b() {
    let etc = Etc::new(&[("options", "local\n"), ("pppoe-server-options", GUIDE_B)]);
    let remarks = etc.round_trip("-I eth0 -L 10.0.0.1 -R 10.0.0.2 -N 64 -k");
    assert_eq!(
        remarks,
        [
            "/etc/ppp/options:1: local has no effect: it applies to serial lines only",
            "/etc/ppp/pppoe-server-options:3: login: system passwords are not used: CHAP works as without it, PAP \
             uses pap-secrets only, and a line with an empty secret never matches",
            "/etc/ppp/pppoe-server-options:9: defaultroute has no effect: the server never sets a default route to a \
             client",
            "-k: no effect: sessions are relayed by our own workers, not by the kernel's PPPoE",
        ]
    );
}

#[test]
fn guide_c() {
    let etc = Etc::new(&[(
        "pppoe-server-options",
        "require-chap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\nms-dns 202.106.0.20\nms-dns 8.8.8.8\n",
    )]);
    let remarks = etc.round_trip("-I eth1 -L 192.168.10.109 -R 192.168.10.2 -N 20");
    assert_eq!(remarks.len(), 1, "{remarks:?}");
}

#[test]
fn guide_d() {
    let etc = Etc::new(&[("pppoe-server-options", "")]);
    assert_eq!(etc.round_trip("-I eth0 -C access -S internet -S tv"), Vec::<String>::new());
}

#[test]
fn guide_e() {
    let etc =
        Etc::new(&[("options", "require-pap\nrequire-chap\nlcp-echo-interval 10\nlcp-echo-failure 2\n")]);
    let remarks = etc.round_trip("-I eth1 -L 172.16.0.254 -O /etc/ppp/options -F");
    assert_eq!(remarks, ["-F: it depends on how pppoed is started; command line only"]);
}

#[test]
fn the_file_is_one_to_read() {
    let etc = Etc::new(&[("options", "local\n"), ("pppoe-server-options", GUIDE_B)]);
    let (.., imported) = etc.both("-I eth0 -L 10.0.0.1 -R 10.0.0.2 -N 64");
    let text = etc.shown(&imported.toml);
    let (head, body) = text.split_once("\n\n").unwrap();
    assert!(
        head.starts_with(
            "# Made by \"pppoed import\" from the command line:\n#   pppoe-server -I eth0 -L 10.0.0.1"
        ),
        "{head}"
    );
    assert!(head.lines().all(|line| line.starts_with('#')), "{head}");
    assert_eq!(
        body,
        "interface = \"eth0\"  # -I\nlocal = \"10.0.0.1\"  # -L\nremote = \"10.0.0.2\"  # -R\nsessions = 64  # -N\n\
         # The options below are all: those of /etc/ppp/options and the like are not read any more.\n\
         no-options-files = true\n\n[ppp]\n\
         require-pap = true  # /etc/ppp/pppoe-server-options:1\n\
         require-chap = true  # /etc/ppp/pppoe-server-options:2\n\
         login = true  # /etc/ppp/pppoe-server-options:3\n\
         lcp-echo-interval = 10  # /etc/ppp/pppoe-server-options:4\n\
         lcp-echo-failure = 2  # /etc/ppp/pppoe-server-options:5\n\
         logfile = \"/var/log/pppoe.log\"  # /etc/ppp/pppoe-server-options:6\n\
         ms-dns = [\"8.8.8.8\", \"8.8.4.4\"]  # /etc/ppp/pppoe-server-options:8\n"
    );
}

#[test]
fn flags_and_options_of_every_kind() {
    let etc = Etc::new(&[
        ("options", "auth\nname first\nms-dns 1.1.1.1\nlcp-restart 0x5\nproxyarp\n"),
        (
            "pppoe-server-options",
            "noauth\nusehostname\nms-dns 8.8.8.8\nms-dns 8.8.4.4\nmtu 1400\n-d\nset A=1\nset B=2\nunset C\nnoproxyarp\n\
             ipv6 ::1\nipv6 ,::2\nip-up-script /etc/up\nipparam \"a \\\"b\\\" c\"\nidle 010\n",
        ),
        ("pool", "10.0.0.2-9\n10.1.0.1:10.0.0.20\n# no address\n"),
    ]);
    let words = "-I eth1 -I eth2.100 -C ac -S isp -S tv -L 10.0.0.1 -l -x 2 -i -o 5 -r -u -m 1400 -T 60 -M hello -p \
                 /etc/ppp/pool -X /run/p.pid --log-level warn --padi-rate 7 --pado-delay 0,100:5";
    let (old, new, imported) = etc.both(words);
    assert_eq!(old.pool, new.pool);
    let of = |config: &Config| -> Vec<(String, String)> {
        config.entries().into_iter().map(|entry| (entry.key.into_owned(), entry.value)).collect()
    };
    let differ: Vec<_> = of(&old).into_iter().filter(|entry| !of(&new).contains(entry)).collect();
    // Two lines that add up make one value, which this import does not: it says so.
    assert_eq!(differ, [("ipv6".to_owned(), "::1,::2".to_owned())]);
    assert!(
        imported.remarks.contains(&"ipv6 was ::1,::2 and is now ,::2".to_owned()),
        "{:?}",
        imported.remarks
    );
}

#[test]
fn what_cannot_be_carried_over_is_told() {
    let etc = Etc::new(&[("pppoe-server-options", "require-mppe\nfoo\nmtu 1400\nlcp-echo-failure 2.4.4\n")]);
    let imported = etc.import("--options /etc/ppp/pppoe-server-options -- -I eth1 -g /usr/lib/plugin.so");
    let remarks: Vec<String> = imported.remarks.iter().map(|remark| etc.shown(remark)).collect();
    for start in [
        "-g: no effect",
        "/etc/ppp/pppoe-server-options:1: require-mppe is not supported",
        "/etc/ppp/pppoe-server-options:2: \"foo\" is not an option",
        "/etc/ppp/pppoe-server-options:4: lcp-echo-failure \"2.4.4\"",
    ] {
        assert!(remarks.iter().any(|remark| remark.starts_with(start)), "{start}: {remarks:?}");
    }
    assert!(imported.toml.contains("\nmtu = 1400  # "), "{}", imported.toml);
    for remark in &imported.remarks {
        assert!(imported.toml.contains(&format!("# - {remark}\n")), "{remark}");
    }
    let words = ["import", "--", "-R", "10.0.0.1-9"];
    let error = import(&ImportFlags::try_parse_from(words).unwrap()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the command line \"-R 10.0.0.1-9\" cannot be imported: invalid value '10.0.0.1-9' for '--remote \
         <ADDRESS>': a range is not supported; give the first address, and the number of sessions with -N: 10.0.0.1 \
         -N 9"
    );
}

#[test]
fn the_line_is_found_in_what_starts_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let defaults = directory.path().join("defaults");
    fs::write(&defaults, "# comment\nIF=eth1\nOPTS=\"-L 10.0.0.1 -R 10.0.0.2\" # more\nexport N=20\n")
        .unwrap();
    let at = defaults.display();
    let words = "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 20";
    for (script, expected) in [
        // rc.local
        (
            "#!/bin/sh\ntouch /x\n/usr/sbin/pppoe-server -I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 20\nexit 0\n",
            words,
        ),
        ("pppoe-server -I eth1 \\\n  -L 10.0.0.1 \\\n  -R 10.0.0.2 -N 20 > /dev/null 2>&1 &\n", words),
        ("# pppoe-server -I old\nnohup pppoe-server -I \"eth1\" -L '10.0.0.1' -R 10.0.0.2 -N 20\n", words),
        // init scripts
        (
            "DAEMON=/usr/sbin/pppoe-server\nARGS=\"-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 20\"\n[ -x $DAEMON ] || exit 0\n\
             case \"$1\" in\nstart)\n  $DAEMON $ARGS\n  ;;\nstop) killall pppoe-server ;;\nesac\n",
            words,
        ),
        (
            "start-stop-daemon --stop --exec /usr/sbin/pppoe-server\nstart-stop-daemon --start --quiet --exec \
             /usr/sbin/pppoe-server -- -I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 20 || return 2\n",
            words,
        ),
        (
            &format!(
                "[ -r {at} ] && . {at}\nif ! pidof pppoe-server; then pppoe-server -I ${{IF}} $OPTS -N $N; fi\n"
            ),
            words,
        ),
        // units
        (
            &format!(
                "[Service]\nEnvironmentFile=-{at}\nExecStart=/usr/sbin/pppoe-server -I $IF $OPTS -N ${{N}}\n"
            ),
            words,
        ),
        (
            "[Service]\nEnvironment=\"A=-I eth1\" B=20\nExecStart=-/usr/sbin/pppoe-server $A -L 10.0.0.1 -R 10.0.0.2 -N $B\n",
            words,
        ),
        ("pppoe-server -C \"my isp\" -M 'it''s'\n", "-C|my isp|-M|its"),
    ] {
        let path = directory.path().join("script");
        fs::write(&path, script).unwrap();
        let found = find(&path).unwrap();
        let separator = if expected.contains('|') { "|" } else { " " };
        assert_eq!(found.arguments.join(separator), expected, "{script}");
        assert_eq!(found.remarks, Vec::<String>::new(), "{script}");
    }
}

#[test]
fn what_a_script_leaves_open_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("script");
    let line = "NET=10.0.0\npppoe-server -I ${IFACE:-eth1} $MORE -N ${N:-5} -L `own` -R \"$NET.$FIRST\" -C \"${NAME?}\" -S '$x' \
                -o \"$(wc -l x)\"\npppoe-server -I eth2\n";
    fs::write(&path, line).unwrap();
    let found = find(&path).unwrap();
    assert_eq!(found.arguments.join("|"), "-I|eth1|-N|5|-S|$x");
    assert_eq!(
        found.remarks,
        [
            "line 2: $MORE is not known here and was left out: see what it adds",
            "line 2: -L a command in `…` was left out, because a command in `…` is not known here: add it yourself",
            "line 2: -R 10.0.0.$FIRST was left out, because $FIRST is not known here: add it yourself",
            "line 2: -C $NAME was left out, because $NAME is not known here: add it yourself",
            "line 2: -o a command in $(…) was left out, because a command in $(…) is not known here: add it yourself",
            "line 3 starts another server, which is left out: to serve its interfaces too, give each an [[interface]] table, \
             with a pool of its own",
        ]
    );
    assert!(found.is_one_of_several);
    for script in ["echo pppoe-server\n", "", "X=/usr/sbin/pppoe-server\n", "killall -9 pppoe-server"] {
        fs::write(&path, script).unwrap();
        let error = find(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("starts pppoe-server; give the flags: pppoed import -- -I eth1 …"),
            "{error}"
        );
    }
}

/// Shell, units and init scripts as they are found in the field.
#[test]
fn defaults_and_specifiers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("script");
    for (script, expected, remarks) in [
        (
            "exec pppoe-server -I \"${IFACE:-eth1}\" -N ${N:=20} -L ${A:-${B:-10.0.0.1}}",
            "-I|eth1|-N|20|-L|10.0.0.1",
            0,
        ),
        ("IFACE=\npppoe-server -I ${IFACE:-eth1} -C ${IFACE-x}", "-I|eth1|-C", 0),
        ("IFACE=eth2\npppoe-server -I ${IFACE:-eth1} ${IFACE:+-k} ${NO:+-r}", "-I|eth2|-k", 0),
        ("[Service]\nExecStart=/usr/sbin/pppoe-server -I %i -C 100%%", "-C|100%", 1),
        ("ExecStart=/bin/sh -c 'pppoe-server -I eth1'", "-I|eth1", 0),
        ("command=/usr/sbin/pppoe-server\ncommand_args=\"-I eth1 -N 20\"", "-I|eth1|-N|20", 0),
        ("DAEMON=/usr/sbin/pppoe-server\nDAEMON_OPTS=\"-I $IF\"", "", 1),
        ("case \"$1\" in start) pppoe-server -I eth1 & ;; esac", "-I|eth1", 0),
        ("@reboot /usr/sbin/pppoe-server -I eth1", "-I|eth1", 0),
        ("  post-up pppoe-server -I eth1 -F &", "-I|eth1|-F", 0),
        ("procd_set_param command /usr/sbin/pppoe-server -I \"$dev\" -F", "-F", 1),
        ("pppoe-server -I eth1 \"$@\" $1", "-I|eth1", 2),
    ] {
        fs::write(&path, script).unwrap();
        let found = find(&path).unwrap();
        assert_eq!(
            (found.arguments.join("|"), found.remarks.len()),
            (expected.into(), remarks),
            "{script}: {found:?}"
        );
    }
}

/// What is advised is taken: another server's interface can be added as a table.
#[test]
fn the_advice_on_a_second_server_is_taken_by_check() {
    let etc = Etc::new(&[("pppoe-server-options", ""), ("options", "")]);
    fs::write(
        etc.path("rc.local"),
        "pppoe-server -I eth1 -L 10.0.0.1 -R 10.0.0.2\npppoe-server -I eth2 -R 10.1.0.2\n",
    )
    .unwrap();
    let imported = etc.import("--from /etc/ppp/rc.local --options /etc/ppp/pppoe-server-options");
    let advised = imported.toml
        + "\n[[interface]]\nname = \"eth2\"\npool = \"two\"\n[pool.two]\naddresses = [\"10.1.0.2-65\"]\n";
    let (layer, errors) = file::layer(Path::new("/etc/pppoed/pppoed.toml"), advised.as_bytes());
    assert_eq!(errors, [], "{advised}");
    let config =
        Source::new(CommandLine::try_parse_from(["pppoed"]).unwrap()).with_file(layer).config().0.unwrap();
    assert_eq!((config.interfaces.join(" "), config.pool.len()), ("eth1 eth2".into(), 64));
}

#[test]
fn the_program_writes_a_file_that_it_reads() {
    let etc = Etc::new(&[("pppoe-server-options", GUIDE_B), ("options", "")]);
    fs::write(etc.path("rc.local"), etc.at("/usr/sbin/pppoe-server -I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 20\n"))
        .unwrap();
    let run = |words: &str| {
        let line = etc.at(words);
        let output =
            Command::new(env!("CARGO_BIN_EXE_pppoed")).args(line.split_whitespace()).output().unwrap();
        let text = |bytes| etc.shown(&String::from_utf8(bytes).unwrap());
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let words = "import --from /etc/ppp/rc.local --options /etc/ppp/pppoe-server-options --common-options /etc/ppp/options -o \
                 /etc/ppp/pppoed.toml";
    let (status, said, errors) = run(words);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(said.contains("login: system passwords are not used"), "{said}");
    let (status, said, errors) =
        run("check --explain -c /etc/ppp/pppoed.toml --wait-for-interfaces --worker /bin/true");
    assert_eq!(status, Some(0), "{errors}");
    assert!(said.contains("no errors in the configuration: 20 sessions"), "{said}");
    let dns = said.lines().find(|line| line.starts_with("ms-dns ")).unwrap();
    assert!(dns.contains("8.8.8.8 8.8.4.4") && dns.contains("/etc/ppp/pppoed.toml:"), "{dns}");
    // What is there is not overwritten.
    let (status, _, errors) = run(words);
    assert_eq!(status, Some(2));
    assert_eq!(
        errors,
        "pppoed: \"/etc/ppp/pppoed.toml\" exists and contains settings: use --force to replace it\n"
    );
    assert_eq!(run(&format!("{words} --force")).0, Some(0));
    fs::write(etc.path("pppoed.toml"), "# a comment\n").unwrap();
    assert_eq!(run(words).0, Some(0), "a file of comments is replaced");
    let (status, said, _) = run("import -- -I eth1 -O /etc/ppp/pppoe-server-options");
    assert_eq!(status, Some(0));
    assert!(said.starts_with("# Made by \"pppoed import\" from the command line:\n"), "{said}");
}

proptest! {
    /// Any script is read to its end, and any options file makes a file that can be read, or a refusal.
    #[test]
    fn no_text_makes_it_panic(script in "(\\PC|\n|\\$|\\\\|\"|'|pppoe-server ){0,80}", options in "(mtu [0-9]{1,5}\n|set \\PC{0,5}\n|ipparam \\PC{0,9}\n|\\PC{0,9}\n){0,6}") {
        let etc = Etc::new(&[("script", &script), ("options", &options)]);
        let _ = find(&etc.path("script"));
        let words = ["import", "--common-options", &etc.at("/etc/ppp/options"), "--options", &etc.at("/etc/ppp/options"), "--", "-I", "eth1"];
        let imported = import(&ImportFlags::try_parse_from(words).unwrap());
        prop_assert!(imported.is_ok(), "{imported:?}");
    }
}
