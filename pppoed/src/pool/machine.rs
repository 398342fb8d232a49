//! This machine's own addresses.

use std::cell::RefCell;
use std::net::Ipv4Addr;

use ppp_linux::netlink::{Netlink, NetlinkError};
use pppoed_config::pool::Machine;

/// This machine, at the moment of the question: the kernel is asked, which answers in the system call itself.
#[derive(Debug)]
pub struct ThisMachine {
    netlink: RefCell<Netlink>,
}

impl ThisMachine {
    /// The machine, as the caller's network namespace has it.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn new() -> Result<Self, NetlinkError> {
        Ok(Self { netlink: RefCell::new(Netlink::open()?) })
    }
}

impl Machine for ThisMachine {
    fn has(&self, address: Ipv4Addr) -> bool {
        // Where the kernel cannot answer, the session's interface cannot be configured either.
        self.netlink
            .try_borrow_mut()
            .is_ok_and(|mut netlink| netlink.is_own_address(address).unwrap_or(false))
    }
}
