//! How many sessions the pools can really serve: not every slot has an address that a client can get.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use super::Config;
use crate::inet;
use crate::origin::Origin;
use crate::pool::{PoolEntry, PoolName};

/// Ranges of addresses that are told one by one.
const MAX_RANGES: usize = 8;

/// A pool with fewer addresses for clients than it has slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pool: PoolName,
    origin: Origin,
    slots: usize,
    usable: usize,
    /// Addresses that are our own ends of the links.
    ours: BTreeSet<Ipv4Addr>,
    /// Addresses that no host can have.
    bad: BTreeSet<Ipv4Addr>,
    /// Slots whose address is an earlier one's, too.
    repeated: usize,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, origin, slots, usable, ours, bad, repeated } = self;
        write!(f, "{origin}: {usable} of {slots} sessions of pool {pool:?} can have an address of it")?;
        let mut separator = ": ";
        for (addresses, one, several) in [
            (
                ours,
                "is our own end of the links (-L, -l), and no client gets it",
                "are our own ends of the links (-L, -l), and no client gets them",
            ),
            (bad, "is an address that no client can use", "are addresses that no client can use"),
        ] {
            if !addresses.is_empty() {
                let verb = if addresses.len() == 1 { one } else { several };
                write!(f, "{separator}{} {verb}", Ranges(addresses))?;
                separator = "; ";
            }
        }
        if *repeated > 0 {
            write!(f, "{separator}slots that repeat an address of another one: {repeated}")?;
        }
        Ok(())
    }
}

/// `10.0.0.1-10.0.0.5, 10.0.0.9`
struct Ranges<'a>(&'a BTreeSet<Ipv4Addr>);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
        for &address in self.0 {
            match ranges.last_mut() {
                Some((_, last)) if last.to_bits().checked_add(1) == Some(address.to_bits()) => {
                    *last = address
                }
                _ => ranges.push((address, address)),
            }
        }
        for (number, (first, last)) in ranges.iter().take(MAX_RANGES).enumerate() {
            let separator = if number > 0 { ", " } else { "" };
            write!(f, "{separator}{first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        match ranges.len().saturating_sub(MAX_RANGES) {
            0 => Ok(()),
            more => write!(f, " and {more} more ranges"),
        }
    }
}

impl Config {
    /// The pools that cannot give each of their slots an address. One without any address of its own is not among them:
    /// its users have theirs.
    pub(super) fn shortages(&self) -> Vec<Shortage> {
        let ours: BTreeSet<Ipv4Addr> =
            self.pools().flat_map(|(_, entries)| entries).map(|entry| entry.local).collect();
        let look = |(name, entries)| shortage(name, entries, &ours);
        let with_origin = |shortage: Shortage| {
            let named = self.named_pools.iter().find(|pool| pool.name == shortage.pool);
            let origin = named.map_or_else(|| self.pool_origins.of(0), |pool| pool.origin.clone());
            Shortage { origin, ..shortage }
        };
        self.pools().filter_map(look).map(with_origin).collect()
    }

    /// How many sessions there can be at once whose users have no addresses of their own; all slots, if no pool has
    /// addresses.
    pub fn serveable(&self) -> usize {
        let missing: usize = self.shortages().iter().map(|short| short.slots - short.usable).sum();
        self.max_sessions() - missing
    }
}

fn shortage(pool: PoolName, entries: &[PoolEntry], ours: &BTreeSet<Ipv4Addr>) -> Option<Shortage> {
    let mut short = Shortage {
        pool,
        origin: Origin::Default,
        slots: entries.len(),
        usable: 0,
        ours: BTreeSet::new(),
        bad: BTreeSet::new(),
        repeated: 0,
    };
    let mut seen = BTreeSet::new();
    for address in entries.iter().filter_map(|entry| entry.remote) {
        if !seen.insert(address) {
            short.repeated += 1;
        } else if ours.contains(&address) {
            short.ours.insert(address);
        } else if inet::is_bad_host(address) {
            short.bad.insert(address);
        } else {
            short.usable += 1;
        }
    }
    (!seen.is_empty() && short.usable < short.slots).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(
        locals: impl IntoIterator<Item = u8>,
        remotes: impl IntoIterator<Item = [u8; 4]>,
    ) -> Option<String> {
        let local = |last| Ipv4Addr::new(10, 0, 0, last);
        let entries: Vec<PoolEntry> = locals
            .into_iter()
            .zip(remotes)
            .map(|(last, remote)| PoolEntry { local: local(last), remote: Some(remote.into()) })
            .collect();
        let ours = entries.iter().map(|entry| entry.local).collect();
        shortage("default".into(), &entries, &ours).map(|short| short.to_string())
    }

    #[test]
    fn what_is_lost_is_told_with_the_reason() {
        let here = |last: u8| [10, 0, 0, last];
        assert_eq!(said([1; 20], (2..=21).map(here)), None);
        assert_eq!(
            said(1..=20, (10..=29).map(here)).unwrap(),
            "default: 9 of 20 sessions of pool \"default\" can have an address of it: 10.0.0.10-10.0.0.20 are our own ends \
             of the links (-L, -l), and no client gets them"
        );
        assert_eq!(
            said([1; 6], [here(1), here(2), here(2), here(2), [127, 0, 0, 1], here(4)]).unwrap(),
            "default: 2 of 6 sessions of pool \"default\" can have an address of it: 10.0.0.1 is our own end of the links \
             (-L, -l), and no client gets it; 127.0.0.1 is an address that no client can use; slots that repeat an \
             address of another one: 2"
        );
    }

    #[test]
    fn ranges_are_short_and_not_too_many() {
        let addresses = |last: &[u8]| last.iter().map(|last| Ipv4Addr::new(10, 0, 0, *last)).collect();
        let shown = |last: &[u8]| Ranges(&addresses(last)).to_string();
        assert_eq!(shown(&[1, 2, 3, 5]), "10.0.0.1-10.0.0.3, 10.0.0.5");
        let apart: Vec<u8> = (1..=10).map(|number| number * 2).collect();
        assert!(shown(&apart).ends_with("10.0.0.16 and 2 more ranges"), "{}", shown(&apart));
    }
}
