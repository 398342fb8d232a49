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
    sync::OnceLock,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use signal_hook::consts::SIGINT;

/// Readable once a SIGINT came.
static NOTES: OnceLock<UnixStream> = OnceLock::new();

/// Notes SIGINT from now on. Once is enough; it cannot be undone.
pub(crate) fn install() -> io::Result<()> {
    let (notes, writer) = UnixStream::pair()?;
    notes.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGINT, writer)?;
    // A second call leaves the first one's pair in place.
    let _ = NOTES.set(notes);
    Ok(())
}

/// Whether a SIGINT came since the last call.
pub(crate) fn take() -> bool {
    let mut noted = false;
    if let Some(mut notes) = NOTES.get() {
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
    let notes = NOTES.get().map(AsFd::as_fd);
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
