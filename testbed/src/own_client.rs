//! How the scenarios and the demo dial with the test bed's own client.

use std::time::Duration;

use anyhow::Result;
use ppp_linux::interface::IfName;
use ppp_proto::auth::AuthMethod;

use crate::client::DialConfig;
use crate::world::World;

/// The link in the world's `cli` namespace that is dialled from.
pub(crate) const LINE: &str = "line0";

/// Adds [`LINE`] to the first access segment, and tells how to dial from it with CHAP and the TUN `dial0`.
///
/// # Errors
/// When the link cannot be made.
pub(crate) fn dial_config(world: &World, user: &str, password: &str) -> Result<DialConfig> {
    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    redial_config(world, user, password)
}

/// As [`dial_config`], once [`LINE`] is there.
///
/// # Errors
/// When the system is out of descriptors.
pub(crate) fn redial_config(world: &World, user: &str, password: &str) -> Result<DialConfig> {
    Ok(DialConfig {
        netns: Some(world.cli.fd().try_clone_to_owned()?),
        interface: LINE.parse::<IfName>()?,
        mac: None,
        user: user.to_owned(),
        password: password.to_owned(),
        methods: vec![AuthMethod::ChapMd5],
        service_name: String::new(),
        max_payload: None,
        setup_deadline: Duration::from_secs(20),
        tun: "dial0".parse::<IfName>()?,
        default_route: true,
    })
}
