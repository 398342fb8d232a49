//! Which call of a hook is made when, and in which host: no I/O, no clock.
//!
//! Jobs of one lane run one after the other, in the order in which they came; jobs of different lanes run side by side.
//! Lanes take turns. Discovery comes last: who has begun to dial is served before who asks whether it may.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ppp_wire::MacAddr;

use super::session::{AccessIndex, Token};

/// What must not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// `server_start` and its kin.
    Server,
    /// A session.
    Session(Token),
    /// A function that a file gave to `every`: file and number.
    Every(u16, u16),
    /// A console that tries a hook.
    Trial(u64),
    /// A station that sent a PADI.
    Station(AccessIndex, MacAddr),
}

/// Number of a host.
pub(super) type HostId = usize;

/// Jobs that wait, and hosts that are free.
#[derive(Debug)]
pub(super) struct Pool<J> {
    lanes: HashMap<Lane, VecDeque<J>>,
    /// Lanes with jobs, of which none runs, in their turn.
    ready: VecDeque<Lane>,
    ready_stations: VecDeque<Lane>,
    idle: BTreeSet<HostId>,
    /// The lane that each busy host works for.
    running: BTreeMap<HostId, Lane>,
    stations: usize,
    waiting: usize,
    /// The first job of [`Lane::Server`] has ended, before which no other begins.
    is_open: bool,
}

impl<J> Pool<J> {
    /// No hosts and no jobs. With `is_open` false, all lanes wait for the first job of [`Lane::Server`].
    pub(super) fn new(is_open: bool) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            ready_stations: VecDeque::new(),
            idle: BTreeSet::new(),
            running: BTreeMap::new(),
            stations: 0,
            waiting: 0,
            is_open,
        }
    }

    /// A host has nothing to do.
    pub(super) fn host_is_idle(&mut self, host: HostId) {
        if !self.running.contains_key(&host) {
            self.idle.insert(host);
        }
    }

    /// A host is being replaced; it has nothing to do, and cannot be given anything.
    pub(super) fn host_is_away(&mut self, host: HostId) {
        self.idle.remove(&host);
    }

    /// Adds a job behind those of its lane.
    pub(super) fn submit(&mut self, lane: Lane, job: J) {
        let is_new = !self.is_known(lane);
        let queue = self.lanes.entry(lane).or_default();
        let is_first = queue.is_empty();
        queue.push_back(job);
        self.waiting += 1;
        if is_new && matches!(lane, Lane::Station(..)) {
            self.stations += 1;
        }
        if is_first && !self.runs(lane) {
            self.make_ready(lane);
        }
    }

    /// Whether a job of the lane waits or runs.
    pub(super) fn is_known(&self, lane: Lane) -> bool {
        self.lanes.contains_key(&lane) || self.runs(lane)
    }

    fn runs(&self, lane: Lane) -> bool {
        self.running.values().any(|running| *running == lane)
    }

    fn make_ready(&mut self, lane: Lane) {
        match lane {
            Lane::Server => self.ready.push_front(lane),
            Lane::Station(..) => self.ready_stations.push_back(lane),
            _ => self.ready.push_back(lane),
        }
    }

    /// The next job, and the host that is to do it.
    pub(super) fn next(&mut self) -> Option<(HostId, Lane, J)> {
        let host = *self.idle.first()?;
        let lane = match (self.is_open, self.ready.front()) {
            (true, _) => self.ready.pop_front().or_else(|| self.ready_stations.pop_front()),
            (false, Some(Lane::Server)) => self.ready.pop_front(),
            (false, _) => None,
        }?;
        let queue = self.lanes.get_mut(&lane)?;
        let job = queue.pop_front()?;
        if queue.is_empty() {
            self.lanes.remove(&lane);
        }
        self.waiting -= 1;
        self.idle.remove(&host);
        self.running.insert(host, lane);
        Some((host, lane, job))
    }

    /// A host has done its job; it is idle only when [`Pool::host_is_idle`] says so.
    pub(super) fn done(&mut self, host: HostId) -> Option<Lane> {
        let lane = self.running.remove(&host)?;
        if lane == Lane::Server {
            self.is_open = true;
        }
        match self.lanes.contains_key(&lane) {
            true => self.make_ready(lane),
            false if matches!(lane, Lane::Station(..)) => self.stations -= 1,
            false => {}
        }
        Some(lane)
    }

    /// Takes out the jobs of a lane that wait and are not wanted any more.
    pub(super) fn cancel(&mut self, lane: Lane, mut unwanted: impl FnMut(&J) -> bool) -> Vec<J> {
        let Some(queue) = self.lanes.remove(&lane) else { return Vec::new() };
        let (cancelled, kept): (VecDeque<J>, VecDeque<J>) = queue.into_iter().partition(|job| unwanted(job));
        self.waiting -= cancelled.len();
        if kept.is_empty() {
            self.ready.retain(|ready| *ready != lane);
            self.ready_stations.retain(|ready| *ready != lane);
            if matches!(lane, Lane::Station(..)) && !self.runs(lane) {
                self.stations -= 1;
            }
        } else {
            self.lanes.insert(lane, kept);
        }
        cancelled.into()
    }

    /// Takes out all jobs that wait, those of one lane in order.
    pub(super) fn take_waiting(&mut self) -> Vec<J> {
        self.ready.clear();
        self.ready_stations.clear();
        self.waiting = 0;
        self.stations = self.running.values().filter(|lane| matches!(lane, Lane::Station(..))).count();
        std::mem::take(&mut self.lanes).into_values().flatten().collect()
    }

    /// Stations whose PADI waits for a hook, or is in one.
    pub(super) fn stations(&self) -> usize {
        self.stations
    }

    /// Jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Jobs that run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Nothing waits or runs.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0 && self.running.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn session(number: u64) -> Lane {
        Lane::Session(Token(number))
    }

    fn station(last: u8) -> Lane {
        Lane::Station(0, MacAddr([2, 0, 0, 0, 0, last]))
    }

    fn pool(hosts: usize) -> Pool<u32> {
        let mut pool = Pool::new(true);
        (0..hosts).for_each(|host| pool.host_is_idle(host));
        pool
    }

    fn finish(pool: &mut Pool<u32>, host: HostId) {
        pool.done(host).unwrap();
        pool.host_is_idle(host);
    }

    #[test]
    fn one_job_of_a_session_at_a_time() {
        let mut pool = pool(3);
        for job in [10, 11, 12] {
            pool.submit(session(1), job);
        }
        pool.submit(session(2), 20);
        assert_eq!(pool.next(), Some((0, session(1), 10)));
        assert_eq!(pool.next(), Some((1, session(2), 20)));
        assert_eq!(pool.next(), None, "a host is free, and all that waits is of session 1");
        finish(&mut pool, 0);
        assert_eq!(pool.next(), Some((0, session(1), 11)));
        assert_eq!(pool.cancel(session(1), |_| true), [12]);
        finish(&mut pool, 0);
        finish(&mut pool, 1);
        assert!(pool.is_empty() && pool.next().is_none());
    }

    #[test]
    fn lanes_take_turns_and_discovery_is_last() {
        let mut pool = pool(1);
        pool.submit(station(1), 1);
        for job in [10, 11] {
            pool.submit(session(1), job);
        }
        pool.submit(session(2), 20);
        let mut order = Vec::new();
        while let Some((host, _, job)) = pool.next() {
            order.push(job);
            finish(&mut pool, host);
        }
        assert_eq!(order, [10, 20, 11, 1]);
    }

    #[test]
    fn nothing_begins_before_the_server_has_started() {
        let mut pool = Pool::new(false);
        pool.host_is_idle(0);
        pool.host_is_idle(1);
        pool.submit(session(1), 1);
        assert_eq!(pool.next(), None);
        pool.submit(Lane::Server, 0);
        assert_eq!(pool.next(), Some((0, Lane::Server, 0)));
        assert_eq!(pool.next(), None);
        finish(&mut pool, 0);
        assert_eq!(pool.next(), Some((0, session(1), 1)));
    }

    #[test]
    fn a_host_that_is_replaced_gets_no_job() {
        let mut pool = pool(1);
        pool.submit(session(1), 1);
        pool.submit(session(1), 2);
        pool.next().unwrap();
        pool.done(0).unwrap();
        assert_eq!(pool.next(), None);
        pool.host_is_idle(0);
        assert_eq!(pool.next(), Some((0, session(1), 2)));
        finish(&mut pool, 0);
        pool.host_is_away(0);
        pool.submit(session(1), 3);
        assert_eq!(pool.next(), None);
    }

    #[test]
    fn stations_are_counted() {
        let mut pool = pool(1);
        pool.submit(station(1), 1);
        pool.submit(station(1), 2);
        pool.submit(station(2), 3);
        assert_eq!(pool.stations(), 2);
        pool.next().unwrap();
        pool.cancel(station(2), |_| true);
        assert_eq!(pool.stations(), 1);
        finish(&mut pool, 0);
        pool.next().unwrap();
        finish(&mut pool, 0);
        assert_eq!(pool.stations(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Submit(u8),
        Finish(usize),
        Cancel(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..6_u8).prop_map(Step::Submit),
            3 => (0..3_usize).prop_map(Step::Finish),
            1 => (0..6_u8).prop_map(Step::Cancel),
        ]
    }

    /// Sessions, and stations as well.
    fn lane(number: u8) -> Lane {
        if number < 4 { session(number.into()) } else { station(number) }
    }

    proptest! {
        /// Whatever comes when: each job that is not cancelled runs once, jobs of one lane run in order and never side by
        /// side, and no host is idle while something could run.
        #[test]
        fn order_is_kept_and_nothing_is_lost(steps in prop::collection::vec(step(), 0..200)) {
            let mut pool = pool(3);
            let mut expected: HashMap<Lane, VecDeque<u32>> = HashMap::new();
            let mut running: BTreeMap<HostId, Lane> = BTreeMap::new();
            let mut number = 0;
            let begin = |pool: &mut Pool<u32>, expected: &mut HashMap<Lane, VecDeque<u32>>, running: &mut BTreeMap<HostId, Lane>| {
                while let Some((host, lane, job)) = pool.next() {
                    prop_assert!(!running.values().any(|other| *other == lane), "two of {lane:?} side by side");
                    prop_assert_eq!(expected.get_mut(&lane).and_then(VecDeque::pop_front), Some(job));
                    prop_assert!(running.insert(host, lane).is_none());
                }
                let could_run = expected.iter().any(|(lane, jobs)| !jobs.is_empty() && !running.values().any(|other| other == lane));
                prop_assert!(!could_run || running.len() == 3, "an idle host, and work for it");
                Ok(())
            };
            for step in steps {
                match step {
                    Step::Submit(of) => {
                        number += 1;
                        expected.entry(lane(of)).or_default().push_back(number);
                        pool.submit(lane(of), number);
                    }
                    Step::Finish(host) => if running.remove(&host).is_some() {
                        finish(&mut pool, host);
                    },
                    Step::Cancel(of) => {
                        let cancelled = pool.cancel(lane(of), |job| job % 2 == 0);
                        prop_assert!(cancelled.iter().all(|job| job % 2 == 0));
                        expected.entry(lane(of)).or_default().retain(|job| job % 2 == 1);
                    }
                }
                begin(&mut pool, &mut expected, &mut running)?;
            }
            while let Some((&host, _)) = running.iter().next() {
                running.remove(&host);
                finish(&mut pool, host);
                begin(&mut pool, &mut expected, &mut running)?;
            }
            prop_assert!(expected.values().all(VecDeque::is_empty));
            prop_assert!(pool.is_empty());
            prop_assert_eq!(pool.stations(), 0);
        }
    }
}
