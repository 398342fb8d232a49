//! Many sessions from one thread, over one interface.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ppp_proto::auth::{AuthMethod, Credentials};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EthernetFrame;
use ppp_wire::if_name::IfName;

use super::icmp::{Echo, Kind};
use super::ping::{PingConfig, Pinger};
use super::port::{FRAME_LEN, Port, Stage};
use super::report::{Percentiles, Report};
use super::session::{Conduct, End, Event, Session, SessionConfig};
use crate::interrupt;

/// Longest wait before the user's interrupt, and orders, are looked for.
const INTERRUPT_STEP: Duration = Duration::from_millis(200);
/// How long the last answers to pings are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long Terminate-Requests may take: the peer is asked twice, 3 seconds apart.
const HANG_UP: Duration = Duration::from_secs(8);
/// Sessions that are started before frames are read again.
const DIALS_AT_ONCE: usize = 32;
/// Frames that are read before timers get their turn.
const FRAMES_AT_ONCE: usize = 256;

/// Packets of a session in a burst: more than a worker takes at once.
pub(crate) const BURST: u16 = 128;
/// Bytes of data in each.
const BURST_DATA: [u8; 1400] = [0x55; 1400];

/// What to dial, and what to do with it.
#[derive(Clone, Debug)]
pub(crate) struct LoadConfig {
    /// Access interface, in the calling thread's network namespace.
    pub(crate) interface: IfName,
    /// Number of sessions.
    pub(crate) sessions: u32,
    /// Number of the first one. The numbers make addresses and names, so runs at the same time need different ones.
    pub(crate) first: u32,
    /// Sessions started per second; more than 0.
    pub(crate) rate: f64,
    /// User name; `{n}` stands for the session's number.
    pub(crate) user: String,
    /// Password, likewise.
    pub(crate) password: String,
    /// How to authenticate, in order of preference.
    pub(crate) methods: Vec<AuthMethod>,
    /// Service-Name; empty takes any.
    pub(crate) service_name: String,
    /// PPP-Max-Payload in bytes to ask for.
    pub(crate) max_payload: Option<u16>,
    /// From the PADS of a session to its open IPCP.
    pub(crate) setup_deadline: Duration,
    /// Pings through every session from its opening on.
    pub(crate) ping: Option<PingConfig>,
    /// How long to stay once every session has opened or failed.
    pub(crate) hold: Duration,
    pub(crate) conduct: Conduct,
}

impl LoadConfig {
    /// So many sessions, so many started per second (more than 0), numbered from 1. Each has a user of its own, `user1` with
    /// `password1` and so on, authenticates with CHAP, has 30 s to open, sends no pings, and hangs up once all have opened.
    pub(crate) fn new(interface: IfName, sessions: u32, rate: f64) -> Self {
        LoadConfig {
            interface,
            sessions,
            first: 1,
            rate,
            user: "user{n}".to_owned(),
            password: "password{n}".to_owned(),
            methods: vec![AuthMethod::ChapMd5],
            service_name: String::new(),
            max_payload: None,
            setup_deadline: Duration::from_secs(30),
            ping: None,
            hold: Duration::ZERO,
            conduct: Conduct::Honest,
        }
    }
}

/// What somebody else may want of a run while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    burst: AtomicBool,
    hang_up: AtomicBool,
}

impl Orders {
    /// Has each open session send [`BURST`] long packets that nobody answers.
    pub(crate) fn burst(&self) {
        self.burst.store(true, Ordering::SeqCst);
    }

    /// Ends the time that sessions are held.
    pub(crate) fn hang_up(&self) {
        self.hang_up.store(true, Ordering::SeqCst);
    }
}

/// Dials all sessions, holds them, and hangs up; all of it before `deadline`, or as far as it got.
///
/// # Errors
/// When the interface cannot be used.
pub(crate) fn run(config: &LoadConfig, deadline: Instant) -> Result<Report> {
    run_by_orders(config, deadline, &Orders::default())
}

/// As [`run`], doing what the orders say within a fifth of a second.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_by_orders(config: &LoadConfig, deadline: Instant, orders: &Orders) -> Result<Report> {
    let port = Port::open(&config.interface)?;
    Load::new(config, port, deadline, orders).run()
}

/// What the sessions as a whole are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Some have neither opened nor failed.
    Dialling,
    /// The pings go on.
    Holding { until: Instant },
    /// The pings have ended.
    LastAnswers { until: Instant },
    /// All have been told to end.
    HangingUp { until: Instant },
}

struct Load<'a> {
    config: &'a LoadConfig,
    port: Port,
    start: Instant,
    deadline: Instant,
    phase: Phase,
    stations: Vec<Station>,
    /// When which station has something to do, as [`Station::due`] says.
    timers: BTreeSet<(Instant, usize)>,
    /// Sessions that have neither opened nor failed, those not started yet included.
    undecided: u32,
    /// Sessions that have not ended, those not started yet excluded.
    running: u32,
    setup_times: Vec<Duration>,
    round_trips: Vec<Duration>,
    last_opened: Instant,
    report: Report,
    frame: Vec<u8>,
    orders: &'a Orders,
}

struct Station {
    session: Session,
    started: Instant,
    opened: bool,
    over: bool,
    pinger: Option<Pinger>,
    due: Option<Instant>,
}

impl<'a> Load<'a> {
    fn new(config: &'a LoadConfig, port: Port, deadline: Instant, orders: &'a Orders) -> Self {
        let start = Instant::now();
        Self {
            config,
            port,
            start,
            deadline,
            phase: Phase::Dialling,
            stations: Vec::new(),
            timers: BTreeSet::new(),
            undecided: config.sessions,
            running: 0,
            setup_times: Vec::new(),
            round_trips: Vec::new(),
            last_opened: start,
            report: Report { sessions: config.sessions, ..Report::default() },
            frame: Vec::new(),
            orders,
        }
    }

    fn run(mut self) -> Result<Report> {
        while !self.is_done(Instant::now()) {
            self.dial_due()?;
            self.serve_timers()?;
            self.advance_phase(Instant::now())?;
            if self.orders.burst.swap(false, Ordering::SeqCst) {
                self.send_bursts()?;
            }
            let wake = self.next_wake(Instant::now());
            self.port.wait([None; 2], Some(wake))?;
            self.receive()?;
        }
        Ok(self.finish())
    }

    fn send_bursts(&mut self) -> Result<()> {
        for station in &self.stations {
            let Some(opened) = station.session.opened() else { continue };
            for sequence in 0..BURST {
                let packet = Echo {
                    // One that nobody waits for is dropped by the kernel.
                    kind: Kind::Reply,
                    source: opened.local,
                    destination: opened.remote,
                    identifier: 0,
                    sequence,
                    data: &BURST_DATA,
                };
                if station.session.data_frame(&packet.to_packet(), &mut self.frame) {
                    self.port.send(&self.frame)?;
                }
            }
        }
        Ok(())
    }

    fn is_done(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::HangingUp { until } if self.running == 0 || now >= until)
    }

    /// When the next session is to be started, if there is one more.
    fn next_dial(&self) -> Option<Instant> {
        let started = self.stations.len();
        let more = self.phase == Phase::Dialling && started < usize::try_from(self.config.sessions).ok()?;
        // Exact in an f64 for any number of sessions.
        let number = f64::from(u32::try_from(started).ok()?);
        more.then(|| self.start + Duration::from_secs_f64(number / self.config.rate))
    }

    fn dial_due(&mut self) -> Result<()> {
        for _ in 0..DIALS_AT_ONCE {
            if self.next_dial().is_none_or(|due| due > Instant::now()) {
                break;
            }
            let index = self.stations.len();
            let now = Instant::now();
            let number = self.config.first.saturating_add(u32::try_from(index)?);
            let session = Session::new(self.session_config(number)?, self.port.mtu(), now)?;
            let station =
                Station { session, started: now, opened: false, over: false, pinger: None, due: None };
            self.stations.push(station);
            self.running += 1;
            self.service(index, now)?;
        }
        Ok(())
    }

    fn session_config(&self, number: u32) -> Result<SessionConfig> {
        let config = self.config;
        let expand = |template: &str| template.replace("{n}", &number.to_string()).into_bytes();
        Ok(SessionConfig {
            mac: mac(number),
            credentials: Credentials {
                name: expand(&config.user),
                secret: expand(&config.password).into(),
                methods: config.methods.clone(),
            },
            service_name: config.service_name.clone().into_bytes(),
            max_payload: config.max_payload,
            setup_deadline: config.setup_deadline,
            seed: getrandom::u64().context("random number")?,
            conduct: config.conduct,
        })
    }

    fn serve_timers(&mut self) -> Result<()> {
        while let Some(&(due, index)) = self.timers.first() {
            let now = Instant::now();
            if due > now {
                break;
            }
            let Some(station) = self.stations.get_mut(index) else { break };
            station.session.handle_timeout(now);
            self.service(index, now)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; FRAME_LEN];
        for _ in 0..FRAMES_AT_ONCE {
            let Some((stage, frame)) = self.port.receive(&mut buffer)? else { break };
            let now = Instant::now();
            let index = EthernetFrame::new_checked(frame)
                .ok()
                .and_then(|frame| number(frame.destination()))
                .and_then(|number| usize::try_from(number.checked_sub(self.config.first)?).ok());
            let Some((index, station)) = index.and_then(|index| Some((index, self.stations.get_mut(index)?)))
            else {
                continue;
            };
            match stage {
                Stage::Discovery => station.session.handle_discovery_frame(frame, now),
                Stage::Session => {
                    if let Some(packet) = station.session.handle_session_frame(frame, now) {
                        self.handle_packet(index, packet, now)?;
                        continue;
                    }
                }
            }
            self.service(index, now)?;
        }
        Ok(())
    }

    /// An IPv4 packet came out of a session.
    fn handle_packet(&mut self, index: usize, packet: &[u8], now: Instant) -> Result<()> {
        let (Some(station), Some(echo)) = (self.stations.get_mut(index), Echo::parse(packet)) else {
            return Ok(());
        };
        match echo.kind {
            Kind::Reply => {
                match station.pinger.as_mut().and_then(|pinger| pinger.handle_reply(&echo, now)) {
                    Some(round_trip) => self.round_trips.push(round_trip),
                    None => self.report.ping.unexpected += 1,
                }
                Ok(())
            }
            Kind::Request => {
                let for_us = station.session.opened().is_some_and(|opened| opened.local == echo.destination);
                if for_us && station.session.data_frame(&echo.reply().to_packet(), &mut self.frame) {
                    self.report.ping.answered += 1;
                    self.port.send(&self.frame)?;
                }
                Ok(())
            }
        }
    }

    /// Does whatever a station has to do, until it has to wait.
    fn service(&mut self, index: usize, now: Instant) -> Result<()> {
        let Some(station) = self.stations.get_mut(index) else { return Ok(()) };
        while let Some(frame) = station.session.poll_transmit() {
            self.port.send(&frame)?;
        }
        while let Some(event) = station.session.poll_event() {
            match event {
                Event::Opened(opened) => {
                    if station.opened {
                        continue;
                    }
                    station.opened = true;
                    self.undecided -= 1;
                    self.last_opened = now;
                    self.setup_times.push(now.saturating_duration_since(station.started));
                    let identifier = u16::try_from(index % usize::from(u16::MAX)).unwrap_or_default();
                    let pinger = |ping| Pinger::new(ping, opened.local, opened.remote, identifier, now);
                    station.pinger = self.config.ping.as_ref().map(pinger);
                }
                Event::Ended(end) => {
                    station.over = true;
                    station.pinger = None;
                    self.running -= 1;
                    if !station.opened {
                        self.undecided -= 1;
                    }
                    self.report.count(station.opened, &end);
                }
            }
        }
        if let Some(pinger) = &mut station.pinger
            && let Some(packet) = pinger.poll_transmit(now)
            && station.session.data_frame(&packet, &mut self.frame)
        {
            self.report.ping.sent += 1;
            self.port.send(&self.frame)?;
        }

        let ping = station.pinger.as_ref().and_then(Pinger::poll_timeout);
        let due = station.session.poll_timeout().into_iter().chain(ping).min();
        if due != station.due {
            if let Some(old) = station.due {
                self.timers.remove(&(old, index));
            }
            self.timers.extend(due.map(|due| (due, index)));
            station.due = due;
        }
        Ok(())
    }

    fn advance_phase(&mut self, now: Instant) -> Result<()> {
        let stop = now >= self.deadline || interrupt::requested();
        match self.phase {
            Phase::HangingUp { .. } => {}
            _ if stop => self.hang_up_all(now)?,
            Phase::Dialling if self.undecided == 0 => {
                self.phase = Phase::Holding { until: now + self.config.hold };
            }
            Phase::Holding { until }
                if now >= until || self.running == 0 || self.orders.hang_up.load(Ordering::SeqCst) =>
            {
                for index in 0..self.stations.len() {
                    if let Some(pinger) = self.stations.get_mut(index).and_then(|it| it.pinger.as_mut()) {
                        pinger.stop();
                    }
                    self.service(index, now)?;
                }
                self.phase = Phase::LastAnswers { until: now + LAST_ANSWERS };
            }
            Phase::LastAnswers { until } => {
                let mut pingers = self.stations.iter().filter_map(|station| station.pinger.as_ref());
                if now >= until || !pingers.any(Pinger::is_waiting) {
                    self.hang_up_all(now)?;
                }
            }
            Phase::Dialling | Phase::Holding { .. } => {}
        }
        Ok(())
    }

    fn hang_up_all(&mut self, now: Instant) -> Result<()> {
        self.phase = Phase::HangingUp { until: now + HANG_UP };
        for index in 0..self.stations.len() {
            if let Some(station) = self.stations.get_mut(index) {
                station.pinger = None;
                station.session.hang_up(now);
            }
            self.service(index, now)?;
        }
        Ok(())
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let phase_end = match self.phase {
            Phase::Dialling => self.deadline,
            Phase::Holding { until } | Phase::LastAnswers { until } => until.min(self.deadline),
            Phase::HangingUp { until } => until,
        };
        let timer = self.timers.first().map(|(due, _)| *due);
        let wakes = [Some(phase_end), timer, self.next_dial()];
        wakes.into_iter().flatten().fold(now + INTERRUPT_STEP, Instant::min)
    }

    fn finish(self) -> Report {
        let mut report = self.report;
        // The undecided ones that were started have been told to hang up, and are counted by that.
        let not_started = self.config.sessions - u32::try_from(self.stations.len()).unwrap_or(u32::MAX);
        if not_started > 0 {
            report.failed.insert("not started in time".to_owned(), not_started);
        }
        let silent = self.stations.iter().filter(|station| !station.over);
        for station in silent {
            let reason = "no answer to Terminate-Request".to_owned();
            let counts = if station.opened { &mut report.lost } else { &mut report.failed };
            *counts.entry(reason).or_default() += 1;
        }
        report.established = u32::try_from(self.setup_times.len()).unwrap_or(u32::MAX);
        let setting_up = self.last_opened.saturating_duration_since(self.start).as_secs_f64();
        if setting_up > 0.0 {
            report.setup_rate = f64::from(report.established) / setting_up;
        }
        report.setup = Percentiles::of(self.setup_times);
        report.ping.received = u64::try_from(self.round_trips.len()).unwrap_or(u64::MAX);
        report.ping.round_trip = Percentiles::of(self.round_trips);
        report.guesses = self.stations.iter().map(|station| station.session.guesses()).sum();
        report.not_sent = self.port.not_sent();
        report
    }
}

impl Report {
    /// Counts the end of a session.
    fn count(&mut self, opened: bool, end: &End) {
        let (counts, reason) = match (opened, end.is_ours()) {
            (true, true) => return,
            (true, false) => (&mut self.lost, end.to_string()),
            (false, true) => (&mut self.failed, "not open in time".to_owned()),
            (false, false) => (&mut self.failed, end.to_string()),
        };
        *counts.entry(reason).or_default() += 1;
    }
}

/// A locally administered address, of unicast kind, that tells its session's number.
const MAC_PREFIX: [u8; 2] = [0x02, 0x4c];

fn mac(number: u32) -> MacAddr {
    let [p0, p1] = MAC_PREFIX;
    let [n0, n1, n2, n3] = number.to_be_bytes();
    MacAddr([p0, p1, n0, n1, n2, n3])
}

fn number(mac: MacAddr) -> Option<u32> {
    let [p0, p1, n0, n1, n2, n3] = mac.0;
    ([p0, p1] == MAC_PREFIX).then(|| u32::from_be_bytes([n0, n1, n2, n3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_its_number() {
        for n in [0, 1, 0x0102_0304, u32::MAX] {
            assert_eq!(number(mac(n)), Some(n));
            assert!(mac(n).is_unicast());
        }
        assert_eq!(number(MacAddr::BROADCAST), None);
        assert_eq!(number(MacAddr([2, 0, 0, 0, 0, 1])), None);
    }
}
