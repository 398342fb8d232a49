//! What the server tells of itself: addresses, interfaces, log, version.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::Instant;

use ppp_ipc::codec::pieces;
use ppp_ipc::control::{
    AccessInterface, AddressSource, Failure, LogLevel, LogLevels, LogQuery, NamedPoolStats, Phase, PoolLease,
    PoolRange, PoolStats, Response, ServerVersion, SessionLogLevel, VERSION,
};
use ppp_ipc::name::Name;
use pppoed_config::pool::{Part, PoolEntry};
use pppoed_config::secrets::FixedAddresses;
use tokio::sync::oneshot;
use tracing::level_filters::LevelFilter;

use super::protections::Repair;
use super::session::{AccessIndex, Session};
use super::{Supervisor, Work};
use crate::control::Answer;
use crate::log_levels::MAX_SESSIONS;
use crate::logging::LogHandle;
use crate::turns;

/// Lines of the log in one page of an answer.
const LINES_PER_PAGE: usize = 192;
/// Leases in one page of an answer.
const LEASES_PER_PAGE: usize = 320;

impl Supervisor {
    /// Lets consoles see the log, and change what is logged.
    pub fn with_log(mut self, log: LogHandle) -> Self {
        self.log = Some(log);
        self
    }

    /// `show session`: its protections are looked at beside the event loop.
    pub(super) fn show_session(&self, id: u16, answer: oneshot::Sender<Answer>, now: Instant) {
        // Fails, here and below, only when the client has hung up.
        let Some(session) = self.table.by_id(id) else {
            let _ = answer.send(Response::Failed(Failure::NoSuchSession).into());
            return;
        };
        let mut detail = session.detail(self.deadlines.of(session.token), now);
        let (look, consoles) = (self.look_at(session), self.console_work.clone());
        turns::spawn("show session", async move {
            if let Some(protections) = consoles.run(move || look.take(Repair::No)).await {
                detail.sandbox = protections.iter().map(ToString::to_string).collect();
            }
            let _ = answer.send(Response::Session(Box::new(detail)).into());
        });
    }

    /// `show pool`: what is kept for single users is in the secrets files, which are read beside the event loop.
    pub(super) fn show_pool(&self, answer: oneshot::Sender<Answer>) {
        let (secrets, work) = (self.secrets.clone(), self.work.clone());
        let addresses = self.policy.addresses.clone();
        turns::spawn("show pool", async move {
            let looking = secrets.with(|secrets, names| secrets.fixed_addresses(names));
            let fixed = looking.await.unwrap_or_default().with_console(addresses);
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Pool(fixed, answer)).await;
        });
    }

    pub(super) fn handle_pool(&self, fixed: &FixedAddresses, answer: oneshot::Sender<Answer>) {
        let usage = self.pool.usage(fixed);
        let parts = self.pool.parts().iter().zip(0..);
        let mut ranges: Vec<PoolRange> =
            parts.flat_map(|(part, number)| ranges(part.entries(), number)).collect();
        let by_first: BTreeMap<Ipv4Addr, usize> =
            ranges.iter().enumerate().rev().map(|(index, range)| (range.first, index)).collect();
        for lease in self.pool.leases() {
            let nearest = by_first.range(..=lease.remote).next_back();
            if let Some(range) = nearest.and_then(|(_, index)| ranges.get_mut(*index))
                && lease.remote <= range.last
            {
                range.in_use += 1;
            }
        }
        let more_ranges = count(ranges.len().saturating_sub(PoolStats::MAX_RANGES));
        ranges.truncate(PoolStats::MAX_RANGES);
        let stats = PoolStats {
            size: count(usage.size),
            in_use: count(usage.in_use),
            reserved: count(usage.reserved),
            free: count(usage.free),
            outside: count(usage.outside),
            ranges,
            more_ranges,
            pools: self.pool.parts().iter().map(|part| self.pool_stats(part, fixed)).collect(),
        };
        // Fails only when the client has hung up.
        let _ = answer.send(self.page_of_leases(0, vec![Response::Pool(Box::new(stats))]));
    }

    fn pool_stats(&self, part: &Part, fixed: &FixedAddresses) -> NamedPoolStats {
        let usage = self.pool.usage_of(part, fixed);
        NamedPoolStats {
            name: part.name().to_string(),
            size: count(usage.size),
            in_use: count(usage.in_use),
            reserved: count(usage.reserved),
            free: count(usage.free),
            sessions: count(self.table.count_in(part.name())),
        }
    }

    /// The leases of the sessions from the one after this id on, behind `responses`.
    pub(super) fn page_of_leases(&self, after: u64, mut responses: Vec<Response>) -> Answer {
        let after = u16::try_from(after).unwrap_or(u16::MAX);
        let lease = |session: &Session| {
            let lease = session.lease.as_deref()?;
            Some(PoolLease {
                ip: lease.remote,
                local_ip: lease.local,
                id: session.id,
                ifname: session.ifname.clone(),
                username: session.username(),
                mac: session.peer_mac.to_string(),
                source: match session.address_source {
                    AddressSource::Pool if self.pool.part_with(lease.remote).is_none() => {
                        AddressSource::FormerPool
                    }
                    source => source,
                },
                pool: session.settings.pool.to_string(),
            })
        };
        let leases: Vec<PoolLease> =
            self.table.iter_after(after).filter_map(lease).take(LEASES_PER_PAGE).collect();
        let last = leases.last().filter(|_| leases.len() == LEASES_PER_PAGE).map(|lease| lease.id);
        responses.extend(pieces(leases).into_iter().map(Response::Leases));
        match last {
            Some(last) => Answer::Page { responses, after: last.into() },
            None => Answer::Whole(responses),
        }
    }

    pub(super) fn show_interfaces(&self) -> Answer {
        let mut open: HashMap<AccessIndex, usize> = HashMap::new();
        for session in self.table.iter().filter(|session| session.machine.phase() == Phase::Open) {
            *open.entry(session.access).or_default() += 1;
        }
        let show = |(number, access): (usize, &super::access::Access)| {
            let services = access.terms().discovery.services.iter();
            let services = services.map(|service| Name::new(service.as_slice()));
            Response::Interface(Box::new(AccessInterface {
                stats: self.interface_stats(access),
                index: access.interface().map(|interface| interface.id.index.get()),
                sessions: count(self.table.count_on(number)),
                open: count(open.get(&number).copied().unwrap_or(0)),
                is_served: access.is_served(),
                profile: access.terms().profile.clone(),
                ac_name: Name::new(access.terms().discovery.ac_name.as_slice()),
                services: services.take(AccessInterface::MAX_SERVICES).collect(),
                pool: access.terms().settings.pool.to_string(),
                max_sessions: access.limits().per_interface.map(|limit| count(limit.get())),
                free_slots: count(self.free_slots(number)),
            }))
        };
        Answer::Whole(self.accesses.iter().enumerate().map(show).collect())
    }

    pub(super) fn show_log(&self, query: &LogQuery, after: Option<u64>) -> Answer {
        let Some(log) = &self.log else { return Answer::Whole(Vec::new()) };
        let lines = log.ring.select(query, after, LINES_PER_PAGE);
        let last = lines.last().filter(|_| lines.len() == LINES_PER_PAGE).map(|line| line.seq);
        let responses = pieces(lines).into_iter().map(Response::Log).collect();
        match last {
            Some(after) => Answer::Page { responses, after },
            None => Answer::Whole(responses),
        }
    }

    pub(super) fn show_version(&self, now: Instant) -> Response {
        Response::Version(ServerVersion {
            software: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: VERSION,
            host: nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            pid: std::process::id(),
            uptime_s: self.stats.uptime_s(now),
        })
    }

    /// `set log-level`: `Err` says why not.
    pub(super) fn set_log_level(
        &mut self,
        level: Option<LogLevel>,
        session: Option<u16>,
    ) -> Result<Response, String> {
        let Some(log) = &self.log else { return Err("there is no log".to_owned()) };
        match (session, level) {
            (None, Some(level)) => log.change(|levels| levels.level = filter(level)),
            (None, None) => return Err("give a level: error, warn, info, debug or trace".to_owned()),
            (Some(id), None) => log.change(|levels| _ = levels.sessions.remove(&id)),
            (Some(id), Some(level)) => {
                let known = log.levels().map(|levels| levels.sessions).unwrap_or_default();
                if known.len() >= MAX_SESSIONS && !known.contains_key(&id) {
                    return Err(format!(
                        "{MAX_SESSIONS} sessions have a level of their own: take one back with \
                         set log-level default --session"
                    ));
                }
                log.change(|levels| _ = levels.sessions.insert(id, filter(level)));
            }
        }
        Ok(Response::LogLevels(self.log_levels()))
    }

    /// A session is over, and its number will be another one's.
    pub(super) fn forget_log_level(&self, id: u16) {
        if let Some(log) = &self.log
            && log.levels().is_some_and(|levels| levels.sessions.contains_key(&id))
        {
            log.change(|levels| _ = levels.sessions.remove(&id));
        }
    }

    fn log_levels(&self) -> LogLevels {
        let levels = self.log.as_ref().and_then(LogHandle::levels);
        let (level, sessions) =
            levels.map_or((LevelFilter::OFF, Default::default()), |levels| (levels.level, levels.sessions));
        let sessions = sessions.into_iter().map(|(id, of)| SessionLogLevel { id, level: word(of) });
        LogLevels { level: word(level), sessions: sessions.collect() }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn word(filter: LevelFilter) -> LogLevel {
    match filter {
        LevelFilter::TRACE => LogLevel::Trace,
        LevelFilter::DEBUG => LogLevel::Debug,
        LevelFilter::INFO => LogLevel::Info,
        LevelFilter::WARN => LogLevel::Warn,
        _ => LogLevel::Error,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The remote addresses of a pool's slots as ranges, in the order of the slots.
fn ranges(entries: &[PoolEntry], pool: u16) -> Vec<PoolRange> {
    let mut ranges: Vec<PoolRange> = Vec::new();
    let follows = |range: &PoolRange, address: Ipv4Addr| {
        range.last.to_bits().checked_add(1).map(Ipv4Addr::from_bits) == Some(address)
    };
    for entry in entries {
        let Some(remote) = entry.remote else { continue };
        match ranges.last_mut() {
            Some(range) if follows(range, remote) => range.last = remote,
            _ => ranges.push(PoolRange { first: remote, last: remote, local: entry.local, in_use: 0, pool }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_follow_each_other_are_a_range() {
        let local = Ipv4Addr::new(10, 0, 0, 1);
        let entry = |last: Option<u8>| PoolEntry { local, remote: last.map(|last| [10, 0, 1, last].into()) };
        let found = ranges(&[Some(2), Some(3), Some(4), None, Some(9), Some(8), Some(9)].map(entry), 1);
        let ends: Vec<_> =
            found.iter().map(|range| (range.first.octets()[3], range.last.octets()[3])).collect();
        assert_eq!(ends, [(2, 4), (9, 9), (8, 9)]);
        assert!(found.iter().all(|range| range.local == local && range.pool == 1));
        assert_eq!(ranges(&[], 0), []);
    }
}
