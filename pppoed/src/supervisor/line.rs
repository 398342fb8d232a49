//! An access interface that is there: its facts, its discovery socket, and the task that reads it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;

use ppp_linux::interface::Interface;
use ppp_linux::packet::{DiscoverySocket, PacketError};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::warn;

use super::access::Frame;
use super::session::AccessIndex;

/// Longest discovery frame that is read whole; a longer one is counted as over-long. The MTU of Ethernet is 1500.
const FRAME_BUFFER: usize = 1600;

/// An interface and the socket that was opened on it.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) interface: Interface,
    pub(super) mac: MacAddr,
    pub(super) socket: DiscoverySocket,
}

impl Listening {
    /// Opens the socket; `mac` is the interface's. May block.
    pub(super) fn open(
        interface: Interface,
        mac: MacAddr,
        ether_type: EtherType,
    ) -> Result<Self, PacketError> {
        let buffer = DiscoverySocket::DEFAULT_RECEIVE_BUFFER;
        let socket = DiscoverySocket::open(&interface.id, ether_type, buffer)?;
        Ok(Self { interface, mac, socket })
    }
}

/// The socket in the form that the runtime wants.
struct Watched(DiscoverySocket);

impl AsRawFd for Watched {
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
        let Listening { interface, mac, socket } = listening;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may not own their descriptor; this one does"
        )]
        let socket = Rc::new(AsyncFd::new(Watched(socket))?);
        let name = interface.id.name.to_string();
        let reading = tokio::task::spawn_local(read(Rc::clone(&socket), name, access, frames));
        Ok(Self { interface, mac, socket, reader: reading.abort_handle() })
    }

    /// How many frames the kernel has dropped since this was last called, because they came faster than they were read.
    pub(super) fn take_dropped(&self) -> u64 {
        self.socket.get_ref().0.take_statistics().map_or(0, |statistics| statistics.dropped.into())
    }

    /// Sends a frame, from its Ethernet header on.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.get_ref().0.send(frame)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Reads frames for ever. Waits while `frames` is full, so that a flood is dropped by the kernel.
async fn read(socket: Rc<AsyncFd<Watched>>, name: String, access: AccessIndex, frames: mpsc::Sender<Frame>) {
    let mut buffer = vec![0; FRAME_BUFFER];
    while let Ok(mut guard) = socket.readable().await {
        match guard.try_io(|socket| socket.get_ref().0.recv(&mut buffer)) {
            Ok(Ok(received)) => {
                let bytes = buffer.get(..received.len).unwrap_or_default().to_vec();
                let frame = Frame { access, bytes, packet_type: received.packet_type };
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
