use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// PADOs that may wait at once; one more is not made.
const MAX_WAITING: usize = 4096;

/// What becomes of a PADO at some number of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadoTiming {
    /// It is sent after this time; zero is at once.
    After(Duration),
    /// It is not sent.
    Never,
}

/// How PADOs wait by load, so that clients take the offer of the server that has more room.
///
/// The default is no delay at any load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PadoDelay {
    /// From how many sessions on, and what then. The first is from 0, and the numbers grow.
    steps: Vec<(usize, PadoTiming)>,
}

impl Default for PadoDelay {
    fn default() -> Self {
        Self { steps: vec![(0, PadoTiming::After(Duration::ZERO))] }
    }
}

impl PadoDelay {
    /// `base` below the first step; each step is a number of sessions and what holds from there on.
    ///
    /// # Errors
    /// [`StepsNotAscending`] if a step does not need more sessions than the one before, or none.
    pub fn new(base: PadoTiming, steps: &[(usize, PadoTiming)]) -> Result<Self, StepsNotAscending> {
        let mut all = vec![(0, base)];
        for (sessions, timing) in steps {
            if all.last().is_some_and(|(before, _)| before >= sessions) {
                return Err(StepsNotAscending { sessions: *sessions });
            }
            all.push((*sessions, *timing));
        }
        Ok(Self { steps: all })
    }

    /// What holds at a number of sessions.
    pub fn at(&self, sessions: usize) -> PadoTiming {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= sessions);
        step.map_or(PadoTiming::After(Duration::ZERO), |(_, timing)| *timing)
    }

    /// The longest delay of all steps.
    pub fn longest(&self) -> Duration {
        let delays = self.steps.iter().map(|(_, timing)| match timing {
            PadoTiming::After(delay) => *delay,
            PadoTiming::Never => Duration::ZERO,
        });
        delays.max().unwrap_or_default()
    }
}

/// Shown as the flag `--pado-delay` takes it: `0,100:50,-1:500`, in milliseconds.
impl fmt::Display for PadoDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (sessions, timing)) in self.steps.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match timing {
                PadoTiming::After(delay) => write!(f, "{separator}{}", delay.as_millis())?,
                PadoTiming::Never => write!(f, "{separator}-1")?,
            }
            if index > 0 {
                write!(f, ":{sessions}")?;
            }
        }
        Ok(())
    }
}

/// A step that comes too late in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the step at {sessions} sessions does not need more sessions than the one before it")]
pub struct StepsNotAscending {
    /// Its number of sessions.
    pub sessions: usize,
}

/// PADOs that wait, by when they are due; those due at the same time in the order of their PADIs.
#[derive(Debug, Default)]
pub(super) struct DelayedPados {
    next: u64,
    waiting: BTreeMap<(Instant, u64), Vec<u8>>,
}

impl DelayedPados {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    pub(super) fn push(&mut self, due: Instant, frame: Vec<u8>) {
        self.waiting.insert((due, self.next), frame);
        self.next += 1;
        debug_assert!(self.waiting.len() <= MAX_WAITING);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes out the first one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        let entry = self.waiting.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_from_their_number_on() {
        let after = |millis| PadoTiming::After(Duration::from_millis(millis));
        let delay = PadoDelay::new(after(0), &[(50, after(100)), (500, PadoTiming::Never)]).unwrap();
        let expected =
            [(0, after(0)), (49, after(0)), (50, after(100)), (499, after(100)), (500, PadoTiming::Never)];
        for (sessions, timing) in expected {
            assert_eq!(delay.at(sessions), timing, "{sessions}");
        }
        assert_eq!(delay.longest(), Duration::from_millis(100));
        assert_eq!(PadoDelay::default().at(65_000), after(0));
        for steps in [&[(0, after(1))][..], &[(5, after(1)), (5, after(2))], &[(5, after(1)), (4, after(2))]]
        {
            let last = steps.last().unwrap().0;
            assert_eq!(PadoDelay::new(after(0), steps), Err(StepsNotAscending { sessions: last }));
        }
    }
}
