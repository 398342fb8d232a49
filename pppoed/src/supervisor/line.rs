//! An access interface that is there: its facts, its sockets, and the tasks that read them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use ppp_linux::device::DeviceError;
use ppp_linux::interface::Interface;
use ppp_linux::packet::{DiscoverySocket, PacketError, StraySocket};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;
use pppoed_config::config::Config;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::warn;

use super::access::{Frame, Stage};
use super::devices::Devices;
use super::session::AccessIndex;
use super::watch::watch_for;
use crate::turns;

/// Longest discovery frame that is read whole; a longer one is counted as over-long. The MTU of Ethernet is 1500.
const FRAME_BUFFER: usize = 1600;

/// Session frames of no session that are read in one go, and the pause after it: 640 per second, which is more than
/// are answered. A flood is dropped by the kernel.
const STRAYS_AT_ONCE: usize = 32;
const STRAYS_PAUSE: Duration = Duration::from_millis(50);

/// An error tells that the interface went down, and has to be fetched, or it would be told again and again.
const READABLE_OR_ERROR: Interest = Interest::READABLE.add(Interest::ERROR);

/// Why an interface cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error("workers on this interface cannot be restricted to their own frames")]
    Devices(#[from] DeviceError),
}

/// What the sockets of an access interface are opened with.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketSettings {
    pub(super) discovery: EtherType,
    pub(super) session: EtherType,
}

impl SocketSettings {
    pub(super) fn new(config: &Config) -> Self {
        Self { discovery: config.discovery_ether_type, session: config.session_ether_type }
    }
}

/// An interface and the sockets that were opened on it.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) interface: Interface,
    pub(super) mac: MacAddr,
    socket: DiscoverySocket,
    /// Of frames of no session, where sessions are on their own devices: elsewhere it would have those of all.
    strays: Option<StraySocket>,
}

impl Listening {
    /// Opens the sockets; `mac` is the interface's. May block.
    pub(super) fn open(
        interface: Interface,
        mac: MacAddr,
        settings: SocketSettings,
        devices: &Devices,
    ) -> Result<Self, ListenError> {
        devices.attach_first(&interface.id)?;
        let buffer = DiscoverySocket::DEFAULT_RECEIVE_BUFFER;
        let socket = DiscoverySocket::open(&interface.id, settings.discovery, buffer)?;
        let strays =
            devices.programs().map(|_| StraySocket::open(&interface.id, settings.session)).transpose()?;
        Ok(Self { interface, mac, socket, strays })
    }
}

/// The socket in the form that the runtime wants.
struct Watched(DiscoverySocket);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// As [`Watched`].
struct WatchedStrays(StraySocket);

impl AsRawFd for WatchedStrays {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A listening interface in the runtime. Nothing is read any more once it is dropped.
pub(super) struct Line {
    pub(super) interface: Interface,
    pub(super) mac: MacAddr,
    socket: Rc<AsyncFd<Watched>>,
    reader: AbortHandle,
    stray_reader: Option<AbortHandle>,
}

impl Line {
    /// Takes over an open socket, and reads it from now on. Must be called in a `LocalSet`.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub(super) fn new(
        listening: Listening,
        access: AccessIndex,
        frames: mpsc::Sender<Frame>,
    ) -> io::Result<Self> {
        let Listening { interface, mac, socket, strays } = listening;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may not own their descriptor; this one does"
        )]
        let socket = Rc::new(AsyncFd::new(Watched(socket))?);
        let name = interface.id.name.to_string();
        let reading =
            turns::spawn("discovery socket", read(Rc::clone(&socket), name, access, frames.clone()));
        let reader = reading.abort_handle();
        let mut line = Self { interface, mac, socket, reader, stray_reader: None };
        if let Some(strays) = strays {
            let strays = watch_for(WatchedStrays(strays), READABLE_OR_ERROR)?;
            let reading = turns::spawn("strays", read_strays(strays, access, frames));
            line.stray_reader = Some(reading.abort_handle());
        }
        Ok(line)
    }

    /// How many frames the kernel has dropped since this was last called, because they came faster than they were read.
    pub(super) fn take_dropped(&self) -> u64 {
        self.socket.get_ref().0.take_statistics().map_or(0, |statistics| statistics.dropped.into())
    }

    /// Sends a frame, from its Ethernet header on.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        let socket = &self.socket.get_ref().0;
        match socket.send(frame) {
            // It may have been down since the last call, and be up now: that is told once.
            Err(error) if error.kind() == io::ErrorKind::NetworkDown => socket.send(frame),
            outcome => outcome,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
        if let Some(reader) = &self.stray_reader {
            reader.abort();
        }
    }
}

/// Reads frames for ever. Waits while `frames` is full, so that a flood is dropped by the kernel.
async fn read(socket: Rc<AsyncFd<Watched>>, name: String, access: AccessIndex, frames: mpsc::Sender<Frame>) {
    let mut buffer = vec![0; FRAME_BUFFER];
    while let Ok(mut guard) = socket.readable().await {
        match guard.try_io(|socket| socket.get_ref().0.recv(&mut buffer)) {
            Ok(Ok(received)) => {
                let bytes = buffer.get(..received.len).unwrap_or_default().to_vec();
                let packet_type = received.packet_type;
                let frame = Frame { access, stage: Stage::Discovery, bytes, packet_type };
                if frames.send(frame).await.is_err() {
                    return;
                }
            }
            // That it is down or gone is told once, by who watches the interfaces.
            Ok(Err(error))
                if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::NetworkDown) => {}
            Ok(Err(error)) => warn!(interface = name, %error, "discovery socket"),
            Err(_would_block) => {}
        }
    }
}

/// Reads the frames of no session for ever, and not faster than they may be answered.
async fn read_strays(strays: AsyncFd<WatchedStrays>, access: AccessIndex, frames: mpsc::Sender<Frame>) {
    let mut buffer = vec![0; FRAME_BUFFER];
    let mut at_once = 0;
    while let Ok(mut guard) = strays.ready(READABLE_OR_ERROR).await {
        // Whatever the error is, the socket has forgotten it; see `read`.
        if let Ok(Ok(received)) = guard.try_io(|strays| strays.get_ref().0.recv(&mut buffer)) {
            let bytes = buffer.get(..received.len).unwrap_or_default().to_vec();
            let packet_type = received.packet_type;
            let frame = Frame { access, stage: Stage::Session, bytes, packet_type };
            if frames.send(frame).await.is_err() {
                return;
            }
        }
        at_once += 1;
        if at_once == STRAYS_AT_ONCE {
            at_once = 0;
            sleep(STRAYS_PAUSE).await;
        }
    }
}
