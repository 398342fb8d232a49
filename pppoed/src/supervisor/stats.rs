//! Counters of the whole server.

use std::collections::BTreeMap;
use std::time::Instant;

use ppp_ipc::control::NamedCount;
use ppp_ipc::reason::EndReason;

/// Counts starts and ends.
#[derive(Debug)]
pub(super) struct Stats {
    since: Instant,
    started: u64,
    ended: BTreeMap<&'static str, u64>,
}

impl Stats {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, started: 0, ended: BTreeMap::new() }
    }

    pub(super) fn started(&mut self) {
        self.started += 1;
    }

    pub(super) fn ended(&mut self, reason: EndReason) {
        *self.ended.entry(reason.as_str()).or_default() += 1;
    }

    pub(super) fn uptime_s(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs()
    }

    pub(super) fn total_started(&self) -> u64 {
        self.started
    }

    pub(super) fn ends(&self) -> Vec<NamedCount> {
        self.ended
            .iter()
            .map(|(name, count)| NamedCount { name: (*name).to_owned(), count: *count })
            .collect()
    }
}
