//! Resource limits (setrlimit(2)).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::{StepError, verify};

/// Sets all limits, for good: an unprivileged process cannot raise them again.
pub(super) fn set(keep: &[BorrowedFd<'_>], address_space: u64) -> Result<(), StepError> {
    // With every number up to the highest kept one allowed, poll(2) works and hardly anything can be opened.
    let highest = keep.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0).max(2);
    let open_files = u64::from(highest.unsigned_abs()) + 1;
    let limits = [
        (Resource::RLIMIT_NOFILE, open_files),
        (Resource::RLIMIT_AS, address_space),
        // No process and no thread besides this one.
        (Resource::RLIMIT_NPROC, 0),
        // No file can grow; pipes, sockets and devices are not files in this sense.
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
    ];
    // Otherwise a line for the log would kill the worker if that were a file.
    // SAFETY: no handler is installed: the signal is ignored.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }
        .map_err(StepError::system("ignore the signal about too large files"))?;
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit)
            .map_err(StepError::system(format!("set {resource:?} to {limit}")))?;
        let found = getrlimit(resource).map_err(StepError::system(format!("read {resource:?}")))?;
        verify(found == (limit, limit), || format!("{resource:?} is {found:?} instead of {limit}"))?;
    }
    Ok(())
}
