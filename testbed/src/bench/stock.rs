//! Set-up rate and processor time for a packet on Debian's own kernel, beside a server in kernel mode in the same boot.

use std::fmt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::client::{self, LoadConfig, PingConfig, Report};
use crate::guest::{Guest, StockKernel};
use crate::own_client::LINE;
use crate::programs;
use crate::world::{self, Uplink, Wiring, World, name_of};

const PATIENCE: Duration = Duration::from_secs(240);
/// How long packets are counted, and how long they flow before that.
const WINDOW: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(3);

/// On Debian's kernel in a guest: sessions per second and processor time per packet, beside rp-pppoe's server in kernel mode
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Number of sessions
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    sessions: u32,
    /// Sessions begun per second
    #[arg(long, value_name = "PER_SECOND", default_value_t = 100.0)]
    rate: f64,
    /// Sessions with traffic, for the processor time of a packet
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    busy: u32,
    /// Pings of each of those per second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pings: u32,
    /// An accel-pppd to measure as well: the program, and a configuration that serves vec0 with CHAP
    #[arg(long, value_names = ["PROGRAM", "FILE"], num_args = 2)]
    accel: Vec<PathBuf>,
    /// In JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    kernel: String,
    servers: Vec<Measured>,
}

#[derive(Debug, Serialize)]
struct Measured {
    server: String,
    setup: Report,
    /// Of both processors, while sessions were set up: 0 to 1.
    busy: f64,
    /// Of both processors for one packet, in µs, with what the kernel needs to receive and send it.
    packet_us: f64,
}

/// The guest's processors and its counters of packets, at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    busy: f64,
    idle: f64,
    packets: f64,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<()> {
        programs::build()?;
        let kernel = StockKernel::prepare()?;
        world::sweep()?;
        let directory = tempfile::Builder::new().prefix(&name_of("bench-")).tempdir()?;
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Isolated)?;
        world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
        let guest = Guest::boot_stock(&world, "br1", "stock", directory.path(), &kernel)?;
        let release = sh(&guest, "uname -r")?.trim().to_owned();
        let secrets: String = (1..=self.sessions).map(|n| format!("user{n} * password{n} *\n")).collect();
        sh(
            &guest,
            &format!(
                "umask 077; cat > /etc/ppp/chap-secrets <<'THE-END'\n{secrets}THE-END\n\
                 printf 'require-chap\\nlcp-echo-interval 30\\nlcp-echo-failure 3\\n' > /etc/ppp/pppoe-server-options"
            ),
        )?;
        let mut servers =
            vec![("pppoed".to_owned(), self.ours()?), ("pppoe-server -k".to_owned(), self.rp_pppoe())];
        if let [program, file] = self.accel.as_slice() {
            servers.push(("accel-pppd".to_owned(), format!("{} -c {}", program.display(), file.display())));
        }
        let mut outcome = Outcome { kernel: release, servers: Vec::new() };
        for (server, command) in servers {
            outcome.servers.push(self.measure(&world, &guest, server, &command)?);
        }
        match self.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        Ok(())
    }

    fn ours(&self) -> Result<String> {
        let program = programs::path("pppoed")?;
        // The limits of discovery are not what is to be measured.
        Ok(format!(
            "{} -F -I vec0 -L 10.64.0.1 -R 10.64.0.2 -N {} --padi-rate 0 --padr-rate 0 --max-starting 0",
            program.display(),
            self.sessions
        ))
    }

    fn rp_pppoe(&self) -> String {
        format!("pppoe-server -k -F -I vec0 -L 10.64.0.1 -R 10.64.0.2 -N {}", self.sessions)
    }

    fn measure(&self, world: &World, guest: &Guest, server: String, command: &str) -> Result<Measured> {
        sh(guest, &format!("{command} > /run/server.log 2>&1 & echo $! > /run/server.pid; sleep 3; kill -0 $(cat /run/server.pid)"))
            .with_context(|| format!("start {server}"))?;
        let before = sample(guest)?;
        let setup = self.load(world, self.sessions, self.rate, None, Duration::ZERO)?;
        let after = sample(guest)?;
        let packet_us = self.packets(world, guest)?;
        // Ends what it started for each session, too.
        sh(
            guest,
            "kill $(cat /run/server.pid); for i in $(seq 100); do kill -0 $(cat /run/server.pid) 2>/dev/null || break; sleep 0.2; done; \
             for i in $(seq 100); do ls /sys/class/net | grep -q '^ppp' || exit 0; sleep 0.2; done; exit 0",
        )?;
        Ok(Measured { server, setup, busy: after.share_since(&before), packet_us })
    }

    /// Processor time of a packet: that of some seconds with traffic, without that of as many seconds without.
    fn packets(&self, world: &World, guest: &Guest) -> Result<f64> {
        let busy = self.busy.min(self.sessions);
        let ping = PingConfig { target: None, interval: Duration::from_secs(1) / self.pings, size: 56 };
        let setting_up = Duration::from_secs_f64(f64::from(busy) / 5.0);
        thread::scope(|scope| {
            let hold = WARM_UP + 2 * WINDOW + Duration::from_secs(20);
            let load = scope.spawn(move || self.load(world, busy, 5.0, Some(ping), hold));
            thread::sleep(setting_up + WARM_UP);
            let before = sample(guest)?;
            thread::sleep(WINDOW);
            let after = sample(guest)?;
            let report = load.join().map_err(|_| anyhow::anyhow!("the load client panicked"))??;
            ensure!(report.established > 0, "no session with traffic: {report}");
            let packets = after.packets - before.packets;
            ensure!(packets > 0.0, "no packets in the window");
            Ok((after.busy - before.busy) * 1e6 / packets)
        })
    }

    fn load(
        &self,
        world: &World,
        sessions: u32,
        rate: f64,
        ping: Option<PingConfig>,
        hold: Duration,
    ) -> Result<Report> {
        let config = LoadConfig { ping, hold, ..LoadConfig::new(LINE.parse()?, sessions, rate) };
        world.cli.run(|| client::run(&config, Instant::now() + PATIENCE))
    }
}

impl Sample {
    /// The part of the time in which a processor worked.
    fn share_since(&self, before: &Self) -> f64 {
        let (busy, idle) = (self.busy - before.busy, self.idle - before.idle);
        if busy + idle > 0.0 { busy / (busy + idle) } else { 0.0 }
    }
}

/// proc_stat(5): times in ticks of 10 ms.
fn sample(guest: &Guest) -> Result<Sample> {
    let text = sh(
        guest,
        "head -n 1 /proc/stat; cat /sys/class/net/vec0/statistics/rx_packets /sys/class/net/vec0/statistics/tx_packets",
    )?;
    let mut lines = text.lines();
    let times: Vec<f64> =
        lines.next().context("times")?.split_ascii_whitespace().skip(1).flat_map(str::parse).collect();
    let [user, nice, system, idle, wait, interrupts, soft, ..] = times.as_slice() else {
        anyhow::bail!("times in {text:?}");
    };
    Ok(Sample {
        busy: (user + nice + system + interrupts + soft) / 100.0,
        idle: (idle + wait) / 100.0,
        packets: lines.flat_map(str::parse::<f64>).sum(),
    })
}

fn sh(guest: &Guest, script: &str) -> Result<String> {
    let done = guest.run(script, PATIENCE)?;
    ensure!(done.status == 0, "`{script}` ended with {}: {}", done.status, done.output);
    Ok(done.output)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Linux {} in qemu, two emulated processors: only ratios count", self.kernel)?;
        let first = self.servers.first();
        for Measured { server, setup, busy, packet_us } in &self.servers {
            let of = |value: f64, base: fn(&Measured) -> f64| first.map_or(1.0, |first| base(first) / value);
            writeln!(
                f,
                "{server:<16} {} of {} set up, {:.1} per second (pppoed {:.2} times that), processors {:.0} % busy; \
                 {packet_us:.0} µs a packet (pppoed {:.2} times that)",
                setup.established,
                setup.sessions,
                setup.setup_rate,
                of(setup.setup_rate, |first| first.setup.setup_rate),
                busy * 100.0,
                of(*packet_us, |first| first.packet_us),
            )?;
            for (reason, count) in &setup.failed {
                writeln!(f, "                 {count} failed: {reason}")?;
            }
        }
        Ok(())
    }
}
