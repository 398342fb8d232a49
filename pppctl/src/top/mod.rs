//! `top`: the sessions with the most traffic, again and again.

mod full_screen;
mod view;

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use clap::Args;
use ppp_ipc::control::Request;

use crate::{
    command::values,
    console::Console,
    error::Error,
    format::Format,
    interrupt::{self, Woken},
    parse::parse_seconds,
    run::Display,
    sessions::{
        Entry, fetch,
        field::{Field, SortKey, sort},
        filter::Filter,
        printer,
        rate::Meter,
    },
    transport,
};

/// Shown unless others are asked for.
const COLUMNS: [Field; 10] = [
    Field::Id,
    Field::User,
    Field::Ip,
    Field::Ifname,
    Field::State,
    Field::RxRate,
    Field::TxRate,
    Field::Rate,
    Field::Traffic,
    Field::Uptime,
];

/// Time between the first list and the second, which is the first to have rates.
const FIRST_INTERVAL: Duration = Duration::from_millis(500);

/// What to show, and for how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Top {
    /// Time between two looks
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    delay: Duration,
    /// Look so often and end; a program that reads this gets one table after the other
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,
    /// Columns to show: a list such as id,user,rate
    #[arg(long, value_name = values::FIELDS, value_delimiter = ',')]
    columns: Vec<Field>,
    /// Sort order: a list of fields, with a trailing - for descending order
    #[arg(long, value_name = values::SORT, value_delimiter = ',', default_value = "rate-,traffic-")]
    sort: Vec<SortKey>,
    /// Show at most this many
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    filter: Filter,
}

impl Top {
    fn columns(&self) -> Vec<Field> {
        if self.columns.is_empty() { COLUMNS.to_vec() } else { self.columns.clone() }
    }
}

/// Looks again and again: on the whole screen if there is one, else one list after the other.
pub(crate) fn run(
    top: &Top,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let whole_screen = display.format == Format::Table
        && display.screen.width.is_some()
        && !display.screen.mark_headings
        && io::stdin().is_terminal();
    if whole_screen { full_screen::run(top, console, out) } else { lists(top, display, console, out) }
}

/// One list after the other, from the first that has rates on.
fn lists(top: &Top, display: Display, console: &mut Console, out: &mut dyn Write) -> Result<(), Error> {
    let mut meter = Meter::default();
    look(&mut meter, &top.filter, console)?;
    let mut pause = FIRST_INTERVAL.min(top.delay);
    let mut left = top.iterations;
    while left != Some(0) {
        if interrupt::wait(pause).map_err(Error::Terminal)? == Woken::Interrupted {
            return Err(transport::Error::Interrupted.into());
        }
        let mut entries = look(&mut meter, &top.filter, console)?;
        sort(&mut entries, &top.sort);
        entries.truncate(top.limit.unwrap_or(usize::MAX));
        let mut printer = printer::new(display, top.columns());
        left = left.map(|left| left - 1);
        let between = if display.format == Format::Table && left != Some(0) { "\n" } else { "" };
        printer
            .add(entries, out)
            .and_then(|()| printer.finish(out))
            .and_then(|()| write!(out, "{between}"))
            .and_then(|()| out.flush())
            .map_err(Error::Output)?;
        pause = top.delay;
    }
    Ok(())
}

/// The sessions of now that are wanted, with their rates.
fn look(meter: &mut Meter, filter: &Filter, console: &mut Console) -> Result<Vec<Entry>, Error> {
    let mut sessions = Vec::new();
    fetch(&Request::ShowSessions, console, |more| {
        sessions.extend(more.into_iter().filter(|session| filter.matches(session)));
        Ok(())
    })?;
    Ok(meter.measure(sessions, Instant::now()))
}
