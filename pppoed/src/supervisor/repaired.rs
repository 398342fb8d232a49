//! What was otherwise than it should be, and was put right: counted by kind.

use std::collections::BTreeMap;

use ppp_ipc::control::NamedCount;

/// The kinds that there are; a new one needs a line here and in `docs/metrics.md`.
const KINDS: [&str; 10] = [
    "worker",
    "run-directory",
    "record",
    "interface",
    "address",
    "proxy-arp",
    "filter",
    "rule",
    "protection",
    "hook",
];

/// How often each kind was repaired since the start.
#[derive(Debug, Default)]
pub(super) struct Repaired(BTreeMap<&'static str, u64>);

impl Repaired {
    pub(super) fn count(&mut self, kind: &'static str) {
        self.count_many(kind, 1);
    }

    pub(super) fn count_many(&mut self, kind: &'static str, count: u64) {
        debug_assert!(KINDS.contains(&kind), "{kind}");
        let counted = self.0.entry(kind).or_default();
        *counted = counted.saturating_add(count);
    }

    pub(super) fn counts(&self) -> Vec<NamedCount> {
        let count = |kind: &str| self.0.get(kind).copied().unwrap_or(0);
        KINDS.iter().map(|kind| NamedCount { name: (*kind).to_owned(), count: count(kind) }).collect()
    }
}
