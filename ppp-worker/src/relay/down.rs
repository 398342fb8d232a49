//! To the peer: packets of the kernel of up to 64 kB are cut into frames.

use std::io;
use std::ops::Range;
use std::time::Instant;

use ppp_linux::counters::WorkerCounters;
use ppp_linux::packet::{Framing, SessionSocket};
use ppp_linux::pages::PageBuffer;
use ppp_linux::tun::{MAX_READ, Tun, VNET_HEADER_LEN};
use ppp_wire::ethernet::MIN_FRAME_LEN;
use ppp_wire::mss;
use ppp_wire::offload::{Segments, VnetHeader};
use ppp_wire::pppoe::SESSION_HEADER_LEN;

use super::shaper::{Offer, Shaper};
use super::{Addressing, PACKET_OFFSET, PROTOCOL_LEN};
use crate::grant::{Family, Grant};

/// Where the virtio header is read to, so that the packet has room in front of it for the frame's headers.
const READ_OFFSET: usize = PACKET_OFFSET - VNET_HEADER_LEN;
/// Longest packet of a quiet line: those take no more than a page.
const QUIET_READ: usize = 2048;

/// The buffer for one packet of the kernel. Its frames are made in it, one after the other, without being copied.
#[derive(Debug)]
pub(super) struct Down {
    buffer: PageBuffer,
    /// Longest packet since memory was given back.
    longest: usize,
    pub(super) shaper: Shaper,
}

/// What a packet of data for the peer goes through.
#[derive(Clone, Copy)]
pub(super) struct Outlet<'a> {
    pub(super) socket: &'a SessionSocket,
    pub(super) counters: &'a WorkerCounters,
    pub(super) addressing: &'a Addressing,
    pub(super) grant: Option<Grant>,
}

impl Down {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { buffer: PageBuffer::new(PACKET_OFFSET + MAX_READ)?, longest: 0, shaper: Shaper::default() })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.longest > QUIET_READ || self.shaper.is_busy()
    }

    pub(super) fn rest(&mut self) {
        if self.longest > QUIET_READ {
            self.longest = 0;
            self.buffer.give_back();
        }
        self.shaper.rest();
    }

    /// Reads a packet of the kernel.
    pub(super) fn read(&mut self, tun: &Tun) -> io::Result<Read> {
        let room = self.buffer.get_mut(READ_OFFSET..).unwrap_or_default();
        let len = tun.read(room)?.saturating_sub(VNET_HEADER_LEN);
        let header = room.first_chunk().map(VnetHeader::parse).unwrap_or_default();
        self.longest = self.longest.max(len);
        Ok(Read { header, packet: PACKET_OFFSET..PACKET_OFFSET + len })
    }

    /// Cuts what was read, and sends each packet that may go now. Whether there was any that may go at all.
    pub(super) fn send(&mut self, read: Read, outlet: Outlet<'_>, now: Instant) -> bool {
        let Ok(mut segments) = Segments::new(&mut self.buffer, read.packet, &read.header) else {
            outlet.counters.tx_drops_malformed.add(1);
            return false;
        };
        let mut any = false;
        while let Some(packet) = segments.next_packet(&mut self.buffer) {
            let bytes = self.buffer.get_mut(packet.clone()).unwrap_or_default();
            let Some(family) = outlet.admits(bytes) else { continue };
            any = true;
            match self.shaper.offer(family, bytes, now) {
                Offer::Pass => outlet.send(&mut self.buffer, packet, family),
                Offer::Queued => {}
                Offer::Dropped => outlet.counters.tx_drops_rate.add(1),
            }
        }
        any
    }

    /// Sends what had to wait and need not any more, as far as it is still granted.
    pub(super) fn send_waiting(&mut self, outlet: Outlet<'_>, now: Instant) {
        loop {
            let (packet, dropped) = self.shaper.pop(now);
            outlet.counters.tx_drops_rate.add(dropped);
            let Some((family, packet)) = packet else { return };
            if outlet.grant.is_some_and(|grant| grant.allows(family)) {
                outlet.send(self.shaper.storage(), packet, family);
            } else {
                outlet.counters.tx_drops_not_open.add(1);
            }
        }
    }
}

/// A packet of the kernel, in the buffer.
#[derive(Debug)]
pub(super) struct Read {
    header: VnetHeader,
    packet: Range<usize>,
}

impl Read {
    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.packet.len()
    }
}

impl Outlet<'_> {
    /// Whether the packet may go; made to fit if it begins a connection. What may not is counted.
    pub(super) fn admits(&self, packet: &mut [u8]) -> Option<Family> {
        let counters = self.counters;
        let Some(grant) = self.grant else {
            counters.tx_drops_not_open.add(1);
            return None;
        };
        if packet.len() > usize::from(grant.mtu) {
            counters.tx_drops_oversize.add(1);
            return None;
        }
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
        Some(family)
    }

    /// Sends a packet that lies in `buffer` with [`PACKET_OFFSET`] bytes in front of it that may be overwritten.
    pub(super) fn send(&self, buffer: &mut [u8], packet: Range<usize>, family: Family) {
        let len = packet.len();
        let sent = match self.socket.framing() {
            Framing::Device => buffer.get(packet).is_some_and(|packet| self.socket.send(packet).is_ok()),
            Framing::Ethernet => self.send_frame(buffer, packet, family),
        };
        if sent {
            self.counters.tx_packets.add(1);
            self.counters.tx_bytes.add(u64::try_from(len).unwrap_or(0));
        } else {
            // A full queue of the interface drops, as it would for any router.
            self.counters.tx_drops_send_error.add(1);
        }
    }

    fn send_frame(&self, buffer: &mut [u8], packet: Range<usize>, family: Family) -> bool {
        match self.frame(buffer, packet, family) {
            Some(frame) if frame.len() < MIN_FRAME_LEN => self.send_padded(frame),
            Some(frame) => self.socket.send(frame).is_ok(),
            None => false,
        }
    }

    /// Writes the headers of a frame in front of its packet.
    fn frame<'a>(&self, buffer: &'a mut [u8], packet: Range<usize>, family: Family) -> Option<&'a [u8]> {
        let start = packet.start.checked_sub(PACKET_OFFSET)?;
        let ppp_len = u16::try_from(PROTOCOL_LEN + packet.len()).ok()?;
        let frame = buffer.get_mut(start..packet.end)?;
        let (header, rest) = frame.split_at_mut_checked(SESSION_HEADER_LEN)?;
        header.copy_from_slice(&self.addressing.header(ppp_len));
        *rest.first_chunk_mut()? = family.protocol().to_be_bytes();
        Some(frame)
    }

    /// Sends a frame that is too short for Ethernet, from elsewhere: behind its packet there may be the next one.
    fn send_padded(&self, frame: &[u8]) -> bool {
        let mut padded = [0; MIN_FRAME_LEN];
        let Some(beginning) = padded.get_mut(..frame.len()) else { return false };
        beginning.copy_from_slice(frame);
        self.socket.send(&padded).is_ok()
    }
}
