//! Benchmarks: they print figures, and pass no judgement on them.

mod all;
mod attack;
mod console;
pub(crate) mod floor;
mod hooks;
mod memory;
mod overload;
mod relay;
mod scale;
mod setup;
mod stock;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What to measure
#[derive(Debug, Subcommand)]
pub(crate) enum Benchmark {
    All(all::Arguments),
    Attack(attack::Arguments),
    Console(console::Arguments),
    Scale(scale::Arguments),
    Hooks(hooks::Arguments),
    Overload(overload::Arguments),
    Relay(relay::Arguments),
    Setup(setup::Arguments),
    Stock(stock::Arguments),
}

impl Benchmark {
    /// Builds the programs and measures.
    ///
    /// # Errors
    /// When something cannot be measured.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::All(arguments) => arguments.run(),
            Self::Attack(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Console(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Scale(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Hooks(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Overload(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Relay(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Setup(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
            Self::Stock(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
        }
    }
}
