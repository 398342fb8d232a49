//! What was dropped or refused, told once per cause and minute, however much it was, with the sender of one of the frames.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ppp_proto::discovery::{DropCause, DropCounters};
use ppp_wire::escape::Escaped;
use tracing::field::display;
use tracing::{info, warn};

use super::Supervisor;
use super::session::AccessIndex;
use crate::log_limit::{LogLimit, SILENCE};
use crate::message::{DIALS_LEFT_OUT, LIMIT_REACHED};

/// How often the counters are looked at: a drop is told at most this late.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

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

/// What is told about refusals of one kind: not each of them, but the first in a minute, with how many were not told.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    kinds: BTreeMap<Refused, LogLimit>,
}

/// Why a PADR with a good cookie was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    /// All slots are taken.
    NoSlot,
    /// Its host has a session whose peer answers.
    SameStation,
    /// It asked for a service that is not offered.
    Service,
    /// The system did not give what a session needs.
    System,
}

impl Refusals {
    /// Counts a refusal. `Some` if it is to be told, with the number of those of its kind that were not told since
    /// the last one.
    pub(super) fn count(&mut self, kind: Refused, now: Instant) -> Option<u64> {
        self.kinds.entry(kind).or_default().count(now)
    }
}

impl Supervisor {
    pub(super) fn log_drops(&mut self, now: Instant) {
        if let Some(count) = self.repeated_dials.take_of_others(now) {
            info!(name: DIALS_LEFT_OUT.name, count, "{} of other clients", DIALS_LEFT_OUT.words);
        }
        for (index, access) in self.accesses.iter_mut().enumerate() {
            for (cause, count) in self.drop_log.due(index, &access.drops().clone(), now) {
                let sample = access.take_drop_sample(cause);
                let peer_mac = sample.as_ref().map(|sample| display(sample.peer_mac));
                let service = sample.as_ref().and_then(|sample| sample.service.as_deref());
                let service = service.map(|service| display(Escaped(service)));
                let (interface, cause_name) = (access.name(), cause.as_str());
                match is_limit(cause) {
                    true => warn!(
                        name: LIMIT_REACHED.name,
                        interface, cause = cause_name, count, peer_mac, service, "{}", LIMIT_REACHED.words
                    ),
                    false => info!(
                        interface,
                        cause = cause_name,
                        count,
                        peer_mac,
                        service,
                        "discovery: frames were dropped"
                    ),
                }
            }
        }
    }
}

/// Whether an administrator may want to change a limit, or look for whoever floods.
fn is_limit(cause: DropCause) -> bool {
    matches!(
        cause,
        DropCause::Congested
            | DropCause::GaveUp
            | DropCause::HookBusy
            | DropCause::MacRate
            | DropCause::NoFreeSlot
            | DropCause::Overload
            | DropCause::PadiRate
            | DropCause::PadoQueueFull
            | DropCause::PadrRate
            | DropCause::TooManyStarting
    )
}

#[cfg(test)]
mod tests {
    use ppp_proto::discovery::cookie::CookieKey;
    use ppp_proto::discovery::server::{Admission, Config, Server, Sessions};
    use ppp_wire::MacAddr;

    use super::*;

    struct NoSessions;

    impl Sessions for NoSessions {
        fn admission(&self, _: MacAddr) -> Admission {
            Admission::Welcome
        }

        fn count(&self) -> usize {
            0
        }

        fn owner(&self, _: u16) -> Option<MacAddr> {
            None
        }
    }

    #[test]
    fn a_cause_is_told_once_a_minute_with_its_number() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let config = Config::new(MacAddr([2, 0, 0, 0, 0, 1]), 1, 1500, "ac");
        let mut server = Server::new(config, CookieKey::new(&[1; 32]), start).unwrap();
        let mut drop_frames = |count| {
            for _ in 0..count {
                server.handle_frame(&[0; 3], &NoSessions, start);
            }
            *server.drops()
        };
        let mut log = DropLog::default();
        assert_eq!(log.due(0, &drop_frames(0), at(0)), []);
        let drops = drop_frames(5);
        assert_eq!(log.due(0, &drops, at(2)), [(DropCause::Truncated, 5)]);
        assert_eq!(log.due(0, &drops, at(4)), []);
        assert_eq!(log.due(1, &drops, at(4)), [(DropCause::Truncated, 5)], "another interface");
        let drops = drop_frames(1000);
        assert_eq!(log.due(0, &drops, at(61)), []);
        assert_eq!(log.due(0, &drops, at(62)), [(DropCause::Truncated, 1000)]);
        assert_eq!(log.due(0, &drops, at(200)), [], "nothing new");
    }

    #[test]
    fn refusals_of_a_kind_are_told_once_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut refusals = Refusals::default();
        assert_eq!(refusals.count(Refused::Service, at(0)), Some(0));
        assert_eq!(refusals.count(Refused::Service, at(1)), None);
        assert_eq!(refusals.count(Refused::NoSlot, at(1)), Some(0));
        assert_eq!(refusals.count(Refused::Service, at(59)), None);
        assert_eq!(refusals.count(Refused::Service, at(60)), Some(2));
        assert_eq!(refusals.count(Refused::Service, at(119)), None);
        assert_eq!(refusals.count(Refused::NoSlot, at(119)), Some(0));
    }
}
