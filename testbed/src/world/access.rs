//! What can happen to the server's first access interface, `eth1`.

use anyhow::Result;

use super::{Wiring, World, netlink};

/// The interface and its end in `cli`.
const INTERFACE: &str = "eth1";
const PORT: &str = "port1";
const BRIDGE: &str = "br1";

impl World {
    /// Removes the interface, as pulling a USB network card out would.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn remove_access(&self) -> Result<()> {
        netlink::delete(&self.srv, INTERFACE)
    }

    /// Makes an interface of the same name, which is another one.
    ///
    /// # Errors
    /// When there is one.
    pub(crate) fn return_access(&self, mac: [u8; 6]) -> Result<()> {
        netlink::add_veth(&self.srv, INTERFACE, &self.cli, PORT)?;
        netlink::set_mac(&self.srv, INTERFACE, mac)?;
        netlink::set_up(&self.srv, INTERFACE)?;
        self.plug(PORT, BRIDGE)?;
        netlink::wait_running(&self.srv, INTERFACE)
    }

    /// Gives the interface another hardware address while it is up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn set_access_mac(&self, mac: [u8; 6]) -> Result<()> {
        netlink::set_mac(&self.srv, INTERFACE, mac)
    }

    /// Gives the interface another MTU in bytes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn set_access_mtu(&self, mtu: u32) -> Result<()> {
        netlink::set_mtu(&self.srv, INTERFACE, mtu)
    }

    /// Gives the server's uplink another MTU in bytes, and leaves the far host's end as it is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn set_uplink_mtu(&self, wiring: Wiring, mtu: u32) -> Result<()> {
        netlink::set_mtu(&self.srv, wiring.uplink(), mtu)
    }

    /// Gives a station's link another MTU in bytes.
    ///
    /// # Errors
    /// When there is no such station.
    pub(crate) fn set_station_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        netlink::set_mtu(&self.cli, name, mtu)
    }

    /// Sets the interface down, or up and waits for its carrier.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn set_access_up(&self, up: bool) -> Result<()> {
        if up {
            netlink::set_up(&self.srv, INTERFACE)?;
            netlink::wait_running(&self.srv, INTERFACE)
        } else {
            netlink::set_down(&self.srv, INTERFACE)
        }
    }
}
