//! Waiting for a condition with a deadline; the test bed never just sleeps and hopes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;

const STEP: Duration = Duration::from_millis(20);

/// Calls `probe` until it gives a value.
///
/// # Errors
/// The probe's own error, the user's interrupt, or that `limit` passed; `what` names the condition.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        interrupt::check()?;
        if Instant::now() >= deadline {
            bail!("waited {:.1} s in vain for {what}", limit.as_secs_f32());
        }
        thread::sleep(STEP);
    }
}

/// As [`until`], for a condition without a value.
///
/// # Errors
/// As [`until`].
pub(crate) fn until_true(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, limit, || Ok(probe()?.then_some(())))
}
