//! Long answers, a screen at a time.

use std::{
    env,
    io::{self, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::{
    shell::words::{self, Token},
    terminal::Keys,
};

/// Used unless `$PAGER` names another, and there is one: it ends by itself, shows colours, and leaves what it showed.
const DEFAULT: &str = "less";

/// Options of `less` unless the environment has some.
const LESS_OPTIONS: &str = "FRX";

/// Shown below a full screen.
const MORE: &str = "-- more -- (space: page, enter: line, q: end)";

/// Writes to the terminal, and through a pager from the line on that does not fit.
pub(crate) struct Pager {
    /// Lines of the screen; 0: no paging.
    height: usize,
    /// What fits so far.
    held: Vec<u8>,
    lines: usize,
    state: State,
}

enum State {
    /// It still fits.
    Holding,
    Program(Child, ChildStdin),
    /// No program: after each screen a key is asked for.
    BuiltIn {
        /// Lines until the next question.
        left: usize,
    },
    /// Everything is written as it comes.
    Through,
    /// The user has seen enough.
    Closed,
}

impl Pager {
    /// For a screen of so many lines; `None`: without paging.
    pub(crate) fn new(height: Option<usize>) -> Self {
        let state = if height.is_some() { State::Holding } else { State::Through };
        Self { height: height.unwrap_or(0), held: Vec::new(), lines: 0, state }
    }

    /// Shows the rest, and waits for the pager's end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.finish_up()
    }

    fn finish_up(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Through) {
            State::Holding => {
                io::stdout().write_all(&self.held)?;
                io::stdout().flush()
            }
            State::Program(mut child, input) => {
                drop(input);
                child.wait().map(|_| ())
            }
            State::BuiltIn { .. } | State::Through | State::Closed => io::stdout().flush(),
        }
    }

    /// The answer is longer than the screen.
    fn overflow(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.state = match spawn() {
            Choice::Program(child, input) => State::Program(child, input),
            Choice::None => State::Through,
            Choice::BuiltIn => State::BuiltIn { left: self.height.saturating_sub(1).max(1) },
        };
        self.pass(&held)
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.state {
            State::Holding => Ok(()),
            State::Program(_, input) => input.write_all(bytes),
            State::Through => io::stdout().write_all(bytes),
            State::Closed => Err(io::ErrorKind::BrokenPipe.into()),
            State::BuiltIn { left } => {
                for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                    if *left == 0 {
                        let Some(more) = ask(self.height)? else {
                            self.state = State::Closed;
                            return Err(io::ErrorKind::BrokenPipe.into());
                        };
                        *left = more;
                    }
                    io::stdout().write_all(line)?;
                    *left -= usize::from(line.ends_with(b"\n"));
                }
                Ok(())
            }
        }
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let State::Holding = self.state {
            self.held.extend_from_slice(bytes);
            self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
            // The last line is the prompt's.
            if self.lines >= self.height {
                self.overflow()?;
            }
        } else {
            self.pass(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Holding => Ok(()),
            State::Program(_, input) => input.flush(),
            State::BuiltIn { .. } | State::Through | State::Closed => io::stdout().flush(),
        }
    }
}

impl Drop for Pager {
    /// A command that failed leaves what it wrote before to be read.
    fn drop(&mut self) {
        // The failure itself is told.
        let _ = self.finish_up();
    }
}

enum Choice {
    Program(Child, ChildStdin),
    BuiltIn,
    None,
}

/// Starts the pager that the user wants.
fn spawn() -> Choice {
    let wanted = env::var("PAGER").ok();
    let line = wanted.as_deref().unwrap_or(DEFAULT);
    let mut words = words::split(line).list.into_iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.text),
        Token::Pipe | Token::Semicolon => None,
    });
    let Some(program) = words.next().filter(|program| program != "cat") else { return Choice::None };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped());
    if env::var_os("LESS").is_none() {
        command.env("LESS", LESS_OPTIONS);
    }
    let Ok(mut child) = command.spawn() else { return Choice::BuiltIn };
    match child.stdin.take() {
        Some(input) => Choice::Program(child, input),
        None => Choice::BuiltIn,
    }
}

/// Waits for a key: how many more lines to show; `None` for those who have seen enough.
fn ask(height: usize) -> io::Result<Option<usize>> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{MORE}")?;
    stdout.flush()?;
    let key = Keys::start()?.next();
    write!(stdout, "\r{:width$}\r", "", width = MORE.len())?;
    stdout.flush()?;
    Ok(match key? {
        Some(b' ' | b'f') => Some(height.saturating_sub(1).max(1)),
        Some(b'q' | b'Q' | 3 | 4 | 0x1b) | None => None,
        Some(_) => Some(1),
    })
}
