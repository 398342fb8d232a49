//! Bodies of the LCP packets that are not about options.

use ppp_wire::lcp::{CodeReject, MagicBody, ProtocolReject, TimeRemaining};

/// See the top of this file.
pub fn run(bytes: &[u8]) {
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
}
