//! What a service manager is told: that the server listens, that it stops, and that its event loop is alive.
//!
//! The protocol is sd_notify(3); without `NOTIFY_SOCKET` in the environment nothing is sent.

use std::future::pending;
use std::io;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::warn;

/// Says that the interfaces are served (`Type=notify`), and how the server is, as [`status`] does: in one message, so that
/// nobody sees a server that is ready and not yet said to be degraded.
pub(crate) fn ready(sessions: usize, problems: &[String]) {
    let status = status_text(sessions, problems);
    tell(sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]));
}

/// Says how the server is: what does not work, in one line, or that all does.
pub(crate) fn status(sessions: usize, problems: &[String]) {
    tell(sd_notify::notify(&[NotifyState::Status(&status_text(sessions, problems))]));
}

fn status_text(sessions: usize, problems: &[String]) -> String {
    match problems {
        [] => format!("Serving up to {sessions} sessions"),
        problems => format!("Degraded: {}", problems.join("; ")),
    }
}

/// Says that the server ends by itself.
pub fn stopping() {
    tell(sd_notify::notify(&[NotifyState::Stopping]));
}

fn tell(sent: io::Result<()>) {
    if let Err(error) = sent {
        warn!(%error, "cannot notify the service manager");
    }
}

/// The reminder to show a sign of life: twice in the time after which systemd takes the server for dead (`WatchdogSec=`).
///
/// The event loop owns it, so that a loop that hangs shows none.
#[derive(Debug)]
pub(crate) struct Watchdog {
    interval: Option<Interval>,
}

impl Watchdog {
    /// The watchdog that the environment asks for, if it does. Must be called in a runtime.
    pub(crate) fn from_environment() -> Self {
        let interval = sd_notify::watchdog_enabled().map(|limit| {
            let mut interval = interval((limit / 2).max(std::time::Duration::from_millis(1)));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { interval }
    }

    /// Waits until the next sign of life is due; for ever if nobody looks.
    pub(crate) async fn due(&mut self) {
        match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
            }
            None => pending().await,
        }
    }

    /// Shows the sign of life.
    pub(crate) fn show(&self) {
        tell(sd_notify::notify(&[NotifyState::Watchdog]));
    }
}
