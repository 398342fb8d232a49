//! What unit tests of several modules need.

use std::time::Instant;

use crate::negotiation::Io;
use crate::outbox::Outbox;
use crate::timer::TimerTable;

/// The surroundings of an automaton or authenticator, in virtual time.
pub(crate) struct IoBench {
    pub(crate) out: Outbox,
    pub(crate) timers: TimerTable,
    pub(crate) now: Instant,
}

impl IoBench {
    pub(crate) fn new(limit: u16) -> Self {
        Self { out: Outbox::new(limit), timers: TimerTable::default(), now: Instant::now() }
    }

    pub(crate) fn io(&mut self) -> Io<'_> {
        Io { now: self.now, out: &mut self.out, timers: &mut self.timers }
    }

    /// Packets sent since the last call, without the Protocol field.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut packet = Vec::new();
        while self.out.pop(&mut packet) {
            packets.push(packet.split_off(2));
        }
        packets
    }
}
