//! Names of the sessions' network interfaces: `ppp0`, `ppp1`, …
//!
//! Whether another program has an interface of a name is not asked beforehand: only the kernel knows, at the moment at which
//! it makes the interface, and to ask it by name may take it long (`if_nametoindex(3)` of a name that there is not makes
//! a kernel with modules run modprobe). So a name that turns out to be taken ([`Units::taken_by_another`]) is left alone
//! for [`RETRY_INTERVAL`], and the session gets the next one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

/// Time until a name that another program had is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Interface units, lowest free first, as pppd gives them.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// Units in use, as runs that do not touch: the first of each, and the one behind its last.
    runs: BTreeMap<u32, u32>,
    /// Those of them that other programs have, and until when that is believed: the earliest first.
    foreign: VecDeque<(Instant, u32)>,
}

impl Units {
    /// Takes the lowest unit that is neither ours nor, as far as is known, another program's.
    pub(super) fn take(&mut self, now: Instant) -> u32 {
        self.forget_foreign(now);
        let unit = self.runs.get(&0).copied().unwrap_or(0);
        self.insert(unit);
        unit
    }

    /// Takes exactly `unit` (`pppoe-server -u`, or a session that is there already); false if a session of ours has it.
    pub(super) fn take_exact(&mut self, unit: u32) -> bool {
        if let Some(index) = self.foreign.iter().position(|(_, foreign)| *foreign == unit) {
            // It may have gone meanwhile.
            self.foreign.remove(index);
            return true;
        }
        self.insert(unit)
    }

    /// An interface of another program has the name of a unit that was taken: it is nobody's here for a while.
    pub(super) fn taken_by_another(&mut self, unit: u32, now: Instant) {
        self.foreign.push_back((now + RETRY_INTERVAL, unit));
    }

    /// Gives a unit back.
    pub(super) fn release(&mut self, unit: u32) {
        let Some((first, end)) = self.run_of(unit) else { return };
        self.runs.remove(&first);
        if first < unit {
            self.runs.insert(first, unit);
        }
        let next = unit.saturating_add(1);
        if next < end {
            self.runs.insert(next, end);
        }
    }

    /// Puts a unit into the runs; false if it is there.
    fn insert(&mut self, unit: u32) -> bool {
        if self.run_of(unit).is_some() {
            return false;
        }
        let mut end = unit.saturating_add(1);
        if let Some(behind) = self.runs.remove(&end) {
            end = behind;
        }
        match self.runs.range_mut(..unit).next_back() {
            Some((_, before)) if *before == unit => *before = end,
            _ => drop(self.runs.insert(unit, end)),
        }
        true
    }

    fn run_of(&self, unit: u32) -> Option<(u32, u32)> {
        let upto = (Bound::Unbounded, Bound::Included(unit));
        let (first, end) = self.runs.range(upto).next_back()?;
        (unit < *end).then_some((*first, *end))
    }

    fn forget_foreign(&mut self, now: Instant) {
        while let Some((_, unit)) = self.foreign.pop_front_if(|(until, _)| *until <= now) {
            self.release(unit);
        }
    }
}

/// Name of the interface with this unit.
pub(super) fn name(unit: u32) -> String {
    format!("ppp{unit}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lowest_free_unit_is_taken() {
        let mut units = Units::default();
        let now = Instant::now();
        assert_eq!([units.take(now), units.take(now), units.take(now)], [0, 1, 2]);
        units.release(1);
        units.release(0);
        assert_eq!([units.take(now), units.take(now), units.take(now)], [0, 1, 3]);
    }

    #[test]
    fn what_another_program_has_is_left_alone_for_a_while() {
        let mut units = Units::default();
        let now = Instant::now();
        let before = now + RETRY_INTERVAL - Duration::from_nanos(1);
        assert_eq!(units.take(now), 0);
        units.taken_by_another(0, now);
        assert_eq!(units.take(now), 1);
        units.release(1);
        assert_eq!(units.take(before), 1);
        assert_eq!(units.take(now + RETRY_INTERVAL), 0);
        // It is an ordinary one from then on.
        units.release(0);
        assert_eq!(units.take(now + RETRY_INTERVAL), 0);
        assert_eq!(units.take(now + 2 * RETRY_INTERVAL), 2);
    }

    #[test]
    fn a_given_unit_is_taken_once() {
        let mut units = Units::default();
        assert!(units.take_exact(5));
        assert!(!units.take_exact(5));
        units.release(5);
        assert!(units.take_exact(5));
        // With -u, it is tried again at each dial, and then is a session's.
        units.taken_by_another(5, Instant::now());
        assert!(units.take_exact(5));
        assert!(!units.take_exact(5));
    }

    proptest! {
        #[test]
        fn runs_are_a_set(steps in proptest::collection::vec((0u8..4, 0u32..20), 0..300)) {
            let (mut units, mut model) = (Units::default(), BTreeSet::new());
            let now = Instant::now();
            for (action, unit) in steps {
                match action {
                    0 => {
                        let lowest = (0..).find(|unit| !model.contains(unit)).unwrap();
                        prop_assert_eq!(units.take(now), lowest);
                        model.insert(lowest);
                    }
                    1 => prop_assert_eq!(units.take_exact(unit), model.insert(unit)),
                    _ => {
                        units.release(unit);
                        model.remove(&unit);
                    }
                }
                let held: BTreeSet<u32> = units.runs.iter().flat_map(|(first, end)| *first..*end).collect();
                prop_assert_eq!(&held, &model);
                prop_assert!(units.runs.iter().zip(units.runs.iter().skip(1)).all(|(one, next)| one.1 < next.0));
            }
        }
    }
}
