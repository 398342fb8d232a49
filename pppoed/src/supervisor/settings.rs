//! The configuration in the terms that sessions need.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ppp_ipc::worker::{
    AuthMethod, Ipv6Parameters, LinkParameters, Network, Offloads, RestartParameters, Start, VERSION,
};
use ppp_linux::packet::SessionKey;
use ppp_proto::RestartConfig;
use ppp_proto::discovery::DEFAULT_MAX_PAYLOAD;
use ppp_proto::lcp::MIN_MRU;
use ppp_session::session::Limits;
use ppp_wire::ethernet::EtherType;
use pppoed_config::config::{Config, Ipv6Config, UserLimit};
use pppoed_config::options::{Script, SessionOptions};
use pppoed_config::pool::PoolName;

use super::admission::SessionLimits;
use super::ipv6::interface_identifier;
use super::session::Session;

/// Time that a worker has beyond what its Terminate-Requests take.
const TERMINATE_MARGIN: Duration = Duration::from_secs(2);

/// What sessions are made with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// What we are called.
    pub(super) ac_name: Vec<u8>,
    /// Where addresses come from.
    pub(super) pool: PoolName,
    pub(super) session_ether_type: EtherType,
    pub(super) discovery_ether_type: EtherType,
    /// How long a session goes on without us.
    pub(super) orphan_timeout: Duration,
    pub(super) limits: SessionLimits,
    pub(super) per_user: Option<UserLimit>,
    /// `-u`: the interface has the number of the slot.
    pub(super) unit_from_slot: bool,
    /// Time from the PADR until packets flow.
    pub(super) setup_deadline: Duration,
    /// Time from the PADS until the peer's first LCP packet.
    pub(super) lcp_deadline: Duration,
    /// Options of the files; a user's own go over them.
    pub(super) session_options: SessionOptions,
    /// Paths of pppd's scripts, where they are not the usual ones.
    pub(super) scripts: BTreeMap<Script, PathBuf>,
    /// Parameters of every link, but for what discovery, the session and the peer decide.
    pub(super) link: LinkParameters,
    /// IPv6, if it is on.
    pub(super) ipv6: Option<Ipv6Config>,
    /// Largest packet that we take where the wire carries it, in bytes.
    pub(super) mru: u16,
    /// What sessions' interfaces are to leave to the workers.
    pub(super) offloads: Offloads,
    pub(super) gather: Duration,
}

impl Settings {
    /// The sessions' part of the configuration, for interfaces that have this pool.
    pub(super) fn new(config: &Config, pool: PoolName) -> Self {
        let echo = config.echo.as_ref();
        let link = LinkParameters {
            name: config.secrets.our_name.clone(),
            mru: DEFAULT_MAX_PAYLOAD,
            max_peer_mru: DEFAULT_MAX_PAYLOAD,
            auth_methods: config.auth_methods.value.iter().copied().map(auth_method).collect(),
            lcp: restart_parameters(&config.lcp),
            ipcp: restart_parameters(&config.ipcp),
            ipv6cp: restart_parameters(&config.ipv6cp),
            ipv6: None,
            network: None,
            auth_restart_ms: milliseconds(config.auth.restart),
            auth_max_transmits: config.auth.max_transmits,
            auth_max_tries: config.auth.max_tries,
            chap_interval_ms: config.auth.rechallenge.map_or(0, milliseconds),
            auth_deadline_ms: config.auth.deadline.map_or(0, milliseconds),
            setup_deadline_ms: milliseconds(config.setup_deadline),
            echo_interval_ms: echo.map_or(0, |echo| milliseconds(echo.interval)),
            echo_failure: echo.map_or(0, |echo| echo.max_failures),
            echo_adaptive: echo.is_some_and(|echo| echo.only_when_idle),
            dead_peer_ms: config.dead_peer.map_or(0, milliseconds),
            idle_ms: idle_ms(&config.session),
            max_mss: config.max_mss.unwrap_or(0),
        };
        Self {
            ac_name: config.ac_name.value.clone(),
            pool,
            session_ether_type: config.session_ether_type,
            discovery_ether_type: config.discovery_ether_type,
            orphan_timeout: config.orphan_timeout,
            limits: SessionLimits {
                per_mac: config.per_mac.value,
                per_interface: config.limits.per_interface,
                max_starting: config.max_starting(),
            },
            per_user: config.limits.per_user,
            unit_from_slot: config.unit_from_slot,
            setup_deadline: config.setup_deadline,
            lcp_deadline: config.limits.lcp_deadline,
            session_options: config.session.clone(),
            scripts: config.scripts.iter().map(|(script, path)| (*script, path.value.clone())).collect(),
            link,
            ipv6: config.ipv6,
            mru: config.mru.value,
            offloads: Offloads { tcp: config.offloads, udp: config.offloads },
            gather: config.gather,
        }
    }

    /// What a worker is told first. `max_payload` is what discovery agreed on, in bytes.
    pub(super) fn start(
        &self,
        key: &SessionKey,
        seed: u64,
        max_payload: u16,
        network: Option<Network>,
    ) -> Start {
        let mut link = self.link.clone();
        // What the wire cannot carry must not be offered, whatever the options say (RFC 2516 §7, RFC 4638 §2).
        link.mru = self.mru.clamp(MIN_MRU, max_payload.max(MIN_MRU));
        link.max_peer_mru = max_payload;
        link.network = network;
        link.ipv6 = self.ipv6.map(|ipv6| Ipv6Parameters {
            local: ipv6.local.map_or_else(|| interface_identifier(key.own, key.session_id), u64::to_be_bytes),
            remote: ipv6.remote.map(u64::to_be_bytes),
        });
        Start {
            version: VERSION,
            session_id: key.session_id,
            peer_mac: key.peer.0,
            own_mac: key.own.0,
            session_ethertype: key.ether_type.into(),
            discovery_ethertype: self.discovery_ether_type.into(),
            orphan_timeout_ms: milliseconds(self.orphan_timeout),
            seed,
            offloads: self.offloads,
            gather_us: u32::try_from(self.gather.as_micros()).unwrap_or(u32::MAX),
            link,
        }
    }

    /// Authentication to ask for; empty for none.
    pub(super) fn auth_methods(&self) -> &[AuthMethod] {
        &self.link.auth_methods
    }

    /// How long a session may be in its states; the time that its user has is not known yet.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            first_packet: self.lcp_deadline,
            setup: self.setup_deadline,
            farewell: self.terminate_time().saturating_add(TERMINATE_MARGIN),
            max_connect: max_connect(&self.session_options),
        }
    }

    /// Time that a peer has to answer our Terminate-Requests (RFC 1661 §4.6).
    pub(super) fn terminate_time(&self) -> Duration {
        let lcp = self.link.lcp;
        Duration::from_millis(u64::from(lcp.restart_ms)).saturating_mul(lcp.max_terminate)
    }
}

fn auth_method(method: ppp_proto::auth::AuthMethod) -> AuthMethod {
    match method {
        ppp_proto::auth::AuthMethod::ChapMd5 => AuthMethod::ChapMd5,
        ppp_proto::auth::AuthMethod::Pap => AuthMethod::Pap,
    }
}

fn restart_parameters(restart: &RestartConfig) -> RestartParameters {
    RestartParameters {
        restart_ms: milliseconds(restart.restart),
        max_configure: restart.max_configure,
        max_terminate: restart.max_terminate,
        max_failure: restart.max_failure,
    }
}

/// MTU of a session's interface: what the peer takes, unless the options say less.
pub(super) fn mtu(session: &Session) -> u16 {
    let agreed = session.lcp.as_ref().map_or(DEFAULT_MAX_PAYLOAD, |lcp| lcp.peer_mru);
    let wanted = session.options().mtu.as_ref().map_or(agreed, |mtu| mtu.value.min(agreed));
    // The worker's report of what the peer takes is its own claim.
    wanted.clamp(MIN_MRU, session.max_payload.max(MIN_MRU))
}

/// As whole milliseconds; what is longer than 49 days is 49 days.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// `idle` of the options in milliseconds; 0 never.
pub(super) fn idle_ms(options: &SessionOptions) -> u32 {
    options.idle.as_ref().map_or(0, |idle| idle.value.saturating_mul(1000))
}

/// Longest time from the first open network protocol that a session with these options may last.
pub(super) fn max_connect(options: &SessionOptions) -> Option<Duration> {
    let seconds = options.maxconnect.as_ref()?.value;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}
