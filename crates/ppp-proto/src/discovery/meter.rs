use std::time::Instant;

use ppp_wire::MacAddr;

use super::DropCause;
use super::config::Limits;
use super::cookie::CookieKey;
use super::mac_hash::{MacHash, MacHasher};
use super::recent::RecentMacs;
use crate::token_bucket::{Rate, TokenBucket, after_taking, has_token, nanos};

/// Buckets for single addresses in each of the two rows. Power of two.
const CELLS: usize = 4096;
/// The part of the interface's PADI bucket that is kept for those who were turned away before.
const RESERVE_DIVISOR: u32 = 4;

/// Meters what would be answered: the last thing that is asked before a PADO is made, or a session.
///
/// What is dropped for another reason spends nothing, so a PADR with a forged cookie does not use up what honest ones
/// need. And what the interface's bucket turns away does not spend from the buckets of single addresses, so a flood
/// cannot empty those either, however large it is.
///
/// The honest PADI in a flood of forged ones cannot be told from them at first sight. But its sender will try again,
/// while a flood takes a new address each time: so the last quarter of the interface's bucket is for addresses that
/// were turned away lately.
pub(super) struct Meter {
    epoch: Instant,
    hasher: MacHasher,
    padi: Option<TokenBucket>,
    padi_reserve: u32,
    padi_of_mac: Option<MacBuckets>,
    padr: Metered,
    padt: Metered,
    wrong_padt_of_mac: Option<MacBuckets>,
    turned_away: RecentMacs,
}

impl Meter {
    pub(super) fn new(limits: &Limits, cookie_key: &CookieKey, epoch: Instant) -> Self {
        let mut meter = Self {
            epoch,
            hasher: MacHasher::new(cookie_key),
            padi: None,
            padi_reserve: 0,
            padi_of_mac: None,
            padr: Metered::default(),
            padt: Metered::default(),
            wrong_padt_of_mac: None,
            turned_away: RecentMacs::new(epoch),
        };
        meter.set_limits(limits, epoch);
        meter
    }

    /// Keeps to these limits from now on, with full buckets.
    pub(super) fn set_limits(&mut self, limits: &Limits, now: Instant) {
        let bucket = |rate: Option<Rate>| rate.map(|rate| TokenBucket::new(rate, now));
        self.padi = bucket(limits.padi);
        self.padi_reserve = limits.padi.map_or(0, |rate| rate.burst() / RESERVE_DIVISOR);
        self.padi_of_mac = limits.per_mac.map(MacBuckets::new);
        self.padr = Metered { all: bucket(limits.padr), of_mac: limits.per_mac.map(MacBuckets::new) };
        self.wrong_padt_of_mac = limits.per_mac.map(MacBuckets::new);
        self.padt = Metered { all: bucket(limits.padt), of_mac: limits.per_mac.map(MacBuckets::new) };
    }

    /// Whether a PADI that is otherwise good may be answered.
    pub(super) fn admit_padi(&mut self, peer: MacAddr, now: Instant) -> Result<(), DropCause> {
        let mac = self.hasher.hash(peer);
        let moment = nanos(self.epoch, now);
        if self.padi_of_mac.as_ref().is_some_and(|buckets| !buckets.has_token(&mac, moment)) {
            return Err(DropCause::MacRate);
        }
        if let Some(padi) = &mut self.padi
            && !padi.take_leaving(self.padi_reserve, now)
        {
            let known = self.turned_away.contains(&mac, now);
            if !(known && padi.take(now)) {
                self.turned_away.insert(&mac, now);
                return Err(DropCause::PadiRate);
            }
        }
        if let Some(buckets) = &mut self.padi_of_mac {
            buckets.spend(&mac, moment);
        }
        Ok(())
    }

    /// Whether a PADR with a good cookie may be answered.
    pub(super) fn admit_padr(&mut self, peer: MacAddr, now: Instant) -> Result<(), DropCause> {
        self.padr.admit(&self.hasher.hash(peer), self.epoch, now, DropCause::PadrRate)
    }

    /// Whether a PADT from `peer` is looked at. Who forges its address to guess the id of its session has no more guesses than its rate
    /// allows, and a PADT of its own is not heard meanwhile either.
    pub(super) fn hears_padt(&self, peer: MacAddr, now: Instant) -> Result<(), DropCause> {
        let mac = self.hasher.hash(peer);
        match &self.wrong_padt_of_mac {
            Some(buckets) if !buckets.has_token(&mac, nanos(self.epoch, now)) => Err(DropCause::MacRate),
            _ => Ok(()),
        }
    }

    /// A PADT from `peer` was for no session of its.
    pub(super) fn note_wrong_padt(&mut self, peer: MacAddr, now: Instant) {
        let mac = self.hasher.hash(peer);
        if let Some(buckets) = &mut self.wrong_padt_of_mac {
            buckets.spend(&mac, nanos(self.epoch, now));
        }
    }

    /// Whether session data of no session may be answered by a PADT.
    pub(super) fn admit_padt(&mut self, peer: MacAddr, now: Instant) -> Result<(), DropCause> {
        self.padt.admit(&self.hasher.hash(peer), self.epoch, now, DropCause::PadtRate)
    }
}

/// A rate for all peers, and one for each.
#[derive(Default)]
struct Metered {
    all: Option<TokenBucket>,
    of_mac: Option<MacBuckets>,
}

impl Metered {
    fn admit(
        &mut self,
        mac: &MacHash,
        epoch: Instant,
        now: Instant,
        too_many: DropCause,
    ) -> Result<(), DropCause> {
        let moment = nanos(epoch, now);
        if self.of_mac.as_ref().is_some_and(|buckets| !buckets.has_token(mac, moment)) {
            return Err(DropCause::MacRate);
        }
        if self.all.as_mut().is_some_and(|all| !all.take(now)) {
            return Err(too_many);
        }
        if let Some(buckets) = &mut self.of_mac {
            buckets.spend(mac, moment);
        }
        Ok(())
    }
}

/// A bucket for each address, in a table of fixed size: each address has one place in each of two rows, and spends
/// from both. It is turned away only when both are empty, so whoever shares one of its places with a noisy neighbour
/// still has the other.
struct MacBuckets {
    rate: Rate,
    /// When each bucket is full again, as [`crate::token_bucket`] counts.
    rows: [Vec<u64>; 2],
}

impl MacBuckets {
    fn new(rate: Rate) -> Self {
        // Zeroed pages of the system: those that are not written to cost nothing.
        Self { rate, rows: [vec![0; CELLS], vec![0; CELLS]] }
    }

    fn has_token(&self, mac: &MacHash, now: u64) -> bool {
        let places = mac.indices::<2>(CELLS);
        self.rows
            .iter()
            .zip(places)
            .filter_map(|(row, place)| row.get(place))
            .any(|full_at| has_token(*full_at, self.rate, 0, now))
    }

    fn spend(&mut self, mac: &MacHash, now: u64) {
        let places = mac.indices::<2>(CELLS);
        for full_at in self.rows.iter_mut().zip(places).filter_map(|(row, place)| row.get_mut(place)) {
            // A bucket that is empty stays so: it belongs to a neighbour too.
            if has_token(*full_at, self.rate, 0, now) {
                *full_at = after_taking(*full_at, self.rate, now);
            }
        }
    }
}
