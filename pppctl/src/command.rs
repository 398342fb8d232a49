//! The command table: every command, its words and its arguments.
//!
//! Parsing only. Whatever reads command lines parses them against [`Command`]: the arguments of the program
//! ([`crate::program::Cli`]) and the lines of the shell ([`crate::program::Line`]). Help, completion, the man page and the completions of shells
//! are made from it as well.
//!
//! The name of a value ([`values`]) says what it is, and so what completes it.

mod names;
mod packets;

use std::net::Ipv4Addr;

use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::ZonedDateTime;
use ppp_ipc::control::{BitRate, EventName, LogLevel, LogQuery, Selector};
use ppp_ipc::name::{Name, NamePattern};

use crate::{
    clock::{self, Since},
    hooks::Hooks,
    parse::parse_mac,
    policy::{SetPolicy, Unset},
    sessions::Query,
    top::Top,
};

pub(crate) use self::names::{OneSession, name, name_pattern, one_session};
use self::packets::{Capture, Debug, Trace};

const SESSIONS_EXAMPLES: &str = "\
Examples:
  show sessions --state authenticate        sessions that are authenticating
  show sessions --user '*@isp2' --sort uptime
  show sessions --columns id,user,rate --sort rate- --limit 10
  show sessions --ip 10.0.0.0/24 -o csv
  show session 7                            details of session 7
  show session alice                        same, by user, interface, MAC or IP address";

const TERMINATE_EXAMPLES: &str = "\
Examples:
  terminate session 7
  terminate user alice                      all sessions of alice
  terminate pattern 'guest*'                shows their number, asks for confirmation
  terminate interface eth1 --yes            no confirmation";

const CONFIG_EXAMPLES: &str = "\
Examples:
  show config                               all settings, with their origin
  show config echo                          settings with echo in their name
  show config 'mac-*' -o csv
  show config --diff                        what a restart would change";

const MONITOR_EXAMPLES: &str = "\
Examples:
  monitor                                   all events
  monitor auth-refused refused              refused logins and dials, with reasons
  monitor --user alice
  monitor --json                            one document per line";

const TRACE_EXAMPLES: &str = "\
Examples:
  trace 7                                   session 7, until it ends
  trace new                                 the next client, from its PADI
  trace mac 02:00:5e:10:00:01               a client without a session, on all access interfaces
  trace interface eth1 --json               all clients on eth1, one document per line
  trace user alice --data                   including data packets";

const TOP_EXAMPLES: &str = "\
Examples:
  top                                       s: sort column, r: reverse order, h: help
  top --interface eth1 --sort tx-rate-
  top -n 1 --limit 5                        once, not interactive";

/// Names of values, which say what they are. [`crate::shell`] completes them by these names.
pub(crate) mod values {
    /// One session: its id, user, interface, MAC or IP address.
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

/// The command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show sessions and counters
    // `sh` would be the beginning of `shutdown` as well, and is what everybody types.
    #[command(subcommand, alias = "sh")]
    Show(Show),
    /// Terminate sessions (Terminate-Request and PADT); asks for confirmation if there are several
    #[command(after_help = TERMINATE_EXAMPLES)]
    Terminate {
        /// Do not ask for confirmation
        #[arg(short, long, global = true)]
        yes: bool,
        #[command(subcommand)]
        which: Terminate,
    },
    /// Stop or resume accepting new sessions; existing ones continue
    Drain {
        #[arg(value_enum)]
        switch: Switch,
    },
    /// Change runtime settings
    #[command(subcommand)]
    Set(Set),
    /// Remove runtime settings
    #[command(subcommand)]
    Unset(Unset),
    /// Save runtime settings to the console file, so that they survive a restart
    Write {
        /// Report whether there are unsaved settings, without saving them
        #[arg(long)]
        check: bool,
    },
    /// Test a login
    #[command(subcommand)]
    Auth(Auth),
    /// Capture the frames of a session, received and sent, to a pcapng file
    Capture(Capture),
    /// Trace negotiations live: discovery, LCP, authentication, IPCP and IPV6CP, until Ctrl-C
    #[command(after_help = TRACE_EXAMPLES, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
    Trace(Trace),
    /// Show the versions of pppctl and of the running pppoed
    Version,
    /// Show events live, until Ctrl-C
    #[command(after_help = MONITOR_EXAMPLES)]
    Monitor(Monitor),
    /// Live view of the busiest sessions
    #[command(after_help = TOP_EXAMPLES)]
    Top(Top),
    /// Reload the configuration
    Reload {
        /// Report errors and changes, without applying them
        #[arg(long)]
        check: bool,
    },
    /// Check, run and profile hook scripts
    #[command(subcommand)]
    Hooks(Hooks),
    /// Shut down pppoed
    #[command(subcommand)]
    Shutdown(Shutdown),
}

/// The events to show.
#[derive(Args, Debug)]
pub(crate) struct Monitor {
    /// Show only these kinds of events
    #[arg(value_name = "EVENT", value_parser = event_names())]
    pub(crate) events: Vec<EventName>,
    /// Exit when pppoed exits, instead of reconnecting
    #[arg(long)]
    pub(crate) no_reconnect: bool,
    #[command(flatten)]
    sessions: MonitoredSessions,
}

/// Only events of these sessions.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct MonitoredSessions {
    /// Show only events of this session: id, user, interface, MAC or IP address
    #[arg(long, value_name = values::SESSION, value_parser = one_session())]
    session: Option<OneSession>,
    /// Show only events of this user
    #[arg(long, value_name = values::USER, value_parser = name())]
    user: Option<Name>,
    /// Show only events of this MAC address
    #[arg(long, value_name = values::MAC, value_parser = parse_mac)]
    mac: Option<[u8; 6]>,
    /// Show only events of this peer IP address
    #[arg(long, value_name = values::IP)]
    ip: Option<Ipv4Addr>,
    /// Show only events of this interface (ppp0 or eth1)
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
    /// Do not answer new clients
    On,
    /// Accept new sessions; cancels a soft shutdown
    Off,
}

/// The kind of shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Shutdown {
    /// Accept no new sessions, and exit when the last one has ended; `drain off` cancels it
    Soft,
    /// Terminate all sessions and exit, as with SIGTERM; asks for confirmation
    Hard {
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Exit and leave the sessions to the next pppoed, as with SIGUSR1; without one they end after --orphan-timeout
    Keep,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// List sessions, or show the details of one
    // One command and not two, so that its prefixes are unique.
    #[command(visible_alias = "session", after_help = SESSIONS_EXAMPLES)]
    Sessions {
        /// Id, user, interface, MAC or IP address of a session; all sessions are listed without it
        #[arg(value_name = values::SESSION, value_parser = one_session(), conflicts_with_all = Query::ARGUMENTS)]
        session: Option<OneSession>,
        #[command(flatten)]
        query: Query,
    },
    /// Show server counters
    Stats,
    /// Show the address pool and its leases
    Pool,
    /// Show the access interfaces and their session counts
    Interfaces,
    /// Show recent log lines
    Log(Log),
    /// Show the settings in effect, with the origin of each: file and line, flag or console command
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        /// Show only these settings: part of the name, or a pattern with * and ?
        #[arg(value_name = values::SETTING)]
        pattern: Option<String>,
        /// Show differences between running configuration and files, and the effect of a restart
        #[arg(long)]
        diff: bool,
    },
    /// Show runtime settings, who made them, and whether they are saved
    Policy,
    /// Print all metrics as OpenMetrics text
    Metrics,
}

/// Tests of logins.
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Show which line of which file decides about a user, and whether a login would succeed now
    Test {
        /// User name
        #[arg(value_name = values::USER, value_parser = name())]
        user: Name,
        /// Prompt for a password and test it; without a terminal, read it from the first line of standard input
        #[arg(short, long)]
        password: bool,
    },
}

/// The log lines to show.
#[derive(Args, Debug)]
pub(crate) struct Log {
    /// Lowest level to show, within the levels that are logged (`set log-level`)
    #[arg(value_parser = log_levels(), default_value = LogLevel::Trace.as_str())]
    level: LogLevel,
    /// Maximum number of lines
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    lines: u32,
    /// Show only lines about this session: id, user, interface, MAC or IP address
    #[arg(long, value_name = values::SESSION, value_parser = one_session())]
    session: Option<OneSession>,
    /// Show only lines about this user
    #[arg(long, value_name = values::USER, value_parser = name())]
    user: Option<Name>,
    /// Show only lines about this MAC address
    #[arg(long, value_name = values::MAC, value_parser = parse_mac)]
    mac: Option<[u8; 6]>,
    /// Show only lines since this time: 10m (ago), 14:30, today, yesterday, 2026-11-30, "2026-11-30 14:30"
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
    /// Set the log level, of the server or of one session
    LogLevel {
        /// error, warn, info, debug or trace; for a session also `default`: the level of the server
        #[arg(value_parser = wanted_levels())]
        level: WantedLevel,
        /// Session to set it for, until its end: id, user, interface, MAC or IP address
        #[arg(long, value_name = values::SESSION, value_parser = one_session())]
        session: Option<OneSession>,
    },
    /// Log decoded control packets of a session, until its end
    #[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
    Debug(Debug),
    /// Stop or resume accepting new sessions
    Drain {
        #[arg(value_enum)]
        switch: Switch,
    },
    #[command(flatten)]
    Policy(SetPolicy),
    /// Set the rate limits of a session, until its end
    Rate {
        /// Id, user, interface, MAC or IP address of the session
        #[arg(value_name = values::SESSION, value_parser = one_session())]
        session: OneSession,
        /// Rate limit to the client: a number in kbit/s, or with a unit: 512k, 10M, 1G; none for no limit
        down: BitRate,
        /// Rate limit from the client; unchanged if omitted
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

/// The sessions to terminate.
#[derive(Debug, Subcommand)]
pub(crate) enum Terminate {
    /// Terminate one session
    Session {
        /// Id, user, interface, MAC or IP address of the session
        #[arg(value_name = values::SESSION, value_parser = one_session())]
        session: OneSession,
    },
    /// Terminate all sessions of a user
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
    },
    /// Terminate all sessions of a MAC address
    Mac {
        /// MAC address, such as 02:00:5e:10:00:01
        #[arg(value_name = values::MAC, value_parser = parse_mac)]
        address: [u8; 6],
    },
    /// Terminate the session with a peer IP address
    Ip {
        /// IPv4 address of the peer
        #[arg(value_name = values::IP)]
        address: Ipv4Addr,
    },
    /// Terminate the session on an interface (ppp0), or all sessions on an access interface (eth1)
    Interface {
        /// Interface name
        #[arg(value_name = values::IFNAME)]
        name: String,
    },
    /// Terminate sessions whose user, interface, MAC address, IP address or service matches; asks for confirmation
    Pattern {
        /// Pattern, such as 'guest*' or '*@isp.example': * matches any text, ? one character
        #[arg(value_parser = name_pattern())]
        pattern: NamePattern,
    },
    /// Terminate all sessions; asks for confirmation
    All,
}
