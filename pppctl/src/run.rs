//! One command, from its parsed form to its output.

use std::io::{self, IsTerminal, Write};

use ppp_ipc::control::Request;

use crate::{
    answer::Answer,
    command::{Command, Format, Show, Shutdown, Terminate},
    console::Console,
    error::Error,
    output, sessions, stream,
    terminal::{self, Screen},
};

/// How answers are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Display {
    pub(crate) format: Format,
    pub(crate) screen: Screen,
}

/// Carries out one command and writes its answer to `out`.
pub(crate) fn run(
    command: &Command,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if let Some(question) = question(command) {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Error::NeedsYes("every session".to_owned()));
        }
        confirm(console, question)?;
    }
    let output = output::new(display.format, display.screen);
    if let Command::Show(Show::Sessions { id: None, query }) = command {
        return sessions::show(query, display, console, out);
    }
    if command.is_lasting() {
        if display.format == Format::Csv {
            return Err(Error::Line("what has no end has no CSV: use --output json".to_owned()));
        }
        return stream::run(console, &command.into(), &*output, out);
    }
    let answer = console.call(command.into())?;
    output.write(&answer, out).map_err(Error::Output)
}

/// What to ask before a command that everybody feels.
fn question(command: &Command) -> Option<&'static str> {
    match command {
        Command::Terminate(Terminate::All { yes: false }) => Some("Terminate all sessions"),
        Command::Shutdown(Shutdown::Hard { yes: false }) => Some("End pppoed and all sessions"),
        _ => None,
    }
}

fn confirm(console: &mut Console, question: &str) -> Result<(), Error> {
    let Answer::Stats(stats) = console.call(Request::ShowStats)? else {
        return Err(Error::Declined);
    };
    let server = console.server()?;
    let host = output::printable(&server.host);
    match terminal::ask(&format!("{question} on {host} ({} now)?", stats.sessions)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Declined),
        Err(error) => Err(Error::Ask(error)),
    }
}
