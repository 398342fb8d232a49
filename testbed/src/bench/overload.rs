//! More dials than the machine can serve: what comes of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::client::{self, LoadConfig, Report};
use crate::own_client::LINE;
use crate::programs;
use crate::server::{Server, Setup};
use crate::world::{self, Uplink, Wiring, World, name_of};

const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
/// Sessions that show the capacity.
const PROBE: u32 = 1000;
/// Offered for that, per second: more than any machine does.
const PROBE_RATE: f64 = 5000.0;

/// Offers several times as many dials as the machine can serve, and compares what comes of it with what it can do
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Loads to offer, in multiples of the capacity
    #[arg(long, value_delimiter = ',', default_value = "2,5")]
    loads: Vec<f64>,
    /// Seconds for which each is offered
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=120))]
    seconds: u32,
    /// More flags for the server; "--setup-wait 0 --setups-at-once 4096" shows what happens without a queue
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    flags: String,
    /// In JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Sessions per second, of dials that all may wait.
    capacity: f64,
    loads: Vec<Load>,
}

#[derive(Debug, Serialize)]
struct Load {
    /// Dials per second.
    offered: f64,
    /// Sessions that opened, per second of the whole time.
    goodput: f64,
    /// The same as a part of the capacity.
    ratio: f64,
    report: Report,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<()> {
        programs::build()?;
        world::sweep()?;
        let directory = tempfile::Builder::new().prefix(&name_of("bench-")).tempdir_in("/run")?;
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Routed)?;
        world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
        let time = Duration::from_secs(60);
        let probe = self.offer(&world, directory.path(), PROBE, PROBE_RATE, time, "--setup-wait 0")?;
        ensure!(probe.established == PROBE, "with all dials waiting for their turn: {probe}");
        let capacity = probe.setup_rate;
        let time = Duration::from_secs(self.seconds.into());
        let mut outcome = Outcome { capacity, loads: Vec::new() };
        for load in &self.loads {
            let offered = load * capacity;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some ten thousand")]
            let dials = ((offered * time.as_secs_f64()) as u32).clamp(1, 60_000);
            let report = self.offer(&world, directory.path(), dials, offered, time, &self.flags)?;
            let goodput = f64::from(report.established) / time.as_secs_f64();
            outcome.loads.push(Load { offered, goodput, ratio: goodput / capacity, report });
        }
        match self.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        Ok(())
    }

    /// Has a new server dialled for some time.
    fn offer(
        &self,
        world: &World,
        directory: &Path,
        dials: u32,
        rate: f64,
        time: Duration,
        more: &str,
    ) -> Result<Report> {
        let secrets: String = (1..=dials).map(|n| format!("user{n} * password{n} *\n")).collect();
        // The limits of discovery, and the room, are not what is to be measured.
        let flags = format!(
            "-I eth1 -L 10.0.0.1 -R {FIRST_ADDRESS} -N {dials} --padi-rate 0 --padr-rate 0 --mac-rate 0 --max-starting 0 {more}"
        );
        let setup = Setup {
            flags: &flags,
            options: "require-chap\nnoipv6\n",
            chap_secrets: &secrets,
            ..Setup::default()
        };
        let server = Server::start_by_flags(world, directory, &setup)?;
        let config = LoadConfig::new(LINE.parse()?, dials, rate);
        let report = world.cli.run(|| client::run(&config, Instant::now() + time))?;
        server.stop(world)?;
        Ok(report)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "capacity     {:.0} sessions per second", self.capacity)?;
        for Load { offered, goodput, ratio, .. } in &self.loads {
            writeln!(
                f,
                "offered      {offered:.0} per second ({:.1} times that): {goodput:.0} per second opened, {:.0} %",
                offered / self.capacity,
                ratio * 100.0
            )?;
        }
        Ok(())
    }
}
