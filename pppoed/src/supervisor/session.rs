//! What the supervisor knows of one session.

use std::{
    collections::{BTreeSet, VecDeque},
    net::Ipv4Addr,
    rc::Rc,
    time::{Duration, Instant},
};

use ppp_ipc::{
    control::{
        AddressSource, BitRate, ControlTraffic, EventSession, HistoryEntry, Phase, SessionDetail,
        SessionFacts, SessionHook, SessionSummary, SessionTimers, Traffic,
    },
    name::Name,
    worker::{AuthMethod, Ipv6Parameters, Ipv6Report, LcpReport, Network, Rates},
};
use ppp_linux::counters::{SharedCounters, Snapshot, monotonic_millis};
use ppp_linux::device::{Line, Open};
use ppp_linux::interface::InterfaceId;
use ppp_proto::discovery::server::RequestId;
use ppp_session::leases::{AddressPair, Lease, Slot, Unit};
use ppp_session::session::Machine;
use ppp_wire::MacAddr;
use pppoed_config::options::SessionOptions;
use tracing::debug;

use super::challenge::Challenge;
use super::hook_sessions::HookState;
use super::inspection::Seen;
use super::network::Given;
use super::rate_meter::RateMeter;
use super::settings::Settings;
use super::settings::idle_ms;
use super::worker::WorkerHandle;
use super::{ipv6, negotiated};

/// Identifies a session over the whole life of this process; session ids are used again, tokens are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token(pub(super) u64);

/// Events that a session remembers for `show session`; the oldest are forgotten first.
const HISTORY_LEN: usize = 32;

/// Calls of hooks that a session remembers.
const HOOKS_LEN: usize = 16;

/// Characters of such an event at most, so that all of them fit into an answer; a peer's name may be longer.
const EVENT_LEN: usize = 300;

/// Index of an access interface in the configuration.
pub(super) type AccessIndex = usize;

/// Who the peer proved to be.
#[derive(Clone, Debug)]
pub(super) struct User {
    /// Name, bytes that the peer chose.
    pub(super) name: Vec<u8>,
    /// `file:line` of the secret.
    pub(super) origin: String,
    /// The options of the files, with those of the user's line over them.
    pub(super) options: SessionOptions,
}

/// How far the proof of the peer has come.
#[derive(Debug)]
pub(super) enum Authentication {
    /// No proof is being looked at.
    Idle,
    /// A challenge is out.
    Challenged(Challenge),
    /// A proof is being compared with the secrets.
    Verifying,
}

/// One session, from a valid PADR until its worker is gone.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: Token,
    /// PPPoE SESSION_ID.
    pub(super) id: u16,
    pub(super) slot: Lease<Slot>,
    pub(super) access: AccessIndex,
    pub(super) access_name: String,
    /// The access interface's address when the session began, which the peer goes by.
    pub(super) own_mac: MacAddr,
    pub(super) peer_mac: MacAddr,
    /// What the configuration said when it began, and what holds for it until its end.
    pub(super) settings: Rc<Settings>,
    pub(super) service: Vec<u8>,
    pub(super) host_uniq: Option<Vec<u8>>,
    /// The PADR that waits for its PADS.
    pub(super) pending: Option<RequestId>,
    pub(super) unit: Lease<Unit>,
    pub(super) ifname: String,
    /// MTU that discovery allows: 1492, or more by RFC 4638.
    pub(super) max_payload: u16,
    /// Where it stands: changed by [`Supervisor::advance`](super::Supervisor::advance) alone.
    pub(super) machine: Machine,
    pub(super) started: Instant,
    /// When its peer was told of it.
    pub(super) pads_at: Option<Instant>,
    pub(super) worker: WorkerHandle,
    pub(super) worker_pid: u32,
    /// When it was started, once somebody had to know: see `ppp_linux::pidfd::start_time`.
    pub(super) worker_start: Option<u64>,
    /// Records of this session that were written.
    pub(super) record_serial: u64,
    /// The session's interface, once it was made.
    pub(super) tun: Option<InterfaceId>,
    /// Who gave the address of its lease, if it has one.
    pub(super) address_source: AddressSource,
    /// Whose frames come in there, if it is on its own device.
    pub(super) line: Option<Line>,
    /// Which packets of IP the kernel lets pass there.
    pub(super) passes: Open,
    pub(super) counters: Option<SharedCounters>,
    /// Its traffic as an earlier `pppoed` saw it last, for as long as there are no counters.
    pub(super) kept_traffic: Traffic,
    pub(super) protections: Vec<String>,
    pub(super) lcp: Option<LcpReport>,
    pub(super) authentication: Authentication,
    /// Identifier of the challenge that was made last.
    pub(super) last_identifier: Option<u8>,
    pub(super) user: Option<User>,
    /// Proofs that were handed in, so that a verdict can be told from one on an earlier proof.
    pub(super) proofs: u32,
    /// Proofs that were refused since one was accepted.
    pub(super) refusals: u32,
    /// Its addresses.
    pub(super) lease: Option<Lease<AddressPair>>,
    pub(super) network: Option<Network>,
    /// Whether IPCP is Opened.
    pub(super) ip_open: bool,
    /// What IPV6CP was told to ask for; none if IPv6 is off.
    pub(super) ipv6: Option<Ipv6Parameters>,
    /// What IPV6CP agreed on, while it is Opened.
    pub(super) ipv6_open: Option<Ipv6Report>,
    /// MTU of the interface, once it is configured.
    pub(super) mtu: Option<u16>,
    /// What the interface has; none while it is being configured.
    pub(super) given: Option<Given>,
    /// Limits that were set in place of those of its options.
    pub(super) set_rates: Option<Rates>,
    /// Limits of the user's options without what consoles set for him, once they were known.
    pub(super) own_rates: Option<Rates>,
    /// Limits that its worker was told.
    pub(super) sent_rates: Option<Rates>,
    /// Its packets of control are logged.
    pub(super) is_described: bool,
    /// Its worker was caught claiming less traffic than there was.
    pub(super) is_doubtful: bool,
    /// Its protections that are not in force.
    pub(super) missing: BTreeSet<&'static str>,
    /// What the kernel has counted of its interface, at the last look.
    pub(super) seen: Option<Seen>,
    /// Its worker was without a `pppoed` for a while, and has come back.
    pub(super) is_taken_over: bool,
    /// The peer knows that it is over, or cannot be told: no PADT is to be sent.
    pub(super) peer_knows: bool,
    /// What the hooks know of it, and want the next `pppoed` to know.
    pub(super) hooks: HookState,
    /// Who it claimed to be when that was refused last, safe to print.
    pub(super) refused_as: Option<Name>,
    /// Its peer has failed so often that the log leaves this dial out, unless it succeeds.
    pub(super) is_quiet: bool,
    rate_meter: RateMeter,
    /// Gone with the session: who looks on from elsewhere sees it end.
    pub(super) alive: Rc<()>,
    history: VecDeque<HistoryEntry>,
    hook_calls: VecDeque<SessionHook>,
}

/// What a session holds from its first moment on, until [`Supervisor::give_back`](super::Supervisor::give_back).
#[derive(Debug)]
pub(super) struct Holdings {
    pub(super) slot: Lease<Slot>,
    pub(super) unit: Lease<Unit>,
    /// None until it is known who its peer is.
    pub(super) lease: Option<Lease<AddressPair>>,
}

/// What discovery gave to begin a session with.
pub(super) struct Origin {
    pub(super) access: AccessIndex,
    pub(super) access_name: String,
    pub(super) own_mac: MacAddr,
    pub(super) peer_mac: MacAddr,
    pub(super) service: Vec<u8>,
    pub(super) host_uniq: Option<Vec<u8>>,
    /// None for a session that an earlier `pppoed` began.
    pub(super) pending: Option<RequestId>,
    pub(super) max_payload: u16,
}

impl Session {
    pub(super) fn new(
        token: Token,
        holdings: Holdings,
        origin: Origin,
        settings: Rc<Settings>,
        worker: WorkerHandle,
        now: Instant,
    ) -> Self {
        let Holdings { slot, unit, lease } = holdings;
        let machine = Machine::new(settings.limits(), now);
        Self {
            token,
            id: slot.session_id,
            slot,
            access: origin.access,
            access_name: origin.access_name,
            own_mac: origin.own_mac,
            peer_mac: origin.peer_mac,
            settings,
            service: origin.service,
            host_uniq: origin.host_uniq,
            pending: origin.pending,
            ifname: unit.name(),
            unit,
            max_payload: origin.max_payload,
            machine,
            started: now,
            pads_at: None,
            worker,
            worker_pid: 0,
            worker_start: None,
            record_serial: 0,
            tun: None,
            address_source: AddressSource::Pool,
            line: None,
            passes: Open::default(),
            counters: None,
            kept_traffic: Traffic::default(),
            protections: Vec::new(),
            lcp: None,
            authentication: Authentication::Idle,
            last_identifier: None,
            user: None,
            proofs: 0,
            refusals: 0,
            lease,
            network: None,
            ip_open: false,
            ipv6: None,
            ipv6_open: None,
            mtu: None,
            given: Some(Given::default()),
            set_rates: None,
            own_rates: None,
            sent_rates: None,
            is_described: false,
            is_doubtful: false,
            is_taken_over: false,
            missing: BTreeSet::new(),
            seen: None,
            peer_knows: false,
            hooks: HookState::new(token),
            refused_as: None,
            is_quiet: false,
            rate_meter: RateMeter::new(now),
            alive: Rc::default(),
            history: VecDeque::new(),
            hook_calls: VecDeque::new(),
        }
    }

    /// Its interface gets another name, before it is made. The unit that it had.
    pub(super) fn set_unit(&mut self, unit: Lease<Unit>) -> Lease<Unit> {
        self.ifname = unit.name();
        std::mem::replace(&mut self.unit, unit)
    }

    /// Everything that it held, when it is over.
    pub(super) fn into_holdings(self) -> Holdings {
        Holdings { slot: self.slot, unit: self.unit, lease: self.lease }
    }

    /// Remembers an event for `show session`.
    pub(super) fn note(&mut self, event: impl Into<String>, now: Instant) {
        if self.history.len() == HISTORY_LEN {
            self.history.pop_front();
        }
        let at_ms = u64::try_from(self.age(now).as_millis()).unwrap_or(u64::MAX);
        let mut event: String = event.into();
        if let Some((end, _)) = event.char_indices().nth(EVENT_LEN) {
            event.truncate(end);
        }
        debug!(
            session = self.id,
            ifname = self.ifname,
            interface = self.access_name,
            peer_mac = %self.peer_mac,
            username = self.known_as(),
            peer_ip = self.peer_ip().map(tracing::field::display),
            "{event}"
        );
        self.history.push_back(HistoryEntry { at_ms, event });
    }

    /// Remembers a call of a hook for `show session`.
    pub(super) fn note_hook(&mut self, call: SessionHook) {
        if self.hook_calls.len() == HOOKS_LEN {
            self.hook_calls.pop_front();
        }
        self.hook_calls.push_back(call);
    }

    /// What happened, oldest first.
    pub(super) fn history(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.history.iter()
    }

    /// Takes over the history that an earlier `pppoed` wrote.
    pub(super) fn set_history(&mut self, history: Vec<HistoryEntry>) {
        let surplus = history.len().saturating_sub(HISTORY_LEN);
        self.history = history.into_iter().skip(surplus).collect();
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// User name.
    pub(super) fn username(&self) -> Option<Name> {
        self.user.as_ref().map(|user| Name::new(user.name.as_slice()))
    }

    /// What commands and events select it by.
    pub(super) fn facts(&self) -> SessionFacts<'_> {
        SessionFacts {
            id: self.id,
            ifname: &self.ifname,
            interface: &self.access_name,
            username: self.user.as_ref().map(|user| user.name.as_slice()),
            mac: self.peer_mac,
            ip: self.peer_ip(),
            service: Some(&self.service),
        }
    }

    /// The options that hold for the session: its user's, or the general ones.
    pub(super) fn options(&self) -> &SessionOptions {
        self.user.as_ref().map_or(&self.settings.session_options, |user| &user.options)
    }

    pub(super) fn peer_ip(&self) -> Option<Ipv4Addr> {
        self.network.map(|network| network.remote)
    }

    /// Its worker, by a name that no other process has, once that had to be known.
    pub(super) fn process(&self) -> Option<(u32, u64)> {
        Some((self.worker_pid, self.worker_start?))
    }

    pub(super) fn auth_method(&self) -> Option<AuthMethod> {
        self.lcp.as_ref().and_then(|lcp| lcp.auth)
    }

    /// The worker's counters, also after its death. Untrusted.
    fn snapshot(&self) -> Snapshot {
        self.counters.as_ref().map(SharedCounters::snapshot).unwrap_or_default()
    }

    /// Packets that have come from the peer; what the worker claims.
    pub(super) fn heard(&self) -> u64 {
        let counters = self.snapshot();
        counters.rx_packets.saturating_add(counters.rx_control_packets)
    }

    /// Whether the peer has sent anything in its session; what the worker claims.
    pub(super) fn has_answered(&self) -> bool {
        self.lcp.is_some() || self.heard() > 0
    }

    /// Changes whenever the worker takes or sends a frame; what it claims.
    pub(super) fn activity_stamp(&self) -> u64 {
        let counters = self.snapshot();
        counters.rx_last_activity_ms.max(counters.tx_last_activity_ms)
    }

    /// What it has carried: its worker's word, or what the kernel has counted, if the worker was caught claiming less.
    pub(super) fn traffic(&self) -> Traffic {
        let claimed = self.claimed_traffic();
        match self.seen.filter(|_| self.is_doubtful) {
            Some(seen) => larger(claimed, seen.traffic),
            None => claimed,
        }
    }

    /// What its worker says that it has carried.
    pub(super) fn claimed_traffic(&self) -> Traffic {
        if self.counters.is_none() {
            return self.kept_traffic;
        }
        let counters = self.snapshot();
        Traffic {
            rx_packets: counters.rx_packets,
            rx_bytes: counters.rx_bytes,
            tx_packets: counters.tx_packets,
            tx_bytes: counters.tx_bytes,
        }
    }

    pub(super) fn summary(&self, now: Instant) -> SessionSummary {
        SessionSummary {
            id: self.id,
            ifname: self.ifname.clone(),
            username: self.username(),
            ip: self.peer_ip(),
            mac: self.peer_mac.to_string(),
            interface: self.access_name.clone(),
            service: Name::new(self.service.as_slice()),
            state: self.machine.phase(),
            uptime_s: self.age(now).as_secs(),
            traffic: self.traffic(),
        }
    }

    /// Looks at the counters for the rates.
    pub(super) fn tick(&mut self, now: Instant) {
        self.rate_meter.tick(self.traffic(), now);
    }

    /// `deadline` is when the session ends if nothing changes until then.
    fn timers(&self, deadline: Option<Instant>, now: Instant) -> SessionTimers {
        let left = |at: Instant| at.saturating_duration_since(now).as_secs();
        let idle = idle_ms(self.options());
        let idle_end = || {
            let quiet_since = self.rate_meter.last_moved(&self.traffic(), now).max(self.machine.opened()?);
            quiet_since.checked_add(Duration::from_millis(idle.into()))
        };
        let is_open = self.machine.phase() == Phase::Open;
        SessionTimers {
            deadline_left_s: deadline.filter(|_| !is_open).map(left),
            idle_left_s: (is_open && idle > 0).then(idle_end).flatten().map(left),
            session_left_s: self.machine.time_is_up().map(left),
        }
    }

    /// Everything. `deadline` is when the session ends if nothing changes until then.
    pub(super) fn detail(&self, deadline: Option<Instant>, now: Instant) -> SessionDetail {
        let counters = self.snapshot();
        let add = |numbers: &[u64]| numbers.iter().fold(0_u64, |sum, number| sum.saturating_add(*number));
        let present = |servers: [Option<Ipv4Addr>; 2]| servers.into_iter().flatten().collect();
        let link_locals = self.ipv6_open.map(ipv6::ends);
        let idle = monotonic_millis().saturating_sub(counters.rx_last_activity_ms) / 1000;
        SessionDetail {
            summary: self.summary(now),
            worker_pid: self.worker_pid,
            local_ip: self.network.map(|network| network.local),
            local_link_local: link_locals.map(|ends| ends.local),
            peer_link_local: link_locals.map(|ends| ends.peer),
            dns: self.network.map(|network| present(network.dns)).unwrap_or_default(),
            nbns: self.network.map(|network| present(network.nbns)).unwrap_or_default(),
            mru: self.lcp.as_ref().map(|lcp| lcp.mru),
            peer_mru: self.lcp.as_ref().map(|lcp| lcp.peer_mru),
            mtu: self.mtu,
            auth: self.auth_method(),
            secret_origin: self.user.as_ref().map(|user| user.origin.clone()),
            host_uniq: self.host_uniq.as_deref().map(hexadecimal),
            dropped_source: counters.rx_drops_source_address,
            dropped_malformed: add(&[counters.rx_drops_malformed, counters.tx_drops_malformed]),
            dropped_not_open: add(&[counters.rx_drops_not_open, counters.tx_drops_not_open]),
            dropped_errors: add(&[
                counters.rx_drops_oversize,
                counters.rx_drops_tun_error,
                counters.rx_drops_socket_full,
                counters.tx_drops_oversize,
                counters.tx_drops_send_error,
            ]),
            dropped_rate: add(&[counters.rx_drops_rate, counters.tx_drops_rate]),
            rate_down: BitRate(self.rates().down),
            rate_up: BitRate(self.rates().up),
            idle_s: (counters.rx_last_activity_ms > 0).then_some(idle),
            sandbox: self.protections.clone(),
            options: negotiated::options(self),
            timers: self.timers(deadline, now),
            rates: self.rate_meter.rates(self.traffic(), now),
            control: ControlTraffic {
                rx_packets: counters.rx_control_packets,
                tx_packets: counters.tx_control_packets,
                rx_echo_requests: counters.rx_echo_requests,
                rx_echo_replies: counters.rx_echo_replies,
                tx_echo_requests: counters.tx_echo_requests,
                tx_echo_replies: counters.tx_echo_replies,
            },
            history: self.history.iter().cloned().collect(),
            hooks: self.hook_calls.iter().cloned().collect(),
        }
    }

    /// The session as events name it.
    pub(super) fn event_session(&self) -> EventSession {
        EventSession {
            id: self.id,
            ifname: self.ifname.clone(),
            username: self.username(),
            ip: self.peer_ip(),
            mac: self.peer_mac.to_string(),
            interface: self.access_name.clone(),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn larger(one: Traffic, other: Traffic) -> Traffic {
    Traffic {
        rx_packets: one.rx_packets.max(other.rx_packets),
        rx_bytes: one.rx_bytes.max(other.rx_bytes),
        tx_packets: one.tx_packets.max(other.tx_packets),
        tx_bytes: one.tx_bytes.max(other.tx_bytes),
    }
}
