//! Peers that fail again and again, such as a router with a wrong password, which dials every few seconds for weeks: what
//! the log says of them is bounded.
//!
//! Of each peer [`TOLD`] dials are told in full; those after are left out until a minute has passed since the first. Then
//! it begins anew, with how many were left out. A dial that succeeds is told in any case, and so is a failure of our own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ppp_wire::MacAddr;

/// Dials of one peer that are told in a [`PERIOD`].
const TOLD: u32 = 3;
/// Time after which a peer's dials are told again.
const PERIOD: Duration = Duration::from_secs(60);
/// Peers that are remembered. Beyond them, a newcomer's failures are left out until others are forgotten.
const MAX_PEERS: usize = 1024;

/// The peers whose last dials have failed.
#[derive(Debug, Default)]
pub(super) struct FailedDials {
    peers: HashMap<MacAddr, Peer>,
    /// Failures of peers that there was no room for.
    of_others: u64,
    next_of_others: Option<Instant>,
    next_sweep: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    since: Instant,
    failures: u32,
    left_out: u64,
}

/// What to do about a dial that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// It is left out of the log, unless it succeeds.
    pub(super) is_quiet: bool,
    /// Dials of the peer that were left out before this one, which is told.
    pub(super) left_out: u64,
}

impl FailedDials {
    /// A peer dials.
    pub(super) fn begin(&mut self, peer: MacAddr, now: Instant) -> Telling {
        let mut telling = Telling { is_quiet: false, left_out: 0 };
        match self.peers.get_mut(&peer) {
            Some(known) if is_over(known, now) => {
                telling.left_out = known.left_out;
                *known = Peer { since: now, failures: 0, left_out: 0 };
            }
            Some(known) => telling.is_quiet = known.failures >= TOLD,
            None => {
                self.sweep(now);
                telling.is_quiet = self.peers.len() >= MAX_PEERS;
            }
        }
        telling
    }

    /// A dial of the peer ended without having been open; whether it was left out of the log.
    pub(super) fn failed(&mut self, peer: MacAddr, was_quiet: bool, now: Instant) {
        let has_room = self.peers.len() < MAX_PEERS;
        match self.peers.get_mut(&peer) {
            Some(known) => {
                known.failures = known.failures.saturating_add(1);
                known.left_out += u64::from(was_quiet);
            }
            None if has_room => {
                let left_out = u64::from(was_quiet);
                self.peers.insert(peer, Peer { since: now, failures: 1, left_out });
            }
            None => self.of_others += u64::from(was_quiet),
        }
    }

    /// The peer's session is open: all is well with it.
    pub(super) fn succeeded(&mut self, peer: MacAddr) -> u64 {
        self.peers.remove(&peer).map_or(0, |peer| peer.left_out)
    }

    /// Forgets those that have not dialled for long, at most once a minute.
    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|next| next > now) {
            return;
        }
        self.next_sweep = Some(now + PERIOD);
        self.peers.retain(|_, peer| !is_over(peer, now));
    }

    /// Failures that were left out because there was no room to remember their peers, once a minute if there are any.
    pub(super) fn take_of_others(&mut self, now: Instant) -> Option<u64> {
        if self.of_others == 0 || self.next_of_others.is_some_and(|next| next > now) {
            return None;
        }
        self.next_of_others = Some(now + PERIOD);
        Some(std::mem::take(&mut self.of_others))
    }
}

fn is_over(peer: &Peer, now: Instant) -> bool {
    now.saturating_duration_since(peer.since) >= PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const TELL: Telling = Telling { is_quiet: false, left_out: 0 };
    const QUIET: Telling = Telling { is_quiet: true, left_out: 0 };

    #[test]
    fn a_peer_that_fails_on_and_on_is_told_three_times_a_minute() {
        let start = Instant::now();
        let mut dials = FailedDials::default();
        let mut told = Vec::new();
        // Every second for two minutes.
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            let telling = dials.begin(ROUTER, now);
            dials.failed(ROUTER, telling.is_quiet, now);
            if !telling.is_quiet {
                told.push((second, telling.left_out));
            }
        }
        assert_eq!(told, [(0, 0), (1, 0), (2, 0), (60, 57), (61, 0), (62, 0)]);
        let other = MacAddr([2, 0, 0, 0, 0, 2]);
        assert_eq!(dials.begin(other, start + Duration::from_secs(119)), TELL);
    }

    #[test]
    fn success_makes_good() {
        let start = Instant::now();
        let mut dials = FailedDials::default();
        for _ in 0..5 {
            let telling = dials.begin(ROUTER, start);
            dials.failed(ROUTER, telling.is_quiet, start);
        }
        assert_eq!(dials.begin(ROUTER, start), QUIET);
        assert_eq!(dials.succeeded(ROUTER), 2);
        assert_eq!(dials.begin(ROUTER, start), TELL);
    }

    #[test]
    fn the_memory_is_bounded() {
        let start = Instant::now();
        let mut dials = FailedDials::default();
        let mac = |number: u16| MacAddr([2, 0, 0, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
        for number in 0..3000 {
            let telling = dials.begin(mac(number), start);
            assert_eq!(telling.is_quiet, usize::from(number) >= MAX_PEERS);
            dials.failed(mac(number), telling.is_quiet, start);
        }
        assert_eq!(dials.peers.len(), MAX_PEERS);
        assert_eq!(dials.take_of_others(start), Some(3000 - 1024));
        dials.failed(mac(3000), true, start);
        assert_eq!(dials.take_of_others(start), None, "not yet again");
        assert_eq!(dials.take_of_others(start + PERIOD), Some(1));
        assert_eq!(dials.take_of_others(start + PERIOD), None);
        assert_eq!(dials.begin(mac(3000), start + PERIOD), TELL, "the old ones are forgotten");
        assert!(dials.peers.is_empty());
    }
}
