//! What the server tells of itself: addresses, interfaces, log, version.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::InterfaceStats;
use crate::name::Name;

/// The address pools: first piece of the answer to [`Request::ShowPool`](super::Request::ShowPool). The numbers are of
/// all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStats {
    /// Different addresses in the pool.
    pub size: u32,
    /// Addresses of the pool that sessions have.
    pub in_use: u32,
    /// Addresses of the pool that nobody has and that are kept for single users, or are our own.
    pub reserved: u32,
    /// Addresses of the pool that the next session could get.
    pub free: u32,
    /// Sessions whose address is not of the pool: a secrets file fixes it.
    pub outside: u32,
    /// Its ranges, in the order in which slots have them. At most [`PoolStats::MAX_RANGES`].
    pub ranges: Vec<PoolRange>,
    /// Ranges beyond those.
    pub more_ranges: u32,
    /// The pools, in the order of their slots: the default one, if there is one, is the first.
    pub pools: Vec<NamedPoolStats>,
}

/// One of several address pools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPoolStats {
    /// Its name; `default` for that of `-R`, `-N` and `-p`.
    pub name: String,
    /// Different addresses in it.
    pub size: u32,
    /// Addresses of it that sessions have.
    pub in_use: u32,
    /// Addresses of it that nobody has and that are kept for single users, or are our own.
    pub reserved: u32,
    /// Addresses of it that the next session could get.
    pub free: u32,
    /// Sessions whose access interface has it, in any phase.
    pub sessions: u32,
}

impl PoolStats {
    /// Ranges in one answer.
    pub const MAX_RANGES: usize = 1024;
}

/// Addresses that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRange {
    /// First address for peers.
    pub first: Ipv4Addr,
    /// Last address for peers.
    pub last: Ipv4Addr,
    /// Our end of the link with the first one.
    pub local: Ipv4Addr,
    /// How many of them sessions have.
    pub in_use: u32,
    /// Which of [`PoolStats::pools`] has them.
    pub pool: u16,
}

/// An address that a session has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLease {
    /// The peer's address.
    pub ip: Ipv4Addr,
    /// Our end of the link.
    pub local_ip: Ipv4Addr,
    /// PPPoE session id.
    pub id: u16,
    /// Network interface, such as `ppp0`.
    pub ifname: String,
    /// User name.
    pub username: Option<Name>,
    /// The peer's Ethernet address, `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Who gave the address.
    pub source: AddressSource,
    /// Name of the pool that its access interface had when it began.
    pub pool: String,
}

/// Who gave a session its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSource {
    /// A pool that has it.
    Pool,
    /// A pool that has it no longer, or that there is no longer: the session is older than the configuration.
    FormerPool,
    /// The user's own line of the secrets files, or entry of the users file.
    User,
    /// A console (`set user NAME address=ADDRESS`).
    Console,
    /// A hook script.
    Hook,
}

impl AddressSource {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::FormerPool => "former-pool",
            Self::User => "user",
            Self::Console => "console",
            Self::Hook => "hook",
        }
    }
}

/// An access interface and its sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessInterface {
    /// What discovery counts.
    pub stats: InterfaceStats,
    /// The kernel's number of it, while it is there.
    pub index: Option<u32>,
    /// Sessions on it, in any phase.
    pub sessions: u32,
    /// Those with packets flowing.
    pub open: u32,
    /// New sessions are taken.
    pub is_served: bool,
    /// Name or pattern of the section of the configuration that is for it alone.
    pub profile: Option<String>,
    /// AC-Name.
    pub ac_name: Name,
    /// Services on offer, at most [`AccessInterface::MAX_SERVICES`].
    pub services: Vec<Name>,
    /// Name of its address pool.
    pub pool: String,
    /// Sessions that there may be on it; none is no limit but that of the pool.
    pub max_sessions: Option<u32>,
    /// Slots of the pool that are free.
    pub free_slots: u32,
}

impl AccessInterface {
    /// Services in one answer.
    pub const MAX_SERVICES: usize = 16;
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something may not be as it should be.
    Warn,
    /// What an administrator wants to know.
    Info,
    /// Steps of sessions.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// All of them, the most important first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Which lines of the log a console wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// These and more important ones.
    pub level: LogLevel,
    /// So many at most, the latest ones.
    pub count: u32,
    /// Those about this session only.
    pub session: Option<u16>,
    /// Those about this user only, by the exact name.
    pub user: Option<Name>,
    /// Those about this Ethernet address only.
    pub mac: Option<[u8; 6]>,
    /// Those from this moment on, in milliseconds since 1970.
    pub since_ms: u64,
}

impl LogQuery {
    /// The latest lines of every level, about everything.
    pub const fn latest(count: u32) -> Self {
        Self { level: LogLevel::Trace, count, session: None, user: None, mac: None, since_ms: 0 }
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts all lines since the server's start, from 1.
    pub seq: u64,
    /// When, by the server's clock, in milliseconds since 1970-01-01 00:00 UTC.
    pub time_ms: u64,
    /// How important.
    pub level: LogLevel,
    /// The words.
    pub message: String,
    /// The values, by name.
    pub fields: Vec<LogField>,
}

/// A value in a line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogField {
    /// Name, such as `session`.
    pub name: String,
    /// Value in words.
    pub value: String,
}

/// What the log tells from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevels {
    /// Of everything.
    pub level: LogLevel,
    /// Of single sessions, where more is told.
    pub sessions: Vec<SessionLogLevel>,
}

/// What the log tells of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLogLevel {
    /// PPPoE session id.
    pub id: u16,
    /// Of this session.
    pub level: LogLevel,
}

/// Which server this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerVersion {
    /// Version of `pppoed`, such as `0.1.0`.
    pub software: String,
    /// Version of the control protocol.
    pub protocol: u16,
    /// Name of the host.
    pub host: String,
    /// Process.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
}
