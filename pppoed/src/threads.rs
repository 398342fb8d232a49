//! Threads for what may block, which are all there from the start.
//!
//! A thread that is made when it is needed may not be had then: a limit of processes (`TasksMax=`, `ulimit -u`) that a fork
//! bomb, a leak or many sessions have used up. tokio makes threads for blocking work on demand, gives them up after ten
//! seconds, and panics if it can have none. So they are made once, before sessions depend on them, and kept.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tracing::warn;

/// Threads for what may block: secrets, and interfaces, of which the kernel changes one at a time. Of more threads most
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
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(COUNT)
        .thread_name(NAME)
        // For ever.
        .thread_keep_alive(Duration::from_secs(u64::from(u32::MAX)))
        .enable_all()
        .build()
        .context("starting")?;
    let count = reserve(&runtime);
    if count < COUNT {
        warn!(
            threads = count,
            wanted = COUNT,
            "not all threads could be made (TasksMax=, ulimit -u): logins and interfaces may have to wait for each other"
        );
    }
    Ok(runtime)
}

/// Waits until a thread can be made.
fn wait_for_one() -> io::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match std::thread::Builder::new().spawn(|| ()) {
            Ok(thread) => {
                let _ = thread.join();
                return Ok(());
            }
            Err(error) if Instant::now() >= give_up => return Err(error),
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}

/// Has the runtime make all its threads; tells how many there are. Each takes one piece of work, and keeps it until all have
/// one, or no more come.
#[expect(
    clippy::disallowed_methods,
    reason = "this is what makes the threads; one can be had, as was just tried"
)]
fn reserve(runtime: &Runtime) -> usize {
    let begun = Arc::new((Mutex::new((0, false)), Condvar::new()));
    for _ in 0..COUNT {
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
    while state.0 < COUNT {
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
}
