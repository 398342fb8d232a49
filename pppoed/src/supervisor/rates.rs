//! Limits of the sessions' rates: of their options, until somebody sets others. The workers see to them.

use std::time::Instant;

use ppp_ipc::control::BitRate;
use ppp_ipc::worker::{Rates, ToWorker};

use tokio::sync::oneshot;

use super::Supervisor;
use super::session::{Session, Token};
use crate::control::Answer;

impl Session {
    /// The limits that hold.
    pub(super) fn rates(&self) -> Rates {
        self.set_rates.unwrap_or_else(|| self.options().rates())
    }

    /// Tells the worker, unless there have never been limits: it has none at first.
    pub(super) fn send_rates(&mut self) {
        let rates = self.rates();
        if self.sent_rates.unwrap_or_default() != rates {
            self.sent_rates = Some(rates);
            self.worker.send(ToWorker::SetRates(rates));
        }
    }
}

impl Supervisor {
    /// Limits the rates of a session from now on until its end, in place of its options. Without `up`, that limit stays as
    /// it is. False if there is no such session.
    pub(super) fn limit_session(
        &mut self,
        token: Token,
        down: BitRate,
        up: Option<BitRate>,
        now: Instant,
    ) -> bool {
        let Some(session) = self.table.get_mut(token) else { return false };
        let before = session.rates();
        let rates = Rates { down: down.0, up: up.map_or(before.up, |up| up.0), ..before };
        session.set_rates = Some(rates);
        session.note(format!("limited to {} down, {} up", BitRate(rates.down), BitRate(rates.up)), now);
        session.send_rates();
        self.keep_record(token);
        self.hook_session_changed(token, now);
        true
    }

    /// `set rate`.
    pub(super) fn set_rate(
        &mut self,
        id: u16,
        down: BitRate,
        up: Option<BitRate>,
        answer: oneshot::Sender<Answer>,
        now: Instant,
    ) {
        if let Some(token) = self.table.by_id(id).map(|session| session.token) {
            self.limit_session(token, down, up, now);
        }
        self.show_session(id, answer, now);
    }
}
