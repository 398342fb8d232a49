//! What moves a session from state to state, and its end, whichever way that comes: one path out, [`Supervisor::finish`].

use std::time::Instant;

use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::ToWorker;
use ppp_proto::discovery::server::Refusal;
use ppp_session::session::{Effect, End, Event, Violation};
use ppp_wire::escape::Escaped;

use super::Supervisor;
use super::session::{Holdings, Token};
use super::worker::Gone;

impl Supervisor {
    /// The one way in which a session's state changes: its machine is told what has happened, its deadline follows, and what is
    /// to be done is done, but for [`Effect::OpenedFirst`], [`Effect::OpenedAgain`] and [`Effect::Finish`], which are the
    /// caller's.
    ///
    /// # Errors
    /// It does not fit the state; nothing has changed.
    pub(super) fn advance(
        &mut self,
        token: Token,
        event: Event,
        now: Instant,
    ) -> Result<Option<Effect>, Violation> {
        let Some(session) = self.table.get_mut(token) else { return Ok(None) };
        let effect = session.machine.handle(event, now)?;
        self.deadlines.set(token, session.machine.deadline());
        match effect {
            Some(Effect::Terminate(reason)) => {
                session.note(format!("ending: {reason}"), now);
                self.write_record(token);
                self.send(token, ToWorker::Terminate(reason));
            }
            Some(Effect::Kill) => session.worker.kill(),
            Some(Effect::OpenedFirst | Effect::OpenedAgain | Effect::Finish) | None => {}
        }
        Ok(effect)
    }

    /// As [`Self::advance`], where the event fits each state. That it did not would be our own fault, and is logged.
    pub(super) fn advance_any(&mut self, token: Token, event: Event, now: Instant) -> Option<Effect> {
        self.advance(token, event, now).unwrap_or_else(|violation| {
            debug_assert!(false, "{violation}");
            tracing::error!(%violation, "a session's state was left as it is");
            None
        })
    }

    /// Ends a session politely: the worker sends Terminate-Requests first (RFC 1661 §5.5).
    pub(super) fn terminate(&mut self, token: Token, reason: EndReason, detail: &str, now: Instant) {
        self.advance_any(token, Event::Terminate(End::new(reason, detail)), now);
    }

    /// The link is being closed, and why will be known when that is done: its worker says it as the last thing.
    pub(super) fn handle_closing(&mut self, token: Token, now: Instant) -> Result<(), Violation> {
        self.advance(token, Event::Closing, now)?;
        if let Some(session) = self.table.get_mut(token) {
            session.note("LCP is being closed", now);
        }
        Ok(())
    }

    /// Ends a session at once. The rest happens when its worker is gone.
    pub(super) fn kill(&mut self, token: Token, reason: EndReason, detail: &str) {
        self.advance_any(token, Event::Kill(End::new(reason, detail)), Instant::now());
    }

    /// The peer may not be sent anything any more (RFC 2516 §5.5).
    pub(super) fn peer_sent_padt(&mut self, session_id: u16, message: Option<&[u8]>, now: Instant) {
        let Some(token) = self.table.by_id(session_id).map(|session| session.token) else { return };
        let detail = message.map_or_else(String::new, |message| Escaped(message).to_string());
        if let Some(session) = self.table.get_mut(token) {
            session.note("PADT received", now);
        }
        self.kill(token, EndReason::Padt, &detail);
    }

    /// A deadline passed: what should have happened by itself is now made to happen.
    pub(super) fn handle_deadlines(&mut self, now: Instant) {
        while let Some(token) = self.deadlines.pop_expired(now) {
            let heard = self.table.get(token).is_some_and(|session| session.has_answered());
            self.advance_any(token, Event::TimeOut { heard }, now);
        }
    }

    /// The worker is gone, and with it the interface and its socket: tells the peer, logs the end, and has the hooks
    /// called that follow. [`Supervisor::release`] is last.
    pub(super) fn finish(&mut self, token: Token, gone: Gone, now: Instant) {
        self.quota_looks.set(token, None);
        self.heartbeats.end(token);
        self.probes.end(token);
        self.pace.forget(token, now);
        let detail = match self.adoption.is_expected(token) {
            true => "its worker ended while there was no pppoed".to_owned(),
            false => gone.to_string(),
        };
        let gone = Event::WorkerGone(End::new(EndReason::WorkerCrash, detail));
        if self.advance_any(token, gone, now) != Some(Effect::Finish) {
            return;
        }
        let Some(session) = self.table.get_mut(token) else { return };
        let Some(End { reason, detail }) = session.machine.end().cloned() else { return };

        let pending = session.pending.take();
        let (access, id, peer_knows) = (session.access, session.id, session.peer_knows);
        let (own_mac, peer_mac) = (session.own_mac, session.peer_mac);
        match pending {
            // The host waits for the answer to its next request, and might take this one for it.
            Some(_) if reason == EndReason::Replaced => {}
            Some(request) => {
                let refusal = Refusal::System("the server cannot start a session now".to_owned());
                self.answer(access, |server| server.refuse(request, &refusal).err());
            }
            None => {
                if let Some(access) = self.accesses.get_mut(access) {
                    access.with_server(|server| match reason {
                        // The peer said so itself.
                        EndReason::Padt => server.session_ended(id),
                        _ if peer_knows => server.session_ended(id),
                        _ => server.terminate_from(own_mac, id, peer_mac, reason.as_str()),
                    });
                }
            }
        }
        let Some(session) = self.table.get_mut(token) else { return };
        self.stats.ended(reason);
        let open = session.machine.opened().map(|opened| now.saturating_duration_since(opened));
        let user = session.user.as_ref().map(|user| user.name.as_slice());
        let tells_anyway = || self.repeated_dials.tells_end(reason, session.peer_mac, user, now);
        session.log_end(reason, &detail, tells_anyway, now);
        self.repeated_dials.ended(session.peer_mac, user, open, session.is_quiet, now);
        self.events.session_ended(session, reason, &detail, now);
        if !self.hook_session_ended(token, now) {
            self.release(token, now);
        }
    }

    /// The last hook has run, too: everything that the session had is free.
    pub(super) fn release(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.remove(token) else { return };
        self.remove_device(&session);
        // Until now: the next pppoed would have its last hooks called, if this one did not live to see their end.
        self.adoption.forget(token, session.id);
        self.forget_log_level(session.id);
        self.give_back(session.into_holdings());
        self.retry_waiting(now);
        self.continue_hand_overs(token, now);
    }

    /// Takes back everything that a session held.
    pub(super) fn give_back(&mut self, holdings: Holdings) {
        let Holdings { slot, unit, lease } = holdings;
        if let Some(lease) = lease {
            self.pool.release(lease);
        }
        self.units.release(unit);
        self.slots.release(slot);
    }
}
