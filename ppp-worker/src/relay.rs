//! The data path: frames of the session from and to the packet socket, packets from and to the TUN.
//!
//! Everything that a faster data path would replace is behind [`Relay`]. What it holds between two calls can all be
//! made again: nothing of it is lost with its owner but packets.

mod codel;
mod down;
mod flows;
mod shaper;
mod up;

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use ppp_linux::counters::{WorkerCounters, monotonic_millis};
use ppp_linux::packet::{Framing, PADT, Pace, SessionSocket};
use ppp_linux::tun::{Offloads, Tun};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{self, EthernetFrame, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::{self, Code, DiscoveryBuilder, PppoePacket, SESSION_HEADER_LEN};

use self::down::{Down, Outlet};
pub(crate) use self::shaper::RateLimit;
use self::up::{Gate, Up};
use crate::grant::{Family, Grant};

/// Bytes of the PPPoE header (RFC 2516 §4).
const PPPOE_HEADER_LEN: usize = 6;
/// Bytes of the PPP Protocol field, which we never compress (RFC 2516 §7).
const PROTOCOL_LEN: usize = 2;
/// Where the packet begins in a frame of data.
const PACKET_OFFSET: usize = SESSION_HEADER_LEN + PROTOCOL_LEN;
/// Longest PPP information field on Ethernet without jumbo frames (RFC 4638 §2).
const MAX_INFORMATION: usize = 1500;
/// Longest frame.
const FRAME_SIZE: usize = PACKET_OFFSET + MAX_INFORMATION;
/// Full batches for which the kernel is asked once how many frames it had to drop: a busy line is about to be asked again.
const BATCHES_PER_QUESTION: u32 = 64;
/// Most packets of the kernel that are read before the peer is looked at, and most bytes, but for the last packet.
const MAX_READS: usize = 64;
const MAX_READ_BYTES: usize = 256 << 10;
/// Packets that are kept between the opening of IPCP or IPV6CP and the leave to relay, which takes a millisecond or
/// two. Without them, every client's first packet (a DNS query, a Router Solicitation) would be lost.
const MAX_HELD: usize = 32;

/// How our frames begin, where the kernel does not write that itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressing {
    pub(crate) own_mac: MacAddr,
    pub(crate) peer_mac: MacAddr,
    pub(crate) ether_type: ethernet::EtherType,
    /// Of the PADT.
    pub(crate) discovery: ethernet::EtherType,
    pub(crate) session_id: u16,
}

/// Moves packets. Control packets are handed out and taken in; data flows only as far as there is a [`Grant`].
#[derive(Debug)]
pub(crate) struct Relay {
    socket: SessionSocket,
    tun: Tun,
    counters: WorkerCounters,
    addressing: Addressing,
    mru: usize,
    grant: Option<Grant>,
    /// Packets of the peer that came when their protocol was open and the grant was still on its way.
    held: Vec<(Family, Vec<u8>)>,
    up: Up,
    down: Down,
    activity: Activity,
    /// Full batches since the kernel was asked how many frames it had to drop.
    full_batches: u32,
    pace: Pace,
}

/// Whether packets of data went, each way, since [`Relay::take_data_activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) received: bool,
    pub(crate) sent: bool,
}

/// Limits of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// To the peer.
    pub(crate) down: Option<RateLimit>,
    /// From the peer.
    pub(crate) up: Option<RateLimit>,
}

/// Whether another call would find something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    /// There was nothing left.
    No,
    /// It was somebody else's turn.
    Perhaps,
}

impl Relay {
    /// A relay without a grant. `mru` is the longest packet that we take, in bytes, `offloads` what the TUN has, and `gather` how
    /// long frames of a stream may gather.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn new(
        socket: SessionSocket,
        tun: Tun,
        offloads: Offloads,
        counters: WorkerCounters,
        addressing: Addressing,
        mru: u16,
        gather: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            socket,
            tun,
            counters,
            addressing,
            mru: usize::from(mru),
            grant: None,
            held: Vec::new(),
            up: Up::new(offloads)?,
            down: Down::new()?,
            activity: Activity::default(),
            full_batches: 0,
            pace: Pace::new(gather),
        })
    }

    pub(crate) fn socket(&self) -> &SessionSocket {
        &self.socket
    }

    /// Whether the packet socket is on the session's own device.
    pub(crate) fn is_on_device(&self) -> bool {
        self.socket.framing() == Framing::Device
    }

    pub(crate) fn tun(&self) -> &Tun {
        &self.tun
    }

    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Begins to carry data, or changes what is carried.
    pub(crate) fn set_grant(&mut self, grant: Grant) {
        self.grant = Some(grant);
        let gate = Gate { counters: &self.counters, mru: self.mru };
        for (family, mut packet) in self.held.extract_if(.., |(family, _)| grant.allows(*family)) {
            self.activity.received |= up::write_alone(gate, &self.tun, family, &mut packet, &grant);
        }
    }

    /// Stops to carry one family.
    pub(crate) fn revoke(&mut self, family: Family) {
        if let Some(grant) = &mut self.grant {
            grant.revoke(family);
        }
        let dropped = self.held.extract_if(.., |(held, _)| *held == family).count();
        self.counters.rx_drops_not_open.add(u64::try_from(dropped).unwrap_or(0));
    }

    /// Whether any data is carried.
    pub(crate) fn is_open(&self) -> bool {
        self.grant.is_some_and(|grant| Family::ALL.into_iter().any(|family| grant.allows(family)))
    }

    /// Whether packets of data went either way since this was last asked.
    pub(crate) fn take_data_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    /// Reads a batch of frames: data goes to the TUN, every other PPP packet to `control`.
    ///
    /// Returns whether more frames may wait, and `None` when none waited.
    ///
    /// # Errors
    /// When the packet socket is broken: the session's device is down or gone, or the access interface is gone.
    pub(crate) fn receive(
        &mut self,
        control: &mut impl ControlPlane,
        now: Instant,
    ) -> io::Result<Option<More>> {
        let count = match self.socket.recv_batch(&mut self.up.frames) {
            Ok(count) => count,
            Err(error) if is_transient(&error, self.socket.framing()) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.counters.rx_last_activity_ms.set(monotonic_millis());
        self.pace.note_received(count, self.up.frames.capacity());
        for number in 0..count {
            self.take_frame(number, control, now);
        }
        self.up.flush(&self.tun, &self.counters);
        if count < self.up.frames.capacity() {
            return Ok(Some(More::No));
        }
        self.full_batches += 1;
        if self.full_batches >= BATCHES_PER_QUESTION {
            self.count_socket_drops();
        }
        Ok(Some(More::Perhaps))
    }

    /// Handles a frame of the batch.
    fn take_frame(&mut self, number: usize, control: &mut impl ControlPlane, now: Instant) {
        let Some(frame) = self.up.frames.frame(number) else { return };
        if frame.is_truncated() {
            return self.counters.rx_drops_oversize.add(1);
        }
        let start = frame.bytes.start;
        let bytes = self.up.frames.storage().get_mut(frame.bytes).unwrap_or_default();
        let Some((protocol, ppp, information)) = locate(bytes, self.socket.framing()) else {
            return self.counters.rx_drops_malformed.add(1);
        };
        let Some(family) = Family::of_protocol(protocol).filter(|family| control.supports(*family)) else {
            self.counters.rx_control_packets.add(1);
            return control.handle_packet(bytes.get(ppp).unwrap_or_default());
        };
        match self.grant.filter(|grant| grant.allows(family)) {
            Some(grant) => {
                let gate = Gate { counters: &self.counters, mru: self.mru };
                let packet = start + information.start..start + information.end;
                self.activity.received |= self.up.push(gate, family, packet, &grant, now);
            }
            None if control.is_open(family) && self.held.len() < MAX_HELD => {
                self.held.push((family, bytes.get(information).unwrap_or_default().to_vec()));
            }
            None => self.counters.rx_drops_not_open.add(1),
        }
    }

    /// Limits the rates to and from the peer, from now on.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn set_rates(&mut self, rates: Rates, now: Instant) -> io::Result<()> {
        self.down.shaper.set_limit(rates.down, PACKET_OFFSET, now)?;
        self.up.shaper.set_limit(rates.up, 0, now)
    }

    /// How long to leave the peer's frames alone, for more of them to be fetched at once.
    pub(crate) fn take_pause(&mut self) -> Option<Duration> {
        self.pace.take_pause()
    }

    /// When packets that had to wait may go.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.up.shaper.poll_timeout(), self.down.shaper.poll_timeout()].into_iter().flatten().min()
    }

    /// Lets packets go that had to wait.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.up.flush_waiting(&self.tun, &self.counters, self.grant, now);
        let outlet = outlet(&self.socket, &self.counters, &self.addressing, self.grant);
        self.down.send_waiting(outlet, now);
    }

    /// Whether [`Relay::rest`] would give something back.
    pub(crate) fn is_busy(&self) -> bool {
        self.up.is_busy() || self.down.is_busy() || self.full_batches > 0
    }

    /// The line is quiet: gives back what only a busy one needs. There are thousands of workers, most of them idle.
    pub(crate) fn rest(&mut self) {
        if self.full_batches > 0 {
            self.count_socket_drops();
        }
        self.up.rest();
        self.down.rest();
    }

    /// Counts the frames that the kernel dropped because we were too slow.
    pub(crate) fn count_socket_drops(&mut self) {
        self.full_batches = 0;
        if let Ok(statistics) = self.socket.take_statistics() {
            self.counters.rx_drops_socket_full.add(u64::from(statistics.dropped));
        }
    }

    /// Reads packets from the TUN, until none is left or it is somebody else's turn, and sends them to the peer.
    ///
    /// Returns whether more may wait.
    ///
    /// # Errors
    /// When the TUN is gone.
    pub(crate) fn transmit(&mut self, now: Instant) -> io::Result<More> {
        let mut bytes = 0;
        let mut more = More::Perhaps;
        for _ in 0..MAX_READS {
            let read = match self.down.read(&self.tun) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    more = More::No;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            bytes += read.len();
            let outlet = outlet(&self.socket, &self.counters, &self.addressing, self.grant);
            self.activity.sent |= self.down.send(read, outlet, now);
            if bytes >= MAX_READ_BYTES {
                break;
            }
        }
        self.pace.note_sent(bytes);
        if bytes > 0 && self.activity.sent {
            self.counters.tx_last_activity_ms.set(monotonic_millis());
        }
        Ok(more)
    }

    /// Sends one PPP packet, given from its Protocol field on.
    pub(crate) fn send_control(&self, packet: &[u8]) {
        let frame = match self.socket.framing() {
            Framing::Ethernet => self.addressing.frame(packet),
            Framing::Device => without_length(packet),
        };
        let Some(frame) = frame else {
            self.counters.tx_drops_oversize.add(1);
            return;
        };
        self.counters.tx_control_packets.add(1);
        if self.socket.send(&frame).is_err() {
            // The Restart timer sends it again.
            self.counters.tx_drops_send_error.add(1);
        }
    }

    /// Tells the peer that the session is over (RFC 2516 §5.5).
    pub(crate) fn send_padt(&self) {
        // Nobody answers it, and the peer's echo finds out as well.
        let _ = match self.socket.framing() {
            Framing::Ethernet => self.socket.send(&self.addressing.padt()),
            Framing::Device => self.socket.send(&PADT),
        };
    }
}

impl Addressing {
    fn header(&self, ppp_len: u16) -> [u8; SESSION_HEADER_LEN] {
        let ethernet =
            EthernetHeader { destination: self.peer_mac, source: self.own_mac, ether_type: self.ether_type };
        pppoe::emit_session_header(&ethernet, self.session_id, ppp_len)
    }

    /// The frame of a PPP packet.
    fn frame(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let len = u16::try_from(packet.len()).ok()?;
        let mut frame = Vec::with_capacity((SESSION_HEADER_LEN + packet.len()).max(MIN_FRAME_LEN));
        frame.extend_from_slice(&self.header(len));
        frame.extend_from_slice(packet);
        if frame.len() < MIN_FRAME_LEN {
            frame.resize(MIN_FRAME_LEN, 0);
        }
        Some(frame)
    }

    fn padt(&self) -> Vec<u8> {
        let header =
            EthernetHeader { destination: self.peer_mac, source: self.own_mac, ether_type: self.discovery };
        DiscoveryBuilder::new(&header, Code::Padt, self.session_id).finish()
    }
}

/// A packet of control as a session's device wants it: Protocol, Code and Identifier, and what follows the Length (RFC 1661 §5). None
/// if it has no such header.
fn without_length(packet: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = packet.split_at_checked(4)?;
    let (_, data) = rest.split_at_checked(2)?;
    Some([head, data].concat())
}

/// The way to the peer.
fn outlet<'a>(
    socket: &'a SessionSocket,
    counters: &'a WorkerCounters,
    addressing: &'a Addressing,
    grant: Option<Grant>,
) -> Outlet<'a> {
    Outlet { socket, counters, addressing, grant }
}

/// What the relay needs of the link that it carries.
pub(crate) trait ControlPlane {
    /// Takes a PPP packet that is not data, from its Protocol field on.
    fn handle_packet(&mut self, packet: &[u8]);

    /// Whether packets of the family are data, and not of a protocol to be rejected.
    fn supports(&self, family: Family) -> bool;

    /// Whether the family's control protocol is Opened.
    fn is_open(&self, family: Family) -> bool;
}

/// The PPP protocol of a frame, and where in the frame the whole PPP packet and its Information field are.
fn locate(frame: &[u8], framing: Framing) -> Option<(Protocol, Range<usize>, Range<usize>)> {
    let pppoe = match framing {
        Framing::Ethernet => EthernetFrame::new_checked(frame).ok()?.payload(),
        Framing::Device => frame,
    };
    let start = frame.len() - pppoe.len() + PPPOE_HEADER_LEN;
    let ppp = PppoePacket::new_checked(pppoe).ok()?.payload();
    let (protocol, information) = split_protocol(ppp).ok()?;
    let end = start + ppp.len();
    Some((protocol, start..end, end - information.len()..end))
}

/// Whether a packet socket goes on working after this error. A session's device is never set down by itself.
fn is_transient(error: &io::Error, framing: Framing) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => true,
        io::ErrorKind::NetworkDown => framing == Framing::Ethernet,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
