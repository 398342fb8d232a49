//! What a worker is born with.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use ppp_ipc::worker::Offloads;
use ppp_linux::counters::SharedCounters;
use ppp_linux::interface::InterfaceId;
use ppp_linux::tun::{Tun, TunError};
use ppp_wire::causes::chain;
use tokio::net::UnixStream;
use tracing::debug;

use super::super::devices::{Made, Place};
use super::super::template::{Worker, WorkerFactory, pipe};
use super::{Launch, Started};

/// What a worker needs that does not run yet.
pub(super) struct Prepared {
    packet: OwnedFd,
    /// In the kernel's maps, until the supervisor knows of the session's interface.
    place: Option<Place>,
    tun: OwnedFd,
    interface: InterfaceId,
    /// What the kernel knows of what was wanted.
    pub(super) offloads: Offloads,
    counters: SharedCounters,
}

/// Why a worker cannot be started.
pub(super) enum NotPrepared {
    /// Another interface has the name that its own was to have.
    NameInUse,
    /// Anything else, in words.
    Failed(String),
}

/// A worker that runs.
pub(super) struct Running {
    pub(super) worker: Worker,
    pub(super) stream: UnixStream,
    pub(super) stderr: io::PipeReader,
}

impl Prepared {
    pub(super) async fn start(self, factory: &WorkerFactory) -> Result<(Running, Started), String> {
        let sockets = || -> io::Result<_> {
            let (ours, theirs) = StdUnixStream::pair()?;
            ours.set_nonblocking(true)?;
            // The worker cannot see to that itself: its list of system calls is short.
            theirs.set_nonblocking(true)?;
            let counters = self.counters.as_fd().try_clone_to_owned()?;
            Ok((UnixStream::from_std(ours)?, theirs, counters, pipe()?))
        };
        let (stream, theirs, counters, (stderr, their_stderr)) =
            sockets().map_err(|error| format!("cannot make a worker's sockets: {error}"))?;
        let descriptors = [theirs.into(), self.packet, self.tun, counters, their_stderr.into()];
        let worker = factory.birth(descriptors).await?;
        let line = self.place.map(Place::keep);
        let started = Started { pid: worker.pid, tun: self.interface, line, counters: self.counters };
        Ok((Running { worker, stream, stderr }, started))
    }
}

/// Makes the descriptors, off the main thread: the kernel may take its time with a new interface.
pub(super) async fn prepare(launch: &Launch) -> Result<Prepared, NotPrepared> {
    let (access, key, name) = (launch.access.clone(), launch.key, launch.tun.clone());
    let wanted = launch.start.offloads;
    let devices = launch.devices.clone();
    let work = move || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let Made { packet, tun, interface, place } = devices.make(&access, &key, &name)?;
        let offloads = offer(&tun, wanted);
        let counters = SharedCounters::create()?;
        let (packet, tun) = (packet.into(), tun.into());
        Ok(Prepared { packet, place, tun, interface, offloads, counters })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| match error.downcast_ref() {
            Some(TunError::NameInUse { .. }) => NotPrepared::NameInUse,
            _ => NotPrepared::Failed(chain(error.as_ref())),
        }),
        Err(_) => Err(NotPrepared::Failed("the preparation of the session was cut off".to_owned())),
    }
}

/// Has the kernel leave to the worker what it can do better. A kernel that knows of nothing of it has slower sessions.
fn offer(tun: &Tun, wanted: Offloads) -> Offloads {
    if wanted == Offloads::default() {
        return wanted;
    }
    match tun.offer() {
        Ok(offered) => Offloads { tcp: wanted.tcp && offered.tcp, udp: wanted.udp && offered.udp },
        Err(error) => {
            debug!(%error, "the kernel has no segmentation offloads for TUN devices");
            Offloads::default()
        }
    }
}
