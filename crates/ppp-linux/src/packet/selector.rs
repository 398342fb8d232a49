//! The eBPF program that tells which member of a fanout group gets a frame.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ppp_wire::MacAddr;

use crate::bpf::{ArrayMap, Instruction, Register, SocketProgram};

/// What a frame's session and peer are looked up in, and the program that does it.
///
/// The map has an entry for each session id: the number that the program returns, and the last four bytes of the
/// peer's address. (The first two are left to the socket's filter, so that an entry is 64 bits, which are read
/// and written in one piece.) The program returns [`STRAYS`] for whatever it does not find.
#[derive(Debug)]
pub(super) struct Selector {
    program: SocketProgram,
    map: ArrayMap,
    entries: u32,
}

/// The member for frames of no session.
pub(super) const STRAYS: u32 = 0;

/// Entries of the smallest map.
const LEAST_ENTRIES: u32 = 1024;

/// Where things are, seen from the start of the PPPoE header: there the kernel stands when it asks.
mod offset {
    use nix::libc;

    pub(super) const SESSION_ID: i32 = 2;
    /// The Ethernet header is before that.
    pub(super) const SOURCE_TAIL: i32 = libc::SKF_LL_OFF + 8;
}

impl Selector {
    /// Makes a selector that finds nothing yet, for session ids up to `largest` or more.
    ///
    /// # Errors
    /// `EPERM` or `ENOSYS` where there is no eBPF for us.
    pub(super) fn new(largest: u16) -> io::Result<Self> {
        let entries = (u32::from(largest) + 1).next_power_of_two().max(LEAST_ENTRIES);
        let map = ArrayMap::new("pppoe_sessions", entries)?;
        let program = SocketProgram::load("pppoe_select", &program(&map))?;
        Ok(Self { program, map, entries })
    }

    /// Whether there is an entry for this session id.
    pub(super) fn covers(&self, session_id: u16) -> bool {
        u32::from(session_id) < self.entries
    }

    /// From now on the program returns `choice` for frames of `peer` in this session.
    pub(super) fn set(&self, session_id: u16, peer: MacAddr, choice: u32) -> io::Result<()> {
        let [_, _, tail @ ..] = peer.0;
        self.map.set(session_id.into(), u64::from(u32::from_be_bytes(tail)) << 32 | u64::from(choice))
    }

    /// From now on the program returns [`STRAYS`] for frames in this session.
    pub(super) fn clear(&self, session_id: u16) -> io::Result<()> {
        self.map.set(session_id.into(), STRAYS.into())
    }
}

impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

/// The number that leads to the last of `members` members, and, as soon as the one at `hole` has left, to the one
/// at `hole`: that is where the kernel moves the last one.
///
/// The kernel divides what the program returns by the number of members, and takes the remainder. It moves the
/// last member before it counts one less, so with this number no frame ever goes astray.
pub(super) fn before_move(members: u32, hole: u32) -> u32 {
    // n (hole + 1) - 1 is n - 1 modulo n, and hole modulo n - 1. It is less than n (n - 1), which fits for the 2^16
    // members that there can be.
    members.wrapping_mul(hole.wrapping_add(1)).wrapping_sub(1)
}

fn program(map: &ArrayMap) -> Vec<Instruction> {
    use Register::{R0, R1, R2, R6, R7, R10};
    const KEY: i16 = -4;

    let [map, map_continued] = Instruction::load_map(R1, map);
    vec![
        Instruction::copy(R6, R1),
        // Of a frame that is too short for these, 0 is returned: STRAYS.
        Instruction::load_packet_word(offset::SOURCE_TAIL),
        Instruction::copy(R7, R0),
        Instruction::load_packet_half(offset::SESSION_ID),
        Instruction::store_word(R10, KEY, R0),
        Instruction::copy(R2, R10),
        Instruction::add(R2, KEY.into()),
        map,
        map_continued,
        Instruction::look_up(),
        // A session id beyond the map.
        Instruction::skip_if_zero(R0, 6),
        Instruction::load(R0, R0),
        Instruction::copy(R1, R0),
        Instruction::shift_right(R1, 32),
        Instruction::skip_unless_equal(R1, R7, 2),
        Instruction::copy_lower_half(R0, R0),
        Instruction::exit(),
        Instruction::set(R0, STRAYS.cast_signed()),
        Instruction::exit(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_right_before_and_after_a_move() {
        for members in (2..200).chain([1000, 65_535, 65_536]) {
            for hole in (0..members - 1).step_by(1 + members as usize / 100).chain([members - 2]) {
                let number = before_move(members, hole);
                assert_eq!(number % members, members - 1);
                assert_eq!(number % (members - 1), hole, "{members} {hole}");
            }
        }
    }

    #[test]
    fn a_map_is_as_large_as_its_largest_session_id_needs() {
        for (largest, covered, not_covered) in [
            (0, 1023, Some(1024)),
            (1023, 1023, Some(1024)),
            (1024, 2047, Some(2048)),
            (65_534, 65_534, None),
        ] {
            let selector = Selector::new(largest).unwrap();
            assert!(selector.covers(covered));
            assert!(not_covered.is_none_or(|beyond| !selector.covers(beyond)));
        }
    }
}
