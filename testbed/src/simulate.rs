//! A `pppoed` of the control socket alone, with as many sessions as one likes: to see how `pppctl` does with lists that
//! no test machine could dial.
//!
//! Every session is made up from its id and the time, so that traffic grows, and differently for each.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use ppp_ipc::codec;
use ppp_ipc::control::{
    AuthMethod, BitRate, ClientHello, ControlTraffic, Failure, HistoryEntry, NamedCount, Phase, Request,
    Response, Selector, ServerHello, ServerStats, ServiceState, SessionDetail, SessionSummary, SessionTimers,
    Traffic, VERSION,
};
use ppp_ipc::frame::FrameDecoder;
use ppp_ipc::name::Name;
use ppp_wire::MacAddr;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::interrupt;

/// Sessions in one response, as `pppoed` sends them.
const SESSIONS_PER_RESPONSE: usize = 32;

/// Time between two looks for new clients, and for an interrupt.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(2);

/// Serve the control protocol with made-up sessions, for pppctl to be tried on: testbed simulate-console --socket
/// /tmp/sim.sock, then pppctl --socket /tmp/sim.sock show sessions
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where to listen; what is there is replaced
    #[arg(long)]
    socket: PathBuf,
    /// How many sessions
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(0..=0xfffe))]
    sessions: u16,
}

impl Arguments {
    /// Serves until the process is ended.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let shown = self.socket.display();
        match std::fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {shown}"));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&self.socket).with_context(|| format!("listening on {shown}"))?;
        println!("{} sessions on {shown}", self.sessions);
        let server = Arc::new(Simulation::new(self.sessions));
        listener.set_nonblocking(true)?;
        while !interrupt::requested() {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(ACCEPT_INTERVAL);
                    continue;
                }
                Err(error) => return Err(error).context("accepting"),
            };
            stream.set_nonblocking(false)?;
            let server = Arc::clone(&server);
            thread::spawn(move || {
                // A client that goes away in the middle is no news.
                let _ = serve(stream, &server);
            });
        }
        std::fs::remove_file(&self.socket).with_context(|| format!("removing {shown}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What all clients see.
struct Simulation {
    started: Instant,
    sessions: u16,
    gone: Mutex<BTreeSet<u16>>,
}

impl Simulation {
    fn new(sessions: u16) -> Self {
        Self { started: Instant::now(), sessions, gone: Mutex::new(BTreeSet::new()) }
    }

    fn summaries(&self) -> Vec<SessionSummary> {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let age_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        (1..=self.sessions).filter(|id| !gone.contains(id)).map(|id| summary(id, age_ms)).collect()
    }

    fn select(&self, selector: &Selector) -> Vec<u16> {
        let summaries = self.summaries();
        let selected = summaries.iter().filter(|session| selector.selects(&session.facts()));
        selected.map(|session| session.id).collect()
    }

    fn answer(&self, request: &Request) -> Vec<Response> {
        match request {
            Request::ShowSessions => self
                .summaries()
                .chunks(SESSIONS_PER_RESPONSE)
                .map(|chunk| Response::Sessions(chunk.to_vec()))
                .collect(),
            Request::ShowSession { id } => {
                let found = self.summaries().into_iter().find(|session| session.id == *id);
                vec![found.map_or(Response::Failed(Failure::NoSuchSession), |summary| {
                    Response::Session(Box::new(detail(summary)))
                })]
            }
            Request::ShowStats => vec![Response::Stats(Box::new(self.stats()))],
            Request::Terminate(selector) => {
                let ids = self.select(selector);
                let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                self.gone.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
                vec![Response::Terminated { count }]
            }
            Request::Count(selector) => {
                let count = u32::try_from(self.select(selector).len()).unwrap_or(u32::MAX);
                vec![Response::Count { count }]
            }
            _ => vec![Response::Failed(Failure::Busy("the simulation does not do this".into()))],
        }
    }

    fn stats(&self) -> ServerStats {
        let sessions = self.summaries();
        let open = sessions.iter().filter(|session| session.state == Phase::Open).count();
        ServerStats {
            uptime_s: self.started.elapsed().as_secs(),
            state: ServiceState::Serving,
            sessions: u32::try_from(sessions.len()).unwrap_or(u32::MAX),
            open: u32::try_from(open).unwrap_or(u32::MAX),
            max_sessions: self.sessions.into(),
            started: self.sessions.into(),
            ended: vec![NamedCount {
                name: "admin".into(),
                count: u64::from(self.sessions).saturating_sub(sessions.len().try_into().unwrap_or(0)),
            }],
            interfaces: Vec::new(),
            problems: Vec::new(),
            repaired: Vec::new(),
            turns: Vec::new(),
            waiting: 0,
            setup_wait_ms: 0,
        }
    }
}

/// A session after so many milliseconds. Most are open; one in fifty is busy.
fn summary(id: u16, age_ms: u64) -> SessionSummary {
    let number = u64::from(id);
    let state = match id % 100 {
        97 => Phase::Establish,
        98 => Phase::Authenticate,
        99 => Phase::Terminate,
        _ => Phase::Open,
    };
    let is_open = state == Phase::Open;
    let [high, low] = id.to_be_bytes();
    // Bytes per millisecond, and somewhat more every now and then, so that the order by traffic changes.
    let busy = if id.is_multiple_of(50) { 1000 } else { 1 };
    let rate = if is_open { (number * 7919 % 97) * busy } else { 0 };
    let swell = ((age_ms / 1000 + number) % 13) * rate * 50;
    let down = rate * (age_ms + number * 100) + swell;
    let up = down / 9;
    SessionSummary {
        id,
        ifname: format!("ppp{}", id - 1),
        username: is_open.then(|| Name::new(format!("user{id:05}@isp{}.example", id % 7))),
        ip: is_open.then(|| Ipv4Addr::new(100, 64, high, low)),
        mac: mac([0x02, 0x00, 0x5e, 0x10, high, low]),
        interface: format!("eth{}", 1 + id % 2),
        service: if id.is_multiple_of(3) { Name::new("internet") } else { Name::default() },
        state,
        uptime_s: age_ms / 1000 + number * 37 % 1_000_000,
        traffic: Traffic { rx_packets: up / 400, rx_bytes: up, tx_packets: down / 1100, tx_bytes: down },
    }
}

fn mac(bytes: [u8; 6]) -> String {
    MacAddr(bytes).to_string()
}

fn detail(summary: SessionSummary) -> SessionDetail {
    let is_open = summary.state == Phase::Open;
    SessionDetail {
        worker_pid: 100_000 + u32::from(summary.id),
        local_ip: is_open.then_some(Ipv4Addr::new(100, 64, 0, 1)),
        local_link_local: None,
        peer_link_local: None,
        dns: vec![Ipv4Addr::new(192, 0, 2, 53)],
        nbns: Vec::new(),
        mru: Some(1492),
        peer_mru: Some(1492),
        mtu: is_open.then_some(1492),
        auth: Some(AuthMethod::ChapMd5),
        secret_origin: is_open.then(|| format!("/etc/ppp/chap-secrets:{}", summary.id)),
        host_uniq: None,
        dropped_source: 0,
        dropped_malformed: 0,
        dropped_not_open: 0,
        dropped_errors: 0,
        dropped_rate: 0,
        rate_down: BitRate::default(),
        rate_up: BitRate::default(),
        idle_s: Some(1),
        sandbox: vec!["seccomp filter".to_owned()],
        options: Vec::new(),
        timers: SessionTimers::default(),
        rates: None,
        control: ControlTraffic::default(),
        history: vec![HistoryEntry { at_ms: 0, event: "PADR".to_owned() }],
        hooks: Vec::new(),
        summary,
    }
}

fn serve(mut stream: UnixStream, server: &Simulation) -> Result<()> {
    let mut decoder = FrameDecoder::new();
    let Some(hello) = receive::<ClientHello>(&mut stream, &mut decoder)? else { return Ok(()) };
    send(
        &mut stream,
        &ServerHello { version: VERSION, software: "simulation".into(), host: "simulation".into() },
    )?;
    if hello.version != VERSION {
        return Ok(());
    }
    while let Some(request) = receive::<Request>(&mut stream, &mut decoder)? {
        let responses = server.answer(&request);
        for response in &responses {
            send(&mut stream, response)?;
        }
        if !matches!(responses.last(), Some(Response::Failed(_))) {
            send(&mut stream, &Response::Done)?;
        }
    }
    Ok(())
}

fn send<T: Serialize>(stream: &mut UnixStream, message: &T) -> Result<()> {
    Ok(stream.write_all(&codec::encode(message)?)?)
}

/// The next message, or `None` once the client has gone.
fn receive<T: DeserializeOwned>(stream: &mut UnixStream, decoder: &mut FrameDecoder) -> Result<Option<T>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(body) = decoder.next_frame()? {
            return Ok(Some(codec::decode(body)?));
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            count => decoder.push(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_all_there_and_differ() {
        let simulation = Simulation::new(10_000);
        let lists = simulation.answer(&Request::ShowSessions);
        assert_eq!(lists.len(), 10_000_usize.div_ceil(SESSIONS_PER_RESPONSE));
        let sessions = simulation.summaries();
        assert_eq!(sessions.iter().map(|session| session.id).collect::<BTreeSet<_>>().len(), 10_000);
        assert_ne!(sessions[0].username, sessions[1].username);
        assert!(sessions.iter().any(|session| session.state != Phase::Open));
    }

    #[test]
    fn traffic_never_shrinks() {
        for id in [1, 50, 100, 0xfffe] {
            let bytes = (0..100).map(|second| summary(id, second * 700).traffic.tx_bytes);
            assert!(bytes.clone().zip(bytes.skip(1)).all(|(before, after)| before <= after), "{id}");
        }
    }

    #[test]
    fn who_is_told_to_end_is_gone() {
        let simulation = Simulation::new(20);
        let told = simulation.answer(&Request::Terminate(Selector::Interface("eth1".into())));
        assert_eq!(told, [Response::Terminated { count: 10 }]);
        let count = simulation.answer(&Request::Count(Selector::Pattern("user0001*".parse().unwrap())));
        // One to nine are gone by halves, and 10 to 19 as well.
        assert_eq!(count, [Response::Count { count: 5 }]);
        assert_eq!(simulation.stats().sessions, 10);
        assert!(simulation.select(&Selector::Id(2)).is_empty());
    }
}
