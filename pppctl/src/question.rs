//! Questions before what many feel.

use std::io::{self, IsTerminal};

use ppp_ipc::control::{Request, Selector};
use ppp_wire::escape::harmless;

use crate::{
    answer::Answer,
    command::{Command, Shutdown, Terminate},
    console::Console,
    error::Error,
    info::Info,
    output, terminal,
};

/// Asks before a command that ends more than one session, unless the command says that it is meant. Does nothing for
/// the others.
///
/// # Errors
/// [`Error::Declined`] for every answer but yes, [`Error::NeedsYes`] where there is nobody to ask.
pub(crate) fn ask(command: &Command, console: &mut Console) -> Result<(), Error> {
    let (what, whom) = match command {
        Command::Terminate { yes: false, which } => match which {
            // Never more than one.
            Terminate::Session { .. } | Terminate::Ip { .. } => return Ok(()),
            Terminate::All => ("Terminate all sessions".to_owned(), Selector::All),
            which => {
                let whom: Selector = which.into();
                (format!("Terminate {}", harmless(&whom.to_string())), whom)
            }
        },
        Command::Shutdown(Shutdown::Hard { yes: false }) => {
            ("End pppoed and all sessions".to_owned(), Selector::All)
        }
        _ => return Ok(()),
    };
    // Whoever names all or a pattern means many, even if there is one now.
    let many = matches!(whom, Selector::All | Selector::Pattern(_));
    let has_somebody = has_somebody();
    if many && !has_somebody {
        return Err(Error::NeedsYes(match whom {
            Selector::All => "every session".to_owned(),
            whom => format!("sessions ({})", harmless(&whom.to_string())),
        }));
    }
    let words = harmless(&whom.to_string()).into_owned();
    let sessions = count(console, whom)?;
    if !many && sessions <= 1 {
        return Ok(());
    }
    let sessions = output::count(sessions.into(), "session");
    if !has_somebody {
        return Err(Error::NeedsYes(format!("{sessions} ({words})")));
    }
    let server = console.server()?;
    let host = harmless(&server.host);
    match terminal::ask(&format!("{what} on {host} ({sessions} now)?")) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Declined),
        Err(error) => Err(Error::Ask(error)),
    }
}

/// Whether there is a terminal to ask on.
pub(crate) fn has_somebody() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// How many sessions there are of these.
fn count(console: &mut Console, whom: Selector) -> Result<u32, Error> {
    let request = if whom == Selector::All { Request::ShowStats } else { Request::Count(whom) };
    match console.call(request)? {
        Answer::Stats(stats) => Ok(stats.sessions),
        Answer::Info(Info::Count(count)) => Ok(count),
        _ => Err(Error::Declined),
    }
}
