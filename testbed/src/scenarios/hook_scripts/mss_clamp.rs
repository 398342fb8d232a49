//! `mss-clamp.lua`: TCP through an uplink that is narrower than the subscriber's line.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{getsockopt, sockopt::TcpMaxSeg};

use super::{FILE, Load, OWN_CLIENT, Scenario, nft_list, open, setup, shipped};
use crate::lab::Lab;
use crate::server::Server;
use crate::world::{FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-mss-clamp",
    about: "scripts/mss-clamp.lua: segments fit through an uplink with an MTU of 1300, both ways",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

const WIRING: Wiring = Wiring::AccessOnEth1;
const MTU: u32 = 1300;
/// Less IP and TCP headers, and the timestamps (RFC 7323) that Linux asks for.
const SEGMENT: u32 = MTU - 40 - 12;
/// Of a subscriber's line.
const WIDE_SEGMENT: u32 = 1492 - 40 - 12;

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(WIRING, Uplink::Routed)?;
    world.set_uplink_mtu(WIRING, MTU)?;
    let script = shipped("mss-clamp.lua", &[])?;
    let server = Server::start(&world, lab.path(), &setup(&[(FILE, &script)]))?;
    let session = open(&world, 0, "alice")?;
    let clamped = segments(&world)?;
    ensure!(clamped == (SEGMENT, SEGMENT), "segments of {clamped:?} bytes, not {SEGMENT}");
    session.hang_up()?;
    server.stop(&world)?;
    ensure!(nft_list(&world.srv, &["tables"])?.is_empty(), "a table was left behind");

    // Without the script, nobody tells TCP: it is the script that does it.
    let second = tempfile::tempdir_in(lab.path())?;
    let server = Server::start(&world, second.path(), &setup(&[]))?;
    let session = open(&world, 1, "alice")?;
    super::ip(&world.cli, &["route", "replace", "default", "dev", "dial1"])?;
    let wide = segments(&world)?;
    ensure!(wide == (WIDE_SEGMENT, WIDE_SEGMENT), "segments of {wide:?} bytes, not {WIDE_SEGMENT}");
    session.hang_up()?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// Largest segments of a fresh connection: of the subscriber, and of the far host.
fn segments(world: &World) -> Result<(u32, u32)> {
    let listener = world.net.run(|| Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    let port = listener.local_addr()?.port();
    let near = world.cli.run(|| TcpStream::connect((FAR_HOST, port)).context("connect to the far host"))?;
    let (far, _) = listener.accept()?;
    Ok((getsockopt(&near, TcpMaxSeg)?, getsockopt(&far, TcpMaxSeg)?))
}
