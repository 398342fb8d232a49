//! Resource limits (setrlimit(2)).

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::{StepError, verify};

/// Processes that the template may make: more than PPPoE has session ids. The kernel counts all of the user's.
const MAX_PROCESSES: u64 = 1 << 17;

/// Which process is limited to what.
pub(super) type Limits = [(Resource, u64); 7];

/// A template whose descriptors are all below `descriptors_end`. Where it may not have so many processes, it has as
/// many as it may.
pub(super) fn of_template(descriptors_end: RawFd, address_space: u64) -> Limits {
    let (_, allowed) = getrlimit(Resource::RLIMIT_NPROC).unwrap_or((0, MAX_PROCESSES));
    limits(descriptors_end.unsigned_abs().into(), allowed.min(MAX_PROCESSES), address_space)
}

/// A worker that keeps these descriptors, and makes no process and no thread.
pub(super) fn of_worker(keep: &[BorrowedFd<'_>], address_space: u64) -> Limits {
    // With every number up to the highest kept one allowed, poll(2) works and hardly anything can be opened. One more is
    // for a packet socket that takes the place of the first.
    let highest = keep.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0).max(2);
    limits(u64::from(highest.unsigned_abs()) + 2, 0, address_space)
}

fn limits(open_files: u64, processes: u64, address_space: u64) -> Limits {
    [
        (Resource::RLIMIT_NOFILE, open_files),
        (Resource::RLIMIT_AS, address_space),
        (Resource::RLIMIT_NPROC, processes),
        // No file can grow; pipes, sockets and devices are not files in this sense.
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
    ]
}

/// Sets all limits, for good: an unprivileged process cannot raise them again.
pub(super) fn set(limits: &Limits) -> Result<(), StepError> {
    // Otherwise a line for the log would kill the worker if that were a file.
    // SAFETY: no handler is installed: the signal is ignored.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }
        .map_err(StepError::system("ignore the signal about too large files"))?;
    for &(resource, limit) in limits {
        setrlimit(resource, limit, limit)
            .map_err(StepError::system(format!("set {resource:?} to {limit}")))?;
        let found = getrlimit(resource).map_err(StepError::system(format!("read {resource:?}")))?;
        verify(found == (limit, limit), || format!("{resource:?} is {found:?} instead of {limit}"))?;
    }
    Ok(())
}
