//! Interfaces, addresses, routes and proxy neighbours over rtnetlink (RFC 3549), synchronous: one request, one answer.
//!
//! The kernel answers such a request at once and in the caller's own system call, so there is nothing to wait
//! for and a single-threaded program may use it between two polls.

mod address;
mod error;
#[cfg(feature = "programs")]
mod filter;
mod link;
mod neighbour;
mod route;
#[cfg(test)]
mod tests;
mod traffic;
mod watch;

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::libc::MSG_TRUNC;

pub use self::address::{Ipv4Ends, Ipv6Ends, PtpConfig};
pub use self::error::NetlinkError;
use self::error::{extended_message, refusal};
#[cfg(feature = "programs")]
pub(crate) use self::filter::{BpfFilter, Direction};
pub use self::route::Route;
pub use self::traffic::LinkTraffic;
pub use self::watch::{LinkHint, LinkWatch};
use crate::rtnl;

/// The kernel never sends datagrams that are longer than this.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// A socket to the kernel's network configuration, in the network namespace that its creator was in.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace. It may be kept for as long as one likes.
    ///
    /// # Errors
    /// [`NetlinkError::Open`] when the kernel refuses.
    pub fn open() -> Result<Self, NetlinkError> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // The kernel's own words about what it refused, without the request repeated in front of them.
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| NetlinkError::Open { source })?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(RECEIVE_BUFFER) })
    }

    /// Asks the kernel to change something. `operation` says what, for the error.
    fn change(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        operation: impl Fn() -> String,
    ) -> Result<(), NetlinkError> {
        let _turn = rtnl::turn();
        self.converse(message, NLM_F_ACK | flags, &operation, |_| {})
    }

    /// Asks the kernel for one thing.
    fn query(
        &mut self,
        message: RouteNetlinkMessage,
        operation: impl Fn() -> String,
    ) -> Result<RouteNetlinkMessage, NetlinkError> {
        let mut answer = None;
        // With an acknowledgement asked for, a query ends like everything else.
        self.converse(message, NLM_F_ACK, &operation, |message| answer = Some(message))?;
        answer.ok_or_else(|| NetlinkError::NoAnswer { operation: operation() })
    }

    /// Asks the kernel for a list.
    fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        operation: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let mut answers = Vec::new();
        self.converse(message, NLM_F_DUMP, &operation, |message| answers.push(message))?;
        Ok(answers)
    }

    /// Sends one request and hands every message of the answer to `on_message`, until the kernel says that
    /// this was all or that it refuses.
    fn converse(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        operation: &impl Fn() -> String,
        mut on_message: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(message, NLM_F_REQUEST | flags)
            .map_err(|source| NetlinkError::Transport { operation: operation(), source })?;
        loop {
            self.receive().map_err(|source| NetlinkError::Transport { operation: operation(), source })?;
            let mut rest = self.buffer.as_slice();
            while !rest.is_empty() {
                let malformed = |reason: String| NetlinkError::Malformed { operation: operation(), reason };
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| malformed(error.to_string()))?;
                let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX);
                // Messages are padded to four bytes, the last one perhaps not.
                let padded = length.saturating_add(3) & !3;
                let message = rest;
                rest = rest.get(padded.max(1)..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue; // The tail of an answer to a request that failed half-way.
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => on_message(inner),
                    NetlinkPayload::Done(done) if done.code == 0 => return Ok(()),
                    NetlinkPayload::Done(done) => {
                        let source = io::Error::from_raw_os_error(done.code.saturating_abs());
                        return Err(refusal(operation(), source, None));
                    }
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(()),
                    NetlinkPayload::Error(error) => {
                        let said = extended_message(message.get(..length).unwrap_or(message));
                        return Err(refusal(operation(), error.to_io(), said));
                    }
                    NetlinkPayload::Noop => {}
                    other => return Err(malformed(format!("unexpected message {other:?}"))),
                }
            }
        }
    }

    fn send(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }

    /// Replaces the content of the buffer by the next datagram.
    fn receive(&mut self) -> io::Result<()> {
        self.buffer.clear();
        let length = self.socket.recv(&mut self.buffer, MSG_TRUNC)?;
        if length > self.buffer.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the kernel sent {length} bytes at once, there is room for {}", self.buffer.len()),
            ));
        }
        Ok(())
    }
}
