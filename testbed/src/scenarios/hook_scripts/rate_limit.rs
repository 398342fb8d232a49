//! `rate-limit.lua`: a user's rate, from the first packet on and after a change.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{FILE, Load, OWN_CLIENT, PATH, Scenario, open, setup, shipped};
use crate::lab::Lab;
use crate::meter::{self, Direction};
use crate::scenarios::check;
use crate::server::Server;
use crate::world::{FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-rate-limit",
    about: "scripts/rate-limit.lua: rates of a table hold from the first packet on, and follow a reload",
    peer: OWN_CLIENT,
    load: Load::Times,
    run,
};

const TIME: Duration = Duration::from_secs(3);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let _meter = meter::Server::start(&world.net)?;
    let server = Server::start(&world, lab.path(), &setup(&[(FILE, &with_rate_of_alice(8, 4)?)]))?;
    let alice = open(&world, 0, "alice")?;
    is_about(&world, Direction::Down, 8.0)?;
    is_about(&world, Direction::Up, 4.0)?;

    server.write_file(PATH, &with_rate_of_alice(3, 12)?)?;
    super::reload(&server)?;
    is_about(&world, Direction::Down, 3.0)?;
    is_about(&world, Direction::Up, 12.0)?;
    alice.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// The script with alice's rates in Mbit/s.
fn with_rate_of_alice(down: u32, up: u32) -> Result<String> {
    let setting = format!("local USERS = {{ [\"alice\"] = {{ down = {down}000, up = {up}000 }},\n");
    shipped("rate-limit.lua", &[("local USERS = {\n", &setting)])
}

/// Measures in Mbit/s. TCP's headers are part of the rate; what passes at once at the beginning comes on top.
pub(super) fn is_about(world: &World, direction: Direction, rate: f64) -> Result<()> {
    let speed = world.cli.run(|| meter::measure(FAR_HOST, direction, TIME))?;
    println!("    {direction:?}: {speed:.2} Mbit/s of {rate}");
    ensure!((rate * 0.7..rate * 1.2).contains(&speed), "{direction:?}: {speed:.2} Mbit/s, not {rate}");
    Ok(())
}
