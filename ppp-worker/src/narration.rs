//! What passes on the link, in words, for the time that somebody wants it in the log (`pppctl set debug`).
//!
//! The words are made here and not by `pppoed`, which reads no bytes of peers for this. A peer that sends a thousand
//! packets a second must neither fill the socket nor use up the messages that this worker may send: lines are
//! sent together, at most once a second, and what is too much is counted.

use std::time::{Duration, Instant};

use ppp_ipc::worker::{FromWorker, MAX_DESCRIBED, MAX_DESCRIBED_LINE};
use ppp_wire::describe::Description;

/// Time between two messages.
const INTERVAL: Duration = Duration::from_secs(1);

/// The lines that wait.
#[derive(Debug, Default)]
pub(crate) struct Narration {
    on: bool,
    lines: Vec<String>,
    more: u32,
    last: Option<Instant>,
}

impl Narration {
    pub(crate) fn switch(&mut self, on: bool) {
        *self = Self { on, last: self.last, ..Self::default() };
    }

    /// A packet, from its Protocol field on.
    pub(crate) fn note(&mut self, is_from_peer: bool, packet: &[u8]) {
        if !self.on {
            return;
        }
        if self.lines.len() == MAX_DESCRIBED {
            self.more = self.more.saturating_add(1);
            return;
        }
        let way = if is_from_peer { "rcvd" } else { "sent" };
        let mut line = format!("{way} {}", Description::of_ppp(packet));
        if line.len() > MAX_DESCRIBED_LINE {
            line.truncate(line.floor_char_boundary(MAX_DESCRIBED_LINE));
        }
        self.lines.push(line);
    }

    /// When there is something to be sent.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waits = !self.lines.is_empty();
        // Never sent yet: at once, which any time in the past is.
        waits.then(|| self.last.map_or_else(Instant::now, |last| last + INTERVAL))
    }

    /// What is to be sent now; with `all` also before its time.
    pub(crate) fn take(&mut self, all: bool, now: Instant) -> Option<FromWorker> {
        let is_due = self.last.is_none_or(|last| last + INTERVAL <= now);
        if self.lines.is_empty() || !(all || is_due) {
            return None;
        }
        self.last = Some(now);
        let (lines, more) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.more));
        Some(FromWorker::Described { lines, more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: [u8; 10] = [0xc0, 0x21, 9, 7, 0, 8, 0, 0, 0, 1];

    fn told(message: Option<FromWorker>) -> (usize, u32) {
        match message {
            Some(FromWorker::Described { lines, more }) => (lines.len(), more),
            None => (0, 0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_noted_unless_somebody_wants_it() {
        let (mut narration, now) = (Narration::default(), Instant::now());
        narration.note(true, &ECHO);
        assert!(narration.poll_timeout().is_none() && narration.take(true, now).is_none());
        narration.switch(true);
        narration.note(true, &ECHO);
        let Some(FromWorker::Described { lines, more: 0 }) = narration.take(false, now) else { panic!() };
        assert_eq!(lines, ["rcvd LCP Echo-Request id=7 magic_number=0x00000001"]);
        narration.note(false, &ECHO);
        narration.switch(false);
        assert!(narration.take(true, now).is_none());
    }

    #[test]
    fn a_flood_is_a_message_a_second_and_a_number() {
        let (mut narration, start) = (Narration::default(), Instant::now());
        narration.switch(true);
        narration.note(true, &ECHO);
        assert_eq!(told(narration.take(false, start)), (1, 0));
        for _ in 0..1000 {
            narration.note(true, &ECHO);
        }
        let soon = start + Duration::from_millis(999);
        assert_eq!(told(narration.take(false, soon)), (0, 0));
        let due = narration.poll_timeout().unwrap();
        assert_eq!(due, start + INTERVAL);
        assert_eq!(
            told(narration.take(false, due)),
            (MAX_DESCRIBED, 1000 - u32::try_from(MAX_DESCRIBED).unwrap())
        );
        // The last ones do not wait.
        narration.note(false, &ECHO);
        assert_eq!(told(narration.take(true, due)), (1, 0));
        // The longest packet.
        narration.note(true, &[&[0xc0, 0x21, 1, 1, 5, 0xdc][..], &[13, 3, 7].repeat(492)].concat());
        let later = due + INTERVAL;
        let Some(FromWorker::Described { lines, .. }) = narration.take(false, later) else { panic!() };
        assert!(lines[0].len() <= MAX_DESCRIBED_LINE);
    }
}
