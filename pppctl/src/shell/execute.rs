//! One line of the shell: its commands, each through its filters and perhaps a pager.

use std::io::{BufWriter, Write};

use clap::{Parser, error::ErrorKind};
use ppp_wire::causes::chain;

use super::{
    filter::{Filtered, Filters},
    grammar::{self, Lost},
    help,
    pager::Pager,
    pages,
    words::{self, Pipeline},
};
use crate::{
    command::Command,
    console::Console,
    error::Error,
    program::{DisplayOptions, Line, LineCommand},
    run::{self, Display},
    terminal::Screen,
};

/// What follows a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another one.
    Line,
    /// The end of the shell.
    Leave,
}

/// Carries out the commands of a line, up to the first that fails. `paged`: answers that are longer than the screen
/// go through a pager.
pub(crate) fn line(
    line: &str,
    defaults: DisplayOptions,
    console: &mut Console,
    paged: bool,
) -> Result<Next, Error> {
    let pipelines = words::pipelines(line).map_err(|error| Error::Line(error.to_string()))?;
    for pipeline in &pipelines {
        if command(pipeline, defaults, console, paged)? == Next::Leave {
            return Ok(Next::Leave);
        }
    }
    Ok(Next::Line)
}

fn command(
    pipeline: &Pipeline,
    defaults: DisplayOptions,
    console: &mut Console,
    paged: bool,
) -> Result<Next, Error> {
    let filters = Filters::parse(&pipeline.filters).map_err(|error| Error::Line(chain(&error)))?;
    let command = parse(&pipeline.command)?;
    if let Parsed::Exit = command {
        return Ok(Next::Leave);
    }
    let mut screen = match &command {
        Parsed::Command(_, options) => options.or(defaults).screen(),
        _ => Screen::of_stdout(),
    };
    let lasting = matches!(&command, Parsed::Command(it, _) if it.is_lasting());
    let height = screen.height.filter(|_| paged && !filters.no_pager && !lasting && pages());
    if !filters.is_empty() {
        (screen.mark_headings, screen.colour) = (true, false);
    }
    let mut pager = Pager::new(height);
    let result = if filters.is_empty() {
        let mut out = BufWriter::new(&mut pager);
        show(command, defaults, screen, console, &mut out).and_then(|()| out.flush().map_err(Error::Output))
    } else {
        let mut out = BufWriter::new(&mut pager);
        let mut filtered = Filtered::new(filters, &mut out);
        let result = show(command, defaults, screen, console, &mut filtered);
        // What Ctrl-C ended is counted up to there.
        if result.as_ref().map_or_else(Error::is_interrupt, |()| true) {
            filtered.finish().and_then(|()| out.flush()).map_err(Error::Output)?;
        }
        result
    };
    result.and_then(|()| pager.finish().map_err(Error::Output)).map(|()| Next::Line)
}

/// A line that has been understood.
enum Parsed {
    Command(Box<Command>, DisplayOptions),
    /// Help on the command that these words lead to.
    Help(Vec<String>),
    /// What `--help` behind a command tells.
    Text(String),
    Exit,
}

fn show(
    command: Parsed,
    defaults: DisplayOptions,
    screen: Screen,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match command {
        Parsed::Command(mut command, options) => {
            let format = options.or(defaults).format().unwrap_or_default();
            run::run(&mut command, Display { format, screen }, console, out)
        }
        Parsed::Help(words) => help::command(&words, screen, out),
        Parsed::Text(text) => write!(out, "{text}").map_err(Error::Output),
        Parsed::Exit => Ok(()),
    }
}

/// Words to a command. What is wrong with them is told in the shell's words where it is a command that is wrong.
fn parse(words: &[String]) -> Result<Parsed, Error> {
    // Where `?` is no key, it is asked for as a word.
    if let Some((_, before)) = words.split_last().filter(|(last, _)| *last == "?") {
        return Ok(Parsed::Help(before.to_vec()));
    }
    let error = match Line::try_parse_from(words) {
        Ok(Line { command: LineCommand::Command(command), display }) => {
            return Ok(Parsed::Command(command, display));
        }
        Ok(Line { command: LineCommand::Help { words }, .. }) => return Ok(Parsed::Help(words)),
        Ok(Line { command: LineCommand::Exit, .. }) => return Ok(Parsed::Exit),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Ok(Parsed::Text(error.to_string()));
    }
    let table = grammar::table();
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let message = match grammar::follow(&table, &texts) {
        Err(lost @ (Lost::Unknown { .. } | Lost::Ambiguous { .. })) => lost.to_string(),
        Ok(place) if place.needs_word() => {
            let next: Vec<String> = place.subcommands().map(|it| it.get_name().to_owned()).collect();
            format!("{} what? {}", place.path.join(" "), grammar::list(&next, "or"))
        }
        Ok(place) => {
            // The first paragraph says what is wrong; the others describe a program's arguments.
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let lines: Vec<&str> = first.lines().map(str::trim).collect();
            format!("{} (`help {}` tells more)", lines.join(" "), place.path.join(" "))
        }
    };
    Err(Error::Line(message))
}
