//! Addresses that are the machine's own, which no session may have whoever wants to give them to one.

use std::fmt;
use std::net::Ipv4Addr;

/// Knows the addresses of the machine that the pool works for.
pub trait Machine: fmt::Debug {
    /// Whether an address is the machine's own, or its networks' broadcast address.
    fn has(&self, address: Ipv4Addr) -> bool;
}

/// A machine without any address.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMachine;

impl Machine for NoMachine {
    fn has(&self, _: Ipv4Addr) -> bool {
        false
    }
}
