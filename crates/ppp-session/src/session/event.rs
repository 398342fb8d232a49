//! What happens to a session, and what is to be done about it.

use std::fmt;

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;

use super::End;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The worker is in its sandbox, and the peer is sent its PADS.
    Ready,
    /// LCP is open, for the first time or again.
    LcpOpened,
    /// The peer may use the network: a proof was right, or none is required.
    Admitted,
    /// A network protocol is open, the interface configured, and packets flow.
    Relaying,
    /// No network protocol is open any more.
    AllProtocolsClosed,
    /// LCP is being closed; why, the worker says when that is done.
    Closing,
    /// The worker of a restored session is back.
    Resumed(Standing),
    /// It is to end, politely: with Terminate-Requests (RFC 1661 §5.5).
    Terminate(End),
    /// It is to end at once.
    Kill(End),
    /// The worker says that the link is over.
    WorkerEnded(End),
    /// The worker's process is gone; the reason counts if none is known.
    WorkerGone(End),
    /// [`Machine::deadline`](super::Machine::deadline) has passed. `heard`: whether the peer has sent anything in its session.
    TimeOut {
        /// Anything at all, as far as the worker says.
        heard: bool,
    },
}

/// Where the link of a restored session stands when its worker is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// LCP is not open, or was opened by a peer that has proven nothing yet.
    Down,
    /// The peer has proven who it is, or a network protocol is open.
    Admitted,
}

impl Event {
    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::LcpOpened => "LCP opened",
            Self::Admitted => "admitted",
            Self::Relaying => "relaying",
            Self::AllProtocolsClosed => "network protocols closed",
            Self::Closing => "LCP is being closed",
            Self::Resumed(_) => "resumed",
            Self::Terminate(_) => "terminate",
            Self::Kill(_) => "kill",
            Self::WorkerEnded(_) => "worker ended",
            Self::WorkerGone(_) => "worker gone",
            Self::TimeOut { .. } => "time-out",
        }
    }
}

/// Something to be done; what comes of it comes back as an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The worker is to send Terminate-Requests, and then to exit.
    Terminate(EndReason),
    /// The worker is to be killed.
    Kill,
    /// Packets flow for the first time.
    OpenedFirst,
    /// Packets flow again.
    OpenedAgain,
    /// The peer is told, the last hooks are called, and then what it holds is given back.
    Finish,
}

/// An event that does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Violation {
    /// The state, as consoles call it.
    pub state: Phase,
    /// The event.
    pub event: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in the state {}", self.event, self.state.as_str())
    }
}
