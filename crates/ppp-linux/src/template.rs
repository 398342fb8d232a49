//! The template of the workers: a process with one thread that others are forked from.
//!
//! The supervisor cannot fork (it has threads), and executing a program for each session costs a millisecond
//! and memory that no two workers share. So one process is executed, enters the first stage of the
//! [`sandbox`](crate::sandbox), and then forks a worker for each record that it is sent. The record's
//! descriptors are the worker's; the template closes its duplicates at once.
//!
//! The workers are children of the template's parent (`CLONE_PARENT`), not of the template. So the supervisor
//! learns how each ended, and that the template dies changes nothing for them.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::libc;
use thiserror::Error;

use crate::records::{RecordError, RecordSocket};
use crate::sandbox::verify_single_thread;

/// The one way in which a template forks, and its system-call filter allows. The child's parent gets the same
/// signal at its end as at the template's.
pub(crate) const FORK_FLAGS: libc::c_int = libc::CLONE_PARENT;

/// Why a template cannot go on. It has to exit.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// The supervisor's socket is broken.
    #[error("the supervisor's socket")]
    Socket(#[from] RecordError),
    /// An answer could not be sent.
    #[error("cannot answer the supervisor")]
    Answer(#[source] io::Error),
    /// A record came with a wrong number of descriptors.
    #[error("a request came with {found} descriptors instead of {expected}")]
    Descriptors {
        /// How many a worker gets.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}

/// What a worker is born with.
#[derive(Debug)]
pub struct Birth<const N: usize> {
    /// The request's bytes.
    pub request: Vec<u8>,
    /// The request's descriptors, which nobody else in this process has.
    pub descriptors: [OwnedFd; N],
}

/// Forks a worker for each record that comes with `N` descriptors, and writes what `answer` makes of the
/// child's process id, or of the reason why there is none.
///
/// Returns in each child with what it is born with, the template's socket closed; and in the template with
/// `None`, when the supervisor has closed its end.
///
/// # Errors
/// [`TemplateError`], in the template only.
pub fn serve<const N: usize>(
    socket: RecordSocket,
    answer: impl Fn(io::Result<u32>) -> Vec<u8>,
) -> Result<Option<Birth<N>>, TemplateError> {
    while let Some(record) = socket.receive()? {
        let found = record.descriptors.len();
        let wrong = |_| TemplateError::Descriptors { expected: N, found };
        let descriptors = record.descriptors.try_into().map_err(wrong)?;
        let outcome = match fork() {
            Ok(Forked::Child) => return Ok(Some(Birth { request: record.bytes, descriptors })),
            Ok(Forked::Parent { child }) => Ok(child),
            Err(error) => Err(error),
        };
        drop(descriptors);
        socket.write(&answer(outcome)).map_err(TemplateError::Answer)?;
    }
    Ok(None)
}

enum Forked {
    Child,
    Parent { child: u32 },
}

/// Forks a child of the caller's parent. The caller must have one thread.
fn fork() -> io::Result<Forked> {
    verify_single_thread().map_err(io::Error::other)?;
    const UNUSED: u64 = 0;
    // SAFETY: memory is not shared with the child (no CLONE_VM), which goes on with a copy of this very stack
    // (a stack of 0), as after fork(2). There is no other thread whose locks or half-done work it could have
    // copied: that was verified just now. The C library does not know of the fork, and need not: with one
    // thread it holds no lock here, no fork handlers are registered by what this crate links to, it asks the
    // kernel for process and thread ids where it needs them (raise(3), abort(3)), and the thread id in its
    // own memory serves only to compare a thread with itself. A robust mutex, which alone would need it, is
    // not used.
    let outcome = unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(FORK_FLAGS), UNUSED, UNUSED, UNUSED, UNUSED)
    };
    match Errno::result(outcome)? {
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent { child: u32::try_from(child).map_err(|_| Errno::ERANGE)? }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    /// The harness has threads, so nothing is forked: that is what is answered. What a fork does is in the
    /// tests of the sandbox.
    #[test]
    fn a_process_with_threads_is_not_forked() {
        let (ours, theirs) = RecordSocket::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        ours.send(b"one", &[file.as_fd(), file.as_fd()]).unwrap();
        let template = std::thread::spawn(|| {
            serve::<2>(theirs, |outcome| outcome.unwrap_err().to_string().into_bytes())
        });
        let answer = ours.receive().unwrap().unwrap();
        assert!(String::from_utf8(answer.bytes).unwrap().contains("more than one thread"));
        ours.send(b"two", &[file.as_fd()]).unwrap();
        let error = template.join().unwrap().unwrap_err();
        assert!(matches!(error, TemplateError::Descriptors { expected: 2, found: 1 }), "{error}");
    }
}
