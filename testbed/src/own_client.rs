//! How the scenarios and the demo dial with the test bed's own client.

use std::time::Duration;

use anyhow::Result;
use ppp_proto::auth::AuthMethod;
use ppp_wire::if_name::IfName;

use crate::client::{DialConfig, GATHER};
use crate::world::World;

/// The link in the world's `cli` namespace that is dialled from.
pub(crate) const LINE: &str = "line0";

/// Adds [`LINE`] to the first access segment, and tells how to dial from it with CHAP and the TUN `dial0`.
///
/// # Errors
/// When the link cannot be made.
pub(crate) fn dial_config(world: &World, user: &str, password: &str) -> Result<DialConfig> {
    numbered_dial_config(world, 0, user, password)
}

/// As [`dial_config`], once [`LINE`] is there.
///
/// # Errors
/// When the system is out of descriptors.
pub(crate) fn redial_config(world: &World, user: &str, password: &str) -> Result<DialConfig> {
    on_line(world, 0, user, password)
}

/// As [`dial_config`] from another link, `lineN`, with the TUN `dialN`. Only the first is a default route.
///
/// # Errors
/// As [`dial_config`].
pub(crate) fn numbered_dial_config(
    world: &World,
    number: u8,
    user: &str,
    password: &str,
) -> Result<DialConfig> {
    world.add_station(&line(number), "br1", line_mac(number))?;
    on_line(world, number, user, password)
}

/// As [`redial_config`], from any link of the world's `cli` namespace, with a TUN that has `-tun` behind its name.
///
/// # Errors
/// As [`redial_config`].
pub(crate) fn dial_config_on(world: &World, link: &str, user: &str, password: &str) -> Result<DialConfig> {
    let config = on_line(world, 0, user, password)?;
    let tun = format!("{link}-tun").parse::<IfName>()?;
    Ok(DialConfig { interface: link.parse::<IfName>()?, tun, default_route: false, ..config })
}

fn line(number: u8) -> String {
    format!("line{number}")
}

fn on_line(world: &World, number: u8, user: &str, password: &str) -> Result<DialConfig> {
    Ok(DialConfig {
        netns: Some(world.cli.fd().try_clone_to_owned()?),
        interface: line(number).parse::<IfName>()?,
        mac: None,
        user: user.into(),
        password: password.to_owned(),
        methods: vec![AuthMethod::ChapMd5],
        service_name: String::new(),
        max_payload: None,
        setup_deadline: Duration::from_secs(20),
        tun: format!("dial{number}").parse::<IfName>()?,
        default_route: number == 0,
        offloads: true,
        gather: GATHER,
    })
}

/// The hardware address of `lineN`.
pub(crate) fn line_mac(number: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, 0, 1 + number]
}
