//! The command table: every command, its words and its arguments.
//!
//! Parsing only. Whatever reads command lines parses them against [`Command`]: the arguments of the program
//! ([`crate::program::Cli`]) and the lines of the shell ([`crate::program::Line`]). Help, completion, the man page and the completions of shells
//! are made from it as well.
//!
//! The name of a value ([`values`]) says what it is, and so what completes it.

mod names;
mod packets;

use std::{net::Ipv4Addr, time::Duration};

use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::ZonedDateTime;
use ppp_ipc::control::{BitRate, EventName, LogLevel, LogQuery, Selector};
use ppp_ipc::name::{Name, NamePattern};
use ppp_wire::MacAddr;

use crate::{
    clock::{self, Since},
    hooks::Hooks,
    policy::{SetPolicy, Unset},
    sessions::Query,
    top::Top,
};

pub(crate) use self::names::{OneSession, name, name_pattern, one_session};
use self::packets::{Capture, Debug, Trace};

const SESSIONS_EXAMPLES: &str = "\
Examples:
  show sessions --state authenticate        who is on the way in
  show sessions --user '*@isp2' --sort uptime
  show sessions --columns id,user,rate --sort rate- --limit 10
  show sessions --ip 10.0.0.0/24 -o csv
  show session 7                            everything about session 7
  show session alice                        the same, by user, interface, MAC or IP address";

const TERMINATE_EXAMPLES: &str = "\
Examples:
  terminate session 7
  terminate user alice                      every session of alice
  terminate pattern 'guest*'                tells how many those are, and asks
  terminate interface eth1 --yes            does not ask";

const CONFIG_EXAMPLES: &str = "\
Examples:
  show config                               everything, with its origin
  show config echo                          lcp-echo-interval and the like
  show config 'mac-*' -o csv
  show config --diff                        what a restart would change";

const MONITOR_EXAMPLES: &str = "\
Examples:
  monitor                                   everything
  monitor auth-refused refused              who does not get in, and why
  monitor --user alice
  monitor --json                            a document in each line";

const TRACE_EXAMPLES: &str = "\
Examples:
  trace 7                                   session 7, until it is over
  trace new                                 the next client that looks for a server, from its PADI on
  trace mac 02:00:5e:10:00:01               a client that gets nowhere, on every access interface
  trace interface eth1 --json               everybody on eth1, a document in each line
  trace user alice --data                   with the packets of data";

const TOP_EXAMPLES: &str = "\
Examples:
  top                                       s: another column, r: the other way round, h: the other keys
  top --interface eth1 --sort tx-rate-
  top -n 1 --limit 5                        once, without the keys";

/// Names of values, which say what they are. [`crate::shell`] completes them by these names.
pub(crate) mod values {
    /// What stands for one session: its id, its user, and so on.
    pub(crate) const SESSION: &str = "SESSION";
    /// Name of a user.
    pub(crate) const USER: &str = "USER";
    /// Ethernet address.
    pub(crate) const MAC: &str = "MAC";
    /// IPv4 address of a peer.
    pub(crate) const IP: &str = "IP";
    /// Interface of a session, or access interface.
    pub(crate) const IFNAME: &str = "IFNAME";
    /// Name of a file on this machine.
    pub(crate) const FILE: &str = "FILE";
    /// Path of a file, directory or socket on this machine.
    pub(crate) const PATH: &str = "PATH";
    /// List of fields of sessions.
    pub(crate) const FIELDS: &str = "FIELD,...";
    /// List of fields of sessions, with their directions.
    pub(crate) const SORT: &str = "FIELD[-],...";
    /// Name of a setting of the server.
    pub(crate) const SETTING: &str = "SETTING";
    /// A word of a command.
    pub(crate) const WORD: &str = "WORD";
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show sessions and counters
    // `sh` would be the beginning of `shutdown` as well, and is what everybody types.
    #[command(subcommand, alias = "sh")]
    Show(Show),
    /// End sessions with a Terminate-Request and a PADT; asks first if there are several
    #[command(after_help = TERMINATE_EXAMPLES)]
    Terminate {
        /// Do not ask
        #[arg(short, long, global = true)]
        yes: bool,
        #[command(subcommand)]
        which: Terminate,
    },
    /// Take no new sessions, and keep those that there are; or take new ones again
    Drain {
        #[arg(value_enum)]
        switch: Switch,
    },
    /// Change something while pppoed runs
    #[command(subcommand)]
    Set(Set),
    /// Take back what was set at consoles
    #[command(subcommand)]
    Unset(Unset),
    /// Keep what was set at consoles over a restart, in the console file
    Write {
        /// Only tell whether there is something to be written
        #[arg(long)]
        check: bool,
    },
    /// Look into the secrets files as pppoed does
    #[command(subcommand)]
    Auth(Auth),
    /// Copy a session's frames, those of the peer and ours, into a file that Wireshark reads (pcapng)
    Capture(Capture),
    /// Show a negotiation as it goes on: discovery, LCP, authentication, IPCP and IPV6CP, until Ctrl-C
    #[command(after_help = TRACE_EXAMPLES, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
    Trace(Trace),
    /// Versions of pppctl and of the pppoed that runs
    Version,
    /// Show what happens as it happens, until Ctrl-C
    #[command(after_help = MONITOR_EXAMPLES)]
    Monitor(Monitor),
    /// Show the sessions with the most traffic, again and again
    #[command(after_help = TOP_EXAMPLES)]
    Top(Top),
    /// Read all files of pppoed again, check them, and go by what has changed
    Reload {
        /// Only tell what is wrong or would change
        #[arg(long)]
        check: bool,
    },
    /// Check, try and measure hook scripts
    #[command(subcommand)]
    Hooks(Hooks),
    /// End pppoed
    #[command(subcommand)]
    Shutdown(Shutdown),
}

/// Which events to show.
#[derive(Args, Debug)]
pub(crate) struct Monitor {
    /// Only these kinds of events
    #[arg(value_name = "EVENT", value_parser = event_names())]
    pub(crate) events: Vec<EventName>,
    /// End when pppoed ends, and do not wait for the next one
    #[arg(long)]
    pub(crate) no_reconnect: bool,
    #[command(flatten)]
    sessions: MonitoredSessions,
}

/// Only events of these sessions.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct MonitoredSessions {
    /// Only events of this session: id, user, interface, MAC or IP address
    #[arg(long, value_name = values::SESSION, value_parser = one_session())]
    session: Option<OneSession>,
    /// Only events of this user
    #[arg(long, value_name = values::USER, value_parser = name())]
    user: Option<Name>,
    /// Only events of this Ethernet address
    #[arg(long, value_name = values::MAC, value_parser = parse_mac)]
    mac: Option<[u8; 6]>,
    /// Only events of this peer address
    #[arg(long, value_name = values::IP)]
    ip: Option<Ipv4Addr>,
    /// Only events of this interface (ppp0 or eth1)
    #[arg(long, value_name = values::IFNAME)]
    interface: Option<String>,
}

impl Monitor {
    /// The sessions that were asked for; none for all, and for what is no session's.
    pub(crate) fn sessions(&self) -> Option<Selector> {
        let MonitoredSessions { session, user, mac, ip, interface } = &self.sessions;
        let user = || user.clone().map(Selector::User);
        let interface = || interface.clone().map(Selector::Interface);
        session
            .as_ref()
            .map(|session| Selector::Id(session.id()))
            .or_else(user)
            .or_else(|| mac.map(Selector::Mac))
            .or_else(|| ip.map(Selector::Ip))
            .or_else(interface)
    }
}

fn event_names() -> impl TypedValueParser<Value = EventName> {
    PossibleValuesParser::new(EventName::ALL.map(EventName::as_str)).try_map(|word| {
        EventName::ALL.into_iter().find(|name| name.as_str() == word).ok_or("there is no such event")
    })
}

impl Command {
    /// The session that it is about, if it is about one.
    pub(crate) fn one_session(&mut self) -> Option<&mut OneSession> {
        match self {
            Self::Show(Show::Sessions { session, .. }) => session.as_mut(),
            Self::Show(Show::Log(log)) => log.session.as_mut(),
            Self::Terminate { which: Terminate::Session { session }, .. } => Some(session),
            Self::Set(Set::Rate { session, .. }) => Some(session),
            Self::Set(Set::LogLevel { session, .. }) => session.as_mut(),
            Self::Set(Set::Debug(debug)) => debug.session.as_mut(),
            Self::Monitor(monitor) => monitor.sessions.session.as_mut(),
            Self::Capture(capture) => Some(&mut capture.session),
            Self::Trace(trace) => trace.session.as_mut(),
            Self::Hooks(Hooks::Run(run)) => run.session.as_mut(),
            _ => None,
        }
    }

    /// Whether it goes on until it is ended, and shows what comes as it comes.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Monitor(_) | Self::Top(_) | Self::Capture(_) | Self::Trace(_))
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// New clients get no answer
    On,
    /// New clients are welcome again; calls a soft shutdown off, too
    Off,
}

/// How to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Shutdown {
    /// Take no new sessions, and end when the last one has ended; `drain off` calls it off
    Soft,
    /// End all sessions now, as SIGTERM does; asks first
    Hard {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// End now and leave the sessions to the next pppoed, as SIGUSR1 does; without one they end after a while
    Keep,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// List all sessions, or show everything about one
    // One command and not two, so that its prefixes are unique.
    #[command(visible_alias = "session", after_help = SESSIONS_EXAMPLES)]
    Sessions {
        /// Id, user, interface, MAC or IP address of a session; without it, sessions are listed
        #[arg(value_name = values::SESSION, value_parser = one_session(), conflicts_with_all = Query::ARGUMENTS)]
        session: Option<OneSession>,
        #[command(flatten)]
        query: Query,
    },
    /// Counters of the whole server
    Stats,
    /// The address pool, and who has which address
    Pool,
    /// The access interfaces and their sessions
    Interfaces,
    /// The latest lines of the log
    Log(Log),
    /// The settings that hold, with the file and line, flag or command that each comes from
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        /// Only these settings: part of the name, or a pattern with * and ?
        #[arg(value_name = values::SETTING)]
        pattern: Option<String>,
        /// Only what differs from the files as they are now, and what a restart makes of it
        #[arg(long)]
        diff: bool,
    },
    /// What was set at consoles and holds, by whom, and whether a restart loses it
    Policy,
    /// Everything that is counted, as OpenMetrics text
    Metrics,
}

/// What to find out about users.
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Which line of which file would decide about a user, and what a login would come to now
    Test {
        /// User name
        #[arg(value_name = values::USER, value_parser = name())]
        user: Name,
        /// Ask for a password, and try it; where there is no terminal, it is the first line of standard input
        #[arg(short, long)]
        password: bool,
    },
}

/// Which lines of the log to show.
#[derive(Args, Debug)]
pub(crate) struct Log {
    /// Least important level of the lines; what is not logged (`set log-level`) cannot be shown
    #[arg(value_parser = log_levels(), default_value = LogLevel::Trace.as_str())]
    level: LogLevel,
    /// Lines at most
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    lines: u32,
    /// Only lines about this session: id, user, interface, MAC or IP address
    #[arg(long, value_name = values::SESSION, value_parser = one_session())]
    session: Option<OneSession>,
    /// Only lines about this user
    #[arg(long, value_name = values::USER, value_parser = name())]
    user: Option<Name>,
    /// Only lines about this Ethernet address
    #[arg(long, value_name = values::MAC, value_parser = parse_mac)]
    mac: Option<[u8; 6]>,
    /// Only lines from this moment on: 10m (ago), 14:30, today, yesterday, 2026-11-30, "2026-11-30 14:30"
    #[arg(long, value_name = "TIME", value_parser = clock::parse_since)]
    since: Option<Since>,
}

impl Log {
    /// What to ask for.
    pub(crate) fn query(&self) -> LogQuery {
        let since_ms = self.since.as_ref().map_or(0, |since| since.ms(&ZonedDateTime::now()));
        let Self { level, lines, session, user, mac, since: _ } = self;
        let session = session.as_ref().map(OneSession::id);
        LogQuery { level: *level, count: *lines, session, user: user.clone(), mac: *mac, since_ms }
    }
}

/// What to change.
#[derive(Debug, Subcommand)]
pub(crate) enum Set {
    /// What is logged from now on, of everything or of one session
    LogLevel {
        /// error, warn, info, debug or trace; for a session also `default`: as for everything
        #[arg(value_parser = wanted_levels())]
        level: WantedLevel,
        /// Only for this session, until its end: id, user, interface, MAC or IP address
        #[arg(long, value_name = values::SESSION, value_parser = one_session())]
        session: Option<OneSession>,
    },
    /// Write a session's packets of control into the log, in words, until its end
    #[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
    Debug(Debug),
    /// Take no new sessions, or take new ones again
    Drain {
        #[arg(value_enum)]
        switch: Switch,
    },
    #[command(flatten)]
    Policy(SetPolicy),
    /// Limit a session's rates, from now on until its end
    Rate {
        /// Id, user, interface, MAC or IP address of the session
        #[arg(value_name = values::SESSION, value_parser = one_session())]
        session: OneSession,
        /// To the peer: a number of kbit/s, or one like 512k, 10M or 1G; none for no limit
        down: BitRate,
        /// From the peer; as it was if it is left out
        up: Option<BitRate>,
    },
}

/// A level, or that of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WantedLevel(Option<LogLevel>);

impl WantedLevel {
    /// The level; none for that of everything.
    pub(crate) fn known(self) -> Option<LogLevel> {
        self.0
    }
}

fn log_levels() -> impl TypedValueParser<Value = LogLevel> {
    PossibleValuesParser::new(LogLevel::ALL.map(LogLevel::as_str)).try_map(|word| {
        LogLevel::ALL.into_iter().find(|level| level.as_str() == word).ok_or("there is no such level")
    })
}

fn wanted_levels() -> impl TypedValueParser<Value = WantedLevel> {
    let words = LogLevel::ALL.map(LogLevel::as_str).into_iter().chain(["default"]);
    PossibleValuesParser::new(words)
        .map(|word| WantedLevel(LogLevel::ALL.into_iter().find(|level| level.as_str() == word)))
}

/// Which sessions to end.
#[derive(Debug, Subcommand)]
pub(crate) enum Terminate {
    /// One session
    Session {
        /// Its id, user, interface, MAC or IP address
        #[arg(value_name = values::SESSION, value_parser = one_session())]
        session: OneSession,
    },
    /// Every session of a user
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
    },
    /// Every session of an Ethernet address
    Mac {
        /// Such as 02:00:5e:10:00:01
        #[arg(value_name = values::MAC, value_parser = parse_mac)]
        address: [u8; 6],
    },
    /// The session with this peer address
    Ip {
        /// IPv4 address of the peer
        #[arg(value_name = values::IP)]
        address: Ipv4Addr,
    },
    /// The session on this interface (ppp0), or all sessions of this access interface (eth1)
    Interface {
        /// Name of the interface
        #[arg(value_name = values::IFNAME)]
        name: String,
    },
    /// Every session whose user, interface, MAC, IP address or service is like this; asks first
    Pattern {
        /// Such as 'guest*' or '*@isp.example': * is any text, ? one character
        #[arg(value_parser = name_pattern())]
        pattern: NamePattern,
    },
    /// Every session of the server; asks first
    All,
}

/// A time of 1 ms to an hour.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    if !(0.001..=3600.0).contains(&seconds) {
        return Err("give 0.001 to 3600 seconds".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

pub(crate) fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let wrong = |_| "give six bytes in hexadecimal, such as 02:00:5e:10:00:01".to_owned();
    text.parse::<MacAddr>().map(|mac| mac.0).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses() {
        let address = [0x02, 0, 0x5e, 0x10, 0, 0xff];
        for good in ["02:00:5e:10:00:ff", "02-00-5E-10-00-FF", "2:0:5e:10:0:ff", "0200.5e10.00ff"] {
            assert_eq!(parse_mac(good), Ok(address), "{good}");
        }
        for bad in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:ff:01",
            "02:00:5e:10:00:fff",
            "02:00:5e:10:00:+f",
            "::::: ",
        ] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn timeouts() {
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["0", "-1", "nan", "inf", "3601", "soon"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
