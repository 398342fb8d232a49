//! The interactive shell, and its lines wherever they come from.

pub(crate) mod batch;
mod complete;
mod execute;
pub(crate) mod filter;
mod grammar;
pub(crate) mod help;
mod history;
mod live;
mod pager;
mod prompt;
mod words;

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use ppp_wire::escape::harmless;
use rustyline::{
    Cmd, CompletionType, Config, Editor, EventHandler, KeyCode, KeyEvent, Modifiers, error::ReadlineError,
    history::FileHistory,
};

use self::{
    complete::{Asked, QuestionMark},
    execute::Next,
    prompt::Prompt,
};
pub(crate) use self::{
    complete::{Completion, Wanted},
    live::Live,
};
use crate::{console::Console, error::Error, interrupt, program::DisplayOptions, terminal::Screen};

/// Lines that the history keeps.
const HISTORY_LINES: usize = 2000;

type Reader = Editor<Completion, FileHistory>;

/// Reads lines from the terminal and carries them out, until the user leaves.
pub(crate) fn interactive(defaults: DisplayOptions, console: &mut Console) -> Result<(), Error> {
    interrupt::install().map_err(Error::Terminal)?;
    let asked = Asked::default();
    let mut reader = reader(console, &asked).map_err(broken)?;
    let history = history::path();
    if let Some(path) = &history {
        // There is none on the first day.
        let _ = reader.load_history(path);
    }
    let mut prompt = Prompt::new(console.options());
    greet(console)?;
    let mut initial = (String::new(), String::new());
    loop {
        let screen = Screen::of_stdout();
        // A Ctrl-C that came too late for one command is for none. (From here on it is a key.)
        interrupt::take();
        let (plain, coloured) = prompt.text(screen.colour);
        interrupt::take();
        if let Some(helper) = reader.helper_mut() {
            helper.prompt = coloured;
        }
        let line = match reader.readline_with_initial(&plain, (&initial.0, &initial.1)) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                initial = Default::default();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(broken(error)),
        };
        initial = Default::default();
        if let Some((left, right)) = asked.lock().ok().and_then(|mut asked| asked.take()) {
            let candidates = reader.helper().map(|helper| helper.help(&left)).unwrap_or_default();
            help::print(&candidates, screen, &mut io::stdout()).map_err(Error::Output)?;
            initial = (left, right);
            continue;
        }
        remember(&mut reader, &line, history.as_deref());
        match execute::line(&line, defaults, console, true) {
            Ok(Next::Line) => {}
            Ok(Next::Leave) => return Ok(()),
            Err(error) if error.is_broken_pipe() => {}
            // The terminal has shown ^C.
            Err(error) if error.is_interrupt() => writeln!(io::stdout()).map_err(Error::Output)?,
            Err(error) => error.tell(),
        }
    }
}

fn reader(console: &Console, asked: &Asked) -> rustyline::Result<Reader> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_prompt_limit(100)
        .max_history_size(HISTORY_LINES)?
        .history_ignore_space(true)
        .build();
    let mut reader = Editor::with_config(config)?;
    reader.set_helper(Some(Completion::new(Live::new(console.options()))));
    let question_mark = QuestionMark(Arc::clone(asked));
    let key = KeyEvent(KeyCode::Char('?'), Modifiers::NONE);
    reader.bind_sequence(key, EventHandler::Conditional(Box::new(question_mark)));
    reader.bind_sequence(KeyEvent::ctrl('Z'), Cmd::Suspend);
    Ok(reader)
}

/// Tells where we are, or why we are nowhere yet: the shell is there before the server is.
fn greet(console: &mut Console) -> Result<(), Error> {
    match console.server() {
        Ok(server) => {
            let (software, host) = (harmless(&server.software), harmless(&server.host));
            writeln!(
                io::stdout(),
                "pppoed {software} on {host}; help or ? tells what can be done, Ctrl-D leaves"
            )
            .map_err(Error::Output)
        }
        Err(error) => {
            error.tell();
            Ok(())
        }
    }
}

/// Writes the line to the history at once, so that a shell that is killed forgets nothing.
fn remember(reader: &mut Reader, line: &str, path: Option<&std::path::Path>) {
    if line.trim().is_empty() || !matches!(reader.add_history_entry(line), Ok(true)) {
        return;
    }
    if let Some(path) = path {
        // A history that cannot be kept is no reason not to work.
        let _ = reader.append_history(path);
    }
}

fn broken(error: ReadlineError) -> Error {
    match error {
        ReadlineError::Io(error) => Error::Terminal(error),
        ReadlineError::Errno(errno) => Error::Terminal(errno.into()),
        other => Error::Terminal(io::Error::other(other.to_string())),
    }
}

/// Whether there is somebody to page for.
fn pages() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}
