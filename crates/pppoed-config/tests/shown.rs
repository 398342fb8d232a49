//! Whatever `show config` shows of a setting can be given to `set config`, and changes nothing then.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use ppp_ipc::policy::PolicyChange;
use pppoed_config::config::{CommandLine, Config, Entry, Source};
use pppoed_config::policy::{self, By, Lists, Policy, Refusal};

/// Everything that has no limit, and nothing that is switched on.
const NONE: &str = "\
sessions-per-interface = 0\nheartbeat = 0\nprotection-check = 0\npadi-rate = 0\nmax-starting = 0\nper-mac = 0\n\
dead-peer = 0\nmax-mss = 0\nmotm = \"\"\nhurl = \"\"\nauth-deadline = 0\nrival-interval = 0\nhook-leftovers = 0\n\
orphan-timeout = 0\n[ppp]\nlcp-echo-interval = 0\nchap-interval = 0\nidle = 0\nmaxconnect = 0\nmaxoctets = 0\n\
rate-down = \"none\"\nnoauth = true\n";

/// Something of everything.
const MUCH: &str = r#"
interface = ["eth1", "eth2.*"]
local = "10.0.0.1"
remote = "10.0.0.2"
sessions = 20
ac-name = 'b\xff "x"'
service = ["my isp", 'b\xff', "none"]
motm = "say \"hi\"\nthere \\ \u0007"
hurl = "none"
dead-peer = 60
max-mss = 1412
per-mac = 3
max-starting = 7
sessions-per-user = 2
user-limit = "deny"
sessions-per-interface = 9
pado-delay = "0,100:5,-1:10"
refusal-delay = 100
auth-deadline = 77
auth-tries = 3
gather = 10
heartbeat = 40
log-level = "debug"
no-offloads = true
ignore-when-full = true

[ppp]
auth = ["chap", "pap"]
name = "my \"bras\""
ms-dns = ["1.1.1.1", "9.9.9.9"]
ms-wins = "10.0.0.7"
idle = 60
maxconnect = 3600
maxoctets = "50G"
mo-direction = "in"
mo-timeout = 5
mtu = 1400
mru = 1400
proxyarp = true
nosourcecheck = true
rate-down = "10M"
rate-up = "512k"
rate-burst = "64k"
lcp-echo-interval = 20
lcp-echo-failure = 4
lcp-echo-adaptive = true
lcp-restart = 2
chap-interval = 3600
chap-restart = 5
ipv6 = "::1,::2"
"#;

fn source(file: &str) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    fs::write(directory.path().join("pppoed.toml"), file).unwrap();
    let line = format!("pppoed -c {at}/pppoed.toml --no-options-files --console-file {at}/console.toml");
    (directory, Source::new(CommandLine::try_parse_from(line.split(' ')).unwrap()))
}

fn config(source: &Source) -> Config {
    source.config().0.unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn find(config: &Config, key: &str) -> Entry {
    config.entries().into_iter().find(|entry| entry.key == key).unwrap_or_else(|| panic!("no {key}"))
}

/// Sets each setting to what is shown of it; returns how many can be set.
fn set_all(file: &str) -> usize {
    let (_directory, source) = source(file);
    let config = config(&source);
    let mut count = 0;
    for entry in config.entries() {
        // How ids are counted is decided at the start, and "none" is that they are not.
        if entry.key == "session-offset" {
            continue;
        }
        let change = PolicyChange::Set { key: entry.key.to_string(), values: vec![entry.value.clone()] };
        let policy = match Policy::default().changed(&change, &Lists::default(), By::default()) {
            Ok(policy) => policy,
            // A path, or something for scripts: no value of it can be set.
            Err(Refusal::Refused { .. }) => continue,
            Err(refusal) => panic!("{} = {}: {refusal}", entry.key, entry.value),
        };
        let text = policy::text(&policy, By::default());
        let read = policy::parse(Path::new("console.toml"), text.as_bytes());
        let read = read.unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        assert!(read.says_the_same(&policy), "{text}");
        // It holds what it held, and `show policy` shows what can be set as well.
        let (_, kept) = policy.entries().next().unwrap();
        let shown = policy.entries().next().unwrap().0.value(kept);
        let again = PolicyChange::Set { key: entry.key.to_string(), values: vec![shown] };
        let again = Policy::default().changed(&again, &Lists::default(), By::default());
        let again = again.unwrap_or_else(|refusal| panic!("{}: {refusal}", entry.key));
        assert!(again.says_the_same(&policy), "{again:?}\n{policy:?}");
        let with = self::config(&source.with_console(policy.layer()));
        assert_eq!(find(&with, &entry.key).value, entry.value, "{}: {text}", entry.key);
        count += 1;
    }
    count
}

#[test]
fn what_is_shown_can_be_set() {
    for file in ["", NONE, MUCH] {
        let count = set_all(file);
        assert!(count > 60, "{count} settings of {file}");
    }
}
