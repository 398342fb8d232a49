//! Token buckets: so much at once, and so much per second from then on. Integers only.
//!
//! A bucket is one number, the moment at which it will be full again; a token that is taken puts that moment off by
//! the time in which one token comes in. That is the same as counting tokens, without having to refill.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Instant;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How much is allowed: a rate, and how much of it may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// So many per second, and one second's worth at once. Never more than that; up to one in a million less, because
    /// the time between two is whole nanoseconds.
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second }
    }

    /// The same rate with another burst.
    #[must_use]
    pub const fn with_burst(self, burst: NonZeroU32) -> Self {
        Self { burst, ..self }
    }

    /// How many may come at once.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Nanoseconds in which one token comes in.
    fn interval(self) -> u64 {
        NANOS_PER_SECOND.div_ceil(u64::from(self.per_second.get()))
    }
}

/// Shown as the flags take it, per second; the burst is told if it is another number.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.burst == self.per_second {
            true => self.per_second.fmt(f),
            false => write!(f, "{}, at once {}", self.per_second, self.burst),
        }
    }
}

/// One bucket. It is full at first.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: Rate,
    epoch: Instant,
    full_at: u64,
}

impl TokenBucket {
    /// `epoch` is the present, or any moment before.
    pub fn new(rate: Rate, epoch: Instant) -> Self {
        Self { rate, epoch, full_at: 0 }
    }

    /// Takes a token if there is one. A `now` before an earlier one brings no tokens in, and costs none.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        self.take_leaving(0, now)
    }

    /// Takes a token if `reserve` others are left then.
    #[must_use]
    pub fn take_leaving(&mut self, reserve: u32, now: Instant) -> bool {
        let now = nanos(self.epoch, now);
        let there_is = has_token(self.full_at, self.rate, reserve, now);
        if there_is {
            self.full_at = after_taking(self.full_at, self.rate, now);
        }
        there_is
    }
}

/// Nanoseconds from `epoch` to `now`, for the functions below; enough for 584 years.
pub(crate) fn nanos(epoch: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX)
}

/// Whether the bucket that is full at `full_at` has more than `reserve` tokens. A new bucket's `full_at` is 0.
pub(crate) fn has_token(full_at: u64, rate: Rate, reserve: u32, now: u64) -> bool {
    // Both factors have 32 bits.
    let depth = u64::from(rate.burst().saturating_sub(reserve)) * rate.interval();
    after_taking(full_at, rate, now) - now <= depth
}

/// When the bucket is full again after one token more was taken. At least `now`.
pub(crate) fn after_taking(full_at: u64, rate: Rate, now: u64) -> u64 {
    full_at.max(now).saturating_add(rate.interval())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate::per_second(per_second.try_into().unwrap()).with_burst(burst.try_into().unwrap())
    }

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut bucket = TokenBucket::new(rate(10, 3), start);
        let mut taken = |millis| std::iter::from_fn(|| bucket.take(at(millis)).then_some(())).count();
        assert_eq!([taken(0), taken(0), taken(99), taken(100), taken(199), taken(400)], [3, 0, 0, 1, 0, 3]);
        assert_eq!(taken(60_000), 3, "it does not overflow");
        assert_eq!(taken(1_000), 0, "a clock that goes back brings nothing");
        assert_eq!(taken(60_100), 1, "and costs nothing");
    }

    #[test]
    fn a_reserve_is_left_alone() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(rate(10, 4), start);
        assert_eq!(
            [3, 3, 2, 0, 0].map(|reserve| bucket.take_leaving(reserve, start)),
            [true, false, true, true, true]
        );
        assert!(!bucket.take(start));
        assert!(!bucket.take_leaving(4, start + Duration::from_secs(9)), "a reserve as large as the bucket");
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        let start = Instant::now();
        let mut fastest = TokenBucket::new(rate(u32::MAX, u32::MAX), start);
        let mut slowest = TokenBucket::new(rate(1, u32::MAX), start);
        for _ in 0..1000 {
            assert!(fastest.take(start) && slowest.take(start));
        }
        assert!(has_token(u64::MAX, rate(1, 1), 0, u64::MAX), "the end of time");
    }

    proptest! {
        /// Over any stretch of time: never more than the burst and the rate allow; and never less, if somebody asks
        /// often enough.
        #[test]
        fn keeps_to_its_rate(
            per_second in 1_u32..5000,
            burst in 1_u32..200,
            gaps in prop::collection::vec(0_u64..30_000_000, 1..400),
        ) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(rate(per_second, burst), start);
            let mut now = start;
            let mut taken: Vec<Instant> = Vec::new();
            let mut refused: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_nanos(gap);
                if bucket.take(now) { taken.push(now) } else { refused.push(now) }
            }
            let worth = |from: Instant, to: Instant| {
                (to - from).as_nanos() * u128::from(per_second) / u128::from(NANOS_PER_SECOND)
            };
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    prop_assert!((last - first + 1) as u128 <= u128::from(burst) + worth(*from, *to) + 1);
                }
            }
            // Refused only when everything that came in since the start was spent, but for overflow and rounding.
            for at in refused {
                let spent = taken.iter().filter(|when| **when <= at).count() as u128;
                prop_assert!(spent >= u128::from(burst));
            }
        }

        /// The same as a bucket that counts tokens, in units so small that it is exact.
        #[test]
        fn agrees_with_counting(
            // Divisors of a second in nanoseconds, so that the interval is not rounded.
            per_second in prop::sample::select(vec![1_u32, 2, 10, 500, 2000, 10_000]),
            burst in 1_u32..50,
            steps in prop::collection::vec((0_u64..300_000_000, 0_u32..4), 1..300),
        ) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(rate(per_second, burst), start);
            let mut now = start;
            let full = u128::from(burst) * u128::from(NANOS_PER_SECOND);
            let mut level = full;
            for (gap, reserve) in steps {
                now += Duration::from_nanos(gap);
                level = full.min(level + u128::from(gap) * u128::from(per_second));
                let wanted = (u128::from(reserve) + 1) * u128::from(NANOS_PER_SECOND);
                let expected = level >= wanted;
                prop_assert_eq!(bucket.take_leaving(reserve, now), expected);
                if expected {
                    level -= u128::from(NANOS_PER_SECOND);
                }
            }
        }
    }
}
