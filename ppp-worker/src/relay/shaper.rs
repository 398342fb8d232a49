//! A rate limit of one direction: a token bucket, and a short queue in front of it.
//!
//! What has tokens passes at once and is not copied. What has none waits in the queue; CoDel (RFC 8289) keeps what
//! waits from standing there: so that a download does not delay everything else of the line, packets are dropped when
//! all have waited too long for a while, which makes TCP send slower. Without a limit or without a backlog there is no
//! timer, and without a limit no memory.
//!
//! A packet of a flow of which nothing waits (a ping, a question to a name server, a keystroke, the first packet of a
//! connection) goes before all that waits of others, as in FQ-CoDel (RFC 8290 §1.3). Such packets get at most half of
//! the rate: no number of flows keeps the others from going on. Within a flow nothing overtakes.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use ppp_linux::pages::PageBuffer;

use super::codel::Codel;
use super::flows::{FLOWS, flow_of};
use crate::grant::Family;

/// How long a bucket takes to fill, unless a burst is configured: longer than a process may wait for its turn.
const DEFAULT_BURST: Duration = Duration::from_millis(20);
/// Least burst in bytes: two full packets.
const MIN_BURST: u64 = 2 * 1500;
/// What the queue holds at most: so much time at the rate, within bounds in bytes.
const QUEUE_TIME_DIVISOR: u64 = 5;
const MIN_QUEUE: u64 = 32 << 10;
const MAX_QUEUE: u64 = 1 << 20;
/// Bytes of storage for packets of flows of which nothing else waits.
const FIRST_QUEUE: usize = 32 << 10;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A rate and what may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// In kbit/s, of IP packets from their header on; at least 1.
    pub(crate) kbit_per_second: u32,
    /// In bytes; 0 for what is good for the rate.
    pub(crate) burst: u32,
}

impl RateLimit {
    /// Half of the rate, with the burst that is good for it.
    fn half(self) -> Self {
        Self { kbit_per_second: self.kbit_per_second.div_ceil(2), burst: 0 }
    }
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It may go.
    Pass,
    /// It waits.
    Queued,
    /// It was dropped.
    Dropped,
}

/// The limit of one direction, if there is one.
#[derive(Debug, Default)]
pub(super) struct Shaper(Option<Limited>);

impl Shaper {
    /// Replaces the limit. What waits goes on waiting, or goes when there is no limit any more.
    ///
    /// # Errors
    /// When there is no memory for the queue.
    pub(super) fn set_limit(
        &mut self,
        limit: Option<RateLimit>,
        headroom: usize,
        now: Instant,
    ) -> io::Result<()> {
        match (&mut self.0, limit) {
            (Some(limited), limit) => {
                limited.set_limit(limit, now);
            }
            (None, Some(limit)) => self.0 = Some(Limited::new(limit, headroom, now)?),
            (None, None) => {}
        }
        self.forget();
        Ok(())
    }

    /// Whether a packet may go now. If it may not, it is copied.
    pub(super) fn offer(&mut self, family: Family, packet: &[u8], now: Instant) -> Offer {
        self.0.as_mut().map_or(Offer::Pass, |limited| limited.offer(family, packet, now))
    }

    /// The next packet whose time has come, and how many were dropped before it. The packet lies in
    /// [`storage`](Self::storage) until another is offered.
    pub(super) fn pop(&mut self, now: Instant) -> (Option<(Family, Range<usize>)>, u64) {
        let popped = self.0.as_mut().map_or((None, 0), |limited| limited.pop(now));
        if popped.0.is_none() {
            self.forget();
        }
        popped
    }

    /// Where packets wait, with headroom in front of each.
    pub(super) fn storage(&mut self) -> &mut [u8] {
        self.0.as_mut().map(|limited| &mut limited.storage[..]).unwrap_or_default()
    }

    /// When [`pop`](Self::pop) has something.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.as_ref()?.next_time()
    }

    /// Whether [`rest`](Self::rest) would give something back.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|limited| limited.is_touched)
    }

    /// Gives memory back, if nothing waits.
    pub(super) fn rest(&mut self) {
        if let Some(limited) = &mut self.0
            && limited.is_empty()
        {
            limited.is_touched = false;
            limited.storage.give_back();
        }
    }

    /// Without a limit and a backlog there is nothing to keep.
    fn forget(&mut self) {
        if self.0.as_ref().is_some_and(|limited| limited.bucket.is_none() && limited.is_empty()) {
            self.0 = None;
        }
    }
}

/// A packet that waits.
#[derive(Debug)]
struct Waiting {
    family: Family,
    /// Where it lies, headroom included.
    place: Range<usize>,
    since: Instant,
    /// Of the packet's flow, if it has one.
    flow: Option<usize>,
}

/// Packets that wait in a part of the storage, in the order of their coming.
#[derive(Debug)]
struct Fifo {
    region: Range<usize>,
    packets: VecDeque<Waiting>,
    /// Of the packets, without headroom.
    bytes: usize,
}

impl Fifo {
    fn new(region: Range<usize>) -> Self {
        Self { region, packets: VecDeque::new(), bytes: 0 }
    }

    /// Room for so many bytes behind the newest packet, or at the beginning of the region.
    fn place(&self, len: usize) -> Option<Range<usize>> {
        let Range { start, end } = self.region;
        let (Some(oldest), Some(newest)) = (self.packets.front(), self.packets.back()) else {
            return (len <= self.region.len()).then_some(start..start + len);
        };
        let behind = newest.place.end;
        let is_wrapped = behind <= oldest.place.start;
        let end = if is_wrapped { oldest.place.start } else { end };
        if behind + len <= end {
            return Some(behind..behind + len);
        }
        // Short of the oldest one, so that a full region cannot be taken for an empty one.
        (!is_wrapped && start + len < oldest.place.start).then_some(start..start + len)
    }
}

#[derive(Debug)]
struct Limited {
    /// None while what waited under a limit that is gone is still there.
    bucket: Option<Bucket>,
    /// How much of the rate packets may have that go first.
    first_share: Bucket,
    codel: Codel,
    storage: PageBuffer,
    headroom: usize,
    /// Packets that came when nothing of their flow waited; each before all of `rest`.
    first: Fifo,
    rest: Fifo,
    /// How many packets wait of each flow. Flows with the same number count as one.
    backlog: Vec<u16>,
    is_touched: bool,
}

impl Limited {
    fn new(limit: RateLimit, headroom: usize, now: Instant) -> io::Result<Self> {
        let len = FIRST_QUEUE + usize::try_from(MAX_QUEUE).unwrap_or(usize::MAX);
        Ok(Self {
            bucket: Some(Bucket::new(limit, now)),
            first_share: Bucket::new(limit.half(), now),
            codel: Codel::new(now),
            storage: PageBuffer::new(len)?,
            headroom,
            first: Fifo::new(0..FIRST_QUEUE),
            rest: Fifo::new(FIRST_QUEUE..len),
            backlog: vec![0; FLOWS],
            is_touched: false,
        })
    }

    fn set_limit(&mut self, limit: Option<RateLimit>, now: Instant) {
        self.bucket = limit.map(|limit| Bucket::new(limit, now));
        if let Some(limit) = limit {
            self.first_share = Bucket::new(limit.half(), now);
        }
    }

    fn is_empty(&self) -> bool {
        self.first.packets.is_empty() && self.rest.packets.is_empty()
    }

    fn offer(&mut self, family: Family, packet: &[u8], now: Instant) -> Offer {
        let is_empty = self.is_empty();
        let Some(bucket) = &mut self.bucket else {
            return if is_empty { Offer::Pass } else { self.wait(family, packet, now, MAX_QUEUE) };
        };
        // What comes must not overtake what waits.
        if is_empty && bucket.take(packet.len(), now) {
            return Offer::Pass;
        }
        let limit = bucket.queue_limit();
        self.wait(family, packet, now, limit)
    }

    fn wait(&mut self, family: Family, packet: &[u8], now: Instant, limit: u64) -> Offer {
        let flow = flow_of(packet);
        let backlog = flow.and_then(|flow| self.backlog.get(flow));
        let room = self.headroom + packet.len();
        if backlog == Some(&0)
            && let Some(place) = self.first.place(room)
            && self.first_share.take(packet.len(), now)
        {
            return self.put(true, Waiting { family, place, since: now, flow }, packet);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.rest.bytes + packet.len() > limit {
            return Offer::Dropped;
        }
        let Some(place) = self.rest.place(room) else { return Offer::Dropped };
        self.put(false, Waiting { family, place, since: now, flow }, packet)
    }

    fn put(&mut self, is_first: bool, waiting: Waiting, packet: &[u8]) -> Offer {
        let place = waiting.place.clone();
        let Some(room) = self.storage.get_mut(place.start + self.headroom..place.end) else {
            return Offer::Dropped;
        };
        room.copy_from_slice(packet);
        self.is_touched = true;
        if let Some(count) = waiting.flow.and_then(|flow| self.backlog.get_mut(flow)) {
            *count = count.saturating_add(1);
        }
        let fifo = if is_first { &mut self.first } else { &mut self.rest };
        fifo.bytes += packet.len();
        fifo.packets.push_back(waiting);
        Offer::Queued
    }

    /// Takes the next packet out: where it lies, without headroom.
    fn take(&mut self) -> Option<(Family, Range<usize>)> {
        let fifo = if self.first.packets.is_empty() { &mut self.rest } else { &mut self.first };
        let Waiting { family, place, flow, .. } = fifo.packets.pop_front()?;
        let packet = place.start + self.headroom..place.end;
        fifo.bytes -= packet.len();
        if let Some(count) = flow.and_then(|flow| self.backlog.get_mut(flow)) {
            *count = count.saturating_sub(1);
        }
        Some((family, packet))
    }

    fn pop(&mut self, now: Instant) -> (Option<(Family, Range<usize>)>, u64) {
        let mut dropped = 0;
        loop {
            let is_first = !self.first.packets.is_empty();
            let Some(oldest) = self.oldest() else {
                self.codel.emptied();
                return (None, dropped);
            };
            let len = oldest.place.len() - self.headroom;
            let waited = now.saturating_duration_since(oldest.since);
            if let Some(bucket) = &mut self.bucket {
                if !bucket.has(len, now) {
                    return (None, dropped);
                }
                if !is_first && self.codel.is_to_be_dropped(waited, self.rest.bytes, bucket.target(), now) {
                    dropped += 1;
                    let _ = self.take();
                    continue;
                }
                let _ = bucket.take(len, now);
            }
            return (self.take(), dropped);
        }
    }

    /// The packet that is next.
    fn oldest(&self) -> Option<&Waiting> {
        self.first.packets.front().or_else(|| self.rest.packets.front())
    }

    fn next_time(&self) -> Option<Instant> {
        let oldest = self.oldest()?;
        let len = oldest.place.len() - self.headroom;
        Some(self.bucket.as_ref().map_or(oldest.since, |bucket| bucket.time_for(len)))
    }
}

/// A token bucket, whose tokens are the nanoseconds that a packet takes at the rate.
#[derive(Debug)]
struct Bucket {
    kbit_per_second: u64,
    /// Nanoseconds in which an empty bucket fills.
    depth: u64,
    /// When the bucket is full again.
    full_at: Instant,
}

impl Bucket {
    fn new(limit: RateLimit, now: Instant) -> Self {
        let kbit_per_second = u64::from(limit.kbit_per_second.max(1));
        let mut bucket = Self { kbit_per_second, depth: 0, full_at: now };
        let least = bucket.cost(MIN_BURST);
        bucket.depth = match limit.burst {
            0 => u64::try_from(DEFAULT_BURST.as_nanos()).unwrap_or(u64::MAX).max(least),
            burst => bucket.cost(burst.into()).max(least),
        };
        bucket
    }

    /// Nanoseconds that so many bytes take.
    fn cost(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(8 * NANOS_PER_SECOND / 1000) / self.kbit_per_second
    }

    fn packet_cost(&self, bytes: usize) -> u64 {
        self.cost(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// When a packet may go. One that is larger than the bucket may go when that is full.
    fn time_for(&self, bytes: usize) -> Instant {
        let left = self.depth.saturating_sub(self.packet_cost(bytes));
        self.full_at.checked_sub(Duration::from_nanos(left)).unwrap_or(self.full_at)
    }

    fn has(&self, bytes: usize, now: Instant) -> bool {
        self.time_for(bytes) <= now
    }

    fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let has = self.has(bytes, now);
        if has {
            self.full_at = self.full_at.max(now) + Duration::from_nanos(self.packet_cost(bytes));
        }
        has
    }

    /// Most bytes that may wait.
    fn queue_limit(&self) -> u64 {
        (self.kbit_per_second * 1000 / 8 / QUEUE_TIME_DIVISOR).clamp(MIN_QUEUE, MAX_QUEUE)
    }

    /// How long packets may wait for long: at least as long as one takes, and a half (RFC 8289 §4.3).
    fn target(&self) -> Duration {
        Duration::from_nanos(self.cost(1500) * 3 / 2)
    }
}

#[cfg(test)]
mod tests;
