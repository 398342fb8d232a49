//! Many sessions at once: how fast they are set up, and what an idle one costs, before and after it had traffic.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::Value;

use super::floor;
use super::memory::{self, Machine, Use};
use crate::client::{self, LoadConfig, Orders, Report};
use crate::own_client::LINE;
use crate::server::{Server, Setup};
use crate::world::{self, Uplink, Wiring, World, name_of};
use crate::{interrupt, proctree, programs};

/// How long the sessions are left alone before their memory is counted: what they needed to begin has been given back.
const SETTLE: Duration = Duration::from_secs(4);
/// How long the bursts may take.
const BURST_TIME: Duration = Duration::from_secs(20);
/// Payload of a datagram that the kernel is to cut, and how many come of one.
const SEGMENT: u16 = 1400;
const SEGMENTS: usize = 40;
/// Where nobody listens.
const DISCARD_PORT: u16 = 9;
/// Address of the first session; the others have the next ones.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// Sessions of which only process, TUN and address are made.
const FLOOR_SESSIONS: u32 = 1000;

/// Longest time that the sessions may take to open.
const LIMIT: Duration = Duration::from_secs(60);
/// Time between two questions of a console during the set-up.
const CONSOLE_INTERVAL: Duration = Duration::from_millis(100);

/// Sessions begun per second, to see how many the server sets up.
const FULL_LOAD: f64 = 5000.0;

/// Sessions per second and memory per session, of sessions with CHAP, from the PADI to an open IPCP
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Number of sessions
    #[arg(short = 'n', long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=60000))]
    sessions: u32,
    /// Sessions begun per second; by default more than any server sets up, so that the rate is what it can do
    #[arg(long, value_name = "PER_SECOND", default_value_t = FULL_LOAD)]
    rate: f64,
    /// In JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    load: Report,
    /// Process, TUN and address alone, one after the other: how many per second, and what part of that the server does.
    floor_per_second: f64,
    floor_ratio: f64,
    /// Of one session, the client's own memory not counted.
    memory: Use,
    /// The same after a burst each way through each session and a few quiet seconds.
    memory_after_burst: Use,
    /// A worker's own memory, without what it shares with others and what the kernel keeps for it, in kB: unlike the
    /// figures above, not changed by what else runs.
    worker_kb: i64,
    worker_after_burst_kb: i64,
    /// Of all sessions, in kB.
    client_kb: i64,
    server_kb: i64,
    /// Processor time of the whole set-up, in seconds. What the kernel does for a frame counts for its sender.
    client_cpu_s: f64,
    server_cpu_s: f64,
    /// Longest time that `pppctl show stats` took during the set-up, process and all.
    console_ms: f64,
}

impl Arguments {
    /// What is measured by default.
    pub(super) fn brief() -> Self {
        Self { sessions: 2000, rate: FULL_LOAD, json: false }
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
        let directory = tempfile::Builder::new().prefix(&name_of("bench-")).tempdir_in("/run")?;
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Routed)?;
        world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
        let secrets: String = (1..=self.sessions).map(|n| format!("user{n} * password{n} *\n")).collect();
        // The limits of discovery are not what is to be measured.
        let flags = format!(
            "-I eth1 -L 10.0.0.1 -R {FIRST_ADDRESS} -N {} --padi-rate 0 --padr-rate 0 --max-starting 0 \
             --setup-wait 0 --dial-patience 30",
            self.sessions
        );
        let setup = Setup {
            flags: &flags,
            options: "require-chap\nnoipv6\n",
            chap_secrets: &secrets,
            ..Setup::default()
        };
        let floor = floor::per_second(&world, self.sessions.min(FLOOR_SESSIONS))?;
        let server = Server::start_by_flags(&world, directory.path(), &setup)?;
        let mut outcome = self.measure(&world, &server)?;
        server.stop(&world)?;
        outcome.floor_per_second = floor;
        outcome.floor_ratio = outcome.load.setup_rate / floor;
        Ok(outcome)
    }

    fn measure(&self, world: &World, server: &Server) -> Result<Outcome> {
        let config = LoadConfig {
            hold: 2 * SETTLE + BURST_TIME + Duration::from_secs(8),
            ..LoadConfig::new(LINE.parse()?, self.sessions, self.rate)
        };
        let own = Pid::this();
        let before = Machine::now()?;
        let own_before = memory::private_kb(own)?;
        let client_cpu = memory::processor_time(own)?;
        let server_cpu = memory::processor_time(server.pid())?;
        let (done, orders) = (AtomicBool::new(false), Orders::default());
        thread::scope(|scope| {
            let load = scope.spawn(|| {
                let report = world.cli.run(|| {
                    let deadline = Instant::now() + LIMIT + 2 * SETTLE + BURST_TIME;
                    client::run_by_orders(&config, deadline, &orders)
                });
                done.store(true, Ordering::SeqCst);
                report
            });
            let console = wait_until_open(world, server, self.sessions, &done)?;
            // Children of ours (pppctl, the server) are not the client.
            let server_cpu_s = memory::processor_time(server.pid())? - server_cpu;
            let client_cpu_s = memory::processor_time(own)? - client_cpu - server_cpu_s;
            thread::sleep(SETTLE);
            let each = || -> Result<(Use, i64)> {
                let after = Machine::now()?;
                let client_kb = memory::private_kb(own)? - own_before;
                let count = f64::from(self.sessions);
                let mut memory = after.used_since(&before, count);
                #[expect(clippy::cast_precision_loss, reason = "a machine has less than 2^52 kB")]
                let client_each = client_kb as f64 / count;
                memory.total_kb -= client_each;
                memory.programs_kb -= client_each;
                Ok((memory, client_kb))
            };
            let (memory, client_kb) = each()?;
            let worker_kb = worker_kb_of(server)?;
            let server_kb = memory::private_kb(server.pid())?;
            self.burst(world, &orders)?;
            thread::sleep(SETTLE);
            let (memory_after_burst, _) = each()?;
            let worker_after_burst_kb = worker_kb_of(server)?;
            ensure!(!done.load(Ordering::SeqCst), "the sessions ended before their memory was counted");
            let load = load.join().map_err(|_| anyhow::anyhow!("the load client panicked"))??;
            let console_ms = console.as_secs_f64() * 1e3;
            Ok(Outcome {
                load,
                floor_per_second: 0.0,
                floor_ratio: 0.0,
                memory,
                memory_after_burst,
                worker_kb,
                worker_after_burst_kb,
                client_kb,
                server_kb,
                client_cpu_s,
                server_cpu_s,
                console_ms,
            })
        })
    }

    /// Sends long packets through each session, each way: so many at once that its worker uses all of its buffers.
    fn burst(&self, world: &World, orders: &Orders) -> Result<()> {
        let (from_before, to_before) = world.srv.run(packets)?;
        orders.burst();
        world.srv.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            setsockopt(&socket, sockopt::UdpGsoSegment, &i32::from(SEGMENT)).context("cut datagrams")?;
            let payload = vec![0x55; usize::from(SEGMENT) * SEGMENTS];
            for number in 0..self.sessions {
                let address = Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + number);
                socket
                    .send_to(&payload, (address, DISCARD_PORT))
                    .with_context(|| format!("send to {address}"))?;
            }
            Ok(())
        })?;
        let expected = u64::from(self.sessions) * u64::from(client::BURST);
        let deadline = Instant::now() + BURST_TIME;
        loop {
            let (from, to) = world.srv.run(packets)?;
            // Of the many that come at once, sockets may drop some.
            if from - from_before >= expected * 3 / 4 && to - to_before >= u64::from(self.sessions) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "of the burst, {} of {expected} packets came through, and {} datagrams of {} were taken",
                from - from_before,
                to - to_before,
                self.sessions
            );
            thread::sleep(CONSOLE_INTERVAL);
        }
    }
}

/// The memory that a worker has for itself, in kB: the median of all, of which the template is one.
fn worker_kb_of(server: &Server) -> Result<i64> {
    let mut all: Vec<_> = proctree::descendants(server.pid())?
        .into_iter()
        .filter_map(|pid| memory::private_kb(pid).ok())
        .collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().context("no worker")
}

/// Packets that all sessions' interfaces took from their workers and gave to them, in the calling thread's namespace.
fn packets() -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").context("read /proc/thread-self/net/dev")?;
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("ppp")?.split_once(':'));
    Ok(lines.fold((0, 0), |(from, to), (_, fields)| {
        let field =
            |at| fields.split_ascii_whitespace().nth(at).and_then(|field| field.parse().ok()).unwrap_or(0);
        (from + field(1), to + field(9))
    }))
}

/// Asks for the number of open sessions until it is all of them, and returns the longest time that an answer took.
fn wait_until_open(world: &World, server: &Server, count: u32, done: &AtomicBool) -> Result<Duration> {
    let deadline = Instant::now() + LIMIT;
    let mut longest = Duration::ZERO;
    loop {
        interrupt::check()?;
        let asked = Instant::now();
        let answer = server.pppctl(&world.srv, &["show", "stats"])?;
        longest = longest.max(asked.elapsed());
        let open =
            answer.pointer("/stats/open").and_then(Value::as_u64).context("no number of open sessions")?;
        if open == u64::from(count) {
            return Ok(longest);
        }
        ensure!(
            !done.load(Ordering::SeqCst) && Instant::now() < deadline,
            "{open} of {count} sessions opened"
        );
        thread::sleep(CONSOLE_INTERVAL);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            load,
            floor_per_second,
            floor_ratio,
            memory,
            memory_after_burst,
            worker_kb,
            worker_after_burst_kb,
            client_kb,
            server_kb,
            client_cpu_s,
            server_cpu_s,
            console_ms,
        } = self;
        write!(f, "{load}")?;
        writeln!(
            f,
            "floor        {floor_per_second:.0} per second: process, TUN, address alone, one after the other; the server does {:.0} % of it",
            floor_ratio * 100.0
        )?;
        writeln!(f, "processor    {server_cpu_s:.1} s of the server, {client_cpu_s:.1} s of the client")?;
        writeln!(f, "console      {console_ms:.0} ms the longest answer to pppctl during the set-up")?;
        let Use { total_kb, programs_kb, slab_kb, kernel_stacks_kb, page_tables_kb } = memory;
        writeln!(f, "memory       {total_kb:.0} kB for each session, all counted but the client")?;
        writeln!(
            f,
            "  of it      {programs_kb:.0} kB programs, {slab_kb:.0} kB slab, {page_tables_kb:.0} kB page tables, \
             {kernel_stacks_kb:.0} kB kernel stacks"
        )?;
        writeln!(
            f,
            "  later      {:.0} kB, after a burst each way through each",
            memory_after_burst.total_kb
        )?;
        writeln!(f, "             a worker's own is {worker_kb} kB, and {worker_after_burst_kb} kB later")?;
        writeln!(f, "             pppoed itself has {server_kb} kB; the client has {client_kb} kB")
    }
}
