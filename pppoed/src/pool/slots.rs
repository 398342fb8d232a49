//! Session ids, and the slots behind them.

use std::collections::VecDeque;
use std::ops::Range;

/// The largest number of sessions: ids 0 and 0xffff are reserved (RFC 2516 section 4).
pub const MAX_SESSIONS: u32 = 65534;

/// Hands out slots; slot `i` has the session id `i + 1 + offset`.
///
/// A slot that was given back is used again after all others that were free then: a late frame of the old session
/// has the longest possible time to die out.
#[derive(Clone, Debug)]
pub struct Slots {
    offset: u16,
    /// How many there are. Beyond them may be some that were, until their sessions give them back.
    count: usize,
    free: VecDeque<u32>,
    taken: Vec<bool>,
}

/// Numbers of sessions that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// No session at all.
    #[error("the number of sessions must be at least 1")]
    None,
    /// Session ids would run over 65534.
    #[error("{count} sessions from id {} on are too many: session ids end at {MAX_SESSIONS}", .offset + 1)]
    TooMany {
        /// Number of sessions.
        count: u32,
        /// Offset of the session ids.
        offset: u32,
    },
}

impl Slots {
    /// `count` slots with the session ids from `offset + 1` on, to be used in this order at first.
    ///
    /// # Errors
    /// If there are none, or ids would be above [`MAX_SESSIONS`].
    pub fn new(count: u32, offset: u32) -> Result<Self, SlotError> {
        if count == 0 {
            return Err(SlotError::None);
        }
        let too_many = SlotError::TooMany { count, offset };
        if count.checked_add(offset).is_none_or(|last| last > MAX_SESSIONS) {
            return Err(too_many);
        }
        let offset = u16::try_from(offset).map_err(|_| too_many)?;
        let taken: Vec<bool> = (0..count).map(|_| false).collect();
        Ok(Self { offset, count: taken.len(), free: (0..count).collect(), taken })
    }

    /// Changes the number of slots. New ones come after all that are free. One beyond `count` that is taken stays so until
    /// it is given back, and is not handed out again.
    ///
    /// # Errors
    /// As [`Slots::new`]; nothing has changed then.
    pub fn resize(&mut self, count: u32) -> Result<(), SlotError> {
        Self::new(count, self.offset.into())?;
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
        Some((slot, self.session_id(slot)?))
    }

    /// Takes this slot, for a session that is there already; false if it is taken, or none of ours.
    pub fn claim(&mut self, slot: u32) -> bool {
        let taken = usize::try_from(slot).ok().and_then(|slot| self.taken.get_mut(slot));
        let is_free = taken.is_some_and(|taken| !std::mem::replace(taken, true));
        if is_free {
            self.free.retain(|free| *free != slot);
        }
        is_free
    }

    /// Gives a slot back. Does nothing if it is free, or is none of ours.
    pub fn release(&mut self, slot: u32) {
        let taken = usize::try_from(slot).ok().and_then(|slot| self.taken.get_mut(slot));
        if taken.is_some_and(std::mem::take) {
            if usize::try_from(slot).is_ok_and(|slot| slot < self.count) {
                self.free.push_back(slot);
            }
            self.forget_leavers();
        }
    }

    /// The session id of a slot.
    pub fn session_id(&self, slot: u32) -> Option<u16> {
        if usize::try_from(slot).ok()? >= self.taken.len() {
            return None;
        }
        u16::try_from(slot).ok()?.checked_add(1)?.checked_add(self.offset)
    }

    /// The slot of a session id.
    pub fn slot(&self, session_id: u16) -> Option<u32> {
        let slot = u32::from(session_id.checked_sub(self.offset)?.checked_sub(1)?);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_stay_within_the_protocol() {
        assert_eq!(Slots::new(0, 0).unwrap_err(), SlotError::None);
        assert!(Slots::new(65534, 0).is_ok());
        assert_eq!(Slots::new(65535, 0).unwrap_err(), SlotError::TooMany { count: 65535, offset: 0 });
        assert_eq!(Slots::new(2, 65533).unwrap_err(), SlotError::TooMany { count: 2, offset: 65533 });
        assert_eq!(Slots::new(1, u32::MAX).unwrap_err(), SlotError::TooMany { count: 1, offset: u32::MAX });
        let mut last = Slots::new(1, 65533).unwrap();
        assert_eq!(last.take(), Some((0, 65534)));
        assert_eq!(last.take(), None);
        assert_eq!((last.slot(65534), last.slot(65533), last.slot(65535)), (Some(0), None, None));
    }

    #[test]
    fn a_slot_given_back_comes_last() {
        let mut slots = Slots::new(3, 10).unwrap();
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
        let mut slots = Slots::new(4, 0).unwrap();
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
        let mut slots = Slots::new(3, 10).unwrap();
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
        let mut slots = Slots::new(3, 10).unwrap();
        assert!(slots.claim(1));
        assert!(!slots.claim(1) && !slots.claim(3));
        assert_eq!([slots.take(), slots.take(), slots.take()], [Some((0, 11)), Some((2, 13)), None]);
        assert!(!slots.claim(0));
        slots.release(1);
        assert_eq!(slots.free(), 1);
        assert_eq!(slots.take(), Some((1, 12)));
    }

    proptest! {
        #[test]
        fn no_slot_twice_whatever_their_number(
            steps in proptest::collection::vec((0u8..3, 1u32..20), 0..300),
        ) {
            let mut slots = Slots::new(7, 0).unwrap();
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
            let mut slots = Slots::new(count, offset).unwrap();
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
