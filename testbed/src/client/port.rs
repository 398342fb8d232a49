//! The access interface as the client uses it: frames of both PPPoE EtherTypes, in and out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ppp_linux::interface::Interface;
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::{DiscoverySocket, FrameBatch};
use ppp_wire::ethernet::EtherType;
use ppp_wire::if_name::IfName;

/// Room for the replies to a burst of many sessions: some 20000 small frames.
const RECEIVE_BUFFER: usize = 16 << 20;

/// Room for an Ethernet frame with a payload of 1500 bytes, and then some.
pub(super) const FRAME_LEN: usize = 2048;

/// Session frames that may be returned before a discovery frame: those that waited when it was read, unless there were
/// more of them.
const MAX_OVERTAKEN: usize = 64;

/// Which stage a frame belongs to, by its EtherType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Discovery,
    Session,
}

/// What has something, or an error to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) discovery: bool,
    pub(super) session: bool,
    pub(super) others: [bool; 2],
}

/// Both sockets on one interface.
///
/// They see the frames for every address, so one interface carries many stations. A veth delivers such frames as it
/// is; a real network card must be made promiscuous for that (`ip link set IF promisc on`).
#[derive(Debug)]
pub(super) struct Port {
    interface: Interface,
    discovery: DiscoverySocket,
    session: DiscoverySocket,
    /// A discovery frame that was read and waits for the session frames that came before it.
    held: Option<Vec<u8>>,
    /// Session frames that were returned since then.
    overtaken: usize,
    not_sent: u64,
}

impl Port {
    /// Opens both sockets in the calling thread's network namespace.
    ///
    /// # Errors
    /// When there is no such Ethernet interface, it is down, or we are not root.
    pub(super) fn open(name: &IfName) -> Result<Self> {
        let interface = Netlink::open()?.interface(name)?;
        if !interface.up {
            bail!("interface {name} is down");
        }
        let open = |ether_type| DiscoverySocket::open(&interface.id, ether_type, RECEIVE_BUFFER);
        let discovery = open(EtherType::PppoeDiscovery)?;
        let session = open(EtherType::PppoeSession)?;
        Ok(Self { interface, discovery, session, held: None, overtaken: 0, not_sent: 0 })
    }

    /// The interface as it was when it was opened.
    pub(super) fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The interface's MTU in bytes, as far as PPPoE can make use of it.
    pub(super) fn mtu(&self) -> u16 {
        u16::try_from(self.interface.mtu).unwrap_or(u16::MAX)
    }

    /// Frames that were given up because too many others were waiting to be sent.
    pub(super) fn not_sent(&self) -> u64 {
        self.not_sent
    }

    /// Sends a frame of either stage, or counts it as [not sent](Self::not_sent): a full queue is a loss like any
    /// other on the way.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub(super) fn send(&mut self, frame: &[u8]) -> Result<()> {
        match self.session.send(frame) {
            Ok(()) => Ok(()),
            Err(error) if is_congestion(&error) => {
                self.not_sent += 1;
                Ok(())
            }
            Err(error) => Err(error).with_context(|| format!("send on {}", self.interface.id)),
        }
    }

    /// The next frame that waits, and its stage. Frames that are longer than the buffer are not ours.
    ///
    /// A session frame that came before a discovery frame is returned before it, so that a Terminate-Request is seen
    /// before the PADT that follows it. The reverse is not so: a session's first frames may come before its PADS.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub(super) fn receive<'a>(
        &mut self,
        buffer: &'a mut [u8; FRAME_LEN],
    ) -> Result<Option<(Stage, &'a [u8])>> {
        if self.held.is_none() {
            let len = self.receive_from(&self.discovery, buffer)?;
            self.held = len.and_then(|len| buffer.get(..len)).map(<[u8]>::to_vec);
            self.overtaken = 0;
        }
        let session_first = self.held.is_none() || self.overtaken < MAX_OVERTAKEN;
        if session_first && let Some(len) = self.receive_from(&self.session, buffer)? {
            self.overtaken += 1;
            return Ok(buffer.get(..len).map(|frame| (Stage::Session, frame)));
        }
        let Some(held) = self.held.take() else { return Ok(None) };
        let frame = buffer.get_mut(..held.len());
        Ok(frame.map(|frame| {
            frame.copy_from_slice(&held);
            (Stage::Discovery, &*frame)
        }))
    }

    fn receive_from(&self, socket: &DiscoverySocket, buffer: &mut [u8; FRAME_LEN]) -> Result<Option<usize>> {
        loop {
            match socket.recv(buffer) {
                Ok(received) if received.is_truncated() => {}
                Ok(received) => return Ok(Some(received.len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).with_context(|| format!("receive on {}", self.interface.id)),
            }
        }
    }

    /// A discovery frame, if one waits.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub(super) fn receive_discovery(&self) -> Result<Option<Vec<u8>>> {
        let mut buffer = [0; FRAME_LEN];
        let len = self.receive_from(&self.discovery, &mut buffer)?;
        Ok(len.and_then(|len| buffer.get(..len)).map(<[u8]>::to_vec))
    }

    /// Replaces the content of `batch` by session frames that wait, and returns their number.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub(super) fn receive_batch(&self, batch: &mut FrameBatch) -> Result<usize> {
        match self.session.recv_batch(batch) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error).with_context(|| format!("receive on {}", self.interface.id)),
        }
    }

    /// Waits until a frame or something for `others` waits, or `until` has come; without it, forever.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn wait(&self, others: [Option<BorrowedFd<'_>>; 2], until: Option<Instant>) -> Result<Ready> {
        if self.held.is_some() {
            return Ok(Ready { discovery: true, session: true, others: [true; 2] });
        }
        let own = [self.discovery.as_fd(), self.session.as_fd()];
        let [one, other] = others.map(|fd| match fd {
            Some(fd) => PollFd::new(fd, PollFlags::POLLIN),
            None => PollFd::new(self.session.as_fd(), PollFlags::empty()),
        });
        let [discovery, session] = own.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let mut all = [discovery, session, one, other];
        match poll(&mut all, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("poll"),
        }
        let [discovery, session, one, other] = all.map(|fd| fd.any().unwrap_or(true));
        Ok(Ready { discovery, session, others: [one, other] })
    }
}

fn is_congestion(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}

/// Rounded up, so that the time has come when poll(2) returns.
fn timeout(until: Option<Instant>) -> PollTimeout {
    let Some(until) = until else {
        return PollTimeout::NONE;
    };
    let remaining = until.saturating_duration_since(Instant::now()) + Duration::from_nanos(999_999);
    PollTimeout::try_from(remaining.as_millis()).unwrap_or(PollTimeout::MAX)
}
