//! Reads the lists of MAC addresses again when they change.

use std::rc::Rc;
use std::time::Duration;

use pppoed_config::mac_list::{MacFiles, MacListError, MacRules, NOBODY_ALLOWED, Stamps};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{Supervisor, Work};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Watches the files for ever, beside the event loop, and reads them whenever `at_once` says so. A list that has become
/// faulty changes nothing.
pub(super) async fn watch(files: MacFiles, at_once: Rc<Notify>, work: mpsc::Sender<Work>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The rules were read before the state was, so the first look reads them once more.
    let mut known = Stamps::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = at_once.notified() => known = Stamps::default(),
        }
        let own = files.clone();
        let looking = tokio::task::spawn_blocking(move || look(&own, known));
        let Ok(Some((stamps, loaded))) = looking.await else { continue };
        known = stamps;
        match loaded {
            Ok(rules) => {
                if work.send(Work::MacRules(rules)).await.is_err() {
                    return;
                }
            }
            Err(errors) => {
                for error in &errors {
                    warn!("{error}");
                }
                warn!("keeping the previous lists of MAC addresses until this is corrected");
            }
        }
    }
}

/// The lists, if they have changed.
fn look(files: &MacFiles, known: Stamps) -> Option<(Stamps, Result<MacRules, Vec<MacListError>>)> {
    // Before the reading, so that a change meanwhile is seen the next time.
    let stamps = files.stamps();
    (stamps != known).then(|| (stamps, files.load()))
}

impl Supervisor {
    pub(super) fn handle_mac_rules(&mut self, rules: MacRules) {
        let rules = rules.with_console(self.policy.macs.clone());
        if self.mac_rules != rules {
            let (allowed, denied) = rules.sizes();
            info!(allowed, denied, "lists of MAC addresses changed; open sessions continue");
            if rules.serve_nobody() {
                warn!("{NOBODY_ALLOWED}");
            }
            self.mac_rules = rules;
        }
    }
}
