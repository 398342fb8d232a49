//! Session ids, and the slots behind them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::random_ids::RandomIds;
use super::{Desk, Lease, Numbering, SlotError};

/// Slots of sessions that were there before, and for which no slot is left, begin here: beyond all that there can be.
const FOREIGN: u32 = 1 << 16;

/// A place for a session, with its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Which of the places it is, from 0 on.
    pub number: u32,
    /// PPPoE SESSION_ID (RFC 2516 §4).
    pub session_id: u16,
}

/// Hands out slots, and session ids for them.
///
/// A slot that was given back is used again after all others that were free then: a late frame of the old session
/// has the longest possible time to die out.
#[derive(Debug)]
pub struct Slots {
    desk: Desk,
    ids: Ids,
    /// How many there are. Beyond them may be some that were, until their sessions give them back.
    count: usize,
    free: VecDeque<u32>,
    taken: Vec<bool>,
    /// Those that are taken and beyond all that there can be. Where ids are counted, a slot whose id is one of theirs is not
    /// free.
    foreign: BTreeSet<u32>,
}

#[derive(Debug)]
enum Ids {
    Random(RandomIds),
    From(u16),
}

impl Slots {
    /// `count` slots, to be used in their order at first.
    ///
    /// # Errors
    /// If there are none, or ids would be above [`MAX_SESSIONS`](super::MAX_SESSIONS).
    pub fn new(count: u32, numbering: Numbering) -> Result<Self, SlotError> {
        let offset = numbering.check(count)?;
        let ids = match numbering {
            Numbering::Random => Ids::Random(RandomIds::new()),
            Numbering::From(_) => Ids::From(offset),
        };
        let taken: Vec<bool> = (0..count).map(|_| false).collect();
        Ok(Self {
            desk: Desk::default(),
            ids,
            count: taken.len(),
            free: (0..count).collect(),
            taken,
            foreign: BTreeSet::new(),
        })
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
        let old = self.count_u32();
        self.count = usize::try_from(count).unwrap_or(usize::MAX);
        self.free.retain(|slot| *slot < count);
        let is_taken = |slot: u32| {
            usize::try_from(slot).ok().and_then(|slot| self.taken.get(slot)).copied().unwrap_or_default()
        };
        let new: Vec<u32> =
            (old..count).filter(|slot| !is_taken(*slot) && !self.has_foreign_id(*slot)).collect();
        self.free.extend(new);
        self.taken.resize(self.count.max(self.taken.len()), false);
        self.forget_leavers();
        Ok(())
    }

    /// Whether a session of an earlier server, for which there was no slot, has the id of this one.
    fn has_foreign_id(&self, slot: u32) -> bool {
        let Ids::From(offset) = self.ids else { return false };
        self.foreign.contains(&(FOREIGN + slot + 1 + u32::from(offset)))
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

    /// The next of these slots, or of all if none of these is free. `random` gives 32 random bits for the session id, where
    /// that is drawn. `None` if all are taken, or there are no random bits.
    pub fn take(&mut self, slots: Range<u32>, random: impl FnMut() -> Option<u32>) -> Option<Lease<Slot>> {
        let index = self.free.iter().position(|slot| slots.contains(slot)).unwrap_or(0);
        let number = *self.free.get(index)?;
        let session_id = match &mut self.ids {
            Ids::Random(ids) => ids.draw(number, random),
            Ids::From(_) => self.session_id(number),
        }?;
        self.free.remove(index)?;
        let taken = usize::try_from(number).ok().and_then(|slot| self.taken.get_mut(slot))?;
        *taken = true;
        Some(self.desk.lend(Slot { number, session_id }))
    }

    /// Takes a slot for a session that is there already, and has this id: where ids are counted, that of the id; otherwise
    /// `own` if it is free, or else the next. If there is none, it gets one beyond all that there can be. `None` if there is
    /// such a session.
    pub fn hold(&mut self, session_id: u16, own: Option<u32>) -> Option<Lease<Slot>> {
        let number = match &self.ids {
            _ if self.foreign.contains(&(FOREIGN + u32::from(session_id))) => return None,
            Ids::Random(ids) if ids.is_used(session_id) => return None,
            Ids::Random(_) => {
                own.filter(|own| self.free.contains(own)).or_else(|| self.free.front().copied())
            }
            Ids::From(_) => self.slot(session_id),
        };
        let number = match number {
            Some(number) => self.claim(number).then_some(number)?,
            None => {
                let number = FOREIGN + u32::from(session_id);
                self.foreign.insert(number).then_some(number)?
            }
        };
        if let Ids::Random(ids) = &mut self.ids {
            ids.take(number, session_id);
        }
        Some(self.desk.lend(Slot { number, session_id }))
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

    /// Takes a slot back.
    pub fn release(&mut self, lease: Lease<Slot>) {
        let Slot { number, session_id } = self.desk.take_back(lease);
        if let Ids::Random(ids) = &mut self.ids {
            ids.release(number);
        }
        if self.foreign.remove(&number) {
            // There may be more slots than when the session came, and one of them its id's.
            self.free.extend(self.slot(session_id).filter(|slot| *slot < self.count_u32()));
            return;
        }
        let taken = usize::try_from(number).ok().and_then(|slot| self.taken.get_mut(slot));
        if taken.is_some_and(std::mem::take) {
            if usize::try_from(number).is_ok_and(|slot| slot < self.count) {
                self.free.push_back(number);
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
        if let Some(foreign) = slot.checked_sub(FOREIGN).filter(|_| self.foreign.contains(&slot)) {
            return u16::try_from(foreign).ok();
        }
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

    fn count_u32(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(u32::MAX)
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Numbering::{From, Random};
    use super::*;

    const ALL: Range<u32> = 0..u32::MAX;

    fn take(slots: &mut Slots) -> Option<Lease<Slot>> {
        let mut state = u32::try_from(slots.free.len()).unwrap().wrapping_mul(0x0101_6b31);
        slots.take(ALL, || {
            state = state.wrapping_mul(0x9e37_79b9).wrapping_add(0x7f4a_7c15);
            Some(state ^ (state >> 15))
        })
    }

    /// All that are left, with their numbers and ids.
    fn take_all(slots: &mut Slots) -> Vec<Lease<Slot>> {
        std::iter::from_fn(|| take(slots)).collect()
    }

    fn ids(leases: &[Lease<Slot>]) -> Vec<u16> {
        leases.iter().map(|lease| lease.session_id).collect()
    }

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
        let taken = take_all(&mut last);
        assert_eq!(ids(&taken), [65534]);
        assert_eq!((last.slot(65534), last.slot(65533), last.slot(65535)), (Some(0), None, None));
        drop(last);
    }

    #[test]
    fn a_slot_given_back_comes_last() {
        let mut slots = Slots::new(3, From(10)).unwrap();
        let first = take(&mut slots).unwrap();
        assert_eq!(*first, Slot { number: 0, session_id: 11 });
        slots.release(first);
        let taken = take_all(&mut slots);
        assert_eq!(ids(&taken), [12, 13, 11]);
        drop(slots);
    }

    #[test]
    fn a_pool_takes_its_own_slots_first() {
        let mut slots = Slots::new(4, From(0)).unwrap();
        let ranges = [2..4, 0..2, 2..4, 2..4];
        let taken: Vec<_> = ranges.into_iter().filter_map(|range| slots.take(range, || None)).collect();
        assert_eq!(ids(&taken), [3, 1, 4, 2], "any is better than none");
        assert!(slots.take(2..4, || None).is_none());
        drop(slots);
    }

    #[test]
    fn slots_come_and_go() {
        let mut slots = Slots::new(3, From(10)).unwrap();
        let mut taken = take_all(&mut slots);
        assert_eq!(ids(&taken), [11, 12, 13]);
        slots.release(taken.remove(0));
        slots.resize(1).unwrap();
        assert_eq!((slots.count(), slots.free()), (1, 1));
        // The others have their ids until they go, and then are gone.
        assert_eq!((slots.session_id(2), slots.slot(13)), (Some(13), Some(2)));
        slots.release(taken.remove(1));
        assert_eq!((slots.session_id(2), slots.session_id(1), slots.free()), (None, Some(12), 1));
        // One that is still taken comes back with its session.
        slots.resize(4).unwrap();
        let more = take_all(&mut slots);
        assert_eq!(ids(&more), [11, 13, 14]);
        slots.release(taken.remove(0));
        let last = take_all(&mut slots);
        assert_eq!(ids(&last), [12]);
        for count in [0, 65525] {
            slots.resize(count).unwrap_err();
            assert_eq!((slots.count(), slots.free()), (4, 0));
        }
        slots.resize(65524).unwrap();
        let all = take_all(&mut slots);
        assert_eq!(ids(&all).last(), Some(&65534));
        drop(slots);
    }

    #[test]
    fn a_session_that_is_there_keeps_its_id_and_comes_once() {
        let mut slots = Slots::new(3, From(10)).unwrap();
        let own = slots.hold(12, None).unwrap();
        assert_eq!(own.number, 1);
        assert!(slots.hold(12, Some(0)).is_none(), "it is there");
        let foreign = slots.hold(14, Some(0)).unwrap();
        assert_eq!((foreign.number, slots.session_id(FOREIGN + 14)), (FOREIGN + 14, Some(14)));
        assert!(slots.hold(14, None).is_none(), "it is there");
        let rest = take_all(&mut slots);
        assert_eq!(ids(&rest), [11, 13]);
        slots.release(foreign);
        assert_eq!((slots.free(), slots.session_id(FOREIGN + 14)), (0, None));
        slots.release(own);
        let again = take(&mut slots).unwrap();
        assert_eq!(*again, Slot { number: 1, session_id: 12 });
        drop(slots);
    }

    #[test]
    fn random_ids_are_no_row_and_belong_to_their_slots() {
        let mut slots = Slots::new(64, Random).unwrap();
        let mut taken = take_all(&mut slots);
        assert!(
            taken.iter().map(|lease| lease.number).eq(0..64),
            "addresses stay as predictable as they were"
        );
        assert!(taken.iter().all(|lease| slots.session_id(lease.number) == Some(lease.session_id)));
        let ids = ids(&taken);
        let in_a_row = ids.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(in_a_row < 8, "{ids:?}");
        assert!(ids.iter().any(|id| *id > 10_000), "{ids:?}");
        slots.release(taken.remove(3));
        assert_eq!((slots.session_id(3), slots.free()), (None, 1));
        let next = take(&mut slots).unwrap();
        assert!(next.number == 3 && next.session_id != ids[3], "{next:?}");
        drop(slots);
    }

    #[test]
    fn a_session_that_is_there_keeps_its_random_id() {
        let mut slots = Slots::new(3, Random).unwrap();
        let mut held: Vec<_> = [(700, Some(1)), (800, Some(1)), (900, None), (1000, None)]
            .map(|(id, own)| slots.hold(id, own).unwrap())
            .into();
        let numbers: Vec<u32> = held.iter().map(|lease| lease.number).collect();
        assert_eq!(numbers, [1, 0, 2, FOREIGN + 1000], "one has its slot, and there are three");
        assert!(held.iter().all(|lease| slots.session_id(lease.number) == Some(lease.session_id)));
        assert!(slots.hold(800, None).is_none(), "it is there");
        assert!(take(&mut slots).is_none());
        slots.release(held.remove(3));
        assert_eq!((slots.free(), slots.session_id(FOREIGN + 1000)), (0, None));
        slots.release(held.remove(1));
        let next = take(&mut slots).unwrap();
        assert_eq!(next.number, 0);
        // An id that was given back is a session's again if that is there.
        let again = slots.hold(1000, None).unwrap();
        assert_eq!(again.session_id, 1000);
        drop(slots);
    }

    #[test]
    fn without_random_bits_nothing_is_taken() {
        let mut slots = Slots::new(2, Random).unwrap();
        assert!(slots.take(ALL, || None).is_none());
        assert_eq!(slots.free(), 2);
    }

    proptest! {
        #[test]
        fn no_slot_twice_whatever_their_number(
            is_random in any::<bool>(),
            steps in proptest::collection::vec((0u8..4, 1u32..20), 0..300),
        ) {
            let mut slots = Slots::new(7, if is_random { Random } else { From(0) }).unwrap();
            let mut held: BTreeMap<u32, Lease<Slot>> = BTreeMap::new();
            let mut count = 7;
            for (action, number) in steps {
                match action {
                    0 => match take(&mut slots) {
                        Some(lease) => {
                            prop_assert!(lease.number < count);
                            prop_assert!(is_random || u32::from(lease.session_id) == lease.number + 1);
                            prop_assert!(held.insert(lease.number, lease).is_none());
                        }
                        None => prop_assert_eq!(slots.free(), 0),
                    },
                    1 => {
                        if let Some(lease) = held.remove(&number) {
                            slots.release(lease);
                        }
                    }
                    2 => {
                        let id = u16::try_from(number).unwrap();
                        let is_there = held.values().any(|lease| lease.session_id == id);
                        let lease = slots.hold(id, Some(number));
                        prop_assert_eq!(lease.is_none(), is_there);
                        if let Some(lease) = lease {
                            prop_assert!(held.insert(lease.number, lease).is_none());
                        }
                    }
                    _ => {
                        slots.resize(number).unwrap();
                        count = number;
                    }
                }
                let place = |lease: &Lease<Slot>| match is_random {
                    true => lease.number,
                    false => u32::from(lease.session_id) - 1,
                };
                let inside = held.values().filter(|lease| place(lease) < count).count();
                prop_assert_eq!((slots.count(), slots.free()), (count as usize, count as usize - inside));
                prop_assert!(
                    held.values().all(|lease| slots.session_id(lease.number) == Some(lease.session_id))
                );
                let ids: BTreeSet<u16> = held.values().map(|lease| lease.session_id).collect();
                prop_assert_eq!(ids.len(), held.len());
            }
            drop(slots);
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
            let mut held: BTreeMap<u32, Lease<Slot>> = BTreeMap::new();
            for (is_wanted, which) in steps {
                if is_wanted {
                    match take(&mut slots) {
                        Some(lease) => {
                            prop_assert!(lease.number < count);
                            prop_assert_eq!(u32::from(lease.session_id), lease.number + 1 + offset);
                            prop_assert_eq!(slots.slot(lease.session_id), Some(lease.number));
                            prop_assert!(held.insert(lease.number, lease).is_none());
                        }
                        None => prop_assert_eq!(held.len(), count as usize),
                    }
                } else if let Some(lease) = held.remove(&which) {
                    slots.release(lease);
                }
                prop_assert_eq!(slots.free() + held.len(), slots.count());
            }
            drop(slots);
        }
    }
}
