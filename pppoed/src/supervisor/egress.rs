//! What workers may send: the kernel keeps each to its own session's frames ([`ppp_linux::egress`]). Here is when the
//! filter is put in force, and what follows when a worker tries something else.
//!
//! A worker in its right mind never sends a frame that the filter drops, so one that does is not in its right mind: its
//! session ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ppp_ipc::reason::EndReason;
use ppp_linux::egress::{Dropped, EgressError, EgressFilter, RulesOrigin};
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_linux::packet::{SessionKey, SessionSocket};
use ppp_wire::MacAddr;
use tracing::{info, warn};

use super::reconcile::News;
use super::session::Token;
use super::worker::chain;
use super::{Supervisor, Work};
use crate::config::Config;
use crate::turns;

/// Time between two looks at what was dropped.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Looks after which it is seen whether the filter is still in force everywhere.
const LOOKS_TO_CHECK: u32 = 10;

/// The filter, unless the server goes without.
#[derive(Clone, Debug)]
pub(super) struct Egress {
    filter: Option<Arc<EgressFilter>>,
    /// Not to go without.
    is_required: bool,
}

impl Egress {
    /// Makes the filter, which is in force nowhere yet. `Err` says why there is none, if there has to be one.
    pub(super) fn open(config: &Config) -> Result<Self, EgressError> {
        let is_required = !config.allow_unfiltered_workers;
        if !config.ebpf && !is_required {
            tell_risk("--no-ebpf");
            return Ok(Self { filter: None, is_required });
        }
        let owner = format!("pppoed {}", config.run_dir.display());
        match EgressFilter::open(&owner, config.discovery_ether_type) {
            Ok(filter) => {
                if filter.origin() == RulesOrigin::Lost {
                    info!(
                        "the last pppoed's rules of what workers may send cannot be read (CAP_SYS_ADMIN): new ones"
                    );
                }
                Ok(Self { filter: Some(Arc::new(filter)), is_required })
            }
            Err(error) if is_required => Err(error),
            Err(error) => {
                tell_risk(&chain(&error));
                Ok(Self { filter: None, is_required })
            }
        }
    }

    #[cfg(test)]
    pub(super) fn with(filter: EgressFilter) -> Self {
        Self { filter: Some(Arc::new(filter)), is_required: true }
    }

    #[cfg(test)]
    pub(super) fn without() -> Self {
        Self { filter: None, is_required: false }
    }

    /// Puts the filter in force on an interface that is to be served. May block.
    pub(super) fn attach(&self, interface: &InterfaceId) -> Result<(), EgressError> {
        let Some(filter) = &self.filter else { return Ok(()) };
        match filter.attach(interface) {
            Err(error) if !self.is_required => {
                tell_risk(&chain(&error));
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// As [`Egress::attach`], but if there is a filter whose rules are unknown, that stays for now: sessions
    /// live by it that are not known yet, either.
    pub(super) fn attach_first(&self, interface: &InterfaceId) -> Result<(), EgressError> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let waits = filter.origin() == RulesOrigin::Lost && filter.is_attached(interface).unwrap_or(false);
        if waits { Ok(()) } else { self.attach(interface) }
    }

    /// Marks a session's socket, which nobody has yet, as one whose frames are judged.
    pub(super) fn mark(&self, session_id: u16, socket: &SessionSocket) -> io::Result<()> {
        self.filter.as_ref().map_or(Ok(()), |filter| socket.set_mark(filter.mark(session_id)))
    }

    /// A new session may send its frames.
    pub(super) fn permit(&self, interface: IfIndex, key: &SessionKey) -> io::Result<()> {
        self.filter.as_ref().map_or(Ok(()), |filter| filter.permit(interface, key))
    }

    /// The start failed: what it put in force is taken away, unless sessions live by it.
    pub(super) fn give_up(&self) {
        if self.filter.as_ref().is_some_and(|filter| filter.origin() == RulesOrigin::New) {
            self.clean_up();
        }
    }

    /// All sessions have ended.
    pub(super) fn clean_up(&self) {
        if let Some(Err(error)) = self.filter.as_ref().map(|filter| filter.detach_all()) {
            warn!(reason = chain(&error), "the filter of what workers send stays; it does no harm");
        }
    }

    /// Whether the server was not to go without.
    pub(super) fn is_required(&self) -> bool {
        self.is_required
    }

    pub(super) fn filter(&self) -> Option<&Arc<EgressFilter>> {
        self.filter.as_ref()
    }
}

fn tell_risk(why: &str) {
    warn!(
        reason = why,
        "--allow-unfiltered-workers: a worker that its peer takes over can send any frame on the access interface, in the \
         name of other subscribers and of this server, too"
    );
}

/// What has been seen of the filter's counters.
#[derive(Debug, Default)]
pub(super) struct EgressWatch {
    seen: Dropped,
    looks: u32,
}

impl Supervisor {
    /// Takes note of a session of an earlier `pppoed`, whose socket carries its mark already.
    pub(super) fn readmit(&self, interface: u32, session_id: u16, own: MacAddr, peer: MacAddr) {
        let Some((filter, interface)) = self.egress.filter().zip(IfIndex::new(interface)) else { return };
        let key = SessionKey { ether_type: self.config.session_ether_type, session_id, own, peer };
        if let Err(error) = filter.permit_anew(interface, &key) {
            warn!(session = session_id, %error, "the worker of a session that goes on may not send: its frames are dropped");
        }
    }

    /// A session is over, and its worker gone.
    pub(super) fn forbid(&self, session_id: u16) {
        if let Some(filter) = self.egress.filter() {
            // If it stays, there is no socket with its mark until the next session of this id replaces it.
            let _ = filter.forbid(session_id);
        }
    }

    /// Looks whether frames of workers were dropped, and ends the sessions that they are of.
    pub(super) fn look_at_egress(&mut self) {
        let Some(filter) = self.egress.filter().cloned() else { return };
        self.egress_watch.looks += 1;
        if self.egress_watch.looks.is_multiple_of(LOOKS_TO_CHECK) {
            self.check_egress();
        }
        let Ok(dropped) = filter.dropped() else { return };
        let seen = std::mem::replace(&mut self.egress_watch.seen, dropped);
        if dropped.unknown > seen.unknown {
            let frames = dropped.unknown - seen.unknown;
            warn!(frames, "frames of workers that have no session here (any more) were dropped");
        }
        if dropped.forged == seen.forged {
            return;
        }
        let forgers: Vec<(Token, u64)> = self
            .table
            .iter()
            .filter(|session| session.end.is_none())
            .filter_map(|session| {
                let frames = filter.dropped_of(session.id).ok()??;
                (frames > 0).then_some((session.token, frames))
            })
            .collect();
        for (token, frames) in forgers {
            let detail = format!(
                "the worker sent what is not its session's to send: {frames} frames, which were dropped"
            );
            self.kill(token, EndReason::WorkerCrash, &detail);
            // Whoever has taken it over knows its layout of memory.
            let factory = self.factory.clone();
            turns::spawn("template", async move { factory.renew("a worker did what it must not").await });
        }
    }

    /// Counts what was dropped of a session that is over.
    pub(super) fn count_forged(&mut self, token: Token) {
        let Some(filter) = self.egress.filter() else { return };
        let Some(session) = self.table.get_mut(token) else { return };
        let (access, frames) = (session.access, filter.dropped_of(session.id).ok().flatten().unwrap_or(0));
        if let Some(access) = self.accesses.get_mut(access) {
            access.count_forged(frames);
        }
    }

    /// Puts the filter back in force where somebody has taken it away.
    fn check_egress(&self) {
        let egress = self.egress.clone();
        let interfaces: Vec<InterfaceId> =
            self.accesses.iter().filter_map(|access| Some(access.line()?.0.clone())).collect();
        let work = self.work.clone();
        // The kernel may be busy with many interfaces.
        let checking = tokio::task::spawn_blocking(move || {
            let mut put_back = 0;
            let Some(filter) = egress.filter() else { return put_back };
            for interface in interfaces {
                // An interface that is just going has none.
                if !matches!(filter.is_attached(&interface), Ok(false)) {
                    continue;
                }
                match filter.attach(&interface) {
                    Ok(()) => {
                        put_back += 1;
                        warn!(%interface, "somebody removed the filter of what workers send; it is back");
                    }
                    Err(error) => {
                        warn!(%interface, reason = chain(&error), "the filter of what workers send is gone");
                    }
                }
            }
            put_back
        });
        turns::spawn("egress filter", async move {
            if let Ok(count @ 1..) = checking.await {
                // Fails only when the supervisor is gone.
                let _ = work.send(Work::Reconciled(News::Filters(count))).await;
            }
        });
    }

    /// Replaces filters whose rules are unknown, now that their sessions are known.
    pub(super) fn attach_postponed(&self) -> Result<(), EgressError> {
        if self.egress.filter().is_some_and(|filter| filter.origin() == RulesOrigin::Lost) {
            for (interface, _) in self.accesses.iter().filter_map(|access| access.line()) {
                self.egress.attach(interface)?;
            }
        }
        Ok(())
    }
}
