//! A rate limit of one direction: a token bucket, and a short queue in front of it.
//!
//! What has tokens passes at once and is not copied. What has none waits in the queue; CoDel (RFC 8289) keeps what
//! waits from standing there: so that a download does not delay everything else of the line, packets are dropped when
//! all have waited too long for a while, which makes TCP send slower. Without a limit or without a backlog there is no
//! timer, and without a limit no memory.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use ppp_linux::pages::PageBuffer;

use super::codel::Codel;
use crate::grant::Family;

/// How long a bucket takes to fill, unless a burst is configured: longer than a process may wait for its turn.
const DEFAULT_BURST: Duration = Duration::from_millis(20);
/// Least burst in bytes: two full packets.
const MIN_BURST: u64 = 2 * 1500;
/// What the queue holds at most: so much time at the rate, within bounds in bytes.
const QUEUE_TIME_DIVISOR: u64 = 5;
const MIN_QUEUE: u64 = 32 << 10;
const MAX_QUEUE: u64 = 1 << 20;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A rate and what may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// In kbit/s, of IP packets from their header on; at least 1.
    pub(crate) kbit_per_second: u32,
    /// In bytes; 0 for what is good for the rate.
    pub(crate) burst: u32,
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
                limited.bucket = limit.map(|limit| Bucket::new(limit, now));
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
            && limited.packets.is_empty()
        {
            limited.is_touched = false;
            limited.storage.give_back();
        }
    }

    /// Without a limit and a backlog there is nothing to keep.
    fn forget(&mut self) {
        if self.0.as_ref().is_some_and(|limited| limited.bucket.is_none() && limited.packets.is_empty()) {
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
}

#[derive(Debug)]
struct Limited {
    /// None while what waited under a limit that is gone is still there.
    bucket: Option<Bucket>,
    codel: Codel,
    storage: PageBuffer,
    headroom: usize,
    packets: VecDeque<Waiting>,
    /// Of the packets that wait.
    bytes: usize,
    is_touched: bool,
}

impl Limited {
    fn new(limit: RateLimit, headroom: usize, now: Instant) -> io::Result<Self> {
        Ok(Self {
            bucket: Some(Bucket::new(limit, now)),
            codel: Codel::new(now),
            storage: PageBuffer::new(usize::try_from(MAX_QUEUE).unwrap_or(usize::MAX))?,
            headroom,
            packets: VecDeque::new(),
            bytes: 0,
            is_touched: false,
        })
    }

    fn offer(&mut self, family: Family, packet: &[u8], now: Instant) -> Offer {
        let Some(bucket) = &mut self.bucket else {
            return if self.packets.is_empty() {
                Offer::Pass
            } else {
                self.wait(family, packet, now, MAX_QUEUE)
            };
        };
        // What comes must not overtake what waits.
        if self.packets.is_empty() && bucket.take(packet.len(), now) {
            return Offer::Pass;
        }
        let limit = bucket.queue_limit();
        self.wait(family, packet, now, limit)
    }

    fn wait(&mut self, family: Family, packet: &[u8], now: Instant, limit: u64) -> Offer {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.bytes + packet.len() > limit {
            return Offer::Dropped;
        }
        let Some(place) = self.place(self.headroom + packet.len()) else { return Offer::Dropped };
        let Some(room) = self.storage.get_mut(place.start + self.headroom..place.end) else {
            return Offer::Dropped;
        };
        room.copy_from_slice(packet);
        self.is_touched = true;
        self.bytes += packet.len();
        self.packets.push_back(Waiting { family, place, since: now });
        Offer::Queued
    }

    /// Room for so many bytes behind the newest packet, or at the beginning of the storage.
    fn place(&self, len: usize) -> Option<Range<usize>> {
        let (Some(oldest), Some(newest)) = (self.packets.front(), self.packets.back()) else {
            return (len <= self.storage.len()).then_some(0..len);
        };
        let behind = newest.place.end;
        let is_wrapped = behind <= oldest.place.start;
        let end = if is_wrapped { oldest.place.start } else { self.storage.len() };
        if behind + len <= end {
            return Some(behind..behind + len);
        }
        // Short of the oldest one, so that a full storage cannot be taken for an empty one.
        (!is_wrapped && len < oldest.place.start).then_some(0..len)
    }

    fn pop(&mut self, now: Instant) -> (Option<(Family, Range<usize>)>, u64) {
        let mut dropped = 0;
        loop {
            let Some(oldest) = self.packets.front() else {
                self.codel.emptied();
                return (None, dropped);
            };
            let packet = oldest.place.start + self.headroom..oldest.place.end;
            if let Some(bucket) = &mut self.bucket {
                if !bucket.has(packet.len(), now) {
                    return (None, dropped);
                }
                let waited = now.saturating_duration_since(oldest.since);
                if self.codel.is_to_be_dropped(waited, self.bytes, bucket.target(), now) {
                    dropped += 1;
                    self.bytes -= packet.len();
                    self.packets.pop_front();
                    continue;
                }
                let _ = bucket.take(packet.len(), now);
            }
            self.bytes -= packet.len();
            let family = oldest.family;
            self.packets.pop_front();
            return (Some((family, packet)), dropped);
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let oldest = self.packets.front()?;
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
