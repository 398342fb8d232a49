//! The data path: frames of the session from and to the packet socket, packets from and to the TUN.
//!
//! Everything that a faster data path would replace is behind [`Relay`].

use std::io;
use std::ops::Range;

use ppp_linux::counters::{WorkerCounters, monotonic_millis};
use ppp_linux::packet::{FrameBatch, MAX_BATCH, SessionSocket};
use ppp_linux::tun::Tun;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{self, EthernetFrame, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::mss;
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::{self, PppoePacket, SESSION_HEADER_LEN};

use crate::grant::{Family, Grant, Refusal};

/// Bytes of the PPP Protocol field, which we never compress (RFC 2516 §7).
const PROTOCOL_LEN: usize = 2;
/// Where the packet begins in a frame of data.
const PACKET_OFFSET: usize = SESSION_HEADER_LEN + PROTOCOL_LEN;
/// Longest PPP information field on Ethernet without jumbo frames (RFC 4638 §2).
const MAX_INFORMATION: usize = 1500;
/// Longest frame.
const FRAME_SIZE: usize = PACKET_OFFSET + MAX_INFORMATION;
/// Frames that there is room for each way while the line is quiet. There are thousands of workers, most of them idle.
const QUIET_BATCH: usize = 2;
/// Packets that are kept between the opening of IPCP or IPV6CP and the leave to relay, which takes a millisecond or
/// two. Without them, every client's first packet (a DNS query, a Router Solicitation) would be lost.
const MAX_HELD: usize = 32;

/// Which frames are ours, and how we write them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressing {
    pub(crate) own_mac: MacAddr,
    pub(crate) peer_mac: MacAddr,
    pub(crate) ether_type: ethernet::EtherType,
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
    received: FrameBatch,
    sending: FrameBatch,
    activity: Activity,
}

/// Whether packets of data went, each way, since [`Relay::take_data_activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) received: bool,
    pub(crate) sent: bool,
}

impl Relay {
    /// A relay without a grant. `mru` is the longest packet that we take, in bytes.
    pub(crate) fn new(
        socket: SessionSocket,
        tun: Tun,
        counters: WorkerCounters,
        addressing: Addressing,
        mru: u16,
    ) -> Self {
        Self {
            socket,
            tun,
            counters,
            addressing,
            mru: usize::from(mru),
            grant: None,
            held: Vec::new(),
            received: FrameBatch::new(QUIET_BATCH, FRAME_SIZE),
            sending: FrameBatch::new(QUIET_BATCH, FRAME_SIZE),
            activity: Activity::default(),
        }
    }

    pub(crate) fn socket(&self) -> &SessionSocket {
        &self.socket
    }

    pub(crate) fn tun(&self) -> &Tun {
        &self.tun
    }

    pub(crate) fn addressing(&self) -> Addressing {
        self.addressing
    }

    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Begins to carry data, or changes what is carried.
    pub(crate) fn set_grant(&mut self, grant: Grant) {
        self.grant = Some(grant);
        let up = Upstream { tun: &self.tun, counters: &self.counters, mru: self.mru };
        for (family, mut packet) in self.held.extract_if(.., |(family, _)| grant.allows(*family)) {
            self.activity.received |= up.data(family, &mut packet, &grant);
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
    /// Returns the number of frames, 0 when none waited.
    ///
    /// # Errors
    /// When the packet socket is broken: the access interface is gone.
    pub(crate) fn receive(&mut self, control: &mut impl ControlPlane) -> io::Result<usize> {
        let count = match self.socket.recv_batch(&mut self.received) {
            Ok(count) => count,
            Err(error) if is_transient(&error) => return Ok(0),
            Err(error) => return Err(error),
        };
        let up = Upstream { tun: &self.tun, counters: &self.counters, mru: self.mru };
        self.counters.rx_last_activity_ms.set(monotonic_millis());
        for frame in self.received.frames_mut() {
            if frame.is_truncated() {
                self.counters.rx_drops_oversize.add(1);
                continue;
            }
            let Some((protocol, ppp, information)) = locate(frame.bytes) else {
                self.counters.rx_drops_malformed.add(1);
                continue;
            };
            let Some(family) = Family::of_protocol(protocol).filter(|family| control.supports(*family))
            else {
                self.counters.rx_control_packets.add(1);
                control.handle_packet(frame.bytes.get(ppp).unwrap_or_default());
                continue;
            };
            let packet = frame.bytes.get_mut(information).unwrap_or_default();
            match self.grant.filter(|grant| grant.allows(family)) {
                Some(grant) => self.activity.received |= up.data(family, packet, &grant),
                None if control.is_open(family) && self.held.len() < MAX_HELD => {
                    self.held.push((family, packet.to_vec()));
                }
                None => self.counters.rx_drops_not_open.add(1),
            }
        }
        if count == self.received.capacity() {
            self.count_socket_drops();
            grow(&mut self.received);
        }
        Ok(count)
    }

    /// Whether [`Relay::rest`] would give something back.
    pub(crate) fn is_busy(&self) -> bool {
        [&self.received, &self.sending].iter().any(|batch| batch.capacity() > QUIET_BATCH)
    }

    /// The line is quiet: gives back what only a busy one needs.
    pub(crate) fn rest(&mut self) {
        for batch in [&mut self.received, &mut self.sending] {
            if batch.capacity() > QUIET_BATCH {
                *batch = FrameBatch::new(QUIET_BATCH, FRAME_SIZE);
            }
        }
    }

    /// Counts the frames that the kernel dropped because we were too slow.
    pub(crate) fn count_socket_drops(&self) {
        if let Ok(statistics) = self.socket.take_statistics() {
            self.counters.rx_drops_socket_full.add(u64::from(statistics.dropped));
        }
    }

    /// Reads packets from the TUN until none is left or a batch is full, and sends them to the peer.
    ///
    /// Returns the number of packets.
    ///
    /// # Errors
    /// When the TUN is gone.
    pub(crate) fn transmit(&mut self) -> io::Result<usize> {
        self.sending.clear();
        let mut count = 0;
        while let Some(buffer) = self.sending.vacant() {
            let Some(packet_buffer) = buffer.get_mut(PACKET_OFFSET..) else { break };
            let len = match self.tun.recv(packet_buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            count += 1;
            if let Some(frame_len) = downstream(buffer, len, self.grant, &self.addressing, &self.counters) {
                self.sending.commit(frame_len);
            }
        }
        if !self.sending.is_empty() {
            self.activity.sent = true;
            self.counters.tx_last_activity_ms.set(monotonic_millis());
            self.flush();
        }
        if count >= self.sending.capacity() {
            grow(&mut self.sending);
        }
        Ok(count)
    }

    fn flush(&mut self) {
        while !self.sending.is_empty() {
            match self.socket.send_batch(&mut self.sending) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // A full queue of the interface drops, as it would for any router.
                    self.sending.discard_first();
                    self.counters.tx_drops_send_error.add(1);
                }
            }
        }
    }

    /// Sends one PPP packet, given from its Protocol field on.
    pub(crate) fn send_control(&self, packet: &[u8]) {
        let Ok(len) = u16::try_from(packet.len()) else {
            self.counters.tx_drops_oversize.add(1);
            return;
        };
        let mut frame = Vec::with_capacity((SESSION_HEADER_LEN + packet.len()).max(MIN_FRAME_LEN));
        frame.extend_from_slice(&self.addressing.header(len));
        frame.extend_from_slice(packet);
        if frame.len() < MIN_FRAME_LEN {
            frame.resize(MIN_FRAME_LEN, 0);
        }
        self.counters.tx_control_packets.add(1);
        if self.socket.send(&frame).is_err() {
            // The Restart timer sends it again.
            self.counters.tx_drops_send_error.add(1);
        }
    }
}

impl Addressing {
    fn header(&self, ppp_len: u16) -> [u8; SESSION_HEADER_LEN] {
        let ethernet =
            EthernetHeader { destination: self.peer_mac, source: self.own_mac, ether_type: self.ether_type };
        pppoe::emit_session_header(&ethernet, self.session_id, ppp_len)
    }
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

/// What a packet of data from the peer goes through.
struct Upstream<'a> {
    tun: &'a Tun,
    counters: &'a WorkerCounters,
    mru: usize,
}

impl Upstream<'_> {
    /// Handles one packet of data; true when the kernel took it.
    fn data(&self, family: Family, packet: &mut [u8], grant: &Grant) -> bool {
        let counters = self.counters;
        let total_len = match grant.check_received(family, packet) {
            Ok(total_len) => total_len,
            Err(refusal) => {
                match refusal {
                    Refusal::Malformed => counters.rx_drops_malformed.add(1),
                    Refusal::NotOpen => counters.rx_drops_not_open.add(1),
                    Refusal::Source => counters.rx_drops_source_address.add(1),
                }
                return false;
            }
        };
        if total_len > self.mru {
            counters.rx_drops_oversize.add(1);
            return false;
        }
        let packet = packet.get_mut(..total_len).unwrap_or_default();
        let (mss_v4, mss_v6) = grant.segment_sizes();
        mss::clamp(packet, mss_v4, mss_v6);
        if self.tun.send(packet).is_err() {
            counters.rx_drops_tun_error.add(1);
            return false;
        }
        counters.rx_packets.add(1);
        counters.rx_bytes.add(u64::try_from(total_len).unwrap_or(0));
        true
    }
}

/// More comes than an empty batch has room for.
fn grow(batch: &mut FrameBatch) {
    if batch.capacity() < MAX_BATCH {
        *batch = FrameBatch::new(MAX_BATCH, FRAME_SIZE);
    }
}

/// The PPP protocol of a frame, and where in the frame the whole PPP packet and its Information field are.
fn locate(frame: &[u8]) -> Option<(Protocol, Range<usize>, Range<usize>)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ppp = PppoePacket::new_checked(ethernet.payload()).ok()?.payload();
    let (protocol, information) = split_protocol(ppp).ok()?;
    let end = SESSION_HEADER_LEN + ppp.len();
    Some((protocol, SESSION_HEADER_LEN..end, end - information.len()..end))
}

/// Completes the frame in `buffer`, whose packet of `len` bytes the kernel put behind the room for the headers.
/// Returns the frame's length, or `None` if the packet is not to be sent; that is counted.
fn downstream(
    buffer: &mut [u8],
    len: usize,
    grant: Option<Grant>,
    addressing: &Addressing,
    counters: &WorkerCounters,
) -> Option<usize> {
    let Some(grant) = grant else {
        counters.tx_drops_not_open.add(1);
        return None;
    };
    if len > usize::from(grant.mtu) {
        counters.tx_drops_oversize.add(1);
        return None;
    }
    let (head, rest) = buffer.split_at_mut_checked(PACKET_OFFSET)?;
    let packet = rest.get_mut(..len)?;
    let Some(family) = Family::of_packet(packet) else {
        counters.tx_drops_malformed.add(1);
        return None;
    };
    if !grant.allows(family) {
        counters.tx_drops_not_open.add(1);
        return None;
    }
    let (mss_v4, mss_v6) = grant.segment_sizes();
    mss::clamp(packet, mss_v4, mss_v6);

    let ppp_len = u16::try_from(PROTOCOL_LEN + len).ok()?;
    let (header, protocol) = head.split_at_mut_checked(SESSION_HEADER_LEN)?;
    header.copy_from_slice(&addressing.header(ppp_len));
    protocol.copy_from_slice(&family.protocol().to_be_bytes());

    counters.tx_packets.add(1);
    counters.tx_bytes.add(u64::try_from(len).unwrap_or(0));
    let frame_len = (PACKET_OFFSET + len).max(MIN_FRAME_LEN);
    // What pads a short frame must not be what another packet left in the buffer.
    buffer.get_mut(PACKET_OFFSET + len..frame_len)?.fill(0);
    Some(frame_len)
}

/// Whether a packet socket goes on working after this error.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::NetworkDown
    )
}

#[cfg(test)]
mod tests;
