//! A worker comes back: whether it is believed, and what happens to its session.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ppp_ipc::adoption::{MIN_VERSION, Returning as Claimed, Welcome};
use ppp_ipc::control::Traffic;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::VERSION;
use ppp_linux::counters::SharedCounters;
use ppp_linux::pidfd::{PidFd, start_time};
use ppp_session::session::{End, Event, Standing};
use ppp_wire::causes::chain;
use pppoed_state::known::Known;
use subtle::ConstantTimeEq;
use tracing::{info, warn};

use super::restore::apply;
use super::store::Kept;
use super::{Arrival, Expected, Process, Stranger};
use crate::message::{COUNTERS_STAY, SESSION_LOST, SESSION_TAKEN_OVER};
use crate::supervisor::Supervisor;
use crate::supervisor::ipv6;
use crate::supervisor::messages::{NOT_ITS_END, is_workers_own};
use crate::supervisor::session::{Session, Token};
use crate::supervisor::session_log::about;
use crate::supervisor::worker::{Gone, kill};
use crate::text::printable;

/// A claim that is believed.
struct Believed {
    known: Known,
    process: PidFd,
}

impl Supervisor {
    /// Takes over what lies in the run directory: the numbers, addresses and interfaces of these sessions are theirs before
    /// anybody can ask for them. Those whose workers are gone end here.
    pub(in super::super) fn restore_kept(&mut self, now: Instant) {
        let (mut expected, mut gone) = (0, 0);
        let all: Vec<(Kept, Result<Known, String>)> = std::mem::take(&mut self.adoption.kept)
            .into_iter()
            .map(|kept| {
                let known = Known::parse(&kept.ticket.record).map_err(|error| chain(&error));
                (kept, known)
            })
            .collect();
        // A number is given again when its process is gone: of several records, the last one may be of a process that lives.
        let mut latest: HashMap<u32, u64> = HashMap::new();
        for (_, known) in &all {
            let Ok(Known { process: (pid, started), .. }) = known else { continue };
            let last = latest.entry(*pid).or_default();
            *last = (*last).max(*started);
        }
        for (kept, known) in all {
            let session_id = kept.session_id;
            let restored = known.and_then(|known| {
                let (pid, started) = known.process;
                let may_have_another_time = latest.get(&pid) == Some(&started);
                self.restore_one(kept, known, may_have_another_time, now)
            });
            match restored {
                Ok(true) => expected += 1,
                Ok(false) => gone += 1,
                Err(why) => {
                    warn!(name: SESSION_LOST.name, session = session_id, reason = why, "{}", SESSION_LOST.words);
                    if let Some(store) = &self.adoption.store {
                        store.forget(session_id);
                    }
                }
            }
        }
        if expected + gone > 0 {
            info!(expected, gone, "sessions of the last pppoed");
        }
    }

    /// True if its worker lives.
    fn restore_one(
        &mut self,
        kept: Kept,
        mut known: Known,
        may_have_another_time: bool,
        now: Instant,
    ) -> Result<bool, String> {
        let Kept { ticket, traffic, .. } = kept;
        let process = known.process;
        match find(process, may_have_another_time.then_some(&self.adoption.root)) {
            Some((descriptor, shift)) => {
                known.shift_clock(shift);
                let token = self.restore_or_kill(known, descriptor, traffic, now)?;
                self.adoption.expected.insert(process, Expected { token, ticket });
                Ok(true)
            }
            None => {
                let token = self.restore(known, None, traffic, now)?;
                self.adoption.expected.insert(process, Expected { token, ticket });
                self.finish(token, Gone(None), now);
                Ok(false)
            }
        }
    }

    /// Makes a session of what is known of it, or ends it at once: nobody could.
    fn restore_or_kill(
        &mut self,
        known: Known,
        process: PidFd,
        traffic: Traffic,
        now: Instant,
    ) -> Result<Token, String> {
        let other = process.duplicate().map_err(|error| error.to_string())?;
        self.restore(known, Some(process), traffic, now).inspect_err(|_| kill(&other))
    }

    /// A worker says that it has a session.
    pub(in super::super) fn handle_arrival(&mut self, arrival: Arrival, now: Instant) {
        let Arrival { claim, pid, process, stream } = arrival;
        if claim.version < MIN_VERSION && self.end_outdated(&claim) {
            return;
        }
        let Believed { known, process } = match self.believe(&claim, pid, process) {
            Ok(believed) => believed,
            Err(why) => {
                let pid = i32::try_from(pid).unwrap_or(0);
                return self.handle_stranger(&Stranger { pid, why, is_excess: false }, now);
            }
        };
        let counters = process
            .duplicate_descriptor(claim.counters)
            .map_err(|error| chain(&error))
            .and_then(|file| SharedCounters::from_fd(file).map_err(|error| chain(&error)));
        let access_index = known.access_index;
        let ending = known.changes.ending.clone();
        let token = match self.adoption.expected.remove(&known.process) {
            Some(Expected { token, .. }) => {
                if let Some(session) = self.table.get_mut(token)
                    && session.record_serial < known.changes.serial
                {
                    apply(known.changes, session);
                }
                token
            }
            None => {
                let session_id = known.session_id;
                match self.restore_or_kill(known, process, Traffic::default(), now) {
                    Ok(token) => token,
                    Err(why) => {
                        warn!(
                            name: SESSION_LOST.name,
                            session = session_id,
                            worker_pid = pid,
                            reason = why,
                            "{}",
                            SESSION_LOST.words
                        );
                        return;
                    }
                }
            }
        };
        let farewell = self.is_unserved(token);
        if let Some(session) = self.table.get_mut(token) {
            session.worker.attach(stream, Welcome::Adopted { version: VERSION, farewell }, claim.version);
            match counters {
                Ok(counters) => session.counters = Some(counters),
                Err(why) => about!(warn, COUNTERS_STAY, session, reason = why),
            }
            session.note("taken over from another pppoed", now);
            session.is_taken_over = true;
            about!(info, SESSION_TAKEN_OVER, session);
        }
        if let Some((reason, detail)) = ending {
            self.terminate(token, reason, &detail, now);
        }
        self.resume(token, *claim, now);
        self.check_access(token, access_index, now);
    }

    /// Somebody called on the workers' socket and was not believed. A worker that is not lost has no business there, and neither
    /// has a lost one that calls all the time: it is not the one that was started.
    pub(in super::super) fn handle_stranger(&mut self, stranger: &Stranger, now: Instant) {
        let Stranger { pid, why, is_excess } = stranger;
        if let Some(more) = self.adoption.strangers.count(now) {
            warn!(pid, reason = why, more, "connection to the worker socket refused");
        }
        let is_it =
            |session: &&Session| u32::try_from(*pid).is_ok_and(|pid| pid > 0 && session.worker_pid == pid);
        let Some(token) = self.table.iter().find(is_it).map(|session| session.token) else { return };
        if *is_excess || !self.adoption.is_expected(token) {
            let detail = format!("unexpected connection of a worker to the worker socket: {why}");
            self.kill(token, EndReason::WorkerCrash, &detail);
        }
    }

    /// Ends the session of a worker that is too old to be taken over. False if its record is not known here: then it ends by itself.
    fn end_outdated(&mut self, claim: &Claimed) -> bool {
        let ticket = &claim.ticket;
        let is_its = |expected: &&Expected| {
            expected.ticket.record == ticket.record && bool::from(expected.ticket.tag.ct_eq(&ticket.tag))
        };
        let Some(token) = self.adoption.expected.values().find(is_its).map(|expected| expected.token) else {
            return false;
        };
        let detail = format!(
            "it was begun by an earlier version, whose sessions are not taken over (worker protocol {}, {MIN_VERSION} or more is needed)",
            claim.version
        );
        self.kill(token, EndReason::Shutdown, &detail);
        true
    }

    /// Whether a claim is what it says: written by a `pppoed` here, for this very process, and not in use.
    fn believe(&self, claim: &Claimed, pid: u32, process: PidFd) -> Result<Believed, String> {
        if !(MIN_VERSION..=VERSION).contains(&claim.version) {
            return Err(format!("it has version {} of the worker protocol", claim.version));
        }
        let ticket = &claim.ticket;
        let is_kept = || {
            self.adoption.expected.values().any(|expected| {
                expected.ticket.record == ticket.record && bool::from(expected.ticket.tag.ct_eq(&ticket.tag))
            })
        };
        if !self.adoption.key.verify(&ticket.record, &ticket.tag) && !is_kept() {
            return Err("its record is not ours".to_owned());
        }
        let mut known = Known::parse(&ticket.record).map_err(|error| chain(&error))?;
        if known.process.0 != pid {
            return Err("its record is of another worker".to_owned());
        }
        // Its record was given to nobody but the process that it names, and cannot be had from there. When that was started is
        // the same number for as long as clocks are: not in another time namespace.
        known.shift_clock(start_time(pid).map_or(0, |seen| shift(known.process.1, seen)));
        if !self.adoption.expected.contains_key(&known.process) {
            let session = self.table.iter().find(|session| session.process() == Some(known.process));
            if let Some(session) = session {
                return Err(format!("its session {} is not lost", session.id));
            }
        }
        Ok(Believed { known, process })
    }

    /// Whether we cannot send anything on its access interface.
    fn is_unserved(&mut self, token: Token) -> bool {
        let access = self.table.get_mut(token).map(|session| session.access);
        access.is_none_or(|access| self.accesses.get(access).is_none())
    }

    /// Goes on where the session stands now.
    fn resume(&mut self, token: Token, claim: Claimed, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if let Some(ended) = claim.ended {
            if !session.machine.is_ending() && !is_workers_own(ended.reason, true) {
                let detail = format!("the worker broke the rules: {NOT_ITS_END}");
                return self.kill(token, EndReason::WorkerCrash, &detail);
            }
            session.note(format!("ended without pppoed: {}", ended.reason), now);
            let end = End::new(ended.reason, printable(&ended.detail));
            self.advance_any(token, Event::WorkerEnded(end), now);
            return;
        }
        if session.machine.is_ending() {
            // It was told to end before it was back, and is being told now.
            return;
        }
        let granted = session.network.map(|network| (network.local, network.remote));
        let has_other_addresses =
            claim.network.is_some_and(|report| granted != Some((report.local, report.remote)));
        let told = session.ipv6;
        let violation = match claim.ipv6.map(|report| ipv6::check(told, report)) {
            Some(Err(violation)) => Some(violation),
            _ if has_other_addresses => Some("its IPCP is open with other addresses than it was given"),
            _ => None,
        };
        if let Some(violation) = violation {
            let detail = format!("the worker broke the rules: {violation}");
            return self.kill(token, EndReason::WorkerCrash, &detail);
        }
        session.ip_open = claim.network.is_some();
        session.ipv6_open = claim.ipv6;
        self.hold_back(token);
        let Some(session) = self.table.get_mut(token) else { return };
        if session.ip_open || session.ipv6_open.is_some() {
            self.advance_any(token, Event::Resumed(Standing::Admitted), now);
            return self.configure(token, now);
        }
        let standing = match claim.lcp.is_some() && claim.authenticated {
            true => Standing::Admitted,
            false => Standing::Down,
        };
        self.advance_any(token, Event::Resumed(standing), now);
        let Some(report) = claim.lcp else { return };
        match claim.authenticated {
            // The user is who the record says: it cannot change in a session.
            true => {
                if let Some(session) = self.table.get_mut(token) {
                    session.lcp = Some(report);
                }
            }
            false => {
                if let Err(violation) = self.handle_lcp_opened(token, report, now) {
                    let detail = format!("the worker broke the rules: {violation}");
                    self.kill(token, EndReason::WorkerCrash, &detail);
                }
            }
        }
    }

    /// The access interface may have gone, or become another one, meanwhile.
    fn check_access(&mut self, token: Token, index: u32, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        let name = session.access_name.clone();
        let Some(access) = self.accesses.get(session.access) else {
            let detail = format!("{name} is not served any more (-I)");
            return self.terminate(token, EndReason::InterfaceGone, &detail, now);
        };
        let detail = match access.line() {
            None => {
                session.peer_knows = true;
                format!("{name} is gone")
            }
            Some((id, _)) if id.index.get() != index => {
                session.peer_knows = true;
                format!("{name} is another interface than it was")
            }
            Some((_, mac)) if mac != session.own_mac => {
                format!("the MAC address of {name} changed from {} to {mac}", session.own_mac)
            }
            Some(_) => return,
        };
        self.kill(token, EndReason::InterfaceGone, &detail);
    }
}

/// The process of this name, if it still lives, and by how many ticks clocks have moved since it got the name. One that seems to have been
/// started at another time is the one, too, if it has the workers' `root`: that is nobody else's.
pub(super) fn find((pid, started): Process, root: Option<&PathBuf>) -> Option<(PidFd, i64)> {
    let process = PidFd::open(pid).ok()?;
    // Looked at while the descriptor holds the process: if that lives, the time and the root are its own.
    let seen = start_time(pid).ok()?;
    let is_it = seen == started || root.is_some_and(|root| has_root(pid, root).unwrap_or(false));
    (is_it && !process.has_ended().ok()?).then_some((process, shift(started, seen)))
}

fn shift(started: u64, seen: u64) -> i64 {
    seen.cast_signed().wrapping_sub(started.cast_signed())
}

fn has_root(pid: u32, root: &Path) -> io::Result<bool> {
    let file = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    Ok(file(&Path::new("/proc").join(pid.to_string()).join("root/"))? == file(root)?)
}
