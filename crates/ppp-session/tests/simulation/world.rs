//! The world around the core: who dials, what workers and peers say and when, what consoles and the kernel do, and the shell that
//! does what the core wants.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ppp_ipc::reason::EndReason;
use ppp_session::leases::{AddressBook, AddressPair, Lease, Numbering, Slot, Slots, Unit, Units};
use ppp_session::session::{Effect, End, Event, Limits, Machine, Standing, State};

use crate::coverage::{Coverage, event_name, state_name};
use crate::invariants::{self, Model};
use crate::random::Random;

/// Addresses that there are.
const ADDRESSES: u64 = 20;

pub(crate) struct Session {
    pub(crate) machine: Machine,
    pub(crate) slot: Lease<Slot>,
    pub(crate) unit: Lease<Unit>,
    pub(crate) pair: Option<Lease<AddressPair>>,
    pub(crate) limits: Limits,
    pub(crate) model: Model,
}

/// What is under way.
enum Due {
    Event(Event),
    /// The last hooks have returned.
    Release,
}

pub(crate) struct World {
    random: Random,
    is_shown: bool,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    numbering: Numbering,
    pub(crate) count: u32,
    // Owners go before their leases.
    pub(crate) slots: Slots,
    pub(crate) units: Units,
    pub(crate) book: AddressBook,
    pub(crate) sessions: BTreeMap<u64, Session>,
    agenda: BTreeMap<(Instant, u64), (u64, Due)>,
    serial: u64,
    coverage: Coverage,
    fingerprint: u64,
}

impl World {
    pub(crate) fn new(seed: u64, is_shown: bool) -> Self {
        let mut random = Random::new(seed);
        let numbering = match random.one_in(4) {
            true => Numbering::Random,
            false => Numbering::From(u32::try_from(random.below(30)).unwrap()),
        };
        let count = 1 + u32::try_from(random.below(24)).unwrap();
        let now = Instant::now();
        Self {
            random,
            is_shown,
            start: now,
            now,
            numbering,
            count,
            slots: Slots::new(count, numbering).unwrap(),
            units: Units::default(),
            book: AddressBook::default(),
            sessions: BTreeMap::new(),
            agenda: BTreeMap::new(),
            serial: 0,
            coverage: Coverage::default(),
            fingerprint: seed,
        }
    }

    pub(crate) fn into_coverage(self) -> Coverage {
        self.coverage
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn step(&mut self) {
        match self.random.below(100) {
            0..22 => self.dial(),
            22..68 => self.next(),
            68..73 => self.console(),
            73..76 => self.more_or_less_time(),
            76..88 => self.anything(),
            88..91 => self.name_in_use(),
            91..93 => self.reload(),
            93 => self.restart(),
            _ => {
                let jump = self.seconds(90);
                self.pass(jump);
            }
        }
        self.time_outs();
        invariants::check(self);
    }

    /// Everything ends, and everything is free.
    pub(crate) fn end(&mut self) {
        for token in self.tokens() {
            self.tell(token, Event::Terminate(End::new(EndReason::Shutdown, "the end")));
        }
        for _ in 0..1000 {
            if self.sessions.is_empty() {
                break;
            }
            self.pass(Duration::from_secs(10));
            self.time_outs();
            invariants::check(self);
        }
        invariants::check_end(self);
    }

    fn show(&mut self, what: std::fmt::Arguments<'_>) {
        let line = what.to_string();
        for byte in line.bytes() {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.is_shown {
            println!("{:>12.3?} {line}", self.now - self.start);
        }
    }

    fn tokens(&self) -> Vec<u64> {
        self.sessions.keys().copied().collect()
    }

    fn any(&mut self) -> Option<u64> {
        let tokens = self.tokens();
        self.random.pick(&tokens)
    }

    fn seconds(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.below(most * 1000))
    }

    fn plan(&mut self, token: u64, within: u64, due: Due) {
        let at = self.now + self.seconds(within);
        self.serial += 1;
        self.agenda.insert((at, self.serial), (token, due));
    }

    fn limits(&mut self) -> Limits {
        Limits {
            first_packet: Duration::from_secs(self.random.pick(&[2, 5, 100]).unwrap()),
            setup: Duration::from_secs(self.random.pick(&[10, 30]).unwrap()),
            farewell: Duration::from_secs(self.random.pick(&[2, 8]).unwrap()),
            max_connect: self.random.one_in(3).then(|| Duration::from_secs(40)),
        }
    }

    fn dial(&mut self) {
        let bits = u32::try_from(self.random.bits() >> 32).unwrap();
        let mut more = bits;
        let lease = self.slots.take(0..1 + bits % 24, || {
            more = more.wrapping_mul(0x9e37_79b9).wrapping_add(1);
            // Few numbers, so that ids meet.
            Some((more >> 8) % 64)
        });
        let Some(slot) = lease else {
            assert_eq!(self.slots.free(), 0, "a slot is free and is not given");
            return;
        };
        let unit = match self.random.one_in(3).then(|| self.units.hold(slot.number)).flatten() {
            Some(unit) => unit,
            None => self.units.take(self.now),
        };
        let limits = self.limits();
        self.serial += 1;
        let token = self.serial;
        self.show(format_args!("{token} dials: {slot:?} {unit:?}"));
        let machine = Machine::new(limits, self.now);
        let model = Model::default();
        self.sessions.insert(token, Session { machine, slot, unit, pair: None, limits, model });
        match self.random.below(20) {
            0 => {}
            1 => self.plan(
                token,
                3,
                Due::Event(Event::WorkerGone(End::new(EndReason::WorkerCrash, "it died"))),
            ),
            2 => self.plan(token, 3, Due::Event(Event::Kill(End::new(EndReason::SystemError, "no sandbox")))),
            _ => self.plan(token, 12, Due::Event(Event::Ready)),
        }
    }

    /// The next thing that is under way arrives.
    fn next(&mut self) {
        let Some((at, _)) = self.agenda.keys().next().copied() else { return };
        let wait = at.saturating_duration_since(self.now);
        self.pass(wait);
    }

    /// Time passes: deadlines come before what arrives at the same moment, as in the event loop.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.time_outs();
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (token, due) = entry.remove();
            match due {
                Due::Event(event) => self.tell(token, event),
                Due::Release => self.release(token),
            }
            self.time_outs();
        }
    }

    fn time_outs(&mut self) {
        for token in self.tokens() {
            while let Some(session) = self.sessions.get(&token) {
                let Some(due) = session.machine.deadline().filter(|deadline| *deadline <= self.now) else {
                    break;
                };
                let heard = session.model.heard;
                self.tell(token, Event::TimeOut { heard });
                let next = self.sessions[&token].machine.deadline();
                assert!(
                    next.is_none_or(|next| next > due),
                    "{token}: a deadline passes and nothing comes of it"
                );
            }
        }
    }

    fn console(&mut self) {
        let Some(token) = self.any() else { return };
        let event = match self.random.below(3) {
            0 => Event::Kill(End::new(EndReason::Replaced, "dialled again")),
            1 => Event::Kill(End::new(EndReason::InterfaceGone, "it is gone")),
            _ => Event::Terminate(End::new(EndReason::Admin, "by uid 0")),
        };
        self.tell(token, event);
    }

    fn more_or_less_time(&mut self) {
        let Some(token) = self.any() else { return };
        let max_connect =
            self.random.pick(&[None, Some(1), Some(60), Some(900)]).unwrap().map(Duration::from_secs);
        self.show(format_args!("{token} may be connected for {max_connect:?}"));
        let session = self.sessions.get_mut(&token).unwrap();
        session.limits.max_connect = max_connect;
        session.machine.set_max_connect(max_connect);
    }

    /// A worker that says whatever it likes, and a look before its time.
    fn anything(&mut self) {
        let Some(token) = self.any() else { return };
        let end = || End::new(EndReason::PeerTerminated, "so it says");
        let event = match self.random.below(14) {
            0 => Event::Ready,
            1 | 2 => Event::LcpOpened,
            // Only a right proof leads to that, or that none is asked for; see `Model`.
            3 => Event::Admitted,
            4 => Event::Relaying,
            5 => Event::AllProtocolsClosed,
            6 => Event::Closing,
            7 => Event::Resumed(Standing::Down),
            8 => Event::Resumed(Standing::Admitted),
            9 => Event::WorkerEnded(end()),
            10 => Event::TimeOut { heard: true },
            11 => Event::WorkerGone(End::new(EndReason::WorkerCrash, "signal 11")),
            12 => Event::Terminate(end()),
            _ => Event::TimeOut { heard: false },
        };
        self.tell(token, event);
    }

    /// Another program has an interface of that name.
    fn name_in_use(&mut self) {
        let now = self.now;
        let Some(token) = self.any() else { return };
        let session = self.sessions.get_mut(&token).unwrap();
        if let State::Starting { .. } = session.machine.state() {
            let unit = self.units.take(now);
            let taken = std::mem::replace(&mut session.unit, unit);
            self.units.taken_by_another(taken, now);
            self.show(format_args!("{token} gets another name"));
        }
    }

    fn reload(&mut self) {
        let count = 1 + u32::try_from(self.random.below(30)).unwrap();
        if self.slots.resize(count).is_ok() {
            self.count = count;
            self.show(format_args!("{count} slots"));
        }
    }

    /// The server is killed, and the next one takes over what was open.
    fn restart(&mut self) {
        self.show(format_args!("restart"));
        self.count = 1 + u32::try_from(self.random.below(24)).unwrap();
        self.slots = Slots::new(self.count, self.numbering).unwrap();
        self.units = Units::default();
        self.book = AddressBook::default();
        self.agenda.clear();
        let before = std::mem::take(&mut self.sessions);
        for session in before.into_values() {
            let Some(opened) = session.machine.opened() else { continue };
            self.serial += 1;
            let token = self.serial;
            let id = session.slot.session_id;
            let slot = self.slots.hold(id, Some(session.slot.number)).expect("it had that id alone");
            let unit = self.units.hold(session.unit.number).expect("it had that unit alone");
            let pair = session.pair.as_deref().map(|pair| {
                self.book.hold(AddressPair { slot: slot.number, ..*pair }).expect("it had that address alone")
            });
            let machine = Machine::restored(session.limits, opened);
            let (end, is_gone) = (session.machine.end().cloned(), session.machine.is_gone());
            let model = session.model.restored();
            self.show(format_args!("{token} was there: {slot:?} {unit:?} {pair:?}"));
            self.sessions.insert(token, Session { machine, slot, unit, pair, limits: session.limits, model });
            if let Some(end) = end {
                self.tell(token, Event::Terminate(end));
            }
            let gone = Event::WorkerGone(End::new(EndReason::WorkerCrash, "it ended meanwhile"));
            match self.random.below(10) {
                _ if is_gone => self.tell(token, gone),
                0 => self.plan(
                    token,
                    30,
                    Due::Event(Event::Kill(End::new(EndReason::WorkerCrash, "not back"))),
                ),
                1 => self.tell(token, gone),
                2..4 => self.plan(token, 20, Due::Event(Event::Resumed(Standing::Down))),
                _ => self.plan(token, 20, Due::Event(Event::Resumed(Standing::Admitted))),
            }
        }
    }

    /// The shell: tells the machine, does what it wants, and lets world and peer answer.
    fn tell(&mut self, token: u64, event: Event) {
        let Some(session) = self.sessions.get_mut(&token) else { return };
        if event == Event::Admitted
            && matches!(session.machine.state(), State::Authenticate(_))
            && session.pair.is_none()
        {
            let remote =
                Ipv4Addr::from_bits(0xc000_0200 + u32::try_from(self.random.below(ADDRESSES)).unwrap());
            let pair = AddressPair { slot: session.slot.number, local: Ipv4Addr::new(10, 0, 0, 1), remote };
            match self.book.hold(pair) {
                Ok(lease) => session.pair = Some(lease),
                Err(holder) => {
                    assert_eq!(self.book.of(holder).map(|pair| pair.remote), Some(remote));
                    return self.tell(token, Event::Terminate(End::new(EndReason::AuthFailed, "no address")));
                }
            }
        }
        let session = self.sessions.get_mut(&token).unwrap();
        let before = session.machine.clone();
        let result = session.machine.handle(event.clone(), self.now);
        let after = &session.machine;
        let outcome = match &result {
            Err(_) => 2,
            Ok(_) if after.state() == before.state() => 1,
            Ok(_) => 0,
        };
        self.coverage.count(state_name(before.state()), event_name(&event), outcome);
        session.model.follow(&before, &event, &result, &session.machine, self.now);
        let (name, state) = (event_name(&event), state_name(session.machine.state()));
        self.show(format_args!("{token} {} + {name} = {state} {result:?}", state_name(before.state())));
        match result {
            Ok(effect) => {
                if let Some(effect) = effect {
                    self.act(token, effect);
                }
                if outcome == 0 {
                    self.answer(token, &event);
                }
            }
            // It has broken the rules.
            Err(_) => self.tell(token, Event::Kill(End::new(EndReason::WorkerCrash, "it broke the rules"))),
        }
    }

    fn act(&mut self, token: u64, effect: Effect) {
        let gone = || Due::Event(Event::WorkerGone(End::new(EndReason::WorkerCrash, "killed")));
        match effect {
            // Now and then a process cannot be killed at once.
            Effect::Kill if !self.random.one_in(8) => self.plan(token, 3, gone()),
            // Some peers do not answer, some workers do not hear.
            Effect::Terminate(reason) if !self.random.one_in(4) => {
                self.plan(token, 10, Due::Event(Event::WorkerEnded(End::new(reason, "done"))));
            }
            Effect::Finish => self.plan(token, 6, Due::Release),
            Effect::Kill | Effect::Terminate(_) | Effect::OpenedFirst | Effect::OpenedAgain => {}
        }
    }

    /// What peer, worker, secrets and kernel do next, where the session stands now; sometimes nothing.
    fn answer(&mut self, token: u64, event: &Event) {
        let state = self.sessions[&token].machine.state().clone();
        let what = self.random.below(20);
        let end = |reason| End::new(reason, "by itself");
        let (within, next) = match (state, what) {
            (State::Establish(_) | State::Authenticate(_) | State::Network(_), 0 | 1) => return,
            (State::Establish(_), 2) => (9, Event::Closing),
            (State::Establish(_), 3) => (9, Event::WorkerEnded(end(EndReason::NegotiationFailed))),
            (State::Establish(_), _) => {
                self.sessions.get_mut(&token).unwrap().model.heard = true;
                (9, Event::LcpOpened)
            }
            (State::Authenticate(_), 2) => (4, Event::LcpOpened),
            (State::Authenticate(_), 3) => (4, Event::Terminate(end(EndReason::AuthFailed))),
            (State::Authenticate(_), _) => (4, Event::Admitted),
            (State::Network(_), 2) => (4, Event::LcpOpened),
            (State::Network(_), 3) => (4, Event::Terminate(end(EndReason::HookVeto))),
            (State::Network(_), _) => (4, Event::Relaying),
            (State::Open { .. }, 0..4) => (60, Event::LcpOpened),
            (State::Open { .. }, 4..7) => (60, Event::AllProtocolsClosed),
            (State::Open { .. }, 7..9) => (60, Event::Closing),
            (State::Open { .. }, 9 | 10) => (60, Event::WorkerEnded(end(EndReason::Idle))),
            (State::Open { .. }, 11) => (60, Event::WorkerGone(end(EndReason::WorkerCrash))),
            (State::Open { .. }, 12) => (60, Event::Terminate(end(EndReason::Quota))),
            (State::Open { .. }, 13) => (30, Event::Admitted),
            (State::Open { .. }, 14) => (30, Event::Relaying),
            (State::Ending { why: None, .. }, 0..15) => {
                (9, Event::WorkerEnded(end(EndReason::PeerTerminated)))
            }
            (State::Ending { .. }, 0..15) if matches!(event, Event::WorkerEnded(_)) => {
                (6, Event::WorkerGone(end(EndReason::WorkerCrash)))
            }
            _ => return,
        };
        self.plan(token, within, Due::Event(next));
    }

    /// The last hooks have returned: everything is given back.
    fn release(&mut self, token: u64) {
        let Some(session) = self.sessions.remove(&token) else { return };
        assert!(session.machine.is_gone(), "{token} is released and its worker lives");
        if let Some(pair) = session.pair {
            self.book.release(pair);
        }
        self.units.release(session.unit);
        self.slots.release(session.slot);
        self.show(format_args!("{token} is over"));
    }
}
