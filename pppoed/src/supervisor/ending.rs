//! The end of a session, whichever way it comes: one path out, [`Supervisor::finish`].

use std::time::{Duration, Instant};

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::ToWorker;
use ppp_proto::discovery::server::Refusal;
use ppp_wire::escape::Escaped;

use super::Supervisor;
use super::network::session_end;
use super::session::Token;
use super::worker::Gone;

/// Time that a worker has to exit once the session is over.
const EXIT_DEADLINE: Duration = Duration::from_secs(5);
/// Time that a worker has beyond what its Terminate-Requests take.
const TERMINATE_MARGIN: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Ends a session politely: the worker sends Terminate-Requests first (RFC 1661 §5.5).
    pub(super) fn terminate(&mut self, token: Token, reason: EndReason, detail: &str, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.end.is_some() {
            return;
        }
        if session.phase == Phase::Starting {
            return self.kill(token, reason, detail);
        }
        session.end_with(reason, detail);
        session.note(format!("ending: {reason}"), now);
        self.write_record(token);
        let Some(session) = self.table.get_mut(token) else { return };
        session.worker.send(ToWorker::Terminate(reason));
        let deadline = session.settings.terminate_time().saturating_add(TERMINATE_MARGIN);
        self.deadlines.set(token, Some(now + deadline));
    }

    /// The link is being closed, and why will be known when that is done: its worker says it as the last thing.
    pub(super) fn handle_closing(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.phase = Phase::Terminate;
        session.note("LCP is being closed", now);
        let deadline = session.settings.terminate_time().saturating_add(TERMINATE_MARGIN);
        self.deadlines.set(token, Some(now + deadline));
    }

    /// Ends a session at once. The rest happens when its worker is gone.
    pub(super) fn kill(&mut self, token: Token, reason: EndReason, detail: &str) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.end_with(reason, detail);
        session.worker.kill();
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

    pub(super) fn arm_exit_deadline(&mut self, token: Token, now: Instant) {
        self.deadlines.set(token, Some(now + EXIT_DEADLINE));
    }

    /// From now, a session that is not open has as long as the whole set-up may take, but not beyond the end of its
    /// time. The worker keeps that deadline itself, and then says so to the peer; this one is for a worker that does
    /// not.
    pub(super) fn arm_setup_deadline(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        let farewell = session.settings.terminate_time().saturating_add(TERMINATE_MARGIN);
        let deadline = now + session.settings.setup_deadline.saturating_add(farewell);
        let end = session_end(session);
        self.deadlines.set(token, Some(end.map_or(deadline, |end| deadline.min(end))));
    }

    /// The peer has its PADS: the first deadline is that of its first LCP packet.
    pub(super) fn arm_lcp_deadline(&mut self, token: Token, now: Instant) {
        self.arm_setup_deadline(token, now);
        let Some(session) = self.table.get_mut(token) else { return };
        let first = now + session.settings.lcp_deadline;
        session.setup_until = self.deadlines.of(token).filter(|whole| *whole > first);
        if session.setup_until.is_some() {
            self.deadlines.set(token, Some(first));
        }
    }

    /// A deadline passed: what should have happened by itself is now made to happen.
    pub(super) fn handle_deadlines(&mut self, now: Instant) {
        while let Some(token) = self.deadlines.pop_expired(now) {
            let Some(session) = self.table.get_mut(token) else { continue };
            let is_over = session_end(session).is_some_and(|end| end <= now);
            match session.phase {
                Phase::Terminate => {
                    self.kill(token, EndReason::WorkerCrash, "the worker did not exit in time")
                }
                Phase::Starting => {
                    self.kill(token, EndReason::SystemError, "the worker was not ready in time")
                }
                _ if is_over => {
                    self.terminate(token, EndReason::SessionTimeout, "the session's time is up", now);
                }
                // Its user has been given more time since; no other deadline has an open session.
                Phase::Open => {
                    let end = session_end(session);
                    self.deadlines.set(token, end);
                }
                Phase::Establish | Phase::Authenticate | Phase::Network => {
                    // So far it was that of the first packet.
                    let whole = session.setup_until.take();
                    match whole.filter(|_| session.has_answered()) {
                        Some(_) => self.deadlines.set(token, whole),
                        None if whole.is_some() => {
                            self.kill(
                                token,
                                EndReason::SetupTimeout,
                                "the client sent no LCP packet (--lcp-deadline)",
                            );
                        }
                        None => self.kill(token, EndReason::SetupTimeout, "the session was not open in time"),
                    }
                }
            }
        }
    }

    /// The worker is gone, and with it the interface and its socket: tells the peer, logs the end, and has the hooks
    /// called that follow. [`Supervisor::release`] is last.
    pub(super) fn finish(&mut self, token: Token, gone: Gone, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        self.deadlines.set(token, None);
        self.quota_looks.set(token, None);
        self.heartbeats.end(token);
        self.probes.end(token);
        self.pace.forget(token, now);
        let detail = match self.adoption.is_expected(token) {
            true => "its worker ended while there was no pppoed".to_owned(),
            false => gone.to_string(),
        };
        session.end_with(EndReason::WorkerCrash, detail);
        let (reason, detail) = session.end.clone().unwrap_or((EndReason::WorkerCrash, String::new()));

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
        let open = session.opened.map(|opened| now.saturating_duration_since(opened));
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
        self.pool.release(session.slot);
        self.units.release(session.unit);
        self.slots.release(session.slot);
        self.forget_log_level(session.id);
        self.retry_waiting(now);
        self.continue_hand_overs(token, now);
    }
}
