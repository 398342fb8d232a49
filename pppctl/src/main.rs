//! Console of `pppoed`: an interactive shell, and one-shot commands, over the daemon's Unix socket.
//!
//! One path for every command: [`command`] is the table that command lines are parsed against, [`request`] makes the
//! message of it, [`console`] and [`transport`] carry messages, [`answer`] puts the pieces of an answer together and
//! [`output`] shows it; [`run`] goes that way. Nothing below `command` knows where a command came from: the program's
//! arguments, or a line of the [`shell`].

mod answer;
mod capture;
mod clock;
mod command;
mod completions;
mod connection;
mod console;
mod error;
mod failure;
mod format;
mod hooks;
mod info;
mod interrupt;
#[cfg(test)]
mod man;
mod metrics;
mod output;
mod parse;
mod password;
mod policy;
mod program;
mod question;
mod request;
mod run;
mod sessions;
mod shell;
mod stream;
mod terminal;
mod top;
mod transport;
mod wait;

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{
    console::Console,
    error::Error,
    program::{Cli, CliCommand},
    run::Display,
    shell::batch,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut console = Console::new(cli.connection);
    let display = cli.display;
    let result = match (cli.command, cli.commands) {
        (Some(_), Some(_)) => Cli::command()
            .error(ErrorKind::ArgumentConflict, "give a command, or commands with -c, not both")
            .exit(),
        (Some(CliCommand::Completions { shell }), None) => {
            completions::write(shell, &mut io::stdout().lock())
        }
        (Some(CliCommand::Complete { line, breaks }), None) => {
            completions::complete(&line, &breaks, &console, &mut io::stdout().lock())
        }
        (Some(CliCommand::Metrics { listen }), None) => {
            metrics::Listen(listen).run(&mut console, &mut io::stdout().lock())
        }
        (Some(CliCommand::Command(mut command)), None) => {
            let display = Display { format: display.format().unwrap_or_default(), screen: display.screen() };
            let mut out = BufWriter::new(io::stdout().lock());
            run::run(&mut command, display, &mut console, &mut out)
                .and_then(|()| out.flush().map_err(Error::Output))
        }
        (None, Some(commands)) => batch::run(commands.as_bytes(), display, &mut console),
        (None, None) if io::stdin().is_terminal() => shell::interactive(display, &mut console),
        (None, None) => batch::run(io::stdin().lock(), display, &mut console),
    };
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if error.is_broken_pipe() {
        // Whoever read our output has seen enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    error.tell();
    ExitCode::from(error.exit_code())
}
