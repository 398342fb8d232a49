//! The scenarios, in the order in which the test command runs them.

mod reference;

use anyhow::Result;

use crate::lab::Lab;

/// pppd and the kernel's PPPoE, in a guest.
const PPPD: &str = "pppd 2.4.9 with rp-pppoe.so on Linux kernel PPPoE (User-Mode Linux guest)";

/// A named test against real peers.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What to call it on the command line.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) about: &'static str,
    /// Whom it runs against.
    pub(crate) peer: &'static str,
    /// The test itself.
    pub(crate) run: fn(&Lab) -> Result<()>,
}

/// Every scenario.
pub(crate) const ALL: &[Scenario] = &[reference::SCENARIO];
