use std::time::{Duration, Instant};

use super::mac_hash::MacHash;

/// How long an address is remembered: at least this long, and at most twice, if not too many are remembered. Clients
/// repeat a PADI after 1 to 20 seconds.
const GENERATION: Duration = Duration::from_secs(20);
/// Bits of one generation, half a megabyte. Power of two.
const BITS: usize = 1 << 22;
/// Addresses after which a generation ends early: then less than one in fifty strangers is taken for a known one.
const MAX_ADDRESSES: u32 = 400_000;

/// Addresses that were seen lately: two generations of a Bloom filter.
///
/// Its size is fixed, so a flood of forged addresses can neither make it grow nor push others out one by one; it can
/// only shorten the memory (to 5 seconds at 80,000 addresses per second). It has no memory at all before the first
/// address is entered.
#[derive(Debug)]
pub(super) struct RecentMacs {
    current: Vec<u64>,
    previous: Vec<u64>,
    entered: u32,
    since: Instant,
}

impl RecentMacs {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { current: Vec::new(), previous: Vec::new(), entered: 0, since: epoch }
    }

    pub(super) fn contains(&mut self, mac: &MacHash, now: Instant) -> bool {
        self.age(now);
        is_in(&self.current, mac) || is_in(&self.previous, mac)
    }

    pub(super) fn insert(&mut self, mac: &MacHash, now: Instant) {
        self.age(now);
        if self.entered == MAX_ADDRESSES {
            self.rotate(now);
        }
        if self.current.is_empty() {
            // Zeroed pages of the system: those that are not written to cost nothing.
            self.current = vec![0; BITS / 64];
        }
        for (word, bit) in places(mac) {
            if let Some(word) = self.current.get_mut(word) {
                *word |= bit;
            }
        }
        self.entered += 1;
    }

    fn age(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= GENERATION {
            self.rotate(now);
        }
        if age >= 2 * GENERATION {
            self.previous = Vec::new();
        }
    }

    fn rotate(&mut self, now: Instant) {
        self.previous = std::mem::take(&mut self.current);
        self.entered = 0;
        self.since = now;
    }
}

fn is_in(filter: &[u64], mac: &MacHash) -> bool {
    places(mac).into_iter().all(|(word, bit)| filter.get(word).is_some_and(|word| word & bit != 0))
}

/// Words of the filter, and a bit in each.
fn places(mac: &MacHash) -> [(usize, u64); 3] {
    mac.indices::<3>(BITS).map(|place| (place / 64, 1 << (place % 64)))
}

#[cfg(test)]
mod tests {
    use ppp_wire::MacAddr;

    use super::super::cookie::CookieKey;
    use super::super::mac_hash::MacHasher;
    use super::*;

    fn hashes(count: u32) -> impl Iterator<Item = MacHash> {
        let hasher = MacHasher::new(&CookieKey::new(&[1; 32]));
        (0..count).map(move |number| {
            let [a, b, c, d] = number.to_be_bytes();
            hasher.hash(MacAddr([2, 0, a, b, c, d]))
        })
    }

    #[test]
    fn remembers_for_one_to_two_generations() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let [one, two]: [MacHash; 2] = hashes(2).collect::<Vec<_>>().try_into().unwrap();
        let mut recent = RecentMacs::new(start);
        assert!(!recent.contains(&one, at(0)));
        recent.insert(&one, at(0));
        recent.insert(&two, at(19));
        assert!(recent.contains(&one, at(19)) && recent.contains(&two, at(19)));
        assert!(recent.contains(&one, at(20)) && recent.contains(&two, at(39)));
        assert!(!recent.contains(&one, at(40)) && !recent.contains(&two, at(40)));
        assert!(recent.current.is_empty() && recent.previous.is_empty(), "memory stays when it is over");

        recent.insert(&one, at(50));
        assert!(recent.contains(&one, at(59)));
        assert!(!recent.contains(&one, at(1000)), "after a long pause");
    }

    #[test]
    fn a_flood_neither_grows_it_nor_makes_strangers_known() {
        let start = Instant::now();
        let mut recent = RecentMacs::new(start);
        let all: Vec<MacHash> = hashes(MAX_ADDRESSES + 10_000).collect();
        let (flood, strangers) = all.split_at(MAX_ADDRESSES as usize);
        for mac in flood {
            recent.insert(mac, start);
        }
        assert!(flood.iter().all(|mac| recent.contains(mac, start)));
        let mistaken = strangers.iter().filter(|mac| recent.contains(mac, start)).count();
        assert!(mistaken < 200, "{mistaken} of 10000");

        recent.insert(&strangers[0], start);
        assert_eq!(recent.entered, 1, "a full generation ends");
        assert!(recent.contains(&flood[0], start));
        assert_eq!((recent.current.len(), recent.previous.len()), (BITS / 64, BITS / 64));
    }
}
