//! Lines of the log that others can cause: a few a minute, with how many were left out.

use std::time::{Duration, Instant};

/// Time between two lines of a kind, or two batches of lines.
pub const SILENCE: Duration = Duration::from_secs(60);

/// The lines of one kind.
#[derive(Clone, Copy, Debug)]
pub struct LogLimit {
    lines: u32,
    since: Option<Instant>,
    told: u32,
    left_out: u64,
}

/// One line a minute.
impl Default for LogLimit {
    fn default() -> Self {
        Self::of(1)
    }
}

impl LogLimit {
    /// So many lines a minute.
    pub fn of(lines: u32) -> Self {
        Self { lines, since: None, told: 0, left_out: 0 }
    }

    /// Counts a line. `Some` if it is to be written, with the number of those that were left out since the last one.
    pub fn count(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SILENCE) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told >= self.lines {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_minute_with_the_number_of_the_others() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut limit = LogLimit::default();
        let counts = [0, 1, 59, 60, 61, 200].map(|second| limit.count(at(second)));
        assert_eq!(counts, [Some(0), None, None, Some(2), None, Some(1)]);
        let mut limit = LogLimit::of(2);
        let counts = [0, 1, 2, 3, 60, 61, 62].map(|second| limit.count(at(second)));
        assert_eq!(counts, [Some(0), Some(0), None, None, Some(2), Some(0), None]);
    }
}
