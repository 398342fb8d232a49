//! Console of `pppoed`: one command per call, over the daemon's Unix socket.
//!
//! One path for every command: [`command`] is the table that a command line is parsed against, [`request`]
//! makes the message of it, [`transport`] carries messages, [`answer`] puts the pieces of an answer together
//! and [`output`] shows it. Nothing below `command` knows where a command came from.

mod answer;
mod command;
mod error;
mod output;
mod request;
mod run;
mod stream;
mod transport;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use crate::error::Error;

fn main() -> ExitCode {
    let cli = command::Cli::parse();
    let Err(error) = run::run(&cli) else {
        return ExitCode::SUCCESS;
    };
    if error.is_broken_pipe() {
        // Whoever read our output has seen enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    // Nothing is left to be told when standard error is closed.
    let _ = writeln!(std::io::stderr(), "pppctl: {}", Error::chain(&error));
    ExitCode::from(error.exit_code())
}
