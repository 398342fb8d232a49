//! What a service manager is told: that the server listens, that it stops, and that its event loop is alive.
//!
//! The protocol is sd_notify(3); without `NOTIFY_SOCKET` in the environment nothing is sent.

use std::future::pending;
use std::io;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::warn;

/// Says that the interfaces are served (`Type=notify`). `sessions` is how many there may be, for `systemctl status`.
pub fn ready(sessions: usize) {
    let status = format!("Serving up to {sessions} sessions");
    tell(sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]));
}

/// Says that the server ends by itself.
pub fn stopping() {
    tell(sd_notify::notify(&[NotifyState::Stopping]));
}

fn tell(sent: io::Result<()>) {
    if let Err(error) = sent {
        warn!(%error, "cannot tell the service manager");
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
