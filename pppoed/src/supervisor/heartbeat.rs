//! Workers of open sessions that hang: looked after at intervals, pinged when they seem silent, killed when deaf.
//!
//! Every other phase has a deadline of its own; an open session may last for years, so a worker that was stopped or loops
//! would keep its address for as long. A worker that does something for its peer leaves a stamp in the shared counters,
//! which costs nothing to look at: so a worker is woken only when it has done nothing since the last look, and every
//! [`MAX_SKIPPED`] looks, for one that relays and is deaf to us. With `lcp-echo-interval` shorter than `--heartbeat`
//! (it is, by default) the echo's answers are stamps, and an idle worker is woken by us once in five minutes.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::ToWorker;
use pppoed_config::config::Heartbeat;

use super::Supervisor;
use super::deadlines::Deadlines;
use super::session::Token;

/// Looks in a row at which a stamp is taken for an answer.
const MAX_SKIPPED: u32 = 9;
/// Time that the event loop must have run freely before a worker counts as deaf: its answer may be on its way through
/// our own queues.
const LAST_CALL: Duration = Duration::from_secs(1);
/// A look that comes so much later than it was due says that we were stopped or too busy ourselves.
const LATE: Duration = Duration::from_millis(500);

/// The heart-beats of all open sessions.
#[derive(Debug)]
pub(super) struct Heartbeats {
    rhythm: Option<Heartbeat>,
    looks: Deadlines,
    of: HashMap<Token, Pulse>,
}

#[derive(Debug)]
struct Pulse {
    /// When it is looked at next.
    due: Instant,
    /// When the next beat is, as long as no answer is missing.
    next_beat: Instant,
    /// Number of the last ping.
    sequence: u64,
    waiting: Waiting,
    /// The stamp at the last look.
    stamp: u64,
    /// Looks since the last ping.
    skipped: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For nothing.
    No,
    /// For the answer to the last ping.
    Yes,
    /// As above, and its time is over but for [`LAST_CALL`].
    LastCall,
}

/// What is to be done with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// Nothing.
    Fine,
    /// It is to be sent a ping with this number.
    Silent(u64),
    /// It is to be killed.
    Deaf,
}

impl Heartbeats {
    pub(super) fn new(rhythm: Option<Heartbeat>) -> Self {
        Self { rhythm, looks: Deadlines::default(), of: HashMap::new() }
    }

    /// Looks in another rhythm from now on, at these sessions.
    pub(super) fn set_rhythm(
        &mut self,
        rhythm: Option<Heartbeat>,
        open: impl Iterator<Item = Token>,
        now: Instant,
    ) {
        self.rhythm = rhythm;
        self.looks = Deadlines::default();
        for token in open {
            match self.of.get_mut(&token) {
                // An answer that is on its way still counts.
                Some(pulse) if pulse.waiting != Waiting::No => {
                    self.looks.set(token, rhythm.is_some().then_some(pulse.due));
                }
                _ => {
                    self.of.remove(&token);
                    self.begin(token, now);
                }
            }
        }
    }

    /// The session is open; does nothing if it has been before.
    pub(super) fn begin(&mut self, token: Token, now: Instant) {
        let Some(rhythm) = self.rhythm else { return };
        if self.of.contains_key(&token) {
            return;
        }
        // Sessions that opened (or were taken over) at once are spread over the interval, and stay so. Fibonacci
        // hashing puts each of consecutive numbers into the largest gap that there is.
        let part = (token.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) + 1;
        let wait = (rhythm.interval / 256).saturating_mul(u32::try_from(part).unwrap_or(256));
        let due = now + wait;
        let pulse =
            Pulse { due, next_beat: due, sequence: 0, waiting: Waiting::No, stamp: 0, skipped: MAX_SKIPPED };
        self.of.insert(token, pulse);
        self.looks.set(token, Some(due));
    }

    /// The session is over.
    pub(super) fn end(&mut self, token: Token) {
        self.of.remove(&token);
        self.looks.set(token, None);
    }

    /// When [`Supervisor::handle_heartbeats`] has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        self.looks.next()
    }

    /// Looks at a session whose look is due. `stamp` changes whenever its worker does something for its peer.
    fn look(&mut self, token: Token, stamp: u64, now: Instant) -> Finding {
        let (Some(rhythm), Some(pulse)) = (self.rhythm, self.of.get_mut(&token)) else {
            return Finding::Fine;
        };
        let late = now.saturating_duration_since(pulse.due) > LATE;
        let finding = match pulse.waiting {
            Waiting::LastCall if !late => Finding::Deaf,
            Waiting::LastCall | Waiting::Yes => {
                pulse.waiting = Waiting::LastCall;
                pulse.due = now + LAST_CALL;
                Finding::Fine
            }
            Waiting::No => {
                pulse.next_beat = now + rhythm.interval;
                let is_active = stamp != pulse.stamp;
                pulse.stamp = stamp;
                if is_active && pulse.skipped < MAX_SKIPPED {
                    pulse.skipped += 1;
                    pulse.due = pulse.next_beat;
                    Finding::Fine
                } else {
                    pulse.skipped = 0;
                    pulse.sequence += 1;
                    pulse.waiting = Waiting::Yes;
                    pulse.due = now + rhythm.timeout;
                    Finding::Silent(pulse.sequence)
                }
            }
        };
        self.looks.set(token, (finding != Finding::Deaf).then_some(pulse.due));
        finding
    }

    /// A worker answered. `Err` says which rule it broke.
    pub(super) fn pong(&mut self, token: Token, sequence: u64, now: Instant) -> Result<(), &'static str> {
        let pulse = self.of.get_mut(&token).ok_or("it answered a heart-beat that was not sent")?;
        if pulse.waiting == Waiting::No {
            return Err("it answered a heart-beat that was not sent");
        }
        if pulse.sequence != sequence {
            return Err("it answered another heart-beat than the one that was sent");
        }
        pulse.waiting = Waiting::No;
        pulse.due = pulse.next_beat.max(now);
        self.looks.set(token, self.rhythm.is_some().then_some(pulse.due));
        Ok(())
    }
}

impl Supervisor {
    /// A message says that a worker heard its ping.
    pub(super) fn handle_pong(
        &mut self,
        token: Token,
        sequence: u64,
        now: Instant,
    ) -> Result<(), &'static str> {
        self.heartbeats.pong(token, sequence, now)
    }

    /// Looks at the workers whose time has come.
    pub(super) fn handle_heartbeats(&mut self, now: Instant) {
        while let Some(token) = self.heartbeats.looks.pop_expired(now) {
            let Some(session) = self.table.get_mut(token).filter(|session| !session.machine.is_ending())
            else {
                // What ends has a deadline for that.
                self.heartbeats.end(token);
                continue;
            };
            match self.heartbeats.look(token, session.activity_stamp(), now) {
                Finding::Fine => {}
                Finding::Silent(sequence) => session.worker.send(ToWorker::Ping { sequence }),
                Finding::Deaf => {
                    let state = process_state(session.worker_pid);
                    let within = self.heartbeats.rhythm.map_or(0, |rhythm| rhythm.timeout.as_secs());
                    let detail =
                        format!("the worker did not answer a heart-beat within {within} s ({state})");
                    self.heartbeats.end(token);
                    self.kill(token, EndReason::WorkerCrash, &detail);
                }
            }
        }
    }
}

/// What a process is doing, in words.
fn process_state(pid: u32) -> &'static str {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything (proc_pid_stat(5)).
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    match state {
        Some('R') => "it is running, in a loop perhaps",
        Some('S') => "it is waiting",
        Some('D') => "it is stuck in the kernel",
        Some('T' | 't') => "it is stopped",
        Some('Z' | 'X') => "it is gone",
        _ => "nothing more is known of it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(10);
    const MILLI: Duration = Duration::from_millis(1);
    const ONE: Token = Token(1);

    fn heartbeats() -> Heartbeats {
        Heartbeats::new(Some(Heartbeat { interval: INTERVAL, timeout: TIMEOUT }))
    }

    /// Looks at the only session when it is due.
    fn look(beats: &mut Heartbeats, stamp: u64) -> (Instant, Finding) {
        let now = beats.next().unwrap();
        assert_eq!(beats.looks.pop_expired(now - MILLI), None);
        assert_eq!(beats.looks.pop_expired(now), Some(ONE));
        (now, beats.look(ONE, stamp, now))
    }

    #[test]
    fn silence_is_asked_about_and_activity_is_not() {
        let mut beats = heartbeats();
        beats.begin(ONE, Instant::now());
        // The first look always asks: it is what a worker that was adopted has to show.
        let (mut before, finding) = look(&mut beats, 5);
        assert_eq!(finding, Finding::Silent(1));
        beats.pong(ONE, 1, before + MILLI).unwrap();
        for stamp in 6..15 {
            let (now, finding) = look(&mut beats, stamp);
            assert_eq!((now - before, finding), (INTERVAL, Finding::Fine), "{stamp}");
            before = now;
        }
        // Active all the time, and asked nevertheless.
        let (now, finding) = look(&mut beats, 15);
        assert_eq!((now - before, finding), (INTERVAL, Finding::Silent(2)));
        beats.pong(ONE, 2, now).unwrap();
        let (now, finding) = look(&mut beats, 15);
        assert_eq!(finding, Finding::Silent(3));
        beats.pong(ONE, 3, now).unwrap();
    }

    #[test]
    fn an_answer_counts_until_the_last_moment_and_not_after_it() {
        let mut beats = heartbeats();
        beats.begin(ONE, Instant::now());
        let (asked, _) = look(&mut beats, 0);
        let (over, finding) = look(&mut beats, 0);
        assert_eq!((over - asked, finding), (TIMEOUT, Finding::Fine));
        beats.pong(ONE, 1, over + LAST_CALL - MILLI).unwrap();
        assert_eq!(beats.next(), Some(asked + INTERVAL));

        let (asked, finding) = look(&mut beats, 0);
        assert_eq!(finding, Finding::Silent(2));
        look(&mut beats, 0);
        let (dead, finding) = look(&mut beats, 0);
        assert_eq!((dead - asked, finding), (TIMEOUT + LAST_CALL, Finding::Deaf));
        assert_eq!(beats.next(), None);
    }

    #[test]
    fn our_own_sleep_is_nobody_elses_fault() {
        let mut beats = heartbeats();
        beats.begin(ONE, Instant::now());
        look(&mut beats, 0);
        let hour = Duration::from_secs(3600);
        for _ in 0..3 {
            let late = beats.next().unwrap() + hour;
            assert_eq!(beats.looks.pop_expired(late), Some(ONE));
            assert_eq!(beats.look(ONE, 0, late), Finding::Fine);
            assert_eq!(beats.next(), Some(late + LAST_CALL));
        }
        let just = beats.next().unwrap() + LATE;
        assert_eq!(beats.looks.pop_expired(just), Some(ONE));
        assert_eq!(beats.look(ONE, 0, just), Finding::Deaf);
    }

    #[test]
    fn an_answer_that_was_not_asked_for_breaks_the_rules() {
        let now = Instant::now();
        let mut beats = heartbeats();
        assert!(beats.pong(ONE, 0, now).unwrap_err().contains("that was not sent"));
        beats.begin(ONE, now);
        assert!(beats.pong(ONE, 0, now).unwrap_err().contains("that was not sent"));
        let (now, _) = look(&mut beats, 0);
        for other in [0, 2, u64::MAX] {
            assert!(beats.pong(ONE, other, now).unwrap_err().contains("another heart-beat"), "{other}");
        }
        beats.pong(ONE, 1, now).unwrap();
        assert!(beats.pong(ONE, 1, now).unwrap_err().contains("that was not sent"));
    }

    #[test]
    fn sessions_that_open_at_once_do_not_beat_at_once() {
        let now = Instant::now();
        let mut beats = heartbeats();
        (0..3000).for_each(|number| beats.begin(Token(number), now));
        let mut in_second = [0; 31];
        for pulse in beats.of.values() {
            in_second[usize::try_from((pulse.due - now).as_secs()).unwrap()] += 1;
        }
        assert!(in_second[..30].iter().all(|count| (80..=120).contains(count)), "{in_second:?}");
    }

    #[test]
    fn another_rhythm_forgets_no_answer() {
        let now = Instant::now();
        let mut beats = heartbeats();
        beats.begin(ONE, now);
        let (asked, _) = look(&mut beats, 0);
        beats.set_rhythm(None, [ONE].into_iter(), asked);
        assert_eq!(beats.next(), None);
        beats.pong(ONE, 1, asked).unwrap();
        assert_eq!(beats.next(), None);
        let quick = Heartbeat { interval: Duration::from_secs(1), timeout: Duration::from_secs(1) };
        beats.set_rhythm(Some(quick), [ONE, Token(2)].into_iter(), asked);
        assert_eq!(beats.of.len(), 2);
        assert!(beats.next().unwrap() <= asked + quick.interval);
        beats.end(Token(2));
        let (asked, finding) = look(&mut beats, 0);
        assert_eq!(finding, Finding::Silent(1));
        beats.set_rhythm(Some(Heartbeat { interval: INTERVAL, ..quick }), [ONE].into_iter(), asked);
        let (late, finding) = look(&mut beats, 0);
        assert_eq!((late - asked, finding), (quick.timeout, Finding::Fine));
        assert_eq!(look(&mut beats, 0).1, Finding::Deaf);
    }

    #[test]
    fn off_and_over() {
        let now = Instant::now();
        let mut beats = Heartbeats::new(None);
        beats.begin(ONE, now);
        assert_eq!(beats.next(), None);
        let mut beats = heartbeats();
        beats.begin(ONE, now);
        let due = beats.next().unwrap();
        beats.begin(ONE, now + MILLI);
        assert_eq!(beats.next(), Some(due), "a link that is negotiated anew is no news");
        beats.end(ONE);
        assert_eq!((beats.next(), beats.of.len()), (None, 0));
    }
}
