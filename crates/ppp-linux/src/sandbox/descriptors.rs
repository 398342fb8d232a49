//! Which descriptors are open.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::stat::{SFlag, fstat};

use super::{StepError, verify};

/// Standard input, output and error.
const STANDARD: RawFd = 3;

/// Closes all descriptors but the standard ones, `netns` and `socket`.
pub(super) fn close_others(netns: &OwnedFd, socket: BorrowedFd<'_>) -> Result<(), StepError> {
    let number = socket.as_raw_fd();
    verify(kind_of(socket)? == SFlag::S_IFSOCK, || format!("descriptor {number} is not a socket"))?;

    let kept = with_standard(&[netns.as_raw_fd(), number]);
    close_all_but(&kept)?;
    verify_closed(&kept)
}

/// Closes all descriptors but the standard ones and those of `keep`, in a process that can have none from `end` on
/// and does not see `/proc`.
pub(super) fn close_others_below(end: RawFd, keep: &[BorrowedFd<'_>]) -> Result<(), StepError> {
    for fd in keep {
        // A directory outside of the new root would be a way out of it.
        verify(kind_of(*fd)? != SFlag::S_IFDIR, || format!("descriptor {} is a directory", fd.as_raw_fd()))?;
    }
    let numbers: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    let kept = with_standard(&numbers);
    close_all_but(&kept)?;
    let mut others: Vec<RawFd> = (0..end).filter(|number| !kept.contains(number)).collect();
    others.retain(is_open);
    verify(others.is_empty(), || format!("descriptors {others:?} are still open"))
}

fn kind_of(fd: BorrowedFd<'_>) -> Result<SFlag, StepError> {
    let examine = StepError::system(format!("examine descriptor {}", fd.as_raw_fd()));
    Ok(SFlag::from_bits_truncate(fstat(fd).map_err(examine)?.st_mode) & SFlag::S_IFMT)
}

fn with_standard(numbers: &[RawFd]) -> Vec<RawFd> {
    let mut kept: Vec<RawFd> = (0..STANDARD).chain(numbers.iter().copied()).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// `kept` is in order.
fn close_all_but(kept: &[RawFd]) -> Result<(), StepError> {
    let mut next = 0;
    for &fd in kept {
        if fd > next {
            close_range(next, fd - 1)?;
        }
        next = fd.saturating_add(1);
    }
    close_range(next, RawFd::MAX)
}

fn close_range(first: RawFd, last: RawFd) -> Result<(), StepError> {
    // SAFETY: no memory is touched. A descriptor may have an owner who does not know yet: `enter` demands
    // that nothing but what it is told of is open. An owner who is there against that demand gets EBADF, for
    // once inside, nothing else can take the number.
    let outcome = unsafe { libc::close_range(first.cast_unsigned(), last.cast_unsigned(), 0) };
    Errno::result(outcome).map_err(StepError::system(format!("close descriptors {first} to {last}")))?;
    Ok(())
}

fn verify_closed(kept: &[RawFd]) -> Result<(), StepError> {
    const LIST: &str = "/proc/self/fd";
    let entries = fs::read_dir(LIST).map_err(StepError::system(format!("list {LIST}")))?;
    let mut others = Vec::new();
    for entry in entries {
        let name = entry.map_err(StepError::system(format!("list {LIST}")))?.file_name();
        let number: RawFd = name
            .to_str()
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| StepError::NotInForce(format!("{LIST} contains {name:?}")))?;
        if !kept.contains(&number) {
            others.push(number);
        }
    }
    // The descriptor that the directory was read through was in the list; it is closed now.
    others.retain(is_open);
    verify(others.is_empty(), || format!("descriptors {others:?} are still open"))
}

fn is_open(&number: &RawFd) -> bool {
    // SAFETY: the descriptor need not be open: it is only asked about, within this function.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(fd.as_fd(), FcntlArg::F_GETFD) != Err(Errno::EBADF)
}
