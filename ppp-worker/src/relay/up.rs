//! From the peer: packets are checked one by one, and those of a flow go to the kernel together.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::time::Instant;

use ppp_linux::counters::WorkerCounters;
use ppp_linux::packet::{FrameBatch, MAX_BATCH};
use ppp_linux::tun::{Offloads, Tun};
use ppp_wire::mss;
use ppp_wire::offload::{Coalescer, MAX_PACKETS, Mergeable};

use super::FRAME_SIZE;
use super::shaper::{Offer, Shaper};
use crate::grant::{Family, Grant, Refusal};

/// Frames whose memory a quiet line keeps.
const QUIET_FRAMES: usize = 2;

/// A batch of frames, and what of it is for the kernel.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) frames: FrameBatch,
    coalescer: Coalescer,
    pub(super) shaper: Shaper,
}

/// What a packet of data from the peer goes through.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a> {
    pub(super) counters: &'a WorkerCounters,
    /// Longest packet that we take in bytes.
    pub(super) mru: usize,
}

impl Up {
    pub(super) fn new(offloads: Offloads) -> io::Result<Self> {
        // Without offloads each packet is a call each way, as in relays that know of nothing else.
        let capacity = if offloads.tcp || offloads.udp { MAX_BATCH } else { 1 };
        let mergeable = Mergeable { tcp: offloads.tcp, udp: offloads.udp };
        Ok(Self {
            frames: FrameBatch::new(capacity, FRAME_SIZE)?,
            coalescer: Coalescer::new(mergeable, capacity.min(MAX_PACKETS)),
            shaper: Shaper::default(),
        })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.frames.used() > QUIET_FRAMES || self.shaper.is_busy()
    }

    pub(super) fn rest(&mut self) {
        if self.frames.used() > QUIET_FRAMES {
            self.frames.give_back();
        }
        self.shaper.rest();
    }

    /// Takes a packet that lies in the batch; whether it is one of the peer's.
    pub(super) fn push(
        &mut self,
        gate: Gate<'_>,
        family: Family,
        packet: Range<usize>,
        grant: &Grant,
        now: Instant,
    ) -> bool {
        let bytes = self.frames.storage().get_mut(packet.clone()).unwrap_or_default();
        let Some(len) = gate.check(family, bytes, grant) else { return false };
        match self.shaper.offer(family, bytes.get(..len).unwrap_or_default(), now) {
            // There is room for as many packets as there are frames.
            Offer::Pass => self.coalescer.push(self.frames.storage(), packet.start..packet.start + len),
            Offer::Queued => true,
            Offer::Dropped => {
                gate.counters.rx_drops_rate.add(1);
                true
            }
        }
    }

    /// Hands the kernel what was taken.
    pub(super) fn flush(&mut self, tun: &Tun, counters: &WorkerCounters) {
        write(&mut self.coalescer, self.frames.storage(), tun, counters);
    }

    /// Hands the kernel what had to wait and need not any more, as far as it is still granted.
    pub(super) fn flush_waiting(
        &mut self,
        tun: &Tun,
        counters: &WorkerCounters,
        grant: Option<Grant>,
        now: Instant,
    ) {
        loop {
            let (packet, dropped) = self.shaper.pop(now);
            counters.rx_drops_rate.add(dropped);
            let Some((family, packet)) = packet else { break };
            if !grant.is_some_and(|grant| grant.allows(family)) {
                counters.rx_drops_not_open.add(1);
                continue;
            }
            if !self.coalescer.push(self.shaper.storage(), packet.clone()) {
                write(&mut self.coalescer, self.shaper.storage(), tun, counters);
                let _ = self.coalescer.push(self.shaper.storage(), packet);
            }
        }
        write(&mut self.coalescer, self.shaper.storage(), tun, counters);
    }
}

/// Empties the coalescer, whose packets lie in `storage`, into the TUN.
fn write(coalescer: &mut Coalescer, storage: &mut [u8], tun: &Tun, counters: &WorkerCounters) {
    coalescer.drain(storage, |storage, write| {
        let header = write.header.emit();
        let mut slices = [IoSlice::new(&[]); 1 + MAX_PACKETS];
        let mut count = 0;
        let parts = write.parts.iter().map(|part| storage.get(part.clone()).unwrap_or_default());
        for (slice, part) in slices.iter_mut().zip(std::iter::once(&header[..]).chain(parts)) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        let outcome = tun.write(slices.get(..count).unwrap_or_default());
        count_written(counters, outcome, write.packets, write.bytes);
    });
}

/// A packet that is in no batch.
pub(super) fn write_alone(
    gate: Gate<'_>,
    tun: &Tun,
    family: Family,
    packet: &mut [u8],
    grant: &Grant,
) -> bool {
    let Some(len) = gate.check(family, packet, grant) else { return false };
    count_written(gate.counters, tun.send(packet.get(..len).unwrap_or_default()), 1, len);
    true
}

fn count_written(counters: &WorkerCounters, outcome: io::Result<()>, packets: usize, bytes: usize) {
    let packets = u64::try_from(packets).unwrap_or(0);
    match outcome {
        Ok(()) => {
            counters.rx_packets.add(packets);
            counters.rx_bytes.add(u64::try_from(bytes).unwrap_or(0));
        }
        Err(_) => counters.rx_drops_tun_error.add(packets),
    }
}

impl Gate<'_> {
    /// Checks a packet and makes its segment size fit; its length without what pads it. `None` is counted.
    fn check(&self, family: Family, packet: &mut [u8], grant: &Grant) -> Option<usize> {
        let counters = self.counters;
        let total_len = match grant.check_received(family, packet) {
            Ok(total_len) => total_len,
            Err(refusal) => {
                match refusal {
                    Refusal::Malformed => counters.rx_drops_malformed.add(1),
                    Refusal::NotOpen => counters.rx_drops_not_open.add(1),
                    Refusal::Source => counters.rx_drops_source_address.add(1),
                }
                return None;
            }
        };
        if total_len > self.mru {
            counters.rx_drops_oversize.add(1);
            return None;
        }
        let (mss_v4, mss_v6) = grant.segment_sizes();
        mss::clamp(packet.get_mut(..total_len)?, mss_v4, mss_v6);
        Some(total_len)
    }
}
