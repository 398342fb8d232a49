//! One PPP session of `pppoed`, in a sandbox.
//!
//! Started by `pppoed` and by nobody else: the descriptors of [`ppp_ipc::worker`] are open, and the first message
//! says what to run. The worker enters its sandbox before it reads a byte of the peer, and exits when the session
//! is over.

mod control;
mod convert;
mod grant;
mod relay;
mod session;

use std::process::ExitCode;

use ppp_ipc::worker::{
    CONTROL_FD, COUNTERS_FD, FromWorker, NETNS_FD, PACKET_FD, Start, TUN_FD, ToWorker, VERSION,
};
use ppp_linux::counters::WorkerCounters;
use ppp_linux::packet::SessionSocket;
use ppp_linux::sandbox::{self, SandboxConfig};
use ppp_linux::spawn::{set_process_name, take_inherited};
use ppp_linux::tun::Tun;
use std::os::fd::AsFd;
use std::path::Path;

use self::control::{Control, ControlError};
use self::relay::{Addressing, Relay};
use self::session::{Session, SessionError};

/// Why a worker could not do its work. `pppoed` reads it on standard error, which it shares.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("it is started by pppoed, not by hand")]
    NotOurs(#[from] ppp_linux::spawn::InheritError),
    #[error("the descriptors that pppoed gave cannot be used: {0}")]
    Descriptors(#[source] Box<dyn std::error::Error>),
    #[error("the control socket: {0}")]
    Control(#[from] ControlError),
    #[error("pppoed sent something else than Start first")]
    NoStart,
    #[error("pppoed has version {0} of the worker protocol, this is {VERSION}")]
    Version(u16),
    #[error("{0}")]
    Sandbox(#[from] sandbox::SandboxError),
    #[error("{0}")]
    Session(#[from] SessionError),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ppp-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), WorkerError> {
    let [control, packet, tun, counters, netns] =
        take_inherited([CONTROL_FD, PACKET_FD, TUN_FD, COUNTERS_FD, NETNS_FD])?;
    // Only for ps(1), so it may fail.
    let _ = set_process_name("ppp-worker");
    let unusable = |error: Box<dyn std::error::Error>| WorkerError::Descriptors(error);
    let socket = SessionSocket::from_fd(packet).map_err(|error| unusable(error.into()))?;
    let tun = Tun::from_fd(tun).map_err(|error| unusable(error.into()))?;
    let counters = WorkerCounters::map(counters).map_err(|error| unusable(error.into()))?;
    let mut control = Control::new(control)?;

    let ToWorker::Start(start) = control.wait_for_message()? else { return Err(WorkerError::NoStart) };
    if start.version != VERSION {
        return Err(WorkerError::Version(start.version));
    }
    let keep = [control.as_fd(), socket.as_fd(), tun.as_fd()];
    let config = SandboxConfig {
        uid: start.sandbox.uid,
        gid: start.sandbox.gid,
        netns,
        root: Path::new(&start.sandbox.chroot),
        address_space_limit: start.sandbox.address_space_limit,
        keep: &keep,
    };
    let protections = match sandbox::enter(config) {
        Ok(protections) => protections,
        Err(error) => {
            let why = with_cause(&error);
            control.send(&FromWorker::SandboxFailed { why })?;
            control.flush_before_exit();
            return Err(error.into());
        }
    };
    control.send(&FromWorker::Ready { version: VERSION, protections: protections.bits() })?;

    let relay = Relay::new(socket, tun, counters, addressing(&start), start.link.mru);
    Ok(Session::new(&start, relay, control).run()?)
}

fn addressing(start: &Start) -> Addressing {
    Addressing {
        own_mac: ppp_wire::MacAddr(start.own_mac),
        peer_mac: ppp_wire::MacAddr(start.peer_mac),
        ether_type: start.session_ethertype.into(),
        session_id: start.session_id,
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
