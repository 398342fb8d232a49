//! One command, from its parsed form to its output.

use std::io::{self, IsTerminal, Write};

use ppp_ipc::control::{Request, Selector};

use crate::{
    answer::Answer,
    command::{Command, Format, Show, Shutdown, Terminate},
    console::Console,
    error::Error,
    info::Info,
    output, sessions, stream,
    terminal::{self, Screen},
    top,
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
    if let Some(Question { what, whom }) = question(command) {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Error::NeedsYes(match whom {
                Selector::All => "every session".to_owned(),
                whom => format!("sessions ({whom})"),
            }));
        }
        confirm(console, what, whom)?;
    }
    let output = output::new(display.format, display.screen);
    if let Command::Show(Show::Sessions { id: None, query }) = command {
        return sessions::show(query, display, console, out);
    }
    if let Command::Top(top) = command {
        return top::run(top, display, console, out);
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

/// What to ask before a command, and how many sessions it is about.
struct Question {
    what: &'static str,
    whom: Selector,
}

/// What to ask before a command that many feel.
fn question(command: &Command) -> Option<Question> {
    let (what, whom) = match command {
        Command::Terminate(Terminate::All { yes: false }) => ("Terminate all sessions", Selector::All),
        Command::Terminate(which @ Terminate::Pattern { yes: false, .. }) => {
            ("Terminate the sessions that match", which.into())
        }
        Command::Shutdown(Shutdown::Hard { yes: false }) => ("End pppoed and all sessions", Selector::All),
        _ => return None,
    };
    Some(Question { what, whom })
}

fn confirm(console: &mut Console, what: &str, whom: Selector) -> Result<(), Error> {
    let request = if whom == Selector::All { Request::ShowStats } else { Request::Count(whom) };
    let count = match console.call(request)? {
        Answer::Stats(stats) => stats.sessions,
        Answer::Info(Info::Count(count)) => count,
        _ => return Err(Error::Declined),
    };
    let server = console.server()?;
    let host = output::printable(&server.host);
    match terminal::ask(&format!("{what} on {host} ({count} now)?")) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Declined),
        Err(error) => Err(Error::Ask(error)),
    }
}
