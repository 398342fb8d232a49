//! What the log says of sessions: each line with the same fields, by which `journalctl` finds them.

use std::time::Instant;

use ppp_ipc::reason::EndReason;

use super::repeated_dials::{PERIOD, Telling};
use super::session::Session;
use crate::message::{
    AUTH_REFUSED, DIALS_LEFT_OUT, DIALS_MUTED, SESSION_AUTHENTICATED, SESSION_ENDED, SESSION_STARTED,
    SESSION_UP,
};
use crate::text::printable_name;

/// A line about a session, with the fields that every such line has, and more: `about!(warn, MESSAGE, session, reason = why)`.
/// Its words are the message's.
macro_rules! about {
    ($level:ident, $message:path, $session:expr $(, $name:ident = $value:expr)* $(,)?) => {
        tracing::$level!(
            name: $message.name,
            session = $session.id,
            ifname = $session.ifname,
            interface = $session.access_name,
            peer_mac = %$session.peer_mac,
            username = $session.known_as(),
            peer_ip = $session.peer_ip().map(tracing::field::display),
            $($name = $value,)*
            "{}", $message.words
        )
    };
}

pub(super) use about;

impl Session {
    /// Its user, or who the peer claimed to be, as text.
    pub(super) fn known_as(&self) -> Option<String> {
        self.username().or_else(|| self.refused_as.clone()).map(|name| printable_name(name.as_bytes()))
    }

    /// Whether lines about it are left out from here on, and what there is to say about those that were.
    pub(super) fn tell(&mut self, telling: Telling) {
        self.is_quiet = telling.is_quiet();
        match telling {
            Telling::Told { left_out: 0 } | Telling::LeftOut => {}
            Telling::Told { left_out } => about!(info, DIALS_LEFT_OUT, self, count = left_out),
            Telling::FirstLeftOut => about!(info, DIALS_MUTED, self, seconds = PERIOD.as_secs()),
        }
    }

    /// The peer has its session id.
    pub(super) fn log_started(&self) {
        match self.is_quiet {
            true => about!(debug, SESSION_STARTED, self),
            false => about!(info, SESSION_STARTED, self),
        }
    }

    /// It has proved who it is.
    pub(super) fn log_authenticated(&self) {
        match self.is_quiet {
            true => about!(debug, SESSION_AUTHENTICATED, self),
            false => about!(info, SESSION_AUTHENTICATED, self),
        }
    }

    /// It was left out, and has lasted after all: tells of it.
    pub(super) fn tell_late(&mut self, now: Instant) {
        let has_lasted =
            self.machine.opened().is_some_and(|opened| now.saturating_duration_since(opened) >= PERIOD);
        if self.is_quiet && has_lasted && !self.machine.is_ending() {
            self.is_quiet = false;
            self.log_up();
        }
    }

    /// Its packets flow.
    pub(super) fn log_up(&self) {
        match self.is_quiet {
            true => about!(debug, SESSION_UP, self),
            false => about!(info, SESSION_UP, self),
        }
    }

    /// The peer's proof of being [`Session::refused_as`] was refused.
    pub(super) fn log_refused(&self, why: &str) {
        match self.is_quiet {
            true => about!(debug, AUTH_REFUSED, self, reason = why),
            false => about!(warn, AUTH_REFUSED, self, reason = why),
        }
    }

    /// The end: the last truth about the session. What is our own failure, and not the will of the peer or the administrator, is
    /// a warning. `tells_anyway`: whether the end of a session is told whose other lines are left out.
    pub(super) fn log_end(
        &self,
        reason: EndReason,
        detail: &str,
        tells_anyway: impl FnOnce() -> bool,
        now: Instant,
    ) {
        let traffic = self.traffic();
        macro_rules! end {
            ($level:ident) => {
                about!(
                    $level,
                    SESSION_ENDED,
                    self,
                    reason = reason.as_str(),
                    detail = detail,
                    duration_s = self.age(now).as_secs(),
                    rx_bytes = traffic.rx_bytes,
                    tx_bytes = traffic.tx_bytes,
                    rx_packets = traffic.rx_packets,
                    tx_packets = traffic.tx_packets,
                )
            };
        }
        let has_lasted =
            self.machine.opened().is_some_and(|opened| now.saturating_duration_since(opened) >= PERIOD);
        let is_told = !self.is_quiet || has_lasted || tells_anyway();
        let is_failure = matches!(reason, EndReason::WorkerCrash | EndReason::SystemError);
        match (is_told, is_failure) {
            (true, true) => end!(warn),
            (true, false) => end!(info),
            (false, _) => end!(debug),
        }
    }
}
