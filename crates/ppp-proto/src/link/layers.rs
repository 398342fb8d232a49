//! What the layers of a link mean to each other: which one starts, stops and closes which.

use std::time::Instant;

use super::echo::EchoTick;
use super::event::{CloseReason, Event, Phase, Verdict};
use super::{Authenticatee, Authenticator, Link, LinkConfig, ProofsMissing};
use crate::auth::{AuthMethod, Effect, chap, pap};
use crate::fsm::State;
use crate::ipcp::IpcpOptions;
use crate::ipv6cp::Ipv6cpOptions;
use crate::lcp::LcpNegotiated;
use crate::negotiation::{Automaton, Io, NegotiationFailure, NetworkOptions, Outcome};
use crate::numbers::NumberSource;
use crate::timer::Timer;

/// LCP, and what it starts and stops.
impl Link {
    pub(super) fn on_lcp(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Nothing | Outcome::Started => {}
            Outcome::Up => self.lcp_up(now),
            Outcome::Down => self.lcp_down(now),
            Outcome::Finished => self.finish(CloseReason::LcpFailed(NegotiationFailure::NoAnswer)),
            Outcome::Failed(failure) => self.close_because(CloseReason::LcpFailed(failure), now),
        }
    }

    fn lcp_up(&mut self, now: Instant) {
        let negotiated = self.lcp.options.negotiated();
        self.io.out.set_limit(negotiated.peer_mru);
        self.events.push_back(Event::LcpOpened(negotiated));
        if let Some(first) = self.echo.start(now) {
            self.io.timers.set(Timer::Echo, first);
        }
        self.start_authentication(negotiated, now);
    }

    /// LCP left Opened: to negotiate again, or to terminate.
    fn lcp_down(&mut self, now: Instant) {
        self.with_ipcp(now, |ipcp, io| ipcp.down(io));
        self.with_ipv6cp(now, |ipv6cp, io| ipv6cp.down(io));
        self.ipcp = None;
        self.ipv6cp = None;
        self.authenticator = None;
        self.authenticatee = None;
        self.proofs_missing = ProofsMissing::default();
        self.questions.overtake();
        self.ipcp_config = self.config.ipcp;
        for timer in [
            Timer::IpcpRestart,
            Timer::Ipv6cpRestart,
            Timer::AuthenticatorRestart,
            Timer::AuthenticateeRestart,
            Timer::AuthDeadline,
            Timer::Rechallenge,
            Timer::Echo,
        ] {
            self.io.timers.stop(timer);
        }
        self.io.out.set_limit(self.config.lcp.max_peer_mru);
        self.phase = Phase::Establish;
        if matches!(self.lcp.state(), State::Closing | State::Stopping) {
            self.enter_terminate();
        }
    }

    pub(super) fn on_echo_timer(&mut self, now: Instant) {
        match self.echo.tick(now) {
            None => {}
            Some(EchoTick::Wait(next)) => self.io.timers.set(Timer::Echo, next),
            Some(EchoTick::Send(next)) => {
                self.io.timers.set(Timer::Echo, next);
                self.lcp.send_echo_request(&mut self.io.at(now));
            }
            Some(EchoTick::Lost) => self.close_because(CloseReason::EchoLost, now),
        }
    }
}

/// Authentication.
impl Link {
    fn start_authentication(&mut self, negotiated: LcpNegotiated, now: Instant) {
        self.proofs_missing =
            ProofsMissing { of_peer: negotiated.auth.is_some(), of_us: negotiated.peer_auth.is_some() };
        if !self.proofs_missing.any() {
            self.start_network(now);
            return;
        }
        self.phase = Phase::Authenticate;
        if let Some(deadline) = self.config.auth.deadline {
            self.io.timers.set(Timer::AuthDeadline, now + deadline);
        }
        let config = self.config.auth;
        self.authenticator = negotiated.auth.map(|method| match method {
            AuthMethod::Pap => Authenticator::Pap(pap::Authenticator::new(config)),
            AuthMethod::ChapMd5 => Authenticator::Chap(chap::Authenticator::new(config)),
        });
        if let Some(Authenticator::Chap(_)) = self.authenticator {
            self.questions.ask_challenge(&mut self.events);
        }
        self.authenticatee =
            negotiated.peer_auth.zip(self.config.credentials.clone()).map(|(method, own)| match method {
                AuthMethod::Pap => Authenticatee::Pap(pap::Authenticatee::new(config, own)),
                AuthMethod::ChapMd5 => Authenticatee::Chap(chap::Authenticatee::new(config, own)),
            });
        if let Some(Authenticatee::Pap(pap)) = &mut self.authenticatee {
            pap.start(&mut self.io.at(now));
        }
    }

    pub(super) fn on_authenticator(&mut self, effect: Effect, now: Instant) {
        match effect {
            Effect::Nothing => {}
            Effect::NeedChallenge => self.questions.ask_challenge(&mut self.events),
            Effect::Verify(proof) => self.questions.ask_verdict(proof, &mut self.events),
            Effect::Succeeded => {
                self.proofs_missing.of_peer = false;
                if let (Some(Authenticator::Chap(_)), Some(interval)) =
                    (&self.authenticator, self.config.auth.rechallenge)
                {
                    self.io.timers.set(Timer::Rechallenge, now + interval);
                }
                self.authentication_progressed(now);
            }
            Effect::PeerRejected => self.close_because(CloseReason::AuthFailed, now),
            Effect::Silent => self.close_because(CloseReason::AuthTimeout, now),
            Effect::RefusedByPeer(message) => {
                self.close_because(CloseReason::RefusedByPeer(message), now);
            }
        }
    }

    pub(super) fn on_authenticatee(&mut self, effect: Effect, now: Instant) {
        if let Effect::Succeeded = effect {
            self.proofs_missing.of_us = false;
            self.authentication_progressed(now);
        } else {
            self.on_authenticator(effect, now);
        }
    }

    fn authentication_progressed(&mut self, now: Instant) {
        if self.phase == Phase::Authenticate && !self.proofs_missing.any() {
            self.io.timers.stop(Timer::AuthDeadline);
            self.events.push_back(Event::Authenticated);
            self.start_network(now);
        }
    }

    pub(super) fn on_verdict(&mut self, verdict: Verdict, now: Instant) {
        let (accepted, message) = match verdict {
            Verdict::Accept { message, ipcp } => {
                self.ipcp_config = ipcp.or(self.ipcp_config);
                (true, message)
            }
            Verdict::Reject { message } => (false, message),
        };
        let mut io = self.io.at(now);
        let effect = match &mut self.authenticator {
            Some(Authenticator::Pap(pap)) => pap.verdict(accepted, message, &mut io),
            Some(Authenticator::Chap(chap)) => chap.verdict(accepted, message, &mut io),
            None => Effect::Nothing,
        };
        self.on_authenticator(effect, now);
    }

    pub(super) fn on_authenticator_timeout(&mut self, now: Instant) {
        if let Some(Authenticator::Chap(chap)) = &mut self.authenticator {
            let effect = chap.timeout(&mut self.io.at(now));
            self.on_authenticator(effect, now);
        }
    }

    pub(super) fn on_authenticatee_timeout(&mut self, now: Instant) {
        let mut io = self.io.at(now);
        let effect = match &mut self.authenticatee {
            Some(Authenticatee::Pap(pap)) => pap.timeout(&mut io),
            Some(Authenticatee::Chap(chap)) => chap.timeout(&mut io),
            None => Effect::Nothing,
        };
        self.on_authenticatee(effect, now);
    }

    pub(super) fn rechallenge(&mut self, now: Instant) {
        if let Some(Authenticator::Chap(chap)) = &mut self.authenticator {
            let effect = chap.rechallenge();
            self.on_authenticator(effect, now);
        }
    }
}

/// Network protocols. One that fails leaves the others alone.
impl Link {
    fn start_network(&mut self, now: Instant) {
        self.phase = Phase::Network;
        let LinkConfig { ipcp_restart, ipv6cp_restart, .. } = self.config;
        self.ipcp = self
            .ipcp_config
            .map(|config| Automaton::new(IpcpOptions::new(config), ipcp_restart, Timer::IpcpRestart));
        let numbers = NumberSource::new(self.numbers.next());
        self.ipv6cp = self.config.ipv6cp.map(|config| {
            Automaton::new(Ipv6cpOptions::new(config, numbers), ipv6cp_restart, Timer::Ipv6cpRestart)
        });
        self.with_ipcp(now, |ipcp, io| ipcp.open(io));
        self.with_ipcp(now, |ipcp, io| ipcp.up(io));
        self.with_ipv6cp(now, |ipv6cp, io| ipv6cp.open(io));
        self.with_ipv6cp(now, |ipv6cp, io| ipv6cp.up(io));
    }

    /// Lets IPCP do something, and does what follows from it.
    pub(super) fn with_ipcp(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut Automaton<IpcpOptions>, &mut Io<'_>) -> Outcome,
    ) {
        match drive(&mut self.ipcp, &mut self.io.at(now), act) {
            NcpChange::None => {}
            NcpChange::Opened(negotiated) => {
                self.events.push_back(Event::IpcpOpened(negotiated));
                self.network_protocol_opened();
            }
            NcpChange::Closed => {
                self.events.push_back(Event::IpcpClosed);
                self.network_protocol_closed(now);
            }
            NcpChange::Failed(failure) => {
                if !is_alive(self.ipv6cp.as_ref()) {
                    self.close_because(CloseReason::IpcpFailed(failure), now);
                }
            }
        }
    }

    /// Lets IPV6CP do something, and does what follows from it.
    pub(super) fn with_ipv6cp(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut Automaton<Ipv6cpOptions>, &mut Io<'_>) -> Outcome,
    ) {
        match drive(&mut self.ipv6cp, &mut self.io.at(now), act) {
            NcpChange::None => {}
            NcpChange::Opened(negotiated) => {
                self.events.push_back(Event::Ipv6cpOpened(negotiated));
                self.network_protocol_opened();
            }
            NcpChange::Closed => {
                self.events.push_back(Event::Ipv6cpClosed);
                self.network_protocol_closed(now);
            }
            NcpChange::Failed(failure) => {
                if !is_alive(self.ipcp.as_ref()) {
                    self.close_because(CloseReason::Ipv6cpFailed(failure), now);
                }
            }
        }
    }

    fn network_protocol_opened(&mut self) {
        self.io.timers.stop(Timer::SetupDeadline);
    }

    fn network_protocol_closed(&mut self, now: Instant) {
        if !self.ip_open() && !self.ipv6_open() {
            self.io.timers.set(Timer::SetupDeadline, now + self.config.setup_deadline);
        }
    }
}

/// What happened to a network control protocol.
enum NcpChange<N> {
    None,
    Opened(N),
    Closed,
    /// It cannot be used, or not now.
    Failed(NegotiationFailure),
}

fn drive<O: NetworkOptions>(
    ncp: &mut Option<Automaton<O>>,
    io: &mut Io<'_>,
    act: impl FnOnce(&mut Automaton<O>, &mut Io<'_>) -> Outcome,
) -> NcpChange<O::Negotiated> {
    let Some(ncp) = ncp else { return NcpChange::None };
    let was_negotiating = ncp.state().is_negotiating();
    let failure = match act(ncp, io) {
        Outcome::Nothing | Outcome::Started => return NcpChange::None,
        Outcome::Down => return NcpChange::Closed,
        Outcome::Up => match ncp.options.negotiated() {
            Ok(negotiated) => return NcpChange::Opened(negotiated),
            Err(failure) => failure,
        },
        // After an exchange of Terminate packets the peer may come back, until the deadline of the link.
        Outcome::Finished if !was_negotiating => return NcpChange::None,
        // A peer that wakes up while another protocol keeps the link is still answered (Stopped, RFC 1661 §4.2).
        Outcome::Finished => return NcpChange::Failed(NegotiationFailure::NoAnswer),
        Outcome::Failed(failure) => failure,
    };
    // Whether it was Opened does not matter: nobody was told.
    let _ = ncp.close(io);
    NcpChange::Failed(failure)
}

/// Whether a network control protocol is open, or on its way.
fn is_alive<O: NetworkOptions>(ncp: Option<&Automaton<O>>) -> bool {
    ncp.is_some_and(|ncp| ncp.is_opened() || ncp.state().is_negotiating())
}
