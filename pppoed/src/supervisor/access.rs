//! One access interface: its discovery socket and its discovery server.

use std::cell::Cell;
use std::mem;
use std::rc::Rc;
use std::time::Instant;

use ppp_ipc::control::{InterfaceState, InterfaceStats, NamedCount};
use ppp_linux::device::Drops;
use ppp_linux::interface::{Interface, InterfaceId};
use ppp_linux::packet::PacketType;
use ppp_proto::discovery::probe::Probe;
use ppp_proto::discovery::server::{Admission, Asks, ConfigError, Event, Server, Sessions};
use ppp_proto::discovery::{DropCause, DropCounters, DropSample};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame};
use ppp_wire::if_name::IfName;
use ppp_wire::name::NameText;
use ppp_wire::pppoe::{Code, PppoePacket};
use pppoed_config::mac_list::MacRules;
use tracing::warn;

use super::admission::{Present, SessionLimits};
use super::hooks::Hooks;
use super::line::Line;
use super::session::AccessIndex;
use super::table::Table;
use super::terms::Terms;
use super::unproven::{Congestion, KnownStations};
use crate::message::RIVAL_SERVER;

/// The stage that a frame belongs to by its EtherType (RFC 2516 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Discovery,
    /// Of no session that has a worker.
    Session,
}

impl Stage {
    /// What the event loop's turn with a frame of it is called.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Discovery => "discovery frame",
            Self::Session => "stray frame",
        }
    }
}

/// A frame that was received.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) access: AccessIndex,
    pub(super) stage: Stage,
    pub(super) bytes: Vec<u8>,
    pub(super) packet_type: PacketType,
}

/// Frames by what they are.
#[derive(Debug, Default)]
struct FrameCounters {
    received: [u64; CODES.len()],
    sent: [u64; CODES.len()],
    strays: u64,
    /// How often somebody removed the kernel's programs, and they were put back.
    programs_put_back: u64,
    other_host: u64,
    send_failed: u64,
    /// Frames that came faster than they were read. The kernel's own count begins anew whenever it is asked.
    queue_full: Cell<u64>,
}

const CODES: [(Code, &str); 6] = [
    (Code::Padi, "padi"),
    (Code::Pado, "pado"),
    (Code::Padr, "padr"),
    (Code::Pads, "pads"),
    (Code::Padt, "padt"),
    (Code::Padm, "padm"),
];

/// One access interface, there or not.
pub(super) struct Access {
    name: IfName,
    terms: Rc<Terms>,
    /// New sessions are taken. Without it those that there are go on.
    is_served: bool,
    server: Server,
    line: Option<Line>,
    /// EtherType of discovery, if other servers on the interface are to be looked for.
    probes: Option<EtherType>,
    /// The search for them that is under way.
    probe: Option<Probe>,
    /// The kernel's programs bring frames to their sessions.
    programs_in_force: bool,
    counters: FrameCounters,
    /// Of those sent, how many [`Access::take_offers`] has told of.
    offers_seen: u64,
}

impl Access {
    /// An access interface that is not there yet: nobody hears it until it has a line.
    ///
    /// With `probes`, the EtherType of discovery, other servers that answer there are logged.
    pub(super) fn new(name: IfName, terms: Rc<Terms>, server: Server, probes: Option<EtherType>) -> Self {
        let counters = FrameCounters::default();
        Self {
            name,
            terms,
            is_served: true,
            server,
            line: None,
            probes,
            probe: None,
            programs_in_force: true,
            counters,
            offers_seen: 0,
        }
    }

    /// What holds for its sessions.
    pub(super) fn terms(&self) -> &Rc<Terms> {
        &self.terms
    }

    /// Limits of its sessions.
    pub(super) fn limits(&self) -> SessionLimits {
        self.terms.settings.limits
    }

    /// Whether it takes new sessions.
    pub(super) fn is_served(&self) -> bool {
        self.is_served
    }

    /// Takes new sessions from now on, or none.
    pub(super) fn serve(&mut self, is_served: bool) {
        self.is_served = is_served;
    }

    /// What holds from now on.
    ///
    /// # Errors
    /// When discovery cannot work with it; then what held holds on.
    pub(super) fn reconfigure(&mut self, terms: Rc<Terms>, now: Instant) -> Result<(), ConfigError> {
        self.with_server(|server| server.reconfigure(terms.discovery.clone(), now))?;
        self.terms = terms;
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What the interface is, and which address it has, while it is there.
    pub(super) fn line(&self) -> Option<(&InterfaceId, MacAddr)> {
        self.line.as_ref().map(|line| (&line.interface.id, line.mac))
    }

    /// All that is known of the interface, while it is there.
    pub(super) fn interface(&self) -> Option<&Interface> {
        self.line.as_ref().map(|line| &line.interface)
    }

    /// The interface is there, perhaps as another one than before: discovery goes on with it.
    pub(super) fn open(&mut self, line: Line) {
        self.line = Some(line);
        self.tell_server();
        self.look_for_rivals();
    }

    /// The interface changed.
    pub(super) fn update(&mut self, interface: Interface, mac: MacAddr) {
        let mut is_new_wire = false;
        if let Some(line) = &mut self.line {
            is_new_wire = line.mac != mac || (interface.running && !line.interface.running);
            line.interface = interface;
            line.mac = mac;
        }
        self.tell_server();
        if is_new_wire {
            self.look_for_rivals();
        }
    }

    /// The interface is gone.
    pub(super) fn close(&mut self) {
        self.line = None;
    }

    /// Asks once who else offers sessions; the answers come as frames. Servers that answered the last question, too, are not
    /// told of again.
    pub(super) fn look_for_rivals(&mut self) {
        let last = self.probe.take();
        let Some(line) = self.line.as_ref().filter(|line| line.interface.running) else { return };
        let Some(ether_type) = self.probes else { return };
        let Ok(nonce) = super::setup::random() else { return };
        let mtu = super::setup::mtu(&line.interface);
        let probe = Probe::new(line.mac, mtu, ether_type, nonce).after(last);
        if let Ok(padi) = probe.padi()
            && line.send(&padi).is_ok()
        {
            count(&mut self.counters.sent, &padi);
            self.probe = Some(probe);
        }
    }

    fn tell_server(&mut self) {
        if let Some(Line { interface, mac, .. }) = &self.line {
            self.server.set_interface(*mac, interface.id.index.get(), super::setup::mtu(interface));
        }
    }

    /// Takes a frame; the events that it causes are in [`Access::poll_event`].
    pub(super) fn handle_frame(&mut self, frame: &Frame, sessions: &impl Sessions, now: Instant) {
        if self.line.is_none() {
            // It was read just before the interface went.
            return;
        }
        match frame.packet_type {
            // Of a VLAN that is not this interface's, or for somebody else (see packet(7)).
            PacketType::OtherHost | PacketType::Outgoing => {
                self.counters.other_host += 1;
                return;
            }
            PacketType::Host | PacketType::Broadcast | PacketType::Multicast | PacketType::Unknown(_) => {}
        }
        if frame.stage == Stage::Session {
            self.counters.strays += 1;
            self.server.handle_stray(&frame.bytes, sessions, now);
            self.flush();
            return;
        }
        count(&mut self.counters.received, &frame.bytes);
        if let Some(rival) = self.probe.as_mut().and_then(|probe| probe.handle_frame(&frame.bytes)) {
            warn!(
                name: RIVAL_SERVER.name,
                interface = self.name.as_str(), mac = %rival.mac, ac_name = %NameText(&rival.ac_name),
                "{}", RIVAL_SERVER.words
            );
            return;
        }
        self.server.handle_frame(&frame.bytes, sessions, now);
        self.flush();
    }

    /// Somebody removed the kernel's programs, and they are back.
    pub(super) fn count_put_back(&mut self) {
        self.counters.programs_put_back += 1;
    }

    /// Whether the kernel's programs were in force when it was looked.
    pub(super) fn are_programs_in_force(&self) -> bool {
        self.programs_in_force
    }

    /// What was seen of them.
    pub(super) fn set_programs_in_force(&mut self, are_in_force: bool) {
        self.programs_in_force = are_in_force;
    }

    /// Offers that were sent since this was last called.
    pub(super) fn take_offers(&mut self) -> u64 {
        let pado = CODES.iter().zip(self.counters.sent).find(|((code, _), _)| *code == Code::Pado);
        let sent = pado.map_or(0, |(_, count)| count);
        sent.saturating_sub(mem::replace(&mut self.offers_seen, sent))
    }

    pub(super) fn drops(&self) -> &DropCounters {
        self.server.drops()
    }

    /// One of the frames that were dropped for this cause since the last time.
    pub(super) fn take_drop_sample(&mut self, cause: DropCause) -> Option<DropSample> {
        self.server.take_drop_sample(cause)
    }

    /// When [`Access::handle_timeout`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }

    /// Sends what waited for its time. Does nothing if called early.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.with_server(|server| server.handle_timeout(now));
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.server.poll_event()
    }

    /// Acts on the server and sends what it has to say.
    pub(super) fn with_server<T>(&mut self, act: impl FnOnce(&mut Server) -> T) -> T {
        let outcome = act(&mut self.server);
        self.flush();
        outcome
    }

    fn flush(&mut self) {
        while let Some(frame) = self.server.poll_transmit() {
            // The peer repeats what was lost, so a full queue of the interface is only counted.
            match self.line.as_ref().map(|line| line.send(&frame)) {
                Some(Ok(())) => count(&mut self.counters.sent, &frame),
                Some(Err(_)) | None => self.counters.send_failed += 1,
            }
        }
    }

    pub(super) fn stats(&self, drops: Option<Drops>) -> InterfaceStats {
        let named = |name: String, count: u64| NamedCount { name, count };
        let by_code = |prefix: &str, counts: &[u64]| -> Vec<NamedCount> {
            CODES
                .iter()
                .zip(counts)
                .map(|((_, code), count)| named(format!("{prefix}_{code}"), *count))
                .collect()
        };
        let mut packets = by_code("received", &self.counters.received);
        packets.push(named("received_stray".to_owned(), self.counters.strays));
        packets.extend(by_code("sent", &self.counters.sent));
        let mut dropped: Vec<_> = self
            .server
            .drops()
            .iter()
            .map(|(cause, count)| named(cause.as_str().to_owned(), count))
            .collect();
        dropped.push(named("other_host".to_owned(), self.counters.other_host));
        dropped
            .extend(drops.iter().flat_map(Drops::iter).map(|(cause, count)| named(cause.to_owned(), count)));
        packets.push(named("programs_put_back".to_owned(), self.counters.programs_put_back));
        dropped.push(named("send_failed".to_owned(), self.counters.send_failed));
        if let Some(line) = &self.line {
            let before = self.counters.queue_full.get();
            self.counters.queue_full.set(before.saturating_add(line.take_dropped()));
        }
        dropped.push(named("queue_full".to_owned(), self.counters.queue_full.get()));
        let interface = self.interface();
        InterfaceStats {
            interface: self.name().to_owned(),
            state: state(interface),
            mac: self.line().map(|(_, mac)| mac.to_string()),
            mtu: interface.map(|interface| interface.mtu),
            packets,
            dropped,
        }
    }
}

fn state(interface: Option<&Interface>) -> InterfaceState {
    match interface {
        None => InterfaceState::Absent,
        Some(Interface { up: false, .. }) => InterfaceState::Down,
        Some(Interface { running: false, .. }) => InterfaceState::NoCarrier,
        Some(_) => InterfaceState::Up,
    }
}

fn count(counters: &mut [u64; CODES.len()], frame: &[u8]) {
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return };
    let Ok(packet) = PppoePacket::new_checked(ethernet.payload()) else { return };
    let known = CODES.iter().zip(counters).find(|((code, _), _)| *code == packet.code());
    if let Some((_, counter)) = known {
        *counter += 1;
    }
}

/// What discovery on one interface may know about the sessions.
pub(super) struct AccessView<'a> {
    pub(super) access: AccessIndex,
    pub(super) table: &'a Table,
    /// There is a free slot, or one that its session may have to give up.
    pub(super) has_slot: bool,
    /// Too many sessions are in setup, and too many requests wait, for anybody but stations that are known.
    pub(super) is_crowded: bool,
    pub(super) known_stations: &'a KnownStations,
    pub(super) limits: SessionLimits,
    pub(super) mac_rules: &'a MacRules,
    /// Dials of this interface that wait for their turn.
    pub(super) waiting_here: usize,
    /// Who would wait for too long, if it dialled now.
    pub(super) congestion: Congestion,
    /// No new sessions: the server is draining or stopping.
    pub(super) closed: bool,
    pub(super) hooks: &'a Hooks,
}

impl Sessions for AccessView<'_> {
    fn admission(&self, peer: MacAddr) -> Admission {
        if self.closed {
            return Admission::Silence;
        }
        if !self.mac_rules.permit(peer) {
            return Admission::Forbidden;
        }
        self.limits.admit(&Present {
            of_peer: self.table.count_of_peer(self.access, peer),
            on_interface: self.table.count_on(self.access) + self.waiting_here,
            is_crowded: self.is_crowded && !self.known_stations.contains((self.access, peer)),
            has_slot: self.has_slot,
        })
    }

    fn is_congested(&self, peer: MacAddr) -> bool {
        match self.congestion {
            Congestion::None => false,
            Congestion::ForStrangers => !self.known_stations.contains((self.access, peer)),
            Congestion::ForAll => true,
        }
    }

    fn asks(&self, peer: MacAddr) -> Asks {
        self.hooks.asks_about_offers(self.access, peer)
    }

    fn count(&self) -> usize {
        self.table.len()
    }

    fn owner(&self, session_id: u16) -> Option<MacAddr> {
        let session = self.table.by_id(session_id)?;
        (session.access == self.access).then_some(session.peer_mac)
    }
}
