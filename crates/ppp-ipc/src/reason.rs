//! Why a session ended: one closed list for the log, the console and, later, the hooks.

use std::fmt;

use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndReason {
    /// The peer sent an LCP Terminate-Request (RFC 1661 §5.5).
    PeerTerminated,
    /// The peer sent a PADT (RFC 2516 §5.5).
    Padt,
    /// Echo-Requests went unanswered (`lcp-echo-failure`).
    EchoLost,
    /// The peer's name or proof was refused.
    AuthFailed,
    /// The peer did not authenticate itself in time.
    AuthTimeout,
    /// LCP or IPCP found no common options, or the peer refused what the session needs.
    NegotiationFailed,
    /// The session was not open in time after its discovery.
    SetupTimeout,
    /// Our own packets came back (RFC 1661 §6.4).
    Loopback,
    /// No traffic for the idle time.
    Idle,
    /// The session's time was used up.
    SessionTimeout,
    /// The session's traffic was used up.
    Quota,
    /// An administrator ended it.
    Admin,
    /// A hook refused it.
    HookVeto,
    /// The same host dialled again.
    Replaced,
    /// `pppoed` is stopping.
    Shutdown,
    /// The worker died, or broke the rules of its socket.
    WorkerCrash,
    /// The peer broke the protocol in a way that ends the link (for example a catastrophic Code-Reject).
    ProtocolError,
    /// The access interface is gone, or has another MAC address than the peer knows.
    InterfaceGone,
    /// The system refused something that the session needs (TUN, address, route).
    SystemError,
    /// Somebody set the session's interface (pppN) down, moved it to another network namespace, or deleted it.
    DeviceGone,
}

impl EndReason {
    /// The stable word for logs and JSON, such as `echo-lost`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeerTerminated => "peer-terminated",
            Self::Padt => "padt",
            Self::EchoLost => "echo-lost",
            Self::AuthFailed => "auth-failed",
            Self::AuthTimeout => "auth-timeout",
            Self::NegotiationFailed => "negotiation-failed",
            Self::SetupTimeout => "setup-timeout",
            Self::Loopback => "loopback",
            Self::Idle => "idle",
            Self::SessionTimeout => "session-timeout",
            Self::Quota => "quota",
            Self::Admin => "admin",
            Self::HookVeto => "hook-veto",
            Self::Replaced => "replaced",
            Self::Shutdown => "shutdown",
            Self::WorkerCrash => "worker-crash",
            Self::ProtocolError => "protocol-error",
            Self::InterfaceGone => "interface-gone",
            Self::SystemError => "system-error",
            Self::DeviceGone => "device-gone",
        }
    }
}

impl EndReason {
    /// The reason that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let word: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
        Self::deserialize(word).ok()
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_their_reasons() {
        for reason in
            [EndReason::PeerTerminated, EndReason::Padt, EndReason::HookVeto, EndReason::SystemError]
        {
            assert_eq!(EndReason::from_word(reason.as_str()), Some(reason));
        }
        assert_eq!(EndReason::from_word("Padt"), None);
    }
}
