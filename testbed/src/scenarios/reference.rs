//! The harness itself, proved against the server that people run today: rp-pppoe's `pppoe-server` in a second guest.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Load, Scenario};
use crate::client::dial;
use crate::echo;
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::own_client::dial_config;
use crate::wait;
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reference",
    about: "no pppoed: pppd's scripts and our own client work against rp-pppoe's pppoe-server",
    peer: "rp-pppoe 3.15 pppoe-server (guest) with pppd 2.4.9 (guest)",
    load: Load::Works,
    run,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn run(lab: &Lab) -> Result<()> {
    let (world, mut capture) = lab.world(Wiring::AccessOnEth1, Uplink::Isolated)?;
    let [server, client] = lab.guests(&world, ["server", "client"])?;
    start_pppoe_server(&server)?;

    let session = client.dial(&Dial::new("alice", "wonder land"))?;
    ensure!(session.remote == SERVER, "the server is at {}", session.remote);
    ensure!(session.local == Ipv4Addr::new(10, 0, 0, 2), "our address is {}", session.local);
    ensure!(session.mtu == 1492, "the MTU is {}", session.mtu);
    ensure!(session.log.contains("CHAP authentication succeeded"), "no CHAP:\n{}", session.log);
    client.ping(SERVER)?;
    client.hang_up()?;

    let (_, log) = client.dial_refused(&Dial::new("alice", "wrong"))?;
    ensure!(log.contains("CHAP authentication failed"), "refused, but not for the password:\n{log}");

    our_client_dials(&world)?;

    capture.stop()?;
    let frames = capture.frames()?;
    ensure!(frames.iter().any(|frame| frame.info.contains("PADI")), "no PADI passed the access interface");
    Ok(())
}

/// The client of the load tests and of the demo speaks with a server that is not ours, too.
fn our_client_dials(world: &World) -> Result<()> {
    let config = dial_config(world, "alice", "wonder land")?;
    let session = dial(config, Instant::now() + Duration::from_secs(30))?;
    ensure!(session.opened().remote == SERVER, "the server is at {}", session.opened().remote);
    // The last Configure-Ack may overtake the server's own set-up of its interface.
    wait::until("an answer to a ping", Duration::from_secs(10), || {
        Ok(echo::ping(&world.cli, SERVER, 1).ok())
    })?;
    session.hang_up()?;
    Ok(())
}

fn start_pppoe_server(server: &Guest) -> Result<()> {
    server.sh(
        "umask 077\n\
         echo '\"alice\" * \"wonder land\" *' > /etc/ppp/chap-secrets\n\
         printf 'require-chap\\nlcp-echo-interval 10\\nlcp-echo-failure 2\\n' > /etc/ppp/pppoe-server-options\n\
         pppoe-server -I vec0 -L 10.0.0.1 -R 10.0.0.2 -N 8",
    )?;
    Ok(())
}
