//! How much of the event loop's time consoles may take: half of it, and a little at once.
//!
//! Their requests go before the frames of discovery, so that an administrator is heard in a storm. Without a limit, a
//! console that asks as fast as it can would in turn leave no time for discovery.

use std::time::{Duration, Instant};

/// Time that consoles may take at once.
const BURST: Duration = Duration::from_millis(5);

/// A bucket that fills with the time that requests took, and empties as time goes by.
#[derive(Debug)]
pub(super) struct ConsoleShare {
    debt: Duration,
    at: Instant,
}

impl ConsoleShare {
    pub(super) fn new(now: Instant) -> Self {
        Self { debt: Duration::ZERO, at: now }
    }

    /// A request was answered, from `start` to `end`.
    pub(super) fn spend(&mut self, start: Instant, end: Instant) {
        let elapsed = start.saturating_duration_since(self.at);
        self.debt = self.debt.saturating_sub(elapsed) + end.saturating_duration_since(start);
        self.at = end;
    }

    /// When the next request may be heard.
    pub(super) fn next(&self) -> Instant {
        self.at + self.debt.saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_get_half_of_the_time_in_the_long_run() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut share = ConsoleShare::new(start);
        let (mut now, mut spent) = (start, Duration::ZERO);
        while now < start + Duration::from_secs(10) {
            now = now.max(share.next());
            share.spend(now, now + ms(1));
            now += ms(1);
            spent += ms(1);
        }
        assert!(spent > ms(4900) && spent < ms(5100), "{spent:?}");
    }

    #[test]
    fn a_few_requests_wait_for_nothing() {
        let start = Instant::now();
        let mut share = ConsoleShare::new(start);
        for request in 0..5 {
            let now = start + Duration::from_millis(request);
            assert!(share.next() <= now, "{request}");
            share.spend(now, now + Duration::from_millis(1));
        }
        assert!(share.next() <= start + Duration::from_millis(6));
    }
}
