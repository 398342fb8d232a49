//! Option negotiation (RFC 1661 §4 to §5), one engine for LCP and every NCP.
//!
//! [`Automaton`] owns the state, the Restart timer and counters, the identifiers and the packets with codes 1
//! to 7. What the options of a protocol mean is the business of its [`OptionSet`].

mod request;

use std::time::{Duration, Instant};

use ppp_wire::cp::{self, Code, CpOption, CpPacket};
use ppp_wire::lcp::CodeReject;
use ppp_wire::ppp::Protocol;

use crate::auth::AuthRefusal;
use crate::fsm::{self, Action, Event, State};
use crate::outbox::Outbox;
use crate::timer::{Timer, TimerTable};

pub(crate) use request::KindSet;
use request::Reply;

/// A Restart timer that is shorter would be a busy loop.
const MIN_RESTART: Duration = Duration::from_millis(1);

/// Restart timer and counters of an automaton (RFC 1661 §4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartConfig {
    /// Restart timer: time between transmissions of a request.
    pub restart: Duration,
    /// Max-Configure: Configure-Requests sent without an answer before the peer counts as silent.
    pub max_configure: u32,
    /// Max-Terminate: Terminate-Requests sent without an answer before the layer closes alone.
    pub max_terminate: u32,
    /// Max-Failure: Configure-Naks sent, or received, without an Ack before options are given up.
    ///
    /// After four times as many refusals in either direction the negotiation has failed.
    pub max_failure: u32,
}

impl Default for RestartConfig {
    /// The defaults of RFC 1661 §4.6.
    fn default() -> Self {
        Self { restart: Duration::from_secs(3), max_configure: 10, max_terminate: 2, max_failure: 5 }
    }
}

impl RestartConfig {
    /// Refusals in one direction after which a negotiation counts as failed.
    fn max_refusals(&self) -> u32 {
        self.max_failure.saturating_mul(4).max(1)
    }
}

/// Why a negotiation cannot succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationFailure {
    /// The two ends kept on refusing each other's options.
    #[error("the two ends kept refusing each other's options")]
    NotConverging,
    /// The peer did not answer Configure-Requests.
    #[error("no usable answer to our Configure-Requests")]
    NoAnswer,
    /// The peer did not know the protocol, or a code without which it cannot work.
    #[error("the peer rejected the protocol")]
    Rejected,
    /// Our own packets come back: the line is looped (RFC 1661 §6.4).
    #[error("our own packets come back: the line is looped")]
    Loopback,
    /// The peer refused every authentication method that we allow.
    #[error("{0}")]
    AuthRefused(AuthRefusal),
    /// The peer gave us no address to use.
    #[error("the peer assigned no address to us")]
    NoAddress,
}

/// Why a received packet had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Discard {
    /// Header, options or fields are not well-formed.
    #[error("malformed: {0}")]
    Malformed(#[from] ppp_wire::Error),
    /// An answer whose identifier, or whose options, are not those of our last request (RFC 1661 §5.2).
    #[error("answers no request of ours")]
    Unmatched,
    /// Not allowed in the phase or state the link is in.
    #[error("not expected now")]
    Unexpected,
}

/// What a packet, command or timeout meant for the layers around the automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// Nothing that others need to know.
    Nothing,
    /// This-Layer-Up.
    Up,
    /// This-Layer-Down.
    Down,
    /// This-Layer-Started.
    Started,
    /// This-Layer-Finished.
    Finished,
    /// The automaton goes on, but should be closed: this cannot become a usable link.
    Failed(NegotiationFailure),
}

/// How one option of the peer's Configure-Request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Acceptable.
    Ack,
    /// Another value was appended to the Configure-Nak.
    Nak,
    /// Not negotiable.
    Reject,
    /// Tells that the link is of no use.
    Fail(NegotiationFailure),
}

/// The options of one control protocol: what we ask for, and what we grant.
pub(crate) trait OptionSet {
    /// The protocol that carries them.
    const PROTOCOL: Protocol;

    /// Starts a new negotiation: forgets what earlier Naks and Rejects took from our wishes.
    fn restart(&mut self);

    /// Appends the options of our next Configure-Request.
    fn write_request(&self, out: &mut Vec<u8>) -> Result<(), ppp_wire::Error>;

    /// A Configure-Request begins: forget what the peer asked for before.
    fn begin_peer_request(&mut self);

    /// Judges one option of the peer's request; appends to `nak` if it is to be NAKed.
    fn judge(&mut self, option: CpOption<'_>, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error>;

    /// Appends to `nak` what the peer should have asked for but did not. `seen` are the kinds it sent.
    fn append_missing(&self, seen: &KindSet, nak: &mut Vec<u8>) -> Result<(), ppp_wire::Error>;

    /// The peer suggests a value in a Configure-Nak. Unknown options are ignored.
    fn naked(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure>;

    /// The peer rejected an option that we sent.
    fn rejected(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure>;
}

/// The options of a network control protocol.
pub(crate) trait NetworkOptions: OptionSet {
    /// What both ends agreed on.
    type Negotiated;

    /// What stands once the protocol is Opened; an error if that is of no use.
    fn negotiated(&self) -> Result<Self::Negotiated, NegotiationFailure>;
}

/// What an action needs of the packet that caused it.
#[derive(Debug, Clone, Copy)]
enum Cause<'a> {
    /// A command or a timeout.
    Local,
    /// A packet that is answered by its identifier alone.
    Packet(CpPacket<'a>),
    /// A Configure-Request, and the code that answers it; the options of the answer are in the scratch.
    Request { packet: CpPacket<'a>, reply: Reply },
}

/// One automaton with its options.
#[derive(Debug)]
pub(crate) struct Automaton<O> {
    pub(crate) options: O,
    config: RestartConfig,
    timer: Timer,
    state: State,
    restart_counter: u32,
    /// Identifier of the last request or reject that we made.
    identifier: u8,
    /// Whether our last Configure-Request waits for its answer.
    awaiting: bool,
    /// Options of our last Configure-Request; its Ack must repeat them.
    request: Vec<u8>,
    /// Identifier of our last Configure-Request.
    request_identifier: u8,
    /// Options of the Configure-Nak or -Reject that answers the peer's request.
    scratch: request::Scratch,
    /// Configure-Naks sent since the last Configure-Ack sent.
    naks_sent: u32,
    /// Configure-Naks and -Rejects sent since the last Configure-Ack sent.
    refusals_sent: u32,
    /// Configure-Naks and -Rejects received since the last Configure-Ack received.
    refusals_received: u32,
}

/// Where an automaton puts packets and deadlines.
pub(crate) struct Io<'a> {
    pub(crate) now: Instant,
    pub(crate) out: &'a mut Outbox,
    pub(crate) timers: &'a mut TimerTable,
}

impl<O: OptionSet> Automaton<O> {
    /// An automaton in the Initial state, whose Restart timer is `timer`.
    pub(crate) fn new(options: O, config: RestartConfig, timer: Timer) -> Self {
        Self {
            options,
            config: RestartConfig { restart: config.restart.max(MIN_RESTART), ..config },
            timer,
            state: State::Initial,
            restart_counter: 0,
            identifier: 0,
            awaiting: false,
            request: Vec::new(),
            request_identifier: 0,
            scratch: request::Scratch::default(),
            naks_sent: 0,
            refusals_sent: 0,
            refusals_received: 0,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_opened(&self) -> bool {
        self.state == State::Opened
    }

    pub(crate) fn up(&mut self, io: &mut Io<'_>) -> Outcome {
        self.step(Event::Up, Cause::Local, io)
    }

    pub(crate) fn down(&mut self, io: &mut Io<'_>) -> Outcome {
        self.step(Event::Down, Cause::Local, io)
    }

    pub(crate) fn open(&mut self, io: &mut Io<'_>) -> Outcome {
        self.step(Event::Open, Cause::Local, io)
    }

    pub(crate) fn close(&mut self, io: &mut Io<'_>) -> Outcome {
        self.step(Event::Close, Cause::Local, io)
    }

    /// Whether an Echo-Request is answered in this state.
    pub(crate) fn answers_echo(&self) -> bool {
        fsm::transition(self.state, Event::Rxr).is_some_and(|t| t.actions.contains(&Action::Ser))
    }

    /// The peer told by other means that it does not take what we send (RXJ+, RXJ-).
    pub(crate) fn reject_received(&mut self, catastrophic: bool, io: &mut Io<'_>) -> Outcome {
        let event = if catastrophic { Event::RxjCatastrophic } else { Event::RxjPermitted };
        self.step(event, Cause::Local, io)
    }

    /// The Restart timer expired.
    pub(crate) fn timeout(&mut self, io: &mut Io<'_>) -> Outcome {
        let event = if self.restart_counter > 0 { Event::TimeoutRetry } else { Event::TimeoutGiveUp };
        self.step(event, Cause::Local, io)
    }

    /// The identifier for a packet of our own that is not a Configure-Request.
    pub(crate) fn next_identifier(&mut self) -> u8 {
        self.identifier = self.identifier.wrapping_add(1);
        self.identifier
    }

    /// Sends an unanswered Configure-Request once more, ahead of the Restart timer.
    ///
    /// For the moment at which the peer turns out to be there: what was sent before was most likely too early for
    /// it. The peer handles it as any retransmission (RFC 1661 §4.6), and as it goes out before our answer to the
    /// peer's own request, the peer cannot be Opened yet.
    pub(crate) fn repeat_request(&mut self, io: &mut Io<'_>) {
        if self.state == State::ReqSent && self.awaiting {
            self.send_configure_request(true, self.state, io);
        }
    }

    /// A packet with one of the codes 1 to 7, or one that the protocol does not know.
    pub(crate) fn handle(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Result<Outcome, Discard> {
        if !self.state.is_lower_up() {
            return Err(Discard::Unexpected);
        }
        match Code::from(packet.code()) {
            Code::ConfigureRequest => self.configure_request(packet, io),
            Code::ConfigureAck => self.configure_ack(packet, io),
            Code::ConfigureNak => self.configure_nak(packet, io),
            Code::ConfigureReject => self.configure_reject(packet, io),
            Code::TerminateRequest => Ok(self.step(Event::Rtr, Cause::Packet(packet), io)),
            Code::TerminateAck => Ok(self.step(Event::Rta, Cause::Packet(packet), io)),
            Code::CodeReject => {
                let rejected = CodeReject::parse(packet.data())?.rejected_code;
                // Without the codes of RFC 1661 §5 there is no negotiation; all others can be missed.
                let catastrophic = !matches!(Code::from(rejected), Code::Unknown(_));
                Ok(self.reject_received(catastrophic, io))
            }
            Code::Unknown(_) => Ok(self.step(Event::Ruc, Cause::Packet(packet), io)),
        }
    }

    fn configure_request(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Result<Outcome, Discard> {
        if !self.state.answers_configure_request() {
            return Ok(self.step(Event::RcrGood, Cause::Packet(packet), io));
        }
        let naks_allowed = self.naks_sent < self.config.max_failure;
        let reply = match self.scratch.judge(&mut self.options, packet, naks_allowed)? {
            Ok(reply) => reply,
            Err(failure) => return Ok(Outcome::Failed(failure)),
        };
        let good = reply == Reply::Ack;
        let event = if good { Event::RcrGood } else { Event::RcrBad };
        let outcome = self.step(event, Cause::Request { packet, reply }, io);
        if self.refusals_sent > self.config.max_refusals() {
            return Ok(Outcome::Failed(NegotiationFailure::NotConverging));
        }
        Ok(outcome)
    }

    /// RFC 1661 §5.2: identifier and options must be exactly those of the last Configure-Request.
    fn configure_ack(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Result<Outcome, Discard> {
        self.check_identifier(packet)?;
        if packet.data() != self.request {
            return Err(Discard::Unmatched);
        }
        self.awaiting = false;
        self.refusals_received = 0;
        Ok(self.step(Event::Rca, Cause::Packet(packet), io))
    }

    /// RFC 1661 §5.3. After Max-Failure refusals in a row the suggestions of the peer count as Rejects.
    fn configure_nak(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Result<Outcome, Discard> {
        self.check_identifier(packet)?;
        check_refusal(packet, |_| true)?;
        let give_up = self.refusals_received >= self.config.max_failure;
        for option in packet.options() {
            let option = option?;
            let effect = match (give_up, sent_option(&self.request, option.kind)) {
                (false, _) => self.options.naked(option),
                (true, Some(sent)) => self.options.rejected(sent),
                (true, None) => Ok(()),
            };
            if let Err(failure) = effect {
                return Ok(Outcome::Failed(failure));
            }
        }
        Ok(self.refused(packet, io))
    }

    /// RFC 1661 §5.4: the options must be some of those of the last Configure-Request, unchanged.
    fn configure_reject(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Result<Outcome, Discard> {
        self.check_identifier(packet)?;
        check_refusal(packet, |option| sent_option(&self.request, option.kind) == Some(*option))?;
        for option in packet.options() {
            if let Err(failure) = self.options.rejected(option?) {
                return Ok(Outcome::Failed(failure));
            }
        }
        Ok(self.refused(packet, io))
    }

    fn refused(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Outcome {
        self.awaiting = false;
        self.refusals_received += 1;
        if self.refusals_received > self.config.max_refusals() {
            return Outcome::Failed(NegotiationFailure::NotConverging);
        }
        self.step(Event::Rcn, Cause::Packet(packet), io)
    }

    /// An answer must name our last request, and only the first one counts: repeated by the network, it would
    /// take the link down again (RFC 1661 §4.3, RCA).
    fn check_identifier(&self, packet: CpPacket<'_>) -> Result<(), Discard> {
        let matches = self.awaiting && packet.identifier() == self.request_identifier;
        if matches { Ok(()) } else { Err(Discard::Unmatched) }
    }

    /// The one place where the state changes.
    fn step(&mut self, event: Event, cause: Cause<'_>, io: &mut Io<'_>) -> Outcome {
        let Some(transition) = fsm::transition(self.state, event) else { return Outcome::Nothing };
        let old = std::mem::replace(&mut self.state, transition.state);
        let mut outcome = Outcome::Nothing;
        for &action in transition.actions {
            match action {
                Action::Irc => {
                    let terminating = transition.actions.contains(&Action::Str);
                    self.restart_counter =
                        if terminating { self.config.max_terminate } else { self.config.max_configure };
                }
                Action::Zrc => {
                    self.restart_counter = 0;
                    self.start_timer(io);
                }
                Action::Scr => {
                    let retransmit = event == Event::TimeoutRetry && self.awaiting;
                    self.send_configure_request(retransmit, old, io);
                }
                Action::Sca | Action::Scn => self.send_configure_reply(cause, io),
                Action::Str => self.send_terminate_request(io),
                Action::Sta => send_terminate_ack(O::PROTOCOL, cause, io),
                Action::Scj => self.send_code_reject(cause, io),
                // Echo-Replies carry the Magic-Number: LCP makes them, where `answers_echo` says so.
                Action::Ser => {}
                Action::Tlu => outcome = Outcome::Up,
                Action::Tld => outcome = Outcome::Down,
                Action::Tls => outcome = Outcome::Started,
                Action::Tlf => outcome = Outcome::Finished,
            }
        }
        if !self.state.restart_timer_runs() {
            io.timers.stop(self.timer);
        }
        if !self.state.is_negotiating() {
            self.awaiting = false;
        }
        debug_assert_eq!(self.state.restart_timer_runs(), io.timers.runs(self.timer), "{old:?} {event:?}");
        outcome
    }

    fn start_timer(&self, io: &mut Io<'_>) {
        io.timers.set(self.timer, io.now + self.config.restart);
    }

    /// A request that was not answered is sent again as it was (RFC 1661 §5.1); any other is new.
    fn send_configure_request(&mut self, retransmit: bool, old: State, io: &mut Io<'_>) {
        if !retransmit {
            if !old.is_negotiating() {
                self.options.restart();
                self.naks_sent = 0;
                self.refusals_sent = 0;
                self.refusals_received = 0;
            }
            self.request.clear();
            // Only options with data of free length could be too long, and we ask for none of these.
            if self.options.write_request(&mut self.request).is_err() {
                self.request.clear();
            }
            self.request_identifier = self.next_identifier();
            self.awaiting = true;
        }
        self.restart_counter = self.restart_counter.saturating_sub(1);
        send(io.out, O::PROTOCOL, Code::ConfigureRequest, self.request_identifier, &self.request);
        self.start_timer(io);
    }

    fn send_configure_reply(&mut self, cause: Cause<'_>, io: &mut Io<'_>) {
        let Cause::Request { packet, reply } = cause else { return };
        let (code, options) = match reply {
            Reply::Ack => (Code::ConfigureAck, packet.data()),
            Reply::Nak => (Code::ConfigureNak, self.scratch.options()),
            Reply::Reject => (Code::ConfigureReject, self.scratch.options()),
        };
        match reply {
            Reply::Ack => {
                self.naks_sent = 0;
                self.refusals_sent = 0;
            }
            Reply::Nak => {
                self.naks_sent += 1;
                self.refusals_sent += 1;
            }
            Reply::Reject => self.refusals_sent += 1,
        }
        send(io.out, O::PROTOCOL, code, packet.identifier(), options);
    }

    fn send_terminate_request(&mut self, io: &mut Io<'_>) {
        let identifier = self.next_identifier();
        self.restart_counter = self.restart_counter.saturating_sub(1);
        send(io.out, O::PROTOCOL, Code::TerminateRequest, identifier, &[]);
        self.start_timer(io);
    }

    fn send_code_reject(&mut self, cause: Cause<'_>, io: &mut Io<'_>) {
        let Cause::Packet(packet) = cause else { return };
        let identifier = self.next_identifier();
        let rejected = truncated(packet.as_bytes(), io.out.limit().saturating_sub(cp::HEADER_LEN));
        send(io.out, O::PROTOCOL, Code::CodeReject, identifier, rejected);
    }
}

fn send_terminate_ack(protocol: Protocol, cause: Cause<'_>, io: &mut Io<'_>) {
    let (Cause::Packet(packet) | Cause::Request { packet, .. }) = cause else { return };
    send(io.out, protocol, Code::TerminateAck, packet.identifier(), &[]);
}

fn send(out: &mut Outbox, protocol: Protocol, code: Code, identifier: u8, data: &[u8]) {
    out.push(protocol, |out| {
        cp::emit(out, code.into(), identifier, |out| {
            out.extend_from_slice(data);
            Ok(())
        })
    });
}

/// The first `limit` bytes.
pub(crate) fn truncated(bytes: &[u8], limit: usize) -> &[u8] {
    bytes.get(..limit).unwrap_or(bytes)
}

/// The option of this kind in a request that we sent.
fn sent_option(request: &[u8], kind: u8) -> Option<CpOption<'_>> {
    cp::CpOptions::new(request).flatten().find(|option| option.kind == kind)
}

/// A Nak or Reject must name at least one option, and only such as `allowed` says.
fn check_refusal(packet: CpPacket<'_>, allowed: impl Fn(&CpOption<'_>) -> bool) -> Result<(), Discard> {
    let mut any = false;
    for option in packet.options() {
        any = true;
        if !allowed(&option?) {
            return Err(Discard::Unmatched);
        }
    }
    if any { Ok(()) } else { Err(Discard::Unmatched) }
}

#[cfg(test)]
mod tests;
