//! One PPPoE session from the Host's side: discovery, then the link, in whole Ethernet frames. Sans-IO.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;
use ppp_proto::auth::Credentials;
use ppp_proto::discovery::{DEFAULT_MAX_PAYLOAD, client as discovery};
use ppp_proto::ipcp::{IpcpConfig, IpcpNegotiated, NameServers};
use ppp_proto::lcp::LcpConfig;
use ppp_proto::link::{self, CloseReason, EchoConfig, Link, LinkConfig};
use ppp_wire::MacAddr;
use ppp_wire::escape::Escaped;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::pap;
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::{Code, PppoePacket, SESSION_HEADER_LEN, emit_session_header};

/// How long a client waits for a PADO or PADS before it asks again; doubled every time.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it asks.
const DISCOVERY_ATTEMPTS: u32 = 5;

/// Session frames that are kept until the PADS has come, which they may overtake: the server's first
/// Configure-Request among them.
const MAX_EARLY_FRAMES: usize = 4;

/// Bytes in front of an IPv4 packet in its frame.
pub(super) const DATA_HEADER_LEN: usize = SESSION_HEADER_LEN + 2;

/// Who dials, and for what.
#[derive(Clone, Debug)]
pub(super) struct SessionConfig {
    /// Own address.
    pub(super) mac: MacAddr,
    /// Name and secret.
    pub(super) credentials: Credentials,
    /// Service-Name; empty takes any.
    pub(super) service_name: Vec<u8>,
    /// PPP-Max-Payload in bytes to ask for (RFC 4638).
    pub(super) max_payload: Option<u16>,
    /// From the PADS to an open IPCP.
    pub(super) setup_deadline: Duration,
    /// Random number, another one for every session.
    pub(super) seed: u64,
    pub(super) conduct: Conduct,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// As it should.
    #[default]
    Honest,
    /// Refused by PAP it guesses on, so often at most.
    Guesses {
        /// Time from one guess to the next.
        every: Duration,
    },
    /// It takes a session and says nothing in it.
    Silent,
}

/// What happened in a session.
#[derive(Debug)]
pub(super) enum Event {
    /// IPCP is open: packets flow.
    Opened(Opened),
    /// The session is over; nothing follows. Frames that wait are still to be sent.
    Ended(End),
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// PPPoE session id.
    pub(crate) session_id: u16,
    /// Address of the Access Concentrator.
    pub(crate) ac_mac: MacAddr,
    /// Our address.
    pub(crate) local: Ipv4Addr,
    /// The server's address.
    pub(crate) remote: Ipv4Addr,
    /// What the server told of name servers.
    pub(crate) name_servers: NameServers,
    /// The largest IP packet in either direction, in bytes.
    pub(crate) mtu: u16,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    /// We hung up before there was a link.
    #[error("hung up")]
    HungUp,
    /// There was no session to be had.
    #[error("discovery failed: {0}")]
    Discovery(discovery::Failure),
    /// The server sent a PADT, and no Terminate-Request before.
    #[error("the server sent a PADT")]
    Padt,
    /// The link ended; what the server said when it refused us.
    #[error("{reason}{}", said(reason))]
    Link {
        /// Why.
        reason: CloseReason,
    },
}

impl End {
    /// Whether we ended it ourselves.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::HungUp | Self::Link { reason: CloseReason::AdminClose })
    }
}

fn said(reason: &CloseReason) -> String {
    match reason {
        CloseReason::RefusedByPeer(message) => format!(", saying \"{}\"", Escaped(message)),
        _ => String::new(),
    }
}

/// The machine. Drive it like those of `ppp_proto`.
#[derive(Debug)]
pub(super) struct Session {
    config: SessionConfig,
    discovery: discovery::Client,
    lower: Option<Lower>,
    early_frames: Vec<Vec<u8>>,
    opened: Option<Opened>,
    packet: Vec<u8>,
    events: VecDeque<Event>,
    is_over: bool,
    guesses: Guesses,
}

/// What a client has guessed that guesses on.
#[derive(Debug, Default)]
struct Guesses {
    /// How many were refused.
    refused: u64,
    identifier: u8,
    last: Option<Instant>,
    next: Option<Instant>,
    frame: Option<Vec<u8>>,
}

/// What exists between PADS and PADT.
#[derive(Debug)]
struct Lower {
    link: Link,
    header: EthernetHeader,
    session_id: u16,
}

impl Session {
    /// Starts with a PADI.
    ///
    /// # Errors
    /// When the service name does not fit a PADI.
    pub(super) fn new(config: SessionConfig, interface_mtu: u16, now: Instant) -> Result<Self> {
        let discovery = discovery::Client::new(
            discovery::Config {
                mtu: interface_mtu,
                service_name: config.service_name.clone(),
                host_uniq: Some(config.mac.0.to_vec()),
                max_payload: config.max_payload.filter(|size| *size > DEFAULT_MAX_PAYLOAD),
                timeout: DISCOVERY_TIMEOUT,
                attempts: DISCOVERY_ATTEMPTS,
                ..discovery::Config::new(config.mac)
            },
            now,
        )?;
        Ok(Self {
            config,
            discovery,
            lower: None,
            early_frames: Vec::new(),
            opened: None,
            packet: Vec::new(),
            events: VecDeque::new(),
            is_over: false,
            guesses: Guesses::default(),
        })
    }

    /// Guesses that were refused, of a client that guesses on.
    pub(super) fn guesses(&self) -> u64 {
        self.guesses.refused
    }

    /// Takes the refusal of a guess, which the link would end for.
    fn is_refused_guess(&mut self, payload: &[u8], now: Instant) -> bool {
        let Conduct::Guesses { every } = self.config.conduct else { return false };
        let Ok((Protocol::Pap, information)) = split_protocol(payload) else { return false };
        if !matches!(pap::Packet::parse(information), Ok(pap::Packet::AuthenticateNak { .. })) {
            return false;
        }
        self.guesses.refused += 1;
        self.guesses.next = Some(self.guesses.last.map_or(now, |last| now.max(last + every)));
        true
    }

    fn guess(&mut self, now: Instant) {
        if self.guesses.next.is_none_or(|next| next > now) {
            return;
        }
        let Some(lower) = &self.lower else { return };
        (self.guesses.next, self.guesses.last) = (None, Some(now));
        self.guesses.identifier = self.guesses.identifier.wrapping_add(1);
        let request = pap::Packet::AuthenticateRequest {
            identifier: self.guesses.identifier,
            peer_id: &self.config.credentials.name,
            password: b"another guess",
        };
        let (mut packet, mut frame) = (Protocol::Pap.to_be_bytes().to_vec(), Vec::new());
        if request.emit(&mut packet).is_ok() && lower.emit(&[&packet], &mut frame) {
            self.guesses.frame = Some(frame);
        }
    }

    /// What was agreed on, while packets flow.
    pub(super) fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// Takes a frame of the Discovery stage.
    pub(super) fn handle_discovery_frame(&mut self, frame: &[u8], now: Instant) {
        self.discovery.handle_frame(frame, now);
        self.advance(now);
    }

    /// Takes a frame of the Session stage. What it returns is an IPv4 packet of the server.
    pub(super) fn handle_session_frame<'a>(&mut self, frame: &'a [u8], now: Instant) -> Option<&'a [u8]> {
        let Some(lower) = &mut self.lower else {
            if !self.is_over && self.early_frames.len() < MAX_EARLY_FRAMES {
                self.early_frames.push(frame.to_vec());
            }
            return None;
        };
        let payload = lower.payload(frame)?;
        if self.is_refused_guess(payload, now) {
            return None;
        }
        let Some(lower) = &mut self.lower else { return None };
        match split_protocol(payload) {
            Ok((Protocol::Ip, packet)) if lower.link.ip_open() => {
                lower.link.note_rx_activity(now);
                Some(packet)
            }
            _ => {
                lower.link.handle_packet(payload, now);
                self.advance(now);
                None
            }
        }
    }

    /// Makes the frame that carries an IPv4 packet to the server. False, and no frame, if packets do not flow or the
    /// packet is longer than may be.
    pub(super) fn data_frame(&self, packet: &[u8], frame: &mut Vec<u8>) -> bool {
        frame.clear();
        match (&self.lower, &self.opened) {
            (Some(lower), Some(opened)) if packet.len() <= usize::from(opened.mtu) => {
                lower.emit(&[&Protocol::Ip.to_be_bytes(), packet], frame)
            }
            _ => false,
        }
    }

    /// What precedes an IPv4 packet of so many bytes in its frame to the server; `None` as for
    /// [`data_frame`](Self::data_frame).
    pub(super) fn data_header(&self, len: usize) -> Option<[u8; DATA_HEADER_LEN]> {
        let (lower, opened) = (self.lower.as_ref()?, self.opened.as_ref()?);
        let ppp_len = u16::try_from(len + 2).ok().filter(|_| len <= usize::from(opened.mtu))?;
        let mut header = [0; DATA_HEADER_LEN];
        let (pppoe, protocol) = header.split_first_chunk_mut()?;
        *pppoe = emit_session_header(&lower.header, lower.session_id, ppp_len);
        *protocol.first_chunk_mut()? = Protocol::Ip.to_be_bytes();
        Some(header)
    }

    /// Ends the session by Terminate-Request and PADT; [`Event::Ended`] follows.
    pub(super) fn hang_up(&mut self, now: Instant) {
        match &mut self.lower {
            Some(lower) => lower.link.close(now),
            None if self.is_over => {}
            None => {
                self.discovery.terminate("");
                self.end(End::HungUp);
            }
        }
        self.advance(now);
    }

    /// The next frame to send.
    #[must_use]
    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if let Some(frame) = self.guesses.frame.take() {
            return Some(frame);
        }
        if let Some(lower) = &mut self.lower
            && lower.link.poll_transmit(&mut self.packet)
        {
            let mut frame = Vec::with_capacity(MIN_FRAME_LEN);
            lower.emit(&[&self.packet], &mut frame);
            return Some(frame);
        }
        // After the link's last packets, so that the PADT is the last frame.
        self.discovery.poll_transmit()
    }

    /// The next event.
    #[must_use]
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let link = self.lower.as_ref().and_then(|lower| lower.link.poll_timeout());
        self.discovery.poll_timeout().into_iter().chain(link).chain(self.guesses.next).min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.discovery.handle_timeout(now);
        self.guess(now);
        if let Some(lower) = &mut self.lower {
            lower.link.handle_timeout(now);
        }
        self.advance(now);
    }

    /// Lets one layer's events act upon the other.
    fn advance(&mut self, now: Instant) {
        while let Some(event) = self.discovery.poll_event() {
            match event {
                discovery::Event::Connected(session) => self.connect(&session, now),
                discovery::Event::Failed(failure) => self.end(End::Discovery(failure)),
                discovery::Event::Terminated { .. } => match &mut self.lower {
                    Some(lower) => lower.link.lower_down(now),
                    None => self.end(End::Padt),
                },
            }
        }
        while let Some(event) = self.lower.as_mut().and_then(|lower| lower.link.poll_event()) {
            match event {
                link::Event::IpcpOpened(agreed) => self.open(&agreed),
                link::Event::IpcpClosed => self.opened = None,
                // A PADT that confirms what the link knew already is not the reason.
                link::Event::Closed(CloseReason::LowerLayerDown) => self.end(End::Padt),
                link::Event::Closed(reason) => {
                    self.discovery.terminate("");
                    self.end(End::Link { reason });
                }
                // Nobody has to prove anything to us, so the link asks nothing.
                link::Event::LcpOpened(_)
                | link::Event::Authenticated
                | link::Event::ChallengeNeeded
                | link::Event::AuthenticateRequest(_)
                | link::Event::Ipv6cpOpened(_)
                | link::Event::Ipv6cpClosed => {}
            }
        }
    }

    fn connect(&mut self, session: &discovery::Session, now: Instant) {
        if self.config.conduct == Conduct::Silent {
            return;
        }
        let mru = session.max_payload.unwrap_or(DEFAULT_MAX_PAYLOAD);
        let config = LinkConfig {
            lcp: LcpConfig { mru, max_peer_mru: mru },
            credentials: Some(self.config.credentials.clone()),
            ipcp: Some(IpcpConfig::Request),
            echo: Some(EchoConfig::default()),
            setup_deadline: self.config.setup_deadline,
            ..LinkConfig::default()
        };
        let mut link = Link::new(config, self.config.seed);
        link.open(now);
        let header = EthernetHeader {
            destination: session.ac_mac,
            source: self.config.mac,
            ether_type: EtherType::PppoeSession,
        };
        let lower = self.lower.insert(Lower { link, header, session_id: session.session_id });
        for frame in std::mem::take(&mut self.early_frames) {
            if let Some(payload) = lower.payload(&frame) {
                lower.link.handle_packet(payload, now);
            }
        }
    }

    fn open(&mut self, agreed: &IpcpNegotiated) {
        let Some(lower) = &self.lower else { return };
        let mtu = lower.link.status().lcp.map_or(DEFAULT_MAX_PAYLOAD, |lcp| lcp.mru.min(lcp.peer_mru));
        let opened = Opened {
            session_id: lower.session_id,
            ac_mac: lower.header.destination,
            local: agreed.local,
            remote: agreed.remote,
            name_servers: agreed.name_servers,
            mtu,
        };
        self.opened = Some(opened);
        self.events.push_back(Event::Opened(opened));
    }

    /// Reports the end, the first time that it is told.
    fn end(&mut self, end: End) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.opened = None;
            self.events.push_back(Event::Ended(end));
        }
    }
}

impl Lower {
    /// The PPP packet of a frame, if the frame belongs to this session.
    fn payload<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let packet = PppoePacket::new_checked(frame.payload()).ok()?;
        let ours = frame.source() == self.header.destination
            && frame.destination() == self.header.source
            && packet.code() == Code::SessionData
            && packet.session_id() == self.session_id;
        ours.then(|| packet.payload())
    }

    /// Writes the frame that carries a PPP packet, given in parts. False if it is longer than a PPPoE payload can be.
    fn emit(&self, parts: &[&[u8]], frame: &mut Vec<u8>) -> bool {
        let Ok(length) = u16::try_from(parts.iter().map(|part| part.len()).sum::<usize>()) else {
            return false;
        };
        frame.extend_from_slice(&emit_session_header(&self.header, self.session_id, length));
        parts.iter().for_each(|part| frame.extend_from_slice(part));
        frame.resize(frame.len().max(MIN_FRAME_LEN), 0);
        true
    }
}
