//! One deadline per session, the nearest first.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::Token;

/// The deadline of each session that has one.
///
/// Every state that is not `open` has one (nothing half-open stays), and an open session has one when its
/// time is limited.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BTreeSet<(Instant, Token)>,
    of: HashMap<Token, Instant>,
}

impl Deadlines {
    /// Sets, moves or (with `None`) removes the deadline of `token`.
    pub(super) fn set(&mut self, token: Token, deadline: Option<Instant>) {
        if let Some(old) = self.of.remove(&token) {
            self.queue.remove(&(old, token));
        }
        if let Some(at) = deadline {
            self.of.insert(token, at);
            self.queue.insert((at, token));
        }
    }

    /// The deadline of one session.
    pub(super) fn of(&self, token: Token) -> Option<Instant> {
        self.of.get(&token).copied()
    }

    /// The nearest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out one session whose deadline is `now` or earlier.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Token> {
        let (at, token) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.set(token, None);
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_nearest_comes_first_and_only_when_due() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.set(Token(1), Some(after(9)));
        deadlines.set(Token(2), Some(after(5)));
        deadlines.set(Token(3), Some(after(7)));
        deadlines.set(Token(2), Some(after(8)));
        deadlines.set(Token(3), None);
        assert_eq!(deadlines.next(), Some(after(8)));
        assert_eq!(deadlines.pop_expired(after(7)), None);
        assert_eq!(deadlines.pop_expired(after(8)), Some(Token(2)));
        assert_eq!(deadlines.pop_expired(after(8)), None);
        assert_eq!(deadlines.pop_expired(after(9)), Some(Token(1)));
        assert_eq!(deadlines.next(), None);
        assert!(deadlines.of.is_empty());
    }
}
