//! How fast a session's traffic flows, kept by looking at its counters now and then.

use std::time::{Duration, Instant};

use ppp_ipc::control::{SessionRates, Traffic};

/// Time between two looks at all sessions. The window of a rate is between one and two of these long.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// Two looks at a session's counters, and when they moved last.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateMeter {
    older: Look,
    newer: Look,
    moved: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    traffic: Traffic,
}

impl RateMeter {
    /// For a session that begins now.
    pub(super) fn new(now: Instant) -> Self {
        let look = Look { at: now, traffic: Traffic::default() };
        Self { older: look, newer: look, moved: now }
    }

    /// Looks at the counters.
    pub(super) fn tick(&mut self, traffic: Traffic, now: Instant) {
        if has_moved(&self.newer.traffic, &traffic) {
            self.moved = now;
        }
        self.older = std::mem::replace(&mut self.newer, Look { at: now, traffic });
    }

    /// The rates until now, of a session that has lasted long enough to tell.
    pub(super) fn rates(&self, traffic: Traffic, now: Instant) -> Option<SessionRates> {
        let window = now.saturating_duration_since(self.older.at);
        let milliseconds =
            u64::try_from(window.as_millis()).ok().filter(|milliseconds| *milliseconds >= 1000)?;
        // The counters are the worker's, who may have them go back.
        let rate = |then: u64, now: u64| now.saturating_sub(then).saturating_mul(8000) / milliseconds;
        Some(SessionRates {
            rx_bits_per_s: rate(self.older.traffic.rx_bytes, traffic.rx_bytes),
            tx_bits_per_s: rate(self.older.traffic.tx_bytes, traffic.tx_bytes),
            window_ms: milliseconds,
        })
    }

    /// When packets of data flowed last, as far as is known: up to [`INTERVAL`] late.
    pub(super) fn last_moved(&self, traffic: &Traffic, now: Instant) -> Instant {
        if has_moved(&self.newer.traffic, traffic) { now } else { self.moved }
    }
}

fn has_moved(before: &Traffic, after: &Traffic) -> bool {
    (before.rx_packets, before.tx_packets) != (after.rx_packets, after.tx_packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(rx_bytes: u64, tx_bytes: u64) -> Traffic {
        Traffic { rx_packets: rx_bytes / 100, rx_bytes, tx_packets: tx_bytes / 100, tx_bytes }
    }

    #[test]
    fn rates_are_of_the_last_seconds() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut meter = RateMeter::new(start);
        assert_eq!(meter.rates(traffic(500, 500), start), None);
        let rates = meter.rates(traffic(1000, 2000), after(2)).unwrap();
        assert_eq!((rates.rx_bits_per_s, rates.tx_bits_per_s, rates.window_ms), (4000, 8000, 2000));
        meter.tick(traffic(1_000_000, 0), after(10));
        meter.tick(traffic(1_000_000, 1000), after(20));
        let rates = meter.rates(traffic(1_000_000, 2000), after(25)).unwrap();
        assert_eq!((rates.rx_bits_per_s, rates.tx_bits_per_s, rates.window_ms), (0, 2000 * 8 / 15, 15_000));
        let lies = meter.rates(traffic(0, u64::MAX), after(25)).unwrap();
        assert_eq!(lies.rx_bits_per_s, 0);
    }

    #[test]
    fn a_quiet_line_is_noticed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut meter = RateMeter::new(start);
        meter.tick(traffic(100, 0), after(10));
        meter.tick(traffic(100, 0), after(20));
        assert_eq!(meter.last_moved(&traffic(100, 0), after(25)), after(10));
        assert_eq!(meter.last_moved(&traffic(100, 100), after(25)), after(25));
    }
}
