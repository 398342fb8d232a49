//! Names of the sessions' network interfaces: `ppp0`, `ppp1`, …

use std::collections::BTreeSet;

/// Interface units, lowest free first, as pppd gives them.
#[derive(Debug, Default)]
pub(super) struct Units {
    used: BTreeSet<u32>,
}

impl Units {
    /// Takes the lowest unit that is neither ours nor, by `exists`, the name of another program's interface.
    ///
    /// `exists` is asked only about names that are not ours.
    pub(super) fn take(&mut self, exists: impl Fn(&str) -> bool) -> u32 {
        let mut unit = 0;
        for used in &self.used {
            while unit < *used {
                if !exists(&name(unit)) {
                    self.used.insert(unit);
                    return unit;
                }
                unit += 1;
            }
            unit = used.saturating_add(1);
        }
        while exists(&name(unit)) {
            unit = unit.saturating_add(1);
        }
        self.used.insert(unit);
        unit
    }

    /// Takes exactly `unit` (`pppoe-server -u`); false when it is taken already.
    pub(super) fn take_exact(&mut self, unit: u32, exists: impl Fn(&str) -> bool) -> bool {
        !exists(&name(unit)) && self.used.insert(unit)
    }

    /// Gives a unit back.
    pub(super) fn release(&mut self, unit: u32) {
        self.used.remove(&unit);
    }
}

/// Name of the interface with this unit.
pub(super) fn name(unit: u32) -> String {
    format!("ppp{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_unit_is_taken_and_foreign_names_are_left_alone() {
        let mut units = Units::default();
        let foreign = |name: &str| name == "ppp1";
        assert_eq!([units.take(foreign), units.take(foreign), units.take(foreign)], [0, 2, 3]);
        units.release(2);
        units.release(0);
        assert_eq!([units.take(foreign), units.take(foreign), units.take(foreign)], [0, 2, 4]);
    }

    #[test]
    fn a_given_unit_is_taken_once() {
        let mut units = Units::default();
        assert!(units.take_exact(5, |_| false));
        assert!(!units.take_exact(5, |_| false));
        assert!(!units.take_exact(6, |name| name == "ppp6"));
        units.release(5);
        assert!(units.take_exact(5, |_| false));
    }
}
