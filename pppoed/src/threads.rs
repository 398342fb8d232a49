//! Threads for what may block, which are all there from the start.
//!
//! A thread that is made when it is needed may not be available then: a limit of processes (`TasksMax=`, `ulimit -u`) that a fork
//! bomb, a leak or many sessions have used up. tokio makes threads for blocking work on demand, gives them up after ten
//! seconds, and panics if it can have none. So they are made once, before sessions depend on them, and kept.
//!
//! Those of the [`runtime`] are for whatever blocks for milliseconds. What computes for longer, or waits for others, has
//! [`Threads`] of its own: what fills them holds up its own kind alone.

use std::fmt;
use std::io;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::warn;

/// Threads for what may block for a moment: files, and interfaces, of which the kernel changes one at a time. Of more threads most
/// would wait for each other.
const COUNT: usize = 8;
/// Their name, as `ps -L` shows it.
const NAME: &str = "pppoed-work";
/// Time that a start waits for its first thread: an earlier `pppoed`, which was killed, may still have its own.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two attempts, and for all threads to begin.
const INTERVAL: Duration = Duration::from_millis(100);

/// The runtime of the server, with its threads for blocking work.
///
/// # Errors
/// When there can be no thread at all, for [`PATIENCE`], or the system refuses something else.
pub fn runtime() -> anyhow::Result<Runtime> {
    wait_for_one()
        .context("no thread can be made: is a limit of processes reached (TasksMax=, ulimit -u)?")?;
    let runtime = builder(NAME, COUNT).enable_all().build().context("starting")?;
    let count = reserve(&runtime, COUNT);
    if count < COUNT {
        warn!(
            threads = count,
            wanted = COUNT,
            "cannot create all threads (TasksMax=, ulimit -u); interfaces and files may be delayed"
        );
    }
    Ok(runtime)
}

/// Starts a process from a thread for blocking work, as a fork of a process with much memory takes milliseconds. That thread
/// never ends, so a process that asks to be killed with its parent (`PR_SET_PDEATHSIG` goes by the thread) ends with `pppoed`.
///
/// # Errors
/// Those of the system.
pub async fn start_process(mut command: Command) -> io::Result<Child> {
    tokio::task::spawn_blocking(move || command.spawn()).await.map_err(io::Error::other)?
}

/// A runtime with so many threads for blocking work.
fn builder(name: &'static str, count: usize) -> Builder {
    let mut builder = Builder::new_current_thread();
    // For ever.
    let ever = Duration::from_secs(u64::from(u32::MAX));
    builder.max_blocking_threads(count).thread_name(name).thread_keep_alive(ever);
    builder
}

/// Niceness of threads that compute: the event loop and the workers go before them.
const NICE: i32 = 10;

/// How much of a processor's time threads may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// As much as everybody.
    Normal,
    /// What others leave.
    Low,
}

/// Threads for one kind of work; those of the runtime, if the system has no more.
pub struct Threads(Option<Runtime>);

impl Threads {
    /// At most `count` threads (at least 1) with this name.
    ///
    /// # Errors
    /// Those of the system, for other reasons than a lack of threads.
    pub fn new(name: &'static str, count: usize, priority: Priority) -> io::Result<Self> {
        if try_one().is_err() {
            warn!(
                name,
                "cannot create more threads (TasksMax=, ulimit -u); logins and consoles may be delayed"
            );
            return Ok(Self(None));
        }
        let count = count.max(1);
        // Nothing of the runtime but its threads is made use of.
        let mut builder = builder(name, count);
        if priority == Priority::Low {
            builder.on_thread_start(|| {
                // Of this thread alone (setpriority(2), "C library/kernel differences"). It works without as well.
                let _ = rustix::process::setpriority_process(None, NICE);
            });
        }
        let runtime = builder.build()?;
        reserve(&runtime, count);
        Ok(Self(Some(runtime)))
    }

    /// Has the work done when a thread is free; `None` when it was cut off. To be called in the server's runtime.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.begin(work).await.ok()
    }

    /// The same without waiting for it.
    pub fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.0 {
            Some(own) => own.handle().spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Nobody waits for what is still being done.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Threads")
    }
}

fn try_one() -> io::Result<()> {
    let thread = std::thread::Builder::new().spawn(|| ())?;
    let _ = thread.join();
    Ok(())
}

/// Waits until a thread can be made.
fn wait_for_one() -> io::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match try_one() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= give_up => return Err(error),
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}

/// Has the runtime make all its threads; tells how many there are. Each takes one piece of work, and keeps it until all have
/// one, or no more come.
#[expect(
    clippy::disallowed_methods,
    reason = "this is what makes the threads; one can be made, as was just tried"
)]
fn reserve(runtime: &Runtime, wanted: usize) -> usize {
    let begun = Arc::new((Mutex::new((0, false)), Condvar::new()));
    for _ in 0..wanted {
        let begun = begun.clone();
        runtime.spawn_blocking(move || {
            let (state, changed) = &*begun;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 += 1;
            changed.notify_all();
            while !state.1 {
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        });
    }
    let (state, changed) = &*begun;
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let give_up = Instant::now() + INTERVAL * 10;
    while state.0 < wanted {
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    state.1 = true;
    changed.notify_all();
    state.0
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_threads_are_there_from_the_start() {
        let threads = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
            names.filter(|name| name.trim() == NAME).count()
        };
        let runtime = runtime().unwrap();
        assert_eq!(threads(), COUNT);
        let count = Arc::new(Mutex::new(0));
        let work: Vec<_> = (0..4 * COUNT)
            .map(|_| {
                let count = count.clone();
                runtime.spawn_blocking(move || *count.lock().unwrap() += 1)
            })
            .collect();
        runtime.block_on(async {
            for piece in work {
                piece.await.unwrap();
            }
        });
        assert_eq!(*count.lock().unwrap(), 4 * COUNT);
        assert_eq!(threads(), COUNT);
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn one_kind_of_work_waits_for_no_other() {
        let (busy, other) =
            (Threads::new("a", 1, Priority::Low).unwrap(), Threads::new("b", 1, Priority::Normal).unwrap());
        let (release, released) = channel::<()>();
        run(async {
            let first = busy.begin(move || released.recv().is_ok());
            let second = busy.begin(|| 2);
            assert_eq!(other.run(|| 3).await, Some(3));
            assert!(!first.is_finished() && !second.is_finished(), "there is one thread, and it is busy");
            release.send(()).unwrap();
            assert_eq!((first.await.unwrap(), second.await.unwrap()), (true, 2));
        });
    }

    #[test]
    fn nobody_waits_for_them_at_the_end() {
        let threads = Threads::new("a", 1, Priority::Normal).unwrap();
        let (_keep, forever) = channel::<()>();
        let work = threads.begin(move || forever.recv_timeout(Duration::from_secs(3600)).is_ok());
        assert!(!work.is_finished());
        run(async move { drop(threads) });
    }

    #[test]
    fn threads_that_compute_leave_the_processors_to_others() {
        let nice = |priority| {
            let threads = Threads::new("a", 1, priority).unwrap();
            run(threads.run(|| rustix::process::getpriority_process(None).unwrap())).unwrap()
        };
        // The tests themselves may have been started by nice(1).
        let own = rustix::process::getpriority_process(None).unwrap();
        assert_eq!((nice(Priority::Low), nice(Priority::Normal)), (NICE, own));
    }
}
