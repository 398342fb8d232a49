//! A configuration as a list for people: all settings, the addresses of the pool, and the lists of MAC addresses.

use super::{Config, Effect, Setting};
use crate::mac_list::MacRules;
use crate::pool::PoolEntry;

/// Ranges of addresses of each pool that are listed; more are counted.
pub const MAX_RANGES: usize = 256;
/// Addresses of each list of MAC addresses that are listed; more are counted.
pub const MAX_MACS: usize = 256;

/// One line of the list: name, value with its origin, and when a change takes effect.
pub type Line = (String, Setting, Effect);

impl Config {
    /// Everything that holds, in a fixed order, while the lists of MAC addresses are `rules`.
    pub fn listing(&self, rules: &MacRules) -> Vec<Line> {
        let setting = |value: &dyn ToString, origin: &dyn ToString| Setting {
            value: value.to_string(),
            origin: origin.to_string(),
        };
        let mut list: Vec<Line> = self
            .entries()
            .into_iter()
            .map(|entry| (entry.key.into_owned(), setting(&entry.value, &entry.origin), entry.effect))
            .collect();
        let default = ("addresses".to_owned(), &self.pool, &self.pool_origins);
        let named = self.named_pools.iter();
        let named =
            named.map(|pool| (format!("pool {}: addresses", pool.name), &pool.entries, &pool.origins));
        for (key, entries, origins) in std::iter::once(default).chain(named) {
            let line = |value: &str, slot| (key.clone(), setting(&value, &origins.of(slot)), Effect::Now);
            let mut ranges = entries.chunk_by(follows);
            let mut slot = 0;
            for range in ranges.by_ref().take(MAX_RANGES) {
                list.extend(shown(range).map(|value| line(&value, slot)));
                slot += range.len();
            }
            let more = ranges.count();
            if more > 0 {
                list.push(line(&format!("and {more} more ranges"), slot));
            }
        }
        let files = [&self.limits.mac_files.allow, &self.limits.mac_files.deny];
        for ((name, macs), file) in rules.lists().into_iter().zip(files) {
            let (Some(macs), Some(file)) = (macs, file) else { continue };
            let line = |value: &dyn ToString| {
                (format!("{name} address"), setting(value, &file.display()), Effect::Now)
            };
            list.extend(macs.iter().take(MAX_MACS).map(|mac| line(mac)));
            let more = macs.len().saturating_sub(MAX_MACS);
            if more > 0 {
                list.push(line(&format!("and {more} more")));
            }
        }
        list
    }
}

/// Whether a slot's address is the next one, with the same end of ours.
fn follows(slot: &PoolEntry, next: &PoolEntry) -> bool {
    let is_next = match (slot.remote, next.remote) {
        (Some(one), Some(next)) => one == next || one.to_bits().checked_add(1) == Some(next.to_bits()),
        (None, None) => true,
        _ => false,
    };
    is_next && slot.local == next.local
}

fn shown(range: &[PoolEntry]) -> Option<String> {
    let (first, last) = (range.first()?, range.last()?);
    let remote = match (first.remote, last.remote) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first}-{last}"),
        _ => "none".to_owned(),
    };
    Some(format!("{remote}, ours is {}", first.local))
}
