//! The harness itself, proved against the server that people run today: rp-pppoe's `pppoe-server` in a second guest.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::world::{Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reference",
    about: "no pppoed: the client's scripts work against rp-pppoe's pppoe-server",
    peer: "rp-pppoe 3.15 pppoe-server (guest) with pppd 2.4.9 (guest)",
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

    capture.stop()?;
    let frames = capture.frames()?;
    ensure!(frames.iter().any(|frame| frame.info.contains("PADI")), "no PADI passed the access interface");
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
