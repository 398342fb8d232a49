//! What was dropped, told once per cause and minute, however much it was.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ppp_proto::discovery::{DropCause, DropCounters};
use tracing::{info, warn};

use super::Supervisor;
use super::session::AccessIndex;

/// How often the counters are looked at: a drop is told at most this late.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Time between two lines about the same cause.
const SILENCE: Duration = Duration::from_secs(60);

/// What was told about each interface's drops, and when.
#[derive(Debug, Default)]
pub(super) struct DropLog {
    told: BTreeMap<(AccessIndex, DropCause), Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    count: u64,
    at: Instant,
}

impl DropLog {
    /// The causes that there is something to tell about, and how many drops there were since the last time.
    fn due(&mut self, access: AccessIndex, drops: &DropCounters, now: Instant) -> Vec<(DropCause, u64)> {
        let mut due = Vec::new();
        for (cause, count) in drops.iter() {
            let told = self.told.get(&(access, cause));
            let before = told.map_or(0, |told| told.count);
            let is_silent = told.is_some_and(|told| now.saturating_duration_since(told.at) < SILENCE);
            if count > before && !is_silent {
                self.told.insert((access, cause), Told { count, at: now });
                due.push((cause, count - before));
            }
        }
        due
    }
}

impl Supervisor {
    pub(super) fn log_drops(&mut self, now: Instant) {
        for (index, access) in self.accesses.iter().enumerate() {
            for (cause, count) in self.drop_log.due(index, access.drops(), now) {
                let (interface, cause_name) = (access.name(), cause.as_str());
                match is_limit(cause) {
                    true => warn!(interface, cause = cause_name, count, "discovery: a limit was reached"),
                    false => info!(interface, cause = cause_name, count, "discovery: frames were dropped"),
                }
            }
        }
    }
}

/// Whether an administrator may want to change a limit, or look for whoever floods.
fn is_limit(cause: DropCause) -> bool {
    matches!(
        cause,
        DropCause::MacRate
            | DropCause::NoFreeSlot
            | DropCause::Overload
            | DropCause::PadiRate
            | DropCause::PadoQueueFull
            | DropCause::PadrRate
            | DropCause::TooManyStarting
    )
}
