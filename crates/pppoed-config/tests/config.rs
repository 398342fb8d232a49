//! The configurations of the set-up guides that people follow, value by value, and what goes wrong with others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ppp_proto::auth::AuthMethod;
use pppoed_config::config::{CommandLine, Config, ConfigError, Ipv6Config, Notice, Source};
use pppoed_config::flags::{LogLevel, PerMac};
use pppoed_config::inet::SystemNames;
use pppoed_config::pool::{AddressPool, Claim, DEFAULT_POOL, Numbering};
use pppoed_config::secrets::{Protocol, Secrets};

/// A directory in place of `/etc/ppp`.
struct Etc(tempfile::TempDir);

impl Etc {
    fn new(files: &[(&str, &str)]) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        fs::write(etc.path("pppoed.toml"), "").unwrap();
        for (name, contents) in files {
            fs::write(etc.path(name), contents).unwrap();
        }
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command line of a guide, with `/etc/ppp` being this directory.
    fn flags(&self, words: &str) -> CommandLine {
        let directory = self.0.path().display();
        let defaults = format!(
            "-c {directory}/pppoed.toml --common-options {directory}/options --chap-secrets {directory}/chap-secrets \
             --pap-secrets {directory}/pap-secrets"
        );
        let options = if words.contains("-O ") {
            String::new()
        } else {
            format!("-O {directory}/pppoe-server-options")
        };
        let words = words.replace("/etc/ppp", &directory.to_string());
        let line = format!("pppoed {words} {options} {defaults}");
        CommandLine::try_parse_from(line.split_whitespace()).unwrap()
    }

    fn load(&self, words: &str) -> (Result<Config, Vec<String>>, Vec<String>) {
        let (config, notices) = load(self.flags(words));
        let config = config.map_err(|errors| errors.iter().map(|error| self.shown(error)).collect());
        (config, notices.iter().map(|notice| self.shown(notice)).collect())
    }

    fn config(&self, words: &str) -> Config {
        self.load(words).0.unwrap()
    }

    fn shown(&self, message: impl ToString) -> String {
        message.to_string().replace(&self.0.path().display().to_string(), "/etc/ppp")
    }
}

fn load(flags: CommandLine) -> (Result<Config, Vec<ConfigError>>, Vec<Notice>) {
    Source::new(flags).config()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// Logs users in, each into the next slot, and returns their addresses.
fn dial(config: &Config, users: &[(&str, &str, Protocol)]) -> Vec<Result<String, String>> {
    let mut secrets = Secrets::new(config.secrets.clone());
    let fixed = secrets.fixed_addresses(&SystemNames);
    // Goes last, when nobody waits for them any more.
    let mut leases = Vec::new();
    let mut pool = AddressPool::new([(DEFAULT_POOL.into(), config.pool.clone())]);
    let mut slots = 0..;
    users
        .iter()
        .map(|(name, password, protocol)| {
            let (verdict, _) = match protocol {
                Protocol::Chap => secrets.chap(name.as_bytes(), |secret| secret == password.as_bytes()),
                Protocol::Pap => secrets.pap(name.as_bytes(), password.as_bytes()),
            };
            let grant = verdict.map_err(|refusal| refusal.to_string())?;
            let slot = slots.next().unwrap();
            let (addresses, _) = grant.addresses.resolve(name.as_bytes(), slot, &SystemNames);
            let user = Some(name.as_bytes());
            let claim = Claim { pool: DEFAULT_POOL, user, addresses: Some(&addresses), fixed: &fixed };
            let lease = pool.assign(slot, &claim).map_err(|error| error.to_string())?;
            let shown = format!("{} {}", lease.local, lease.remote);
            leases.push(lease);
            Ok(shown)
        })
        .collect()
}

#[test]
fn guide_a() {
    let etc = Etc::new(&[
        ("pppoe-server-options", "lcp-echo-interval 10\nlcp-echo-failure 2\nlogfile /var/log/pppoe.log\n"),
        ("chap-secrets", "# Secrets for authentication using CHAP\nPPPoE * \"123456\" *\n"),
    ]);
    let (config, notices) = etc.load("-I eth0 -L 192.168.100.1 -R 192.168.100.10");
    let config = config.unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(config.interfaces, ["eth0"]);
    let echo = config.echo.unwrap();
    assert_eq!((echo.interval, echo.max_failures), (Duration::from_secs(10), 2));
    assert_eq!(config.logfile.as_ref().unwrap().value, Path::new("/var/log/pppoe.log"));
    // nothing is said about authentication: clients must prove who they are all the same
    assert_eq!(config.auth_methods.value, [AuthMethod::ChapMd5, AuthMethod::Pap]);
    assert_eq!(config.pool.len(), 64);
    let dials = dial(&config, &[("PPPoE", "123456", Protocol::Chap), ("PPPoE", "123456", Protocol::Chap)]);
    assert_eq!(dials, [Ok("192.168.100.1 192.168.100.10".into()), Ok("192.168.100.1 192.168.100.11".into())]);
}

#[test]
fn guide_b() {
    let etc = Etc::new(&[
        ("options", "local\n"),
        (
            "pppoe-server-options",
            "require-pap\nrequire-chap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\nlogfile /var/log/pppoe.log\n\
             ms-dns 202.106.0.20\nms-dns 8.8.8.8\ndefaultroute\n",
        ),
        ("chap-secrets", "rp-pppoe * rp-pppoe *\n"),
        ("pap-secrets", "rp-pppoe * rp-pppoe *\n"),
    ]);
    let (config, notices) = etc.load("-I eth0 -L 10.0.0.1 -R 10.0.0.2 -N 64 -k");
    let config = config.unwrap();
    assert_eq!(
        notices,
        [
            "/etc/ppp/options:1: local has no effect: it applies to serial lines only",
            "/etc/ppp/pppoe-server-options:3: login: system passwords are not used: CHAP works as without it, PAP \
             uses pap-secrets only, and a line with an empty secret never matches",
            "/etc/ppp/pppoe-server-options:9: defaultroute has no effect: the server never sets a default route to a \
             client",
            "-k: no effect: sessions are relayed by our own workers, not by the kernel's PPPoE",
        ]
    );
    assert_eq!(config.auth_methods.value, [AuthMethod::ChapMd5, AuthMethod::Pap]);
    assert_eq!(etc.shown(&config.auth_methods.origin), "/etc/ppp/pppoe-server-options:2");
    let servers = config.session.name_servers();
    assert_eq!(servers.dns, [Some(ip("202.106.0.20")), Some(ip("8.8.8.8"))]);
    assert_eq!(servers.nbns, [None, None]);
    assert_eq!(config.pool.len(), 64);
    let dials =
        dial(&config, &[("rp-pppoe", "rp-pppoe", Protocol::Chap), ("rp-pppoe", "rp-pppoe", Protocol::Pap)]);
    assert_eq!(dials, [Ok("10.0.0.1 10.0.0.2".into()), Ok("10.0.0.1 10.0.0.3".into())]);
}

#[test]
fn guide_c() {
    let etc = Etc::new(&[
        (
            "pppoe-server-options",
            "require-chap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\nms-dns 202.106.0.20\nms-dns 8.8.8.8\n",
        ),
        ("chap-secrets", "cmz * cmz *\ncmz2 * cmz2 192.168.10.3\n"),
    ]);
    let config = etc.config("-I eth1 -L 192.168.10.109 -R 192.168.10.2 -N 20");
    assert_eq!(config.interfaces, ["eth1"]);
    assert_eq!(config.auth_methods.value, [AuthMethod::ChapMd5]);
    assert_eq!(config.pool.len(), 20);
    assert_eq!(config.pool[19].remote, Some(ip("192.168.10.21")));
    let chap = Protocol::Chap;
    let dials = dial(
        &config,
        &[("cmz", "cmz", chap), ("cmz2", "cmz2", chap), ("cmz", "cmz", chap), ("cmz", "no", chap)],
    );
    let refusal = format!("{}:1: user \"cmz\" gave a wrong password", etc.path("chap-secrets").display());
    assert_eq!(
        dials,
        [
            Ok("192.168.10.109 192.168.10.2".into()),
            Ok("192.168.10.109 192.168.10.3".into()),
            Ok("192.168.10.109 192.168.10.4".into()),
            Err(refusal),
        ]
    );
}

#[test]
fn guide_d() {
    let (name, password) = ("n".repeat(255), "p".repeat(255));
    let etc = Etc::new(&[
        ("pppoe-server-options", "require-pap\nmru 1492\nmtu 1492\n"),
        ("pap-secrets", &format!("{name} * {password} *\n")),
    ]);
    let (config, notices) = etc.load("-I eth0 -C access -S internet -S tv");
    let config = config.unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(config.auth_methods.value, [AuthMethod::Pap]);
    assert_eq!((config.mru.value, config.max_payload()), (1492, 1492));
    assert_eq!(config.session.mtu.as_ref().unwrap().value, 1492);
    assert_eq!(config.ac_name.value, b"access");
    assert_eq!(config.services, [b"internet".to_vec(), b"tv".to_vec()]);
    assert_eq!(dial(&config, &[(&name, &password, Protocol::Pap)]), [Ok("10.0.0.1 10.67.15.1".into())]);
}

#[test]
fn guide_e() {
    let users = "testuser1 * \"password\" 172.16.0.101\ntestuser2 * \"password\" 172.16.0.102\n";
    let etc = Etc::new(&[
        ("options", "require-pap\nrequire-chap\nlcp-echo-interval 10\nlcp-echo-failure 2\n"),
        ("chap-secrets", users),
        ("pap-secrets", users),
    ]);
    let (config, notices) = etc.load("-I eth1 -L 172.16.0.254 -O /etc/ppp/options -F");
    let config = config.unwrap();
    // read as common options and by -O, but nothing is said twice
    assert_eq!(notices, Vec::<String>::new());
    assert!(config.foreground);
    assert_eq!(config.auth_methods.value, [AuthMethod::ChapMd5, AuthMethod::Pap]);
    let dials = dial(
        &config,
        &[
            ("testuser2", "password", Protocol::Chap),
            ("testuser1", "password", Protocol::Pap),
            ("testuser1", "password", Protocol::Chap),
        ],
    );
    assert_eq!(
        dials,
        [
            Ok("172.16.0.254 172.16.0.102".into()),
            Ok("172.16.0.254 172.16.0.101".into()),
            Err("address 172.16.0.101 is in use by the session in slot 1".into()),
        ]
    );
}

/// The options file that Debian installs with pppd, and the server's own that rp-pppoe installs.
#[test]
fn the_files_of_the_packages() {
    let etc = Etc::new(&[
        (
            "options",
            "asyncmap 0\nauth\ncrtscts\nlock\nhide-password\nmodem\nlcp-echo-interval 30\nlcp-echo-failure 4\nnoipx\n",
        ),
        ("pppoe-server-options", "require-pap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\n"),
        ("pap-secrets", "* gw \"\" *\nguest gw \"*\" -\nbob * secret *\n"),
    ]);
    let (config, notices) = etc.load("");
    let config = config.unwrap();
    let ignored = ["asyncmap", "crtscts", "lock", "modem", "noipx", "login"];
    assert_eq!(notices.len(), ignored.len());
    for (notice, option) in notices.iter().zip(ignored) {
        assert!(notice.contains(option), "{notice}");
    }
    let echo = config.echo.unwrap();
    assert_eq!((echo.interval, echo.max_failures), (Duration::from_secs(10), 2));
    assert_eq!(config.auth_methods.value, [AuthMethod::Pap]);
    let dials = dial(&config, &[("bob", "secret", Protocol::Pap)]);
    assert_eq!(dials, [Ok("10.0.0.1 10.67.15.1".into())]);
}

#[test]
fn defaults() {
    let etc = Etc::new(&[("empty", "")]);
    let config = etc.config("-O /etc/ppp/empty");
    let hostname = nix::unistd::gethostname().unwrap().into_encoded_bytes();
    assert_eq!(config.interfaces, ["eth0"]);
    assert_eq!(
        (config.discovery_ether_type.into(), config.session_ether_type.into()),
        (0x8863u16, 0x8864u16)
    );
    assert_eq!((&config.ac_name.value, &config.secrets.our_name), (&hostname, &hostname));
    assert!(config.services.is_empty() && config.motm.is_none() && config.hurl.is_none());
    assert_eq!(config.cookie_lifetime, Duration::from_secs(5));
    assert_eq!(config.setup_deadline, Duration::from_secs(60));
    assert_eq!((config.pool.len(), config.numbering), (64, Numbering::Random));
    assert_eq!((config.pool[63].local, config.pool[63].remote), (ip("10.0.0.1"), Some(ip("10.67.15.64"))));
    assert_eq!(config.per_mac.value, PerMac::Replace);
    assert_eq!((config.mru.value, config.max_payload()), (1500, 1500));
    let restart = config.lcp;
    assert_eq!((restart.restart, restart.max_configure), (Duration::from_secs(3), 10));
    assert_eq!((restart.max_terminate, restart.max_failure), (2, 5));
    assert_eq!(config.ipcp, restart);
    let echo = config.echo.unwrap();
    assert_eq!((echo.interval, echo.max_failures, echo.only_when_idle), (Duration::from_secs(10), 3, false));
    assert_eq!(config.auth.deadline, Some(Duration::from_secs(30)));
    assert_eq!((config.auth.rechallenge, config.auth.max_tries), (None, 1));
    assert_eq!(config.log_level.value, LogLevel::Info);
    assert_eq!(config.run_dir, Path::new("/run/pppoed"));
    assert_eq!(config.control_socket, Path::new("/run/pppoed/control.sock"));
    assert_eq!(config.scripts, BTreeMap::new());
    assert!(
        config.ipv6.is_none() && !config.foreground && config.dead_peer.is_none() && config.max_mss.is_none()
    );
    let secrets = &config.secrets;
    assert_eq!(
        (&secrets.chap_secrets, &secrets.pap_secrets),
        (&etc.path("chap-secrets"), &etc.path("pap-secrets"))
    );
    assert!(!secrets.papcrypt);
}

#[test]
fn a_flag_beats_an_option_and_the_later_file_beats_the_earlier() {
    let etc = Etc::new(&[
        ("options", "mtu 1300\nidle 60\nname common\nchap-secrets /a/chap\ndebug\npap-timeout 7\nnoauth\n"),
        (
            "server",
            "mtu 1400\nname own\npap-secrets /a/pap\nlcp-echo-interval 0\nchap-interval 600\npapcrypt\n+ipv6\nmru 1400\n\
             lcp-restart 1\nchap-restart 2\nchap-max-challenge 4\nauth\nip-up-script /s\n",
        ),
    ]);
    let config = etc.config(
        "-O /etc/ppp/server -x 3 -f 1234:5678 -T 90 -m 1400 -U /run/s -X /run/p -u -r -i -o 7 -M hi -H u",
    );
    assert_eq!(config.session.mtu.as_ref().unwrap().value, 1400);
    assert_eq!(config.session.idle.as_ref().unwrap().value, 60);
    assert_eq!(config.secrets.our_name, b"own");
    assert_eq!(config.secrets.chap_secrets, etc.path("chap-secrets"));
    assert!(config.secrets.papcrypt && config.echo.is_none());
    assert_eq!(config.ipv6, Some(Ipv6Config { local: None, remote: None }));
    assert_eq!(config.log_level.value, LogLevel::Debug);
    assert_eq!(
        (config.auth.rechallenge, config.auth.deadline),
        (Some(Duration::from_secs(600)), Some(Duration::from_secs(7)))
    );
    assert_eq!((config.auth.restart, config.auth.max_transmits), (Duration::from_secs(2), 4));
    assert_eq!(config.lcp.restart, Duration::from_secs(1));
    assert_eq!((config.mru.value, config.max_payload()), (1400, 1492));
    assert_eq!(config.auth_methods.value, [AuthMethod::ChapMd5, AuthMethod::Pap]);
    assert_eq!(config.scripts.len(), 1);
    assert_eq!((config.per_mac.value, config.numbering), (PerMac::AtMost(3), Numbering::From(7)));
    assert_eq!(
        (config.discovery_ether_type.into(), config.session_ether_type.into()),
        (0x1234u16, 0x5678u16)
    );
    assert_eq!((config.dead_peer, config.max_mss), (Some(Duration::from_secs(90)), Some(1400)));
    assert_eq!(
        (config.control_socket.as_path(), config.pid_file.as_deref()),
        (Path::new("/run/s"), Some(Path::new("/run/p")))
    );
    assert!(config.unit_from_slot && config.random_order && config.ignore_when_full);
    assert_eq!((config.motm, config.hurl), (Some(b"hi".to_vec()), Some(b"u".to_vec())));

    // without the flags the options name the secrets
    let at = etc.path("");
    let line = format!("pppoed -O {0}/server -c {0}/pppoed.toml --common-options {0}/options", at.display());
    let secrets = load(CommandLine::try_parse_from(line.split_whitespace()).unwrap()).0.unwrap().secrets;
    assert_eq!((secrets.chap_secrets, secrets.pap_secrets), ("/a/chap".into(), "/a/pap".into()));
    for (words, per_mac) in
        [("-x 0", PerMac::Unlimited), ("-x -5", PerMac::Unlimited), ("-x 1", PerMac::AtMost(1))]
    {
        assert_eq!(etc.config(&format!("-O /etc/ppp/server {words}")).per_mac.value, per_mac);
    }
    let levels = etc.config("-O /etc/ppp/server --log-level error --auth-deadline 5");
    assert_eq!(
        (levels.log_level.value, levels.auth.deadline),
        (LogLevel::Error, Some(Duration::from_secs(5)))
    );
}

/// pppd's default is off, and so is ours.
#[test]
fn echoes_are_left_out_on_busy_lines_only_if_that_is_asked_for() {
    let adaptive = |options: &str, toml: &str| {
        let etc = Etc::new(&[("pppoe-server-options", options), ("pppoed.toml", toml)]);
        etc.config("").echo.unwrap().only_when_idle
    };
    assert!(!adaptive("lcp-echo-interval 5\n", ""));
    assert!(adaptive("lcp-echo-interval 5\nlcp-echo-adaptive\n", ""));
    assert!(adaptive("", "[ppp]\nlcp-echo-adaptive = true\n"));
    assert!(!adaptive("lcp-echo-adaptive\n", "[ppp]\nlcp-echo-adaptive = false\n"));
}

/// What pppoe-server 3.15 starts with.
#[test]
fn command_lines_that_pppoe_server_takes() {
    let etc = Etc::new(&[("pppoe-server-options", "")]);
    let (config, notices) = etc.load("-I eth0:3 -I eth0 -L 10.0.0.1/24 -T 0 -m 0 -M= -u 0 stray -N 5");
    let config = config.unwrap();
    assert_eq!(config.interfaces, ["eth0"]);
    assert_eq!((config.dead_peer, config.max_mss, &config.motm, config.pool.len()), (None, None, &None, 5));
    assert!(config.unit_from_slot && notices.len() == 4, "{notices:?}");
    assert_eq!(notices[2], "\"0\": -u takes no value, and the word is ignored, as by pppoe-server");
    // A name that no interface can have is seen before the start.
    for name in ["eth0/1", "eth%d", "interface-too-long", ":3"] {
        CommandLine::try_parse_from(["pppoed", "-I", name]).unwrap_err();
    }
    let toml = |text: &str| Etc::new(&[("pppoed.toml", text), ("pppoe-server-options", "")]).load("").0;
    assert_eq!(
        toml("interface = [\"eth1\", \"eth0:3\"]\n").unwrap_err(),
        [
            "/etc/ppp/pppoed.toml:1:13: interface \"eth0:3\": this is the label of an IPv4 address; the interface \
             is eth0"
        ]
    );
}

#[test]
fn ipv6_with_and_without_identifiers() {
    let ipv6 =
        |options: &str| Etc::new(&[("pppoe-server-options", options)]).load("").0.map(|config| config.ipv6);
    let some = |local, remote| Ok(Some(Ipv6Config { local, remote }));
    assert_eq!(ipv6("+ipv6\n"), some(None, None));
    assert_eq!(ipv6("ipv6 ::1\n"), some(Some(1), None));
    assert_eq!(ipv6("ipv6 ::1\nipv6 ,::2\n"), some(Some(1), Some(2)));
    assert_eq!(ipv6("ipv6 ::1,::2\nnoipv6\n"), Ok(None));
    assert_eq!(ipv6("noipv6\n+ipv6\n"), some(None, None));
    let same = "/etc/ppp/pppoe-server-options:2: ipv6 \",::1\": the two ends of a link cannot have the same interface \
                identifier";
    let etc = Etc::new(&[("pppoe-server-options", "ipv6 ::1\nipv6 ,::1\n")]);
    assert_eq!(etc.load("").0.unwrap_err(), [same]);
}

#[test]
fn our_name_is_the_host_name_where_the_options_say_so() {
    let hostname = nix::unistd::gethostname().unwrap().into_encoded_bytes();
    for (options, expected) in [
        ("domain isp.example", [hostname.as_slice(), b".isp.example"].concat()),
        ("domain .isp.example", [hostname.as_slice(), b".isp.example"].concat()),
        ("domain ''", hostname.clone()),
        ("name gw usehostname", hostname.clone()),
        ("name gw domain isp.example", b"gw".to_vec()),
    ] {
        let etc = Etc::new(&[("pppoe-server-options", &format!("{options}\n"))]);
        assert_eq!(etc.config("").secrets.our_name, expected, "{options}");
    }
}

#[test]
fn addresses_from_everywhere() {
    let pool = "10.1.0.1-3\n10.2.0.9\n10.9.0.1:10.3.0.1\n";
    let etc = Etc::new(&[
        ("pppoe-server-options", "10.8.0.1:10.8.0.2\n"),
        ("pool", pool),
        ("pairs", "1.0.0.1:1.0.0.2\n"),
    ]);
    let pool = |words: &str| -> Vec<_> {
        etc.config(words)
            .pool
            .iter()
            .map(|entry| {
                format!("{} {}", entry.local, entry.remote.map_or("-".into(), |remote| remote.to_string()))
            })
            .collect()
    };
    assert_eq!(
        pool("-N 2 -L 10.0.0.254 -R 10.0.1.254 -l"),
        ["10.0.0.254 10.0.1.254", "10.0.0.255 10.0.1.255"]
    );
    assert_eq!(pool("-N 2 -L 0.0.0.0 -R 0.0.0.0"), ["10.8.0.1 10.8.0.2", "10.8.0.1 10.8.0.2"]);
    assert_eq!(
        pool("-p /etc/ppp/pool -N 2 -R 1.2.3.4"),
        [
            "10.0.0.1 10.1.0.1",
            "10.0.0.1 10.1.0.2",
            "10.0.0.1 10.1.0.3",
            "10.0.0.1 10.2.0.9",
            "10.9.0.1 10.3.0.1"
        ]
    );
    assert_eq!(pool("-p /etc/ppp/pool -l")[1..3], ["10.0.0.2 10.1.0.2", "10.0.0.3 10.1.0.3"]);
    let etc = Etc::new(&[("pppoe-server-options", ""), ("pairs", "1.0.0.1:1.0.0.2\n")]);
    let config = etc.config("-p /etc/ppp/pairs -L 0.0.0.0");
    assert_eq!(config.pool[0].local, ip("1.0.0.1"));
}

#[test]
fn the_table_of_sessions() {
    let etc = Etc::new(&[("pppoe-server-options", "")]);
    assert_eq!(
        etc.config("-N 2 -o 100 -L 10.0.0.1 -R 10.0.0.2 -d").session_table(),
        "Session 101 local 10.0.0.1 remote 10.0.0.2\nSession 102 local 10.0.0.1 remote 10.0.0.3\n"
    );
    assert_eq!(
        etc.config("-N 1 -R 0.0.0.0").session_table(),
        "Session random local 10.0.0.1 remote 0.0.0.0\n"
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let etc = Etc::new(&[
        ("options", "lcp-echo-failure 2.4.4\n"),
        ("pppoe-server-options", "nonsense\nrequire-mschap-v2\n"),
        ("ok", ""),
        ("comments", "# no address\n"),
    ]);
    let errors = |words: &str| etc.load(words).0.unwrap_err();
    assert_eq!(
        errors("-R 223.255.255.254 -N 3"),
        [
            "/etc/ppp/options:1: lcp-echo-failure \"2.4.4\": not a number (pppd reads it as 2; write 2 if that is what you mean)",
            "/etc/ppp/pppoe-server-options:1: \"nonsense\" is not an option; correct or remove it",
            "/etc/ppp/pppoe-server-options:2: require-mschap-v2 is not supported: no MS-CHAP in this version; use \
             require-chap, which Windows clients support as well",
            "-R: 3 addresses from 223.255.255.254 would include 224.0.0.0, which is not a host address",
        ]
    );
    fs::remove_file(etc.path("options")).unwrap();
    for (words, error) in [
        ("-L 0.0.0.0", "no local address: -L is 0.0.0.0, and no options file has LOCAL:REMOTE"),
        (
            "-L 127.0.0.1",
            "127.0.0.1 (-L) cannot be the local address: it is a loopback, multicast or reserved address",
        ),
        (
            "-L 126.255.255.255 -l",
            "-L: 64 addresses from 126.255.255.255 would include 127.0.0.0, which is not a host address",
        ),
        (
            "-N 65534 -o 1",
            "65534 sessions from id 2 on are too many: session ids end at 65534 (-N or -p, and -o)",
        ),
        (
            "-p /etc/ppp/comments",
            "pool file \"/etc/ppp/comments\" has no address; each line is a.b.c.d, a.b.c.d-e or local:remote",
        ),
        (
            "-p /etc/ppp/gone",
            "cannot read pool file \"/etc/ppp/gone\": No such file or directory (os error 2)",
        ),
        (
            "-O /etc/ppp/gone",
            "cannot read options file \"/etc/ppp/gone\": No such file or directory (os error 2)",
        ),
    ] {
        let words = if words.contains("-O") { words.to_owned() } else { format!("{words} -O /etc/ppp/ok") };
        assert_eq!(errors(&words), [error]);
    }
}

#[test]
fn what_there_is_to_say_beside() {
    let etc = Etc::new(&[("pppoe-server-options", "noauth\nmtu 1500\n"), ("pool", "10.0.0.1\nx\n")]);
    let (config, notices) = etc.load("-s -q /usr/sbin/pppd -Q /x -g /y -p /etc/ppp/pool");
    assert!(config.unwrap().auth_methods.value.is_empty());
    assert_eq!(
        notices,
        [
            "-q: no effect: no other program is started for a session",
            "-Q: no effect: no other program is started for a session",
            "-g: no effect: there is no pppd that could load a plug-in",
            "-s: no effect: there is no serial line between this server and a pppd",
            "/etc/ppp/pool:2: the line is skipped: \"x\" is not a.b.c.d, a.b.c.d-e or local:remote",
            "mtu 1500 (/etc/ppp/pppoe-server-options:2): more than 1492 is used only with clients that offer PPP-Max-Payload \
         (RFC 4638)",
            "/etc/ppp/pppoe-server-options:1: clients are not authenticated, and get any address of the pool",
            "/etc/ppp/pool:1: 0 of 1 sessions of pool \"default\" can have an address of it: 10.0.0.1 is our own end of the \
             links (-L, -l), and no client gets it",
        ]
    );
    let (_, notices) = load(etc.flags("-k"));
    let notes: Vec<_> = notices.iter().map(Notice::is_mere_note).collect();
    assert_eq!(notes, [true, true, false]);
}

/// The server leaves its working directory, and reads the secrets files later.
#[test]
fn relative_paths_are_those_of_the_start() {
    let flags = "pppoed --chap-secrets chap --pap-secrets /pap -X pid --run-dir run --common-options none";
    let flags = CommandLine::try_parse_from(flags.split_whitespace()).unwrap();
    let config = load(flags).0.unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(config.secrets.chap_secrets, here.join("chap"));
    assert_eq!(config.secrets.pap_secrets, Path::new("/pap"));
    assert_eq!(config.pid_file, Some(here.join("pid")));
    assert_eq!(config.control_socket, here.join("run/control.sock"));
}
