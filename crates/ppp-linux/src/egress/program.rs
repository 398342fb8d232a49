//! The program that judges the frames of workers, and what it knows of each session.

use std::os::fd::AsFd;

use ppp_wire::ethernet::EtherType;
use ppp_wire::pppoe::VERSION_TYPE;

use crate::bpf::{Assembler, Instruction, Register};
use crate::interface::IfIndex;
use crate::packet::SessionKey;

/// Of [`Rule`] in the map.
pub(super) const WORDS: usize = 5;

/// The entry that is no session's, since 0 is no session id (RFC 2516 §4): its first number counts all frames that
/// were dropped of sessions that have a rule, and its last those of sessions that have none.
pub(super) const TOTALS: u32 = 0;

/// Code of a PADT (RFC 2516 §5.5), which a worker sends when there is no `pppoed` to do it.
const CODE_PADT: u8 = 0xa7;

/// How the frames of a session have to begin, from their destination to their session id, in the order of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Destination, and two bytes of the source.
    start: [u8; 8],
    /// The rest of the source, EtherType, version, type and code: of session data, and of a PADT.
    middles: [[u8; 8]; 2],
    session_id: [u8; 2],
    interface: u32,
}

/// Where what is in a [`Rule`].
mod offset {
    pub(super) const START: i16 = 0;
    pub(super) const MIDDLES: [i16; 2] = [8, 16];
    pub(super) const SESSION_ID: i16 = 24;
    pub(super) const INTERFACE: i16 = 28;
    pub(super) const DROPPED: i16 = 32;
}

impl Rule {
    pub(super) fn new(interface: IfIndex, key: &SessionKey, discovery: EtherType) -> Self {
        let [a, b, rest @ ..] = key.own.0;
        let mut start = [0; 8];
        for (byte, value) in start.iter_mut().zip(key.peer.0.into_iter().chain([a, b])) {
            *byte = value;
        }
        let middle = |ether_type: EtherType, code| {
            let [c, d, e, f] = rest;
            let [high, low] = u16::from(ether_type).to_be_bytes();
            [c, d, e, f, high, low, VERSION_TYPE, code]
        };
        Self {
            start,
            middles: [middle(key.ether_type, 0), middle(discovery, CODE_PADT)],
            session_id: key.session_id.to_be_bytes(),
            interface: interface.get(),
        }
    }

    /// As it is in the map, with the number of frames that were dropped.
    pub(super) fn to_words(self, dropped: u64) -> [u64; WORDS] {
        let [high, low] = self.session_id;
        let [a, b, c, d] = self.interface.to_ne_bytes();
        let last = [high, low, 0, 0, a, b, c, d];
        let [data, padt] = self.middles;
        let [start, data, padt, last] = [self.start, data, padt, last].map(u64::from_ne_bytes);
        [start, data, padt, last, dropped]
    }
}

/// What the program answers.
mod verdict {
    /// `TC_ACT_UNSPEC`: no objection; whatever other filters there are decide.
    pub(super) const GO_ON: i32 = -1;
    /// `TC_ACT_SHOT`
    pub(super) const DROP: i32 = 2;
}

/// Fields of `struct __sk_buff` (linux/bpf.h).
mod context {
    pub(super) const MARK: i16 = 8;
    pub(super) const VLAN_PRESENT: i16 = 20;
    pub(super) const INTERFACE: i16 = 40;
}

/// The instructions for frames that carry the upper half `tag` in their mark.
pub(super) fn program(tag: u16, rules: &impl AsFd) -> Vec<Instruction> {
    use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R10};
    const KEY: i16 = -4;
    const FRAME: i16 = -32;
    /// Bytes from the destination to the session id.
    const LENGTH: i32 = 18;

    let look_up = |assembler: &mut Assembler<Label>| {
        let [map, map_continued] = Instruction::load_map(R1, rules);
        for instruction in [
            Instruction::copy(R2, R10),
            Instruction::add(R2, KEY.into()),
            map,
            map_continued,
            Instruction::look_up(),
        ] {
            assembler.push(instruction);
        }
    };
    let mut a = Assembler::default();
    a.push(Instruction::copy(R6, R1));
    a.push(Instruction::load_word(R7, R6, context::MARK));
    a.push(Instruction::copy(R2, R7));
    a.push(Instruction::shift_right(R2, 16));
    a.jump(Label::GoOn, Instruction::skip_unless(R2, i32::from(tag), 0));
    a.push(Instruction::and(R7, 0xffff));
    a.push(Instruction::store_word(R10, KEY, R7));
    a.jump(Label::Unknown, Instruction::skip_if_zero(R7, 0));
    look_up(&mut a);
    a.jump(Label::Unknown, Instruction::skip_if_zero(R0, 0));
    a.push(Instruction::copy(R8, R0));
    // A frame of a VLAN goes through the interface below as well, and has been judged before.
    a.push(Instruction::load_word(R1, R6, context::INTERFACE));
    a.push(Instruction::load_word(R2, R8, offset::INTERFACE));
    a.jump(Label::GoOn, Instruction::skip_unless_equal(R1, R2, 0));
    a.push(Instruction::load_word(R1, R6, context::VLAN_PRESENT));
    a.jump(Label::Forged, Instruction::skip_unless(R1, 0, 0));

    a.push(Instruction::copy(R1, R6));
    a.push(Instruction::set(R2, 0));
    a.push(Instruction::copy(R3, R10));
    a.push(Instruction::add(R3, FRAME.into()));
    a.push(Instruction::set(R4, LENGTH));
    a.push(Instruction::load_bytes());
    a.jump(Label::Forged, Instruction::skip_unless(R0, 0, 0));
    a.push(Instruction::load_at(R1, R10, FRAME));
    a.push(Instruction::load_at(R2, R8, offset::START));
    a.jump(Label::Forged, Instruction::skip_unless_equal(R1, R2, 0));
    a.push(Instruction::load_half(R1, R10, FRAME + 16));
    a.push(Instruction::load_half(R2, R8, offset::SESSION_ID));
    a.jump(Label::Forged, Instruction::skip_unless_equal(R1, R2, 0));
    a.push(Instruction::load_at(R1, R10, FRAME + 8));
    for middle in offset::MIDDLES {
        a.push(Instruction::load_at(R2, R8, middle));
        a.jump(Label::GoOn, Instruction::skip_if_equal(R1, R2, 0));
    }

    a.place(Label::Forged);
    a.push(Instruction::set(R1, 1));
    a.push(Instruction::atomic_add(R8, offset::DROPPED, R1));
    a.push(Instruction::set(R7, offset::START.into()));
    a.jump(Label::Count, Instruction::skip(0));
    a.place(Label::Unknown);
    a.push(Instruction::set(R7, offset::DROPPED.into()));
    a.place(Label::Count);
    a.push(Instruction::store_number(R10, KEY, i32::try_from(TOTALS).unwrap_or_default()));
    look_up(&mut a);
    a.jump(Label::Drop, Instruction::skip_if_zero(R0, 0));
    a.push(Instruction::set(R1, 1));
    a.jump(Label::CountUnknown, Instruction::skip_unless(R7, offset::START.into(), 0));
    a.push(Instruction::atomic_add(R0, offset::START, R1));
    a.jump(Label::Drop, Instruction::skip(0));
    a.place(Label::CountUnknown);
    a.push(Instruction::atomic_add(R0, offset::DROPPED, R1));
    a.place(Label::Drop);
    a.push(Instruction::set(R0, verdict::DROP));
    a.push(Instruction::exit());
    a.place(Label::GoOn);
    a.push(Instruction::set(R0, verdict::GO_ON));
    a.push(Instruction::exit());
    a.finish()
}

/// A place in the program that is jumped to from before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Count,
    CountUnknown,
    Drop,
    Forged,
    GoOn,
    Unknown,
}
