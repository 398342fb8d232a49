//! A host that has a session dials again (`-x` not given): when the new session takes the place of the old one.
//!
//! A PADR proves nothing: anybody on the segment can send one with the MAC address of somebody else. So the old session goes
//! on until the new one has proven whose it is. With authentication that is the login: by the same user at once; by
//! another user, or where there is no slot for both, or nothing to prove, when the old session's peer does not answer an LCP
//! echo (RFC 1661 §5.8) within `--replace-wait`. A client that has rebooted answers none.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::ToWorker;
use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::server::Refusal;
use pppoed_config::flags::PerMac;
use tracing::warn;

use super::Supervisor;
use super::access::Access;
use super::auth::Outcome;
use super::deadlines::Deadlines;
use super::drop_log::Refused;
use super::hashing::Station;
use super::session::{AccessIndex, Token};
use crate::message::DIAL_REFUSED;

/// Sessions whose peers were asked whether they are there.
#[derive(Debug, Default)]
pub(super) struct Probes {
    looks: Deadlines,
    of: HashMap<Token, Probe>,
}

#[derive(Debug)]
struct Probe {
    /// [`super::session::Session::heard`] when it was asked.
    heard: u64,
    /// Half of the time that the peer has: then it is asked once more.
    half: Duration,
    was_repeated: bool,
}

/// What there is to do about a peer that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Alive,
    Silent,
    AskAgain,
}

impl Probes {
    /// When [`Supervisor::handle_probes`] has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        self.looks.next()
    }

    pub(super) fn end(&mut self, token: Token) {
        self.looks.set(token, None);
        self.of.remove(&token);
    }

    /// False if it was asked already.
    fn begin(&mut self, token: Token, heard: u64, wait: Duration, now: Instant) -> bool {
        if self.of.contains_key(&token) {
            return false;
        }
        let half = wait / 2;
        self.of.insert(token, Probe { heard, half, was_repeated: false });
        self.looks.set(token, Some(now + half));
        true
    }

    fn look(&mut self, token: Token, heard: u64, now: Instant) -> Option<Finding> {
        let probe = self.of.get_mut(&token)?;
        let finding = match (heard != probe.heard, probe.was_repeated) {
            (true, _) => Finding::Alive,
            (false, true) => Finding::Silent,
            (false, false) => {
                probe.was_repeated = true;
                self.looks.set(token, Some(now + probe.half));
                return Some(Finding::AskAgain);
            }
        };
        self.end(token);
        Some(finding)
    }
}

impl Supervisor {
    fn replaces(&self, access: AccessIndex) -> bool {
        let limits = self.accesses.get(access).map_or(self.config.limits, Access::limits);
        matches!(limits.per_mac, PerMac::Replace)
    }

    /// Whether a new session on an access interface proves by a login whose it is.
    pub(super) fn asks_for_proof(&self, access: AccessIndex) -> bool {
        self.accesses.get(access).is_some_and(|access| !access.terms().settings.auth_methods().is_empty())
    }

    /// Sessions of a station that a new one of it is to replace, but that go on until that has proven something.
    pub(super) fn proven_sessions_of(&self, station: Station) -> Vec<Token> {
        if !self.replaces(station.0) {
            return Vec::new();
        }
        let mut tokens = self.table.of_peer(station.0, station.1);
        tokens.retain(|token| self.table.get(*token).is_some_and(|session| session.is_proven()));
        tokens
    }

    /// A host dials. Of several dials, the last is the one that it still wants: nobody has proven anything on the others. (It
    /// gets no answer to those, which it might take for one to the last.)
    pub(super) fn forget_earlier_dials(&mut self, station: Station) {
        if !self.replaces(station.0) {
            return;
        }
        for dial in self.waiting.take(|dial| dial.station() == station) {
            self.ignore(&dial, DropCause::GaveUp);
        }
        for token in self.table.of_peer(station.0, station.1) {
            if self.table.get(token).is_some_and(|session| !session.is_proven()) {
                self.kill(token, EndReason::Replaced, "the same host dialled again");
            }
        }
    }

    /// Asks the peers of sessions whether they are there.
    pub(super) fn probe_all(&mut self, tokens: &[Token], now: Instant) {
        let wait = self.reloads.current.config.limits.replace_wait;
        for token in tokens {
            let Some(session) = self.table.get_mut(*token) else { continue };
            if session.machine.is_ending() {
                continue;
            }
            // A worker from before there was such a question, or a link that carries no echo: the new dial counts.
            if !session.worker.knows(&ToWorker::Probe) || session.machine.phase() == Phase::Establish {
                self.kill(*token, EndReason::Replaced, "the same host dialled again");
            } else if self.probes.begin(*token, session.heard(), wait, now) {
                session.note("the same host dials again: is it still there?", now);
                session.worker.send(ToWorker::Probe);
            }
        }
    }

    /// Looks whether the peers that were asked have answered.
    pub(super) fn handle_probes(&mut self, now: Instant) {
        while let Some(token) = self.probes.looks.pop_expired(now) {
            let Some(session) = self.table.get(token).filter(|session| !session.machine.is_ending()) else {
                self.probes.end(token);
                continue;
            };
            match self.probes.look(token, session.heard(), now) {
                None => {}
                Some(Finding::AskAgain) => session.worker.send(ToWorker::Probe),
                Some(Finding::Alive) => self.keep_session(token, now),
                Some(Finding::Silent) => {
                    let detail =
                        "the same host dialled again, and this session's peer did not answer an LCP echo";
                    self.kill(token, EndReason::Replaced, detail);
                }
            }
        }
    }

    /// The peer of a session is there, so another one with its MAC address does not replace it.
    fn keep_session(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.note("it is", now);
        let (id, station) = (session.id, (session.access, session.peer_mac));
        let why = format!("session {id} has the same MAC address, and its peer answers");
        for dial in self.waiting.take(|dial| dial.station() == station) {
            if let Some(more) = self.refusals.count(Refused::SameStation, now) {
                warn!(
                    name: DIAL_REFUSED.name,
                    peer_mac = %station.1, reason = why, more, "{}", DIAL_REFUSED.words
                );
            }
            let refusal = Refusal::System("this host has a session".to_owned());
            self.answer(dial.access, |server| server.refuse(dial.request.id, &refusal).err());
        }
        for (newcomer, outcome) in self.hand_overs.take_waiting_for(token) {
            self.handle_verified(newcomer, outcome.refused(&why), now);
        }
    }

    /// A peer has proven who it is: its session takes the place of those that its host had before. `None` when the verdict has
    /// to wait for that.
    pub(super) fn replace_of_station(
        &mut self,
        token: Token,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Outcome> {
        let Some(session) = self.table.get(token) else { return Some(outcome) };
        // Who proves its identity once more has its place already.
        if outcome.result.is_err() || session.user.is_some() {
            return Some(outcome);
        }
        let mut waits_for = BTreeSet::new();
        let old = self.proven_sessions_of((session.access, session.peer_mac));
        for old in old.into_iter().filter(|old| *old != token) {
            let Some(session) = self.table.get(old) else { continue };
            waits_for.insert(old);
            let is_of_user = session.user.as_ref().is_some_and(|user| user.name == outcome.name);
            match is_of_user || session.machine.is_ending() {
                true => self.kill(old, EndReason::Replaced, "the same host logged in again"),
                false => self.probe_all(&[old], now),
            }
        }
        if waits_for.is_empty() {
            return Some(outcome);
        }
        self.hand_overs.wait(token, outcome, waits_for);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(2);

    #[test]
    fn a_peer_is_asked_twice_and_any_sign_of_life_counts() {
        let start = Instant::now();
        let (first, second) = (start + WAIT / 2, start + WAIT);
        let (gone, alive, late) = (Token(1), Token(2), Token(3));
        let mut probes = Probes::default();
        for token in [gone, alive, late] {
            assert!(probes.begin(token, 7, WAIT, start));
            assert!(!probes.begin(token, 7, WAIT, start), "one question at a time");
        }
        assert_eq!(probes.next(), Some(first));
        assert_eq!(probes.look(gone, 7, first), Some(Finding::AskAgain));
        assert_eq!(probes.look(alive, 8, first), Some(Finding::Alive));
        assert_eq!(probes.look(late, 7, first), Some(Finding::AskAgain));
        assert_eq!(probes.next(), Some(second));
        assert_eq!(probes.look(gone, 7, second), Some(Finding::Silent));
        assert_eq!(probes.look(late, 8, second), Some(Finding::Alive));
        assert_eq!((probes.next(), probes.of.len()), (None, 0));
        assert_eq!(probes.look(gone, 7, second), None);
    }
}
