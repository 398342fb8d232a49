//! The scenarios, in the order in which the test command tells of them.

mod centos_five_steps;
mod centos_two_nics;
mod check;
mod compat;
mod discovery;
mod docker_lab;
mod drain;
mod endings;
mod forged;
mod full_mtu;
mod handbook;
mod hang_up;
mod hook_scripts;
mod hostile;
mod installed;
mod interface_gone;
mod interface_sections;
mod ipv6;
mod limits;
mod mac_change;
mod names;
mod protocol_details;
mod proxyarp;
mod quota_and_idle;
mod rates;
mod reference;
mod relay_speed;
mod rp_pppoe_from_source;
mod sandbox;
mod server_restarted;
mod sigterm;
mod stock_kernel;
mod storm;
mod worker_hung;
mod worker_killed;
mod wrong_options;

use anyhow::Result;

pub(crate) use hook_scripts::shipped;

use crate::jobs::Load;
use crate::lab::Lab;

/// pppd and the kernel's PPPoE, in a guest.
const PPPD: &str = "pppd 2.4.9 with rp-pppoe.so on Linux kernel PPPoE (User-Mode Linux guest)";

/// The same pppd, and one behind rp-pppoe's user mode client.
const PPPD_AND_PPPOE: &str =
    "pppd 2.4.9 on Linux kernel PPPoE, and on rp-pppoe 3.15's pppoe (User-Mode Linux guest)";

/// The test bed's own client.
const OWN_CLIENT: &str = "the test bed's own client (CHAP, ping through its TUN)";

/// A named test against real peers.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What to call it on the command line.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) about: &'static str,
    /// Whom it runs against.
    pub(crate) peer: &'static str,
    /// What it needs of the machine: what may run beside it.
    pub(crate) load: Load,
    /// The test itself.
    pub(crate) run: fn(&Lab) -> Result<()>,
}

/// Scenarios that every run has time for.
pub(crate) static ALL: &[Scenario] = &[
    reference::SCENARIO,
    centos_five_steps::SCENARIO,
    rp_pppoe_from_source::SCENARIO,
    centos_two_nics::SCENARIO,
    protocol_details::SCENARIO,
    docker_lab::SCENARIO,
    discovery::SCENARIO,
    endings::SCENARIO,
    sigterm::SCENARIO,
    forged::SCENARIO,
    hostile::SCENARIO,
    names::SCENARIO,
    sandbox::SCENARIO,
    hang_up::SCENARIO,
    hang_up::LINK_DOWN,
    server_restarted::SCENARIO,
    worker_killed::SCENARIO,
    worker_hung::SCENARIO,
    ipv6::SCENARIO,
    proxyarp::SCENARIO,
    interface_gone::SCENARIO,
    interface_sections::SCENARIO,
    drain::SCENARIO,
    hook_scripts::NAT,
    hook_scripts::MSS_CLAMP,
    hook_scripts::DENY_AND_HOURS,
    hook_scripts::ACCOUNTING,
    hook_scripts::ROUTES,
    compat::SCENARIO,
    wrong_options::SCENARIO,
    installed::SCENARIO,
    handbook::SCENARIO,
    // Those that measure run last.
    limits::SCENARIO,
    quota_and_idle::SCENARIO,
    mac_change::SCENARIO,
    full_mtu::SCENARIO,
    hook_scripts::RATE_LIMIT,
    hook_scripts::LIMITER,
    storm::SCENARIO,
    relay_speed::SCENARIO,
    rates::SCENARIO,
];

/// What takes minutes: run by name, and by `.ci/nightly`.
pub(crate) static NIGHTLY: &[Scenario] = &[stock_kernel::SCENARIO, hang_up::LONG];

/// Every scenario.
pub(crate) fn every() -> impl Iterator<Item = &'static Scenario> {
    ALL.iter().chain(NIGHTLY)
}
