//! Why a server cannot start.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ppp_linux::device::DeviceError;
use ppp_linux::netlink::NetlinkError;
use ppp_linux::netns::NetnsError;
use ppp_linux::packet::PacketError;
use ppp_linux::spawn::ProgramError;
use ppp_proto::discovery::server;
use ppp_wire::if_name::{IfName, IfNameError};
use pppoed_config::pool::SlotError;

use crate::supervisor::adopt::ClaimError;

/// Why the server cannot start. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A name that no interface can have.
    #[error("{0} (-I)")]
    BadName(#[from] IfNameError),
    /// There is no such access interface.
    #[error("there is no interface {name} (-I); available: {present}. --wait-for-interfaces waits for it")]
    NoSuchInterface {
        /// What was asked for.
        name: IfName,
        /// The interfaces that exist.
        present: String,
    },
    /// PPPoE needs an Ethernet interface.
    #[error("interface {name} (-I) is not Ethernet: it has no MAC address")]
    NotEthernet {
        /// What was asked for.
        name: IfName,
    },
    /// The kernel was not to be asked about interfaces.
    #[error("cannot list the network interfaces")]
    Netlink(#[from] NetlinkError),
    /// A discovery socket could not be opened.
    #[error("cannot listen for PPPoE discovery (this needs CAP_NET_RAW)")]
    Packet(#[from] PacketError),
    /// The threads for logins could not be made ready.
    #[error("cannot create threads for logins")]
    Threads(#[source] io::Error),
    /// The runtime could not watch a socket.
    #[error("cannot watch a discovery socket")]
    Watch(#[source] io::Error),
    /// The names in the configuration make no discovery server.
    #[error("interface {name}: {source}")]
    Discovery {
        /// The interface.
        name: IfName,
        /// Why.
        #[source]
        source: server::ConfigError,
    },
    /// The kernel has no eBPF, or not for us.
    #[error(
        "workers cannot be restricted to their own frames; --allow-unfiltered-workers starts anyway, but then a \
         worker that \
         its peer takes over can send frames in the name of other subscribers and of this server"
    )]
    NoPrograms(#[source] DeviceError),
    /// The filter of what workers send has no place on an access interface.
    #[error("cannot install the filter that restricts workers to their own frames")]
    Devices(#[source] DeviceError),
    /// `--no-ebpf` takes the filter away that keeps workers to their own frames.
    #[error(
        "--no-ebpf also disables the filter that restricts workers to their own frames: add \
         --allow-unfiltered-workers \
         if a worker that its peer takes over may send frames in the name of other subscribers and of this server"
    )]
    NoEbpf,
    /// The worker program is not there.
    #[error("cannot start the worker program; see --worker")]
    Program(#[from] ProgramError),
    /// The namespace for the workers could not be made.
    #[error("cannot create the network namespace of workers")]
    Netns(#[from] NetnsError),
    /// Neither the configured user nor the fall-back exists.
    #[error(
        "there is no user {user:?} for the workers (--worker-user): useradd --system --user-group {user}"
    )]
    NoUser {
        /// The configured name.
        user: String,
    },
    /// The user is root.
    #[error("workers must not run as {user:?}, whose user or group id is 0 (--worker-user)")]
    PrivilegedUser {
        /// The configured name.
        user: String,
    },
    /// The user database cannot be read.
    #[error("cannot look up user {user:?}: {source}")]
    Users {
        /// The configured name.
        user: String,
        /// Why.
        source: nix::Error,
    },
    /// A directory could not be made, or is not what it must be.
    #[error("{path}: {problem}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another `pppoed` has the run directory.
    #[error(transparent)]
    RunDir(#[from] ClaimError),
    /// The workers of an earlier `pppoed` could not find us.
    #[error("cannot open the socket that workers reconnect to")]
    Door(#[source] io::Error),
    /// A session that would be taken over has the address that is to be ours.
    #[error(
        "{address} is to be our own end of links (-L), and the client of session {session}, which the last pppoed left, has \
         it: start with another -L, or end that session with the old one first"
    )]
    ClientAtOurEnd {
        /// The address.
        address: Ipv4Addr,
        /// Id of the session.
        session: u16,
    },
    /// There are too many sessions, or none.
    #[error("{0} (-N or -p, and -o)")]
    Slots(#[from] SlotError),
    /// The system gives no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(String),
}

impl From<DeviceError> for SetupError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Load(_)
            | DeviceError::Program { .. }
            | DeviceError::Missing(_)
            | DeviceError::Map { .. } => Self::NoPrograms(error),
            // Who does not want to do without eBPF is not to be told to: these have other cures.
            DeviceError::Netlink(NetlinkError::NotPermitted { .. }) | DeviceError::Taken { .. } => {
                Self::Devices(error)
            }
            DeviceError::Netlink(_) | DeviceError::Bpf { .. } => Self::NoPrograms(error),
        }
    }
}

impl SetupError {
    /// Whether another `pppoed` has the run directory.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::RunDir(ClaimError::InUse { .. }))
    }
}
