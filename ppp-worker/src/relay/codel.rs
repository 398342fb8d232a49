//! Controlled Delay (RFC 8289): which packets to drop so that a queue does not stand.

use std::time::{Duration, Instant};

/// How long packets may wait for long (RFC 8289 §4.3).
const TARGET: Duration = Duration::from_millis(5);
/// How long "for long" is: about a round trip (RFC 8289 §4.2).
const INTERVAL: Duration = Duration::from_millis(100);
/// A queue of no more than one packet is none.
const ONE_PACKET: usize = 1500;

/// The state of a queue, as in RFC 8289 §5.
#[derive(Debug)]
pub(super) struct Codel {
    /// When packets will have waited too long for long; none while they do not.
    first_above: Option<Instant>,
    is_dropping: bool,
    drop_next: Instant,
    /// Packets dropped since this spell of dropping began.
    count: u32,
    last_count: u32,
}

impl Codel {
    pub(super) fn new(now: Instant) -> Self {
        Self { first_above: None, is_dropping: false, drop_next: now, count: 0, last_count: 0 }
    }

    /// The queue is empty.
    pub(super) fn emptied(&mut self) {
        self.first_above = None;
        self.is_dropping = false;
    }

    /// Whether the packet at the head, which has waited so long in front of a queue of so many bytes, itself
    /// included, is to be dropped. `target` is what is reasonable for the rate, if that is more than usual.
    pub(super) fn is_to_be_dropped(
        &mut self,
        waited: Duration,
        bytes: usize,
        target: Duration,
        now: Instant,
    ) -> bool {
        let is_late = self.is_late_for_long(waited, bytes, target.max(TARGET), now);
        if self.is_dropping {
            if !is_late {
                self.is_dropping = false;
            } else if now >= self.drop_next {
                self.count = self.count.saturating_add(1);
                self.drop_next = control_law(self.drop_next, self.count);
                return true;
            }
            return false;
        }
        if !is_late {
            return false;
        }
        self.is_dropping = true;
        // The rate of dropping that was right a short time ago is a good one to begin with.
        let dropped = self.count.saturating_sub(self.last_count);
        let is_recent = now.saturating_duration_since(self.drop_next) < 16 * INTERVAL;
        self.count = if dropped > 1 && is_recent { dropped } else { 1 };
        self.drop_next = control_law(now, self.count);
        self.last_count = self.count;
        true
    }

    fn is_late_for_long(&mut self, waited: Duration, bytes: usize, target: Duration, now: Instant) -> bool {
        if waited < target || bytes <= ONE_PACKET {
            self.first_above = None;
            return false;
        }
        let first_above = *self.first_above.get_or_insert(now + INTERVAL);
        now >= first_above
    }
}

/// The time of the next drop: sooner after each, by the square root of their number.
fn control_law(from: Instant, count: u32) -> Instant {
    let interval = u64::try_from(INTERVAL.as_nanos()).unwrap_or(u64::MAX);
    // 2^10 times the root, for the sake of its fraction.
    let root = (u64::from(count.max(1)) << 20).isqrt();
    from + Duration::from_nanos((interval << 10) / root)
}
