//! Addresses and session ids: what there is, who has it, and what the next session gets.
//!
//! As in pppoe-server every slot has addresses of its own: slot 0 those of `-L` and `-R`, slot 1 the next ones, or
//! those of the pool file in its order. A session gets the address of its slot if it can, so that addresses are as
//! predictable as they were; if it cannot (the address belongs to a user, or is in use), it gets another one.
//!
//! There may be more pools than that one, each with slots of its own behind those of the others. A session takes
//! addresses of its access interface's pool only, but no address is given twice, whichever pools have it.

mod file;
mod machine;
mod part;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

pub use file::{PoolFile, PoolFileError, PoolNotice};
pub use machine::{Machine, NoMachine};
pub use part::{DEFAULT_POOL, Part, PoolName};
use ppp_session::leases::AddressBook;
pub use ppp_session::leases::{AddressPair, Lease, MAX_SESSIONS, Numbering, SlotError};

use crate::inet;
use crate::secrets::{AddressRefusal, Addresses, FixedAddresses};

/// Addresses of a range that are tried: more than there can be sessions and addresses that are kept for users.
const MAX_TRIED: usize = 1 << 18;

/// The addresses of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolEntry {
    /// Our end of the link.
    pub local: Ipv4Addr,
    /// The peer's end; `None` if the slot has none of its own (`-R 0.0.0.0`).
    pub remote: Option<Ipv4Addr>,
}

/// Who wants an address.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Name of the pool.
    pub pool: &'a str,
    /// The authenticated user; `None` without authentication.
    pub user: Option<&'a [u8]>,
    /// The addresses that the user may have; `None` without authentication: any.
    pub addresses: Option<&'a Addresses>,
    /// Addresses that are kept for single users.
    pub fixed: &'a FixedAddresses,
}

/// Who would want an address.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The user.
    pub user: &'a [u8],
    /// The addresses that the user may have; `None`: any.
    pub addresses: Option<&'a Addresses>,
    /// Addresses that are kept for single users.
    pub fixed: &'a FixedAddresses,
    /// The only address that is meant, if there is one.
    pub only: Option<Ipv4Addr>,
}

/// Why a session gets no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// All addresses that the user may have are in use or kept for others.
    #[error("the address pool is exhausted: none of its {size} addresses is free for this user")]
    Exhausted {
        /// Number of addresses in the pool.
        size: usize,
    },
    /// The only address for this user is in use.
    #[error("address {address} is in use by the session in slot {slot}")]
    InUse {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        slot: u32,
    },
    /// None of these addresses is free.
    #[error("no address from {first} to {last} is free for this user")]
    RangeExhausted {
        /// The first that was tried.
        first: Ipv4Addr,
        /// The last that was possible.
        last: Ipv4Addr,
    },
    /// The pool is not there any more.
    #[error("address pool {name:?} no longer exists")]
    NoSuchPool {
        /// Its name.
        name: String,
    },
    /// There is no pool, and the user has no address of its own.
    #[error("there is no address pool (-R 0.0.0.0), and the user has no address of its own")]
    NoPool,
    /// There is no such slot.
    #[error("there is no slot {slot}: the pool has {count}")]
    NoSuchSlot {
        /// The slot.
        slot: u32,
        /// Number of slots.
        count: usize,
    },
    /// The user's own address is one of the server's.
    #[error("address {address} is one of the server's own")]
    Ours {
        /// The address.
        address: Ipv4Addr,
    },
    /// The user may have none of the pool's addresses. Holds the refusal of the slot's own.
    #[error("{0}")]
    Refused(AddressRefusal),
    /// The slot has a lease already.
    #[error("slot {} already has address {}", .0.slot, .0.remote)]
    SlotTaken(AddressPair),
}

/// Addresses that cannot make up a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// An address of the range cannot be given to a host.
    #[error("{count} addresses from {first} would include {address}, which is not a host address")]
    BadAddress {
        /// First address of the range.
        first: Ipv4Addr,
        /// Length of the range.
        count: u32,
        /// The first bad one.
        address: Ipv4Addr,
    },
    /// The range runs over 255.255.255.255.
    #[error("{count} addresses from {first} exceed the IPv4 address space")]
    Overflow {
        /// First address of the range.
        first: Ipv4Addr,
        /// Length of the range.
        count: u32,
    },
}

/// Numbers for `show pool`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUsage {
    /// Different addresses in the pool.
    pub size: usize,
    /// Addresses of the pool that sessions have.
    pub in_use: usize,
    /// Addresses of the pool that are kept for single users (or are our own) and not in use.
    pub reserved: usize,
    /// Addresses of the pool that the next session could get.
    pub free: usize,
    /// Sessions whose address is not from the pool.
    pub outside: usize,
}

/// The addresses of all slots, and who has them.
#[derive(Debug)]
pub struct AddressPool {
    parts: Vec<Part>,
    /// Our own addresses, which no peer may have.
    ours: BTreeSet<Ipv4Addr>,
    book: AddressBook,
    machine: Rc<dyn Machine>,
}

/// What sessions have that are taken to be over.
#[derive(Clone, Copy)]
struct Leavers<'a>(&'a [AddressPair]);

impl Leavers<'_> {
    const NONE: Self = Self(&[]);

    fn have(self, remote: Ipv4Addr) -> bool {
        self.0.iter().any(|pair| pair.remote == remote)
    }

    /// How many of their links have this address as our end.
    fn our_ends(self, local: Ipv4Addr) -> usize {
        self.0.iter().filter(|pair| pair.local == local).count()
    }
}

/// `count` addresses from `first`, in order.
///
/// # Errors
/// If there are not that many, or one of them is no host's.
pub fn range(first: Ipv4Addr, count: u32) -> Result<impl Iterator<Item = Ipv4Addr>, RangeError> {
    let first_bits = first.to_bits();
    let last_bits = match count.checked_sub(1) {
        Some(more) => first_bits.checked_add(more).ok_or(RangeError::Overflow { first, count })?,
        None => first_bits,
    };
    // All bad addresses are 127.0.0.0/8, or 224.0.0.0 and above.
    for block in [0x7f00_0000, 0xe000_0000] {
        let entered = first_bits.max(block);
        if entered <= last_bits && inet::is_bad_host(Ipv4Addr::from_bits(entered)) {
            let address = Ipv4Addr::from_bits(entered);
            return Err(RangeError::BadAddress { first, count, address });
        }
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Ok((first_bits..=last_bits).map(Ipv4Addr::from_bits).take(count))
}

impl AddressPool {
    /// Pools with one entry for each slot.
    pub fn new(pools: impl IntoIterator<Item = (PoolName, Vec<PoolEntry>)>) -> Self {
        let mut pool = Self {
            parts: Vec::new(),
            ours: BTreeSet::new(),
            book: AddressBook::default(),
            machine: Rc::new(NoMachine),
        };
        pool.set_pools(pools);
        pool
    }

    /// Keeps the machine's own addresses from every session, too.
    #[must_use]
    pub fn on(mut self, machine: impl Machine + 'static) -> Self {
        self.machine = Rc::new(machine);
        self
    }

    /// Makes these the pools. Leases stay: an address that is no longer in a pool is gone when its session gives it back.
    pub fn set_pools(&mut self, pools: impl IntoIterator<Item = (PoolName, Vec<PoolEntry>)>) {
        let mut first_slot = 0;
        let book = &self.book;
        self.parts = pools
            .into_iter()
            .map(|(name, entries)| {
                let part = Part::new(name, first_slot, entries, |remote| book.holder(*remote).is_none());
                first_slot = part.slots().end;
                part
            })
            .collect();
        self.ours = self.parts.iter().flat_map(|part| part.entries()).map(|entry| entry.local).collect();
        self.check_invariants();
    }

    /// A session whose address would be our own end of other sessions, if a pool had these entries: what came for that
    /// address would be taken for us.
    pub fn conflict(&self, entries: &[PoolEntry]) -> Option<AddressPair> {
        let slot = entries.iter().find_map(|entry| self.book.holder(entry.local))?;
        self.book.of(slot)
    }

    /// The pools, in the order of their slots.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The pool of this name.
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| **part.name() == *name)
    }

    /// The pool that hands out `address`.
    pub fn part_with(&self, address: Ipv4Addr) -> Option<&Part> {
        self.parts.iter().find(|part| part.has(address))
    }

    /// The slot whose own address this is.
    pub fn slot_of(&self, address: Ipv4Addr) -> Option<u32> {
        self.part_with(address)?.slot_of(address)
    }

    /// How many slots all pools have.
    fn slots(&self) -> usize {
        self.parts.iter().map(Part::size).sum()
    }

    /// The pool that is claimed from, and what the slot has there.
    fn place(&self, slot: u32, claim: &Claim<'_>) -> Result<(&Part, PoolEntry), AssignError> {
        let count = self.slots();
        if usize::try_from(slot).is_ok_and(|slot| slot >= count) {
            return Err(AssignError::NoSuchSlot { slot, count });
        }
        let part =
            self.part(claim.pool).ok_or_else(|| AssignError::NoSuchPool { name: claim.pool.to_owned() })?;
        Ok((part, part.own(slot)))
    }

    /// What sessions have, by slot.
    pub fn leases(&self) -> impl Iterator<Item = &AddressPair> {
        self.book.iter()
    }

    /// Gives the session in `slot` an address: that of its slot if the user may have it and it is free; else the
    /// user's own (the first single address on its line); else the lowest that is free.
    ///
    /// # Errors
    /// Why there is none. The pool is then unchanged.
    pub fn assign(&mut self, slot: u32, claim: &Claim<'_>) -> Result<Lease<AddressPair>, AssignError> {
        self.vacant(slot)?;
        let pair = self.choose(slot, claim, Leavers::NONE)?;
        self.take(pair)
    }

    fn choose(&self, slot: u32, claim: &Claim<'_>, leavers: Leavers<'_>) -> Result<AddressPair, AssignError> {
        let (part, own) = self.place(slot, claim)?;
        let is_available = |address: &Ipv4Addr| self.is_available(*address, claim, leavers);
        let suggested = claim.addresses.and_then(Addresses::suggested);
        let given_back = leavers.0.iter().map(|pair| pair.remote).filter(|address| part.has(*address));
        let lowest = || {
            let free = part.free.iter().copied().find(is_available);
            free.into_iter().chain(given_back.filter(is_available)).min()
        };
        let remote = own
            .remote
            .into_iter()
            .chain(suggested)
            .find(is_available)
            .or_else(lowest)
            .ok_or_else(|| self.explain(part, &own, suggested, claim))?;
        let local = part.locals.get(&remote).copied().unwrap_or(own.local);
        Ok(AddressPair { slot, local, remote })
    }

    /// Gives the session in `slot` the lowest address from `first` to `last` that is free, whether it is of this pool or
    /// not, and not kept for another user than that of `claim`. The user's list of addresses is not looked at.
    ///
    /// # Errors
    /// Why there is none. The pool is then unchanged.
    pub fn assign_within(
        &mut self,
        slot: u32,
        first: Ipv4Addr,
        last: Ipv4Addr,
        claim: &Claim<'_>,
    ) -> Result<Lease<AddressPair>, AssignError> {
        self.vacant(slot)?;
        let pair = self.choose_within(slot, first, last, claim, Leavers::NONE)?;
        self.take(pair)
    }

    fn choose_within(
        &self,
        slot: u32,
        first: Ipv4Addr,
        last: Ipv4Addr,
        claim: &Claim<'_>,
        leavers: Leavers<'_>,
    ) -> Result<AddressPair, AssignError> {
        let (part, own) = self.place(slot, claim)?;
        let claim = Claim { addresses: None, ..*claim };
        let mut range = (first.to_bits()..=last.to_bits()).map(Ipv4Addr::from_bits).take(MAX_TRIED);
        let Some(remote) = range.find(|address| self.is_available(*address, &claim, leavers)) else {
            return Err(match self.book.holder(first) {
                Some(slot) if first == last => AssignError::InUse { address: first, slot },
                _ if first == last && self.is_ours(first) => AssignError::Ours { address: first },
                _ => AssignError::RangeExhausted { first, last },
            });
        };
        let local = part.locals.get(&remote).copied().unwrap_or(own.local);
        Ok(AddressPair { slot, local, remote })
    }

    /// What a session of this user would get, if those in the slots `leavers` were over: its address, if that can only be
    /// one, or the pool that it would be of.
    ///
    /// # Errors
    /// Why it would get none, in the first pool.
    pub fn would_assign(&self, wish: &Wish<'_>, leavers: &[u32]) -> Result<String, AssignError> {
        let leavers: Vec<AddressPair> = leavers.iter().filter_map(|slot| self.book.of(*slot)).collect();
        let mut outcomes = self.parts.iter().map(|part| self.try_pool(part, wish, Leavers(&leavers)));
        let outcome = outcomes.next().unwrap_or(Err(AssignError::NoPool));
        match outcome {
            Ok(_) => outcome,
            Err(_) => outcomes.find(Result::is_ok).unwrap_or(outcome),
        }
    }

    fn try_pool(&self, part: &Part, wish: &Wish<'_>, leavers: Leavers<'_>) -> Result<String, AssignError> {
        let pool = part.name();
        let claim = Claim { pool, user: Some(wish.user), addresses: wish.addresses, fixed: wish.fixed };
        let is_free = |slot: &u32| self.book.of(*slot).is_none_or(|pair| leavers.0.contains(&pair));
        let slot = part.slots().find(is_free).ok_or(AssignError::Exhausted { size: part.size() })?;
        let pair = match wish.only {
            Some(address) => self.choose_within(slot, address, address, &claim, leavers),
            None => self.choose(slot, &claim, leavers),
        }?;
        let own = wish.only.or_else(|| wish.addresses.and_then(Addresses::suggested));
        match own == Some(pair.remote) {
            true => Ok(pair.remote.to_string()),
            false => Ok(format!("an address of pool {pool}")),
        }
    }

    /// Holds the address of a session that is there already, whether or not the pool would give it. A slot that is not of
    /// the pool will do.
    ///
    /// # Errors
    /// The slot that has the address already, or this one, if it has another. The pool is then unchanged.
    pub fn hold(&mut self, pair: AddressPair) -> Result<Lease<AddressPair>, u32> {
        let lease = self.book.hold(pair)?;
        for part in &mut self.parts {
            part.free.remove(&pair.remote);
        }
        self.check_invariants();
        Ok(lease)
    }

    /// Whether the session in `slot` has no address yet.
    fn vacant(&self, slot: u32) -> Result<(), AssignError> {
        self.book.of(slot).map_or(Ok(()), |pair| Err(AssignError::SlotTaken(pair)))
    }

    /// Holds what was chosen, which nobody has, for a slot that has nothing.
    fn take(&mut self, pair: AddressPair) -> Result<Lease<AddressPair>, AssignError> {
        self.hold(pair).map_err(|slot| AssignError::InUse { address: pair.remote, slot })
    }

    /// Takes the addresses of a session back.
    pub fn release(&mut self, lease: Lease<AddressPair>) -> AddressPair {
        let pair = self.book.release(lease);
        for part in self.parts.iter_mut().filter(|part| part.has(pair.remote)) {
            part.free.insert(pair.remote);
        }
        self.check_invariants();
        pair
    }

    /// How much of all pools is used.
    pub fn usage(&self, fixed: &FixedAddresses) -> PoolUsage {
        let mut all = PoolUsage::default();
        for part in &self.parts {
            let usage = self.usage_of(part, fixed);
            all.size += usage.size;
            all.in_use += usage.in_use;
            all.reserved += usage.reserved;
            all.free += usage.free;
        }
        all.outside = self.book.len().saturating_sub(all.in_use);
        all
    }

    /// How much of one pool is used. `outside` is 0: a lease does not say where its session would look first.
    pub fn usage_of(&self, part: &Part, fixed: &FixedAddresses) -> PoolUsage {
        let free = part.free.iter().filter(|address| self.is_open_to_all(**address, fixed)).count();
        PoolUsage {
            size: part.locals.len(),
            in_use: part.locals.len() - part.free.len(),
            reserved: part.free.len() - free,
            free,
            outside: 0,
        }
    }

    fn is_open_to_all(&self, address: Ipv4Addr, fixed: &FixedAddresses) -> bool {
        !fixed.is_reserved_from(address, None) && !self.is_our_end(address) && !inet::is_bad_host(address)
    }

    /// Is it our end of a link, or to be one?
    fn is_our_end(&self, address: Ipv4Addr) -> bool {
        self.ours.contains(&address) || self.book.our_ends(address) > 0
    }

    /// Whether it is an address of this server: our end of a link, or to be one, or any other of the machine.
    pub fn is_ours(&self, address: Ipv4Addr) -> bool {
        self.is_our_end(address) || self.machine.has(address)
    }

    fn is_available(&self, address: Ipv4Addr, claim: &Claim<'_>, leavers: Leavers<'_>) -> bool {
        self.book.holder(address).is_none_or(|_| leavers.have(address))
            && !self.ours.contains(&address)
            && self.book.our_ends(address) <= leavers.our_ends(address)
            && !inet::is_bad_host(address)
            && !claim.fixed.is_reserved_from(address, claim.user)
            && claim.addresses.is_none_or(|addresses| addresses.authorizes(address).is_ok())
            // Last, as it costs most.
            && !self.machine.has(address)
    }

    /// Why no address was found.
    fn explain(
        &self,
        part: &Part,
        own: &PoolEntry,
        suggested: Option<Ipv4Addr>,
        claim: &Claim<'_>,
    ) -> AssignError {
        if let Some(address) = suggested {
            if let Some(slot) = self.book.holder(address) {
                return AssignError::InUse { address, slot };
            }
            if self.is_ours(address) {
                return AssignError::Ours { address };
            }
        }
        if part.locals.is_empty() {
            return AssignError::NoPool;
        }
        let exhausted = AssignError::Exhausted { size: part.locals.len() };
        let Some(addresses) = claim.addresses else { return exhausted };
        if part.locals.keys().any(|address| addresses.authorizes(*address).is_ok()) {
            return exhausted;
        }
        let shown = own.remote.or_else(|| part.locals.keys().next().copied());
        match shown.map(|address| addresses.authorizes(address)) {
            Some(Err(refusal)) => AssignError::Refused(refusal),
            _ => exhausted,
        }
    }

    fn check_invariants(&self) {
        debug_assert!(
            self.parts.iter().all(|part| part
                .locals
                .keys()
                .all(|address| part.free.contains(address) != self.book.holder(*address).is_some())),
            "an address of the pool is neither free nor held, or both"
        );
    }
}

#[cfg(test)]
mod tests;
