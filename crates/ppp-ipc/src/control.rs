//! Messages between `pppctl` and `pppoed`.
//!
//! The client sends [`ClientHello`], the server answers [`ServerHello`]; then the client sends
//! [`Request`]s one after the other and reads [`Response`]s until [`Response::Done`] or
//! [`Response::Failed`]. A long list comes in several responses, so that no frame grows with the
//! number of sessions. The answer to [`Request::Monitor`] has no end: it lasts until the client hangs up,
//! the server stops, or the client sends its next request, which is answered after [`Response::Done`].
//!
//! The types also give `pppctl` its JSON, so a field's name is stable once released. (No
//! `#[serde(flatten)]`: bincode cannot carry it. `pppctl` does the flattening.)
//!
//! Names (of users, of services) are the bytes that they are, as [`Name`]: commands compare them with what a peer sent, and its
//! text may be printed. Other text has been escaped by `pppoed`: it holds no control characters and may be printed.

mod auth_test;
mod capture;
mod config;
mod detail;
mod event;
mod hooks;
mod info;
mod selector;
mod trace;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_wire::MacAddr;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::{policy, reload};
pub use crate::{rate::BitRate, reason::EndReason, worker::AuthMethod};
pub use auth_test::{AuthLine, AuthTest, AuthVerdict, MAX_LINES as MAX_AUTH_LINES, Password};
pub use capture::{CaptureEnd, CaptureRequest, CapturedFrame};
pub use config::{ConfigDiffEnd, ConfigDifference, ConfigSetting, Fate};
pub use detail::{ControlTraffic, NegotiatedOption, SessionHook, SessionRates, SessionTimers};
pub use event::{Event, EventCaller, EventFilter, EventName, EventSession};
pub use hooks::{HookFunction, HookRun, HookSummary, HookTrial};
pub use info::{
    AccessInterface, AddressSource, LogField, LogLevel, LogLevels, LogLine, LogQuery, NamedPoolStats,
    PoolLease, PoolRange, PoolStats, ServerVersion, SessionLogLevel,
};
pub use selector::{Selector, SessionFacts};
pub use trace::{TraceRequest, TraceTarget, TracedFrame};

/// Version of these messages. The server refuses other ones, and says which it has.
///
/// A release whose messages differ in anything from the last one's has a higher number: bincode tells neither the
/// fields of a type nor the number of its variants.
pub const VERSION: u16 = 4;

/// Path of the control socket unless configured.
pub const DEFAULT_PATH: &str = "/run/pppoed/control.sock";

/// First message of a client.
///
/// These two hellos never change their layout, whatever the version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// [`VERSION`] of the client.
    pub version: u16,
}

/// Answer to [`ClientHello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHello {
    /// [`VERSION`] of the server; the server hangs up after this message when it is not the client's.
    pub version: u16,
    /// Version of `pppoed`, such as `0.1.0`.
    pub software: String,
    /// Name of the host.
    pub host: String,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// One [`SessionSummary`] per session, in order of session id.
    ShowSessions,
    /// Everything about one session.
    ShowSession {
        /// PPPoE session id.
        id: u16,
    },
    /// Counters of the whole server.
    ShowStats,
    /// End sessions with a Terminate-Request and a PADT. Answered by how many were told.
    Terminate(Selector),
    /// Take no new sessions, or (`on` false) take them again; this also calls a soft shutdown off. Answered by
    /// [`Response::Service`].
    Drain {
        /// No new sessions.
        on: bool,
    },
    /// End the server. Answered by [`Response::Service`].
    Shutdown(Shutdown),
    /// Every event from now on, as [`Response::Event`] and [`Response::Lost`].
    Monitor(EventFilter),
    /// The address pool: [`Response::Pool`], then [`Response::Leases`] in order of session id.
    ShowPool,
    /// One [`Response::Interface`] per access interface.
    ShowInterfaces,
    /// Lines of the log that the server remembers, the oldest first: [`Response::Log`].
    ShowLog(LogQuery),
    /// Which server this is: [`Response::Version`].
    ShowVersion,
    /// Which line of which file would decide about a user: one [`Response::AuthVerdict`] per method.
    AuthTest(AuthTest),
    /// Copies of a session's frames: [`Response::Frames`], and [`Response::CaptureEnd`] at the end.
    Capture(CaptureRequest),
    /// How many sessions [`Request::Terminate`] would end: [`Response::Count`].
    Count(Selector),
    /// Change what is logged, of everything or of one session (until its end): [`Response::LogLevels`].
    SetLogLevel {
        /// Least important level that is logged from now on; for a session `None` is as for everything.
        level: Option<LogLevel>,
        /// The session; `None` for everything.
        session: Option<u16>,
    },
    /// Limit a session's rates until its end, or until this is asked again: [`Response::Session`].
    SetRate {
        /// PPPoE session id.
        id: u16,
        /// To the peer.
        down: BitRate,
        /// From the peer; `None` leaves it as it is.
        up: Option<BitRate>,
    },
    /// Read all files again and go by them, or (`check`) only tell what would change. Answered by [`Response::Changes`],
    /// as often as needed, and [`Response::Reloaded`].
    Reload {
        /// Change nothing.
        check: bool,
    },
    /// What was called of the hook scripts: [`Response::HookFunctions`], then [`Response::Hooks`].
    ShowHooks,
    /// Call a hook, and tell what came of it in each file: [`Response::HookRun`].
    RunHook(Box<HookTrial>),
    /// The settings that hold: [`Response::Config`].
    ShowConfig,
    /// Where they differ from the files as these are now: [`Response::ConfigDifferences`], then
    /// [`Response::ConfigDiffEnd`].
    ShowConfigDiff,
    /// Watch frames of discovery and control as they pass: [`Response::Traced`] and [`Response::Lost`], and
    /// [`Response::CaptureEnd`] at the end.
    Trace(TraceRequest),
    /// Log the packets of control of these sessions until their ends, or do so no longer: [`Response::LogLevels`].
    SetDebug {
        /// Which sessions.
        which: Selector,
        /// Log them.
        on: bool,
    },
    /// Change the configuration that runs: [`Response::Changes`], as often as needed, and [`Response::PolicyChanged`].
    Policy(Box<policy::PolicyRequest>),
    /// What consoles have changed and still holds: [`Response::Policy`].
    ShowPolicy,
    /// Keep that over a restart: [`Response::PolicyWritten`].
    WritePolicy {
        /// Only tell whether there is something to be written.
        check: bool,
    },
    /// The sessions that a word may stand for, by the first of [`Selector::readings`] of which there are any:
    /// [`Response::Sessions`] in order of session id.
    FindSessions(Name),
    /// What consoles can set: [`Response::Settable`].
    ShowSettable,
}

impl Request {
    /// Whether this only looks, and at nothing that is private to a subscriber: what the clients of the read-only
    /// socket may ask.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::ShowSessions | Self::ShowSession { .. } | Self::ShowStats | Self::Monitor(_) => true,
            Self::FindSessions(_) | Self::ShowSettable => true,
            Self::ShowPool | Self::ShowInterfaces | Self::ShowVersion | Self::Count(_) => true,
            Self::ShowLog(_) | Self::ShowHooks | Self::ShowConfig | Self::ShowConfigDiff => true,
            Self::RunHook(_) => false,
            Self::Terminate(_) | Self::Drain { .. } | Self::Shutdown(_) | Self::SetLogLevel { .. } => false,
            // With it, passwords can be guessed.
            Self::AuthTest(_) => false,
            Self::SetRate { .. } => false,
            Self::ShowPolicy => true,
            Self::Policy(_) | Self::WritePolicy { .. } => false,
            // It shows what subscribers do.
            Self::Capture(_) | Self::Trace(_) | Self::SetDebug { .. } => false,
            Self::Reload { .. } => false,
        }
    }
}

/// The words of the command, for the log. Text of the client is not escaped, but for names.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowSessions => f.write_str("show sessions"),
            Self::ShowSession { id } => write!(f, "show session {id}"),
            Self::FindSessions(name) => write!(f, "show session {name}"),
            Self::ShowSettable => f.write_str("show settable"),
            Self::ShowStats => f.write_str("show stats"),
            Self::Terminate(selector) => write!(f, "terminate {selector}"),
            Self::Drain { on } => write!(f, "drain {}", if *on { "on" } else { "off" }),
            Self::Shutdown(Shutdown::Soft) => f.write_str("shutdown soft"),
            Self::Shutdown(Shutdown::Hard) => f.write_str("shutdown hard"),
            Self::Shutdown(Shutdown::Keep) => f.write_str("shutdown keep"),
            Self::Monitor(_) => f.write_str("monitor"),
            Self::ShowPool => f.write_str("show pool"),
            Self::ShowInterfaces => f.write_str("show interfaces"),
            Self::ShowLog(_) => f.write_str("show log"),
            Self::ShowVersion => f.write_str("version"),
            Self::Policy(request) => request.fmt(f),
            Self::ShowPolicy => f.write_str("show policy"),
            Self::WritePolicy { check: false } => f.write_str("write"),
            Self::WritePolicy { check: true } => f.write_str("write --check"),
            Self::ShowConfig => f.write_str("show config"),
            Self::ShowConfigDiff => f.write_str("show config --diff"),
            Self::Capture(capture) => {
                let secrets = if capture.secrets { " --secrets" } else { "" };
                write!(f, "capture {}{secrets}", capture.session)
            }
            Self::SetDebug { which, on } => write!(f, "set debug {which} {}", if *on { "on" } else { "off" }),
            Self::Trace(trace) => {
                write!(f, "trace {}{}", trace.target, if trace.data { " --data" } else { "" })
            }
            Self::AuthTest(test) => write!(f, "auth test {}", test.user),
            Self::ShowHooks => f.write_str("hooks stats"),
            Self::RunHook(trial) => trial.fmt(f),
            Self::Count(selector) => write!(f, "count {selector}"),
            Self::SetLogLevel { level, session } => {
                write!(f, "set log-level {}", level.map_or("default", LogLevel::as_str))?;
                session.map_or(Ok(()), |id| write!(f, " --session {id}"))
            }
            Self::SetRate { id, down, up } => {
                write!(f, "set rate {id} {down}")?;
                up.map_or(Ok(()), |up| write!(f, " {up}"))
            }
            Self::Reload { check: false } => f.write_str("reload"),
            Self::Reload { check: true } => f.write_str("reload --check"),
        }
    }
}

/// How the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shutdown {
    /// No new sessions, and the end when the last one has ended.
    Soft,
    /// All sessions are ended now, as SIGTERM does.
    Hard,
    /// Now, and the sessions go on for the next `pppoed` to take over, as SIGUSR1 does.
    Keep,
}

/// What the server does for clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It takes new sessions.
    #[default]
    Serving,
    /// It takes no new sessions (`drain on`).
    Draining,
    /// It takes no new sessions and exits after the last one (`shutdown soft`).
    ShutdownSoft,
    /// It ends all sessions, and then exits.
    Stopping,
    /// It exits, and its sessions go on.
    Leaving,
}

impl ServiceState {
    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::ShutdownSoft => "shutdown-soft",
            Self::Stopping => "stopping",
            Self::Leaving => "leaving",
        }
    }
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// Some sessions.
    Sessions(Vec<SessionSummary>),
    /// One session.
    Session(Box<SessionDetail>),
    /// Counters of the server.
    Stats(Box<ServerStats>),
    /// Number of sessions that were told to end.
    Terminated {
        /// How many.
        count: u32,
    },
    /// What the server does from now on.
    Service {
        /// What.
        state: ServiceState,
        /// Sessions now, in any phase.
        sessions: u32,
    },
    /// The request could not be carried out. Last of its answer.
    Failed(Failure),
    /// Last of an answer that succeeded.
    Done,
    /// Something happened.
    Event(Box<Event>),
    /// The address pool.
    Pool(Box<PoolStats>),
    /// Some addresses that sessions have.
    Leases(Vec<PoolLease>),
    /// An access interface.
    Interface(Box<AccessInterface>),
    /// Some lines of the log.
    Log(Vec<LogLine>),
    /// Which server this is.
    Version(ServerVersion),
    /// Whether a user would be let in, by one method.
    AuthVerdict(Box<AuthVerdict>),
    /// Frames of a capture.
    Frames(Vec<CapturedFrame>),
    /// Why there are no more.
    CaptureEnd(CaptureEnd),
    /// Number of sessions that match.
    Count {
        /// How many.
        count: u32,
    },
    /// What the log tells from now on.
    LogLevels(LogLevels),
    /// Events, of any kind, that came faster than the client took them, and are lost to it.
    Lost {
        /// How many.
        count: u64,
    },
    /// Some of the settings that are different.
    Changes(Vec<reload::Change>),
    /// The end of the answer to a reload.
    Reloaded(Box<reload::Summary>),
    /// Some functions of the hook scripts.
    HookFunctions(Vec<HookFunction>),
    /// The hook scripts and their hosts.
    Hooks(Box<HookSummary>),
    /// What came of calling a hook in one file.
    HookRun(Box<HookRun>),
    /// Some settings.
    Config(Vec<ConfigSetting>),
    /// Some differences between the settings that hold and the files.
    ConfigDifferences(Vec<ConfigDifference>),
    /// The end of those.
    ConfigDiffEnd(Box<ConfigDiffEnd>),
    /// Frames of a trace.
    Traced(Vec<TracedFrame>),
    /// The end of the answer to a change.
    PolicyChanged(Box<policy::PolicySummary>),
    /// Some of what consoles have changed.
    Policy(Vec<policy::PolicyEntry>),
    /// What was written.
    PolicyWritten(Box<policy::PolicyWritten>),
    /// Some of what consoles can set.
    Settable(Vec<policy::Settable>),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// No session matches.
    NoSuchSession,
    /// The client's user may not do this.
    NotAllowed,
    /// The server cannot do this now.
    Busy(String),
    /// The server does not do this at all; the words say why, and what to do.
    Refused(String),
    /// Files are wrong, or do not go with the sessions that there are; nothing was changed. A line for each mistake, with
    /// file and line where there is one.
    BadFiles(Vec<String>),
}

/// Phase of a session, as RFC 1661 §3 calls them where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The worker enters its sandbox.
    Starting,
    /// LCP is negotiated.
    Establish,
    /// The peer has to prove who it is.
    Authenticate,
    /// IPCP is negotiated.
    Network,
    /// Packets flow.
    Open,
    /// The link is being closed.
    Terminate,
}

impl Phase {
    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Establish => "establish",
            Self::Authenticate => "authenticate",
            Self::Network => "network",
            Self::Open => "open",
            Self::Terminate => "terminate",
        }
    }
}

/// Traffic of a session as the subscriber's line sees it: `rx` came from the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets of data from the peer.
    pub rx_packets: u64,
    /// Their bytes, from the IP header on.
    pub rx_bytes: u64,
    /// Packets of data to the peer.
    pub tx_packets: u64,
    /// Their bytes, from the IP header on.
    pub tx_bytes: u64,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// PPPoE session id.
    pub id: u16,
    /// Network interface, such as `ppp0`.
    pub ifname: String,
    /// User name, once the peer gave one that was accepted.
    pub username: Option<Name>,
    /// The peer's address, once assigned.
    pub ip: Option<Ipv4Addr>,
    /// The peer's Ethernet address, `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Access interface.
    pub interface: String,
    /// Service-Name that the peer chose; empty means any.
    pub service: Name,
    /// Phase.
    pub state: Phase,
    /// Seconds since the PADR.
    pub uptime_s: u64,
    /// Traffic.
    pub traffic: Traffic,
}

impl SessionSummary {
    /// What commands select it by.
    pub fn facts(&self) -> SessionFacts<'_> {
        SessionFacts {
            id: self.id,
            ifname: &self.ifname,
            interface: &self.interface,
            username: self.username.as_ref().map(Name::as_bytes),
            // The server writes what can be read.
            mac: self.mac.parse().unwrap_or(MacAddr([0; 6])),
            ip: self.ip,
            service: Some(self.service.as_bytes()),
        }
    }
}

/// Everything about a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetail {
    /// What the list shows.
    pub summary: SessionSummary,
    /// Process id of the worker.
    pub worker_pid: u32,
    /// Our address.
    pub local_ip: Option<Ipv4Addr>,
    /// Our link-local address, while IPV6CP is open.
    pub local_link_local: Option<Ipv6Addr>,
    /// The peer's link-local address, while IPV6CP is open.
    pub peer_link_local: Option<Ipv6Addr>,
    /// DNS servers that the peer is told.
    pub dns: Vec<Ipv4Addr>,
    /// NetBIOS name servers that the peer is told.
    pub nbns: Vec<Ipv4Addr>,
    /// Largest packet that we take, in bytes.
    pub mru: Option<u16>,
    /// Largest packet that the peer takes, in bytes.
    pub peer_mru: Option<u16>,
    /// MTU of the network interface, in bytes.
    pub mtu: Option<u16>,
    /// How the peer proved who it is.
    pub auth: Option<AuthMethod>,
    /// File and line of the secret that decided.
    pub secret_origin: Option<String>,
    /// Host-Uniq of the peer in hexadecimal.
    pub host_uniq: Option<String>,
    /// Packets dropped because their source was not the session's address.
    pub dropped_source: u64,
    /// Frames dropped because they were not understood.
    pub dropped_malformed: u64,
    /// Packets dropped because the session was not open.
    pub dropped_not_open: u64,
    /// Packets dropped because a queue was full or the system refused them.
    pub dropped_errors: u64,
    /// Packets dropped because they came faster than the session's limits.
    pub dropped_rate: u64,
    /// Limit of the rate to the peer.
    pub rate_down: BitRate,
    /// Limit of the rate from the peer.
    pub rate_up: BitRate,
    /// Seconds since the last frame of the peer.
    pub idle_s: Option<u64>,
    /// Protections that are in force in the worker.
    pub sandbox: Vec<String>,
    /// What both ends agreed on, while the protocol is open.
    pub options: Vec<NegotiatedOption>,
    /// What is left until something happens by itself.
    pub timers: SessionTimers,
    /// How fast traffic flows; none in the first second.
    pub rates: Option<SessionRates>,
    /// Packets of control.
    pub control: ControlTraffic,
    /// What happened to the session, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Calls of hooks for it, oldest first.
    pub hooks: Vec<SessionHook>,
}

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Milliseconds since the PADR.
    pub at_ms: u64,
    /// What.
    pub event: String,
}

/// Counters of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStats {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// What it does for clients.
    pub state: ServiceState,
    /// Sessions now, in any phase.
    pub sessions: u32,
    /// Sessions with packets flowing.
    pub open: u32,
    /// Most sessions that there can be.
    pub max_sessions: u32,
    /// Sessions ever started.
    pub started: u64,
    /// Ends by reason.
    pub ended: Vec<NamedCount>,
    /// Per access interface: frames and drops by name.
    pub interfaces: Vec<InterfaceStats>,
    /// What does not work although the server runs, each in a line that may be printed.
    pub problems: Vec<String>,
    /// What was found to be otherwise than it should be, and put right, by kind.
    pub repaired: Vec<NamedCount>,
    /// How long the turns of the event loop took, by kind of event.
    pub turns: Vec<TurnStats>,
    /// Dials that wait for their turn to be set up.
    pub waiting: u32,
    /// How long a new dial would have to wait for its session, in milliseconds.
    pub setup_wait_ms: u64,
}

/// How long the turns of the event loop took with one kind of event, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnStats {
    /// The kind.
    pub event: String,
    /// How many there were.
    pub turns: u64,
    /// Time that they took together, in microseconds.
    pub busy_us: u64,
    /// Time that the longest took, in microseconds.
    pub longest_us: u64,
    /// How many took longer than `--stall-limit`.
    pub stalls: u64,
}

/// Counters of an access interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStats {
    /// Name.
    pub interface: String,
    /// Whether it is there, and working.
    pub state: InterfaceState,
    /// Its Ethernet address, `aa:bb:cc:dd:ee:ff`, while it is there.
    pub mac: Option<String>,
    /// Its MTU in bytes, while it is there.
    pub mtu: Option<u32>,
    /// Discovery packets by code, received and sent.
    pub packets: Vec<NamedCount>,
    /// Discovery packets dropped, by cause.
    pub dropped: Vec<NamedCount>,
}

/// What has become of an access interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceState {
    /// It can carry frames.
    Up,
    /// It is up and has no carrier: a cable is out, or the other end is down.
    NoCarrier,
    /// An administrator set it down.
    Down,
    /// There is no such interface: discovery goes on when it comes.
    #[default]
    Absent,
}

impl InterfaceState {
    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NoCarrier => "no-carrier",
            Self::Down => "down",
            Self::Absent => "absent",
        }
    }
}

/// A counter with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCount {
    /// Name, stable.
    pub name: String,
    /// Value.
    pub count: u64,
}
