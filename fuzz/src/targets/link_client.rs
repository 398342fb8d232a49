//! LCP, PAP, CHAP, IPCP and IPV6CP of a client, end to end: see [`super::link`].

use super::link;

/// See the top of `link.rs`.
pub fn run(bytes: &[u8]) {
    link::play(bytes, link::client);
}
