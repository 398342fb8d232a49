//! A worker from its birth until its session begins.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use ppp_ipc::template::DESCRIPTORS;
use ppp_ipc::worker::{FromWorker, Start, ToWorker, VERSION};
use ppp_linux::counters::WorkerCounters;
use ppp_linux::packet::SessionSocket;
use ppp_linux::sandbox::{Entered, SandboxError};
use ppp_linux::spawn::{replace_standard_error, set_process_name};
use ppp_linux::tun::{Offloads, Tun};

use crate::control::{Control, ControlError};
use crate::relay::{Addressing, Relay};
use crate::session::{Session, SessionError};
use crate::with_cause;

/// Why a worker could not do its work. `pppoed` reads it on its standard error.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("standard error: {0}")]
    StandardError(#[source] io::Error),
    #[error("the descriptors that pppoed gave cannot be used: {0}")]
    Descriptors(#[source] Box<dyn std::error::Error>),
    #[error("the control socket: {0}")]
    Control(#[from] ControlError),
    #[error("expected Start as first message of pppoed")]
    NoStart,
    #[error("pppoed has version {0} of the worker protocol, this is {VERSION}")]
    Version(u16),
    #[error("out of memory for buffers: {0}")]
    Memory(#[source] io::Error),
    #[error("{0}")]
    Sandbox(#[from] SandboxError),
    #[error("{0}")]
    Session(#[from] SessionError),
}

/// What a worker is born with.
#[derive(Debug)]
pub struct Newborn {
    /// The first stage of the sandbox, which its template is in.
    pub entered: Entered,
    /// Its socket to `pppoed`, non-blocking.
    pub control: OwnedFd,
    /// Its packet socket.
    pub packet: OwnedFd,
    /// Its TUN.
    pub tun: OwnedFd,
    /// The memory of its counters.
    pub counters: OwnedFd,
    /// Where it writes why it ends, if not by its socket.
    pub stderr: OwnedFd,
}

impl Newborn {
    pub(crate) fn new(entered: Entered, descriptors: [OwnedFd; DESCRIPTORS]) -> Self {
        let [control, packet, tun, counters, stderr] = descriptors;
        Self { entered, control, packet, tun, counters, stderr }
    }

    /// Closes the sandbox and runs the session to its end.
    pub fn run(self) -> ExitCode {
        match self.live() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                crate::say_last_words(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn live(self) -> Result<(), WorkerError> {
        let Self { entered, control, packet, tun, counters, stderr } = self;
        replace_standard_error(stderr).map_err(WorkerError::StandardError)?;
        // Only for ps(1), so it may fail.
        let _ = set_process_name("ppp-worker");
        let unusable = |error: Box<dyn std::error::Error>| WorkerError::Descriptors(error);
        let socket = SessionSocket::from_fd(packet).map_err(|error| unusable(error.into()))?;
        let tun = Tun::from_fd(tun).map_err(|error| unusable(error.into()))?;
        let cells = WorkerCounters::map(&counters).map_err(|error| unusable(error.into()))?;
        let mut control = Control::new(control);

        // The counters are kept open for a later pppoed, which takes them from here.
        let keep = [control.as_fd(), socket.as_fd(), tun.as_fd(), counters.as_fd()];
        let protections = match entered.finish(&keep) {
            Ok(protections) => protections,
            Err(error) => {
                let why = with_cause(&error);
                control.send(&FromWorker::SandboxFailed { why })?;
                control.flush_before_exit();
                return Err(error.into());
            }
        };
        let ToWorker::Start(start) = control.wait_for_message()? else { return Err(WorkerError::NoStart) };
        if start.version != VERSION {
            return Err(WorkerError::Version(start.version));
        }
        control.send(&FromWorker::Ready { version: VERSION, protections: protections.bits() })?;

        let offloads = Offloads { tcp: start.offloads.tcp, udp: start.offloads.udp };
        let gather = Duration::from_micros(start.gather_us.into());
        let relay = Relay::new(socket, tun, offloads, cells, addressing(&start), start.link.mru, gather)
            .map_err(WorkerError::Memory)?;
        Ok(Session::new(&start, relay, control, counters).run()?)
    }
}

fn addressing(start: &Start) -> Addressing {
    Addressing {
        own_mac: ppp_wire::MacAddr(start.own_mac),
        peer_mac: ppp_wire::MacAddr(start.peer_mac),
        ether_type: start.session_ethertype.into(),
        discovery: start.discovery_ethertype.into(),
        session_id: start.session_id,
    }
}
