//! How long the event loop's turns take, by kind of event.
//!
//! Everything in `pppoed` but what is handed to other threads runs on one thread. Whoever blocks there, or computes for long,
//! delays all sessions that are being set up, all deadlines and all consoles. So each turn is measured: each event that the
//! supervisor handles ([`measure`]), and each poll of a task ([`spawn`]). Turns that take longer than `--stall-limit` are
//! stalls: counted, and told in the log once a minute for each kind.
//!
//! What is measured is time on the wall: on a machine whose processors are busy, it includes the time that the thread waited
//! for one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use ppp_ipc::control::TurnStats;
use tokio::task::JoinHandle;
use tracing::info;

use crate::message::LOOP_STALLED;

/// Time between two lines of the log about one kind.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

thread_local! {
    /// The meter of the thread's event loop. The main thread has the only one.
    static METER: RefCell<TurnMeter> = RefCell::new(TurnMeter::default());
}

/// Runs a future in a task on this thread, whose polls are turns of this kind. Must be called in a `LocalSet`.
pub fn spawn<F>(kind: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: 'static> + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is where it is measured")]
    tokio::task::spawn_local(metered(kind, future))
}

/// A future whose polls are turns of this kind.
pub async fn metered<F: Future>(kind: &'static str, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| measure(kind, || future.as_mut().poll(context))).await
}

/// Does something that is a turn of this kind.
pub fn measure<T>(kind: &'static str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = act();
    let end = Instant::now();
    // The log is written when the meter is free again.
    let stall = METER.with_borrow_mut(|meter| meter.record(kind, start, end));
    if let Some(Stall { took, more }) = stall {
        let took_ms = took.as_millis();
        info!(name: LOOP_STALLED.name, event = kind, took_ms, more, "{}", LOOP_STALLED.words);
    }
    outcome
}

/// Longer turns are stalls from now on; without a limit, none is.
pub fn set_limit(limit: Option<Duration>) {
    METER.with_borrow_mut(|meter| meter.limit = limit);
}

/// What was measured so far, by kind.
pub fn stats() -> Vec<TurnStats> {
    METER.with_borrow(TurnMeter::stats)
}

/// A turn that took too long, to be told.
#[derive(Debug, PartialEq, Eq)]
struct Stall {
    took: Duration,
    /// Stalls of the kind since the last one that was told.
    more: u64,
}

#[derive(Debug, Default)]
struct TurnMeter {
    limit: Option<Duration>,
    kinds: BTreeMap<&'static str, Kind>,
}

/// The turns of one kind.
#[derive(Debug, Default)]
struct Kind {
    turns: u64,
    busy: Duration,
    longest: Duration,
    stalls: u64,
    told: Option<Instant>,
    untold: u64,
}

impl TurnMeter {
    /// Takes note of a turn; returns a stall that is to be told.
    fn record(&mut self, name: &'static str, start: Instant, end: Instant) -> Option<Stall> {
        let took = end.saturating_duration_since(start);
        let kind = self.kinds.entry(name).or_default();
        kind.turns = kind.turns.saturating_add(1);
        kind.busy = kind.busy.saturating_add(took);
        kind.longest = kind.longest.max(took);
        if self.limit.is_none_or(|limit| took <= limit) {
            return None;
        }
        kind.stalls = kind.stalls.saturating_add(1);
        if kind.told.is_some_and(|told| end.saturating_duration_since(told) < TELL_INTERVAL) {
            kind.untold += 1;
            return None;
        }
        kind.told = Some(end);
        Some(Stall { took, more: std::mem::take(&mut kind.untold) })
    }

    fn stats(&self) -> Vec<TurnStats> {
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let stats = |(name, kind): (&&str, &Kind)| TurnStats {
            event: (*name).to_owned(),
            turns: kind.turns,
            busy_us: microseconds(kind.busy),
            longest_us: microseconds(kind.longest),
            stalls: kind.stalls,
        };
        self.kinds.iter().map(stats).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);
    const LIMIT: Duration = Duration::from_millis(10);

    #[test]
    fn only_what_takes_longer_than_the_limit_is_a_stall() {
        let mut meter = TurnMeter { limit: Some(LIMIT), ..TurnMeter::default() };
        let start = Instant::now();
        assert_eq!(meter.record("one", start, start + LIMIT), None);
        let longer = LIMIT + Duration::from_nanos(1);
        assert_eq!(meter.record("one", start, start + longer), Some(Stall { took: longer, more: 0 }));
        assert_eq!(meter.record("other", start, start), None);
        let one = TurnStats { event: "one".into(), turns: 2, busy_us: 20_000, longest_us: 10_000, stalls: 1 };
        let other = TurnStats { event: "other".into(), turns: 1, ..TurnStats::default() };
        assert_eq!(meter.stats(), [one, other]);
        meter.limit = None;
        assert_eq!(meter.record("other", start, start + 1000 * LIMIT), None);
        assert_eq!(meter.stats()[1].stalls, 0);
    }

    #[test]
    fn a_kind_is_told_of_once_a_minute() {
        let mut meter = TurnMeter { limit: Some(LIMIT), ..TurnMeter::default() };
        let start = Instant::now();
        let mut stall = |name, at| meter.record(name, start + at - 2 * LIMIT, start + at);
        let told = |more| Some(Stall { took: 2 * LIMIT, more });
        assert_eq!(stall("one", LIMIT * 2), told(0));
        assert_eq!(stall("one", LIMIT * 3), None);
        assert_eq!(stall("other", LIMIT * 3), told(0), "each kind counts by itself");
        assert_eq!(stall("one", LIMIT * 2 + TELL_INTERVAL - MILLI), None);
        assert_eq!(stall("one", LIMIT * 2 + TELL_INTERVAL), told(2));
    }

    #[test]
    fn polls_of_tasks_are_turns() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
            spawn("a task", async {
                tokio::task::yield_now().await;
                7
            })
            .await
        });
        assert_eq!(outcome.unwrap(), 7);
        let turns: Vec<_> = stats().into_iter().map(|stats| (stats.event, stats.turns)).collect();
        assert_eq!(turns, [("a task".to_owned(), 2)]);
    }
}
