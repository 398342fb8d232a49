//! The Host's end of discovery: one session with one Access Concentrator.
//!
//! The caller feeds frames to [`Client::handle_frame`] and the time to [`Client::handle_timeout`], and after every
//! call takes frames from [`Client::poll_transmit`] and events from [`Client::poll_event`] until both are empty.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ppp_wire::ethernet::{EtherType, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, TagType};
use ppp_wire::{Error, MacAddr};

use super::answer::padt;
use super::message::{Message, Received};

/// What a client asks for, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The interface's address.
    pub mac: MacAddr,
    /// The interface's MTU in bytes.
    pub mtu: u16,
    /// EtherType of discovery frames.
    pub ether_type: EtherType,
    /// The service to ask for; empty means any.
    pub service_name: Vec<u8>,
    /// Only take offers of the Access Concentrator with this name.
    pub ac_name: Option<Vec<u8>>,
    /// Tells this client's answers from those of others with the same address.
    pub host_uniq: Option<Vec<u8>>,
    /// The PPP-Max-Payload in bytes to ask for, more than 1492 (RFC 4638).
    pub max_payload: Option<u16>,
    /// How long to wait for the first answer; doubled with every try (RFC 2516 §8).
    pub timeout: Duration,
    /// How often to send PADI, and then PADR, before giving up; at least 1.
    pub attempts: u32,
}

impl Config {
    /// Any service of any Access Concentrator, 3 tries of 5, 10 and 20 seconds.
    pub fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            mtu: 1500,
            ether_type: EtherType::PppoeDiscovery,
            service_name: Vec::new(),
            ac_name: None,
            host_uniq: None,
            max_payload: None,
            timeout: Duration::from_secs(5),
            attempts: 3,
        }
    }

    fn begin(&self, code: Code, destination: MacAddr) -> Result<DiscoveryBuilder, Error> {
        let mut builder = DiscoveryBuilder::new(&self.header(destination), code, 0).mtu(self.mtu);
        builder.tag(TagType::ServiceName, &self.service_name)?;
        if let Some(host_uniq) = &self.host_uniq {
            builder.tag(TagType::HostUniq, host_uniq)?;
        }
        if let Some(max_payload) = self.max_payload {
            builder.tag(TagType::PppMaxPayload, &max_payload.to_be_bytes())?;
        }
        Ok(builder)
    }

    fn padr(&self, ac_mac: MacAddr, pado: &Message<'_>) -> Result<Vec<u8>, Error> {
        let mut padr = self.begin(Code::Padr, ac_mac)?;
        let tags = [(TagType::AcCookie, pado.ac_cookie), (TagType::RelaySessionId, pado.relay_session_id)];
        for (kind, value) in tags {
            if let Some(value) = value {
                padr.tag(kind, value)?;
            }
        }
        Ok(padr.finish())
    }

    fn header(&self, destination: MacAddr) -> EthernetHeader {
        EthernetHeader { destination, source: self.mac, ether_type: self.ether_type }
    }
}

/// A session that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The Access Concentrator's address.
    pub ac_mac: MacAddr,
    /// The session id.
    pub session_id: u16,
    /// The service that the PADS names.
    pub service_name: Option<Vec<u8>>,
    /// The PPP-Max-Payload in bytes that the PADS agrees to.
    pub max_payload: Option<u16>,
}

/// What the client reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is a session.
    Connected(Session),
    /// There will be no session. The client is done.
    Failed(Failure),
    /// The Access Concentrator ended the session by PADT. The client is done.
    Terminated {
        /// Text of an error tag, if it said why.
        message: Option<Vec<u8>>,
    },
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No acceptable PADO came.
    #[error("no offer after {attempts} PADI")]
    NoOffer {
        /// PADI sent.
        attempts: u32,
    },
    /// An Access Concentrator made an offer, but never confirmed. RFC 2516 §8 then wants a new PADI: make a new
    /// client, perhaps after a pause.
    #[error("no PADS from {ac_mac} after {attempts} PADR")]
    NoConfirmation {
        /// Who made the offer.
        ac_mac: MacAddr,
        /// PADR sent.
        attempts: u32,
    },
    /// The Access Concentrator refused.
    #[error("{ac_mac} refused with {kind:?}: {}", ppp_wire::escape::Escaped(message))]
    Refused {
        /// Who refused.
        ac_mac: MacAddr,
        /// The error tag; [`TagType::GenericError`] with an empty message if there was none.
        kind: TagType,
        /// Its text.
        message: Vec<u8>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// PADI sent, waiting for a PADO.
    Offers,
    /// PADR sent, waiting for the PADS.
    Confirmation { ac_mac: MacAddr },
    /// The session exists.
    Session { ac_mac: MacAddr, session_id: u16 },
    /// Failed or ended.
    Done,
}

/// The machine. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Client {
    config: Config,
    state: State,
    /// The frame that is repeated until it is answered.
    request: Vec<u8>,
    attempts: u32,
    deadline: Option<Instant>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// Starts with a PADI.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the configured tags do not fit a PADI.
    pub fn new(config: Config, now: Instant) -> Result<Self, Error> {
        let padi = config.begin(Code::Padi, MacAddr::BROADCAST)?.finish();
        let mut client = Self {
            config,
            state: State::Done,
            request: Vec::new(),
            attempts: 0,
            deadline: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.ask(State::Offers, padi, now);
        Ok(client)
    }

    /// Takes a received frame, from its Ethernet header on. Frames that are not for this client are ignored.
    pub fn handle_frame(&mut self, frame: &[u8], now: Instant) {
        let config = &self.config;
        let Ok(received) = Received::parse(frame, config.ether_type, config.mac, config.mtu) else { return };
        let Ok(message) = Message::parse(&received.packet) else { return };
        if received.destination != config.mac {
            return;
        }
        match (received.code(), &self.state) {
            (Code::Pado, State::Offers) => self.receive_pado(&received, &message, now),
            (Code::Pads, &State::Confirmation { ac_mac }) if ac_mac == received.source => {
                self.receive_pads(&received, &message);
            }
            (Code::Padt, &State::Session { ac_mac, session_id })
                if ac_mac == received.source && session_id == received.packet.session_id() =>
            {
                let message = message.error.map(|(_, text)| text.to_vec());
                self.finish(State::Done, Event::Terminated { message });
            }
            _ => {}
        }
    }

    /// Repeats what was not answered, or gives up. Does nothing if called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.attempts < self.config.attempts {
            return self.transmit_request(now);
        }
        let attempts = self.attempts;
        let failure = match self.state {
            State::Confirmation { ac_mac } => Failure::NoConfirmation { ac_mac, attempts },
            State::Offers | State::Session { .. } | State::Done => Failure::NoOffer { attempts },
        };
        self.finish(State::Done, Event::Failed(failure));
    }

    /// Ends the session by PADT, or gives up looking for one. `message` goes into a Generic-Error tag unless it is
    /// empty. The client is done; there is no event.
    pub fn terminate(&mut self, message: &str) {
        if let State::Session { ac_mac, session_id } = self.state {
            let header = self.config.header(ac_mac);
            self.transmits.push_back(padt(&header, session_id, self.config.mtu, message));
        }
        self.state = State::Done;
        self.deadline = None;
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
        self.deadline
    }

    /// Takes the first offer that fits. An offer without our Host-Uniq, of another name or service, or with an error
    /// is none; a better one may still come.
    fn receive_pado(&mut self, received: &Received<'_>, message: &Message<'_>, now: Instant) {
        let config = &self.config;
        let named = config.ac_name.as_deref().is_none_or(|name| message.ac_name == Some(name));
        let offered =
            config.service_name.is_empty() || message.service_names.contains(&config.service_name.as_slice());
        let ours = message.host_uniq == config.host_uniq.as_deref();
        if !(named && offered && ours) || message.error.is_some() || message.ac_name.is_none() {
            return;
        }
        let ac_mac = received.source;
        // Tags to give back that do not fit a PADR make the offer worthless.
        if let Ok(padr) = config.padr(ac_mac, message) {
            self.ask(State::Confirmation { ac_mac }, padr, now);
        }
    }

    fn receive_pads(&mut self, received: &Received<'_>, message: &Message<'_>) {
        if message.host_uniq != self.config.host_uniq.as_deref() {
            return;
        }
        let ac_mac = received.source;
        let session_id = received.packet.session_id();
        match (session_id, message.error) {
            (u16::MAX, _) => {}
            (0, _) | (_, Some(_)) => {
                let (kind, text) = message.error.unwrap_or((TagType::GenericError, &[]));
                let failure = Failure::Refused { ac_mac, kind, message: text.to_vec() };
                self.finish(State::Done, Event::Failed(failure));
            }
            (_, None) => {
                let session = Session {
                    ac_mac,
                    session_id,
                    service_name: message.service_names.first().map(|name| name.to_vec()),
                    max_payload: message.max_payload,
                };
                self.finish(State::Session { ac_mac, session_id }, Event::Connected(session));
            }
        }
    }

    /// Sends a request for the first time.
    fn ask(&mut self, state: State, request: Vec<u8>, now: Instant) {
        self.state = state;
        self.request = request;
        self.attempts = 0;
        self.transmit_request(now);
    }

    fn transmit_request(&mut self, now: Instant) {
        let doubled = 1u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.deadline = now.checked_add(self.config.timeout.saturating_mul(doubled));
        self.attempts += 1;
        self.transmits.push_back(self.request.clone());
    }

    fn finish(&mut self, state: State, event: Event) {
        self.state = state;
        self.deadline = None;
        self.events.push_back(event);
    }
}
