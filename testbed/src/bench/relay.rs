//! One session's traffic, against plain routing on the same links in the same run.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::client::dial;
use crate::meter::{self, Direction};
use crate::own_client::redial_config;
use crate::packages;
use crate::process::run_ok;
use crate::server::{Server, Setup};
use crate::world::{self, FAR_HOST, Netns, Uplink, Wiring, World, name_of};
use crate::{echo, programs};

/// The client's end of the access segment.
const LINE: &str = "port1";
/// Ends of the access segment when it is routed over plainly.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// Where datagrams are counted.
const UDP_PORT: u16 = 5202;
/// With IP and UDP headers a packet of 64 bytes.
const UDP_PAYLOAD: usize = 36;
const PING_INTERVAL: Duration = Duration::from_millis(10);
const IDLE_PINGS: usize = 100;

/// TCP and small UDP packets through one session, both ways: with offloads, one packet per call, and plain routing
/// without offloads
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Runs, each of everything; the medians are told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    seconds: u8,
    /// What of it [default: everything]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// In which ways [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Microseconds that either end lets the frames of a stream gather
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=1000))]
    gather: u32,
    /// In JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    PingIdle,
    TcpUp,
    TcpDown,
    UdpUp,
    UdpDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Plain routing, with no offloads anywhere.
    Routing,
    /// `--no-offloads`: one packet per call.
    OnePerCall,
    /// As it is.
    Offloads,
}

const MODES: [Mode; 3] = [Mode::Routing, Mode::OnePerCall, Mode::Offloads];

/// What was measured of a mode; of several runs, the medians.
#[derive(Clone, Debug, Default, Serialize)]
struct Figures {
    up_mbit_s: f64,
    down_mbit_s: f64,
    /// Processor time of the whole machine for each gigabyte of TCP.
    up_cpu_s_per_gb: f64,
    down_cpu_s_per_gb: f64,
    /// Datagrams of 64 bytes with their headers that arrived, per second.
    udp_up_per_s: f64,
    udp_down_per_s: f64,
    /// Processor time of the whole machine for each of them, its sender's and receiver's included.
    udp_up_cpu_us: f64,
    udp_down_cpu_us: f64,
    ping_idle_p50_us: f64,
    ping_idle_p99_us: f64,
    /// While TCP fills the line downwards.
    ping_full_p50_us: f64,
    ping_full_p99_us: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    runs: u8,
    routing: Figures,
    one_per_call: Figures,
    offloads: Figures,
    /// Medians of the ratios within each run.
    up_to_routing: f64,
    down_to_routing: f64,
    up_to_one_per_call: f64,
    down_to_one_per_call: f64,
}

impl Arguments {
    /// Everything, with one second for each measurement.
    pub(super) fn brief() -> Self {
        Self { runs: 5, seconds: 1, only: Vec::new(), modes: Vec::new(), gather: 50, json: false }
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
        programs::build()?;
        world::sweep()?;
        let mut runs: Vec<[Figures; 3]> = Vec::new();
        for _ in 0..self.runs {
            let [routing, one_per_call, offloads] =
                MODES.map(|mode| match self.modes.is_empty() || self.modes.contains(&mode) {
                    true => self.measure(mode),
                    false => Ok(Figures::default()),
                });
            runs.push([routing?, one_per_call?, offloads?]);
        }
        let of =
            |mode: usize| median_figures(&runs.iter().filter_map(|run| run.get(mode)).collect::<Vec<_>>());
        let ratio = |base: usize, value: fn(&Figures) -> f64| {
            let ratios = runs.iter().filter_map(|run| Some(value(run.last()?) / value(run.get(base)?)));
            median(ratios.collect())
        };
        Ok(Outcome {
            runs: self.runs,
            routing: of(0),
            one_per_call: of(1),
            offloads: of(2),
            up_to_routing: ratio(0, |run| run.up_mbit_s),
            down_to_routing: ratio(0, |run| run.down_mbit_s),
            up_to_one_per_call: ratio(1, |run| run.up_mbit_s),
            down_to_one_per_call: ratio(1, |run| run.down_mbit_s),
        })
    }

    fn measure(&self, mode: Mode) -> Result<Figures> {
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Routed)?;
        // A bridge costs more than a relay's share of a frame, in each mode: the client is at the end of the line itself.
        ip(&world.cli, &["link", "set", LINE, "nomaster"])?;
        let _meter = meter::Server::start(&world.net)?;
        if mode == Mode::Routing {
            for (namespace, link) in
                [(&world.cli, LINE), (&world.srv, "eth1"), (&world.srv, "eth0"), (&world.net, "eth0")]
            {
                let mut ethtool = packages::command("ethtool")?;
                ethtool.args(["-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
                run_ok(namespace, &mut ethtool)?;
            }
            world.add_server_address("eth1", ROUTER, 24)?;
            ip(&world.cli, &["address", "add", &format!("{HOST}/24"), "dev", LINE])?;
            ip(&world.cli, &["route", "add", "default", "via", &ROUTER.to_string()])?;
            return self.figures(&world, HOST);
        }
        let directory = tempfile::Builder::new().prefix(&name_of("bench-")).tempdir_in("/run")?;
        let more = if mode == Mode::OnePerCall { "--no-offloads" } else { "" };
        let flags = format!("-I eth1 -L 10.0.0.1 -R 10.1.0.2 -N 1 --gather {} {more}", self.gather);
        let setup = Setup {
            flags: &flags,
            options: "require-chap\nnoipv6\n",
            chap_secrets: "bench * secret *\n",
            ..Setup::default()
        };
        let server = Server::start_by_flags(&world, directory.path(), &setup)?;
        let mut config = redial_config(&world, "bench", "secret")?;
        config.interface = LINE.parse()?;
        config.offloads = mode == Mode::Offloads;
        config.gather = Duration::from_micros(self.gather.into());
        let session = dial(config, Instant::now() + Duration::from_secs(20))?;
        let figures = self.figures(&world, session.opened().local)?;
        drop(session);
        server.stop(&world)?;
        Ok(figures)
    }

    /// Between the client, which has this address, and the far host.
    fn figures(&self, world: &World, client: Ipv4Addr) -> Result<Figures> {
        let time = Duration::from_secs(self.seconds.into());
        let wanted = |part| self.only.is_empty() || self.only.contains(&part);
        let idle = match wanted(Part::PingIdle) {
            true => pings(&world.cli, || IDLE_PINGS, &AtomicBool::new(true))?,
            false => Vec::new(),
        };
        let tcp = |part, direction| match wanted(part) {
            true => tcp(world, direction, time),
            false => Ok(Default::default()),
        };
        let (up_mbit_s, up_cpu_s_per_gb, _) = tcp(Part::TcpUp, Direction::Up)?;
        let (down_mbit_s, down_cpu_s_per_gb, full) = tcp(Part::TcpDown, Direction::Down)?;
        let udp = |part, from, to, target| match wanted(part) {
            true => udp(from, to, target, time),
            false => Ok(Default::default()),
        };
        let (udp_up_per_s, udp_up_cpu_us) = udp(Part::UdpUp, &world.cli, &world.net, FAR_HOST)?;
        let (udp_down_per_s, udp_down_cpu_us) = udp(Part::UdpDown, &world.net, &world.cli, client)?;
        Ok(Figures {
            up_mbit_s,
            down_mbit_s,
            up_cpu_s_per_gb,
            down_cpu_s_per_gb,
            udp_up_per_s,
            udp_down_per_s,
            udp_up_cpu_us,
            udp_down_cpu_us,
            ping_idle_p50_us: quantile(&idle, 50),
            ping_idle_p99_us: quantile(&idle, 99),
            ping_full_p50_us: quantile(&full, 50),
            ping_full_p99_us: quantile(&full, 99),
        })
    }
}

/// Mbit/s, processor time per gigabyte, and pings in microseconds meanwhile.
fn tcp(world: &World, direction: Direction, time: Duration) -> Result<(f64, f64, Vec<f64>)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pings = scope.spawn(|| pings(&world.cli, || 0, &done));
        let (start, before) = (Instant::now(), busy_seconds()?);
        let rate = world.cli.run(|| meter::measure(FAR_HOST, direction, time));
        let (took, busy) = (start.elapsed().as_secs_f64(), busy_seconds()? - before);
        done.store(true, Ordering::SeqCst);
        let pings = pings.join().map_err(|_| anyhow!("the pings panicked"))??;
        let rate = rate?;
        Ok((rate, busy / (rate * took / 8e3), pings))
    })
}

/// Datagrams that arrive per second while as many as possible are sent, and processor time for each in microseconds.
fn udp(from: &Netns, to: &Netns, target: Ipv4Addr, time: Duration) -> Result<(f64, f64)> {
    let receiver = to.run(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, UDP_PORT))?))?;
    receiver.set_read_timeout(Some(Duration::from_millis(200)))?;
    let sender = from.run(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    sender.connect((target, UDP_PORT))?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let count = scope.spawn(|| {
            let (mut count, mut buffer) = (0.0, [0; 2 * UDP_PAYLOAD]);
            loop {
                match receiver.recv(&mut buffer) {
                    Ok(_) => count += 1.0,
                    Err(_) if done.load(Ordering::SeqCst) => return count,
                    Err(_) => {}
                }
            }
        });
        let (start, before) = (Instant::now(), busy_seconds()?);
        while start.elapsed() < time {
            for _ in 0..64 {
                // A full queue drops.
                let _ = sender.send(&[0x55; UDP_PAYLOAD]);
            }
        }
        let (took, busy) = (start.elapsed().as_secs_f64(), busy_seconds()? - before);
        done.store(true, Ordering::SeqCst);
        let count = count.join().map_err(|_| anyhow!("the receiver panicked"))?;
        Ok((count / took, busy * 1e6 / count))
    })
}

/// Pings the far host until it is done, but at least so often: times in microseconds, shortest first.
fn pings(namespace: &Netns, least: impl Fn() -> usize, done: &AtomicBool) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for sequence in 1.. {
        if done.load(Ordering::SeqCst) && times.len() >= least() {
            break;
        }
        if let Ok(time) = echo::ping(namespace, FAR_HOST, sequence) {
            times.push(time.as_secs_f64() * 1e6);
        }
        thread::sleep(PING_INTERVAL);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Seconds that all processors together were not idle since the machine was started.
fn busy_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().context("an empty /proc/stat")?;
    let ticks: Vec<f64> =
        line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // Without idle and iowait; guests are in user already, and what was stolen did nothing for us.
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|field: &usize| ticks.get(*field)).sum();
    Ok(busy / 100.0)
}

fn ip(namespace: &Netns, arguments: &[&str]) -> Result<()> {
    run_ok(namespace, packages::command("ip")?.args(arguments)).map(drop)
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 50)
}

fn median_figures(runs: &[&Figures]) -> Figures {
    let of = |value: fn(&Figures) -> f64| median(runs.iter().map(|run| value(run)).collect());
    Figures {
        up_mbit_s: of(|run| run.up_mbit_s),
        down_mbit_s: of(|run| run.down_mbit_s),
        up_cpu_s_per_gb: of(|run| run.up_cpu_s_per_gb),
        down_cpu_s_per_gb: of(|run| run.down_cpu_s_per_gb),
        udp_up_per_s: of(|run| run.udp_up_per_s),
        udp_down_per_s: of(|run| run.udp_down_per_s),
        udp_up_cpu_us: of(|run| run.udp_up_cpu_us),
        udp_down_cpu_us: of(|run| run.udp_down_cpu_us),
        ping_idle_p50_us: of(|run| run.ping_idle_p50_us),
        ping_idle_p99_us: of(|run| run.ping_idle_p99_us),
        ping_full_p50_us: of(|run| run.ping_full_p50_us),
        ping_full_p99_us: of(|run| run.ping_full_p99_us),
    }
}

/// A line of the table: what, and which figure.
type Row = (&'static str, fn(&Figures) -> f64);

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "medians of {} runs             routing  one per call      offloads", self.runs)?;
        let [a, b, c] = [&self.routing, &self.one_per_call, &self.offloads];
        let rows: [Row; 12] = [
            ("TCP up, Mbit/s", |run| run.up_mbit_s),
            ("TCP down, Mbit/s", |run| run.down_mbit_s),
            ("CPU up, s/GB", |run| run.up_cpu_s_per_gb),
            ("CPU down, s/GB", |run| run.down_cpu_s_per_gb),
            ("UDP up, 64-byte packets/s", |run| run.udp_up_per_s),
            ("UDP down, 64-byte packets/s", |run| run.udp_down_per_s),
            ("CPU up, us/packet", |run| run.udp_up_cpu_us),
            ("CPU down, us/packet", |run| run.udp_down_cpu_us),
            ("ping idle p50, us", |run| run.ping_idle_p50_us),
            ("ping idle p99, us", |run| run.ping_idle_p99_us),
            ("ping full p50, us", |run| run.ping_full_p50_us),
            ("ping full p99, us", |run| run.ping_full_p99_us),
        ];
        for (label, of) in rows {
            writeln!(f, "{label:<28}{:>12.2}  {:>12.2}  {:>12.2}", of(a), of(b), of(c))?;
        }
        writeln!(
            f,
            "offloads to routing         up {:.2}, down {:.2}",
            self.up_to_routing, self.down_to_routing
        )?;
        writeln!(
            f,
            "offloads to one per call    up {:.2}, down {:.2}",
            self.up_to_one_per_call, self.down_to_one_per_call
        )
    }
}
