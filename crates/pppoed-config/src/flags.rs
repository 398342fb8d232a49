//! The command line: every flag of pppoe-server, with its letter and its meaning, and a few of our own.

mod hooks;
pub mod keys;
mod limits;
mod pado_delay;
mod per_mac;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ppp_wire::if_name::IfName;

pub use hooks::{HookFailure, HookFlags};
pub use limits::{LimitFlags, MissingProtection, UserLimitPolicy};
pub use pado_delay::{PadoDelayError, PadoDelayText};
pub use per_mac::{NotPerMac, PerMac};

/// PPPoE access concentrator: answers PPPoE discovery and runs each session in a process of its own.
///
/// Compatible with the command line of pppoe-server, and with the files /etc/ppp/pppoe-server-options,
/// /etc/ppp/chap-secrets and /etc/ppp/pap-secrets. All settings may also be in /etc/pppoed/pppoed.toml, where the keys are
/// the long flags below. Flags override the file.
///
/// pppoed check [--explain] checks all configuration files; pppoed import converts a command line of pppoe-server and its
/// files to a pppoed.toml: pppoed import --help.
///
/// Signals: SIGTERM and SIGINT end all sessions and exit. SIGUSR1 exits without ending sessions; the next pppoed takes them
/// over. SIGHUP reloads the configuration.
#[derive(Clone, Debug, Parser, PartialEq, Eq)]
#[command(name = "pppoed", version, args_override_self = true)]
pub struct Flags {
    /// Configuration file; it must exist [default: /etc/pppoed/pppoed.toml, if it exists]
    #[arg(short = 'c', long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Ethernet interface to serve, or a name pattern ('eth1.*'); may be repeated [default: eth0]
    #[arg(short = 'I', long = "interface", value_name = "INTERFACE", value_parser = parse_interface)]
    pub interfaces: Vec<String>,

    /// Access concentrator name (AC-Name) [default: the host name]
    #[arg(short = 'C', long, value_name = "NAME", value_parser = parse_ac_name)]
    pub ac_name: Option<String>,

    /// Service name to offer; may be repeated. The first one also answers requests for any service
    #[arg(short = 'S', long = "service", value_name = "NAME", value_parser = parse_service)]
    pub services: Vec<String>,

    /// Local address of each session; 0.0.0.0 takes it from the options file [default: 10.0.0.1]
    #[arg(short = 'L', long, value_name = "ADDRESS", value_parser = parse_address)]
    pub local: Option<Ipv4Addr>,

    /// Increment the local address for each session
    #[arg(short = 'l', long)]
    pub increment_local: bool,

    /// First client address of the pool; 0.0.0.0 disables the pool [default: 10.67.15.1]
    #[arg(short = 'R', long, value_name = "ADDRESS", value_parser = parse_address)]
    pub remote: Option<Ipv4Addr>,

    /// Maximum number of concurrent sessions [default: 64]
    #[arg(short = 'N', long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65534))]
    pub sessions: Option<u32>,

    /// File with client addresses, instead of -R and -N; one a.b.c.d, a.b.c.d-e or local:remote per line
    #[arg(short = 'p', long, value_name = "FILE")]
    pub pool_file: Option<PathBuf>,

    /// Check the pool file (-p), print its number of sessions, and exit
    #[arg(short = 'P', long)]
    pub check_pool: bool,

    /// Number sessions sequentially from OFFSET + 1 instead of using unpredictable session ids [default: random ids;
    /// with -u, 0]
    #[arg(short = 'o', long, value_name = "OFFSET", value_parser = clap::value_parser!(u32).range(..=65533))]
    pub session_offset: Option<u32>,

    /// Assign pool addresses in random order, and session ids as well with -o
    #[arg(short = 'r', long)]
    pub random_order: bool,

    /// Maximum sessions per client MAC address; further requests are silently dropped. 0: no limit; replace: one
    /// session, replaced when the client dials again [default: replace]
    #[arg(short = 'x', long, value_name = "COUNT", allow_negative_numbers = true)]
    pub per_mac: Option<PerMac>,

    /// Do not answer requests when all sessions are in use, instead of refusing them
    #[arg(short = 'i', long)]
    pub ignore_when_full: bool,

    /// File with pppd options; it must exist [default: /etc/ppp/pppoe-server-options, if it exists]
    #[arg(short = 'O', long, value_name = "FILE")]
    pub options_file: Option<PathBuf>,

    /// Timeout in seconds without frames from the client, after which its session is ended; 0 disables it
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub dead_peer: Option<u32>,

    /// Maximum TCP segment size (MSS) in bytes; 0 for no limit
    #[arg(short = 'm', long, value_name = "BYTES", value_parser = parse_max_mss)]
    pub max_mss: Option<u16>,

    /// Ethernet types of discovery and session frames, in hexadecimal [default: 8863:8864]
    #[arg(short = 'f', long, value_name = "DISC:SESS", value_parser = parse_frame_types)]
    pub frame_types: Option<(u16, u16)>,

    /// Number interfaces by session slot: the first slot is always ppp0
    #[arg(short = 'u', long)]
    pub unit_from_slot: bool,

    /// Message to display on the client (MOTM)
    #[arg(short = 'M', long, value_name = "TEXT", value_parser = parse_optional_text)]
    pub motm: Option<String>,

    /// URL to open on the client (HURL)
    #[arg(short = 'H', long, value_name = "URL", value_parser = parse_optional_text)]
    pub hurl: Option<String>,

    /// PID file; it stays locked
    #[arg(short = 'X', long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// Socket for pppctl [default: control.sock in the run directory]
    #[arg(short = 'U', long, visible_alias = "control", value_name = "PATH")]
    pub control_socket: Option<PathBuf>,

    /// Run in the foreground
    #[arg(short = 'F', long)]
    pub foreground: bool,

    /// Print all possible sessions with their addresses, and exit
    #[arg(short = 'd', long)]
    pub dump: bool,

    /// Accepted for compatibility with pppoe-server; no effect: workers always relay in user space
    #[arg(short = 'k', long)]
    pub kernel_mode: bool,

    /// Accepted for compatibility with pppoe-server; no effect
    #[arg(short = 's', long)]
    pub synchronous: bool,

    /// Accepted for compatibility with pppoe-server; no effect
    #[arg(short = 'g', long, value_name = "PATH")]
    pub plugin: Option<PathBuf>,

    /// Accepted for compatibility with pppoe-server; no effect
    #[arg(short = 'q', long, value_name = "PATH")]
    pub pppd: Option<PathBuf>,

    /// Accepted for compatibility with pppoe-server; no effect
    #[arg(short = 'Q', long, value_name = "PATH")]
    pub pppoe: Option<PathBuf>,

    /// Options file to read before the one of -O
    #[arg(long, value_name = "FILE", default_value = "/etc/ppp/options")]
    pub common_options: PathBuf,

    /// Do not read --common-options or the default file of -O: all options are in the configuration file
    #[arg(long)]
    pub no_options_files: bool,

    /// CHAP secrets file [default: /etc/ppp/chap-secrets, or the option chap-secrets]
    #[arg(long, value_name = "FILE")]
    pub chap_secrets: Option<PathBuf>,

    /// PAP secrets file [default: /etc/ppp/pap-secrets, or the option pap-secrets]
    #[arg(long, value_name = "FILE")]
    pub pap_secrets: Option<PathBuf>,

    /// Users file in TOML, with options per user; read in addition to the secrets files
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,

    /// Failed logins before the session is ended
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub auth_tries: u32,

    /// Authentication timeout in seconds; 0 disables it [default: 30, or the option pap-timeout]
    #[arg(long, value_name = "SECONDS")]
    pub auth_deadline: Option<u32>,

    /// Session setup timeout in seconds, from the PADS until the client has an address
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub setup_deadline: u32,

    /// Lifetime of a discovery cookie (AC-Cookie) in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub cookie_lifetime: u32,

    /// Maximum time in seconds that sessions keep running without pppoed after a crash, kill or restart; 0 ends them
    /// at once
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(..=86400))]
    pub orphan_timeout: u32,

    /// Delay in seconds before new sessions are accepted, at a start that takes over sessions
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=60))]
    pub adoption_grace: u32,

    /// Start even if an interface does not exist yet, and serve it as soon as it appears
    #[arg(long)]
    pub wait_for_interfaces: bool,

    /// Do not probe for other PPPoE servers, neither with a PADI on each interface nor among the programs of this
    /// machine
    #[arg(long)]
    pub no_probe: bool,

    /// Interval in seconds between probes for other PPPoE servers; 0 probes at the start only
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(..=86400))]
    pub rival_interval: u32,

    /// Disable segmentation offloads of TUN devices: one packet of at most the MTU per system call
    #[arg(long)]
    pub no_offloads: bool,

    /// Delay in microseconds before a worker reads the next frames of a busy client, to batch them; single packets
    /// are not delayed. 0 disables it
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub gather: u32,

    /// Do not use eBPF: the kernel then runs the socket filter of every session for each frame, and frames of unknown
    /// sessions are not answered with PADT
    #[arg(long)]
    pub no_ebpf: bool,

    /// Start even if the kernel cannot restrict workers to their own frames (no clsact or eBPF, or with --no-ebpf); a
    /// compromised worker could then send any frame on the access interface
    #[arg(long)]
    pub allow_unfiltered_workers: bool,

    /// Run directory, for sockets and session records
    #[arg(long, value_name = "DIRECTORY", default_value = "/run/pppoed")]
    pub run_dir: PathBuf,

    /// Worker program [default: ppp-worker in the directory of pppoed]
    #[arg(long, value_name = "PATH")]
    pub worker: Option<PathBuf>,

    /// User for worker processes; fallback nobody
    #[arg(long, value_name = "NAME", default_value = "pppoed")]
    pub worker_user: String,

    /// File that `pppctl write` saves runtime settings to; read last at the start
    #[arg(long, value_name = "FILE", default_value = "/var/lib/pppoed/console.toml")]
    pub console_file: PathBuf,

    /// Group with full access to the control socket, if it exists
    #[arg(long, value_name = "GROUP", default_value = "pppoed")]
    pub control_group: String,

    /// Group with read-only access through control.view.sock, if it exists
    #[arg(long, value_name = "GROUP", default_value = "pppoed-view")]
    pub view_group: String,

    /// Log level [default: info, or debug with the option debug]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Check all configuration files, report errors, and exit; same as: pppoed check
    #[arg(long)]
    pub check: bool,

    /// With --check: print every setting with its value and origin
    #[arg(long, requires = "check")]
    pub explain: bool,

    /// Limits.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Hook scripts.
    #[command(flatten)]
    pub hooks: HookFlags,
}

/// The lowest level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Errors that need attention at once.
    Error,
    /// Problems that an administrator should look at.
    Warn,
    /// Session events.
    Info,
    /// Details of sessions.
    Debug,
    /// Everything.
    Trace,
}

/// Most bytes of a name or text: what one tag of discovery can reasonably carry.
const MAX_TEXT: usize = 256;

fn parse_address(text: &str) -> Result<Ipv4Addr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let range = text.split_once('-').and_then(|(first, last)| {
        let first: Ipv4Addr = first.parse().ok()?;
        let last: u8 = last.rsplit('.').next()?.parse().ok()?;
        Some((first, last.checked_sub(first.octets()[3])?))
    });
    if let Some((first, bits)) = text.split_once('/')
        && first.parse::<Ipv4Addr>().is_ok()
        && bits.parse::<u8>().is_ok_and(|bits| bits <= 32)
    {
        return Err("a network is not supported; give the first address, and the number of sessions with \
             -N"
        .to_owned());
    }
    Err(match range {
        Some((first, more)) => format!(
            "a range is not supported; give the first address, and the number of sessions with -N: {first} -N {}",
            u32::from(more) + 1
        ),
        None => "expected an IPv4 address such as 10.0.0.1".to_owned(),
    })
}

fn parse_interface(text: &str) -> Result<String, String> {
    match (text.parse::<IfName>(), text.split_once(':')) {
        (Ok(name), _) => Ok(name.as_str().to_owned()),
        (Err(_), Some((name, _))) if name.parse::<IfName>().is_ok() => {
            Err(format!("this is the label of an IPv4 address; the interface is {name}"))
        }
        (Err(error), _) => Err(error.to_string()),
    }
}

fn parse_text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > MAX_TEXT {
        return Err(format!("{} bytes exceeds the maximum of {MAX_TEXT}", text.len()));
    }
    Ok(text.to_owned())
}

/// The text, or nothing for none.
fn parse_optional_text(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { parse_text(text) }
}

fn parse_max_mss(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) => Ok(0),
        Ok(size) if (40..=1460).contains(&size) => Ok(size),
        _ => Err("must be from 40 to 1460, or 0 for no limit".to_owned()),
    }
}

fn parse_ac_name(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("control characters are not allowed in a name".to_owned());
    }
    parse_text(text)
}

fn parse_service(text: &str) -> Result<String, String> {
    if text.contains('\'') {
        return Err("\"'\" is not allowed in a service name".to_owned());
    }
    parse_ac_name(text)
}

fn parse_frame_types(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        u16::from_str_radix(digits, 16).ok().filter(|number| *number >= 0x600)
    };
    let types =
        text.split_once(':').and_then(|(discovery, session)| Some((number(discovery)?, number(session)?)));
    match types {
        Some((discovery, session)) if discovery != session => Ok((discovery, session)),
        Some(_) => Err("the two must differ".to_owned()),
        None => Err("expected two hexadecimal numbers of at least 600, such as 8863:8864".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn flags(words: &str) -> Result<Flags, String> {
        Flags::try_parse_from(["pppoed"].into_iter().chain(words.split_whitespace()))
            .map_err(|error| error.to_string())
    }

    fn refused(words: &str) -> String {
        flags(words).unwrap_err().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_command_is_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn every_flag_of_pppoe_server_is_taken() {
        let all = "-X /run/p -i -x 2 -I eth1 -I eth2 -C ac -L 10.0.0.1 -R 10.0.0.2 -T 60 -m 1412 -F -N 20 -f 8863:8864 \
                   -O /etc/o -o 100 -s -k -p /etc/pool -l -r -u -d -P -S isp -S vpn -q /usr/sbin/pppd \
                   -Q /usr/sbin/pppoe -H http://isp.example -M hello -U /run/sock -g /usr/lib/plugin.so";
        let flags = flags(all).unwrap();
        let expected = Flags {
            config: None,
            interfaces: vec!["eth1".into(), "eth2".into()],
            ac_name: Some("ac".into()),
            services: vec!["isp".into(), "vpn".into()],
            local: Some([10, 0, 0, 1].into()),
            increment_local: true,
            remote: Some([10, 0, 0, 2].into()),
            sessions: Some(20),
            pool_file: Some("/etc/pool".into()),
            check_pool: true,
            session_offset: Some(100),
            random_order: true,
            per_mac: Some(PerMac::AtMost(2)),
            ignore_when_full: true,
            options_file: Some("/etc/o".into()),
            dead_peer: Some(60),
            max_mss: Some(1412),
            frame_types: Some((0x8863, 0x8864)),
            unit_from_slot: true,
            motm: Some("hello".into()),
            hurl: Some("http://isp.example".into()),
            pid_file: Some("/run/p".into()),
            control_socket: Some("/run/sock".into()),
            foreground: true,
            dump: true,
            kernel_mode: true,
            synchronous: true,
            plugin: Some("/usr/lib/plugin.so".into()),
            pppd: Some("/usr/sbin/pppd".into()),
            pppoe: Some("/usr/sbin/pppoe".into()),
            common_options: "/etc/ppp/options".into(),
            no_options_files: false,
            chap_secrets: None,
            pap_secrets: None,
            users_file: None,
            auth_tries: 1,
            auth_deadline: None,
            setup_deadline: 60,
            no_offloads: false,
            gather: 50,
            cookie_lifetime: 5,
            orphan_timeout: 120,
            adoption_grace: 2,
            wait_for_interfaces: false,
            no_probe: false,
            rival_interval: 600,
            no_ebpf: false,
            allow_unfiltered_workers: false,
            run_dir: "/run/pppoed".into(),
            worker: None,
            worker_user: "pppoed".into(),
            console_file: "/var/lib/pppoed/console.toml".into(),
            control_group: "pppoed".into(),
            view_group: "pppoed-view".into(),
            log_level: None,
            check: false,
            explain: false,
            limits: LimitFlags::default(),
            hooks: HookFlags::default(),
        };
        assert_eq!(flags, expected);
    }

    #[test]
    fn flags_may_be_joined_repeated_and_given_without_space() {
        let flags = flags("-kF -Ieth1 -N64 -N 20 -L10.0.0.9 -k -x -1 --control /a --interface eth2").unwrap();
        assert_eq!(flags.interfaces, ["eth1", "eth2"]);
        assert_eq!((flags.sessions, flags.per_mac), (Some(20), Some(PerMac::Unlimited)));
        assert_eq!(flags.local, Some([10, 0, 0, 9].into()));
        assert!(flags.kernel_mode && flags.foreground);
        assert_eq!(flags.control_socket, Some("/a".into()));
    }

    #[test]
    fn mistakes_are_explained() {
        for (words, message) in [
            (
                "-R 192.168.1.100-199",
                "error: invalid value '192.168.1.100-199' for '--remote <ADDRESS>': a range is not supported; give \
                 the first address, and the number of sessions with -N: 192.168.1.100 -N 100",
            ),
            (
                "-R 10.0.0.0/24",
                "error: invalid value '10.0.0.0/24' for '--remote <ADDRESS>': a network is not supported; give the \
                 first address, and the number of sessions with -N",
            ),
            (
                "-L 10.0.0.256",
                "error: invalid value '10.0.0.256' for '--local <ADDRESS>': expected an IPv4 address such as \
                 10.0.0.1",
            ),
            (
                "-f 8863",
                "error: invalid value '8863' for '--frame-types <DISC:SESS>': expected two hexadecimal numbers of \
                 at least 600, such as 8863:8864",
            ),
            (
                "-S a'b",
                "error: invalid value 'a'b' for '--service <NAME>': \"'\" is not allowed in a service name",
            ),
            (
                "-I interface-too-long",
                "error: invalid value 'interface-too-long' for '--interface <INTERFACE>': interface name \
                 \"interface-too-long\" has 18 bytes; at most 15 are allowed",
            ),
        ] {
            assert_eq!(refused(words), message);
        }
        for words in [
            "-N 0",
            "-N 65535",
            "-o 65534",
            "-x some",
            "-m 39",
            "-f 8863:8863",
            "--explain",
            "-z",
            "-I eth0:3",
            "-I eth/0",
            "stray",
            "-C \u{7}",
            "-S \u{7}",
        ] {
            flags(words).unwrap_err();
        }
    }
}
