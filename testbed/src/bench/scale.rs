//! What one frame costs, by the number of sessions on its interface: with devices of their own, and with filters alone.

use std::fmt;
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::time::{ClockId, clock_gettime};
use ppp_linux::device::{Line, Programs, Settings};
use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::{DiscoverySocket, SessionKey, SessionSocket};
use ppp_linux::tun::Tun;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::if_name::IfName;
use ppp_wire::pppoe::emit_session_header;
use serde::Serialize;

use crate::own_client::LINE;
use crate::world::{self, ACCESS_MAC, Uplink, Wiring, World};

const PEER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x01]);
/// Session sockets have to share what memory there is.
const RECEIVE_BUFFER: usize = 64 << 10;
/// Frames that are sent before the sockets are emptied.
const BURST: usize = 32;
/// Sockets that are closed at once: each takes the kernel some 10 ms.
const CLOSERS: usize = 64;

/// Processor time per frame, by the number of sessions on the interface, from its sender's call to its session's
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Numbers of sessions; the first one is what the others are compared with
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000,4000")]
    sessions: Vec<u16>,
    /// Sessions that have traffic, of those that there are [default: all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    busy: Option<u16>,
    /// Frames that a session gets in a row; traffic mostly comes so
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=32))]
    train: u32,
    /// Rounds, of which the medians count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Frames in each round with devices; a tenth with filters, as these take longer
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1000..))]
    frames: u32,
    /// In JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// A frame that nobody receives, in µs: what the sender and the wire cost.
    nobody_us: f64,
    by_sessions: Vec<Cost>,
}

/// Processor time for a frame, sender and wire included, in µs, and how many times that of the first line it is.
#[derive(Debug, Serialize)]
struct Cost {
    sessions: u16,
    devices_us: f64,
    devices_ratio: f64,
    filters_us: f64,
    filters_ratio: f64,
}

/// Session sockets of one kind.
#[derive(Default)]
struct Sockets {
    sockets: Vec<SessionSocket>,
    tuns: Vec<Tun>,
    programs: Option<Programs>,
}

impl Arguments {
    /// What is measured by default, in fewer rounds.
    pub(super) fn brief() -> Self {
        Self {
            sessions: vec![1, 100, 1000, 4000],
            busy: None,
            train: 1,
            rounds: 3,
            frames: 50_000,
            json: false,
        }
    }

    pub(super) fn run(&self) -> Result<()> {
        let outcome = self.outcome()?;
        match self.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        Ok(())
    }

    pub(super) fn outcome(&self) -> Result<Outcome> {
        world::sweep()?;
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Routed)?;
        world.add_station(LINE, "br1", PEER.0)?;
        let sender = world.cli.run(|| -> Result<_> {
            Ok(DiscoverySocket::open(&interface(LINE)?, EtherType::PppoeSession, RECEIVE_BUFFER)?)
        })?;
        let nobody_us = self.median(&sender, &Sockets::default(), 1, self.frames)?;
        let mut by_sessions: Vec<Cost> = Vec::new();
        for &sessions in &self.sessions {
            let devices = world.srv.run(|| Sockets::devices(sessions))?;
            let devices_us = self.median(&sender, &devices, sessions, self.frames)?;
            world.srv.run(|| devices.close())?;
            let filters = world.srv.run(|| Sockets::filters(sessions))?;
            let filters_us = self.median(&sender, &filters, sessions, self.frames / 10)?;
            world.srv.run(|| filters.close())?;
            let first = by_sessions
                .first()
                .map_or((devices_us, filters_us), |first| (first.devices_us, first.filters_us));
            let (devices_ratio, filters_ratio) = (devices_us / first.0, filters_us / first.1);
            by_sessions.push(Cost { sessions, devices_us, devices_ratio, filters_us, filters_ratio });
        }
        Ok(Outcome { nobody_us, by_sessions })
    }

    fn median(&self, sender: &DiscoverySocket, sockets: &Sockets, sessions: u16, frames: u32) -> Result<f64> {
        let mut costs = Vec::new();
        for _ in 0..self.rounds {
            let busy = sessions.min(self.busy.unwrap_or(sessions));
            costs.push(measure(sender, sockets, busy, frames, self.train)?);
        }
        costs.sort_by(f64::total_cmp);
        costs.get(costs.len() / 2).copied().context("no round")
    }
}

/// Sends to one session after the other, in steps, `train` frames to each, and lets each fetch what it got. On a veth
/// pair, the kernel does the receiver's work in the sender's call, so all of it is this thread's time.
fn measure(sender: &DiscoverySocket, sockets: &Sockets, busy: u16, frames: u32, train: u32) -> Result<f64> {
    const STEP: u16 = 997;
    let header = EthernetHeader {
        destination: MacAddr(ACCESS_MAC),
        source: PEER,
        ether_type: EtherType::PppoeSession,
    };
    let (mut sent, mut received, mut index) = (0_u32, 0_u32, 0_u16);
    let mut waiting = Vec::with_capacity(BURST);
    let trains = BURST / usize::try_from(train)?.max(1);
    let mut buffer = [0; 2048];
    let before = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    while sent < frames {
        for _ in 0..trains {
            index = (index + STEP) % busy;
            let mut frame = [0; MIN_FRAME_LEN];
            let start = emit_session_header(&header, index + 1, 40);
            frame.iter_mut().zip(start).for_each(|(byte, value)| *byte = value);
            for _ in 0..train {
                sender.send(&frame)?;
            }
            sent += train;
            waiting.push(index);
        }
        for index in waiting.drain(..) {
            let Some(socket) = sockets.sockets.get(usize::from(index)) else { continue };
            while socket.recv(&mut buffer).is_ok() {
                received += 1;
            }
        }
    }
    let after = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    ensure!(sockets.sockets.is_empty() || received == sent, "{received} of {sent} frames came through");
    let taken = std::time::Duration::from(after).saturating_sub(before.into());
    Ok(taken.as_secs_f64() * 1e6 / f64::from(sent))
}

impl Sockets {
    fn devices(sessions: u16) -> Result<Self> {
        let settings = Settings {
            session: EtherType::PppoeSession,
            discovery: EtherType::PppoeDiscovery,
            control: None,
            frames: None,
        };
        let run_dir = tempfile::tempdir()?;
        let programs = Programs::load(run_dir.path(), &settings)?;
        let access = interface("eth1")?;
        programs.attach_access(&access)?;
        let mut netlink = Netlink::open()?;
        let mut all = Self::default();
        for id in 1..=sessions {
            let (tun, device) = Tun::create(&format!("ppp{id}").parse()?)?;
            let line = Line { access: access.index, session_id: id, own: MacAddr(ACCESS_MAC), peer: PEER };
            programs.admit(device.index, &line)?;
            programs.attach_new_device(&mut netlink, &device)?;
            netlink.raise_bare(&device, 1492)?;
            let mark = programs.mark(id);
            all.sockets.push(SessionSocket::open_on_device(
                &device,
                EtherType::PppoeSession,
                RECEIVE_BUFFER,
                mark,
            )?);
            all.tuns.push(tun);
        }
        all.programs = Some(programs);
        Ok(all)
    }

    fn filters(sessions: u16) -> Result<Self> {
        let interface = interface("eth1")?;
        let open = |id| SessionSocket::open(&interface, &key(id), RECEIVE_BUFFER);
        let sockets = (1..=sessions).map(open).collect::<Result<_, _>>()?;
        Ok(Self { sockets, ..Self::default() })
    }

    /// Returns when nothing of them is in the way of the next measurement.
    fn close(self) -> Result<()> {
        let Self { mut sockets, tuns, programs } = self;
        thread::scope(|scope| {
            let each = sockets.len().div_ceil(CLOSERS).max(1);
            while !sockets.is_empty() {
                let some = sockets.split_off(sockets.len().saturating_sub(each));
                scope.spawn(move || drop(some));
            }
        });
        drop(tuns);
        programs.map_or(Ok(()), |programs| Ok(programs.clean_up()?))
    }
}

fn interface(name: &str) -> Result<InterfaceId> {
    Ok(Netlink::open()?.interface(&name.parse::<IfName>()?)?.id)
}

fn key(session_id: u16) -> SessionKey {
    SessionKey { ether_type: EtherType::PppoeSession, session_id, own: MacAddr(ACCESS_MAC), peer: PEER }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "processor time per frame, its sender's and the wire's included ({:.2} µs)",
            self.nobody_us
        )?;
        writeln!(f, "sessions        own devices       filters alone")?;
        for Cost { sessions, devices_us, devices_ratio, filters_us, filters_ratio } in &self.by_sessions {
            writeln!(
                f,
                "{sessions:>8}  {devices_us:>7.2} µs {devices_ratio:>6.2} x  {filters_us:>8.2} µs {filters_ratio:>6.2} x"
            )?;
        }
        Ok(())
    }
}
