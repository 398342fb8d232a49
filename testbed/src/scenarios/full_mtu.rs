//! RFC 4638: packets of 1500 bytes that must not be fragmented pass both ways, if the interface carries them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Load, OWN_CLIENT, Scenario};
use crate::client::dial;
use crate::lab::Lab;
use crate::own_client::{LINE, dial_config, redial_config};
use crate::packages;
use crate::process::{Finished, run as run_command};
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Netns, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "full-mtu",
    about: "PPP-Max-Payload on an interface of 1508 bytes: pings of 1500 bytes with DF pass; without it, ICMP says why not",
    peer: OWN_CLIENT,
    load: Load::Times,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 1", ..Setup::CHAP };

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let mut config = dial_config(&world, "alice", "secret")?;
    world.set_access_mtu(1508)?;
    for link in ["port1", "br1", LINE, "line0-port"] {
        world.set_station_mtu(link, 1508)?;
    }
    let server = Server::start(&world, lab.path(), &SETUP)?;
    for max_payload in [Some(1500), None] {
        config.max_payload = max_payload;
        let session = dial(config, Instant::now() + Duration::from_secs(20))?;
        let agreed = session.opened().mtu;
        ensure!(agreed == max_payload.unwrap_or(1492), "the MTU is {agreed}");
        for (namespace, target) in [(&world.cli, FAR_HOST), (&world.net, CLIENT)] {
            let ping = |bytes: u16| ping_unfragmented(namespace, target, bytes);
            ensure!(ping(agreed)?.status.success(), "{agreed} bytes to {target} do not pass");
            let too_long = ping(agreed + 1)?;
            ensure!(!too_long.status.success(), "{} bytes to {target} pass", agreed + 1);
        }
        if max_payload.is_none() {
            let refused = ping_unfragmented(&world.net, CLIENT, 1500)?;
            // From the router, or from the far host itself, which has learnt it just now.
            let said = refused.stdout + &refused.stderr;
            ensure!(said.contains("mtu = 1492") || said.contains("mtu=1492"), "{said}");
        }
        session.hang_up()?;
        config = redial_config(&world, "alice", "secret")?;
    }
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// One ping with DF whose packets have so many bytes, headers included.
fn ping_unfragmented(namespace: &Netns, target: Ipv4Addr, bytes: u16) -> Result<Finished> {
    let mut ping = packages::command("ping")?;
    ping.args(["-c", "1", "-W", "2", "-M", "do", "-s", &(bytes - 28).to_string(), &target.to_string()]);
    run_command(namespace, &mut ping, Duration::from_secs(10))
}
