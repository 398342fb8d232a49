//! Ctrl-C and SIGTERM end a run through the ordinary error path, so that every guard cleans up after itself.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Signals that come so soon after the first are the same wish: a process whose parent dies hears of it once for each of the parent's
/// threads (`PR_SET_PDEATHSIG`).
const ONE_WISH: Duration = Duration::from_millis(500);

/// Starts the thread that watches for SIGINT and SIGTERM. The second signal ends the process at once.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub(crate) fn install() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let watch = move || {
        runtime.block_on(async move {
            let mut first = None;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if INTERRUPTED.swap(true, Ordering::SeqCst) {
                    if first.is_none_or(|first: Instant| first.elapsed() > ONE_WISH) {
                        process::exit(130);
                    }
                    continue;
                }
                first = Some(Instant::now());
                eprintln!("testbed: interrupted, cleaning up (once more to leave at once)");
            }
        });
    };
    thread::Builder::new().name("signals".into()).spawn(watch).context("signal thread")?;
    Ok(())
}

/// Says whether the user asked to stop.
pub(crate) fn requested() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// # Errors
/// When the user asked to stop.
pub(crate) fn check() -> Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}
