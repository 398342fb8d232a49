//! Session ids, and the slots behind them.

use std::collections::VecDeque;
use std::ops::Range;

use pppoed_config::pool::{Numbering, SlotError};

use super::random_ids::RandomIds;

/// Slots of sessions that were there before, and for which no slot is left, begin here: beyond all that there can be.
const FOREIGN: u32 = 1 << 16;

/// Hands out slots, and session ids for them.
///
/// A slot that was given back is used again after all others that were free then: a late frame of the old session
/// has the longest possible time to die out.
#[derive(Clone, Debug)]
pub struct Slots {
    ids: Ids,
    /// How many there are. Beyond them may be some that were, until their sessions give them back.
    count: usize,
    free: VecDeque<u32>,
    taken: Vec<bool>,
}

#[derive(Clone, Debug)]
enum Ids {
    Random(RandomIds),
    From(u16),
}

impl Slots {
    /// `count` slots, to be used in their order at first.
    ///
    /// # Errors
    /// If there are none, or ids would be above [`MAX_SESSIONS`](pppoed_config::pool::MAX_SESSIONS).
    pub fn new(count: u32, numbering: Numbering) -> Result<Self, SlotError> {
        let offset = numbering.check(count)?;
        let ids = match numbering {
            Numbering::Random => Ids::Random(RandomIds::new()),
            Numbering::From(_) => Ids::From(offset),
        };
        let taken: Vec<bool> = (0..count).map(|_| false).collect();
        Ok(Self { ids, count: taken.len(), free: (0..count).collect(), taken })
    }

    /// Changes the number of slots. New ones come after all that are free. One beyond `count` that is taken stays so until
    /// it is given back, and is not handed out again.
    ///
    /// # Errors
    /// As [`Slots::new`]; nothing has changed then.
    pub fn resize(&mut self, count: u32) -> Result<(), SlotError> {
        let numbering = match &self.ids {
            Ids::Random(_) => Numbering::Random,
            Ids::From(offset) => Numbering::From((*offset).into()),
        };
        numbering.check(count)?;
        let old = u32::try_from(self.count).unwrap_or(u32::MAX);
        self.count = usize::try_from(count).unwrap_or(usize::MAX);
        self.free.retain(|slot| *slot < count);
        let is_taken = |slot: u32| {
            usize::try_from(slot).ok().and_then(|slot| self.taken.get(slot)).copied().unwrap_or_default()
        };
        let new: Vec<u32> = (old..count).filter(|slot| !is_taken(*slot)).collect();
        self.free.extend(new);
        self.taken.resize(self.count.max(self.taken.len()), false);
        self.forget_leavers();
        Ok(())
    }

    /// Drops the places of slots that are no more.
    fn forget_leavers(&mut self) {
        while self.taken.len() > self.count && self.taken.last() == Some(&false) {
            self.taken.pop();
        }
    }

    /// Puts the free slots into random order (`-r`). `below(n)` gives a random number less than `n`.
    pub fn shuffle(&mut self, mut below: impl FnMut(u32) -> u32) {
        for last in (1..self.free.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            let other = usize::try_from(below(bound) % bound).unwrap_or(last);
            self.free.swap(last, other);
        }
    }

    /// The next slot and its session id; `None` if all are taken.
    pub fn take(&mut self) -> Option<(u32, u16)> {
        self.take_of(0..u32::MAX)
    }

    /// The next of these slots, or of all if none of these is free, and its session id; `None` if all are taken.
    pub fn take_of(&mut self, slots: Range<u32>) -> Option<(u32, u16)> {
        let index = self.free.iter().position(|slot| slots.contains(slot)).unwrap_or(0);
        let slot = self.free.remove(index)?;
        let taken = usize::try_from(slot).ok().and_then(|slot| self.taken.get_mut(slot))?;
        *taken = true;
        let id = match &mut self.ids {
            Ids::Random(ids) => ids.draw(slot, random_bits),
            Ids::From(_) => self.session_id(slot),
        };
        if id.is_none() {
            self.release(slot);
        }
        Some((slot, id?))
    }

    /// Takes a slot for a session that is there already, and has this id: where ids are counted, that of the id; otherwise
    /// `own` if it is free, or else the next. If there is none, the answer is the number of a slot beyond all that there
    /// can be.
    pub fn adopt(&mut self, session_id: u16, own: Option<u32>) -> u32 {
        let slot = match &self.ids {
            Ids::Random(_) => {
                own.filter(|own| self.free.contains(own)).or_else(|| self.free.front().copied())
            }
            Ids::From(_) => self.slot(session_id),
        };
        let slot = slot.filter(|slot| self.claim(*slot)).unwrap_or(FOREIGN + u32::from(session_id));
        if let Ids::Random(ids) = &mut self.ids {
            ids.take(slot, session_id);
        }
        slot
    }

    /// Takes this slot; false if it is taken, or none of ours.
    fn claim(&mut self, slot: u32) -> bool {
        let taken = usize::try_from(slot).ok().and_then(|slot| self.taken.get_mut(slot));
        let is_free = taken.is_some_and(|taken| !std::mem::replace(taken, true));
        if is_free {
            self.free.retain(|free| *free != slot);
        }
        is_free
    }

    /// Gives a slot back. Does nothing if it is free, or is none of ours.
    pub fn release(&mut self, slot: u32) {
        if let Ids::Random(ids) = &mut self.ids {
            ids.release(slot);
        }
        let taken = usize::try_from(slot).ok().and_then(|slot| self.taken.get_mut(slot));
        if taken.is_some_and(std::mem::take) {
            if usize::try_from(slot).is_ok_and(|slot| slot < self.count) {
                self.free.push_back(slot);
            }
            self.forget_leavers();
        }
    }

    /// The session id of a slot; where ids are random, only one that is taken has one.
    pub fn session_id(&self, slot: u32) -> Option<u16> {
        let offset = match &self.ids {
            Ids::Random(ids) => return ids.of(slot),
            Ids::From(offset) => *offset,
        };
        if usize::try_from(slot).ok()? >= self.taken.len() {
            return None;
        }
        u16::try_from(slot).ok()?.checked_add(1)?.checked_add(offset)
    }

    /// The slot that an id has where ids are counted.
    fn slot(&self, session_id: u16) -> Option<u32> {
        let Ids::From(offset) = &self.ids else { return None };
        let slot = u32::from(session_id.checked_sub(*offset)?.checked_sub(1)?);
        (usize::try_from(slot).ok()? < self.taken.len()).then_some(slot)
    }

    /// All slots; not those that are only waiting for the ends of their sessions.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Free slots.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// The free slots in the order in which they will be taken.
    pub fn order(&self) -> impl Iterator<Item = u32> + '_ {
        self.free.iter().copied()
    }
}

fn random_bits() -> Option<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).ok()?;
    Some(u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Numbering::{From, Random};
    use super::*;

    #[test]
    fn ids_stay_within_the_protocol() {
        assert_eq!(Slots::new(0, From(0)).unwrap_err(), SlotError::None);
        assert!(Slots::new(65534, From(0)).is_ok());
        assert_eq!(Slots::new(65535, From(0)).unwrap_err(), SlotError::TooMany { count: 65535, offset: 0 });
        assert_eq!(Slots::new(2, From(65533)).unwrap_err(), SlotError::TooMany { count: 2, offset: 65533 });
        assert_eq!(
            Slots::new(1, From(u32::MAX)).unwrap_err(),
            SlotError::TooMany { count: 1, offset: u32::MAX }
        );
        let mut last = Slots::new(1, From(65533)).unwrap();
        assert_eq!(last.take(), Some((0, 65534)));
        assert_eq!(last.take(), None);
        assert_eq!((last.slot(65534), last.slot(65533), last.slot(65535)), (Some(0), None, None));
    }

    #[test]
    fn a_slot_given_back_comes_last() {
        let mut slots = Slots::new(3, From(10)).unwrap();
        assert_eq!(slots.take(), Some((0, 11)));
        slots.release(0);
        slots.release(0);
        slots.release(99);
        assert_eq!(
            [slots.take(), slots.take(), slots.take(), slots.take()].map(|taken| taken.map(|(_, id)| id)),
            [Some(12), Some(13), Some(11), None]
        );
    }

    #[test]
    fn a_pool_takes_its_own_slots_first() {
        let mut slots = Slots::new(4, From(0)).unwrap();
        assert_eq!(slots.take_of(2..4), Some((2, 3)));
        assert_eq!(slots.take_of(0..2), Some((0, 1)));
        assert_eq!(slots.take_of(2..4), Some((3, 4)));
        assert_eq!(slots.take_of(2..4), Some((1, 2)), "any is better than none");
        assert_eq!(slots.take_of(2..4), None);
    }

    #[test]
    fn slots_come_and_go() {
        let ids = |slots: &mut Slots| -> Vec<u16> {
            std::iter::from_fn(|| slots.take().map(|(_, id)| id)).collect()
        };
        let mut slots = Slots::new(3, From(10)).unwrap();
        assert_eq!(ids(&mut slots), [11, 12, 13]);
        slots.release(0);
        slots.resize(1).unwrap();
        assert_eq!((slots.count(), slots.free()), (1, 1));
        // The others have their ids until they go, and then are gone.
        assert_eq!((slots.session_id(2), slots.slot(13)), (Some(13), Some(2)));
        slots.release(2);
        assert_eq!((slots.session_id(2), slots.session_id(1), slots.free()), (None, Some(12), 1));
        // One that is still taken comes back with its session.
        slots.resize(4).unwrap();
        assert_eq!(ids(&mut slots), [11, 13, 14]);
        slots.release(1);
        assert_eq!(ids(&mut slots), [12]);
        for count in [0, 65525] {
            slots.resize(count).unwrap_err();
            assert_eq!((slots.count(), slots.free()), (4, 0));
        }
        slots.resize(65524).unwrap();
        assert_eq!(ids(&mut slots).last(), Some(&65534));
    }

    #[test]
    fn a_slot_is_claimed_once() {
        let mut slots = Slots::new(3, From(10)).unwrap();
        assert_eq!(slots.adopt(12, None), 1);
        assert_eq!([12, 14].map(|id| slots.adopt(id, Some(0))), [FOREIGN + 12, FOREIGN + 14]);
        assert_eq!([slots.take(), slots.take(), slots.take()], [Some((0, 11)), Some((2, 13)), None]);
        assert!(!slots.claim(0));
        slots.release(1);
        assert_eq!(slots.free(), 1);
        assert_eq!(slots.take(), Some((1, 12)));
    }

    #[test]
    fn random_ids_are_no_row_and_belong_to_their_slots() {
        let mut slots = Slots::new(64, Random).unwrap();
        let taken: Vec<(u32, u16)> = std::iter::from_fn(|| slots.take()).collect();
        assert!(taken.iter().map(|(slot, _)| *slot).eq(0..64), "addresses stay as predictable as they were");
        assert!(taken.iter().all(|(slot, id)| slots.session_id(*slot) == Some(*id)));
        let in_a_row = taken.windows(2).filter(|pair| pair[0].1.abs_diff(pair[1].1) < 64).count();
        assert!(in_a_row < 8, "{taken:?}");
        assert!(taken.iter().any(|(_, id)| *id > 10_000), "{taken:?}");
        slots.release(3);
        assert_eq!((slots.session_id(3), slots.free()), (None, 1));
        let (slot, id) = slots.take().unwrap();
        assert!(slot == 3 && id != taken[3].1, "{id}");
    }

    #[test]
    fn a_session_that_is_there_keeps_its_random_id() {
        let mut slots = Slots::new(3, Random).unwrap();
        assert_eq!(slots.adopt(700, Some(1)), 1);
        assert_eq!(slots.adopt(800, Some(1)), 0, "its slot has another");
        assert_eq!(slots.adopt(900, None), 2);
        assert_eq!(slots.adopt(1000, None), FOREIGN + 1000, "there is none left");
        assert_eq!(
            [1, 0, 2, FOREIGN + 1000].map(|slot| slots.session_id(slot)),
            [700, 800, 900, 1000].map(Some)
        );
        assert_eq!(slots.take(), None);
        slots.release(FOREIGN + 1000);
        assert_eq!((slots.free(), slots.session_id(FOREIGN + 1000)), (0, None));
        slots.release(0);
        assert_eq!(slots.take().map(|(slot, _)| slot), Some(0));
    }

    proptest! {
        #[test]
        fn no_slot_twice_whatever_their_number(
            steps in proptest::collection::vec((0u8..3, 1u32..20), 0..300),
        ) {
            let mut slots = Slots::new(7, From(0)).unwrap();
            let mut taken = std::collections::BTreeSet::new();
            let mut count = 7;
            for (action, number) in steps {
                match action {
                    0 => match slots.take() {
                        Some((slot, id)) => {
                            prop_assert!(taken.insert(slot) && slot < count);
                            prop_assert_eq!(u32::from(id), slot + 1);
                        }
                        None => prop_assert!((0..count).all(|slot| taken.contains(&slot))),
                    },
                    1 => {
                        slots.release(number);
                        taken.remove(&number);
                    }
                    _ => {
                        slots.resize(number).unwrap();
                        count = number;
                    }
                }
                let inside = taken.iter().filter(|slot| **slot < count).count();
                prop_assert_eq!((slots.count(), slots.free()), (count as usize, count as usize - inside));
                prop_assert!(taken.iter().all(|slot| slots.session_id(*slot).is_some()));
            }
        }

        #[test]
        fn every_slot_once(
            count in 1u32..300,
            offset in 0u32..60000,
            random in proptest::collection::vec(any::<u32>(), 300),
            steps in proptest::collection::vec((any::<bool>(), 0u32..300), 0..400),
        ) {
            let mut slots = Slots::new(count, From(offset)).unwrap();
            let mut numbers = random.iter();
            slots.shuffle(|_| *numbers.next().unwrap());
            let mut taken = std::collections::BTreeSet::new();
            for (take, which) in steps {
                if take {
                    match slots.take() {
                        Some((slot, id)) => {
                            prop_assert!(taken.insert(slot) && slot < count);
                            prop_assert_eq!(u32::from(id), slot + 1 + offset);
                            prop_assert_eq!(slots.slot(id), Some(slot));
                        }
                        None => prop_assert_eq!(taken.len(), count as usize),
                    }
                } else {
                    slots.release(which);
                    taken.remove(&which);
                }
                prop_assert_eq!(slots.free() + taken.len(), slots.count());
            }
        }
    }
}
