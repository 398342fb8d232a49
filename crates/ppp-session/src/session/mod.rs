//! The life of one session: which state it is in, what that has, and the one function that changes it.
//!
//! `LIFECYCLE.md` in `pppoed/src/supervisor` has the picture. What exists only in a state stands in its variant; every state but
//! [`State::Open`] has a deadline, after which something is done, so nothing waits for an answer that cannot come. The last
//! one, [`State::Gone`], waits for hooks only, each of which has its own.

mod event;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;

pub use event::{Effect, Event, Standing, Violation};

/// Time that a worker has to enter its sandbox.
pub const START_DEADLINE: Duration = Duration::from_secs(10);
/// Time that a worker has to exit once the session is over, or it is killed (again).
pub const EXIT_DEADLINE: Duration = Duration::from_secs(5);

/// How long a session may be in its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the PADS to the first packet of the peer (`--lcp-deadline`).
    pub first_packet: Duration,
    /// From the PADS, or from the moment at which it was open last, until it is open.
    pub setup: Duration,
    /// What Terminate-Requests take until they are given up (RFC 1661 §4.6), and some more.
    pub farewell: Duration,
    /// From the moment at which it was open first to its end (`maxconnect`); none for ever.
    pub max_connect: Option<Duration>,
}

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// One of the closed list.
    pub reason: EndReason,
    /// In words; may be empty.
    pub detail: String,
}

impl End {
    /// `detail` may be empty.
    pub fn new(reason: EndReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// The deadlines of a session that is being set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetUp {
    /// What happens next, happens until then.
    until: Instant,
    /// When all of it has to be over, while `until` is that of the first packet.
    whole: Option<Instant>,
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its worker is being started, its interface is made; the peer waits for the PADS.
    Starting {
        /// When the worker has to be ready.
        until: Instant,
    },
    /// The peer has its PADS; LCP is negotiated.
    Establish(SetUp),
    /// LCP is open, and the peer has to prove who it is.
    Authenticate(SetUp),
    /// The peer may negotiate network protocols. One that is open already is being configured.
    Network(SetUp),
    /// Packets flow.
    Open {
        /// When its time is used up.
        until: Option<Instant>,
    },
    /// Its worker is to exit.
    Ending {
        /// When it is killed.
        until: Instant,
        /// The first reason that came up; none while the link is being closed, and the worker will say why.
        why: Option<End>,
    },
    /// Its worker is gone; the last hooks are called.
    Gone {
        /// Why it ended.
        why: End,
    },
}

impl From<&State> for Phase {
    fn from(state: &State) -> Self {
        match state {
            State::Starting { .. } => Self::Starting,
            State::Establish(_) => Self::Establish,
            State::Authenticate(_) => Self::Authenticate,
            State::Network(_) => Self::Network,
            State::Open { .. } => Self::Open,
            State::Ending { .. } | State::Gone { .. } => Self::Terminate,
        }
    }
}

/// The machine of one session.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
    limits: Limits,
    /// When packets flowed first.
    opened: Option<Instant>,
}

impl Machine {
    /// A session whose worker is being started.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { state: State::Starting { until: now + START_DEADLINE }, limits, opened: None }
    }

    /// A session that an earlier server began, and that has been open since `opened`.
    pub fn restored(limits: Limits, opened: Instant) -> Self {
        let mut machine = Self { state: State::Open { until: None }, limits, opened: Some(opened) };
        machine.state = State::Open { until: machine.time_is_up() };
        machine
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What consoles call that.
    pub fn phase(&self) -> Phase {
        Phase::from(&self.state)
    }

    /// When packets flowed first.
    pub fn opened(&self) -> Option<Instant> {
        self.opened
    }

    /// Why it ends, once that is known.
    pub fn end(&self) -> Option<&End> {
        match &self.state {
            State::Ending { why, .. } => why.as_ref(),
            State::Gone { why } => Some(why),
            _ => None,
        }
    }

    /// Whether it is known that and why it ends.
    pub fn is_ending(&self) -> bool {
        self.end().is_some()
    }

    /// Whether its worker is gone, and with it everything but what it holds.
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone { .. })
    }

    /// Whether network protocols may be negotiated, or are open.
    pub fn is_admitted(&self) -> bool {
        matches!(self.state, State::Network(_) | State::Open { .. })
    }

    /// When [`Event::TimeOut`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Starting { until } | State::Ending { until, .. } => Some(*until),
            State::Establish(set_up) | State::Authenticate(set_up) | State::Network(set_up) => {
                Some(set_up.until)
            }
            State::Open { until } => *until,
            State::Gone { .. } => None,
        }
    }

    /// When its time is used up (`maxconnect`). As in pppd, the set-up does not count.
    pub fn time_is_up(&self) -> Option<Instant> {
        self.opened?.checked_add(self.limits.max_connect?)
    }

    /// It is known now, or known anew, how much time its user has.
    pub fn set_max_connect(&mut self, max_connect: Option<Duration>) {
        self.limits.max_connect = max_connect;
        if matches!(self.state, State::Open { .. }) {
            self.state = State::Open { until: self.time_is_up() };
        }
    }

    /// The one function that changes the state: what has happened, and what is to be done about it.
    ///
    /// # Errors
    /// What happened does not fit the state: whoever said so has broken the rules, and nothing has changed.
    pub fn handle(&mut self, event: Event, now: Instant) -> Result<Option<Effect>, Violation> {
        let violation = Violation { state: self.phase(), event: event.name() };
        let (state, effect) = match (&self.state, event) {
            // The end of the worker, whatever was before: there is nothing behind it.
            (State::Gone { .. }, Event::WorkerGone(_) | Event::Ready) => return Err(violation),
            (State::Gone { .. }, _) => return Ok(None),
            (_, Event::WorkerGone(end)) => {
                let why = self.end().cloned().unwrap_or(end);
                (State::Gone { why }, Some(Effect::Finish))
            }

            // What ends it. The first reason counts; what comes later is its consequence.
            (_, Event::Kill(end)) => (self.ending(Some(end), now + EXIT_DEADLINE), Some(Effect::Kill)),
            (_, Event::WorkerEnded(end)) => (self.ending(Some(end), now + EXIT_DEADLINE), None),
            (State::Ending { why: Some(_), .. }, Event::Terminate(_)) => return Ok(None),
            // There is no link yet that could be terminated.
            (State::Starting { .. }, Event::Terminate(end)) => {
                (self.ending(Some(end), now + EXIT_DEADLINE), Some(Effect::Kill))
            }
            (_, Event::Terminate(end)) => {
                let reason = end.reason;
                (self.ending(Some(end), now + self.limits.farewell), Some(Effect::Terminate(reason)))
            }
            (_, Event::TimeOut { heard }) => return Ok(self.time_out(heard, now)),

            (State::Starting { .. }, Event::Ready) => (State::Establish(self.first_packet(now)), None),
            (_, Event::Ready) | (State::Starting { .. }, _) => return Err(violation),

            // The worker said so before it heard that the session ends.
            (State::Ending { .. }, _) => return Ok(None),

            (_, Event::Closing) => (self.ending(None, now + self.limits.farewell), None),
            // LCP may be negotiated anew at any time (RFC 1661 §4.4); then everything above it begins again. That gains no
            // time, unless the session was open.
            (State::Open { .. }, Event::LcpOpened) => (State::Authenticate(self.set_up(now)), None),
            (
                State::Establish(set_up) | State::Authenticate(set_up) | State::Network(set_up),
                Event::LcpOpened,
            ) => (State::Authenticate(set_up.heard()), None),
            (State::Authenticate(set_up), Event::Admitted) => (State::Network(*set_up), None),
            // Who proves its identity once more is admitted already.
            (State::Network(_) | State::Open { .. }, Event::Admitted) => return Ok(None),
            (State::Network(_), Event::Relaying) => {
                let effect = if self.opened.is_none() { Effect::OpenedFirst } else { Effect::OpenedAgain };
                self.opened.get_or_insert(now);
                (State::Open { until: self.time_is_up() }, Some(effect))
            }
            // A second network protocol.
            (State::Open { .. }, Event::Relaying) => return Ok(None),
            (State::Open { .. }, Event::AllProtocolsClosed) => (State::Network(self.set_up(now)), None),
            (State::Network(_), Event::AllProtocolsClosed) => return Ok(None),
            (State::Open { .. }, Event::Resumed(standing)) => (
                match standing {
                    Standing::Down => State::Establish(self.set_up(now)),
                    Standing::Admitted => State::Network(self.set_up(now)),
                },
                None,
            ),
            // A link that began anew meanwhile.
            (State::Authenticate(_) | State::Establish(_), Event::AllProtocolsClosed) => return Ok(None),
            (State::Establish(_), Event::Admitted)
            | (State::Establish(_) | State::Authenticate(_), Event::Relaying)
            | (State::Establish(_) | State::Authenticate(_) | State::Network(_), Event::Resumed(_)) => {
                return Err(violation);
            }
        };
        self.state = state;
        Ok(effect)
    }

    /// The deadline has passed, or it was looked too early.
    fn time_out(&mut self, heard: bool, now: Instant) -> Option<Effect> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        let is_over = self.time_is_up().is_some_and(|end| end <= now);
        let kill = |detail: &str, reason| Event::Kill(End::new(reason, detail));
        let event = match &mut self.state {
            State::Gone { .. } => return None,
            State::Ending { .. } => kill("the worker did not exit in time", EndReason::WorkerCrash),
            State::Starting { .. } => kill("the worker was not ready in time", EndReason::SystemError),
            _ if is_over => Event::Terminate(End::new(EndReason::SessionTimeout, "the session's time is up")),
            State::Open { .. } => return None,
            State::Establish(set_up) | State::Authenticate(set_up) | State::Network(set_up) => {
                match set_up.whole {
                    Some(whole) if heard && whole > now => {
                        *set_up = set_up.heard();
                        return None;
                    }
                    Some(_) if !heard => {
                        kill("the client sent no LCP packet (--lcp-deadline)", EndReason::SetupTimeout)
                    }
                    _ => kill("the session was not open in time", EndReason::SetupTimeout),
                }
            }
        };
        self.handle(event, now).ok().flatten()
    }

    /// It ends, for the first reason that came up.
    fn ending(&self, why: Option<End>, until: Instant) -> State {
        State::Ending { until, why: self.end().cloned().or(why) }
    }

    /// From now, a session that is not open has as long as the whole set-up may take, but not beyond the end of its time. The
    /// worker keeps that deadline itself, and then says so to the peer; this one is for a worker that does not.
    fn set_up(&self, now: Instant) -> SetUp {
        let whole = now + self.limits.setup.saturating_add(self.limits.farewell);
        SetUp { until: self.time_is_up().map_or(whole, |end| whole.min(end)), whole: None }
    }

    /// The peer has its PADS: the first deadline is that of its first packet.
    fn first_packet(&self, now: Instant) -> SetUp {
        let whole = self.set_up(now);
        let first = now + self.limits.first_packet;
        match first < whole.until {
            true => SetUp { until: first, whole: Some(whole.until) },
            false => whole,
        }
    }
}

impl SetUp {
    /// The peer has sent something: now the whole set-up counts.
    fn heard(self) -> Self {
        Self { until: self.whole.unwrap_or(self.until), whole: None }
    }
}
