//! A record as a session.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ppp_ipc::control::Traffic;
use ppp_linux::counters::monotonic_millis;
use ppp_linux::device::{Line, Open};
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_linux::pidfd::PidFd;
use ppp_session::leases::AddressPair;
use ppp_session::session::Machine;
use pppoed_config::pool::{Part, PoolName};
use pppoed_state::known::{Changes, Known};

use super::Returning;
use crate::supervisor::Supervisor;
use crate::supervisor::challenge::Challenge;
use crate::supervisor::network::Given;
use crate::supervisor::session::{
    AccessIndex, Authentication, Holdings, Origin as Dialled, Session, Token, User,
};
use crate::supervisor::settings::{Settings, max_connect};
use crate::supervisor::worker::WorkerHandle;

/// Puts a session into the state that it had when the record was written.
pub(super) fn apply(changes: Changes, session: &mut Session) {
    session.record_serial = changes.serial;
    session.lcp = changes.lcp;
    let options = changes.options;
    session.user = changes.user.map(|(name, origin)| User { name, origin, options });
    session.network = changes.network;
    session.ip_open = changes.network.is_some();
    session.ipv6 = changes.ipv6;
    if let Some(before) = session.given.take() {
        before.leave();
    }
    let given = Given::restore(changes.given);
    session.mtu = given.mtu;
    session.given = Some(given);
    if let Some((identifier, value)) = changes.challenge {
        session.last_identifier = Some(identifier);
        session.authentication = Authentication::Challenged(Challenge { identifier, value });
    }
    session.is_doubtful = changes.is_doubtful;
    session.hooks.restore(&changes.hooks_state);
    // What the worker was told holds, whatever the options were when it was.
    (session.set_rates, session.sent_rates) = (changes.rates, changes.rates);
    session.set_history(changes.history);
}

/// The settings that hold for the session: ours, but for what it was promised.
fn settings(known: &Known, ours: &Settings, pool: PoolName) -> Rc<Settings> {
    let mut settings = Settings { pool, ..ours.clone() };
    settings.link.auth_methods.clone_from(&known.auth_methods);
    settings.session_options = known.changes.options.clone();
    Rc::new(settings)
}

/// A point on the monotonic clock.
fn from_clock(clock_ms: u64, now: Instant) -> Instant {
    let ago = Duration::from_millis(monotonic_millis().saturating_sub(clock_ms));
    now.checked_sub(ago).unwrap_or(now)
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
        let ending = known.changes.ending.take();
        let holdings = self.hold_again(&known)?;
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
        let session = self.rebuild(known, token, holdings, worker, traffic, now);
        if has_worker {
            let _ = self.readmit(&session);
        }
        let end = session.machine.deadline();
        self.table.insert(session);
        self.proven(token, now);
        self.deadlines.set(token, end);
        self.watch_quota(token, now);
        if let Some((reason, detail)) = ending {
            self.terminate(token, reason, &detail, now);
        }
        Ok(token)
    }

    /// Holds what a session held. `Err` says who has some of that, and then nothing is held.
    fn hold_again(&mut self, known: &Known) -> Result<Holdings, String> {
        let id = known.session_id;
        let own = known.lease.and_then(|(_, remote)| self.pool.slot_of(remote));
        let slot = self.slots.hold(id, own).ok_or_else(|| format!("there is another session {id}"))?;
        let Some(unit) = self.units.hold(known.unit) else {
            self.slots.release(slot);
            return Err(format!("another session has {}", known.tun.0));
        };
        let pair = known.lease.map(|(local, remote)| AddressPair { slot: slot.number, local, remote });
        match pair.map(|pair| self.pool.hold(pair)).transpose() {
            Ok(lease) => Ok(Holdings { slot, unit, lease }),
            Err(holder) => {
                self.units.release(unit);
                self.slots.release(slot);
                let holder = self.slots.session_id(holder).unwrap_or_default();
                let address = pair.map_or(Ipv4Addr::UNSPECIFIED, |pair| pair.remote);
                Err(format!("session {holder} has the address {address}"))
            }
        }
    }

    fn rebuild(
        &self,
        known: Known,
        token: Token,
        holdings: Holdings,
        worker: WorkerHandle,
        traffic: Traffic,
        now: Instant,
    ) -> Session {
        let access = self.access_index(&known.access_name);
        let ours = self.accesses.get(access).map_or(&self.config, |access| &access.terms().settings);
        // It counts where its address is missing.
        let lease = holdings.lease.as_deref();
        let pool = lease.and_then(|lease| self.pool.part_with(lease.remote)).map(Part::name);
        let settings = settings(&known, ours, pool.unwrap_or(&ours.pool).clone());
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
        let started = from_clock(known.started_ms, now);
        let mut session = Session::new(token, holdings, dialled, settings, worker, started);
        session.machine = Machine::restored(session.settings.limits(), from_clock(known.opened_ms, now));
        (session.worker_pid, session.worker_start) = (known.process.0, Some(known.process.1));
        let (name, index) = known.tun;
        session.ifname = name.to_string();
        session.tun = IfIndex::new(index).map(|index| InterfaceId { index, name });
        session.line = IfIndex::new(known.access_index).map(|access| Line {
            access,
            session_id: known.session_id,
            own: known.own_mac,
            peer: known.peer_mac,
        });
        session.address_source = known.address_source;
        session.protections = known.protections;
        session.kept_traffic = traffic;
        apply(known.changes, &mut session);
        session.machine.set_max_connect(max_connect(session.options()));
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
