//! When a busy line is left alone for a moment.
//!
//! A worker that fetches frames as they come is woken for every few of them, and each handful goes through the kernel on its own,
//! up and down the stack, with an acknowledgement of its own. So it lets them gather, for some tens of microseconds, as
//! network cards do that moderate their interrupts. Nobody waits who is not part of a stream: a packet that comes
//! alone, or with a few others, is fetched at once, and so is whatever comes after it.

use std::time::Duration;

/// Frames in a batch from which on more are about to come.
const STREAM: usize = 8;
/// Bytes that went the other way in the same round, from which on that way would be held up: more than a stream is
/// acknowledged with.
const BULK: usize = 4096;

/// What came and went since it was last asked whether to wait.
#[derive(Debug)]
pub struct Pace {
    pause: Duration,
    is_stream: bool,
    sent: usize,
}

impl Pace {
    /// `pause` is how long frames may gather; zero for not at all.
    #[must_use]
    pub fn new(pause: Duration) -> Self {
        Self { pause, is_stream: false, sent: 0 }
    }

    /// So many frames came in one batch, of `capacity` at most.
    pub fn note_received(&mut self, count: usize, capacity: usize) {
        // A full batch is followed by what did not fit into it.
        self.is_stream = (STREAM..capacity).contains(&count);
    }

    /// So many bytes went to the peer.
    pub fn note_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// How long to let frames gather before they are looked for again.
    #[must_use]
    pub fn take_pause(&mut self) -> Option<Duration> {
        let (is_stream, sent) = (std::mem::take(&mut self.is_stream), std::mem::take(&mut self.sent));
        (is_stream && sent < BULK && !self.pause.is_zero()).then_some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_micros(50);
    const CAPACITY: usize = 64;

    fn pause_after(received: &[usize], sent: usize) -> Option<Duration> {
        let mut pace = Pace::new(PAUSE);
        received.iter().for_each(|&count| pace.note_received(count, CAPACITY));
        pace.note_sent(sent);
        pace.take_pause()
    }

    #[test]
    fn only_a_stream_is_waited_for() {
        for (received, sent, expected) in [
            (&[][..], 0, None),
            (&[1], 0, None),
            (&[STREAM - 1], 0, None),
            (&[STREAM], 0, Some(PAUSE)),
            (&[CAPACITY - 1], 0, Some(PAUSE)),
            // More waits already.
            (&[CAPACITY], 0, None),
            (&[CAPACITY, 1], 0, None),
            (&[CAPACITY, STREAM], 0, Some(PAUSE)),
            // The kernel has more for the peer than acknowledgements.
            (&[STREAM], BULK - 1, Some(PAUSE)),
            (&[STREAM], BULK, None),
        ] {
            assert_eq!(pause_after(received, sent), expected, "{received:?} {sent}");
        }
    }

    #[test]
    fn it_is_waited_once() {
        let mut pace = Pace::new(PAUSE);
        pace.note_received(STREAM, CAPACITY);
        assert_eq!(pace.take_pause(), Some(PAUSE));
        assert_eq!(pace.take_pause(), None);
    }

    #[test]
    fn what_was_sent_before_the_last_pause_does_not_count() {
        let mut pace = Pace::new(PAUSE);
        pace.note_sent(BULK);
        assert_eq!(pace.take_pause(), None);
        pace.note_received(STREAM, CAPACITY);
        assert_eq!(pace.take_pause(), Some(PAUSE));
    }

    #[test]
    fn without_a_pause_there_is_none() {
        let mut pace = Pace::new(Duration::ZERO);
        pace.note_received(STREAM, CAPACITY);
        assert_eq!(pace.take_pause(), None);
        // One packet per call: each batch is full.
        let mut pace = Pace::new(PAUSE);
        pace.note_received(1, 1);
        assert_eq!(pace.take_pause(), None);
    }
}
