//! The Access Concentrator's end of discovery, on one access interface.
//!
//! There is one [`Server`] per interface, because address, MTU, EtherType and counters are the interface's, and
//! because a session is told apart by its interface too.
//!
//! The caller feeds frames to [`Server::handle_frame`], and after every call takes frames from
//! [`Server::poll_transmit`] and events from [`Server::poll_event`] until both are empty. A
//! [`Event::SessionRequest`] is answered later, with [`Server::accept`] or [`Server::refuse`]. When a session has
//! ended, [`Server::terminate`] sends a PADT and forgets it, [`Server::session_ended`] only forgets.
//!
//! Choices where RFC 2516 leaves room or peers differ:
//! * A PADI may be sent to our own address too, not only to all stations: some access nodes turn it into unicast.
//! * A PADI may have up to 1500 bytes when it arrives: its sender had to keep to 1484, but access nodes add tags.
//! * A PADR without exactly one Service-Name is answered with Service-Name-Error, once its cookie is known to be good.
//! * An empty Service-Name means any service, and is confirmed as the first one offered.
//! * Without services configured, only the empty Service-Name is served, as `pppoe-server` without `-S` does.
//! * A PADR may have another Host-Uniq than its PADI. Two with the same cookie are one request; each is answered with its
//!   own Host-Uniq, or, while the session is being made, the latest one.
//! * Session data of no session is answered by a PADT, without a cookie: it was not sent to all, the answer is not
//!   longer than a short frame, and a PADT can end nothing but the session of that id with the sender.
//! * Nothing else is ever sent to a peer without a good cookie, except the PADO that carries one.
//! * Rates are limited last, so that only what would be answered counts: see [`Limits`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ppp_wire::pppoe::{Code, TagType};
use ppp_wire::{Error, MacAddr};

pub use super::config::{Config, ConfigError, Limits, MAX_NAME_LEN};
pub use super::delay::{PadoDelay, PadoTiming, StepsNotAscending};

use super::answer::Echo;
use super::cookie::{CookieError, CookieKey, Cookies, Subject};
use super::delay::DelayedPados;
use super::dials::{Dial, DialKey, Dials, Progress};
use super::drops::DropSamples;
use super::message::{Message, Received};
use super::meter::Meter;
use super::{DropCause, DropCounters, DropSample};

/// Names one [`SessionRequest`] of one server.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// What the server reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer asks for a session, and has a good cookie.
    SessionRequest(SessionRequest),
    /// The owner of a session ended it by PADT: nothing more may be sent in it (RFC 2516 §5.5).
    PeerTerminated {
        /// The session.
        session_id: u16,
        /// Its owner.
        peer_mac: MacAddr,
        /// Text of an error tag, if the peer said why.
        message: Option<Vec<u8>>,
    },
    /// A PADI that would be answered; the supervisor wanted to be asked ([`Sessions::asks`]).
    OfferRequest(OfferRequest),
    /// A peer repeated a PADR that waits for its answer.
    StillWanted(RequestId),
    /// A good PADR was refused by Service-Name-Error.
    ServiceRefused {
        /// Who asked.
        peer_mac: MacAddr,
        /// For which services; RFC 2516 §5.3 allows exactly one.
        service_names: Vec<Vec<u8>>,
    },
}

/// A PADI, to be answered by [`Server::offer`] or [`Server::withhold`], or not at all. Nothing is kept of it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferRequest {
    /// Who asks.
    pub peer_mac: MacAddr,
    /// The Host-Uniq tag.
    pub host_uniq: Option<Vec<u8>>,
    /// The service that it asks for; empty for any.
    pub service_name: Vec<u8>,
    /// What an access node says of its line (TR-101).
    pub circuit_id: Option<Vec<u8>>,
    /// What an access node says of the subscriber (TR-101).
    pub remote_id: Option<Vec<u8>>,
    /// The delay by load.
    delay: Duration,
    frame: Vec<u8>,
}

/// Whether the supervisor wants to decide on an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// It would, and cannot now: there is no offer.
    Busy,
}

/// A PADR with a good cookie, to be answered by [`Server::accept`] or [`Server::refuse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRequest {
    /// To name it in the answer.
    pub id: RequestId,
    /// Who asks.
    pub peer_mac: MacAddr,
    /// The Host-Uniq tag.
    pub host_uniq: Option<Vec<u8>>,
    /// The Relay-Session-Id tag.
    pub relay_session_id: Option<Vec<u8>>,
    /// The service that the PADS will confirm.
    pub service_name: Vec<u8>,
    /// The agreed PPP-Max-Payload in bytes, more than [`super::DEFAULT_MAX_PAYLOAD`].
    pub max_payload: Option<u16>,
    /// What an access node says of its line (TR-101).
    pub circuit_id: Option<Vec<u8>>,
    /// What an access node says of the subscriber (TR-101).
    pub remote_id: Option<Vec<u8>>,
}

/// What the supervisor knows about sessions on this interface.
pub trait Sessions {
    /// Whether `peer` may have one session more.
    fn admission(&self, peer: MacAddr) -> Admission;

    /// Whether a PADI of `peer` that would be answered becomes an [`Event::OfferRequest`] first.
    fn asks(&self, _peer: MacAddr) -> Asks {
        Asks::No
    }

    /// Whether `peer` is not to be invited now, as it would have to wait for too long. Who has an offer already gets its session.
    fn is_congested(&self, _peer: MacAddr) -> bool {
        false
    }

    /// The load that [`PadoDelay`] goes by: the number of sessions.
    fn count(&self) -> usize;

    /// The address of the peer that owns a session on this interface.
    fn owner(&self, session_id: u16) -> Option<MacAddr>;
}

/// The supervisor's word on one session more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// There is a slot.
    Welcome,
    /// No slot is free.
    NoSlots,
    /// The peer gets no answer at all, as with `pppoe-server -x`.
    Silence,
    /// The peer's address is not one that is served; it gets no answer.
    Forbidden,
    /// Too many sessions are being set up. No answer: the peer will ask again.
    Busy,
}

/// Why a request gets no session. The peer reads it in an AC-System-Error tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No slot is free.
    NoSlots,
    /// Something failed; the text says what, as far as a stranger may know.
    System(String),
}

impl Refusal {
    fn text(&self) -> &str {
        match self {
            Self::NoSlots => "no free session slot",
            Self::System(text) => text,
        }
    }
}

/// An answer that cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// There is no such request any more: it was answered, or is no longer young.
    #[error("request {0:?} does not wait for an answer")]
    NotWaiting(RequestId),
    /// Session ids 0 and 0xffff are reserved (RFC 2516 §4).
    #[error("session id {0:#06x} is reserved")]
    ReservedSessionId(u16),
    /// The tags to echo do not fit the PADS.
    #[error("the PADS cannot be made: {0}")]
    Emit(#[from] Error),
}

/// The machine. See the [module](self) for how to drive it.
pub struct Server {
    config: Config,
    cookies: Cookies,
    meter: Meter,
    delayed: DelayedPados,
    dials: Dials,
    drops: DropCounters,
    drop_samples: DropSamples,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Server {
    /// `epoch` is the present, or any moment before.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration cannot work.
    pub fn new(config: Config, key: CookieKey, epoch: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let meter = Meter::new(&config.limits, &key, epoch);
        let cookies = Cookies::new(key, epoch, config.cookie_slot);
        Ok(Self {
            config,
            cookies,
            meter,
            delayed: DelayedPados::default(),
            dials: Dials::default(),
            drops: DropCounters::default(),
            drop_samples: DropSamples::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// Makes cookies with `key` from now on. Call it less often than twice per cookie lifetime.
    pub fn rotate_key(&mut self, key: CookieKey, now: Instant) {
        self.cookies.rotate_key(key, now);
    }

    /// What the interface is from now on: its address, its number and its MTU in bytes.
    ///
    /// With another address or number, cookies that were given out are void, and offers and requests that wait are
    /// forgotten: their peers know an interface that is no more. Sessions under the old address are ended by
    /// [`Server::terminate_from`].
    pub fn set_interface(&mut self, mac: MacAddr, interface: u32, mtu: u16) {
        let config = &mut self.config;
        if (config.mac, config.interface) != (mac, interface) {
            self.dials.forget_all();
            self.delayed.clear();
        }
        config.mac = mac;
        config.interface = interface;
        config.mtu = mtu;
    }

    /// Presents itself by `config` from now on, and keeps to its limits. What the interface is stays (address, number, MTU,
    /// EtherType), and so does the cookies' lifetime; offers and requests that wait go on.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration cannot work; nothing has changed then.
    pub fn reconfigure(&mut self, config: Config, now: Instant) -> Result<(), ConfigError> {
        let Config { mac, interface, mtu, ether_type, cookie_slot, limits, .. } = self.config;
        let config = Config { mac, interface, mtu, ether_type, cookie_slot, ..config };
        config.check()?;
        if config.limits != limits {
            self.meter.set_limits(&config.limits, now);
        }
        self.config = config;
        Ok(())
    }

    /// Frames that did not get what they ask for, by cause.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// The first frame that was dropped for this cause since the last time that it was asked for.
    pub fn take_drop_sample(&mut self, cause: DropCause) -> Option<DropSample> {
        self.drop_samples.take(cause)
    }

    fn count_drop(&mut self, cause: DropCause, frame: &[u8]) {
        self.drops.count(cause);
        self.drop_samples.note(cause, frame);
    }

    /// Takes a received frame, from its Ethernet header on.
    pub fn handle_frame(&mut self, frame: &[u8], sessions: &impl Sessions, now: Instant) {
        self.handle_timeout(now);
        if let Err(cause) = self.receive(frame, sessions, now) {
            self.count_drop(cause, frame);
        }
    }

    /// Takes a received frame of the session stage that no session's worker gets, from its Ethernet header on. Its
    /// sender thinks that it has a session here: we may have been started again, or it missed our PADT. So it gets one.
    pub fn handle_stray(&mut self, frame: &[u8], sessions: &impl Sessions, now: Instant) {
        if let Err(cause) = self.receive_stray(frame, sessions, now) {
            self.count_drop(cause, frame);
        }
    }

    /// Confirms a session with a PADS, then sends HURL and MOTM in a PADM each.
    ///
    /// # Errors
    /// [`AnswerError`]; the session is then not known to the peer, and should be ended.
    pub fn accept(&mut self, id: RequestId, session_id: u16) -> Result<(), AnswerError> {
        if matches!(session_id, 0 | u16::MAX) {
            return Err(AnswerError::ReservedSessionId(session_id));
        }
        let dial = self.waiting(id)?;
        match self.config.confirmation(session_id, &dial) {
            Ok(frames) => {
                self.transmits.extend(frames);
                self.dials.confirm(id, session_id);
                Ok(())
            }
            Err(error) => {
                self.dials.forget(id);
                Err(error.into())
            }
        }
    }

    /// Refuses a session with a PADS of session id 0 and AC-System-Error. The same PADR would be a new request.
    ///
    /// # Errors
    /// [`AnswerError::NotWaiting`], or [`AnswerError::Emit`] if the answer does not fit.
    pub fn refuse(&mut self, id: RequestId, refusal: &Refusal) -> Result<(), AnswerError> {
        let dial = self.waiting(id)?;
        self.dials.forget(id);
        let echo = dial.echo();
        let frame = self.config.refusal(&echo, TagType::AcSystemError, refusal.text())?;
        self.transmits.push_back(frame);
        Ok(())
    }

    /// Forgets a request without an answer, and counts why. The same PADR, which a peer without an answer repeats, would be a
    /// new request.
    pub fn ignore(&mut self, id: RequestId, cause: DropCause) {
        if self.waiting(id).is_ok() {
            self.dials.forget(id);
            self.drops.count(cause);
        }
    }

    /// Forgets a session that ended, so that the next PADR of its peer makes a new one.
    pub fn session_ended(&mut self, session_id: u16) {
        self.dials.forget_session(session_id);
    }

    /// Forgets a session, and tells its peer by PADT. `message` goes into a Generic-Error tag unless it is empty; it
    /// is left out if it does not fit.
    pub fn terminate(&mut self, session_id: u16, peer_mac: MacAddr, message: &str) {
        self.terminate_from(self.config.mac, session_id, peer_mac, message);
    }

    /// As [`Server::terminate`], for a session that was made with the interface's address of then, which the peer goes
    /// by.
    pub fn terminate_from(&mut self, own_mac: MacAddr, session_id: u16, peer_mac: MacAddr, message: &str) {
        self.session_ended(session_id);
        self.transmits.push_back(self.config.padt(own_mac, session_id, peer_mac, message));
    }

    /// The next frame to send, from its Ethernet header on.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing to report.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.dials.next_expiry(self.config.young).into_iter().chain(self.delayed.next_due()).min()
    }

    /// Sends the PADOs that are due, and forgets what is no longer young. Does nothing if called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dials.expire(self.config.young, now);
        while let Some(pado) = self.delayed.pop_due(now) {
            self.transmits.push_back(pado);
        }
    }

    fn receive(&mut self, frame: &[u8], sessions: &impl Sessions, now: Instant) -> Result<(), DropCause> {
        let config = &self.config;
        let received = Received::parse(frame, config.ether_type, config.mac, config.mtu)?;
        let to_us = received.destination == config.mac;
        let to_all = received.destination.is_broadcast();
        match received.code() {
            Code::Padi if to_us || to_all => self.receive_padi(frame, &received, sessions, now),
            Code::Padr if to_us => self.receive_padr(&received, sessions, now),
            Code::Padt if to_us => self.receive_padt(&received, sessions, now),
            Code::Padi | Code::Padr | Code::Padt => Err(DropCause::Destination),
            Code::Pado | Code::Pads | Code::Padm | Code::SessionData | Code::Unknown(_) => {
                Err(DropCause::Code)
            }
        }
    }

    fn receive_stray(
        &mut self,
        frame: &[u8],
        sessions: &impl Sessions,
        now: Instant,
    ) -> Result<(), DropCause> {
        let received = Received::parse_session(frame, self.config.mac)?;
        let (session_id, peer_mac) = (received.packet.session_id(), received.source);
        if received.destination != self.config.mac {
            return Err(DropCause::Destination);
        }
        if received.code() != Code::SessionData {
            return Err(DropCause::Code);
        }
        if matches!(session_id, 0 | u16::MAX) {
            return Err(DropCause::SessionId);
        }
        if sessions.owner(session_id) == Some(peer_mac) {
            return Err(DropCause::EarlyOrLate);
        }
        if sessions.admission(peer_mac) == Admission::Forbidden {
            return Err(DropCause::MacNotAllowed);
        }
        self.meter.admit_padt(peer_mac, now)?;
        let padt = self.config.padt(self.config.mac, session_id, peer_mac, "there is no such session");
        self.transmits.push_back(padt);
        Ok(())
    }

    fn receive_padi(
        &mut self,
        frame: &[u8],
        received: &Received<'_>,
        sessions: &impl Sessions,
        now: Instant,
    ) -> Result<(), DropCause> {
        let message = self.parse_request(received)?;
        let &[service_name] = message.service_names.as_slice() else {
            let missing = message.service_names.is_empty();
            return Err(if missing { DropCause::ServiceNameMissing } else { DropCause::ServiceNameRepeated });
        };
        self.config.service(service_name).ok_or(DropCause::ServiceUnknown)?;
        match sessions.admission(received.source) {
            Admission::NoSlots if self.config.ignore_when_full => return Err(DropCause::NoFreeSlot),
            Admission::Silence => return Err(DropCause::NotAdmitted),
            Admission::Forbidden => return Err(DropCause::MacNotAllowed),
            Admission::Busy => return Err(DropCause::TooManyStarting),
            Admission::Welcome | Admission::NoSlots => {}
        }
        if sessions.is_congested(received.source) {
            return Err(DropCause::Congested);
        }
        let PadoTiming::After(delay) = self.config.pado_delay.at(sessions.count()) else {
            return Err(DropCause::Overload);
        };
        if !delay.is_zero() && self.delayed.is_full() {
            return Err(DropCause::PadoQueueFull);
        }
        self.meter.admit_padi(received.source, now)?;
        match sessions.asks(received.source) {
            Asks::No => self.send_offer(received.source, &message, service_name, delay, now),
            Asks::Busy => Err(DropCause::HookBusy),
            Asks::Yes => {
                let owned = |bytes: &[u8]| bytes.to_vec();
                self.events.push_back(Event::OfferRequest(OfferRequest {
                    peer_mac: received.source,
                    host_uniq: message.host_uniq.map(owned),
                    service_name: owned(service_name),
                    circuit_id: message.line.circuit_id.map(owned),
                    remote_id: message.line.remote_id.map(owned),
                    delay,
                    frame: owned(frame),
                }));
                Ok(())
            }
        }
    }

    /// Answers a PADI after all, after `delay` or what the load asks for, but not later than a cookie allows.
    pub fn offer(&mut self, request: &OfferRequest, delay: Duration, now: Instant) {
        let delay = delay.max(request.delay).min(self.config.cookie_slot / 2);
        if let Err(cause) = self.answer_offer(request, delay, now) {
            self.count_drop(cause, &request.frame);
        }
    }

    /// A PADI gets no answer.
    pub fn withhold(&mut self, request: &OfferRequest) {
        self.count_drop(DropCause::HookRefused, &request.frame);
    }

    fn answer_offer(
        &mut self,
        request: &OfferRequest,
        delay: Duration,
        now: Instant,
    ) -> Result<(), DropCause> {
        // It was good before; but the interface may be another one now.
        let config = &self.config;
        let received = Received::parse(&request.frame, config.ether_type, config.mac, config.mtu)?;
        let message = self.parse_request(&received)?;
        self.send_offer(request.peer_mac, &message, &request.service_name, delay, now)
    }

    fn send_offer(
        &mut self,
        peer_mac: MacAddr,
        message: &Message<'_>,
        service_name: &[u8],
        delay: Duration,
        now: Instant,
    ) -> Result<(), DropCause> {
        let cookie = self.cookies.make(&self.subject(peer_mac, message), message.host_uniq, now);
        let pado = self.config.pado(&message.echo(peer_mac), service_name, &cookie, message.max_payload);
        let pado = pado.map_err(|_| DropCause::AnswerTooLong)?;
        match delay.is_zero() {
            true => self.transmits.push_back(pado),
            false if self.delayed.is_full() => return Err(DropCause::PadoQueueFull),
            false => self.delayed.push(now + delay, pado),
        }
        Ok(())
    }

    fn receive_padr(
        &mut self,
        received: &Received<'_>,
        sessions: &impl Sessions,
        now: Instant,
    ) -> Result<(), DropCause> {
        let message = self.parse_request(received)?;
        let peer_mac = received.source;
        let sent = message.ac_cookie.ok_or(DropCause::CookieMissing)?;
        let expired = match self.cookies.verify(&self.subject(peer_mac, &message), sent, now) {
            Ok(()) => false,
            Err(CookieError::Expired { .. }) => true,
            Err(CookieError::Wrong) => return Err(DropCause::CookieWrong),
        };
        let key = DialKey { peer_mac, cookie: sent.try_into().map_err(|_| DropCause::CookieWrong)? };
        self.dials.readdress(&key, message.host_uniq);
        // A repeated PADR may come later than its cookie lives.
        match self.dials.find_id(&key).map(|(id, dial)| (id, &dial.progress)) {
            Some((id, Progress::Starting)) => {
                self.events.push_back(Event::StillWanted(id));
                return Err(DropCause::StillStarting);
            }
            None if expired => return Err(DropCause::CookieExpired),
            Some((_, Progress::Confirmed { .. })) | None => {}
        }
        // Only now: what a forger sends must not use up what honest peers need.
        self.meter.admit_padr(peer_mac, now)?;
        if let Some(dial) = self.dials.find(&key)
            && let Progress::Confirmed { session_id } = dial.progress
        {
            let frames = self.config.confirmation(session_id, dial);
            self.transmits.extend(frames.map_err(|_| DropCause::AnswerTooLong)?);
            return Ok(());
        }

        let echo = message.echo(peer_mac);
        let service_name = match message.service_names.as_slice() {
            [name] => self.config.service(name).map(<[u8]>::to_vec),
            _ => None,
        };
        let Some(service_name) = service_name else {
            self.transmit_refusal(&echo, TagType::ServiceNameError, "this service is not offered")?;
            let service_names = message.service_names.iter().map(|name| name.to_vec()).collect();
            self.events.push_back(Event::ServiceRefused { peer_mac, service_names });
            return Ok(());
        };
        match sessions.admission(peer_mac) {
            Admission::Welcome if self.dials.len() < self.config.max_young => {}
            Admission::Welcome | Admission::NoSlots => {
                self.transmit_refusal(&echo, TagType::AcSystemError, Refusal::NoSlots.text())?;
                return Err(DropCause::NoFreeSlot);
            }
            Admission::Silence => return Err(DropCause::NotAdmitted),
            Admission::Forbidden => return Err(DropCause::MacNotAllowed),
            Admission::Busy => return Err(DropCause::TooManyStarting),
        }

        let dial = Dial::new(
            key,
            message.host_uniq.map(<[u8]>::to_vec),
            service_name,
            message.relay_session_id.map(<[u8]>::to_vec),
            self.config.agree(message.max_payload),
            now,
        );
        let id = self.dials.insert(dial.clone());
        self.events.push_back(Event::SessionRequest(SessionRequest {
            id,
            peer_mac,
            host_uniq: dial.host_uniq,
            relay_session_id: dial.relay_session_id,
            service_name: dial.service_name,
            max_payload: dial.max_payload,
            circuit_id: message.line.circuit_id.map(<[u8]>::to_vec),
            remote_id: message.line.remote_id.map(<[u8]>::to_vec),
        }));
        Ok(())
    }

    fn receive_padt(
        &mut self,
        received: &Received<'_>,
        sessions: &impl Sessions,
        now: Instant,
    ) -> Result<(), DropCause> {
        let session_id = received.packet.session_id();
        if matches!(session_id, 0 | u16::MAX) {
            return Err(DropCause::SessionId);
        }
        let peer_mac = received.source;
        self.meter.hears_padt(peer_mac, now)?;
        let wrong = match sessions.owner(session_id) {
            Some(owner) if owner == peer_mac => None,
            Some(_) => Some(DropCause::NotOwner),
            None => Some(DropCause::NoSuchSession),
        };
        if let Some(cause) = wrong {
            self.meter.note_wrong_padt(peer_mac, now);
            return Err(cause);
        }
        // The tags only say why; a PADT counts without them (RFC 2516 §5.5).
        let message = Message::parse(&received.packet).ok().and_then(|message| message.error);
        self.session_ended(session_id);
        let message = message.map(|(_, text)| text.to_vec());
        self.events.push_back(Event::PeerTerminated { session_id, peer_mac, message });
        Ok(())
    }

    /// The tags of a PADI or PADR, which belong to no session yet.
    fn parse_request<'a>(&self, received: &Received<'a>) -> Result<Message<'a>, DropCause> {
        if received.packet.session_id() != 0 {
            return Err(DropCause::SessionId);
        }
        Message::parse(&received.packet)
    }

    fn subject<'a>(&self, peer_mac: MacAddr, message: &Message<'a>) -> Subject<'a> {
        Subject {
            peer_mac,
            own_mac: self.config.mac,
            interface: self.config.interface,
            relay_session_id: message.relay_session_id,
        }
    }

    fn waiting(&self, id: RequestId) -> Result<Dial, AnswerError> {
        let dial = self.dials.get(id).filter(|dial| dial.progress == Progress::Starting);
        dial.cloned().ok_or(AnswerError::NotWaiting(id))
    }

    fn transmit_refusal(&mut self, echo: &Echo<'_>, kind: TagType, text: &str) -> Result<(), DropCause> {
        let frame = self.config.refusal(echo, kind, text).map_err(|_| DropCause::AnswerTooLong)?;
        self.transmits.push_back(frame);
        Ok(())
    }
}
