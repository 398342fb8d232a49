//! What consoles ask about the kernel or about files: looked up on threads of their own, so that whoever asks, as often as the
//! sockets let it, holds up no session.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::control::Rights;
use crate::threads::{Priority, Threads};

/// One for the comparison with the files of each socket's clients, which may take as long as a disk, and one for the rest, of
/// which each piece takes milliseconds.
const COUNT: usize = 3;

/// The threads, and who may use them. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct ConsoleWork {
    threads: Rc<Threads>,
    /// One list at a time: a second one would only wait for the same processor.
    listing: Arc<Semaphore>,
    /// One comparison with the files at a time for the clients of each socket: a second one would only wait for the same disk.
    comparing: [Arc<Semaphore>; 2],
}

impl ConsoleWork {
    /// # Errors
    /// Those of the system.
    pub(super) fn new() -> io::Result<Self> {
        let one = || Arc::new(Semaphore::new(1));
        Ok(Self {
            threads: Rc::new(Threads::new("consoles", COUNT, Priority::Normal)?),
            listing: one(),
            comparing: [one(), one()],
        })
    }

    /// Has something looked up; `None` when it was cut off.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.threads.run(work).await
    }

    /// The same for a long list, when it is its turn.
    pub(super) async fn list<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.listing.acquire().await.ok()?;
        self.run(work).await
    }

    /// The place of a comparison with the files, if no other client with these rights has it.
    pub(super) fn begin_comparison(&self, rights: Rights) -> Option<OwnedSemaphorePermit> {
        let [full, view] = &self.comparing;
        let place = match rights {
            Rights::Full => full,
            Rights::ReadOnly => view,
        };
        place.clone().try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_only_look_takes_no_comparison_from_others() {
        let work = ConsoleWork::new().unwrap();
        let viewer = work.begin_comparison(Rights::ReadOnly).unwrap();
        assert!(work.begin_comparison(Rights::ReadOnly).is_none());
        let root = work.begin_comparison(Rights::Full).unwrap();
        assert!(work.begin_comparison(Rights::Full).is_none());
        drop((viewer, root));
        assert!(work.begin_comparison(Rights::ReadOnly).is_some());
    }
}
