//! Network namespaces: the empty one that all workers live in, and throw-away ones for tests.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use thiserror::Error;

/// The calling thread's network namespace, as a file.
pub(crate) const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// What went wrong with a network namespace.
#[derive(Debug, Error)]
pub enum NetnsError {
    /// The thread that makes the namespace could not be started.
    #[error("cannot start a thread to make a network namespace in")]
    Thread {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused a new namespace: no `CAP_SYS_ADMIN`, or the limit of namespaces is reached.
    #[error("cannot make a network namespace (this needs CAP_SYS_ADMIN)")]
    Unshare {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The namespace was made and could not be opened.
    #[error("cannot open {OWN_NAMESPACE}")]
    Open {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused to move the calling thread.
    #[error("cannot enter a network namespace")]
    Enter {
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Makes an empty network namespace (nothing but a loopback interface that is down). It lives as long as somebody holds
/// the descriptor or is in it. Needs no thread, which there may be none left of.
///
/// # Errors
/// Without root. After [`NetnsError::Enter`] the calling thread is not where it was, and good for nothing else.
pub fn create() -> Result<OwnedFd, NetnsError> {
    let open = || File::open(OWN_NAMESPACE).map_err(|source| NetnsError::Open { source });
    let own = open()?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NetnsError::Unshare { source: errno.into() })?;
    let created = open();
    enter(own)?;
    Ok(created?.into())
}

/// Moves the calling thread, and no other, into the namespace that `fd` stands for. Sockets that are open
/// already stay where they are.
///
/// # Errors
/// When `fd` is no network namespace, or without root.
pub fn enter(fd: impl AsFd) -> Result<(), NetnsError> {
    setns(fd, CloneFlags::CLONE_NEWNET).map_err(|errno| NetnsError::Enter { source: errno.into() })
}

/// Runs `work` in a new, empty network namespace, on a thread of its own, and returns what it returns.
/// Everything that `work` makes in the namespace is gone afterwards, unless it handed out a descriptor that
/// keeps the namespace. A panic of `work` is passed on.
///
/// # Errors
/// Without root.
pub fn run_in_new<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
    thread::scope(|scope| {
        let in_namespace = || {
            unshare(CloneFlags::CLONE_NEWNET)
                .map_err(|errno| NetnsError::Unshare { source: errno.into() })?;
            Ok(work())
        };
        let handle = thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, in_namespace)
            .map_err(|source| NetnsError::Thread { source })?;
        handle.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

/// [`run_in_new`] for a test, which fails without root.
#[cfg(test)]
pub(crate) fn for_test<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    run_in_new(test).expect("this test needs root: it makes a network namespace")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::netlink::Netlink;

    fn own_inode() -> u64 {
        std::fs::metadata(OWN_NAMESPACE).unwrap().ino()
    }

    #[test]
    fn a_new_namespace_is_empty_and_leaves_the_caller_where_it_was() {
        let before = own_inode();
        let fd = create().unwrap();
        assert_eq!(own_inode(), before);

        let inside = thread::spawn(move || {
            enter(&fd).unwrap();
            assert_ne!(own_inode(), before);
            Netlink::open().unwrap().interfaces().unwrap()
        });
        let interfaces = inside.join().unwrap();
        assert!(interfaces.iter().all(|interface| !interface.up), "{interfaces:?}");
        assert!(interfaces.iter().any(|interface| interface.id.name.as_str() == "lo"));
    }

    #[test]
    fn entering_something_else_fails() {
        let file = File::open("/dev/null").unwrap();
        assert!(matches!(enter(file), Err(NetnsError::Enter { .. })));
    }

    #[test]
    fn a_panic_inside_is_passed_on() {
        let outcome = panic::catch_unwind(|| run_in_new(|| panic!("inside")));
        assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"inside"));
    }
}
