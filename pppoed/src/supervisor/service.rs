//! Whether the server takes new sessions, and whether it is to end: `pppctl drain` and `pppctl shutdown`, SIGTERM.

use std::time::Instant;

use ppp_ipc::control::{EventName, Response, ServiceState, Shutdown};
use tracing::info;

use super::{Signal, Supervisor};
use crate::control::Caller;
use crate::message::SERVICE_CHANGED;

impl Supervisor {
    /// Whether the event loop has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        let is_ending = matches!(self.service, ServiceState::ShutdownSoft | ServiceState::Stopping);
        self.is_leaving || is_ending && self.table.is_empty()
    }

    /// `drain on` closes the server for new sessions, `drain off` opens it again, also after `shutdown soft`. A server
    /// that is stopping stops.
    pub(super) fn set_drain(&mut self, on: bool, caller: Caller) -> Response {
        match (self.service, on) {
            (ServiceState::Stopping | ServiceState::Leaving, _) => {}
            (_, true) => self.close_service(ServiceState::Draining, caller),
            (_, false) => self.enter(ServiceState::Serving, caller),
        }
        self.service_response()
    }

    pub(super) fn shut_down(&mut self, how: Shutdown, caller: Caller) -> Response {
        match (self.service, how) {
            (ServiceState::Stopping | ServiceState::Leaving, _) => {}
            (_, Shutdown::Soft) => self.close_service(ServiceState::ShutdownSoft, caller),
            (_, Shutdown::Keep) => {
                self.enter(ServiceState::Leaving, caller);
                self.is_leaving = true;
            }
            (_, Shutdown::Hard) => {
                self.handle_signal(Signal::Stop, Instant::now());
            }
        }
        self.service_response()
    }

    /// No new sessions from now on. PADI and PADR are met with silence, so that clients find another server.
    fn close_service(&mut self, state: ServiceState, caller: Caller) {
        // These have been promised nothing yet, and are told, as they would wait for their PADS.
        self.refuse_waiting("the server takes no new sessions now");
        self.enter(state, caller);
    }

    fn enter(&mut self, state: ServiceState, caller: Caller) {
        if self.service != state {
            self.service = state;
            if state != ServiceState::Leaving {
                self.adoption.remember_drain(state != ServiceState::Serving);
            }
            info!(
                name: SERVICE_CHANGED.name,
                uid = caller.uid,
                pid = caller.pid,
                sessions = self.table.len(),
                state = state.as_str(),
                "{}",
                SERVICE_CHANGED.words
            );
            self.events.by_console(EventName::Service, caller, state.as_str());
        }
    }

    fn service_response(&self) -> Response {
        Response::Service {
            state: self.service,
            sessions: u32::try_from(self.table.len()).unwrap_or(u32::MAX),
        }
    }
}
