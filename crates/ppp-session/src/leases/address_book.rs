//! Who has which IPv4 address, and which addresses are our ends of links.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Desk, Lease};

/// The addresses of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPair {
    /// The slot of the session.
    pub slot: u32,
    /// Our end of the link; any number of links may have the same.
    pub local: Ipv4Addr,
    /// The peer's end, which no other link has.
    pub remote: Ipv4Addr,
}

/// Addresses of sessions: each peer's once, each slot one.
#[derive(Debug, Default)]
pub struct AddressBook {
    desk: Desk,
    by_slot: BTreeMap<u32, AddressPair>,
    /// The slot that has each address.
    holders: BTreeMap<Ipv4Addr, u32>,
    /// How many links have each address as our end.
    our_ends: BTreeMap<Ipv4Addr, usize>,
}

impl AddressBook {
    /// Holds the addresses of a session.
    ///
    /// # Errors
    /// The slot that has the peer's address already, or this one, if it has another. Nothing has changed then.
    pub fn hold(&mut self, pair: AddressPair) -> Result<Lease<AddressPair>, u32> {
        if let Some(&holder) = self.holders.get(&pair.remote) {
            return Err(holder);
        }
        if self.by_slot.contains_key(&pair.slot) {
            return Err(pair.slot);
        }
        self.by_slot.insert(pair.slot, pair);
        self.holders.insert(pair.remote, pair.slot);
        *self.our_ends.entry(pair.local).or_default() += 1;
        self.check_invariants();
        Ok(self.desk.lend(pair))
    }

    /// Takes addresses back.
    pub fn release(&mut self, lease: Lease<AddressPair>) -> AddressPair {
        let pair = self.desk.take_back(lease);
        self.by_slot.remove(&pair.slot);
        self.holders.remove(&pair.remote);
        if let Some(count) = self.our_ends.get_mut(&pair.local) {
            *count -= 1;
            if *count == 0 {
                self.our_ends.remove(&pair.local);
            }
        }
        self.check_invariants();
        pair
    }

    /// What the session in a slot has.
    pub fn of(&self, slot: u32) -> Option<AddressPair> {
        self.by_slot.get(&slot).copied()
    }

    /// The slot of the session whose peer has this address.
    pub fn holder(&self, remote: Ipv4Addr) -> Option<u32> {
        self.holders.get(&remote).copied()
    }

    /// Links that have this address as our end.
    pub fn our_ends(&self, local: Ipv4Addr) -> usize {
        self.our_ends.get(&local).copied().unwrap_or(0)
    }

    /// All that are held, by slot.
    pub fn iter(&self) -> impl Iterator<Item = &AddressPair> {
        self.by_slot.values()
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.by_slot.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    fn check_invariants(&self) {
        debug_assert_eq!(self.by_slot.len(), self.holders.len(), "an address is leased twice");
        debug_assert!(
            self.by_slot.values().all(|pair| self.holders.get(&pair.remote) == Some(&pair.slot)),
            "slots and holders disagree"
        );
        debug_assert_eq!(
            self.our_ends.values().sum::<usize>(),
            self.by_slot.len(),
            "a link has no end of ours"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, number)
    }

    proptest! {
        #[test]
        fn each_address_and_each_slot_has_one_holder(
            steps in proptest::collection::vec((any::<bool>(), 0u32..8, 0u8..3, 0u8..8), 0..200),
        ) {
            let mut book = AddressBook::default();
            let mut held: BTreeMap<u32, Lease<AddressPair>> = BTreeMap::new();
            for (hold, slot, local, remote) in steps {
                let pair = AddressPair { slot, local: address(100 + local), remote: address(remote) };
                let holder = held.values().find(|lease| lease.remote == pair.remote).map(|lease| lease.slot);
                match hold {
                    true => match (book.hold(pair), holder.or(held.contains_key(&slot).then_some(slot))) {
                        (Ok(lease), None) => drop(held.insert(slot, lease)),
                        (Err(found), Some(expected)) => prop_assert_eq!(found, expected),
                        (outcome, expected) => prop_assert!(false, "{:?}, and not {:?}", outcome, expected),
                    },
                    false => if let Some(lease) = held.remove(&slot) {
                        let before = *lease;
                        prop_assert_eq!(book.release(lease), before);
                    },
                }
                prop_assert_eq!(book.len(), held.len());
                for lease in held.values() {
                    prop_assert_eq!(book.of(lease.slot), Some(**lease));
                    prop_assert_eq!(book.holder(lease.remote), Some(lease.slot));
                }
                for local in 100..103 {
                    let expected = held.values().filter(|lease| lease.local == address(local)).count();
                    prop_assert_eq!(book.our_ends(address(local)), expected);
                }
            }
            drop(book);
        }
    }
}
