//! One of the pools that the addresses are divided into.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;

use super::PoolEntry;

/// Name of a pool.
pub type PoolName = Arc<str>;

/// Name of the pool of `-R`, `-N` and `-p`, which has all interfaces that are not given another one.
pub const DEFAULT_POOL: &str = "default";

/// One pool: its addresses, and the slots that they belong to.
#[derive(Clone, Debug)]
pub struct Part {
    name: PoolName,
    /// The slot of its first entry; the others follow.
    first_slot: u32,
    entries: Vec<PoolEntry>,
    /// Our end for each of its remote addresses.
    pub(super) locals: BTreeMap<Ipv4Addr, Ipv4Addr>,
    /// Its remote addresses that nobody has.
    pub(super) free: BTreeSet<Ipv4Addr>,
}

impl Part {
    pub(super) fn new(
        name: PoolName,
        first_slot: u32,
        entries: Vec<PoolEntry>,
        is_free: impl Fn(&Ipv4Addr) -> bool,
    ) -> Self {
        let mut locals = BTreeMap::new();
        for entry in &entries {
            if let Some(remote) = entry.remote {
                locals.entry(remote).or_insert(entry.local);
            }
        }
        let free = locals.keys().copied().filter(is_free).collect();
        Self { name, first_slot, entries, locals, free }
    }

    /// Its name.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// The entries of its slots, in their order.
    pub fn entries(&self) -> &[PoolEntry] {
        &self.entries
    }

    /// Sessions that there can be with it.
    pub fn size(&self) -> usize {
        self.entries.len()
    }

    /// The slots whose own addresses are of this pool.
    pub fn slots(&self) -> Range<u32> {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.first_slot..self.first_slot.saturating_add(count)
    }

    /// Whether it hands out `address`.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.locals.contains_key(&address)
    }

    /// The first slot whose own address this is.
    pub(super) fn slot_of(&self, address: Ipv4Addr) -> Option<u32> {
        let index = self.entries.iter().position(|entry| entry.remote == Some(address))?;
        self.first_slot.checked_add(u32::try_from(index).ok()?)
    }

    /// What the session in `slot` would get if nothing were in the way. A slot of another pool has no address here, and
    /// our end of the first.
    pub(super) fn own(&self, slot: u32) -> PoolEntry {
        let index = slot.checked_sub(self.first_slot).and_then(|index| usize::try_from(index).ok());
        let own = index.and_then(|index| self.entries.get(index)).copied();
        own.unwrap_or_else(|| {
            let local = self.entries.first().map_or(Ipv4Addr::UNSPECIFIED, |entry| entry.local);
            PoolEntry { local, remote: None }
        })
    }
}
