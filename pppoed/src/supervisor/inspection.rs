//! Open sessions are looked at again and again, beside the event loop: whether what protects them is still in force, and what the
//! kernel has counted of their traffic, which no worker can change.
//!
//! The kernel's counters are a second opinion on everything that would otherwise be a worker's word: what a session has carried
//! (`maxoctets` has looks of its own: `quota.rs`) and whether it keeps its `rate-up`. A worker in its right mind hands the
//! kernel no more than its rate, and claims what it carried, so one that does not has been taken over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ppp_ipc::control::Traffic;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::Rates;
use ppp_linux::net_dev;
use ppp_wire::causes::chain;
use pppoed_config::flags::MissingProtection;
use tracing::debug;

use super::protections::{Look, Protection, Repair, State};
use super::quota::tell_if_doubtful;
use super::session::{Session, Token};
use super::session_log::about;
use super::{Supervisor, Work};
use crate::message::{PROTECTION_MISSING, PROTECTION_RESTORED};
use crate::turns;

/// Time between two looks at the traffic of all sessions.
const INTERVAL: Duration = Duration::from_secs(10);
/// Time between two lines about a protection that is missing.
const SILENCE: Duration = Duration::from_secs(3600);
/// Sessions whose protections are looked at in one go: each costs some 0.2 ms of another processor.
const MAX_LOOKS: usize = 1024;
/// Bytes that a worker may hand over beyond its rate between two looks: what had queued, and a tenth for clocks.
const RATE_TOLERANCE: u64 = 2 << 20;

/// What was seen of a session's traffic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) traffic: Traffic,
    at: Instant,
    /// The limits that its worker had then.
    rates: Rates,
}

impl Seen {
    /// Of an interface that was just made.
    pub(super) fn nothing(rates: Rates, now: Instant) -> Self {
        Self { traffic: Traffic::default(), at: now, rates }
    }

    /// How many bytes of the peer an honest worker has handed over at the most since this look; none if there was no limit
    /// throughout.
    fn most_rx_bytes(&self, rates: Rates, now: Instant) -> Option<u64> {
        if self.rates != rates || rates.up == 0 {
            return None;
        }
        let milliseconds = u64::try_from(now.saturating_duration_since(self.at).as_millis()).ok()?;
        // kbit/s are bits in a millisecond.
        let bytes = u64::from(rates.up).saturating_mul(milliseconds) / 8;
        Some(
            bytes
                .saturating_add(bytes / 10)
                .saturating_add(rates.burst.into())
                .saturating_add(RATE_TOLERANCE),
        )
    }
}

/// When what is looked at, and what was said of it.
#[derive(Debug)]
pub(super) struct Inspections {
    next: Instant,
    is_running: bool,
    /// The session whose protections were looked at last.
    last: Token,
    /// When which protection was said to be missing.
    told: HashMap<&'static str, Instant>,
}

impl Inspections {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + INTERVAL, is_running: false, last: Token(0), told: HashMap::new() }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        (!self.is_running).then_some(self.next)
    }

    /// Whether a line is due about this protection.
    fn is_news(&mut self, what: &'static str, now: Instant) -> bool {
        let is_silent =
            self.told.get(what).is_some_and(|told| now.saturating_duration_since(*told) < SILENCE);
        if !is_silent {
            self.told.insert(what, now);
        }
        !is_silent
    }
}

/// What came of looking.
#[derive(Debug)]
pub(super) struct Inspected {
    protections: Vec<(Token, Vec<Protection>)>,
    /// By name of the interface.
    traffic: HashMap<String, Traffic>,
    at: Instant,
}

impl Supervisor {
    /// Everything that is to be looked at of a session.
    pub(super) fn look_at(&self, session: &Session) -> Look {
        let line = self.accesses.get(session.access).and_then(|access| access.line());
        Look::new(session, line.map(|(interface, _)| interface), &self.devices)
    }

    pub(super) fn handle_inspections(&mut self, now: Instant) {
        if self.inspections.is_running || self.inspections.next > now {
            return;
        }
        self.inspections.next = now + INTERVAL;
        if self.table.is_empty() {
            return;
        }
        self.inspections.is_running = true;
        let looks = self.next_looks();
        let work = self.work.clone();
        turns::spawn("protections", async move {
            let inspecting = tokio::task::spawn_blocking(move || inspect(looks));
            let inspected = inspecting.await.ok();
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Inspected(inspected)).await;
        });
    }

    /// The sessions whose protections are looked at this time: after `--protection-check` seconds, all were.
    fn next_looks(&mut self) -> Vec<(Token, Look)> {
        let Some(interval) = self.reloads.current.config.limits.protection_check else { return Vec::new() };
        let open = |session: &&Session| session.machine.opened().is_some() && !session.machine.is_ending();
        let mut tokens: Vec<Token> = self.table.iter().filter(open).map(|session| session.token).collect();
        tokens.sort_unstable();
        let rounds = usize::try_from(interval.as_secs() / INTERVAL.as_secs()).unwrap_or(usize::MAX).max(1);
        let count = tokens.len().div_ceil(rounds).min(MAX_LOOKS);
        let begin = tokens.partition_point(|token| *token <= self.inspections.last);
        tokens.rotate_left(begin);
        tokens.truncate(count);
        self.inspections.last = tokens.last().copied().unwrap_or(self.inspections.last);
        let look = |token: Token| Some((token, self.look_at(self.table.get(token)?)));
        tokens.into_iter().filter_map(look).collect()
    }

    pub(super) fn handle_inspected(&mut self, inspected: Option<Inspected>, now: Instant) {
        self.inspections.is_running = false;
        let Some(Inspected { protections, traffic, at }) = inspected else { return };
        for (token, protections) in protections {
            if let Some(why) = self.judge_protections(token, &protections, now) {
                self.terminate(token, EndReason::SystemError, &why, now);
            }
        }
        for token in self.table.tokens() {
            let Some(session) = self.table.get_mut(token) else { continue };
            let Some(counted) = traffic.get(&session.ifname).copied() else { continue };
            self.compare_traffic(token, counted, at);
        }
    }

    /// Compares what a worker claims, and may carry, with what the kernel counted.
    fn compare_traffic(&mut self, token: Token, counted: Traffic, at: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.machine.opened().is_none_or(|opened| opened > at) || session.machine.is_ending() {
            return;
        }
        let rates = session.sent_rates.unwrap_or_default();
        let before = session.seen.replace(Seen { traffic: counted, at, rates });
        let is_news = tell_if_doubtful(session, &counted);
        let excess = before.and_then(|before| {
            let most = before.most_rx_bytes(rates, at)?;
            let carried = counted.rx_bytes.saturating_sub(before.traffic.rx_bytes);
            (carried > most).then_some((carried, at.saturating_duration_since(before.at)))
        });
        if is_news {
            self.keep_record(token);
        }
        if let Some((bytes, time)) = excess {
            let detail = format!(
                "the worker does not keep rate-up {} kbit/s: it handed over {bytes} bytes of its peer in {} s",
                rates.up,
                time.as_secs()
            );
            self.kill(token, EndReason::WorkerCrash, &detail);
            // Whoever has taken it over knows its layout of memory.
            let factory = self.factory.clone();
            turns::spawn("template", async move { factory.renew("a worker did what it must not").await });
        }
    }

    /// Notes what is missing of a session's protections, and what was put back. `Some` says why the session has to end.
    pub(super) fn judge_protections(
        &mut self,
        token: Token,
        protections: &[Protection],
        now: Instant,
    ) -> Option<String> {
        let action = self.reloads.current.config.limits.missing_protection;
        let session = self.table.get_mut(token)?;
        let mut why_not = None;
        for protection in protections {
            let what = protection.what;
            match &protection.state {
                State::InForce | State::Waived(_) | State::Unknown => {
                    session.missing.remove(what);
                }
                State::PutBack => {
                    // When it is configured first, everything is put in force.
                    if session.machine.opened().is_some() {
                        session.note(format!("{what}: it was missing, and is in force again"), now);
                        about!(warn, PROTECTION_RESTORED, session, protection = what);
                        self.repaired.count("protection");
                    }
                    session.missing.remove(what);
                }
                State::Missing(why) => {
                    let shown = protection.to_string();
                    if session.missing.insert(what) {
                        session.note(shown.clone(), now);
                    }
                    if self.inspections.is_news(what, now) {
                        about!(
                            warn,
                            PROTECTION_MISSING,
                            session,
                            protection = what,
                            reason = why.as_deref().unwrap_or("it is not in force")
                        );
                    }
                    why_not.get_or_insert(shown);
                }
            }
        }
        why_not
            .filter(|_| action == MissingProtection::Refuse)
            .map(|shown| format!("{shown} (--missing-protection refuse)"))
    }
}

/// Runs where it may block.
fn inspect(looks: Vec<(Token, Look)>) -> Inspected {
    let at = Instant::now();
    let traffic = net_dev::traffic().unwrap_or_else(|error| {
        debug!(reason = chain(&error), "no second opinion on the sessions' traffic");
        HashMap::new()
    });
    let traffic = traffic.into_iter().map(|(name, counted)| {
        let net_dev::Counted { rx_bytes, rx_packets, tx_bytes, tx_packets } = counted;
        (name, Traffic { rx_bytes, rx_packets, tx_bytes, tx_packets })
    });
    let traffic = traffic.collect();
    let protections = looks.into_iter().map(|(token, look)| (token, look.take(Repair::Yes)));
    Inspected { protections: protections.collect(), traffic, at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(up: u32) -> Rates {
        Rates { down: 0, up, burst: 1000 }
    }

    #[test]
    fn what_an_honest_worker_hands_over_at_the_most() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let seen = Seen::nothing(rates(8000), begin);
        // A million bytes a second.
        assert_eq!(seen.most_rx_bytes(rates(8000), after(10)), Some(11_000_000 + 1000 + RATE_TOLERANCE));
        assert_eq!(seen.most_rx_bytes(rates(8000), begin), Some(1000 + RATE_TOLERANCE));
        assert_eq!(seen.most_rx_bytes(rates(4000), after(10)), None, "it was changed meanwhile");
        assert_eq!(Seen::nothing(rates(0), begin).most_rx_bytes(rates(0), after(10)), None);
        let fastest = Seen::nothing(rates(u32::MAX), begin);
        assert!(fastest.most_rx_bytes(rates(u32::MAX), after(100 * 365 * 86400)).is_some());
    }

    #[test]
    fn a_protection_is_told_of_once_an_hour() {
        let now = Instant::now();
        let mut inspections = Inspections::new(now);
        assert!(inspections.is_news("x", now) && inspections.is_news("y", now));
        assert!(!inspections.is_news("x", now + SILENCE / 2));
        assert!(inspections.is_news("x", now + SILENCE));
    }
}
