//! Which events have happened in which states, and what came of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use ppp_session::session::{Event, Standing, State};

/// All states, by their names.
pub(crate) const STATES: [&str; 8] =
    ["starting", "establish", "authenticate", "network", "open", "closing", "ending", "gone"];

/// All events, by their names.
pub(crate) const EVENTS: [&str; 14] = [
    "ready",
    "LCP opened",
    "admitted",
    "relaying",
    "network protocols closed",
    "LCP is being closed",
    "resumed, down",
    "resumed, admitted",
    "terminate",
    "kill",
    "worker ended",
    "worker gone",
    "time-out, silent",
    "time-out, heard",
];

#[derive(Default)]
pub(crate) struct Coverage {
    /// Changed, ignored, violations; by state and event.
    pairs: BTreeMap<(&'static str, &'static str), [u64; 3]>,
}

pub(crate) fn state_name(state: &State) -> &'static str {
    match state {
        State::Starting { .. } => "starting",
        State::Establish(_) => "establish",
        State::Authenticate(_) => "authenticate",
        State::Network(_) => "network",
        State::Open { .. } => "open",
        State::Ending { why: None, .. } => "closing",
        State::Ending { .. } => "ending",
        State::Gone { .. } => "gone",
    }
}

pub(crate) fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Resumed(Standing::Down) => "resumed, down",
        Event::Resumed(Standing::Admitted) => "resumed, admitted",
        Event::TimeOut { heard: false } => "time-out, silent",
        Event::TimeOut { heard: true } => "time-out, heard",
        other => other.name(),
    }
}

impl Coverage {
    /// `outcome`: 0 changed, 1 ignored, 2 violation.
    pub(crate) fn count(&mut self, state: &'static str, event: &'static str, outcome: usize) {
        self.pairs.entry((state, event)).or_default()[outcome] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (pair, counts) in &other.pairs {
            let own = self.pairs.entry(*pair).or_default();
            own.iter_mut().zip(counts).for_each(|(own, other)| *own += other);
        }
    }

    /// Pairs that never happened.
    pub(crate) fn missed(&self) -> Vec<String> {
        let all = STATES.iter().flat_map(|state| EVENTS.iter().map(move |event| (*state, *event)));
        all.filter(|pair| !self.pairs.contains_key(pair))
            .map(|(state, event)| format!("{state}: {event}"))
            .collect()
    }

    pub(crate) fn report(&self) -> String {
        let pairs = STATES.len() * EVENTS.len();
        let mut report = format!("{} of {pairs} pairs of state and event:\n", pairs - self.missed().len());
        for ((state, event), [changed, ignored, violations]) in &self.pairs {
            let _ = writeln!(
                report,
                "  {state:>12}  {event:<26} {changed:>8} changed {ignored:>8} ignored {violations:>8} violations"
            );
        }
        report
    }
}
