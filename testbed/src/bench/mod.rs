//! Benchmarks: they print figures, and pass no judgement on them.

mod memory;
mod setup;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What to measure
#[derive(Debug, Subcommand)]
pub(crate) enum Benchmark {
    Setup(setup::Arguments),
}

impl Benchmark {
    /// Builds the programs and measures.
    ///
    /// # Errors
    /// When something cannot be measured.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Setup(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
        }
    }
}
