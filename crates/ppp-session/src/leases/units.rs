//! Names of the sessions' network interfaces: `ppp0`, `ppp1`, …
//!
//! Whether another program has an interface of a name is not asked beforehand: only the kernel knows, at the moment at which
//! it makes the interface, and to ask it by name may take it long (`if_nametoindex(3)` of a name that there is not makes
//! a kernel with modules run modprobe). So a name that turns out to be taken ([`Units::taken_by_another`]) is left alone
//! for [`RETRY_INTERVAL`], and the session gets the next one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

use super::{Desk, Lease};

/// Time until a name that another program had is tried again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The number in the name of a session's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `7` of `ppp7`.
    pub number: u32,
}

impl Unit {
    /// Name of its interface.
    pub fn name(self) -> String {
        format!("ppp{}", self.number)
    }
}

/// Interface units, lowest free first, as pppd gives them.
#[derive(Debug, Default)]
pub struct Units {
    desk: Desk,
    /// Units in use, as runs that do not touch: the first of each, and the one behind its last.
    runs: BTreeMap<u32, u32>,
    /// Those of them that other programs have, and until when that is believed: the earliest first.
    foreign: VecDeque<(Instant, u32)>,
}

impl Units {
    /// Takes the lowest unit that is neither ours nor, as far as is known, another program's.
    pub fn take(&mut self, now: Instant) -> Lease<Unit> {
        self.forget_foreign(now);
        let number = self.runs.get(&0).copied().unwrap_or(0);
        self.insert(number);
        self.desk.lend(Unit { number })
    }

    /// Takes exactly the unit `number` (`pppoe-server -u`, or a session that is there already); none if a session of ours has
    /// it.
    pub fn hold(&mut self, number: u32) -> Option<Lease<Unit>> {
        match self.foreign.iter().position(|(_, foreign)| *foreign == number) {
            // It may have gone meanwhile.
            Some(index) => drop(self.foreign.remove(index)),
            None => self.insert(number).then_some(())?,
        }
        Some(self.desk.lend(Unit { number }))
    }

    /// An interface of another program has the name of a unit that was taken: it is nobody's here for a while.
    pub fn taken_by_another(&mut self, lease: Lease<Unit>, now: Instant) {
        let Unit { number } = self.desk.take_back(lease);
        self.foreign.push_back((now + RETRY_INTERVAL, number));
    }

    /// Takes a unit back.
    pub fn release(&mut self, lease: Lease<Unit>) {
        let Unit { number } = self.desk.take_back(lease);
        self.remove(number);
    }

    fn remove(&mut self, unit: u32) {
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
            self.remove(unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn numbers<const N: usize>(units: &[Lease<Unit>; N]) -> [u32; N] {
        units.each_ref().map(|unit| unit.number)
    }

    #[test]
    fn the_lowest_free_unit_is_taken() {
        let mut units = Units::default();
        let now = Instant::now();
        let all = [units.take(now), units.take(now), units.take(now)];
        assert_eq!((numbers(&all), all[2].name().as_str()), ([0, 1, 2], "ppp2"));
        let [first, second, _third] = all;
        units.release(second);
        units.release(first);
        let again = [units.take(now), units.take(now), units.take(now)];
        assert_eq!(numbers(&again), [0, 1, 3]);
        drop(units);
    }

    #[test]
    fn what_another_program_has_is_left_alone_for_a_while() {
        let mut units = Units::default();
        let now = Instant::now();
        let before = now + RETRY_INTERVAL - Duration::from_nanos(1);
        let first = units.take(now);
        units.taken_by_another(first, now);
        let next = units.take(now);
        assert_eq!(next.number, 1);
        units.release(next);
        let again = units.take(before);
        let first = units.take(now + RETRY_INTERVAL);
        assert_eq!((again.number, first.number), (1, 0));
        // It is an ordinary one from then on.
        units.release(first);
        let last = [units.take(now + RETRY_INTERVAL), units.take(now + 2 * RETRY_INTERVAL)];
        assert_eq!(numbers(&last), [0, 2]);
        drop(units);
    }

    #[test]
    fn a_given_unit_is_taken_once() {
        let mut units = Units::default();
        let unit = units.hold(5).unwrap();
        assert!(units.hold(5).is_none());
        units.release(unit);
        let unit = units.hold(5).unwrap();
        // With -u, it is tried again at each dial, and then is a session's.
        units.taken_by_another(unit, Instant::now());
        let unit = units.hold(5).unwrap();
        assert!(units.hold(5).is_none());
        units.release(unit);
    }

    proptest! {
        #[test]
        fn runs_are_a_set(steps in proptest::collection::vec((0u8..5, 0u32..20), 0..300)) {
            let mut units = Units::default();
            let mut held: BTreeMap<u32, Lease<Unit>> = BTreeMap::new();
            let mut foreign = BTreeMap::new();
            let start = Instant::now();
            let mut now = start;
            for (action, number) in steps {
                now += Duration::from_secs(1);
                foreign.retain(|_, until| action > 0 || *until > now);
                match action {
                    0 => {
                        let is_free = |unit: &u32| !held.contains_key(unit) && !foreign.contains_key(unit);
                        let lowest = (0..).find(is_free).unwrap();
                        let unit = units.take(now);
                        prop_assert_eq!(unit.number, lowest);
                        held.insert(lowest, unit);
                    }
                    1 => {
                        let unit = units.hold(number);
                        prop_assert_eq!(unit.is_none(), held.contains_key(&number));
                        if let Some(unit) = unit {
                            foreign.remove(&number);
                            held.insert(number, unit);
                        }
                    }
                    2 => if let Some(unit) = held.remove(&number) {
                        units.taken_by_another(unit, now);
                        foreign.insert(number, now + RETRY_INTERVAL);
                    },
                    _ => if let Some(unit) = held.remove(&number) {
                        units.release(unit);
                    },
                }
                let in_runs: Vec<u32> = units.runs.iter().flat_map(|(first, end)| *first..*end).collect();
                let mut expected: Vec<u32> = held.keys().chain(foreign.keys()).copied().collect();
                expected.sort_unstable();
                prop_assert_eq!(in_runs, expected);
                prop_assert!(units.runs.iter().zip(units.runs.iter().skip(1)).all(|(one, next)| one.1 < next.0));
            }
            drop(units);
        }
    }
}
