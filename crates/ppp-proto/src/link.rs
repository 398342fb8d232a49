//! One PPP link: the phases of RFC 1661 §3 around LCP, authentication and the network protocols.
//!
//! A [`Link`] is either end of it, a server's or a client's, as its [`LinkConfig`] says. It is used like this:
//!
//! 1. `open`, then whatever comes: `handle_packet`, `handle_timeout`, and the answers to its questions.
//! 2. After each of these: `poll_transmit` and `poll_event` until they have nothing more, then `poll_timeout`.
//! 3. [`Event::Closed`] is the last event. It always comes: every phase has a deadline.
//!
//! LIFECYCLE.md beside this file tells who closes what, and when.

mod config;
mod echo;
mod event;
mod input;
mod layers;
mod questions;

use std::collections::VecDeque;
use std::time::Instant;

use ppp_wire::ppp::Protocol;

pub use config::{EchoConfig, LinkConfig};
use echo::Echo;
pub use event::{CloseReason, CommandError, DropCounters, Event, LinkStatus, Phase, Verdict};
use questions::{Answer, Questions};

use crate::auth::{Challenge, chap, pap};
use crate::ipcp::{IpcpConfig, IpcpOptions};
use crate::ipv6cp::Ipv6cpOptions;
use crate::lcp::LcpOptions;
use crate::negotiation::{Automaton, Io, NetworkOptions};
use crate::numbers::NumberSource;
use crate::outbox::Outbox;
use crate::timer::{Timer, TimerTable};

/// One end of a PPP link.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    phase: Phase,
    numbers: NumberSource,
    lcp: Automaton<LcpOptions>,
    /// Whether an LCP packet of the peer has come.
    peer_is_there: bool,
    /// Asks the peer who it is, while LCP is Opened and the peer agreed to that.
    authenticator: Option<Authenticator>,
    /// Proves who we are, while LCP is Opened and we agreed to that.
    authenticatee: Option<Authenticatee>,
    /// Proofs that are still to be given before network protocols may start.
    proofs_missing: ProofsMissing,
    questions: Questions,
    /// What IPCP will be started with: of the configuration, or of the last verdict.
    ipcp_config: Option<IpcpConfig>,
    ipcp: Option<Automaton<IpcpOptions>>,
    ipv6cp: Option<Automaton<Ipv6cpOptions>>,
    echo: Echo,
    io: LinkIo,
    events: VecDeque<Event>,
    /// Why the link is being closed; the first reason counts.
    close_reason: Option<CloseReason>,
    drops: DropCounters,
}

#[derive(Debug)]
enum Authenticator {
    Pap(pap::Authenticator),
    Chap(chap::Authenticator),
}

#[derive(Debug)]
enum Authenticatee {
    Pap(pap::Authenticatee),
    Chap(chap::Authenticatee),
}

#[derive(Debug, Default)]
struct ProofsMissing {
    of_peer: bool,
    of_us: bool,
}

impl ProofsMissing {
    fn any(&self) -> bool {
        self.of_peer || self.of_us
    }
}

/// What goes out of a link, but for events.
#[derive(Debug)]
struct LinkIo {
    out: Outbox,
    timers: TimerTable,
}

impl LinkIo {
    fn at(&mut self, now: Instant) -> Io<'_> {
        Io { now, out: &mut self.out, timers: &mut self.timers }
    }
}

impl Link {
    /// A link in the Dead phase.
    ///
    /// `seed` must differ from link to link and from start to start: Magic-Numbers are made of it.
    #[must_use]
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        let mut numbers = NumberSource::new(seed);
        let offered = config.credentials.as_ref().map_or_else(Vec::new, |own| own.methods.clone());
        let lcp_numbers = NumberSource::new(numbers.next());
        let options = LcpOptions::new(config.lcp, config.require_auth.clone(), offered, lcp_numbers);
        Self {
            phase: Phase::Dead,
            lcp: Automaton::new(options, config.lcp_restart, Timer::LcpRestart),
            numbers,
            peer_is_there: false,
            authenticator: None,
            authenticatee: None,
            proofs_missing: ProofsMissing::default(),
            questions: Questions::default(),
            ipcp_config: config.ipcp,
            ipcp: None,
            ipv6cp: None,
            echo: Echo::new(config.echo),
            io: LinkIo { out: Outbox::new(config.lcp.max_peer_mru), timers: TimerTable::default() },
            events: VecDeque::new(),
            close_reason: None,
            drops: DropCounters::default(),
            config,
        }
    }

    /// Starts LCP: the lower layer carries packets. Has no effect on a link that runs or is over.
    pub fn open(&mut self, now: Instant) {
        if self.phase == Phase::Dead && self.close_reason.is_none() {
            self.phase = Phase::Establish;
            self.io.timers.set(Timer::SetupDeadline, now + self.config.setup_deadline);
            let outcome = self.lcp.open(&mut self.io.at(now));
            self.on_lcp(outcome, now);
            let outcome = self.lcp.up(&mut self.io.at(now));
            self.on_lcp(outcome, now);
        }
        self.check_invariants();
    }

    /// Closes the link by an exchange of Terminate packets; [`Event::Closed`] follows when the peer has agreed, or
    /// has been asked in vain.
    pub fn close(&mut self, now: Instant) {
        self.close_because(CloseReason::AdminClose, now);
        self.check_invariants();
    }

    /// The lower layer carries no more packets: the link is over at once.
    pub fn lower_down(&mut self, now: Instant) {
        if self.phase != Phase::Dead {
            self.close_reason.get_or_insert(CloseReason::LowerLayerDown);
            let outcome = self.lcp.down(&mut self.io.at(now));
            self.on_lcp(outcome, now);
            self.finish(CloseReason::LowerLayerDown);
        }
        self.check_invariants();
    }

    /// Takes a packet of the peer, from the PPP Protocol field on.
    ///
    /// Data is not for this function while the protocol is open: see [`Link::ip_open`] and [`Link::ipv6_open`].
    pub fn handle_packet(&mut self, packet: &[u8], now: Instant) {
        self.dispatch(packet, now);
        self.check_invariants();
    }

    /// Sends an Echo-Request now, besides those of the keep-alive, if LCP is Opened and the peer knows them (RFC 1661 §5.8): for
    /// an owner who wants to see whether the peer still is there.
    pub fn probe(&mut self, now: Instant) {
        if self.lcp.is_opened() {
            self.lcp.send_echo_request(&mut self.io.at(now));
        }
        self.check_invariants();
    }

    /// A packet of data came from the peer, which the owner took care of.
    pub fn note_rx_activity(&mut self, now: Instant) {
        self.echo.heard(now);
    }

    /// The answer to [`Event::ChallengeNeeded`].
    ///
    /// # Errors
    /// [`CommandError::NoChallengeNeeded`] without that event before.
    pub fn provide_challenge(&mut self, challenge: Challenge, now: Instant) -> Result<(), CommandError> {
        if !self.questions.challenge_came() {
            return Err(CommandError::NoChallengeNeeded);
        }
        if let Some(Authenticator::Chap(chap)) = &mut self.authenticator {
            chap.challenge(challenge, &mut self.io.at(now));
        }
        self.check_invariants();
        Ok(())
    }

    /// The answer to [`Event::AuthenticateRequest`]. Each such event is to be answered exactly once, also if the
    /// peer started again meanwhile: answers are told apart by their order.
    ///
    /// # Errors
    /// [`CommandError::NothingToVerify`] without that event before.
    pub fn verdict(&mut self, verdict: Verdict, now: Instant) -> Result<(), CommandError> {
        match self.questions.verdict_came(&mut self.events) {
            Answer::Unasked => return Err(CommandError::NothingToVerify),
            Answer::Stale => {}
            Answer::Current => self.on_verdict(verdict, now),
        }
        self.check_invariants();
        Ok(())
    }

    /// Replaces the contents of `packet` by the next packet to send, from the PPP Protocol field on; false if there
    /// is none. May change after every other call.
    #[must_use]
    pub fn poll_transmit(&mut self, packet: &mut Vec<u8>) -> bool {
        self.io.out.pop(packet)
    }

    /// The next event. May change after every other call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Link::handle_timeout`] is to be called. May change after every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.io.timers.next_timeout()
    }

    /// Does what is due at `now`; a call that comes too early has no effect.
    pub fn handle_timeout(&mut self, now: Instant) {
        // What a timer starts ends later than `now`, so this ends.
        while let Some(timer) = self.io.timers.expire(now) {
            self.on_timer(timer, now);
        }
        self.check_invariants();
    }

    /// Whether packets of this protocol are data, which is for the owner and not for [`Link::handle_packet`].
    #[must_use]
    pub fn is_data(protocol: Protocol) -> bool {
        matches!(protocol, Protocol::Ip | Protocol::Ipv6)
    }

    /// Whether IPv4 packets may be sent and taken (RFC 1661 §3.6).
    #[must_use]
    pub fn ip_open(&self) -> bool {
        self.ipcp.as_ref().is_some_and(Automaton::is_opened)
    }

    /// Whether IPv6 packets may be sent and taken.
    #[must_use]
    pub fn ipv6_open(&self) -> bool {
        self.ipv6cp.as_ref().is_some_and(Automaton::is_opened)
    }

    /// Packets that had no effect, and packets that were not sent.
    #[must_use]
    pub fn drops(&self) -> DropCounters {
        DropCounters { not_sent: self.io.out.dropped(), ..self.drops }
    }

    /// The phase that the link is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The link as it stands.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        let ipcp = self.ipcp.as_ref();
        let ipv6cp = self.ipv6cp.as_ref();
        LinkStatus {
            phase: self.phase,
            lcp_state: self.lcp.state(),
            lcp: self.lcp.is_opened().then(|| self.lcp.options.negotiated()),
            ipcp_state: ipcp.map(Automaton::state),
            ipcp: ipcp.filter(|ncp| ncp.is_opened()).and_then(|ncp| ncp.options.negotiated().ok()),
            ipv6cp_state: ipv6cp.map(Automaton::state),
            ipv6cp: ipv6cp.filter(|ncp| ncp.is_opened()).and_then(|ncp| ncp.options.negotiated().ok()),
            drops: self.drops(),
        }
    }

    fn on_timer(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::LcpRestart => {
                let outcome = self.lcp.timeout(&mut self.io.at(now));
                self.on_lcp(outcome, now);
            }
            Timer::IpcpRestart => self.with_ipcp(now, |ipcp, io| ipcp.timeout(io)),
            Timer::Ipv6cpRestart => self.with_ipv6cp(now, |ipv6cp, io| ipv6cp.timeout(io)),
            Timer::AuthenticatorRestart => self.on_authenticator_timeout(now),
            Timer::AuthenticateeRestart => self.on_authenticatee_timeout(now),
            Timer::AuthDeadline => self.close_because(CloseReason::AuthTimeout, now),
            Timer::Rechallenge => self.rechallenge(now),
            Timer::Echo => self.on_echo_timer(now),
            Timer::SetupDeadline => self.close_because(CloseReason::SetupTimeout, now),
        }
    }

    /// Closes LCP gracefully, which closes everything above it.
    fn close_because(&mut self, reason: CloseReason, now: Instant) {
        match self.phase {
            Phase::Dead => {
                if self.close_reason.is_none() {
                    // Never opened: there is nobody to tell but the owner.
                    self.finish(reason);
                }
            }
            Phase::Terminate => {}
            Phase::Establish | Phase::Authenticate | Phase::Network => {
                self.close_reason.get_or_insert(reason);
                let outcome = self.lcp.close(&mut self.io.at(now));
                self.on_lcp(outcome, now);
                self.enter_terminate();
            }
        }
    }

    fn enter_terminate(&mut self) {
        self.phase = Phase::Terminate;
        self.io.timers.stop(Timer::SetupDeadline);
    }

    /// The link is over.
    fn finish(&mut self, reason: CloseReason) {
        self.phase = Phase::Dead;
        self.io.timers.stop_all();
        let reason = self.close_reason.get_or_insert(reason).clone();
        self.events.push_back(Event::Closed(reason));
    }

    /// What must hold after every call.
    fn check_invariants(&self) {
        let network_open = self.ip_open() || self.ipv6_open();
        let above_lcp = matches!(self.phase, Phase::Authenticate | Phase::Network);
        debug_assert_eq!(self.lcp.is_opened(), above_lcp, "{:?}", self.phase);
        debug_assert!(!network_open || self.phase == Phase::Network, "{:?}", self.phase);
        debug_assert_eq!(
            self.proofs_missing.any(),
            self.phase == Phase::Authenticate,
            "{:?} {:?}",
            self.phase,
            self.proofs_missing
        );
        match self.phase {
            Phase::Dead => debug_assert_eq!(self.io.timers.next_timeout(), None),
            Phase::Terminate => debug_assert!(self.io.timers.runs(Timer::LcpRestart)),
            Phase::Establish | Phase::Authenticate | Phase::Network => {
                debug_assert_eq!(self.io.timers.runs(Timer::SetupDeadline), !network_open);
            }
        }
        debug_assert!(self.io.out.is_consistent());
    }
}
