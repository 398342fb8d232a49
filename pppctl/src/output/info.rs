//! Answers about the server itself, as tables and in JSON.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use ppp_ipc::control::{
    AccessInterface, AddressSource, AuthLine, AuthMethod, AuthVerdict, HookRun, LogField, LogLevel,
    LogLevels, LogLine, NamedPoolStats, PoolLease, PoolRange, PoolStats, ServerVersion,
};
use ppp_ipc::name::Name;
use ppp_ipc::policy::PolicyWritten;
use ppp_wire::escape::harmless;
use ppp_wire::logfmt;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::grid::{self, Align, Column};
use super::json::Interface;
use super::{config, hooks, name, policy, units};
use crate::clock::Zone;
use crate::info::Info;
use crate::terminal::Screen;

/// Shown where there is nothing.
const NONE: &str = "-";

const RANGES: [Column; 4] = [
    Column::new("ADDRESSES", Align::Left, 0),
    Column::new("LOCAL", Align::Left, 1),
    Column::new("SIZE", Align::Right, 0),
    Column::new("USED", Align::Right, 0),
];

const POOLS: [Column; 6] = [
    Column::new("POOL", Align::Left, 0),
    Column::new("SIZE", Align::Right, 0),
    Column::new("USED", Align::Right, 0),
    Column::new("FREE", Align::Right, 0),
    Column::new("KEPT", Align::Right, 2),
    Column::new("SESSIONS", Align::Right, 1),
];

const LEASES: [Column; 6] = [
    Column::new("ADDRESS", Align::Left, 0),
    Column::new("ID", Align::Right, 0),
    Column::new("IFNAME", Align::Left, 2),
    Column::new("USER", Align::Left, 0).shrink_to(12),
    Column::new("MAC", Align::Left, 1),
    Column::new("FROM", Align::Left, 3),
];

/// What differs between interfaces, where anything does.
const OWN: [Column; 5] = [
    Column::new("INTERFACE", Align::Left, 0),
    Column::new("SECTION", Align::Left, 2),
    Column::new("POOL", Align::Left, 0),
    Column::new("FREE", Align::Right, 1),
    Column::new("SERVICES", Align::Left, 0).shrink_to(12),
];

const INTERFACES: [Column; 7] = [
    Column::new("INTERFACE", Align::Left, 0),
    Column::new("STATE", Align::Left, 0),
    Column::new("MAC", Align::Left, 1),
    Column::new("MTU", Align::Right, 2),
    Column::new("SESSIONS", Align::Right, 0),
    Column::new("OPEN", Align::Right, 0),
    Column::new("DROPPED", Align::Right, 3),
];

/// As text for people.
pub(super) fn write_table(info: &Info, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    match info {
        Info::Pool(stats, leases) => write_pool(stats, leases, screen, out),
        Info::Interfaces(interfaces) => {
            let rows: Vec<_> = interfaces.iter().map(interface_row).collect();
            grid::write(&INTERFACES, &rows, screen, out)?;
            if interfaces.iter().any(|interface| interface.profile.is_some()) {
                writeln!(out)?;
                let rows: Vec<_> = interfaces.iter().map(own_row).collect();
                grid::write(&OWN, &rows, screen, out)?;
            }
            let left = interfaces.iter().filter(|interface| !interface.is_served);
            let mut left = left.map(|interface| harmless(&interface.stats.interface));
            left.try_for_each(|name| {
                writeln!(out, "{name} takes no new sessions: it is not in the configuration")
            })
        }
        Info::Log(lines) => {
            lines.iter().try_for_each(|line| writeln!(out, "{}", log_line(line, screen.zone)))
        }
        Info::Version(server) => {
            writeln!(out, "pppctl {}", env!("CARGO_PKG_VERSION"))?;
            let ServerVersion { software, protocol, host, pid, uptime_s } = server;
            let (host, uptime) = (harmless(host), units::duration(*uptime_s));
            let software = harmless(software);
            writeln!(out, "pppoed {software} on {host}, pid {pid}, up {uptime}, control protocol {protocol}")
        }
        Info::Auth(verdicts) => verdicts.iter().try_for_each(|verdict| write_verdict(verdict, out)),
        Info::Hooks(summary, functions) => hooks::write_stats(summary, functions, screen, out),
        Info::HookRuns(runs) => hooks::write_runs(runs, out),
        Info::Config(settings) => config::write(settings, screen, out),
        Info::ConfigDiff(differences, end) => config::write_diff(differences, end, out),
        Info::Policy(entries) => policy::write(entries, screen, out),
        Info::PolicyWritten(written) => policy::write_written(written, out),
        Info::Count(1) => writeln!(out, "1 session matches"),
        Info::Count(count) => writeln!(out, "{count} sessions match"),
        Info::LogLevels(LogLevels { level, sessions }) => {
            writeln!(out, "log level {}", level.as_str())?;
            let mut of = sessions.iter();
            of.try_for_each(|of| writeln!(out, "log level {} for session {}", of.level.as_str(), of.id))
        }
    }
}

fn write_verdict(verdict: &AuthVerdict, out: &mut dyn Write) -> io::Result<()> {
    let AuthVerdict {
        method,
        is_asked_for,
        decided_by,
        is_right,
        refusal,
        addresses,
        others,
        more,
        would_get,
    } = verdict;
    let method = match method {
        AuthMethod::Pap => "PAP",
        AuthMethod::ChapMd5 => "CHAP-MD5",
    };
    let note = if *is_asked_for { "" } else { " (pppoed does not ask for it)" };
    writeln!(out, "{method}{note}")?;
    let mut lines = Vec::new();
    lines.extend(decided_by.as_ref().map(|place| format!("{place} decides")));
    lines.extend(addresses.as_ref().map(|addresses| format!("addresses: {addresses}")));
    lines.extend(
        is_right.map(|is_right| {
            if is_right { "the password is right" } else { "the password is wrong" }.to_owned()
        }),
    );
    lines.extend(refusal.iter().map(|why| format!("a login is refused: {why}")));
    lines.extend(would_get.iter().map(|what| match is_right {
        Some(_) => format!("a login gets {what}"),
        None => format!("a login with the right password gets {what}"),
    }));
    lines.extend(others.iter().map(|line| format!("{} {}", line.place, line.why)));
    if *more > 0 {
        lines.push(format!("{more} other lines are for others, or not shown"));
    }
    lines.iter().try_for_each(|line| writeln!(out, "  {}", harmless(line)))
}

fn write_pool(
    stats: &PoolStats,
    leases: &[PoolLease],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    let PoolStats { size, in_use, reserved, free, outside, ranges, more_ranges, pools } = stats;
    writeln!(out, "{size} addresses: {in_use} in use, {free} free, {reserved} kept for single users")?;
    if *outside > 0 {
        writeln!(out, "{outside} sessions with an address of their own, not of the pool")?;
    }
    let has_names = pools.len() > 1;
    if has_names {
        writeln!(out)?;
        let rows: Vec<_> = pools.iter().map(pool_row).collect();
        grid::write(&POOLS, &rows, screen, out)?;
    }
    let rows: Vec<_> = ranges.iter().map(range_row).collect();
    if !rows.is_empty() {
        writeln!(out)?;
        grid::write(&RANGES, &rows, screen, out)?;
    }
    if *more_ranges > 0 {
        writeln!(out, "and {more_ranges} ranges more")?;
    }
    if leases.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<_> = leases.iter().map(|lease| lease_row(lease, has_names)).collect();
    grid::write(&LEASES, &rows, screen, out)
}

fn range_row(range: &PoolRange) -> Vec<String> {
    let PoolRange { first, last, local, in_use, pool: _ } = range;
    let size = u64::from(last.to_bits()).saturating_sub(first.to_bits().into()) + 1;
    let addresses = if first == last { first.to_string() } else { format!("{first}-{last}") };
    vec![addresses, local.to_string(), size.to_string(), in_use.to_string()]
}

fn pool_row(pool: &NamedPoolStats) -> Vec<String> {
    let NamedPoolStats { name, size, in_use, reserved, free, sessions } = pool;
    let numbers = [size, in_use, free, reserved, sessions].map(ToString::to_string);
    std::iter::once(harmless(name).into_owned()).chain(numbers).collect()
}

fn lease_row(lease: &PoolLease, has_names: bool) -> Vec<String> {
    let user = name(lease.username.as_ref());
    vec![
        lease.ip.to_string(),
        lease.id.to_string(),
        harmless(&lease.ifname).into_owned(),
        user,
        harmless(&lease.mac).into_owned(),
        match lease.source {
            AddressSource::Pool if has_names => harmless(&lease.pool).into_owned(),
            other => other.as_str().to_owned(),
        },
    ]
}

fn interface_row(interface: &AccessInterface) -> Vec<String> {
    let stats = &interface.stats;
    let dropped = stats.dropped.iter().fold(0_u64, |sum, cause| sum.saturating_add(cause.count));
    vec![
        harmless(&stats.interface).into_owned(),
        stats.state.as_str().to_owned(),
        stats.mac.as_deref().map_or(NONE.into(), harmless).into_owned(),
        stats.mtu.map_or_else(|| NONE.to_owned(), |mtu| mtu.to_string()),
        interface.sessions.to_string(),
        interface.open.to_string(),
        dropped.to_string(),
    ]
}

fn own_row(interface: &AccessInterface) -> Vec<String> {
    let AccessInterface { stats, profile, services, pool, free_slots, .. } = interface;
    let services = match services.as_slice() {
        [] => NONE.to_owned(),
        services => services.iter().map(Name::to_string).collect::<Vec<_>>().join(" "),
    };
    vec![
        harmless(&stats.interface).into_owned(),
        profile.as_deref().map_or(NONE.into(), harmless).into_owned(),
        harmless(pool).into_owned(),
        free_slots.to_string(),
        services,
    ]
}

/// `2026-11-30 11:31:02.123+01:00  info   session up session=1 username="alice"`
fn log_line(line: &LogLine, zone: Zone) -> String {
    let mut text = format!("{}  {:5}  {}", zone.moment(line.time_ms), line.level.as_str(), line.message);
    for LogField { name, value } in &line.fields {
        text.push_str(&format!(" {name}={}", logfmt::value(value)));
    }
    harmless(&text).into_owned()
}

/// The body of the document in JSON.
pub(super) fn body(info: &Info, zone: Zone) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Body<'a> {
        Pool(Pool<'a>),
        Interfaces(Vec<Access<'a>>),
        Log(Vec<Line<'a>>),
        Version(Version<'a>),
        Count(u32),
        AuthTest(Vec<Verdict<'a>>),
        LogLevels(&'a LogLevels),
        Hooks(hooks::Stats<'a>),
        HookRuns(&'a [HookRun]),
        Config(Vec<config::Shown<'a>>),
        ConfigDiff(config::Diff<'a>),
        Policy(Vec<policy::Entry<'a>>),
        PolicyWritten(&'a PolicyWritten),
    }
    match info {
        Info::Pool(stats, leases) => {
            let PoolStats { size, in_use, reserved, free, outside, ranges, more_ranges, pools } = &**stats;
            let name = |number: u16| pools.get(usize::from(number)).map_or("", |pool| pool.name.as_str());
            Body::Pool(Pool {
                size: *size,
                in_use: *in_use,
                reserved: *reserved,
                free: *free,
                outside: *outside,
                ranges: ranges.iter().map(|range| Range::new(range, name(range.pool))).collect(),
                more_ranges: *more_ranges,
                pools,
                leases: leases.iter().map(Lease::from).collect(),
            })
        }
        Info::Interfaces(interfaces) => Body::Interfaces(interfaces.iter().map(Access::from).collect()),
        Info::Log(lines) => Body::Log(lines.iter().map(|line| Line::new(line, zone)).collect()),
        Info::Version(ServerVersion { software, protocol, host, pid, uptime_s }) => Body::Version(Version {
            pppctl: env!("CARGO_PKG_VERSION"),
            pppoed: software,
            protocol: *protocol,
            host,
            pid: *pid,
            uptime_s: *uptime_s,
        }),
        Info::Count(count) => Body::Count(*count),
        Info::Auth(verdicts) => Body::AuthTest(verdicts.iter().map(Verdict::from).collect()),
        Info::LogLevels(levels) => Body::LogLevels(levels),
        Info::Hooks(summary, functions) => Body::Hooks(hooks::Stats { summary, functions }),
        Info::HookRuns(runs) => Body::HookRuns(runs),
        Info::Config(settings) => Body::Config(settings.iter().map(config::Shown::from).collect()),
        Info::Policy(entries) => {
            Body::Policy(entries.iter().map(|entry| policy::Entry::new(entry, zone)).collect())
        }
        Info::PolicyWritten(written) => Body::PolicyWritten(written),
        Info::ConfigDiff(differences, end) => Body::ConfigDiff(config::Diff { differences, end }),
    }
}

#[derive(Serialize)]
struct Verdict<'a> {
    method: AuthMethod,
    asked_for: bool,
    decided_by: Option<&'a str>,
    right: Option<bool>,
    refusal: Option<&'a str>,
    addresses: Option<&'a str>,
    others: &'a [AuthLine],
    more: u32,
    would_get: Option<&'a str>,
}

impl<'a> From<&'a AuthVerdict> for Verdict<'a> {
    fn from(verdict: &'a AuthVerdict) -> Self {
        Self {
            method: verdict.method,
            asked_for: verdict.is_asked_for,
            decided_by: verdict.decided_by.as_deref(),
            right: verdict.is_right,
            refusal: verdict.refusal.as_deref(),
            addresses: verdict.addresses.as_deref(),
            others: &verdict.others,
            more: verdict.more,
            would_get: verdict.would_get.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Pool<'a> {
    size: u32,
    in_use: u32,
    reserved: u32,
    free: u32,
    outside: u32,
    ranges: Vec<Range<'a>>,
    more_ranges: u32,
    pools: &'a [NamedPoolStats],
    leases: Vec<Lease<'a>>,
}

#[derive(Serialize)]
struct Range<'a> {
    first: Ipv4Addr,
    last: Ipv4Addr,
    local: Ipv4Addr,
    in_use: u32,
    pool: &'a str,
}

impl<'a> Range<'a> {
    fn new(range: &PoolRange, pool: &'a str) -> Self {
        let PoolRange { first, last, local, in_use, pool: _ } = *range;
        Self { first, last, local, in_use, pool }
    }
}

#[derive(Serialize)]
struct Lease<'a> {
    ip: Ipv4Addr,
    local_ip: Ipv4Addr,
    id: u16,
    ifname: &'a str,
    username: Option<&'a Name>,
    mac: &'a str,
    from_pool: bool,
    source: AddressSource,
    pool: &'a str,
}

impl<'a> From<&'a PoolLease> for Lease<'a> {
    fn from(lease: &'a PoolLease) -> Self {
        Self {
            ip: lease.ip,
            local_ip: lease.local_ip,
            id: lease.id,
            ifname: &lease.ifname,
            username: lease.username.as_ref(),
            mac: &lease.mac,
            from_pool: lease.source == AddressSource::Pool,
            source: lease.source,
            pool: &lease.pool,
        }
    }
}

#[derive(Serialize)]
struct Access<'a> {
    #[serde(flatten)]
    stats: Interface<'a>,
    index: Option<u32>,
    sessions: u32,
    open: u32,
    served: bool,
    section: Option<&'a str>,
    ac_name: &'a Name,
    services: &'a [Name],
    pool: &'a str,
    max_sessions: Option<u32>,
    free_slots: u32,
}

impl<'a> From<&'a AccessInterface> for Access<'a> {
    fn from(interface: &'a AccessInterface) -> Self {
        Self {
            stats: (&interface.stats).into(),
            index: interface.index,
            sessions: interface.sessions,
            open: interface.open,
            served: interface.is_served,
            section: interface.profile.as_deref(),
            ac_name: &interface.ac_name,
            services: &interface.services,
            pool: &interface.pool,
            max_sessions: interface.max_sessions,
            free_slots: interface.free_slots,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: String,
    time_ms: u64,
    level: LogLevel,
    message: &'a str,
    fields: Fields<'a>,
}

impl<'a> Line<'a> {
    fn new(line: &'a LogLine, zone: Zone) -> Self {
        let LogLine { seq, time_ms, level, message, fields } = line;
        let time = zone.iso_8601(*time_ms);
        Self { seq: *seq, time, time_ms: *time_ms, level: *level, message, fields: Fields(fields) }
    }
}

/// Named values as an object.
struct Fields<'a>(&'a [LogField]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for LogField { name, value } in self.0 {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

#[derive(Serialize)]
struct Version<'a> {
    pppctl: &'a str,
    pppoed: &'a str,
    protocol: u16,
    host: &'a str,
    pid: u32,
    uptime_s: u64,
}

#[cfg(test)]
mod tests;
