//! Answers to the console.

use std::time::Instant;

use ppp_ipc::control::{Failure, Phase, Request, Response, Selector, ServerStats, SessionSummary};
use ppp_ipc::reason::EndReason;
use tracing::info;

use super::Supervisor;
use crate::control::{Call, Caller};

/// Sessions in one response, so that it fits into a frame whatever the names.
const SESSIONS_PER_RESPONSE: usize = 32;

impl Supervisor {
    pub(super) fn handle_call(&mut self, call: Call, now: Instant) {
        let responses = match call.request {
            Request::ShowSessions => {
                let summaries: Vec<SessionSummary> =
                    self.table.iter().map(|session| session.summary(now)).collect();
                summaries
                    .chunks(SESSIONS_PER_RESPONSE)
                    .map(|chunk| Response::Sessions(chunk.to_vec()))
                    .collect()
            }
            Request::ShowSession { id } => vec![match self.table.by_id(id) {
                Some(session) => Response::Session(Box::new(session.detail(now))),
                None => Response::Failed(Failure::NoSuchSession),
            }],
            Request::ShowStats => vec![Response::Stats(Box::new(self.server_stats(now)))],
            Request::Drain { on } => vec![self.set_drain(on, call.caller)],
            Request::Shutdown(how) => vec![self.shut_down(how, call.caller)],
            Request::Terminate(selector) => vec![self.terminate_selected(&selector, call.caller, now)],
        };
        // Fails only when the client has hung up.
        let _ = call.answer.send(responses);
    }

    fn terminate_selected(&mut self, selector: &Selector, caller: Caller, now: Instant) -> Response {
        let tokens = self.table.select(selector);
        info!(uid = caller.uid, pid = caller.pid, ?selector, sessions = tokens.len(), "console: terminate");
        if tokens.is_empty() && !matches!(selector, Selector::All) {
            return Response::Failed(Failure::NoSuchSession);
        }
        let detail = format!("by uid {} with pppctl", caller.uid);
        for token in &tokens {
            self.terminate(*token, EndReason::Admin, &detail, now);
        }
        Response::Terminated { count: u32::try_from(tokens.len()).unwrap_or(u32::MAX) }
    }

    fn server_stats(&self, now: Instant) -> ServerStats {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        ServerStats {
            uptime_s: self.stats.uptime_s(now),
            state: self.service,
            sessions: count(self.table.len()),
            open: count(self.table.iter().filter(|session| session.phase == Phase::Open).count()),
            max_sessions: count(self.slots.count()),
            started: self.stats.total_started(),
            ended: self.stats.ends(),
            interfaces: self.accesses.iter().map(super::access::Access::stats).collect(),
        }
    }
}
