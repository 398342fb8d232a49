//! Sessions are compared with what the kernel has of them, soon after the start and then every `--reconcile-interval` seconds: their
//! interfaces and routes ([`interfaces`]), and their places in the maps of the kernel's programs ([`programs`]). Workers and records are compared
//! in `adopt/guard.rs`, at the same interval. What differs is put right, logged and counted (`pppoed_repaired`): whatever the
//! cause was, it should not last until the next restart.
//!
//! What hooks made is theirs to compare: the scripts that ship do so every minute, and count with `log.repaired`.

mod interfaces;
mod programs;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ppp_ipc::reason::EndReason;
use tracing::warn;

use self::interfaces::{Outcome, Settings};
use self::programs::{PlaceOf, Programs};
use super::network::Given;
use super::session::{Session, Token};
use super::session_log::about;
use super::{Supervisor, Work};
use crate::log_limit::LogLimit;
use crate::message::{LEFTOVER_REMOVED, SESSION_REPAIRED};
use crate::turns;

/// Time from the start to the first comparison: what is taken over is complete by then.
const FIRST: Duration = Duration::from_secs(15);

/// When what is compared, and what was found the last time.
#[derive(Debug)]
pub(super) struct Reconciliation {
    next: Instant,
    is_running: bool,
    /// Devices in the maps without a session that were seen the last time. One that is seen twice is no session that is just ending.
    unknown_devices: BTreeSet<u32>,
    /// Lines about what could not be put right.
    failed: LogLimit,
}

impl Reconciliation {
    /// None yet.
    pub(super) fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self {
            next: now + interval.map_or(FIRST, |interval| interval.min(FIRST)),
            is_running: false,
            unknown_devices: BTreeSet::new(),
            failed: LogLimit::default(),
        }
    }
}

/// What came of comparing.
#[derive(Debug)]
pub(super) enum News {
    /// All were looked at; none: that was cut off.
    Surveyed(Option<Survey>),
    /// An interface was put right, or not; none: that was cut off.
    Interface(Token, Option<(Given, Outcome)>),
}

/// What was found to differ.
#[derive(Debug)]
pub(super) struct Survey {
    /// Sessions whose interfaces are not as they were set up, and how they were.
    interfaces: Vec<(Token, Settings)>,
    programs: Programs,
}

impl Supervisor {
    /// When [`Supervisor::reconcile`] has something to do.
    pub(super) fn next_reconciliation(&self) -> Option<Instant> {
        let is_on = self.reloads.current.config.limits.reconcile.is_some();
        (is_on && !self.reconciliation.is_running).then_some(self.reconciliation.next)
    }

    /// Begins a comparison if one is due.
    pub(super) fn reconcile(&mut self, now: Instant) {
        let Some(interval) = self.reloads.current.config.limits.reconcile else { return };
        // It may be shorter since a reload.
        self.reconciliation.next = self.reconciliation.next.min(now + interval);
        if self.reconciliation.is_running || self.reconciliation.next > now {
            return;
        }
        self.reconciliation.next = now + interval;
        self.reconciliation.is_running = true;
        let looks: Vec<interfaces::Look> = self
            .table
            .iter()
            .filter(|session| is_settled(session))
            .filter_map(interfaces::Look::new)
            .collect();
        let places: Vec<PlaceOf> = self.table.iter().filter_map(place_of).collect();
        let devices = self.devices.clone();
        let work = self.work.clone();
        turns::spawn("reconciliation", async move {
            let looking = tokio::task::spawn_blocking(move || Survey {
                interfaces: interfaces::survey(looks),
                programs: programs::compare(&devices, &places),
            });
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Reconciled(News::Surveyed(looking.await.ok()))).await;
        });
    }

    pub(super) fn handle_reconciled(&mut self, news: News, now: Instant) {
        match news {
            News::Surveyed(survey) => {
                self.reconciliation.is_running = false;
                let Some(Survey { interfaces, programs }) = survey else { return };
                for (token, settings) in interfaces {
                    self.repair_interface(token, settings);
                }
                self.repair_maps(programs);
            }
            News::Interface(token, outcome) => self.handle_repaired(token, outcome, now),
        }
    }

    /// Has it put right beside the event loop. [`Session::given`] is away meanwhile, so nothing else configures it.
    fn repair_interface(&mut self, token: Token, settings: Settings) {
        let Some(session) = self.table.get_mut(token).filter(|session| is_settled(session)) else { return };
        let Some(tun) = session.tun.clone() else { return };
        // It may have been configured anew since it was looked at.
        let Some(given) = session.given.take_if(|given| Settings::of(given) == Some(settings.clone())) else {
            return;
        };
        let work = self.work.clone();
        turns::spawn("reconciliation", async move {
            let repairing = tokio::task::spawn_blocking(move || {
                let outcome = interfaces::repair(&tun, &settings);
                (given, outcome)
            });
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Reconciled(News::Interface(token, repairing.await.ok()))).await;
        });
    }

    fn handle_repaired(&mut self, token: Token, outcome: Option<(Given, Outcome)>, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        let Some((given, outcome)) = outcome else {
            return self.terminate(
                token,
                EndReason::SystemError,
                "putting its interface right was cut off",
                now,
            );
        };
        session.given = Some(given);
        match outcome {
            Outcome::Repaired(kinds) => {
                for kind in kinds {
                    session.note(format!("{kind}: it was not as it should be, and was put right"), now);
                    about!(warn, SESSION_REPAIRED, session, kind = kind);
                    self.repaired.count(kind);
                }
            }
            Outcome::Gone => {
                return self.terminate(token, EndReason::DeviceGone, "its interface is gone", now);
            }
            Outcome::Failed(reason) => {
                if let Some(more) = self.reconciliation.failed.count(now) {
                    warn!(
                        session = session.id,
                        ifname = session.ifname,
                        reason,
                        more,
                        "unexpected state of a session interface"
                    );
                }
            }
        }
        // A network protocol may have opened meanwhile.
        self.configure(token, now);
    }

    fn repair_maps(&mut self, programs: Programs) {
        let Programs { missing, unknown } = programs;
        for token in missing {
            let Some(session) = self.table.get(token).filter(|session| is_settled(session)) else { continue };
            if self.readmit(session) {
                about!(warn, SESSION_REPAIRED, session, kind = "rule");
                self.repaired.count("rule");
            }
        }
        // One that is just being made is in the maps before its interface is known here.
        let is_starting = self.table.iter().any(|session| session.tun.is_none());
        let unknown = if is_starting { BTreeSet::new() } else { unknown };
        let stale: BTreeSet<u32> =
            unknown.intersection(&self.reconciliation.unknown_devices).copied().collect();
        self.reconciliation.unknown_devices = unknown;
        self.count_removed("rule", stale.len());
        if let Some(programs) = self.devices.programs().cloned().filter(|_| !stale.is_empty()) {
            // What cannot be removed is seen again.
            tokio::task::spawn_blocking(move || drop(programs.prune(|device| !stale.contains(&device))));
        }
    }

    /// So many of this kind were there of sessions that are over, and are gone.
    pub(super) fn count_removed(&mut self, kind: &'static str, count: usize) {
        if count > 0 {
            warn!(name: LEFTOVER_REMOVED.name, kind, count, "{}", LEFTOVER_REMOVED.words);
            self.repaired.count_many(kind, u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}

fn place_of(session: &Session) -> Option<PlaceOf> {
    let (device, line) = (session.tun.as_ref()?.index, session.line?);
    Some(PlaceOf { token: session.token, is_settled: is_settled(session), device, line })
}

/// Whether a session is as it is for longer: neither beginning nor ending.
fn is_settled(session: &Session) -> bool {
    session.machine.opened().is_some() && !session.machine.is_ending()
}
