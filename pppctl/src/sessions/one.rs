//! The one session that a command is about, by whatever the user knows of it.

use std::io::Write;

use ppp_ipc::control::{Request, SessionSummary};

use super::{Entry, fetch, field::DEFAULT, printer};
use crate::{
    command::{Command, Show},
    console::Console,
    error::Error,
    run::Display,
};

/// Sessions that are named where one was meant.
const MAX_NAMED: usize = 8;

/// Asks the server which session is meant. If there are several, `show session` lists them (`Ok(true)`, and nothing is
/// left to be done), and what needs one is refused.
pub(crate) fn resolve(
    command: &mut Command,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let is_list = matches!(command, Command::Show(Show::Sessions { .. }));
    let Some(session) = command.one_session() else { return Ok(false) };
    let request = Request::FindSessions(session.word());
    let mut found: Vec<SessionSummary> = Vec::new();
    fetch(&request, console, |more| {
        found.extend(more);
        Ok(())
    })?;
    match found.as_slice() {
        [only] => session.set(only.id),
        _ if is_list => {
            let mut printer = printer::new(display, DEFAULT.to_vec());
            let entries = found.into_iter().map(|session| Entry { session, rate: None }).collect();
            printer.add(entries, out).map_err(Error::Output)?;
            printer.finish(out).map_err(Error::Output)?;
            return Ok(true);
        }
        several => {
            let ids: Vec<String> = several.iter().take(MAX_NAMED).map(|one| one.id.to_string()).collect();
            let more = several.len().saturating_sub(MAX_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Err(Error::Several {
                word: session.word().to_string(),
                count: several.len(),
                ids: ids.join(", ") + &more,
            });
        }
    }
    Ok(false)
}
