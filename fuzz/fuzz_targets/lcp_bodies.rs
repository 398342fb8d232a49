//! Bodies of the LCP packets that are not about options.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ppp_wire::lcp::{CodeReject, MagicBody, ProtocolReject, TimeRemaining};

fuzz_target!(|bytes: &[u8]| {
    let mut out = Vec::new();
    if let Ok(body) = MagicBody::parse(bytes) {
        body.emit(&mut out);
        assert_eq!(out, bytes);
    }
    out.clear();
    if let Ok(body) = TimeRemaining::parse(bytes) {
        body.emit(&mut out);
        assert_eq!(out, bytes);
    }
    out.clear();
    if let Ok(body) = ProtocolReject::parse(bytes) {
        body.emit(&mut out);
        assert_eq!(out, bytes);
    }
    out.clear();
    if let Ok(body) = CodeReject::parse(bytes) {
        body.emit(&mut out);
        assert_eq!(out, bytes);
    }
});
