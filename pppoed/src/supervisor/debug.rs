//! `pppctl set debug`: the log gets a session's packets of control, in the words of its worker.

use ppp_ipc::control::{Failure, LogLevel, Response, Selector};
use ppp_ipc::worker::{MAX_DESCRIBED, MAX_DESCRIBED_LINE, ToWorker};
use ppp_wire::escape::harmless;
use tracing::debug;

use super::Supervisor;
use super::session::{Session, Token};

impl Supervisor {
    /// Switches it for some sessions, until their ends. The log shows as much of them as that needs.
    pub(super) fn set_debug(&mut self, selector: &Selector, on: bool) -> Response {
        let sessions: Vec<(Token, u16, bool)> = self
            .table
            .of_selector(selector)
            .map(|session| (session.token, session.id, session.worker.knows(&ToWorker::Describe { on })))
            .collect();
        if sessions.is_empty() {
            return Response::Failed(Failure::NoSuchSession);
        }
        if let Some((_, id, _)) = sessions.iter().find(|(.., is_able)| !is_able) {
            return Response::Failed(Failure::Refused(format!(
                "the worker of session {id} is of an earlier version and cannot do this: trace {id} shows its packets"
            )));
        }
        let mut answer = None;
        for (token, id, _) in sessions {
            match self.set_log_level(on.then_some(LogLevel::Debug), Some(id)) {
                Ok(levels) => answer = Some(levels),
                Err(why) => return Response::Failed(Failure::Refused(why)),
            }
            if let Some(session) = self.table.get_mut(token) {
                session.is_described = on;
                session.worker.send(ToWorker::Describe { on });
            }
        }
        answer.unwrap_or(Response::Failed(Failure::NoSuchSession))
    }

    /// Lines of a worker. `Err` says which rule it broke.
    pub(super) fn handle_described(
        session: &Session,
        lines: &[String],
        more: u32,
    ) -> Result<(), &'static str> {
        if lines.len() > MAX_DESCRIBED || lines.iter().any(|line| line.len() > MAX_DESCRIBED_LINE) {
            return Err("it described more packets than it may");
        }
        // It may not have heard yet that nobody wants them any more.
        if !session.is_described {
            return Ok(());
        }
        let log = |text: &str| {
            debug!(
                session = session.id,
                ifname = session.ifname,
                interface = session.access_name,
                peer_mac = %session.peer_mac,
                username = session.known_as(),
                "packet: {text}"
            );
        };
        lines.iter().for_each(|line| log(&harmless(line)));
        if more > 0 {
            log(&format!("{more} more in this second are not shown"));
        }
        Ok(())
    }
}
