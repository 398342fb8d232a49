//! What workers say, each message checked against the session that its pipe belongs to, and its phase.

use std::time::Instant;

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{
    AuthMethod, Ended, FromWorker, LcpReport, NetworkReport, Proof, ToWorker, VERSION, Verdict,
};
use ppp_linux::sandbox::Protections;
use ppp_session::session::{End, Event};
use tracing::warn;

use super::Supervisor;
use super::auth::Attempt;
use super::challenge::Challenge;
use super::session::{Authentication, Token};
use super::worker::{MESSAGE_BURST, Report};
use crate::text::printable;

impl Supervisor {
    pub(super) fn handle_report(&mut self, token: Token, report: Report, now: Instant) {
        match report {
            Report::Started(started) => self.handle_started(token, started, now),
            Report::Message(message) => {
                if let Err(violation) = self.handle_message(token, message, now) {
                    self.kill(
                        token,
                        EndReason::WorkerCrash,
                        &format!("the worker broke the rules: {violation}"),
                    );
                }
            }
            Report::NameInUse(answer) => self.handle_name_in_use(token, answer, now),
            Report::NotStarted(why) => self.kill(token, EndReason::SystemError, &why),
            Report::Failed(why) => self.kill(token, EndReason::WorkerCrash, &why),
            // Most messages follow from what the peer does: one that begins LCP anew all the time (two hosts behind one
            // address do) makes a worker in its right mind send many.
            Report::Flooded => {
                let detail = format!(
                    "more than {MESSAGE_BURST} messages at once: the peer negotiates again and again, or its worker floods"
                );
                self.kill(token, EndReason::ProtocolError, &detail);
            }
            Report::Gone(gone) => self.finish(token, gone, now),
        }
    }

    /// Handles one message. `Err` says which rule the worker broke.
    fn handle_message(
        &mut self,
        token: Token,
        message: FromWorker,
        now: Instant,
    ) -> Result<(), &'static str> {
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        if let FromWorker::Described { lines, more } = &message
            && session.machine.phase() != Phase::Starting
        {
            return Self::handle_described(session, lines, *more);
        }
        if session.machine.phase() == Phase::Terminate && !matches!(message, FromWorker::Ended(_)) {
            // It was told to end, and said this before it heard; or it closes the link.
            return Ok(());
        }
        match (message, session.machine.phase()) {
            (FromWorker::Ready { version, protections }, Phase::Starting) => {
                if version != VERSION {
                    return Err("it has another version");
                }
                let protections = Protections::from_bits_truncate(protections);
                if !protections.is_all() {
                    return Err("it is not in its whole sandbox");
                }
                session.protections = protections.descriptions().map(str::to_owned).collect();
                self.handle_ready(token, now);
                Ok(())
            }
            (FromWorker::SandboxFailed { why }, Phase::Starting) => {
                let why = printable(why.as_bytes());
                self.kill(token, EndReason::SystemError, &why);
                Ok(())
            }
            (FromWorker::Ended(ended), _)
                if !session.machine.is_ending() && !is_workers_own(ended.reason, session.is_taken_over) =>
            {
                Err(NOT_ITS_END)
            }
            (FromWorker::Ended(ended), _) => {
                self.handle_ended(token, &ended, now);
                Ok(())
            }
            (_, Phase::Starting) => Err("it spoke before it was ready"),
            (FromWorker::Ready { .. } | FromWorker::SandboxFailed { .. }, _) => Err("it was ready already"),
            (FromWorker::LcpOpened(report), _) => self.handle_lcp_opened(token, report, now),
            (FromWorker::ChallengeNeeded, phase) => {
                let may_ask = matches!(phase, Phase::Authenticate | Phase::Network | Phase::Open);
                if !may_ask || session.auth_method() != Some(AuthMethod::ChapMd5) {
                    return Err("it asked for a challenge that it cannot use");
                }
                self.give_challenge(token);
                Ok(())
            }
            (FromWorker::Authenticate(proof), _) => self.handle_proof(token, &proof, now),
            (FromWorker::NetworkUp(report), _) => self.handle_network_up(token, report, now),
            (FromWorker::NetworkDown, _) => {
                self.handle_network_down(token, now);
                Ok(())
            }
            (FromWorker::Pong { sequence }, _) => self.handle_pong(token, sequence, now),
            (FromWorker::Ipv6Up(report), _) => self.handle_ipv6_up(token, report, now),
            (FromWorker::Closing, _) => {
                self.handle_closing(token, now).map_err(|_| "it closes a link that there is not")
            }
            // Handled above, whatever the phase.
            (FromWorker::Described { .. }, _) => Ok(()),
            (FromWorker::Ipv6Down, _) => {
                self.handle_ipv6_down(token, now);
                Ok(())
            }
        }
    }

    pub(super) fn handle_lcp_opened(
        &mut self,
        token: Token,
        report: LcpReport,
        now: Instant,
    ) -> Result<(), &'static str> {
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        let methods = session.settings.auth_methods();
        let allowed = match report.auth {
            Some(method) => methods.contains(&method),
            None => methods.is_empty(),
        };
        if !allowed {
            return Err("its LCP opened without the authentication that is required");
        }
        session.note(format!("LCP opened, MRU {} and {}", report.mru, report.peer_mru), now);
        // LCP may be negotiated anew at any time (RFC 1661 §4.4); then everything above it begins again.
        self.advance(token, Event::LcpOpened, now).map_err(|_| "its LCP opened too early")?;
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        session.ip_open = false;
        session.ipv6_open = None;
        self.hold_back(token);
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        // But a challenge that is out stays good: the link uses one that it asked for before.
        let is_overtaken = matches!(session.authentication, Authentication::Verifying);
        let needs_proof = report.auth.is_some();
        session.lcp = Some(report);
        if is_overtaken {
            self.count_overtaken(token, now);
        }
        if !needs_proof {
            self.admit_without_proof(token, now);
        }
        Ok(())
    }

    fn give_challenge(&mut self, token: Token) {
        let Some(session) = self.table.get_mut(token) else { return };
        let Ok(challenge) = Challenge::after(session.last_identifier) else {
            return self.kill(token, EndReason::SystemError, "the system has no random numbers");
        };
        let Challenge { identifier, value } = challenge;
        session.last_identifier = Some(identifier);
        session.authentication = Authentication::Challenged(challenge);
        // The next pppoed has to know what it may get an answer to.
        self.keep_record(token);
        self.send(token, ToWorker::Challenge { identifier, value: value.to_vec() });
    }

    /// A name and proof: starts the comparison with the secrets, beside the event loop.
    fn handle_proof(&mut self, token: Token, proof: &Proof, now: Instant) -> Result<(), &'static str> {
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        let method = session.auth_method();
        let (Proof::Pap { name, .. } | Proof::Chap { name, .. }) = proof;
        if name.len() > usize::from(session.max_payload) {
            return Err("it sent a name that is longer than a packet");
        }
        let taken = std::mem::replace(&mut session.authentication, Authentication::Verifying);
        let attempt = match (proof, method, taken) {
            (_, _, Authentication::Verifying) => return Err("it sent a proof while one is being looked at"),
            (Proof::Pap { name, password }, Some(AuthMethod::Pap), _) => {
                Attempt::pap(name, password).ok_or("it sent a name or password of more than 255 bytes")?
            }
            (
                Proof::Chap { identifier, response, name },
                Some(AuthMethod::ChapMd5),
                Authentication::Challenged(challenge),
            ) if challenge.identifier == *identifier => {
                Attempt::chap(name, response, challenge).ok_or("it sent a response that has not 16 bytes")?
            }
            _ => return Err("it sent a proof that answers nothing"),
        };
        session.note("proof received", now);
        self.authenticate(token, attempt, now);
        Ok(())
    }

    fn handle_network_up(
        &mut self,
        token: Token,
        report: NetworkReport,
        now: Instant,
    ) -> Result<(), &'static str> {
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        if !session.machine.is_admitted() || session.ip_open {
            return Err("its IPCP opened without leave");
        }
        let granted =
            session.network.map(|network| NetworkReport { local: network.local, remote: network.remote });
        if granted != Some(report) {
            return Err("its IPCP opened with other addresses than it was given");
        }
        session.ip_open = true;
        session.note(format!("IPCP opened, {} and {}", report.local, report.remote), now);
        self.configure(token, now);
        Ok(())
    }

    fn handle_network_down(&mut self, token: Token, now: Instant) {
        if let Some(session) = self.table.get_mut(token)
            && std::mem::take(&mut session.ip_open)
        {
            session.note("IPCP closed", now);
            self.network_protocol_closed(token, now);
        }
    }

    fn handle_ended(&mut self, token: Token, ended: &Ended, now: Instant) {
        let end = End::new(ended.reason, printable(&ended.detail));
        self.advance_any(token, Event::WorkerEnded(end), now);
        if let Some(session) = self.table.get_mut(token) {
            session.note(format!("worker ended: {}", ended.reason), now);
        }
    }

    /// Sends the verdict on a proof.
    pub(super) fn send_verdict(&mut self, token: Token, verdict: Verdict) {
        if let Some(session) = self.table.get_mut(token) {
            session.worker.send(ToWorker::Verdict(verdict));
        } else {
            warn!("verdict arrived after the end of its session");
        }
    }
}

/// What is wrong with a worker for which [`is_workers_own`] is false.
pub(super) const NOT_ITS_END: &str = "it reported an end reason that only pppoed decides";

/// Whether a worker can know of this reason by itself; what is decided here is not its to claim. One that was alone for a while
/// may have shut down by itself (`--orphan-timeout`).
pub(super) fn is_workers_own(reason: EndReason, was_alone: bool) -> bool {
    was_alone && reason == EndReason::Shutdown
        || matches!(
            reason,
            EndReason::PeerTerminated
                | EndReason::EchoLost
                | EndReason::AuthFailed
                | EndReason::AuthTimeout
                | EndReason::NegotiationFailed
                | EndReason::SetupTimeout
                | EndReason::Loopback
                | EndReason::Idle
                | EndReason::ProtocolError
                | EndReason::InterfaceGone
                | EndReason::DeviceGone
        )
}
