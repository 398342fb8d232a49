//! The classic BPF program that lets one session's frames through to its socket, and nothing else.

use nix::libc::{self, sock_filter};
use ppp_wire::pppoe::VERSION_TYPE;

use super::SessionKey;

/// Offsets in a frame, Ethernet header first (RFC 2516 section 4).
mod offset {
    pub(super) const DESTINATION: u32 = 0;
    pub(super) const SOURCE: u32 = 6;
    pub(super) const ETHER_TYPE: u32 = 12;
    /// VER, TYPE and CODE.
    pub(super) const VERSION_TYPE_CODE: u32 = 14;
    pub(super) const SESSION_ID: u32 = 16;
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
    for (at, mac) in [(offset::SOURCE, key.peer), (offset::DESTINATION, key.own)] {
        let [a, b, c, d, e, f] = mac.0;
        checks.push(Check::Word { offset: at, expected: u32::from_be_bytes([a, b, c, d]) });
        checks.push(Check::Half { offset: at + 4, expected: u16::from_be_bytes([e, f]) });
    }
    checks.push(Check::Half { offset: offset::ETHER_TYPE, expected: key.ether_type.into() });
    // CODE is 0 for session data (RFC 2516 section 6).
    let version_type_code = u16::from_be_bytes([VERSION_TYPE, 0]);
    checks.push(Check::Half { offset: offset::VERSION_TYPE_CODE, expected: version_type_code });
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
