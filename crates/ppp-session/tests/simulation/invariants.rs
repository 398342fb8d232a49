//! What must hold after every step.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ppp_session::leases::RETRY_INTERVAL;
use ppp_session::session::{EXIT_DEADLINE, Effect, End, Event, Machine, State, Violation};

use crate::world::World;

/// What somebody who only looks on knows of a session.
#[derive(Default)]
pub(crate) struct Model {
    /// The peer has sent something.
    pub(crate) heard: bool,
    /// A proof was right since LCP opened last.
    is_admitted: bool,
    /// The first reason for the end that came up.
    first: Option<End>,
    opened: Option<Instant>,
    /// Since when it is being set up.
    setting_up: Option<Instant>,
    /// Since when it is to end.
    ending: Option<Instant>,
    was_terminated: bool,
    kills: u32,
    was_finished: bool,
}

impl Model {
    /// What of it a restart leaves.
    pub(crate) fn restored(self) -> Self {
        Self { heard: true, is_admitted: true, opened: self.opened, first: self.first, ..Self::default() }
    }

    pub(crate) fn follow(
        &mut self,
        before: &Machine,
        event: &Event,
        result: &Result<Option<Effect>, Violation>,
        after: &Machine,
        now: Instant,
    ) {
        let Ok(effect) = result else {
            return assert_eq!(before.state(), after.state(), "what does not fit changes nothing");
        };
        let was_ending = matches!(before.state(), State::Ending { .. } | State::Gone { .. });
        let is_ending = matches!(after.state(), State::Ending { .. } | State::Gone { .. });
        assert!(!was_ending || is_ending, "a session that ends is back");
        assert!(!before.is_gone() || before.state() == after.state(), "a session that is gone changes");
        if is_ending && !was_ending {
            self.ending = Some(now);
        }

        // The first reason counts.
        let said = match event {
            Event::Terminate(end) | Event::Kill(end) | Event::WorkerEnded(end) | Event::WorkerGone(end) => {
                Some(end)
            }
            _ => after.end(),
        };
        if let (None, Some(said)) = (&self.first, said) {
            self.first = Some(said.clone());
        }
        assert_eq!(self.first.as_ref(), after.end(), "it ends for the first reason");

        // No network without a proof since LCP opened last.
        match event {
            Event::LcpOpened if before.state() != after.state() => self.is_admitted = false,
            Event::Resumed(_) if before.state() != after.state() => self.is_admitted = true,
            Event::Admitted if matches!(before.state(), State::Authenticate(_)) => self.is_admitted = true,
            _ => {}
        }
        assert!(!after.is_admitted() || self.is_admitted, "it is let in without a proof");

        // Each effect at its time, and no more than once where once is enough.
        match effect {
            Some(Effect::OpenedFirst) => {
                assert_eq!((self.opened, after.opened()), (None, Some(now)), "it is open for the first time");
                self.opened = Some(now);
            }
            Some(Effect::OpenedAgain) => assert!(self.opened.is_some(), "it is open again, and never was"),
            Some(Effect::Terminate(reason)) => {
                assert!(!self.was_terminated, "two Terminate-Requests");
                assert_eq!(Some(*reason), after.end().map(|end| end.reason));
                self.was_terminated = true;
            }
            Some(Effect::Kill) => self.kills += 1,
            Some(Effect::Finish) => {
                assert!(!std::mem::replace(&mut self.was_finished, true), "its last hooks are called twice");
            }
            None => {}
        }
        assert_eq!(self.opened, after.opened(), "the time at which it was open first stays");
        assert_eq!(after.is_gone(), self.was_finished, "its last hooks are called when it is gone");
        let is_open = |machine: &Machine| matches!(machine.state(), State::Open { .. });
        if is_open(after) && !is_open(before) {
            assert!(matches!(effect, Some(Effect::OpenedFirst | Effect::OpenedAgain)), "nobody is told");
        }

        let is_set_up = |machine: &Machine| {
            matches!(machine.state(), State::Establish(_) | State::Authenticate(_) | State::Network(_))
        };
        match (is_set_up(before), is_set_up(after)) {
            (false, true) => self.setting_up = Some(now),
            (_, false) => self.setting_up = None,
            (true, true) => {}
        }
    }
}

pub(crate) fn check(world: &World) {
    let sessions = || world.sessions.values();
    let distinct = |numbers: Vec<u32>| numbers.iter().collect::<BTreeSet<_>>().len() == numbers.len();
    assert!(distinct(sessions().map(|session| session.slot.number).collect()), "a slot has two sessions");
    assert!(
        distinct(sessions().map(|session| session.slot.session_id.into()).collect()),
        "a session id is given twice"
    );
    assert!(distinct(sessions().map(|session| session.unit.number).collect()), "a unit is given twice");
    let remotes = sessions().filter_map(|session| session.pair.as_deref());
    assert!(distinct(remotes.map(|pair| pair.remote.to_bits()).collect()), "an address is given twice");
    let pairs = sessions().filter(|session| session.pair.is_some()).count();
    assert_eq!(world.book.len(), pairs, "an address is held by nobody");
    assert!(world.slots.count() <= world.slots.free() + world.sessions.len(), "a slot is held by nobody");

    for (token, session) in &world.sessions {
        let (machine, model) = (&session.machine, &session.model);
        assert_eq!(world.slots.session_id(session.slot.number), Some(session.slot.session_id));
        if let Some(pair) = session.pair.as_deref() {
            assert_eq!(world.book.of(session.slot.number), Some(*pair), "{token}: its address is another's");
        }
        // A resumed one has what it was granted before.
        assert!(!machine.is_admitted() || session.pair.is_some(), "{token} is let in without an address");

        let state = machine.state();
        match machine.deadline() {
            Some(deadline) => assert!(deadline > world.now, "{token}: a deadline is past: {state:?}"),
            None => assert!(
                matches!(state, State::Open { .. } | State::Gone { .. }),
                "{token}: no deadline, it may wait for ever: {state:?}"
            ),
        }
        if let Some(since) = model.setting_up {
            let most = session.limits.setup + session.limits.farewell;
            assert!(world.now < since + most, "{token} takes longer than a set-up may: {state:?}");
        }
        if let (State::Open { .. }, Some(opened), Some(most)) =
            (state, machine.opened(), session.limits.max_connect)
        {
            assert!(world.now < opened + most, "{token} is open for longer than it may be");
        }
        if let (State::Ending { .. }, Some(since)) = (state, model.ending) {
            let most = session.limits.farewell.max(EXIT_DEADLINE) * 2 + EXIT_DEADLINE;
            assert!(
                world.now < since + most || model.kills > 0,
                "{token} ends, and nobody sees to it: {state:?}"
            );
        }
    }
}

/// Nothing is left.
pub(crate) fn check_end(world: &mut World) {
    assert!(world.sessions.is_empty(), "{} sessions do not end", world.sessions.len());
    assert_eq!((world.slots.free(), world.slots.count()), (world.slots.count(), world.count as usize));
    assert!(world.book.is_empty());
    let later = world.now + RETRY_INTERVAL + Duration::from_secs(1);
    let unit = world.units.take(later);
    assert_eq!(unit.number, 0, "a unit was not given back");
    world.units.release(unit);
}
