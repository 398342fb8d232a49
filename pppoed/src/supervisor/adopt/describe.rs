//! A session as a record.

use std::time::Instant;

use ppp_linux::counters::monotonic_millis;
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_linux::netlink::{Ipv4Ends, Ipv6Ends};
use pppoed_config::options::{OctetDirection, SessionOptions};

use super::record::{Item, OptionItem, RecordError};
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
                .map_err(|_| missing("when its worker was started"))?,
        };
        self.worker_start = Some(start_time);
        self.record_serial += 1;
        let now = Instant::now();
        let opened = self.opened.ok_or(missing("when it was open"))?;
        let tun = self.tun.as_ref().ok_or(missing("which interface it has"))?;
        let mut items = vec![
            Item::Serial(self.record_serial),
            Item::Process { pid: self.worker_pid, start_time },
            Item::Numbers { session_id: self.id, unit: self.unit },
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
            Item::Options(options(self.options())),
            Item::Protections(self.protections.clone()),
        ];
        items.extend(self.lcp.clone().map(Item::Lcp));
        if let Some(user) = &self.user {
            items.push(Item::User { name: user.name.clone(), origin: user.origin.clone() });
        }
        items.extend(self.lease.map(|lease| Item::Lease { local: lease.local, remote: lease.remote }));
        items.extend(self.lease.map(|_| Item::AddressSource(self.address_source)));
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
        if let Some((reason, detail)) = &self.end {
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

/// Options as they stand in a record.
pub(super) fn options(options: &SessionOptions) -> Vec<OptionItem> {
    let mut items = Vec::new();
    items.extend(options.idle.as_ref().map(|idle| OptionItem::Idle(idle.value)));
    items.extend(options.maxconnect.as_ref().map(|time| OptionItem::MaxConnect(time.value)));
    // What an older pppoed can read, if it has to.
    items.extend(options.maxoctets.as_ref().map(|bytes| match u32::try_from(bytes.value) {
        Ok(bytes) => OptionItem::MaxOctets(bytes),
        Err(_) => OptionItem::MaxOctets64(bytes.value),
    }));
    items.extend(options.mo_direction.as_ref().map(|direction| {
        OptionItem::MoDirection(match direction.value {
            OctetDirection::In => 0,
            OctetDirection::Max => 1,
            OctetDirection::Out => 2,
            OctetDirection::Sum => 3,
        })
    }));
    items.extend(options.mo_timeout.as_ref().map(|time| OptionItem::MoTimeout(time.value)));
    items.extend(options.mtu.as_ref().map(|mtu| OptionItem::Mtu(mtu.value)));
    items.extend(options.ms_dns.iter().map(|server| OptionItem::MsDns(server.value)));
    items.extend(options.ms_wins.iter().map(|server| OptionItem::MsWins(server.value)));
    items.extend(options.proxyarp.as_ref().map(|proxyarp| OptionItem::ProxyArp(proxyarp.value)));
    items.extend(options.ipparam.as_ref().map(|ipparam| OptionItem::IpParam(ipparam.value.clone())));
    items.extend(options.environment.iter().map(|(name, value)| {
        OptionItem::Environment(name.clone(), value.as_ref().map(|value| value.value.clone()))
    }));
    items.extend(options.source_check.as_ref().map(|check| OptionItem::SourceCheck(check.value)));
    items
}
