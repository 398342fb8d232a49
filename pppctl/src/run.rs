//! One command, from its parsed form to its output.

use std::io::Write;

use crate::{
    command::{Command, Show},
    console::Console,
    error::Error,
    output,
    program::Format,
    question, sessions, stream,
    terminal::Screen,
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
    question::ask(command, console)?;
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
