//! The network that a scenario runs in: an access segment, the server under test, and a host beyond its uplink.
//!
//! ```text
//!   cli                                srv                              net
//!   taps of the guests ─┐
//!   stations ───────────┴ br1 ─ port1 ══ eth1      eth0 ══════════════ eth0
//!                                        (no IP)   198.51.100.1        198.51.100.2
//! ```
//!
//! The guides do not agree on which of the server's interfaces is which, so [`Wiring`] tells.

mod access;
mod netlink;
mod netns;
mod stale;

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};

use crate::packages;

pub(crate) use netns::Netns;
pub(crate) use stale::{name_of, sweep};

/// The server's address on its uplink.
pub(crate) const UPLINK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The host beyond the uplink.
pub(crate) const FAR_HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The hardware address of the server's first access interface.
pub(crate) const ACCESS_MAC: [u8; 6] = [0x02, 0x50, 0x50, 0x00, 0x00, 0x01];

/// The hardware address of the server's second access interface.
pub(crate) const SECOND_ACCESS_MAC: [u8; 6] = [0x02, 0x50, 0x50, 0x00, 0x00, 0x02];

/// Whether the far host knows a way back to the clients' addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uplink {
    /// The far host routes everything by the server.
    Routed,
    /// The far host only knows its own network: clients need NAT on the server.
    Isolated,
}

/// Which of the server's two interfaces faces the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// Clients on `eth0`, uplink on `eth1`.
    AccessOnEth0,
    /// Clients on `eth1`, uplink on `eth0`.
    AccessOnEth1,
}

impl Wiring {
    /// Name of the access interface.
    pub(crate) fn access(self) -> &'static str {
        match self {
            Wiring::AccessOnEth0 => "eth0",
            Wiring::AccessOnEth1 => "eth1",
        }
    }

    /// Name of the uplink.
    pub(crate) fn uplink(self) -> &'static str {
        match self {
            Wiring::AccessOnEth0 => "eth1",
            Wiring::AccessOnEth1 => "eth0",
        }
    }
}

/// Three namespaces and the links between them.
#[derive(Debug)]
pub(crate) struct World {
    /// The access segment, where clients live.
    pub(crate) cli: Netns,
    /// The server under test.
    pub(crate) srv: Netns,
    /// The host beyond the uplink.
    pub(crate) net: Netns,
}

impl World {
    /// Builds the world. `label` keeps the worlds of one process apart.
    ///
    /// # Errors
    /// When the kernel refuses something; what was made so far is removed.
    pub(crate) fn build(label: &str, wiring: Wiring, uplink: Uplink) -> Result<Self> {
        let create = |role: &str| Netns::create(&name_of(&format!("{label}-{role}")));
        let world = World { cli: create("cli")?, srv: create("srv")?, net: create("net")? };
        for namespace in [&world.cli, &world.srv, &world.net] {
            namespace.sysctl("ipv6/conf/default/disable_ipv6", "1").ok();
            netlink::set_up(namespace, "lo")?;
        }

        netlink::add_veth(&world.srv, wiring.uplink(), &world.net, "eth0")?;
        for (namespace, name, address) in
            [(&world.srv, wiring.uplink(), UPLINK), (&world.net, "eth0", FAR_HOST)]
        {
            netlink::add_address(namespace, name, address, 24)?;
            netlink::set_up(namespace, name)?;
        }
        netlink::wait_running(&world.srv, wiring.uplink())?;
        world.srv.sysctl("ipv4/ip_forward", "1")?;
        if uplink == Uplink::Routed {
            netlink::add_default_route(&world.net, UPLINK)?;
        }

        world.add_segment(wiring.access(), ACCESS_MAC, "br1", "port1")?;
        Ok(world)
    }

    /// Adds an access interface to the server, and a bridge in `cli` where its clients attach.
    fn add_segment(&self, interface: &str, mac: [u8; 6], bridge: &str, port: &str) -> Result<()> {
        netlink::add_veth(&self.srv, interface, &self.cli, port)?;
        netlink::set_mac(&self.srv, interface, mac)?;
        netlink::set_up(&self.srv, interface)?;
        netlink::add_bridge(&self.cli, bridge)?;
        netlink::set_up(&self.cli, bridge)?;
        self.plug(port, bridge)?;
        netlink::wait_running(&self.srv, interface)
    }

    /// Adds a second access interface, `eth2`, with the bridge `br2`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn add_second_access(&self) -> Result<()> {
        self.add_segment("eth2", SECOND_ACCESS_MAC, "br2", "port2")
    }

    /// Adds an interface to the server with a link and nobody at its other end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn add_empty_access(&self, name: &str) -> Result<()> {
        let port = format!("{name}-end");
        netlink::add_veth(&self.srv, name, &self.cli, &port)?;
        netlink::set_up(&self.srv, name)?;
        netlink::set_up(&self.cli, &port)?;
        netlink::wait_running(&self.srv, name)
    }

    /// Gives an interface of the server an address.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn add_server_address(&self, name: &str, address: Ipv4Addr, prefix_len: u8) -> Result<()> {
        netlink::add_address(&self.srv, name, address, prefix_len)
    }

    /// Adds a station to a bridge: a link `name` in `cli` that programs there can open.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn add_station(&self, name: &str, bridge: &str, mac: [u8; 6]) -> Result<()> {
        let port = format!("{name}-port");
        netlink::add_veth(&self.cli, name, &self.cli, &port)?;
        netlink::set_mac(&self.cli, name, mac)?;
        netlink::set_up(&self.cli, name)?;
        self.plug(&port, bridge)?;
        netlink::wait_running(&self.cli, name)
    }

    /// Adds the access interface `eth1.ID`, as a VLAN would be called, with the bridge `brID`. It is a link of its own with the
    /// hardware address of `eth1`: not every kernel that tests run on can make VLANs.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn add_subinterface(&self, id: u16) -> Result<()> {
        self.add_segment(&format!("eth1.{id}"), ACCESS_MAC, &format!("br{id}"), &format!("port{id}"))
    }

    /// Makes a tap in `cli` on a bridge, for a guest, and returns its name.
    ///
    /// # Errors
    /// When `ip` fails: a tap needs an ioctl, and whoever runs guests has iproute2.
    pub(crate) fn add_tap(&self, guest: &str, bridge: &str) -> Result<String> {
        let name = tap_of(guest);
        let mut command = packages::command("ip")?;
        command.args(["tuntap", "add", "dev", &name, "mode", "tap"]);
        let status = self.cli.spawn(&mut command)?.wait().context("wait for ip")?;
        if !status.success() {
            bail!("ip tuntap add {name}: {status}");
        }
        self.plug(&name, bridge)?;
        Ok(name)
    }

    /// Unplugs a guest's line, or plugs it in again.
    ///
    /// # Errors
    /// When there is no such guest.
    pub(crate) fn set_line(&self, guest: &str, plugged: bool) -> Result<()> {
        let tap = tap_of(guest);
        if plugged { netlink::set_up(&self.cli, &tap) } else { netlink::set_down(&self.cli, &tap) }
    }

    fn plug(&self, port: &str, bridge: &str) -> Result<()> {
        netlink::set_bridge(&self.cli, port, bridge)?;
        netlink::set_up(&self.cli, port)
    }
}

fn tap_of(guest: &str) -> String {
    format!("tap-{guest}")
}
