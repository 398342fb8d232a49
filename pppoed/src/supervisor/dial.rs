//! From a valid PADR to the PADS.

use std::rc::Rc;
use std::time::Instant;

use ppp_ipc::control::{EventName, ServiceState};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::ToWorker;
use ppp_linux::interface::InterfaceId;
use ppp_linux::packet::SessionKey;
use ppp_proto::discovery::DEFAULT_MAX_PAYLOAD;
use ppp_proto::discovery::server::{Refusal, SessionRequest};
use ppp_session::leases::{Lease, Slot, Unit};
use ppp_session::session::Event;
use ppp_wire::MacAddr;
use ppp_wire::if_name::IfName;
use ppp_wire::name::NameText;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::Supervisor;
use super::access::Access;
use super::auth::network;
use super::drop_log::Refused;
use super::pace::Work;
use super::session::{AccessIndex, Holdings, Origin, Session, Token};
use super::settings::Settings;
use super::unproven::{Room, WaitingDial};
use super::worker::{Launch, Started, WorkerHandle};
use crate::message::DIAL_REFUSED;

const NO_NAME_LEFT: &str = "no interface name is left";

fn exists_already(unit: Unit) -> String {
    format!("{} exists already (-u)", unit.name())
}

/// What a new session goes by.
struct Ground {
    settings: Rc<Settings>,
    access_id: InterfaceId,
    access_name: String,
    own_mac: MacAddr,
    /// Of its worker's random numbers.
    seed: u64,
}

impl Supervisor {
    /// A client asks for a session.
    pub(super) fn handle_request(&mut self, access: AccessIndex, request: SessionRequest, now: Instant) {
        self.pace.asked(now);
        self.forget_earlier_dials((access, request.peer_mac));
        let is_known = self.known_stations.contains((access, request.peer_mac));
        self.begin_session(WaitingDial::new(access, request, is_known, now), now);
    }

    /// Begins a session, or lets its request wait until there is room.
    pub(super) fn begin_session(&mut self, dial: WaitingDial, now: Instant) {
        if self.service == ServiceState::Stopping {
            return self.refuse(dial.access, &dial.request, "the server is stopping");
        }
        let slot = match self.make_room(dial.access, &dial.request, now) {
            Room::Slot(slot) => slot,
            Room::Later => return self.wait_for_room(dial, now),
            Room::Full => return self.refuse_without_slot(&dial, now),
        };
        let WaitingDial { access, request, .. } = dial;
        if let Err(why) = self.launch(access, slot, &request, now) {
            self.tell_refused(access, request.peer_mac, &why);
            if let Some(more) = self.refusals.count(Refused::System, now) {
                warn!(name: DIAL_REFUSED.name, peer_mac = %request.peer_mac, reason = why, more, "refused");
            }
            self.refuse(access, &request, "the server cannot start a session now");
        }
    }

    fn refuse_without_slot(&mut self, dial: &WaitingDial, now: Instant) {
        let WaitingDial { access, request, .. } = dial;
        let access = *access;
        self.tell_refused(access, request.peer_mac, "no free slot");
        if let Some(more) = self.refusals.count(Refused::NoSlot, now) {
            let place = self.accesses.get(access);
            let interface = place.map(Access::name);
            let pool = place.map(|access| &*access.terms().settings.pool);
            warn!(
                name: DIAL_REFUSED.name,
                interface, pool, peer_mac = %request.peer_mac, more, "refused: no free slot (see -N)"
            );
        }
        self.answer(access, |server| server.refuse(request.id, &Refusal::NoSlots).err());
    }

    /// Slots that are free for sessions on an access interface: those of its pool. Sessions that have gone over into it from
    /// another one, because the configuration has changed, count.
    pub(super) fn free_slots(&self, access: AccessIndex) -> usize {
        let Some(access) = self.accesses.get(access) else { return 0 };
        let (name, free) = (&access.terms().settings.pool, self.slots.free());
        match (self.pool.part(name), self.pool.parts()) {
            (None, _) => 0,
            // All slots are its own.
            (Some(_), [_]) => free,
            (Some(part), _) => part.size().saturating_sub(self.table.count_in(name)).min(free),
        }
    }

    pub(super) fn take_slot(&mut self, access: AccessIndex) -> Option<Lease<Slot>> {
        if self.free_slots(access) == 0 {
            return None;
        }
        let pool = &self.accesses.get(access)?.terms().settings.pool;
        let own = self.pool.part(pool)?.slots();
        self.slots.take(own, random_bits)
    }

    /// Starts the worker of a session; the PADS waits until it is ready.
    fn launch(
        &mut self,
        access: AccessIndex,
        slot: Lease<Slot>,
        request: &SessionRequest,
        now: Instant,
    ) -> Result<(), String> {
        let ground = match self.ground(access) {
            Ok(ground) => ground,
            Err(why) => {
                self.slots.release(slot);
                return Err(why);
            }
        };
        let Ground { settings, access_id, access_name, own_mac, seed } = ground;
        let holdings = self.hold(slot, &settings, now)?;
        let Ok(tun) = holdings.unit.name().parse::<IfName>() else {
            self.give_back(holdings);
            return Err(NO_NAME_LEFT.to_owned());
        };
        let max_payload = request.max_payload.unwrap_or(DEFAULT_MAX_PAYLOAD);
        let network = holdings.lease.as_deref().map(|lease| network(lease, &settings.session_options));
        let key = SessionKey {
            ether_type: settings.session_ether_type,
            session_id: holdings.slot.session_id,
            own: own_mac,
            peer: request.peer_mac,
        };
        let start = settings.start(&key, seed, max_payload, network);
        let ipv6 = start.link.ipv6;
        let token = Token(self.next_token);
        self.next_token += 1;
        let launch = Launch { start, access: access_id, devices: self.devices.clone(), key, tun };
        let worker = WorkerHandle::launch(self.factory.clone(), launch, token, self.reports.clone());
        let origin = Origin {
            access,
            access_name,
            own_mac,
            peer_mac: request.peer_mac,
            service: request.service_name.clone(),
            host_uniq: request.host_uniq.clone(),
            pending: Some(request.id),
            max_payload,
        };
        let mut session = Session::new(token, holdings, origin, settings, worker, now);
        session.network = network;
        session.ipv6 = ipv6;
        session.hooks.circuit_id = request.circuit_id.clone();
        session.hooks.remote_id = request.remote_id.clone();
        let telling = self.repeated_dials.begin(request.peer_mac, now);
        session.tell(telling);
        session.note("PADR", now);
        self.table.insert(session);
        self.pace.begin(Work::Start, token, now);
        let deadline = self.table.get(token).and_then(|session| session.machine.deadline());
        self.deadlines.set(token, deadline);
        self.stats.started();
        Ok(())
    }

    /// What a new session on an access interface goes by.
    fn ground(&self, access: AccessIndex) -> Result<Ground, String> {
        let interface = self.accesses.get(access).ok_or("there is no such access interface")?;
        let (access_id, own_mac) = interface.line().ok_or("the access interface is gone")?;
        let seed = super::setup::random::<8>().map(u64::from_le_bytes).map_err(|error| error.to_string())?;
        Ok(Ground {
            settings: interface.terms().settings.clone(),
            access_id: access_id.clone(),
            access_name: interface.name().to_owned(),
            own_mac,
            seed,
        })
    }

    /// Takes what a session needs besides its slot. If not all of it is there, the slot is given back, too.
    fn hold(&mut self, slot: Lease<Slot>, settings: &Settings, now: Instant) -> Result<Holdings, String> {
        let lease = match settings.auth_methods().is_empty() {
            true => self.lease_without_proof(&settings.pool, slot.number).map(Some),
            false => Ok(None),
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(why) => {
                self.slots.release(slot);
                return Err(why);
            }
        };
        match self.take_unit(slot.number, now) {
            Ok(unit) => Ok(Holdings { slot, unit, lease }),
            Err(why) => {
                if let Some(lease) = lease {
                    self.pool.release(lease);
                }
                self.slots.release(slot);
                Err(why)
            }
        }
    }

    fn take_unit(&mut self, slot: u32, now: Instant) -> Result<Lease<Unit>, String> {
        if !self.config.unit_from_slot {
            return Ok(self.units.take(now));
        }
        self.units.hold(slot).ok_or_else(|| exists_already(Unit { number: slot }))
    }

    /// Another program has an interface of the name that a session was to have: it gets another name, unless that one was
    /// asked for.
    pub(super) fn handle_name_in_use(&mut self, token: Token, answer: oneshot::Sender<IfName>, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.machine.is_ending() {
            return;
        }
        if self.config.unit_from_slot {
            let (access, mac, why) = (session.access, session.peer_mac, exists_already(*session.unit));
            self.tell_refused(access, mac, &why);
            return self.kill(token, EndReason::SystemError, &why);
        }
        let taken = session.set_unit(self.units.take(now));
        self.units.taken_by_another(taken, now);
        let ifname = session.ifname.clone();
        match ifname.parse() {
            // Fails only when its task has ended meanwhile.
            Ok(name) => drop(answer.send(name)),
            Err(_) => self.kill(token, EndReason::SystemError, NO_NAME_LEFT),
        }
    }

    pub(super) fn handle_started(&mut self, token: Token, started: Started, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.worker_pid = started.pid;
        session.line = started.line;
        session.counters = Some(started.counters);
        session.note(format!("worker {} started", started.pid), now);
        self.table.set_tun(token, started.tun);
    }

    /// The worker is in its sandbox: the peer may have its PADS.
    pub(super) fn handle_ready(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        let Some(request) = session.pending.take() else { return };
        self.pace.end(Work::Start, token, now);
        self.advance_any(token, Event::Ready, now);
        let Some(session) = self.table.get_mut(token) else { return };
        session.pads_at = Some(now);
        session.note("PADS", now);
        let (access, id) = (session.access, session.id);
        session.log_started();
        self.events.session(EventName::SessionStarted, session);
        let accepted = self
            .accesses
            .get_mut(access)
            .map(|access| access.with_server(|server| server.accept(request, id)));
        match accepted {
            Some(Err(error)) => self.kill(token, EndReason::SystemError, &error.to_string()),
            // A frame of LCP that overtook the PADS would be lost on the peer.
            Some(Ok(())) | None => self.send(token, ToWorker::Open),
        }
        self.retry_waiting(now);
    }

    pub(super) fn send(&mut self, token: Token, message: ToWorker) {
        if let Some(session) = self.table.get_mut(token) {
            session.worker.send(message);
        }
    }

    fn tell_refused(&mut self, access: AccessIndex, mac: MacAddr, why: &str) {
        let interface = self.accesses.get(access).map_or("", |access| access.name());
        self.events.refused(interface, mac, why);
    }

    pub(super) fn refuse(&mut self, access: AccessIndex, request: &SessionRequest, why: &str) {
        let refusal = Refusal::System(why.to_owned());
        self.answer(access, |server| server.refuse(request.id, &refusal).err());
    }

    pub(super) fn answer<E: std::fmt::Display>(
        &mut self,
        access: AccessIndex,
        act: impl FnOnce(&mut ppp_proto::discovery::server::Server) -> Option<E>,
    ) {
        if let Some(access) = self.accesses.get_mut(access)
            && let Some(error) = access.with_server(act)
        {
            warn!(interface = access.name(), %error, "cannot send PADS");
        }
    }

    pub(super) fn log_refused_service(
        &mut self,
        access: AccessIndex,
        peer_mac: MacAddr,
        names: &[Vec<u8>],
        now: Instant,
    ) {
        let Some(more) = self.refusals.count(Refused::Service, now) else { return };
        let interface = self.accesses.get(access).map(|access| access.name());
        let names: Vec<String> = names.iter().map(|name| format!("\"{}\"", NameText(name))).collect();
        info!(
            name: DIAL_REFUSED.name,
            interface, %peer_mac, services = names.join(" "), more, "refused: Service-Name-Error (see -S)"
        );
    }
}

/// 32 random bits for a session id.
fn random_bits() -> Option<u32> {
    super::setup::random::<4>().ok().map(u32::from_ne_bytes)
}
