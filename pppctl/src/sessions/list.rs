//! `show sessions`: from the server's pieces to lines, each as soon as it can be.

use std::{io::Write, thread, time::Duration, time::Instant};

use ppp_ipc::control::{Request, SessionSummary};

use super::{
    Entry, Query, fetch,
    field::{DEFAULT, sort},
    printer,
    rate::Meter,
};
use crate::{
    console::Console,
    error::Error,
    interrupt::{self, Woken},
    run::Display,
    transport,
};

/// Time between the two looks at the counters of which rates are made.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Writes the list that was asked for.
pub(crate) fn show(
    query: &Query,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let columns = if query.columns.is_empty() { DEFAULT.to_vec() } else { query.columns.clone() };
    let mut printer = printer::new(display, columns);
    let mut left = query.limit.unwrap_or(usize::MAX);
    if query.sort.is_empty() && !query.needs_rates() {
        fetch(&Request::ShowSessions, console, |sessions| {
            let wanted = sessions.into_iter().filter(|session| query.filter.matches(session));
            let entries: Vec<Entry> =
                wanted.take(left).map(|session| Entry { session, rate: None }).collect();
            left -= entries.len();
            printer.add(entries, out).map_err(Error::Output)
        })?;
    } else {
        let mut meter = Meter::default();
        let mut entries = meter.measure(all(query, console)?, Instant::now());
        if query.needs_rates() {
            pause(RATE_INTERVAL)?;
            entries = meter.measure(all(query, console)?, Instant::now());
        }
        sort(&mut entries, &query.sort);
        entries.truncate(left);
        printer.add(entries, out).map_err(Error::Output)?;
    }
    printer.finish(out).map_err(Error::Output)
}

/// All sessions that meet the conditions.
fn all(query: &Query, console: &mut Console) -> Result<Vec<SessionSummary>, Error> {
    let mut all = Vec::new();
    fetch(&Request::ShowSessions, console, |sessions| {
        all.extend(sessions.into_iter().filter(|session| query.filter.matches(session)));
        Ok(())
    })?;
    Ok(all)
}

/// Waits, unless Ctrl-C is pressed.
fn pause(time: Duration) -> Result<(), Error> {
    match interrupt::wait(time) {
        Ok(Woken::Interrupted) => Err(transport::Error::Interrupted.into()),
        Ok(_) => Ok(()),
        Err(_) => {
            thread::sleep(time);
            Ok(())
        }
    }
}
