//! A record, read.

use std::net::Ipv4Addr;

use ppp_ipc::control::{AddressSource, HistoryEntry};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{AuthMethod, Ipv6Parameters, LcpReport, Network, Rates};
use ppp_wire::MacAddr;
use ppp_wire::if_name::IfName;
use pppoed_config::options::SessionOptions;

use crate::options;
use crate::record::{self, Item, RecordError};

/// Milliseconds of the kernel's unit of time for processes (`USER_HZ`, 100 on all that we run on).
const MS_PER_TICK: i64 = 10;

/// A record, read.
#[derive(Debug)]
pub struct Known {
    /// The worker: its process id, and when it was started, as of `ppp_linux::pidfd::start_time`.
    pub process: (u32, u64),
    /// PPPoE session id.
    pub session_id: u16,
    /// Number of the access interface when the record was written.
    pub access_index: u32,
    /// Number of its interface's name.
    pub unit: u32,
    /// Name of its access interface.
    pub access_name: String,
    /// Our MAC address there.
    pub own_mac: MacAddr,
    /// The peer's MAC address.
    pub peer_mac: MacAddr,
    /// Service-Name that discovery agreed on.
    pub service: Vec<u8>,
    /// Host-Uniq of the PADR.
    pub host_uniq: Option<Vec<u8>>,
    /// PPP-Max-Payload that was agreed on, in bytes (RFC 4638); 1492 without.
    pub max_payload: u16,
    /// Its interface: name, and index when the record was written.
    pub tun: (IfName, u32),
    /// When it began, in milliseconds of the monotonic clock.
    pub started_ms: u64,
    /// When it was open, likewise.
    pub opened_ms: u64,
    /// How its peer may have to prove who it is; empty: not at all.
    pub auth_methods: Vec<AuthMethod>,
    /// Its addresses: our end, the peer's end.
    pub lease: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Who gave its address.
    pub address_source: AddressSource,
    /// What is in force in its worker.
    pub protections: Vec<String>,
    /// What may differ from an earlier record.
    pub changes: Changes,
}

/// What may differ between two records of a session.
#[derive(Debug)]
pub struct Changes {
    /// Of two records of one session the higher number counts.
    pub serial: u64,
    /// What LCP agreed on.
    pub lcp: Option<LcpReport>,
    /// Who the peer proved to be, and where its secret is.
    pub user: Option<(Vec<u8>, String)>,
    /// What IPCP granted.
    pub network: Option<Network>,
    /// What IPV6CP granted.
    pub ipv6: Option<Ipv6Parameters>,
    /// What its interface has.
    pub given: Vec<Item>,
    /// Options that hold for it.
    pub options: SessionOptions,
    /// The CHAP challenge that is out: identifier, value.
    pub challenge: Option<(u8, [u8; 16])>,
    /// The limits that its worker was told.
    pub rates: Option<Rates>,
    /// Its worker was caught claiming less traffic than there was.
    pub is_doubtful: bool,
    /// What happened to it.
    pub history: Vec<HistoryEntry>,
    /// What the hooks keep of it; nothing to anybody else.
    pub hooks_state: Vec<u8>,
    /// Why it was being ended.
    pub ending: Option<(EndReason, String)>,
}

impl Known {
    /// The client's IPv4 address, if it has one.
    pub fn client(&self) -> Option<Ipv4Addr> {
        self.lease.map(|(_, remote)| remote)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is no record, or says too little.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let missing = |what| RecordError::Incomplete { what };
        let (mut process, mut numbers, mut access, mut discovery) = (None, None, None, None);
        let (mut tun, mut times, mut serial) = (None, None, 0);
        let (mut lcp, mut user, mut lease, mut network, mut ipv6) = (None, None, None, None, None);
        let (mut auth_methods, mut protections, mut history) = (Vec::new(), Vec::new(), Vec::new());
        let (mut given, mut session_options, mut challenge) = (Vec::new(), SessionOptions::default(), None);
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
                    // The kernel gives no others.
                    let is_index = i32::try_from(index).is_ok_and(|index| index > 0);
                    tun = name.parse().ok().filter(|_| is_index).zip(Some(index));
                }
                Item::Times { started_ms, opened_ms } => times = Some((started_ms, opened_ms)),
                Item::Lcp(report) => lcp = Some(report),
                Item::AuthMethods(methods) => auth_methods = methods,
                Item::User { name, origin } => user = Some((name, origin)),
                Item::Lease { local, remote } => lease = Some((local, remote)),
                Item::Network(granted) => network = Some(granted),
                Item::Ipv6(parameters) => ipv6 = Some(parameters),
                Item::Options(items) => session_options = options::restore(items),
                Item::Challenge { identifier, value } => challenge = Some((identifier, value)),
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
        let (session_id, unit) = numbers.ok_or(missing("the session number"))?;
        let (access_name, access_index, own_mac, peer_mac) = access.ok_or(missing("the access interface"))?;
        let (service, host_uniq, max_payload) = discovery.ok_or(missing("the outcome of discovery"))?;
        let (started_ms, opened_ms) = times.ok_or(missing("the start time"))?;
        let tun = tun.ok_or(missing("the interface"))?;
        let changes = Changes {
            serial,
            lcp,
            user,
            network,
            ipv6,
            given,
            options: session_options,
            challenge,
            is_doubtful,
            history,
            hooks_state,
            rates,
            ending,
        };
        Ok(Self {
            process: process.ok_or(missing("the worker"))?,
            session_id,
            access_index,
            unit,
            access_name,
            own_mac,
            peer_mac,
            service,
            host_uniq,
            max_payload,
            tun,
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
    pub fn shift_clock(&mut self, ticks: i64) {
        let shift = |clock_ms: u64| clock_ms.saturating_add_signed(ticks.saturating_mul(MS_PER_TICK));
        (self.started_ms, self.opened_ms) = (shift(self.started_ms), shift(self.opened_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_everything() {
        let bytes = record::encode(record::tests::everything()).unwrap();
        let known = Known::parse(&bytes).unwrap();
        assert_eq!((known.changes.serial, known.process, known.session_id), (3, (7, 300), 1));
        assert_eq!((known.unit, known.tun.0.as_str(), known.access_index), (2, "ppp2", 4));
        let changes = known.changes;
        assert_eq!(changes.user, Some((b"alice".to_vec(), "/f:1".to_owned())));
        assert_eq!(changes.given.len(), 4);
        assert!(changes.is_doubtful && changes.challenge.is_some());
        assert_eq!(changes.ending, Some((EndReason::Admin, "noc".to_owned())));
        assert_eq!((changes.hooks_state.as_slice(), changes.history.len()), (&[1, 2][..], 1));
    }

    #[test]
    fn what_is_missing_is_named() {
        for index in [1, 2, 3, 4, 5, 6] {
            let mut items = record::tests::everything();
            items.remove(index);
            let error = Known::parse(&record::encode(items).unwrap()).unwrap_err().to_string();
            assert!(error.ends_with(" is missing"), "{error}");
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
}
