//! The whole screen, redrawn, and its keys.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use ppp_wire::causes::chain;

use super::{
    FIRST_INTERVAL, Top, look,
    view::{Action, View},
};
use crate::{
    connection::ConnectionOptions,
    console::Console,
    error::Error,
    interrupt,
    sessions::rate::Meter,
    terminal::{Keys, Pressed, Screen},
};

/// Longest wait for a list: keys are not looked at meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two looks at the size of the terminal.
const SIZE_INTERVAL: Duration = Duration::from_millis(250);

/// The other screen, so that the one of before is there again afterwards; no cursor; no line goes on below itself.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Shows the screen until the user has seen enough, or it was shown as often as was asked for.
pub(super) fn run(top: &Top, console: &Console, out: &mut dyn Write) -> Result<(), Error> {
    // Signals that end the program do so when the terminal is as before: this is dropped last.
    let _held = interrupt::hold().map_err(Error::Terminal)?;
    let options = console.options();
    let timeout = options.timeout.min(PATIENCE);
    let mut console = Console::new(ConnectionOptions { timeout, ..options.clone() });
    let keys = Keys::start().map_err(Error::Terminal)?;
    let mut whole = Whole::enter(out).map_err(Error::Output)?;
    let mut view = View::new(top.columns(), top.sort.clone(), top.limit);
    let mut meter = Meter::default();
    // The first list has no rates, and counts for nothing.
    let mut left = top.iterations.map(|count| count.saturating_add(1));
    let mut delay = FIRST_INTERVAL.min(top.delay);
    loop {
        match look(&mut meter, &top.filter, &mut console) {
            Ok(entries) => view.show(entries, console.server().ok().map(|server| server.host)),
            Err(error) if error.is_interrupt() => return Ok(()),
            Err(error) => view.miss(chain(&error)),
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            // Whoever asked for a number of looks wants to read the last one, on the screen of before.
            drop(whole);
            let last = view.text(Screen::of_stdout());
            return writeln!(out, "{last}").and_then(|()| out.flush()).map_err(Error::Output);
        }
        if !stay(Instant::now() + delay, &keys, &mut view, &mut whole)? {
            return Ok(());
        }
        delay = top.delay;
    }
}

/// Redraws and takes keys until it is time for another look. False: the user has seen enough.
fn stay(until: Instant, keys: &Keys, view: &mut View, whole: &mut Whole<'_>) -> Result<bool, Error> {
    loop {
        whole.draw(view).map_err(Error::Output)?;
        let left = until.saturating_duration_since(Instant::now());
        match keys.press(left.min(SIZE_INTERVAL)).map_err(Error::Terminal)? {
            Pressed::Nothing if left.is_zero() => return Ok(true),
            Pressed::Nothing => {}
            Pressed::End => return Ok(false),
            Pressed::Key(key) => match view.press(key) {
                Action::Stay => {}
                Action::Look => return Ok(true),
                Action::Leave => return Ok(false),
            },
        }
    }
}

/// The other screen of the terminal, until this is dropped.
struct Whole<'a> {
    out: &'a mut dyn Write,
    /// What is there.
    drawn: String,
    size: Screen,
}

impl<'a> Whole<'a> {
    fn enter(out: &'a mut dyn Write) -> io::Result<Self> {
        write!(out, "{ENTER}")?;
        out.flush()?;
        Ok(Self { out, drawn: String::new(), size: Screen::default() })
    }

    /// Draws what is not there yet.
    fn draw(&mut self, view: &View) -> io::Result<()> {
        let mut screen = Screen::of_stdout();
        // Behind the last column the cursor would stand on it, and what is erased from there on would be it.
        screen.width = screen.width.map(|width| width.saturating_sub(1));
        let drawn = view.text(screen);
        if (screen, &drawn) == (self.size, &self.drawn) {
            return Ok(());
        }
        // Line by line over what is there, all at once where the terminal knows how (2026): nothing flickers.
        let lines = drawn.replace('\n', "\x1b[K\r\n");
        write!(self.out, "\x1b[?2026h\x1b[H{lines}\x1b[K\x1b[J\x1b[?2026l")?;
        self.out.flush()?;
        (self.drawn, self.size) = (drawn, screen);
        Ok(())
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = write!(self.out, "{LEAVE}").and_then(|()| self.out.flush());
    }
}
