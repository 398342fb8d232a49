//! The test bed of pppoed: namespaces, real peers in User-Mode Linux guests, captures, and the scenarios over them.
//!
//! Never installed; run it with `cargo run --release -p testbed -- COMMAND`.

mod bench;
mod capture;
mod chaos;
mod client;
mod demo;
mod echo;
mod guest;
mod interrupt;
mod iperf;
mod jobs;
mod lab;
mod meter;
mod own_client;
mod packages;
mod process;
mod proctree;
mod programs;
mod scenarios;
mod server;
mod simulate;
mod station;
mod suite;
mod unit;
mod wait;
mod world;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use nix::sys::stat::{Mode, umask};

#[derive(Debug, Parser)]
#[command(name = "testbed", about = "Test bed of pppoed", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it on a bare machine: a server, a client, a ping and a speed figure, in namespaces
    Demo,
    /// Install the packages that the scenarios need
    Setup,
    /// Install what is missing, build, run every unit test and every scenario
    Test,
    /// List the scenarios and their peers
    List,
    /// Build the programs and run the named scenarios, or all of them
    Scenario {
        /// Keep what was recorded on the access interfaces, as DIRECTORY/NAME.pcap
        #[arg(long, value_name = "DIRECTORY")]
        captures: Option<PathBuf>,
        /// Names as `list` shows them
        names: Vec<String>,
    },
    /// Run one scenario for a process that runs many
    #[command(hide = true, name = suite::ONE)]
    OneScenario {
        /// As of `scenario`
        #[arg(long)]
        captures: Option<PathBuf>,
        /// Its name
        name: String,
    },
    /// Build the programs and measure them, in namespaces
    Bench {
        #[command(subcommand)]
        benchmark: bench::Benchmark,
    },
    Chaos(chaos::Arguments),
    Load(client::LoadArguments),
    SimulateConsole(simulate::Arguments),
    Dial(client::DialArguments),
    /// Move bytes to or from a speed meter (what the scenarios run inside a guest)
    #[command(hide = true)]
    Measure {
        /// Where the meter serves
        server: Ipv4Addr,
        /// Which way
        direction: meter::Direction,
        /// For how long, in seconds
        #[arg(default_value_t = 2)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|word| word == bench::floor::COMMAND) {
        // Before anything that may start a thread.
        return bench::floor::forked().map(|()| ExitCode::SUCCESS);
    }
    interrupt::install()?;
    // The files that we write are read by programs that mind who else could write them.
    umask(Mode::from_bits_truncate(0o022));
    match Cli::parse().command {
        Command::List => {
            for scenario in scenarios::every() {
                println!("{:<24} {}\n{:<24} peer: {}", scenario.name, scenario.about, "", scenario.peer);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo => demo::run().map(|()| ExitCode::SUCCESS),
        Command::Setup => packages::install().map(|()| ExitCode::SUCCESS),
        Command::Test => suite::everything().map(|tally| tally.report()),
        Command::Scenario { captures, names } => {
            programs::build()?;
            suite::scenarios(&names, captures.as_deref()).map(|tally| tally.report())
        }
        Command::OneScenario { captures, name } => suite::one(&name, captures.as_deref()),
        Command::Bench { benchmark } => benchmark.run(),
        Command::Chaos(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
        Command::Load(arguments) => arguments.run(),
        Command::SimulateConsole(arguments) => arguments.run(),
        Command::Dial(arguments) => arguments.run(),
        Command::Measure { server, direction, seconds } => {
            let speed = meter::measure(server, direction, Duration::from_secs(seconds))?;
            println!("{speed:.1}");
            Ok(ExitCode::SUCCESS)
        }
    }
}
