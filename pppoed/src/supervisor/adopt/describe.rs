//! A session as a record.

use std::time::Instant;

use ppp_linux::counters::monotonic_millis;
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_linux::netlink::{Ipv4Ends, Ipv6Ends};
use ppp_session::session::End;
use pppoed_state::options;
use pppoed_state::record::{Item, RecordError};

use crate::supervisor::network::Given;
use crate::supervisor::proxy_arp::ProxyArp;
use crate::supervisor::session::{Authentication, Session};

impl Session {
    /// Everything that the next `pppoed` has to know. `access` is the access interface's number.
    pub(super) fn describe(&mut self, access: IfIndex) -> Result<Vec<Item>, RecordError> {
        let missing = |what| RecordError::Incomplete { what };
        let start_time = match self.worker_start {
            Some(time) => time,
            None => ppp_linux::pidfd::start_time(self.worker_pid)
                .map_err(|_| missing("the worker's start time"))?,
        };
        self.worker_start = Some(start_time);
        self.record_serial += 1;
        let now = Instant::now();
        let opened = self.machine.opened().ok_or(missing("the time of opening"))?;
        let tun = self.tun.as_ref().ok_or(missing("the interface"))?;
        let mut items = vec![
            Item::Serial(self.record_serial),
            Item::Process { pid: self.worker_pid, start_time },
            Item::Numbers { session_id: self.id, unit: self.unit.number },
            Item::Access {
                name: self.access_name.clone(),
                index: access.get(),
                own_mac: self.own_mac.0,
                peer_mac: self.peer_mac.0,
            },
            Item::Discovery {
                service: self.service.clone(),
                host_uniq: self.host_uniq.clone(),
                max_payload: self.max_payload,
            },
            Item::Interface { name: tun.name.to_string(), index: tun.index.get() },
            Item::Times { started_ms: to_clock(self.started, now), opened_ms: to_clock(opened, now) },
            Item::AuthMethods(self.settings.auth_methods().to_vec()),
            Item::Options(options::items(self.options())),
            Item::Protections(self.protections.clone()),
        ];
        items.extend(self.lcp.clone().map(Item::Lcp));
        if let Some(user) = &self.user {
            items.push(Item::User { name: user.name.clone(), origin: user.origin.clone() });
        }
        items.extend(
            self.lease.as_ref().map(|lease| Item::Lease { local: lease.local, remote: lease.remote }),
        );
        items.extend(self.lease.as_ref().map(|_| Item::AddressSource(self.address_source)));
        items.extend(self.network.map(Item::Network));
        items.extend(self.ipv6.map(Item::Ipv6));
        if let Some(given) = &self.given {
            given.describe(&mut items);
        }
        if let Authentication::Challenged(challenge) = &self.authentication {
            items.push(Item::Challenge { identifier: challenge.identifier, value: challenge.value });
        }
        if self.is_doubtful {
            items.push(Item::Doubtful);
        }
        items.extend(self.hooks.record().map(Item::Hooks));
        items.extend(self.sent_rates.map(Item::Rates));
        if let Some(End { reason, detail }) = self.machine.end() {
            items.push(Item::Ending { reason: *reason, detail: detail.clone() });
        }
        items.push(Item::History(self.history().map(|entry| (entry.at_ms, entry.event.clone())).collect()));
        Ok(items)
    }
}

impl Given {
    fn describe(&self, items: &mut Vec<Item>) {
        items.extend(self.mtu.map(Item::Mtu));
        items.extend(self.ipv4.map(|ends| Item::Ipv4Ends(ends.local, ends.peer)));
        items.extend(self.ipv6.map(|ends| Item::Ipv6Ends(ends.local, ends.peer)));
        if let Some((interface, address)) = self.proxy_arp.as_ref().map(ProxyArp::describe) {
            let index = interface.index.get();
            items.push(Item::ProxyArp { interface: interface.name.to_string(), index, address });
        }
    }

    /// What [`Given::describe`] said.
    pub(super) fn restore(items: Vec<Item>) -> Self {
        let mut given = Self::default();
        for item in items {
            match item {
                Item::Mtu(mtu) => given.mtu = Some(mtu),
                Item::Ipv4Ends(local, peer) => given.ipv4 = Some(Ipv4Ends { local, peer }),
                Item::Ipv6Ends(local, peer) => given.ipv6 = Some(Ipv6Ends { local, peer }),
                Item::ProxyArp { interface, index, address } => {
                    let interface = interface.parse().ok().zip(IfIndex::new(index));
                    given.proxy_arp = interface
                        .map(|(name, index)| ProxyArp::restore(InterfaceId { name, index }, address));
                }
                _ => {}
            }
        }
        given
    }

    /// Leaves everything to the next `pppoed`.
    pub(super) fn leave(self) {
        if let Some(entry) = self.proxy_arp {
            entry.leave();
        }
    }
}

/// A time in milliseconds of the monotonic clock, which goes on from one `pppoed` to the next.
fn to_clock(time: Instant, now: Instant) -> u64 {
    let ago = u64::try_from(now.saturating_duration_since(time).as_millis()).unwrap_or(u64::MAX);
    monotonic_millis().saturating_sub(ago)
}
