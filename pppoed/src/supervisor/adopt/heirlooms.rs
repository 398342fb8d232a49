//! The packet sockets of sessions that were taken over.
//!
//! They are members of a fanout group whose account ended with the `pppoed` that kept it. The group goes on as it was, with
//! its program and its map, for as long as none of its members leaves: then another would get the place of the one that
//! left, and the map would not know. So a duplicate of each is kept until the last of these sessions is over, or has
//! got a socket in the group of this `pppoed` ([`super::take_over`]); workers that are too old for that keep what they have.
//! (A worker whose session ends while no `pppoed` is there stays until the next one comes, and with it its socket.)

use std::collections::BTreeMap;
use std::mem;
use std::os::fd::RawFd;

use ppp_linux::packet::SessionSocket;
use ppp_linux::pidfd::PidFd;

use crate::supervisor::session::Token;

/// A worker has no descriptors beyond.
const DESCRIPTORS: RawFd = 32;

/// The duplicates.
#[derive(Debug, Default)]
pub(super) struct Heirlooms {
    alive: BTreeMap<Token, SessionSocket>,
    over: Vec<SessionSocket>,
}

impl Heirlooms {
    /// Keeps the socket of a session.
    pub(super) fn keep(&mut self, token: Token, socket: SessionSocket) {
        self.alive.insert(token, socket);
    }

    /// Whether the socket of a session is here.
    pub(super) fn has(&self, token: Token) -> bool {
        self.alive.contains_key(&token)
    }

    /// A session is over, or its worker has closed the socket. False if there was none.
    pub(super) fn release(&mut self, token: Token) -> bool {
        let Some(socket) = self.alive.remove(&token) else { return false };
        // Nobody reads what comes for it.
        let _ = socket.set_receive_buffer(0);
        self.over.push(socket);
        if self.alive.is_empty() {
            // The kernel takes some 10 ms for each. The threads for this are there already (`crate::threads`).
            let over = mem::take(&mut self.over);
            tokio::task::spawn_blocking(move || drop(over));
        }
        true
    }
}

/// A duplicate of a worker's packet socket, if it can be had.
pub(super) fn packet_socket(worker: &PidFd) -> Option<SessionSocket> {
    let mut descriptors = (0..DESCRIPTORS).filter_map(|number| worker.duplicate_descriptor(number).ok());
    descriptors.find_map(|fd| SessionSocket::from_fd(fd).ok())
}
