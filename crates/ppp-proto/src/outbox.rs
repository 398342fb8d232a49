//! Packets that wait to be sent, in one buffer that is used again and again.

use std::collections::VecDeque;

use ppp_wire::Error;
use ppp_wire::ppp::Protocol;

/// Packets that may wait at once. One packet received causes two at most, so a shell that sends after each
/// packet never comes near.
const MAX_WAITING: usize = 64;

/// Bytes of the Protocol field.
const PROTOCOL_LEN: usize = 2;

/// A queue of PPP packets, each from the Protocol field on.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    lengths: VecDeque<usize>,
    /// Bytes at the front of `bytes` that were taken already.
    taken: usize,
    /// The most bytes of Information that a packet may have.
    limit: usize,
    /// Packets that were too long, or for which there was no room.
    dropped: u64,
}

impl Outbox {
    pub(crate) fn new(limit: u16) -> Self {
        Self { bytes: Vec::new(), lengths: VecDeque::new(), taken: 0, limit: usize::from(limit), dropped: 0 }
    }

    /// The most bytes of Information that a packet may have: the peer's MRU, or less if the wire has less.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.limit = usize::from(limit);
    }

    /// Packets that were not sent because they exceeded the limit or the queue.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Queues a packet whose Information field `write` appends.
    ///
    /// A packet longer than the limit, or one that `write` refuses, is dropped and counted: what is cut short
    /// must be cut by the caller, who knows where the format allows it.
    pub(crate) fn push(&mut self, protocol: Protocol, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) {
        if self.lengths.len() >= MAX_WAITING {
            self.dropped += 1;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&protocol.to_be_bytes());
        let written = write(&mut self.bytes);
        let length = self.bytes.len().saturating_sub(start);
        if written.is_err() || length > self.limit + PROTOCOL_LEN {
            self.bytes.truncate(start);
            self.dropped += 1;
            return;
        }
        self.lengths.push_back(length);
    }

    /// Replaces the contents of `packet` by the next packet; false if there is none.
    pub(crate) fn pop(&mut self, packet: &mut Vec<u8>) -> bool {
        packet.clear();
        let Some(length) = self.lengths.pop_front() else { return false };
        let end = self.taken + length;
        packet.extend_from_slice(self.bytes.get(self.taken..end).unwrap_or_default());
        self.taken = end;
        if self.lengths.is_empty() {
            self.bytes.clear();
            self.taken = 0;
        }
        true
    }

    /// Whether the bookkeeping adds up; for debug assertions.
    pub(crate) fn is_consistent(&self) -> bool {
        self.lengths.len() <= MAX_WAITING
            && self.taken + self.lengths.iter().sum::<usize>() == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_octet(outbox: &mut Outbox, protocol: Protocol, octet: u8) {
        outbox.push(protocol, |out| {
            out.push(octet);
            Ok(())
        });
    }

    fn put(outbox: &mut Outbox, length: usize) {
        outbox.push(Protocol::Lcp, |out| {
            out.resize(out.len() + length, 7);
            Ok(())
        });
    }

    #[test]
    fn packets_come_out_in_order_with_their_protocol() {
        let mut outbox = Outbox::new(1492);
        put_octet(&mut outbox, Protocol::Lcp, 1);
        put_octet(&mut outbox, Protocol::Ipcp, 2);
        let mut packet = vec![9; 9];
        assert!(outbox.pop(&mut packet));
        assert_eq!(packet, [0xc0, 0x21, 1]);
        put_octet(&mut outbox, Protocol::Pap, 3);
        assert!(outbox.is_consistent());
        assert!(outbox.pop(&mut packet));
        assert_eq!(packet, [0x80, 0x21, 2]);
        assert!(outbox.pop(&mut packet));
        assert_eq!(packet, [0xc0, 0x23, 3]);
        assert!(!outbox.pop(&mut packet));
        assert!(packet.is_empty() && outbox.is_consistent());
    }

    #[test]
    fn what_exceeds_the_limit_is_dropped_and_counted() {
        let mut outbox = Outbox::new(128);
        put(&mut outbox, 128);
        put(&mut outbox, 129);
        outbox.push(Protocol::Lcp, |out| {
            out.push(1);
            Err(Error::Empty { what: "test" })
        });
        assert_eq!(outbox.dropped(), 2);
        let mut packet = Vec::new();
        assert!(outbox.pop(&mut packet));
        assert_eq!(packet.len(), 130);
        assert!(!outbox.pop(&mut packet));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut outbox = Outbox::new(128);
        for _ in 0..MAX_WAITING + 3 {
            put(&mut outbox, 1);
        }
        assert_eq!(outbox.dropped(), 3);
        assert!(outbox.is_consistent());
    }
}
