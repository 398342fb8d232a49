//! Ctrl-C that ends a command and not the program.
//!
//! Until [`install`] was called, SIGINT ends the program as ever. Afterwards it is noted here, and whatever waits
//! waits for it too ([`wait_readable`]).

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The first is readable once a signal came that was written into the second.
static NOTES: OnceLock<(UnixStream, UnixStream)> = OnceLock::new();

/// Notes SIGINT from now on. Once is enough; it cannot be undone.
pub(crate) fn install() -> io::Result<()> {
    if NOTES.get().is_none() {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGINT, writer.try_clone()?)?;
        let _ = NOTES.set((reader, writer));
    }
    Ok(())
}

fn writer() -> io::Result<UnixStream> {
    NOTES.get().map(|(_, writer)| writer.try_clone()).unwrap_or(Err(io::ErrorKind::NotFound.into()))
}

/// Signals that end the program, unless it is to leave the terminal as it was.
const ENDING: [i32; 3] = [SIGHUP, SIGQUIT, SIGTERM];

/// What becomes of [`ENDING`].
struct Ending {
    /// They have their usual effect.
    at_once: Arc<AtomicBool>,
    /// The one that came while they had not.
    came: Arc<AtomicUsize>,
}

static HOLD: OnceLock<Ending> = OnceLock::new();

/// Keeps the signals that end the program from doing so until this is dropped. Waits end as for SIGINT.
pub(crate) struct Hold(());

/// Begins to hold.
pub(crate) fn hold() -> io::Result<Hold> {
    install()?;
    if HOLD.get().is_none() {
        let ending = Ending { at_once: Arc::default(), came: Arc::default() };
        let writer = writer()?;
        for signal in ENDING {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&ending.at_once))?;
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&ending.came), number)?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        let _ = HOLD.set(ending);
    }
    if let Some(ending) = HOLD.get() {
        ending.at_once.store(false, Ordering::SeqCst);
    }
    Ok(Hold(()))
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(ending) = HOLD.get() else { return };
        ending.at_once.store(true, Ordering::SeqCst);
        let signal = i32::try_from(ending.came.swap(0, Ordering::SeqCst)).unwrap_or(0);
        if signal != 0 {
            // Ends the program; if it cannot, the program goes on.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }
}

/// Whether a SIGINT came since the last call.
pub(crate) fn take() -> bool {
    let mut noted = false;
    if let Some((notes, _)) = NOTES.get() {
        let mut notes = notes;
        while matches!(notes.read(&mut [0; 64]), Ok(1..)) {
            noted = true;
        }
    }
    noted
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something can be read, or has ended.
    Readable,
    /// A SIGINT came. It has been taken.
    Interrupted,
    /// Nothing came in time.
    TimedOut,
}

/// Waits until SIGINT comes or the time is over.
pub(crate) fn wait(time: Duration) -> io::Result<Woken> {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let woken = poll_for(None, Some(left))?;
        if woken == Woken::Interrupted || left.is_zero() {
            return Ok(woken);
        }
    }
}

/// Waits until `source` is readable, SIGINT comes or the time is over.
pub(crate) fn wait_readable(source: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Woken> {
    poll_for(Some(source), timeout)
}

fn poll_for(source: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> io::Result<Woken> {
    // Rounded up, so that no wait is cut into a last millisecond of spinning.
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
        let milliseconds = timeout.as_micros().div_ceil(1000);
        PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
    });
    let notes = NOTES.get().map(|(reader, _)| reader.as_fd());
    let mut watched: Vec<PollFd<'_>> =
        source.into_iter().chain(notes).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    match poll(&mut watched, timeout) {
        Ok(0) => Ok(Woken::TimedOut),
        // A signal of another kind, such as a new size of the window: who waits looks at the clock again.
        Err(Errno::EINTR) => Ok(if take() { Woken::Interrupted } else { Woken::TimedOut }),
        Err(errno) => Err(errno.into()),
        Ok(_) if take() => Ok(Woken::Interrupted),
        Ok(_) => Ok(Woken::Readable),
    }
}
