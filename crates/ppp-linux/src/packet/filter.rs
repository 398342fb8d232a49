//! The classic BPF program that lets one session's frames through to its socket, and nothing else.

use nix::libc::{self, sock_filter};
use ppp_wire::pppoe::VERSION_TYPE;

use super::{SessionKey, Watch};

/// Offsets in a frame, Ethernet header first (RFC 2516 section 4).
mod offset {
    pub(super) const DESTINATION: u32 = 0;
    pub(super) const SOURCE: u32 = 6;
    pub(super) const ETHER_TYPE: u32 = 12;
    pub(super) const SESSION_ID: u32 = 16;
    /// Of PPP.
    pub(super) const PROTOCOL: u32 = 20;
}

/// A value of the frame, or of the kernel's notes about it, that has to be as expected.
enum Check {
    Half { offset: u32, expected: u16 },
    Word { offset: u32, expected: u32 },
}

/// The program for `key`. A frame that is too short for any of the loads is dropped by the kernel.
pub(super) fn session_filter(key: &SessionKey) -> Vec<sock_filter> {
    // Most frames that the socket does not want belong to other sessions.
    let mut checks = vec![Check::Half { offset: offset::SESSION_ID, expected: key.session_id }];
    // What is in front of it in as few loads as possible: with thousands of busy sessions, the programs do not stay in
    // the processor's caches.
    let [[a, b, c, d, e, f], [g, h, i, j, k, l]] = [key.own, key.peer].map(|mac| mac.0);
    let [m, n] = u16::from(key.ether_type).to_be_bytes();
    // CODE is 0 for session data (RFC 2516 section 6).
    let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, VERSION_TYPE, 0]];
    for (offset, word) in (offset::DESTINATION..).step_by(4).zip(words) {
        checks.push(Check::Word { offset, expected: u32::from_be_bytes(word) });
    }
    checks.extend(for_us());
    assemble(&checks)
}

/// The program that lets frames of any session through that were sent to us.
pub(super) fn stray_filter() -> Vec<sock_filter> {
    assemble(&for_us())
}

fn for_us() -> [Check; 2] {
    [
        // A frame of a VLAN comes with its tag taken out, and would otherwise look like one of the bare
        // interface.
        Check::Word { offset: ancillary(libc::SKF_AD_VLAN_TAG_PRESENT), expected: 0 },
        Check::Word { offset: ancillary(libc::SKF_AD_PKTTYPE), expected: libc::PACKET_HOST.into() },
    ]
}

/// The program for a capture of `key`: its frames in both directions. Whose the addresses are is looked at later.
pub(super) fn capture_filter(key: &SessionKey) -> Vec<sock_filter> {
    assemble(&[
        Check::Half { offset: offset::ETHER_TYPE, expected: key.ether_type.into() },
        Check::Half { offset: offset::SESSION_ID, expected: key.session_id },
        Check::Word { offset: ancillary(libc::SKF_AD_VLAN_TAG_PRESENT), expected: 0 },
    ])
}

/// The program that lets through what `watch` says, in both directions.
pub(super) fn watch_filter(watch: &Watch) -> Vec<sock_filter> {
    let load = |size, offset| Step::Load { size, offset };
    let (is, next) = (|value, yes, no| Step::Is { value, yes, no }, Goto::Next);
    let mut steps =
        vec![load(libc::BPF_W, ancillary(libc::SKF_AD_VLAN_TAG_PRESENT)), is(0, next, Goto::Drop)];
    if let Some(peer) = watch.peer {
        let [a, b, c, d, e, f] = peer.0;
        let (head, tail) = (u32::from_be_bytes([a, b, c, d]), u32::from(u16::from_be_bytes([e, f])));
        steps.extend([
            load(libc::BPF_W, offset::SOURCE),
            is(head, next, Goto::Skip(2)),
            load(libc::BPF_H, offset::SOURCE + 4),
            // It is the sender: who receives it does not matter.
            is(tail, Goto::Skip(4), next),
            load(libc::BPF_W, offset::DESTINATION),
            is(head, next, Goto::Drop),
            load(libc::BPF_H, offset::DESTINATION + 4),
            is(tail, next, Goto::Drop),
        ]);
    }
    steps.extend([
        load(libc::BPF_H, offset::ETHER_TYPE),
        is(u16::from(watch.discovery).into(), Goto::Accept, next),
        is(u16::from(watch.session).into(), next, Goto::Drop),
    ]);
    if let Some(session_id) = watch.session_id {
        steps.extend([load(libc::BPF_H, offset::SESSION_ID), is(session_id.into(), next, Goto::Drop)]);
    }
    if !watch.data {
        steps.extend([
            // Too short to have a Protocol field, and worth to be looked at for that.
            Step::LoadLength,
            Step::IsAtLeast { value: offset::PROTOCOL + 2, yes: next, no: Goto::Accept },
            load(libc::BPF_B, offset::PROTOCOL),
            // Control protocols begin with 0x80 to 0xff (RFC 1661 section 2).
            Step::HasBits { bits: 0x80, yes: Goto::Accept, no: Goto::Drop },
        ]);
    }
    assemble_steps(&steps)
}

/// An instruction.
enum Step {
    Load { size: u32, offset: u32 },
    LoadLength,
    Is { value: u32, yes: Goto, no: Goto },
    IsAtLeast { value: u32, yes: Goto, no: Goto },
    HasBits { bits: u32, yes: Goto, no: Goto },
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum Goto {
    Next,
    /// Over so many steps.
    Skip(usize),
    Accept,
    Drop,
}

/// What runs past the last step is accepted.
fn assemble_steps(steps: &[Step]) -> Vec<sock_filter> {
    let jump = |index: usize, goto: Goto| {
        let left = steps.len().saturating_sub(index + 1);
        let distance = match goto {
            Goto::Next => 0,
            Goto::Skip(count) => count,
            Goto::Accept => left,
            Goto::Drop => left + 1,
        };
        // There are two dozen steps.
        u8::try_from(distance).unwrap_or(u8::MAX)
    };
    let translate = |(index, step): (usize, &Step)| {
        let compare = |how: u32, k: u32, yes: Goto, no: Goto| sock_filter {
            code: u16::try_from(libc::BPF_JMP | how | libc::BPF_K).unwrap_or_default(),
            jt: jump(index, yes),
            jf: jump(index, no),
            k,
        };
        match *step {
            Step::Load { size, offset } => instruction(libc::BPF_LD | size | libc::BPF_ABS, 0, offset),
            Step::LoadLength => instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0, 0),
            Step::Is { value, yes, no } => compare(libc::BPF_JEQ, value, yes, no),
            Step::IsAtLeast { value, yes, no } => compare(libc::BPF_JGE, value, yes, no),
            Step::HasBits { bits, yes, no } => compare(libc::BPF_JSET, bits, yes, no),
        }
    };
    let mut program: Vec<sock_filter> = steps.iter().enumerate().map(translate).collect();
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0));
    program
}

/// The kernel's notes about a frame are read like bytes at negative offsets.
fn ancillary(note: i32) -> u32 {
    (libc::SKF_AD_OFF + note).cast_unsigned()
}

fn assemble(checks: &[Check]) -> Vec<sock_filter> {
    let mut program = Vec::with_capacity(2 * checks.len() + 2);
    // Instructions between each comparison and the final "drop": all later checks, and "accept".
    let mut to_drop = 2 * checks.len();
    for check in checks {
        to_drop = to_drop.saturating_sub(2);
        let (size, offset, expected) = match *check {
            Check::Half { offset, expected } => (libc::BPF_H, offset, u32::from(expected)),
            Check::Word { offset, expected } => (libc::BPF_W, offset, expected),
        };
        program.push(instruction(libc::BPF_LD | size | libc::BPF_ABS, 0, offset));
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_drop + 1, expected));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0));
    program
}

/// `jump_false`: how many instructions a comparison that fails skips.
fn instruction(code: u32, jump_false: usize, k: u32) -> sock_filter {
    // Codes have 16 bits; there are a dozen checks, so no jump is longer than 255. Were one, the socket would
    // drop everything, which the first test would show.
    let code = u16::try_from(code).unwrap_or_default();
    sock_filter { code, jt: 0, jf: u8::try_from(jump_false).unwrap_or(u8::MAX), k }
}
