//! A record as a session.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ppp_ipc::control::{AddressSource, HistoryEntry, Phase, Traffic};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{AuthMethod, Ipv6Parameters, LcpReport, Network, Rates};
use ppp_linux::counters::monotonic_millis;
use ppp_linux::device::{Line, Open};
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_linux::pidfd::PidFd;
use ppp_wire::MacAddr;
use pppoed_config::options::{OctetDirection, SessionOptions};
use pppoed_config::origin::{Origin, Sourced};
use pppoed_config::pool::{Lease, Part, PoolName};

use super::record::{self, Item, OptionItem, RecordError};
use super::{Process, Returning};
use crate::supervisor::Supervisor;
use crate::supervisor::challenge::Challenge;
use crate::supervisor::network::{Given, session_end};
use crate::supervisor::session::{
    AccessIndex, Authentication, Origin as Dialled, Place, Session, Token, User,
};
use crate::supervisor::settings::Settings;
use crate::supervisor::worker::WorkerHandle;

/// Milliseconds of the kernel's unit of time for processes (`USER_HZ`, 100 on all that we run on).
const MS_PER_TICK: i64 = 10;

/// A record, read.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) process: Process,
    pub(super) session_id: u16,
    /// Number of the access interface when the record was written.
    pub(super) access_index: u32,
    unit: u32,
    access_name: String,
    own_mac: MacAddr,
    peer_mac: MacAddr,
    service: Vec<u8>,
    host_uniq: Option<Vec<u8>>,
    max_payload: u16,
    tun: InterfaceId,
    started_ms: u64,
    opened_ms: u64,
    auth_methods: Vec<AuthMethod>,
    lease: Option<(Ipv4Addr, Ipv4Addr)>,
    address_source: AddressSource,
    protections: Vec<String>,
    pub(super) changes: Changes,
}

/// What may differ between two records of a session.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) serial: u64,
    lcp: Option<LcpReport>,
    user: Option<(Vec<u8>, String)>,
    network: Option<Network>,
    ipv6: Option<Ipv6Parameters>,
    /// What its interface has. (A [`Given`] takes its proxy ARP entry along when it goes.)
    given: Vec<Item>,
    options: SessionOptions,
    challenge: Option<Challenge>,
    rates: Option<Rates>,
    is_doubtful: bool,
    history: Vec<HistoryEntry>,
    hooks_state: Vec<u8>,
    /// Why it was being ended.
    pub(super) ending: Option<(EndReason, String)>,
}

impl Changes {
    /// Puts a session into the state that it had when the record was written.
    pub(super) fn apply(self, session: &mut Session) {
        session.record_serial = self.serial;
        session.lcp = self.lcp;
        let options = self.options;
        session.user = self.user.map(|(name, origin)| User { name, origin, options });
        session.network = self.network;
        session.ip_open = self.network.is_some();
        session.ipv6 = self.ipv6;
        if let Some(before) = session.given.take() {
            before.leave();
        }
        let given = Given::restore(self.given);
        session.mtu = given.mtu;
        session.given = Some(given);
        if let Some(challenge) = self.challenge {
            session.last_identifier = Some(challenge.identifier);
            session.authentication = Authentication::Challenged(challenge);
        }
        session.is_doubtful = self.is_doubtful;
        session.hooks.restore(&self.hooks_state);
        // What the worker was told holds, whatever the options were when it was.
        (session.set_rates, session.sent_rates) = (self.rates, self.rates);
        session.set_history(self.history);
    }
}

impl Known {
    /// The client's IPv4 address, if it has one.
    pub(super) fn client(&self) -> Option<Ipv4Addr> {
        self.lease.map(|(_, remote)| remote)
    }

    /// Reads a record.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let missing = |what| RecordError::Incomplete { what };
        let (mut process, mut numbers, mut access, mut discovery) = (None, None, None, None);
        let (mut tun, mut times, mut serial) = (None, None, 0);
        let (mut lcp, mut user, mut lease, mut network, mut ipv6) = (None, None, None, None, None);
        let (mut auth_methods, mut protections, mut history) = (Vec::new(), Vec::new(), Vec::new());
        let (mut given, mut options, mut challenge) = (Vec::new(), SessionOptions::default(), None);
        let (mut is_doubtful, mut hooks_state, mut rates) = (false, Vec::new(), None);
        let mut address_source = AddressSource::Pool;
        let mut ending = None;
        for item in record::decode(bytes)? {
            match item {
                Item::Serial(number) => serial = number,
                Item::Process { pid, start_time } => process = Some((pid, start_time)),
                Item::Numbers { session_id, unit } => numbers = Some((session_id, unit)),
                Item::Access { name, index, own_mac, peer_mac } => {
                    access = Some((name, index, MacAddr(own_mac), MacAddr(peer_mac)));
                }
                Item::Discovery { service, host_uniq, max_payload } => {
                    discovery = Some((service, host_uniq, max_payload));
                }
                Item::Interface { name, index } => {
                    tun = name.parse().ok().zip(IfIndex::new(index));
                }
                Item::Times { started_ms, opened_ms } => times = Some((started_ms, opened_ms)),
                Item::Lcp(report) => lcp = Some(report),
                Item::AuthMethods(methods) => auth_methods = methods,
                Item::User { name, origin } => user = Some((name, origin)),
                Item::Lease { local, remote } => lease = Some((local, remote)),
                Item::Network(granted) => network = Some(granted),
                Item::Ipv6(parameters) => ipv6 = Some(parameters),
                Item::Options(items) => options = restore_options(items),
                Item::Challenge { identifier, value } => challenge = Some(Challenge { identifier, value }),
                Item::Protections(phrases) => protections = phrases,
                Item::Doubtful => is_doubtful = true,
                Item::History(entries) => {
                    history =
                        entries.into_iter().map(|(at_ms, event)| HistoryEntry { at_ms, event }).collect();
                }
                Item::Hooks(state) => hooks_state = state,
                Item::Rates(told) => rates = Some(told),
                Item::AddressSource(source) => address_source = source,
                Item::Ending { reason, detail } => ending = Some((reason, detail)),
                Item::Mtu(_) | Item::Ipv4Ends(..) | Item::Ipv6Ends(..) | Item::ProxyArp { .. } => {
                    given.push(item);
                }
            }
        }
        let (session_id, unit) = numbers.ok_or(missing("which session it is of"))?;
        let (access_name, access_index, own_mac, peer_mac) =
            access.ok_or(missing("which access interface the session has"))?;
        let (service, host_uniq, max_payload) =
            discovery.ok_or(missing("what was agreed on in discovery"))?;
        let (started_ms, opened_ms) = times.ok_or(missing("when the session began"))?;
        let (name, index) = tun.ok_or(missing("which interface the session has"))?;
        let changes = Changes {
            serial,
            lcp,
            user,
            network,
            ipv6,
            given,
            options,
            challenge,
            is_doubtful,
            history,
            hooks_state,
            rates,
            ending,
        };
        Ok(Self {
            process: process.ok_or(missing("which worker the session has"))?,
            session_id,
            access_index,
            unit,
            access_name,
            own_mac,
            peer_mac,
            service,
            host_uniq,
            max_payload,
            tun: InterfaceId { name, index },
            started_ms,
            opened_ms,
            auth_methods,
            lease,
            address_source,
            protections,
            changes,
        })
    }

    /// The clocks of the machine have moved by so many ticks since the record was written: `pppoed` is in another time namespace
    /// (time_namespaces(7)).
    pub(super) fn shift_clock(&mut self, ticks: i64) {
        let shift = |clock_ms: u64| clock_ms.saturating_add_signed(ticks.saturating_mul(MS_PER_TICK));
        (self.started_ms, self.opened_ms) = (shift(self.started_ms), shift(self.opened_ms));
    }

    /// The settings that hold for the session: ours, but for what it was promised.
    fn settings(&self, ours: &Settings, pool: PoolName) -> Rc<Settings> {
        let mut settings = Settings { pool, ..ours.clone() };
        settings.link.auth_methods.clone_from(&self.auth_methods);
        settings.session_options = self.changes.options.clone();
        Rc::new(settings)
    }
}

/// A point on the monotonic clock.
fn from_clock(clock_ms: u64, now: Instant) -> Instant {
    let ago = Duration::from_millis(monotonic_millis().saturating_sub(clock_ms));
    now.checked_sub(ago).unwrap_or(now)
}

fn restore_options(items: Vec<OptionItem>) -> SessionOptions {
    fn earlier<T>(value: T) -> Sourced<T> {
        Sourced::new(value, Origin::Earlier)
    }
    let mut options = SessionOptions::default();
    for item in items {
        match item {
            OptionItem::Idle(seconds) => options.idle = Some(earlier(seconds)),
            OptionItem::MaxConnect(seconds) => options.maxconnect = Some(earlier(seconds)),
            OptionItem::MaxOctets(bytes) => options.maxoctets = Some(earlier(bytes.into())),
            OptionItem::MaxOctets64(bytes) => options.maxoctets = Some(earlier(bytes)),
            OptionItem::MoDirection(number) => {
                let direction = match number {
                    0 => OctetDirection::In,
                    1 => OctetDirection::Max,
                    2 => OctetDirection::Out,
                    _ => OctetDirection::Sum,
                };
                options.mo_direction = Some(earlier(direction));
            }
            OptionItem::MoTimeout(seconds) => options.mo_timeout = Some(earlier(seconds)),
            OptionItem::Mtu(bytes) => options.mtu = Some(earlier(bytes)),
            OptionItem::MsDns(server) => options.ms_dns.push(earlier(server)),
            OptionItem::MsWins(server) => options.ms_wins.push(earlier(server)),
            OptionItem::ProxyArp(is_on) => options.proxyarp = Some(earlier(is_on)),
            OptionItem::SourceCheck(is_on) => options.source_check = Some(earlier(is_on)),
            OptionItem::IpParam(word) => options.ipparam = Some(earlier(word)),
            OptionItem::Environment(name, value) => {
                options.environment.insert(name, value.map(earlier));
            }
        }
    }
    options
}

impl Supervisor {
    /// Makes a session of what is known of it, whose worker is expected if it has one. It holds what it held, whatever the
    /// configuration says now. `Err` says who has that already.
    pub(super) fn restore(
        &mut self,
        mut known: Known,
        process: Option<PidFd>,
        traffic: Traffic,
        now: Instant,
    ) -> Result<Token, String> {
        let id = known.session_id;
        let ending = known.changes.ending.take();
        if self.table.by_id(id).is_some() {
            return Err(format!("there is another session {id}"));
        }
        if !self.units.take_exact(known.unit) {
            return Err(format!("another session has {}", known.tun.name));
        }
        let own = known.lease.and_then(|(_, remote)| self.pool.slot_of(remote));
        let slot = self.slots.adopt(id, own);
        let lease = known.lease.map(|(local, remote)| Lease { slot, local, remote });
        if let Some(lease) = lease
            && let Err(holder) = self.pool.hold(lease)
        {
            self.units.release(known.unit);
            self.slots.release(slot);
            let holder = self.slots.session_id(holder).unwrap_or_default();
            return Err(format!("session {holder} has the address {}", lease.remote));
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        let has_worker = process.is_some();
        let worker = match process {
            Some(process) => WorkerHandle::expect(
                Returning { process, door: self.adoption.has_door() },
                token,
                self.reports.clone(),
            ),
            None => WorkerHandle::gone(),
        };
        let session = self.rebuild(known, token, slot, lease, worker, traffic, now);
        if has_worker {
            let _ = self.readmit(&session);
        }
        let end = session_end(&session);
        self.table.insert(session);
        self.proven(token, now);
        self.deadlines.set(token, end);
        self.watch_quota(token, now);
        if let Some((reason, detail)) = ending {
            self.terminate(token, reason, &detail, now);
        }
        Ok(token)
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing that the record does not say")]
    fn rebuild(
        &self,
        known: Known,
        token: Token,
        slot: u32,
        lease: Option<Lease>,
        worker: WorkerHandle,
        traffic: Traffic,
        now: Instant,
    ) -> Session {
        let access = self.access_index(&known.access_name);
        let ours = self.accesses.get(access).map_or(&self.config, |access| &access.terms().settings);
        // It counts where its address is missing.
        let pool = lease.and_then(|lease| self.pool.part_with(lease.remote)).map(Part::name);
        let settings = known.settings(ours, pool.unwrap_or(&ours.pool).clone());
        let dialled = Dialled {
            access,
            access_name: known.access_name,
            own_mac: known.own_mac,
            peer_mac: known.peer_mac,
            service: known.service,
            host_uniq: known.host_uniq,
            pending: None,
            max_payload: known.max_payload,
        };
        let place = Place { id: known.session_id, slot, unit: known.unit };
        let started = from_clock(known.started_ms, now);
        let mut session = Session::new(token, place, dialled, settings, worker, started);
        session.phase = Phase::Open;
        session.opened = Some(from_clock(known.opened_ms, now));
        (session.worker_pid, session.worker_start) = (known.process.0, Some(known.process.1));
        session.ifname = known.tun.name.to_string();
        session.tun = Some(known.tun);
        session.line = IfIndex::new(known.access_index).map(|access| Line {
            access,
            session_id: known.session_id,
            own: known.own_mac,
            peer: known.peer_mac,
        });
        session.lease = lease;
        session.address_source = known.address_source;
        session.protections = known.protections;
        session.kept_traffic = traffic;
        known.changes.apply(&mut session);
        // As it stood when the record was written; the worker will say how it stands now.
        session.passes = Open {
            ipv4: session.network.map(|network| network.remote),
            any_ipv4_source: session.options().source_check.as_ref().is_some_and(|check| !check.value),
            ipv6: session.given.as_ref().and_then(|given| given.ipv6).map(|ends| ends.peer),
        };
        session
    }

    /// The access interface of this name; a number that none has, if it is not served any more.
    fn access_index(&self, name: &str) -> AccessIndex {
        self.accesses.iter().position(|access| access.name() == name).unwrap_or(AccessIndex::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::adopt::describe::options;

    #[test]
    fn a_record_says_everything() {
        let bytes = record::encode(record::tests::everything()).unwrap();
        let known = Known::parse(&bytes).unwrap();
        assert_eq!((known.changes.serial, known.process, known.session_id), (3, (7, 300), 1));
        assert_eq!((known.unit, known.tun.to_string().as_str(), known.access_index), (2, "ppp2", 4));
        let changes = known.changes;
        assert_eq!(changes.user, Some((b"alice".to_vec(), "/f:1".to_owned())));
        assert_eq!(changes.given.len(), 4);
        assert!(changes.is_doubtful && changes.challenge.is_some());
        assert_eq!(changes.ending, Some((EndReason::Admin, "noc".to_owned())));
        assert_eq!((changes.hooks_state.as_slice(), changes.history.len()), (&[1, 2][..], 1));
    }

    #[test]
    fn a_quota_comes_back_whatever_its_size() {
        for (bytes, item) in [
            (u64::from(u32::MAX), OptionItem::MaxOctets(u32::MAX)),
            (1 << 32, OptionItem::MaxOctets64(1 << 32)),
        ] {
            let options = restore_options(vec![item.clone()]);
            assert_eq!(options.maxoctets.as_ref().map(|maxoctets| maxoctets.value), Some(bytes));
            assert_eq!(super::super::describe::options(&options), [item]);
        }
    }

    #[test]
    fn options_come_back() {
        let items = record::tests::everything()
            .into_iter()
            .find_map(|item| match item {
                Item::Options(items) => Some(items),
                _ => None,
            })
            .unwrap();
        assert_eq!(options(&restore_options(items.clone())), items);
        assert_eq!(options(&SessionOptions::default()), []);
    }

    #[test]
    fn what_is_missing_is_named() {
        for index in [1, 2, 3, 4, 5, 6] {
            let mut items = record::tests::everything();
            items.remove(index);
            let error = Known::parse(&record::encode(items).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("it does not say wh"), "{error}");
        }
    }

    #[test]
    fn times_move_with_the_clock() {
        let mut known = Known::parse(&record::encode(record::tests::everything()).unwrap()).unwrap();
        known.shift_clock(100);
        assert_eq!((known.started_ms, known.opened_ms), (1001, 1002));
        known.shift_clock(-1000);
        assert_eq!((known.started_ms, known.opened_ms), (0, 0));
        known.shift_clock(i64::MAX);
    }

    #[test]
    fn times_are_kept() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        let before = from_clock(monotonic_millis().saturating_sub(3_600_000), now);
        let error = (now - before).abs_diff(hour.min(now - before));
        assert!(error < Duration::from_millis(100), "{error:?}");
        assert_eq!(from_clock(u64::MAX, now), now);
    }
}
