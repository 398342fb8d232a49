//! What the log says of sessions: each line with the same fields, by which `journalctl` finds them.

use std::time::Instant;

use ppp_ipc::reason::EndReason;

use super::session::Session;
use super::worker::printable_name;
use crate::message::{AUTH_REFUSED, SESSION_ENDED, SESSION_STARTED};

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

    /// The peer has its session id.
    pub(super) fn log_started(&self) {
        match self.is_quiet {
            true => about!(debug, SESSION_STARTED, self),
            false => about!(info, SESSION_STARTED, self),
        }
    }

    /// The peer's proof of being [`Session::refused_as`] was refused.
    pub(super) fn log_refused(&self, why: &str) {
        match self.is_quiet {
            true => about!(debug, AUTH_REFUSED, self, reason = why),
            false => about!(warn, AUTH_REFUSED, self, reason = why),
        }
    }

    /// The end: the last truth about the session. What is our own failure, and not the will of the peer or the
    /// administrator, is a warning.
    pub(super) fn log_end(&self, reason: EndReason, detail: &str, now: Instant) {
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
        match reason {
            EndReason::WorkerCrash | EndReason::SystemError => end!(warn),
            _ if self.is_quiet && self.opened.is_none() => end!(debug),
            _ => end!(info),
        }
    }
}
