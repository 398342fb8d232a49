//! Lines of the log that others can cause: a few a minute, with how many were left out.

use std::collections::HashMap;
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

/// Texts that are remembered.
const MAX_TEXTS: usize = 256;

/// Texts that come again and again: each is told once a minute, and so many in a minute.
#[derive(Debug, Default)]
pub struct RepeatedTexts(HashMap<String, Instant>);

impl RepeatedTexts {
    /// Whether a text is to be written.
    pub fn is_news(&mut self, text: &str, now: Instant) -> bool {
        let is_old = |told: Instant| now.saturating_duration_since(told) >= SILENCE;
        if self.0.get(text).is_some_and(|told| !is_old(*told)) {
            return false;
        }
        if self.0.len() >= MAX_TEXTS {
            self.0.retain(|_, told| !is_old(*told));
        }
        let has_room = self.0.len() < MAX_TEXTS;
        if has_room {
            self.0.insert(text.to_owned(), now);
        }
        has_room
    }
}

impl LogLimit {
    /// So many lines a minute.
    pub fn of(lines: u32) -> Self {
        Self { lines, since: None, told: 0, left_out: 0 }
    }

    /// Whether no more lines are written for now.
    pub fn is_used_up(&self, now: Instant) -> bool {
        self.told >= self.lines
            && self.since.is_some_and(|since| now.saturating_duration_since(since) < SILENCE)
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
        assert_eq!([62, 119, 120].map(|second| limit.is_used_up(at(second))), [true, true, false]);
        assert!(!LogLimit::of(2).is_used_up(start));
    }

    #[test]
    fn a_text_that_comes_again_and_again_is_told_once_a_minute() {
        let start = Instant::now();
        let mut texts = RepeatedTexts::default();
        let news = [(0, "a"), (1, "a"), (1, "b"), (59, "a"), (60, "a"), (61, "b")]
            .map(|(second, text)| texts.is_news(text, start + Duration::from_secs(second)));
        assert_eq!(news, [true, false, true, false, true, true]);
        let mut texts = RepeatedTexts::default();
        let told = (0..1000).filter(|number: &u32| texts.is_news(&number.to_string(), start)).count();
        assert_eq!((told, texts.0.len()), (MAX_TEXTS, MAX_TEXTS));
        assert!(texts.is_news("1000", start + SILENCE));
    }
}
