//! PAP and CHAP packets, and the texts that logs show of them.

use ppp_wire::escape::Escaped;
use ppp_wire::{chap, pap};

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    let mut out = Vec::new();
    if let Ok(packet) = pap::Packet::parse(bytes) {
        packet.emit(&mut out).expect("what was parsed fits");
        assert_eq!(pap::Packet::parse(&out), Ok(packet));
    }
    out.clear();
    if let Ok(packet) = chap::Packet::parse(bytes) {
        packet.emit(&mut out).expect("what was parsed fits");
        assert_eq!(chap::Packet::parse(&out), Ok(packet));
    }
    assert!(!Escaped(bytes).to_string().chars().any(char::is_control));
}
