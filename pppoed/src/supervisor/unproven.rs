//! Sessions whose peers have proven nothing yet: how many there may be, and which of them makes room; and the requests that wait
//! for room, or for their turn.
//!
//! Whoever is on the segment gets such a session with two frames. So they have a part of the slots only (`--max-starting`);
//! who is silent after the PADS has it for `--lcp-deadline`; and when all are taken, a newcomer gets the place of the one
//! that has been silent for the longest time. Without such a one it waits for a moment: a storm of honest clients after an
//! outage sets up one session after the other.
//!
//! A station that has logged in before goes before those that have not, and no stranger takes its place, nor its place in the
//! queue: it is a customer's.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;
use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::server::{RequestId, SessionRequest};
use ppp_session::leases::{Lease, Slot};

use super::Supervisor;
use super::hashing::{Standing, Station};
use super::session::{AccessIndex, Session, Token};

/// Time after its PADS in which a silent session makes no room: the way to the client and back.
const GRACE: Duration = Duration::from_millis(250);
/// Time between two looks, while requests wait: for clients that have given up, and for sessions that have been silent for too
/// long.
const LOOK: Duration = Duration::from_millis(50);
/// Requests that wait, for each session that may be in setup.
const WAITING_PER_PLACE: usize = 4;
/// Requests that wait, for each session that may be in setup, while strangers are made offers: so that there is room for those who
/// take theirs. A client without an offer asks again sooner than one without a PADS.
const WAITING_WITH_OFFERS: usize = 3;
/// Stations of which it is known that they have logged in, at least; twice as many at most.
const KNOWN: usize = 32_768;

/// Requests that wait for a slot, a place, or their turn ([`super::pace`]), the oldest first.
#[derive(Debug, Default)]
pub(super) struct WaitingDials {
    dials: VecDeque<WaitingDial>,
    /// How many of them are of known stations.
    known: usize,
    /// Time after its last PADR after which a client has given up (`--dial-patience`).
    patience: Duration,
    /// When they are looked through next: silent sessions may have become old enough to make room, or clients have given up.
    look: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct WaitingDial {
    pub(super) access: AccessIndex,
    pub(super) request: SessionRequest,
    /// Its station has logged in before.
    is_known: bool,
    /// When its client was last heard.
    heard: Instant,
}

impl WaitingDial {
    pub(super) fn new(access: AccessIndex, request: SessionRequest, is_known: bool, now: Instant) -> Self {
        Self { access, request, is_known, heard: now }
    }

    pub(super) fn station(&self) -> Station {
        (self.access, self.request.peer_mac)
    }
}

impl WaitingDials {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, ..Self::default() }
    }

    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// How many there are on an interface.
    pub(super) fn count_on(&self, access: AccessIndex) -> usize {
        self.dials.iter().filter(|dial| dial.access == access).count()
    }

    /// A client asks again, and so still wants what it waits for.
    pub(super) fn heard(&mut self, access: AccessIndex, id: RequestId, now: Instant) {
        if let Some(dial) = self.dials.iter_mut().find(|dial| (dial.access, dial.request.id) == (access, id))
        {
            dial.heard = now;
        }
    }

    /// Takes out those whose clients have given up.
    fn take_given_up(&mut self, now: Instant) -> Vec<WaitingDial> {
        let patience = self.patience;
        self.take(|dial| now.saturating_duration_since(dial.heard) > patience)
    }

    pub(super) fn len(&self) -> usize {
        self.dials.len()
    }

    /// When [`Supervisor::handle_waiting`] has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        self.look.filter(|_| !self.dials.is_empty())
    }

    /// How many are of known stations.
    pub(super) fn known(&self) -> usize {
        self.known
    }

    fn push(&mut self, dial: WaitingDial, now: Instant) {
        self.known += usize::from(dial.is_known);
        self.dials.push_back(dial);
        self.look.get_or_insert(now + LOOK);
    }

    /// Takes out all that are so.
    pub(super) fn take(&mut self, is_wanted: impl Fn(&WaitingDial) -> bool) -> Vec<WaitingDial> {
        let (taken, left): (Vec<_>, Vec<_>) = self.dials.drain(..).partition(is_wanted);
        self.dials = left.into();
        self.known -= taken.iter().filter(|dial| dial.is_known).count();
        taken
    }

    /// Takes out the stranger that came last.
    fn take_last_stranger(&mut self) -> Option<WaitingDial> {
        let index = self.dials.iter().rposition(|dial| !dial.is_known)?;
        self.dials.remove(index)
    }

    /// Takes out the first that may go on, those of known stations before others.
    fn take_first(&mut self, may_go_on: impl Fn(&WaitingDial) -> bool) -> Option<WaitingDial> {
        let mut ready = self.dials.iter().enumerate().filter(|(_, dial)| may_go_on(dial));
        let (first, is_known) = ready.next().map(|(index, dial)| (index, dial.is_known))?;
        let index = match is_known {
            true => first,
            false => ready.find(|(_, dial)| dial.is_known).map_or(first, |(index, _)| index),
        };
        let dial = self.dials.remove(index)?;
        self.known -= usize::from(dial.is_known);
        Some(dial)
    }
}

/// Stations that have logged in: a bounded number of them, those that did so last.
#[derive(Debug, Default)]
pub(super) struct KnownStations {
    recent: HashSet<Station>,
    before: HashSet<Station>,
}

impl KnownStations {
    pub(super) fn insert(&mut self, station: Station) {
        if self.recent.len() >= KNOWN && !self.recent.contains(&station) {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(station);
    }

    pub(super) fn contains(&self, station: Station) -> bool {
        self.recent.contains(&station) || self.before.contains(&station)
    }

    pub(super) fn standing(&self, station: Station) -> Standing {
        match self.contains(station) {
            true => Standing::Known,
            false => Standing::Stranger,
        }
    }
}

/// Who would have to wait for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Congestion {
    None,
    ForStrangers,
    ForAll,
}

/// The place of a request for a session.
pub(super) enum Room {
    /// A slot, with the session id that goes with it.
    Slot(Lease<Slot>),
    /// It waits.
    Later,
    /// There is no slot, and none will be free soon.
    Full,
}

impl Session {
    /// Whether its peer has proven who it is, or that it is there where nobody has to.
    pub(super) fn is_proven(&self) -> bool {
        self.user.is_some() || self.machine.opened().is_some()
    }

    /// How long ago the peer was told of its session.
    fn since_pads(&self, now: Instant) -> Option<Duration> {
        self.pads_at.map(|at| now.saturating_duration_since(at))
    }
}

impl Supervisor {
    /// Whether as many sessions are in setup as may be.
    pub(super) fn places_are_taken(&self) -> bool {
        self.config.limits.max_starting.is_some_and(|limit| self.table.unproven().len() >= limit.get())
    }

    /// Whether no more requests can wait.
    pub(super) fn waiting_room_is_full(&self) -> bool {
        self.has_waiting(WAITING_PER_PLACE)
    }

    fn has_waiting(&self, per_place: usize) -> bool {
        let places = self.config.limits.max_starting.map_or(usize::MAX, NonZeroUsize::get);
        self.waiting.len() >= places.saturating_mul(per_place)
    }

    /// Who is not to be offered a session now. Known stations go before the requests of strangers, and so do not wait for those.
    pub(super) fn congestion(&mut self, now: Instant) -> Congestion {
        match self.pace.is_congested(self.waiting.len(), now) {
            false if self.has_waiting(WAITING_WITH_OFFERS) => Congestion::ForStrangers,
            false => Congestion::None,
            true if self.pace.is_congested(self.waiting.known(), now) => Congestion::ForAll,
            true => Congestion::ForStrangers,
        }
    }

    /// Whether a slot for sessions on an access interface can be made free by sessions that have proven nothing.
    pub(super) fn has_unproven_on(&self, access: AccessIndex) -> bool {
        let Some(pool) = self.accesses.get(access).map(|access| &access.terms().settings.pool) else {
            return false;
        };
        let mut unproven = self.table.unproven().iter().filter_map(|token| self.table.get(*token));
        unproven.any(|session| session.settings.pool == *pool)
    }

    /// Finds room for a session, if need be in the place of a silent one.
    pub(super) fn make_room(&mut self, access: AccessIndex, request: &SessionRequest, now: Instant) -> Room {
        let station = (access, request.peer_mac);
        let old = self.proven_sessions_of(station);
        if !old.is_empty() && !self.asks_for_proof(access) {
            // Nobody will ever prove that the new session is that of the same host.
            self.probe_all(&old, now);
            return Room::Later;
        }
        if self.free_slots(access) == 0 {
            if let Some(victim) = self.silent_session(station, true, now) {
                self.give_way(victim);
                return Room::Later;
            }
            if !old.is_empty() {
                self.probe_all(&old, now);
                return Room::Later;
            }
            return if self.has_unproven_on(access) { Room::Later } else { Room::Full };
        }
        if !self.pace.has_room(now) {
            return Room::Later;
        }
        if self.places_are_taken() {
            match self.silent_session(station, false, now) {
                Some(victim) => self.give_way(victim),
                None => return Room::Later,
            }
        }
        self.take_slot(access).map_or(Room::Full, Room::Slot)
    }

    /// The session that makes room for a newcomer: of those that are silent the oldest, or the oldest of those that had enough
    /// time to prove something. Strangers make room for a station that is known in any case.
    fn silent_session(&self, newcomer: Station, same_pool: bool, now: Instant) -> Option<Token> {
        let pool = &self.accesses.get(newcomer.0)?.terms().settings.pool;
        let unproven = || {
            let sessions = self.table.unproven().iter().filter_map(|token| self.table.get(*token));
            sessions.filter(|session| {
                !session.machine.is_ending() && (!same_pool || session.settings.pool == *pool)
            })
        };
        let has_had = |session: &&Session, time| session.since_pads(now).is_some_and(|since| since >= time);
        let silent = unproven().find(|session| {
            session.machine.phase() == Phase::Establish && !session.has_answered() && has_had(session, GRACE)
        });
        let slow = || unproven().find(|session| has_had(session, session.settings.lcp_deadline));
        let stranger = || {
            let is_stranger =
                |session: &&Session| !self.known_stations.contains((session.access, session.peer_mac));
            unproven().find(|session| is_stranger(session) && has_had(session, Duration::ZERO))
        };
        let found = silent.or_else(slow).or_else(|| match self.known_stations.contains(newcomer) {
            true => stranger(),
            false => None,
        });
        found.map(|session| session.token)
    }

    fn give_way(&mut self, victim: Token) {
        self.table.proven(victim);
        self.kill(
            victim,
            EndReason::SetupTimeout,
            "it has proven nothing yet, and others dial (--max-starting)",
        );
    }

    /// A request waits, if there is room for it, and that of a known station in the place of a stranger's; otherwise its client gets
    /// no answer, and asks again.
    pub(super) fn wait_for_room(&mut self, dial: WaitingDial, now: Instant) {
        if self.waiting_room_is_full() {
            let goes = match dial.is_known {
                true => self.waiting.take_last_stranger(),
                false => None,
            };
            match goes {
                Some(stranger) => self.ignore(&stranger, DropCause::TooManyStarting),
                None => return self.ignore(&dial, DropCause::TooManyStarting),
            }
        }
        self.waiting.push(dial, now);
    }

    /// A request gets no answer.
    pub(super) fn ignore(&mut self, dial: &WaitingDial, cause: DropCause) {
        if let Some(access) = self.accesses.get_mut(dial.access) {
            access.with_server(|server| server.ignore(dial.request.id, cause));
        }
    }

    /// Nobody gets a turn any more.
    pub(super) fn refuse_waiting(&mut self, why: &str) {
        for dial in self.waiting.take(|_| true) {
            self.refuse(dial.access, &dial.request, why);
        }
    }

    /// Tries again for requests that wait.
    pub(super) fn retry_waiting(&mut self, now: Instant) {
        while let Some(dial) = self.next_waiting(now) {
            self.begin_session(dial, now);
        }
    }

    fn next_waiting(&mut self, now: Instant) -> Option<WaitingDial> {
        if self.waiting.len() == 0 || self.places_are_taken() || !self.pace.has_room(now) {
            return None;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let may_go_on = |dial: &WaitingDial| {
            self.free_slots(dial.access) > 0
                && (self.asks_for_proof(dial.access) || self.proven_sessions_of(dial.station()).is_empty())
        };
        let next = waiting.take_first(may_go_on);
        self.waiting = waiting;
        next
    }

    /// Requests whose clients have given up are forgotten. For the others, silent sessions may have become old enough to make
    /// room.
    pub(super) fn handle_waiting(&mut self, now: Instant) {
        if self.waiting.look.is_none_or(|look| look > now) {
            return;
        }
        for dial in self.waiting.take_given_up(now) {
            self.ignore(&dial, DropCause::GaveUp);
        }
        self.waiting.look = (self.waiting.len() > 0).then(|| now + LOOK);
        let dials = &self.waiting.dials;
        let first = dials.iter().find(|dial| dial.is_known).or_else(|| dials.front());
        let Some(first) = first.map(WaitingDial::station) else { return };
        let lacks_slot = self.free_slots(first.0) == 0;
        if !lacks_slot && !self.places_are_taken() {
            return self.retry_waiting(now);
        }
        if let Some(victim) = self.silent_session(first, lacks_slot, now) {
            self.give_way(victim);
            self.retry_waiting(now);
        }
    }

    /// A peer has proven who it is, or that it is there: its place is free for others.
    pub(super) fn proven(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get(token) else { return };
        self.known_stations.insert((session.access, session.peer_mac));
        self.table.proven(token);
        self.retry_waiting(now);
    }
}

#[cfg(test)]
mod tests {
    use ppp_wire::MacAddr;

    use super::*;

    fn station(number: u32) -> Station {
        let [a, b, c, d] = number.to_be_bytes();
        (0, MacAddr([2, 0, a, b, c, d]))
    }

    #[test]
    fn the_stations_that_logged_in_last_are_known() {
        let mut known = KnownStations::default();
        let count = u32::try_from(KNOWN).unwrap();
        (0..count).for_each(|number| known.insert(station(number)));
        assert!((0..count).all(|number| known.contains(station(number))));
        // Who logs in again and again takes nobody's place.
        (0..count).for_each(|_| known.insert(station(7)));
        assert!(known.contains(station(0)));
        (count..3 * count).for_each(|number| known.insert(station(number)));
        assert!(!known.contains(station(0)) && known.contains(station(3 * count - 1)));
        assert!(known.recent.len() + known.before.len() <= 2 * KNOWN);
    }

    fn dial(access: AccessIndex, number: u32, now: Instant) -> WaitingDial {
        dial_of(access, number, false, now)
    }

    fn dial_of(access: AccessIndex, number: u32, is_known: bool, now: Instant) -> WaitingDial {
        let request = SessionRequest {
            id: RequestId::default(),
            peer_mac: station(number).1,
            host_uniq: None,
            relay_session_id: None,
            service_name: Vec::new(),
            max_payload: None,
            circuit_id: None,
            remote_id: None,
        };
        WaitingDial::new(access, request, is_known, now)
    }

    #[test]
    fn a_dial_waits_until_its_client_has_given_up() {
        let start = Instant::now();
        let (patience, milli) = (Duration::from_secs(10), Duration::from_millis(1));
        let mut waiting = WaitingDials::new(patience);
        assert_eq!(waiting.next(), None);
        waiting.push(dial(0, 1, start), start);
        waiting.push(dial(1, 2, start), start);
        assert_eq!((waiting.next(), waiting.count_on(1)), (Some(start + LOOK), 1));
        waiting.heard(1, RequestId::default(), start + milli);
        let given_up = |waiting: &mut WaitingDials, at| {
            let taken = waiting.take_given_up(at);
            taken.iter().map(|dial| dial.access).collect::<Vec<_>>()
        };
        assert_eq!(given_up(&mut waiting, start + patience), [0; 0]);
        assert_eq!(given_up(&mut waiting, start + patience + milli), [0]);
        assert_eq!(given_up(&mut waiting, start + patience + 2 * milli), [1]);
        assert_eq!((waiting.len(), waiting.next()), (0, None));
    }

    #[test]
    fn known_stations_go_first_and_take_the_place_of_the_last_stranger() {
        let now = Instant::now();
        let mut waiting = WaitingDials::new(Duration::from_secs(10));
        for (number, is_known) in [(1, false), (2, true), (3, false), (4, true)] {
            waiting.push(dial_of(0, number, is_known, now), now);
        }
        let number = |dial: Option<WaitingDial>| dial.map(|dial| dial.request.peer_mac.0[5]);
        assert_eq!(waiting.known(), 2);
        assert_eq!(number(waiting.take_last_stranger()), Some(3));
        assert_eq!(number(waiting.take_first(|dial| dial.request.peer_mac.0[5] != 2)), Some(4));
        assert_eq!([(); 3].map(|()| number(waiting.take_first(|_| true))), [Some(2), Some(1), None]);
        assert_eq!((waiting.known(), waiting.len()), (0, 0));
        waiting.push(dial_of(0, 5, true, now), now);
        assert_eq!((waiting.take(|_| true).len(), waiting.known()), (1, 0));
        assert!(waiting.take_last_stranger().is_none());
    }
}
