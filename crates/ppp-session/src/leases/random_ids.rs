//! Session ids that cannot be guessed.
//!
//! A PADT needs no more than a session's id and its peer's address (RFC 2516 §5.5), and addresses are known to everybody on the
//! segment. So the id is drawn from all that there are, whatever the number of sessions: who sees no frames of a session
//! has one chance in 65,534 with each PADT.

use std::collections::{BTreeMap, VecDeque};

use super::MAX_SESSIONS;

/// Ids that are not drawn again at once: a late frame of the old session may still be under way.
const QUARANTINE: usize = 8192;
/// Draws before the next free id is taken: they fail only where nearly all ids are in use.
const DRAWS: u32 = 64;

/// Ids in use, by the slots of their sessions.
#[derive(Debug)]
pub(super) struct RandomIds {
    /// By id: whether it is in use or in quarantine.
    taken: Vec<bool>,
    /// Ids that were given back, oldest first.
    quarantine: VecDeque<u16>,
    of_slot: BTreeMap<u32, u16>,
}

impl RandomIds {
    pub(super) fn new() -> Self {
        let mut taken: Vec<bool> = (0..=u16::MAX).map(|_| false).collect();
        // Reserved (RFC 2516 §4).
        taken.iter_mut().next().into_iter().for_each(|first| *first = true);
        taken.iter_mut().next_back().into_iter().for_each(|last| *last = true);
        Self { taken, quarantine: VecDeque::new(), of_slot: BTreeMap::new() }
    }

    /// Draws an id for a slot that has none. `random` gives 32 random bits; `None` if it does not, or no id is left.
    pub(super) fn draw(&mut self, slot: u32, mut random: impl FnMut() -> Option<u32>) -> Option<u16> {
        while self.of_slot.len() + self.quarantine.len() >= usize::try_from(MAX_SESSIONS).ok()? {
            self.end_quarantine()?;
        }
        let mut candidate = 0;
        for _ in 0..DRAWS {
            candidate = u16::try_from(random()? % MAX_SESSIONS + 1).ok()?;
            if !self.is_taken(candidate) {
                break;
            }
        }
        let id = (candidate..=u16::MAX).chain(0..candidate).find(|id| !self.is_taken(*id))?;
        self.take(slot, id);
        Some(id)
    }

    /// Notes the id of a session that is there already.
    pub(super) fn take(&mut self, slot: u32, id: u16) {
        self.quarantine.retain(|other| *other != id);
        self.set(id, true);
        self.of_slot.insert(slot, id);
    }

    pub(super) fn release(&mut self, slot: u32) {
        let Some(id) = self.of_slot.remove(&slot) else { return };
        self.quarantine.push_back(id);
        if self.quarantine.len() > QUARANTINE {
            self.end_quarantine();
        }
    }

    pub(super) fn of(&self, slot: u32) -> Option<u16> {
        self.of_slot.get(&slot).copied()
    }

    /// Whether a session has it.
    pub(super) fn is_used(&self, id: u16) -> bool {
        self.is_taken(id) && !self.quarantine.contains(&id)
    }

    fn end_quarantine(&mut self) -> Option<()> {
        let id = self.quarantine.pop_front()?;
        self.set(id, false);
        Some(())
    }

    fn is_taken(&self, id: u16) -> bool {
        self.taken.get(usize::from(id)).copied().unwrap_or(true)
    }

    fn set(&mut self, id: u16, is_taken: bool) {
        if let Some(taken) = self.taken.get_mut(usize::from(id)) {
            *taken = is_taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_id_once_and_never_a_reserved_one() {
        let mut ids = RandomIds::new();
        let all: BTreeSet<u16> =
            (0..MAX_SESSIONS).map_while(|slot| ids.draw(slot, || Some(slot / 2 * 2))).collect();
        assert_eq!(all.len(), 65534);
        assert_eq!((all.first(), all.last()), (Some(&1), Some(&65534)));
        assert_eq!(ids.draw(70_000, || Some(7)), None);
        ids.release(3);
        // Nothing else is left, so it is drawn at once.
        assert_eq!(ids.draw(3, || Some(70)), Some(4));
    }

    #[test]
    fn an_id_that_was_given_back_comes_late() {
        let mut ids = RandomIds::new();
        let first = ids.draw(0, || Some(41)).unwrap();
        assert_eq!(first, 42);
        ids.release(0);
        for _ in 0..QUARANTINE {
            assert_ne!(ids.draw(0, || Some(41)), Some(first));
            ids.release(0);
        }
        assert_eq!(ids.draw(0, || Some(41)), Some(first));
    }

    #[test]
    fn an_id_that_is_there_already_is_not_drawn() {
        let mut ids = RandomIds::new();
        ids.take(5, 42);
        assert_eq!((ids.of(5), ids.draw(6, || Some(41))), (Some(42), Some(43)));
        ids.release(5);
        ids.take(7, 42);
        assert_eq!(ids.of(7), Some(42));
        assert!(ids.quarantine.is_empty());
    }

    #[test]
    fn without_random_bits_there_is_no_id() {
        assert_eq!(RandomIds::new().draw(0, || None), None);
    }
}
