//! SIGTERM ends every session in words: Terminate-Request, then PADT, and nothing is left.

use anyhow::{Result, ensure};

use super::check::{self, From};
use super::{Load, PPPD, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "sigterm",
    about: "SIGTERM: Terminate-Request and PADT on the wire, no interface, worker or file left",
    peer: PPPD,
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4", ..Setup::CHAP };

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;
    client.dial(&Dial::new("alice", "secret"))?;
    client.ping(FAR_HOST)?;
    ensure!(world.srv.interfaces()?.iter().any(|name| name == "ppp0"), "the session has no ppp0");

    server.stop(&world)?;
    client.wait_session_end()?;
    let log = client.pppd_log()?;
    ensure!(log.contains("rcvd [LCP TermReq"), "pppd got no Terminate-Request:\n{log}");
    let frames = lab.check_sent_frames(capture)?;
    check::in_order(&frames, &[(From::Server, "Termination Request"), (From::Server, "PADT")])
}
