//! One access interface: its discovery socket and its discovery server.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Instant;

use ppp_ipc::control::{InterfaceStats, NamedCount};
use ppp_linux::interface::Interface;
use ppp_linux::packet::{DiscoverySocket, PacketType};
use ppp_proto::discovery::server::{Admission, Event, Server, Sessions};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EthernetFrame;
use ppp_wire::pppoe::{Code, PppoePacket};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tracing::warn;

use super::session::AccessIndex;
use super::table::Table;
use crate::config::PerMac;

/// Longest discovery frame that is read whole; a longer one is counted as over-long. The MTU of Ethernet is 1500.
const FRAME_BUFFER: usize = 1600;

/// A discovery frame that was received.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) access: AccessIndex,
    pub(super) bytes: Vec<u8>,
    pub(super) packet_type: PacketType,
}

/// Frames by what they are.
#[derive(Debug, Default)]
struct FrameCounters {
    received: [u64; CODES.len()],
    sent: [u64; CODES.len()],
    other_host: u64,
    send_failed: u64,
}

const CODES: [(Code, &str); 6] = [
    (Code::Padi, "padi"),
    (Code::Pado, "pado"),
    (Code::Padr, "padr"),
    (Code::Pads, "pads"),
    (Code::Padt, "padt"),
    (Code::Padm, "padm"),
];

/// The socket in the form that the runtime wants.
struct Watched(DiscoverySocket);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// One access interface.
pub(super) struct Access {
    pub(super) interface: Interface,
    pub(super) mac: MacAddr,
    server: Server,
    socket: Rc<AsyncFd<Watched>>,
    counters: FrameCounters,
}

impl Access {
    /// Takes over an open socket. Must be called in a runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub(super) fn new(
        interface: Interface,
        mac: MacAddr,
        server: Server,
        socket: DiscoverySocket,
    ) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may not own their descriptor; this one does"
        )]
        let socket = Rc::new(AsyncFd::new(Watched(socket))?);
        Ok(Self { interface, mac, server, socket, counters: FrameCounters::default() })
    }

    pub(super) fn name(&self) -> &str {
        self.interface.id.name.as_str()
    }

    /// Reads frames for ever. Waits while `frames` is full, so that a flood is dropped by the kernel.
    pub(super) fn spawn_reader(&self, access: AccessIndex, frames: mpsc::Sender<Frame>) {
        let socket = Rc::clone(&self.socket);
        let name = self.name().to_owned();
        tokio::task::spawn_local(async move {
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
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(Err(error)) => warn!(interface = name, %error, "discovery socket"),
                    Err(_would_block) => {}
                }
            }
        });
    }

    /// Takes a frame; the events that it causes are in [`Access::poll_event`].
    pub(super) fn handle_frame(&mut self, frame: &Frame, sessions: &impl Sessions, now: Instant) {
        match frame.packet_type {
            // Of a VLAN that is not this interface's, or for somebody else (see packet(7)).
            PacketType::OtherHost | PacketType::Outgoing => {
                self.counters.other_host += 1;
                return;
            }
            PacketType::Host | PacketType::Broadcast | PacketType::Multicast | PacketType::Unknown(_) => {}
        }
        count(&mut self.counters.received, &frame.bytes);
        self.server.handle_frame(&frame.bytes, sessions, now);
        self.flush();
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.server.poll_event()
    }

    /// Acts on the server and sends what it has to say.
    pub(super) fn with_server<T>(&mut self, act: impl FnOnce(&mut Server) -> T) -> T {
        let outcome = act(&mut self.server);
        self.flush();
        outcome
    }

    fn flush(&mut self) {
        while let Some(frame) = self.server.poll_transmit() {
            // The peer repeats what was lost, so a full queue of the interface is only counted.
            match self.socket.get_ref().0.send(&frame) {
                Ok(()) => count(&mut self.counters.sent, &frame),
                Err(_) => self.counters.send_failed += 1,
            }
        }
    }

    pub(super) fn stats(&self) -> InterfaceStats {
        let named = |name: String, count: u64| NamedCount { name, count };
        let by_code = |prefix: &str, counts: &[u64]| -> Vec<NamedCount> {
            CODES
                .iter()
                .zip(counts)
                .map(|((_, code), count)| named(format!("{prefix}_{code}"), *count))
                .collect()
        };
        let mut packets = by_code("received", &self.counters.received);
        packets.extend(by_code("sent", &self.counters.sent));
        let mut dropped: Vec<_> = self
            .server
            .drops()
            .iter()
            .map(|(cause, count)| named(cause.as_str().to_owned(), count))
            .collect();
        dropped.push(named("other_host".to_owned(), self.counters.other_host));
        dropped.push(named("send_failed".to_owned(), self.counters.send_failed));
        InterfaceStats { interface: self.name().to_owned(), packets, dropped }
    }
}

fn count(counters: &mut [u64; CODES.len()], frame: &[u8]) {
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return };
    let Ok(packet) = PppoePacket::new_checked(ethernet.payload()) else { return };
    let known = CODES.iter().zip(counters).find(|((code, _), _)| *code == packet.code());
    if let Some((_, counter)) = known {
        *counter += 1;
    }
}

/// What discovery on one interface may know about the sessions.
pub(super) struct AccessView<'a> {
    pub(super) access: AccessIndex,
    pub(super) table: &'a Table,
    pub(super) free_slots: usize,
    pub(super) per_mac: PerMac,
    /// No new sessions: the server is stopping.
    pub(super) closed: bool,
}

impl Sessions for AccessView<'_> {
    fn admission(&self, peer: MacAddr) -> Admission {
        let of_peer = self.table.count_of_peer(self.access, peer);
        match self.per_mac {
            _ if self.closed => Admission::Silence,
            PerMac::AtMost(limit) if of_peer >= limit => Admission::Silence,
            // The old session's slot will be free.
            PerMac::Replace if of_peer > 0 => Admission::Welcome,
            _ if self.free_slots == 0 => Admission::NoSlots,
            _ => Admission::Welcome,
        }
    }

    fn owner(&self, session_id: u16) -> Option<MacAddr> {
        let session = self.table.by_id(session_id)?;
        (session.access == self.access).then_some(session.peer_mac)
    }
}
