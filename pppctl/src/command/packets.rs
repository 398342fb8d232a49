//! Commands that show packets: their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ppp_ipc::control::{CaptureRequest, Selector, TraceRequest, TraceTarget};
use ppp_ipc::name::Name;

use super::{OneSession, name, one_session, values};
use crate::parse::parse_mac;

/// What to capture, and when to stop.
#[derive(Args, Debug)]
pub(crate) struct Capture {
    /// Id, user, interface, MAC or IP address of the session
    #[arg(value_name = values::SESSION, value_parser = one_session())]
    pub(super) session: OneSession,
    /// Output file, readable only by you; - is standard output
    #[arg(short, long, value_name = values::FILE)]
    pub(crate) write: PathBuf,
    /// Stop after this many frames
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    packets: u32,
    /// Stop after this many bytes
    #[arg(long, value_name = "COUNT", default_value_t = 100_000_000)]
    bytes: u64,
    /// Stop after this many seconds
    #[arg(long, value_name = "COUNT", default_value_t = 600)]
    seconds: u32,
    /// Maximum bytes to copy of each frame
    #[arg(long, value_name = "COUNT", default_value_t = CaptureRequest::MAX_SNAPLEN)]
    snaplen: u16,
    /// Include PAP passwords, which are otherwise replaced by asterisks
    #[arg(long)]
    secrets: bool,
}

impl Capture {
    /// What to ask for.
    pub(crate) fn request(&self) -> CaptureRequest {
        CaptureRequest {
            session: self.session.id(),
            packets: self.packets,
            bytes: self.bytes,
            seconds: self.seconds,
            snaplen: self.snaplen,
            secrets: self.secrets,
        }
    }
}

/// What to trace.
#[derive(Args, Debug)]
pub(crate) struct Trace {
    /// Id, user, interface, MAC or IP address of a session
    #[arg(value_name = values::SESSION, value_parser = one_session(), required = true)]
    pub(super) session: Option<OneSession>,
    #[command(subcommand)]
    host: Option<Traced>,
    /// Include data packets, with their source and destination
    #[arg(long, global = true)]
    data: bool,
    /// Stop after this many packets
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, global = true)]
    packets: u32,
    /// Stop after this many seconds
    #[arg(long, value_name = "COUNT", default_value_t = 3600, global = true)]
    seconds: u32,
}

/// Clients, with or without a session.
#[derive(Debug, Subcommand)]
enum Traced {
    /// Trace the clients of a user's sessions
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
    },
    /// Trace the client with a MAC address, on all access interfaces
    Mac {
        /// MAC address, such as 02:00:5e:10:00:01
        #[arg(value_name = values::MAC, value_parser = parse_mac)]
        address: [u8; 6],
    },
    /// Trace all clients on an access interface (eth1), or the session on an interface (ppp0)
    Interface {
        /// Interface name
        #[arg(value_name = values::IFNAME)]
        name: String,
    },
    /// Trace the next client that sends a PADI
    New,
}

impl Trace {
    /// What to ask for.
    pub(crate) fn request(&self) -> TraceRequest {
        let target = match &self.host {
            Some(Traced::User { name }) => TraceTarget::User(name.clone()),
            Some(Traced::Mac { address }) => TraceTarget::Mac(*address),
            Some(Traced::Interface { name }) => TraceTarget::Interface(name.clone()),
            Some(Traced::New) => TraceTarget::New,
            None => TraceTarget::Session(self.session.as_ref().map_or(0, OneSession::id)),
        };
        TraceRequest { target, data: self.data, packets: self.packets, seconds: self.seconds }
    }
}

/// The sessions to log packets of.
#[derive(Args, Debug)]
pub(crate) struct Debug {
    /// Id, user, interface, MAC or IP address of a session
    #[arg(value_name = values::SESSION, value_parser = one_session(), required = true)]
    pub(super) session: Option<OneSession>,
    /// Start or stop
    #[arg(value_enum, required = true)]
    switch: Option<OnOff>,
    #[command(subcommand)]
    user: Option<DebugUser>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    /// Start
    On,
    /// Stop
    Off,
}

/// Sessions selected by user.
#[derive(Debug, Subcommand)]
enum DebugUser {
    /// Log control packets of all current sessions of a user
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
        /// Start or stop
        #[arg(value_enum)]
        switch: OnOff,
    },
}

impl Debug {
    /// The sessions, and whether to begin.
    pub(crate) fn which(&self) -> (Selector, bool) {
        match &self.user {
            Some(DebugUser::User { name, switch }) => (Selector::User(name.clone()), *switch == OnOff::On),
            None => (
                Selector::Id(self.session.as_ref().map_or(0, OneSession::id)),
                self.switch == Some(OnOff::On),
            ),
        }
    }
}
