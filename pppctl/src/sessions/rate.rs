//! How much traffic sessions have now, from two lists of them.

use std::{collections::HashMap, time::Instant};

use ppp_ipc::control::{SessionSummary, Traffic};

use super::Entry;

/// Traffic per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// From the peer, in bits per second.
    pub(crate) rx: u64,
    /// To the peer, in bits per second.
    pub(crate) tx: u64,
}

/// The list of before.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    at: Option<Instant>,
    /// By session id: since when the session is there is known by its age.
    seen: HashMap<u16, (u64, Traffic)>,
}

impl Meter {
    /// Adds the rates since the last list, where there was one that had the session.
    pub(crate) fn measure(&mut self, sessions: Vec<SessionSummary>, now: Instant) -> Vec<Entry> {
        let elapsed_ms = self.at.map_or(0, |at| now.saturating_duration_since(at).as_millis());
        let seen = std::mem::take(&mut self.seen);
        self.at = Some(now);
        self.seen = sessions.iter().map(|it| (it.id, (it.uptime_s, it.traffic))).collect();
        let measured = sessions.into_iter().map(|session| {
            // Another session of the same id is younger than the one of before.
            let before = seen.get(&session.id).filter(|(uptime, _)| *uptime <= session.uptime_s);
            let rate = before.and_then(|(_, before)| {
                Some(Rate {
                    rx: per_second(before.rx_bytes, session.traffic.rx_bytes, elapsed_ms)?,
                    tx: per_second(before.tx_bytes, session.traffic.tx_bytes, elapsed_ms)?,
                })
            });
            Entry { session, rate }
        });
        measured.collect()
    }
}

/// Bits per second; `None` when a counter went back or no time has passed.
fn per_second(before: u64, now: u64, elapsed_ms: u128) -> Option<u64> {
    let bits = u128::from(now.checked_sub(before)?) * 8 * 1000;
    u64::try_from(bits.checked_div(elapsed_ms)?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::output::samples;

    fn session(id: u16, uptime_s: u64, rx_bytes: u64) -> SessionSummary {
        SessionSummary {
            uptime_s,
            traffic: Traffic { rx_bytes, tx_bytes: 10, ..Traffic::default() },
            ..samples::summary(id)
        }
    }

    #[test]
    fn rates_are_differences() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let first = vec![session(1, 5, 1000), session(2, 5, 1000), session(3, 5, 1000)];
        assert!(meter.measure(first, start).iter().all(|entry| entry.rate.is_none()));
        // The second one was replaced, the third one's counter went back, the fourth one is new.
        let second = vec![session(1, 7, 3500), session(2, 1, 2000), session(3, 7, 500), session(4, 0, 9)];
        let rates: Vec<_> = meter
            .measure(second, start + Duration::from_secs(2))
            .into_iter()
            .map(|entry| entry.rate.map(|rate| (rate.rx, rate.tx)))
            .collect();
        assert_eq!(rates, [Some((10_000, 0)), None, None, None]);
        // Nothing is divided by no time.
        let again = meter.measure(vec![session(1, 7, 9999)], start + Duration::from_secs(2));
        assert!(again.iter().all(|entry| entry.rate.is_none()));
    }
}
