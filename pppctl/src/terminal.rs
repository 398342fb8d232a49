//! The terminal: what it can show, its keys, and questions to whoever sits there.

use std::{
    env,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    time::Duration,
};

use nix::sys::termios::{self, SetArg, Termios};

use crate::{
    clock::Zone,
    interrupt::{self, Woken},
};

/// Longest line that is read as the answer to a question, in bytes.
const MAX_ANSWER: usize = 1024;

/// What output is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns of the terminal; `None`: whatever fits, it is not for a terminal.
    pub(crate) width: Option<usize>,
    /// Lines of the terminal.
    pub(crate) height: Option<usize>,
    /// Whether colours may be used.
    pub(crate) colour: bool,
    /// Whether headings are marked for a filter, see [`crate::shell::filter`].
    pub(crate) mark_headings: bool,
    /// Whose time is shown.
    pub(crate) zone: Zone,
}

impl Screen {
    /// Standard output as it is now.
    pub(crate) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::default();
        }
        let size = terminal_size::terminal_size_of(stdout);
        // Zero is what a terminal says that does not know.
        let known = |size: u16| Some(usize::from(size)).filter(|&size| size > 0);
        Self {
            width: size.and_then(|(width, _)| known(width.0)),
            height: size.and_then(|(_, height)| known(height.0)),
            colour: wants_colour(),
            mark_headings: false,
            zone: Zone::default(),
        }
    }
}

/// Whether the user of this terminal wants colours (<https://no-color.org>).
fn wants_colour() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let unable = env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    !refused && !unable
}

/// A line from the terminal on standard input, without its end; `None` when Ctrl-C was pressed instead.
fn read_answer() -> io::Result<Option<String>> {
    let stdin = io::stdin();
    loop {
        match interrupt::wait_readable(stdin.as_fd(), None)? {
            Woken::Interrupted => return Ok(None),
            Woken::TimedOut => continue,
            Woken::Readable => {}
        }
        // Not through the buffer of `stdin`, which poll(2) would not see. A terminal gives one line at a time.
        let mut line = [0; MAX_ANSWER];
        let len = nix::unistd::read(stdin.as_fd(), &mut line)?;
        return Ok(Some(String::from_utf8_lossy(line.get(..len).unwrap_or_default()).into_owned()));
    }
}

/// What a wait for a key gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    Key(u8),
    Nothing,
    /// No key will come: the terminal has gone, or a signal wants the end.
    End,
}

const ESCAPE: u8 = 0x1b;

/// Time within which the rest of a key's sequence follows its ESC.
const SEQUENCE_TIMEOUT: Duration = Duration::from_millis(50);

/// Longest sequence of a key, in bytes behind its ESC.
const MAX_SEQUENCE: usize = 16;

/// The terminal on standard input without echo, lines and signals: each key is there at once. As before when dropped.
pub(crate) struct Keys {
    before: Termios,
}

impl Keys {
    pub(crate) fn start() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        // Output is written with plain line ends.
        raw.output_flags = before.output_flags;
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self { before })
    }
}

impl Keys {
    /// Waits for the next byte; `None` when the terminal has gone.
    pub(crate) fn next(&self) -> io::Result<Option<u8>> {
        loop {
            match interrupt::wait_readable(io::stdin().as_fd(), None)? {
                Woken::Readable => return self.read(),
                Woken::Interrupted => return Ok(None),
                Woken::TimedOut => {}
            }
        }
    }

    /// Waits for a key, not long.
    pub(crate) fn press(&self, timeout: Duration) -> io::Result<Pressed> {
        let Some(key) = self.byte(timeout)? else { return Ok(Pressed::Nothing) };
        let Some(key) = key else { return Ok(Pressed::End) };
        if key != ESCAPE {
            return Ok(Pressed::Key(key));
        }
        // What a key sends comes at once: ECMA-48 §5.4, ESC [ … and a byte from @ on.
        let mut sequence = Vec::new();
        while let Some(Some(byte)) = self.byte(SEQUENCE_TIMEOUT)? {
            sequence.push(byte);
            if sequence.len() > 1 && (b'@'..=b'~').contains(&byte) || sequence.len() == MAX_SEQUENCE {
                break;
            }
        }
        Ok(match sequence.as_slice() {
            [] => Pressed::Key(ESCAPE),
            // Arrows and pages, as the letters of pagers.
            [b'[' | b'O', b'A'] => Pressed::Key(b'k'),
            [b'[' | b'O', b'B'] => Pressed::Key(b'j'),
            [b'[', b'5', b'~'] => Pressed::Key(b'b'),
            [b'[', b'6', b'~'] => Pressed::Key(b' '),
            [b'[' | b'O', b'H'] => Pressed::Key(b'g'),
            _ => Pressed::Nothing,
        })
    }

    /// The next byte; `Some(None)` when there will be none, `None` when none came in time.
    fn byte(&self, timeout: Duration) -> io::Result<Option<Option<u8>>> {
        match interrupt::wait_readable(io::stdin().as_fd(), Some(timeout))? {
            Woken::Readable => self.read().map(Some),
            Woken::Interrupted => Ok(Some(None)),
            Woken::TimedOut => Ok(None),
        }
    }

    /// The byte that is there; `None` when the terminal has gone.
    fn read(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let len = nix::unistd::read(io::stdin().as_fd(), &mut byte)?;
        Ok((len > 0).then_some(byte[0]))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal may have gone, and then there is nothing to restore.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}

/// Asks a question that is answered with yes, or with anything else for no.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let Some(answer) = read_answer()? else {
        writeln!(stderr)?;
        return Ok(false);
    };
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "YES" | "Yes"))
}
