//! Descriptors in the form that the runtime wants.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor until it can be read. Must be called in a runtime.
///
/// # Errors
/// When the runtime cannot watch it.
pub(super) fn watch<T: AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    watch_for(descriptor, Interest::READABLE)
}

/// Watches a descriptor for certain events. Must be called in a runtime.
///
/// # Errors
/// When the runtime cannot watch it.
pub(super) fn watch_for<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may not own their descriptor; ours do"
    )]
    AsyncFd::with_interest(descriptor, interest)
}
