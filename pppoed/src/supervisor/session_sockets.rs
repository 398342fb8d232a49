//! Where the sessions of an access interface get their sockets from: a group among which an eBPF program chooses, or,
//! where there is no eBPF, the filter of each socket alone.

use std::time::Duration;

use ppp_linux::interface::Interface;
use ppp_linux::packet::{Membership, PacketError, SessionGroup, SessionKey, SessionSocket};
use ppp_wire::ethernet::EtherType;
use tracing::{info, warn};

use super::egress::Egress;
use super::worker::chain;
use crate::config::Config;

/// Longest time for which the end of the process waits for the sockets of the sessions to be closed.
const LEAVING: Duration = Duration::from_secs(10);

/// What the sockets of an access interface are opened with.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketSettings {
    pub(super) discovery: EtherType,
    pub(super) session: EtherType,
    /// Whether eBPF is to be used.
    pub(super) ebpf: bool,
    /// Sessions at most.
    pub(super) sessions: u32,
}

impl SocketSettings {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            discovery: config.discovery_ether_type,
            session: config.session_ether_type,
            ebpf: config.ebpf,
            sessions: u32::try_from(config.max_sessions()).unwrap_or(u32::MAX),
        }
    }

    /// Says what it costs, if the configuration wants no eBPF.
    pub(super) fn tell(&self) {
        if !self.ebpf {
            info!("--no-ebpf: {COST}");
        }
    }
}

const COST: &str = "each frame is a question to the filters of all sessions on its interface (about 0.1 µs each, so \
                    use it for some hundred sessions at most), and hosts whose session is over get no PADT";

/// The source of an interface's session sockets.
#[derive(Clone, Debug)]
pub(super) enum SessionSockets {
    Group(SessionGroup),
    Filters {
        /// A group is to be tried when the interface is up: before Linux 6.13, an interface that is down has none.
        when_up: bool,
    },
}

impl SessionSockets {
    /// May block for some 10 ms.
    pub(super) fn open(interface: &Interface, settings: SocketSettings) -> Self {
        if !settings.ebpf {
            return Self::Filters { when_up: false };
        }
        match SessionGroup::open(&interface.id, settings.session, settings.sessions) {
            Ok(group) => Self::Group(group),
            Err(_) if !interface.up => Self::Filters { when_up: true },
            Err(error) => {
                let name = interface.id.name.as_str();
                warn!(interface = name, reason = chain(&error), "without eBPF: {COST}");
                Self::Filters { when_up: false }
            }
        }
    }

    /// The socket of a session, with its mark, and its membership in the group if there is one. That may be dropped when nobody else
    /// has the socket. May block for some 10 ms.
    pub(super) fn open_session(
        &self,
        interface: &ppp_linux::interface::InterfaceId,
        key: &SessionKey,
        egress: &Egress,
    ) -> Result<(SessionSocket, Option<Membership>), PacketError> {
        const BUFFER: usize = SessionSocket::DEFAULT_RECEIVE_BUFFER;
        let (socket, membership) = match self {
            Self::Group(group) => {
                group.join(key, BUFFER).map(|(socket, membership)| (socket, Some(membership)))
            }
            Self::Filters { .. } => SessionSocket::open(interface, key, BUFFER).map(|socket| (socket, None)),
        }?;
        egress.mark(key.session_id, &socket).map_err(|source| PacketError::Setup {
            purpose: "session",
            interface: interface.name.clone(),
            step: "mark it",
            source,
        })?;
        Ok((socket, membership))
    }

    pub(super) fn group(&self) -> Option<&SessionGroup> {
        match self {
            Self::Group(group) => Some(group),
            Self::Filters { .. } => None,
        }
    }

    /// This process is about to end, and the sessions go on: their sockets stay as they are.
    pub(super) fn leave(&self) {
        if let Some(group) = self.group() {
            group.freeze();
        }
    }

    /// Waits until the sockets of all sessions that have ended are closed. The kernel would take longer when the
    /// process ends, as it closes one after the other.
    pub(super) async fn closed(&self) {
        let Some(group) = self.group().cloned() else { return };
        let waiting = tokio::task::spawn_blocking(move || group.wait_for_leavers(LEAVING));
        if let Ok(left @ 1..) = waiting.await {
            warn!(left, "sockets of sessions that have ended are not closed yet: the end may take a while");
        }
    }
}
