//! How fast sessions get set up: whether the next dial has its turn, and whether another one is invited. It keeps an overload
//! from becoming nothing but time-outs.
//!
//! A machine can set up so many sessions a second. If more clients dial, and all are served at once, each set-up takes longer
//! until none ends before its client has given up: all work is lost, and all come again. So:
//!
//! * Set-ups (from the PADR to the PADS) run side by side only in a limited number ([`Pace::has_room`]); other dials wait
//!   their turn ([`super::unproven`]), which costs nothing but memory, and are dropped when their clients have given up.
//! * What a new dial would have to wait is known at any time, from how many dials there are in each stage and how fast that
//!   stage has been getting done with them ([`Stage`]). While it is longer than clients should wait ([`Limits::wait`]), no
//!   offers are made ([`Pace::is_congested`]): clients that get no PADO ask again later, or elsewhere, and those that
//!   have been offered a session get it.
//! * Offers that were made, and not taken yet, count as dials that are on their way, by the part of offers that were taken
//!   lately ([`Promises`]). So a flood of forged PADI does not count for long, and a crowd does from the first moment.
//!
//! Only stages count in which the server has something to do for whoever has its turn. What it waits for clients does not, nor
//! what it takes to compare passwords: clients that are silent, or guess, cannot keep others out.
//!
//! Pure: no clock, no I/O.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use pppoed_config::config;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Set-ups at once; at least 1.
    pub(super) at_once: usize,
    /// While a new dial would have to wait longer, there are no offers; `None` for always.
    pub(super) wait: Option<Duration>,
}

impl From<config::Setups> for Limits {
    fn from(setups: config::Setups) -> Self {
        let config::Setups { at_once, wait, patience: _ } = setups;
        Self { at_once: at_once.get(), wait }
    }
}

/// The stages of a set-up in which the server works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// From the PADR to the PADS: worker, TUN, sockets.
    Start,
    /// From an open network protocol to the configured interface.
    Configure,
}

const STAGES: usize = 2;

/// No more are started at once than are done within this time: a quarter of what a worker has to be ready
/// ([`ppp_session::session::START_DEADLINE`]), so that a slow machine gets done with few in time, and not with many too late.
const STARTS_WITHIN: Duration = Duration::from_millis(2500);

/// How fast set-ups get done.
#[derive(Debug)]
pub(super) struct Pace<K> {
    limits: Limits,
    stages: [Stage<K>; STAGES],
    promises: Promises,
}

impl<K: Ord + Copy> Pace<K> {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let stages = [Stage::new(limits.at_once), Stage::new(1)];
        Self { limits, stages, promises: Promises::new(now) }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.stage_mut(Work::Start).room = limits.at_once.max(1);
    }

    /// A client asks for a session.
    pub(super) fn asked(&mut self, now: Instant) {
        self.promises.kept(now);
    }

    /// Whether one more can be started now.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let start = self.stage(Work::Start);
        start.running.len() < start.room_within(STARTS_WITHIN, now)
    }

    /// Work on a session begins.
    pub(super) fn begin(&mut self, work: Work, session: K, now: Instant) {
        self.stage_mut(work).begin(session, now);
    }

    /// Work on a session is done, however it ended. Does nothing if there was none.
    pub(super) fn end(&mut self, work: Work, session: K, now: Instant) {
        self.stage_mut(work).end(session, now);
    }

    /// The session is over, and all work on it.
    pub(super) fn forget(&mut self, session: K, now: Instant) {
        for stage in &mut self.stages {
            stage.end(session, now);
        }
    }

    /// Offers were sent.
    pub(super) fn offered(&mut self, offers: u64, now: Instant) {
        self.promises.made(offers, now);
    }

    /// How long a dial that came now, behind so many that wait for their turn, would have to wait for the server until its
    /// session is open.
    pub(super) fn wait(&mut self, waiting: usize, now: Instant) -> Duration {
        let ahead = waiting.saturating_add(self.promises.outstanding(now));
        let stages = [Work::Start, Work::Configure];
        let times = stages.map(|work| {
            let ahead = if work == Work::Start { ahead } else { 0 };
            self.stage(work).time(ahead, now)
        });
        times.into_iter().fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Whether nobody is to be offered a session now, behind so many that wait for their turn.
    pub(super) fn is_congested(&mut self, waiting: usize, now: Instant) -> bool {
        let limit = self.limits.wait;
        limit.is_some_and(|limit| self.wait(waiting, now) > limit)
    }

    fn stage(&self, work: Work) -> &Stage<K> {
        let [start, configure] = &self.stages;
        match work {
            Work::Start => start,
            Work::Configure => configure,
        }
    }

    fn stage_mut(&mut self, work: Work) -> &mut Stage<K> {
        let [start, configure] = &mut self.stages;
        match work {
            Work::Start => start,
            Work::Configure => configure,
        }
    }
}

/// A part of the set-up, as something that gets done with one dial after the other.
#[derive(Debug)]
struct Stage<K> {
    /// How many there can be at once, where that is limited.
    room: usize,
    running: BTreeSet<K>,
    /// Time from one that is done to the next, while there are any: a moving average.
    interval: Option<Duration>,
    /// When the last one was done, or work began after a pause.
    since: Option<Instant>,
}

/// Of the average, the last one counts so much: 1 in 8.
const WEIGHT: u32 = 8;

impl<K: Ord> Stage<K> {
    fn new(room: usize) -> Self {
        Self { room: room.max(1), running: BTreeSet::new(), interval: None, since: None }
    }

    fn begin(&mut self, session: K, now: Instant) {
        if self.running.is_empty() {
            self.since = Some(now);
        }
        self.running.insert(session);
    }

    fn end(&mut self, session: K, now: Instant) {
        let (running, room) = (self.running.len(), self.room_within(STARTS_WITHIN, now));
        if !self.running.remove(&session) {
            return;
        }
        let Some(since) = self.since.replace(now) else { return };
        let took = now.saturating_duration_since(since);
        // While there is room for more, they show how long one takes, and not how many can be done side by side. That is
        // taken for as many as there is room for; if it is less, they will fill the room and show it.
        let sample = took.saturating_mul(number(running.clamp(1, room))) / number(room);
        self.interval = Some(match self.interval {
            None => sample,
            Some(before) => before.saturating_mul(WEIGHT - 1).saturating_add(sample) / WEIGHT,
        });
    }

    /// How long it takes to get done with those that there are, and with `ahead` more. None at all take no time: how long it
    /// took the last ones says nothing, and the next one will show how long it takes now.
    fn time(&self, ahead: usize, now: Instant) -> Duration {
        self.pace(now).saturating_mul(number(self.running.len().saturating_add(ahead)))
    }

    /// How many get done within some time; at least one, and no more than there is room for.
    fn room_within(&self, time: Duration, now: Instant) -> usize {
        let count = time.as_nanos().checked_div(self.pace(now).as_nanos());
        count
            .and_then(|count| usize::try_from(count).ok())
            .map_or(self.room, |count| count.clamp(1, self.room))
    }

    /// Time from one that is done to the next, now.
    fn pace(&self, now: Instant) -> Duration {
        let running = self.running.len();
        let average = self.interval.unwrap_or_default();
        let silent = match (running, self.since) {
            (1.., Some(since)) => now.saturating_duration_since(since),
            _ => Duration::ZERO,
        };
        // When none is done for longer than all of them should take, it has got slower.
        let is_slower = silent > average.saturating_mul(number(running)).max(TOLERANCE);
        if is_slower { silent } else { average }
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Time in which nothing need be done: a single set-up takes no longer on a machine that has little to do.
const TOLERANCE: Duration = Duration::from_millis(250);

/// A client takes an offer within this time, or another one.
const PROMISE: Duration = Duration::from_secs(1);
/// Parts of that time in which offers are counted.
const PARTS: u32 = 10;
/// What parts of offers are counted in.
const ALL: u64 = 1000;

/// Offers that were made and may still be taken.
#[derive(Debug)]
struct Promises {
    /// By the part of time in which they were made: how many were made, and how many were taken; the oldest first.
    parts: VecDeque<(u64, u64)>,
    /// When the last part ends.
    until: Instant,
    /// Of [`ALL`] offers, so many were taken lately.
    taken: u64,
}

impl Promises {
    fn new(now: Instant) -> Self {
        Self { parts: VecDeque::from([(0, 0)]), until: now + PROMISE / PARTS, taken: ALL }
    }

    fn made(&mut self, offers: u64, now: Instant) {
        self.go_on(now);
        if let Some((made, _)) = self.parts.back_mut() {
            *made = made.saturating_add(offers);
        }
    }

    /// One was taken.
    fn kept(&mut self, now: Instant) {
        self.go_on(now);
        if let Some((_, taken)) = self.parts.iter_mut().find(|(made, taken)| taken < made) {
            *taken += 1;
        }
    }

    /// How many dials they will bring.
    fn outstanding(&mut self, now: Instant) -> usize {
        self.go_on(now);
        let open = self.parts.iter().map(|(made, taken)| made.saturating_sub(*taken));
        let open = open.fold(0, u64::saturating_add);
        usize::try_from(open.saturating_mul(self.taken).div_ceil(ALL)).unwrap_or(usize::MAX)
    }

    /// Begins the part of time that it is now, and learns from those that are over.
    fn go_on(&mut self, now: Instant) {
        let part = PROMISE / PARTS;
        for _ in 0..=PARTS {
            if now < self.until {
                return;
            }
            self.parts.push_back((0, 0));
            self.until += part;
            if self.parts.len() > usize::try_from(PARTS).unwrap_or(usize::MAX)
                && let Some((made @ 1.., taken)) = self.parts.pop_front()
            {
                let rate = taken.saturating_mul(ALL) / made;
                // The more offers there were, the more they tell: a single one hardly anything.
                let weight = made.min(8);
                self.taken = (self.taken * (16 - weight) + rate * weight) / 16;
            }
        }
        // After a long pause, there is nothing left to count.
        self.until = self.until.max(now + part);
    }
}

#[cfg(test)]
mod tests;
