//! An access interface gets another hardware address while it is up.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check;
use super::{Load, OWN_CLIENT, Scenario};
use crate::capture::Frame;
use crate::client::{End, dial};
use crate::lab::{Lab, mac};
use crate::own_client::{dial_config, redial_config};
use crate::server::{Server, Setup};
use crate::world::{ACCESS_MAC, Uplink, Wiring};
use crate::{echo, wait};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mac-change",
    about: "a new MAC address ends sessions by a PADT from the old one, and new sessions are with the new one",
    peer: OWN_CLIENT,
    load: Load::Times,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 1", ..Setup::CHAP };

const NEW_MAC: [u8; 6] = [0x02, 0x50, 0x50, 0x00, 0x00, 0x78];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let deadline = || Instant::now() + Duration::from_secs(20);
    let session = dial(dial_config(&world, "alice", "secret")?, deadline())?;
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, SERVER, 1).ok()))?;

    world.set_access_mac(NEW_MAC)?;
    let changed = Instant::now();
    // The client listens to the address only that it knows.
    wait::until_true("the client's end", Duration::from_secs(5), || Ok(session.is_over()))?;
    println!("    the client knew after {} ms", changed.elapsed().as_millis());
    let ended = session.hang_up()?;
    ensure!(ended.end == End::Padt, "the client was told {:?}", ended.end);
    server.wait_for_sessions(&world, 0, check::GONE)?;
    server.wait_for_log(&["session ended", "interface-gone", "the MAC address of eth1 changed"])?;

    // The only address is free again.
    let session = dial(redial_config(&world, "alice", "secret")?, deadline())?;
    ensure!(session.opened().ac_mac.0 == NEW_MAC, "{:?}", session.opened());
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, SERVER, 2).ok()))?;
    session.hang_up()?;
    server.stop(&world)?;

    let frames = lab.check_sent_frames(capture)?;
    let (old, new) = (mac(ACCESS_MAC), mac(NEW_MAC));
    let padts = frames.iter().filter(|frame| frame.source == old && frame.info.contains("(PADT)")).count();
    ensure!(padts == 1, "{padts} PADT from the old address");
    // From an address that the old session's client does not know, it would be of no use. (The PADI asks for other
    // servers on the wire, which may be another one now.)
    let is_answer = |frame: &&Frame| frame.source == new && !frame.info.contains("(PADI)");
    let first = frames.iter().find(is_answer).context("a frame from the new address")?;
    ensure!(first.info.contains("(PADO)"), "the new address began with {first}");
    Ok(())
}
