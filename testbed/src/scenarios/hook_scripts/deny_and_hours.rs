//! `deny-and-hours.lua`: who does not get in, and who has to leave.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{FILE, Load, OWN_CLIENT, PATH, Scenario, open, setup, shipped};
use crate::client::dial;
use crate::echo;
use crate::lab::{Lab, mac};
use crate::own_client::{line_mac, numbered_dial_config};
use crate::process::run_ok;
use crate::scenarios::check;
use crate::server::Server;
use crate::wait;
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-deny-and-hours",
    about: "scripts/deny-and-hours.lua: users and devices on lists, and the end of the opening hours",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

/// Between the reload and closing time. The script looks every five seconds.
const OPEN_FOR: u32 = 6;

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let device = format!("local DENIED_DEVICES = {{ [\"{}\"] = true,\n", mac(line_mac(2)));
    let lists = [
        ("local DENIED_USERS = {\n", "local DENIED_USERS = { [\"mallory\"] = true,\n"),
        ("local DENIED_DEVICES = {\n", device.as_str()),
        ("local ALWAYS = {\n", "local ALWAYS = { [\"bob\"] = true,\n"),
    ];
    let script = shipped("deny-and-hours.lua", &lists)?;
    let server = Server::start(&world, lab.path(), &setup(&[(FILE, &script)]))?;
    let alice = open(&world, 0, "alice")?;
    let refused = format!("{:#}", open(&world, 1, "mallory").err().context("mallory got in")?);
    ensure!(refused.contains("this user is not welcome"), "{refused}");
    let config = numbered_dial_config(&world, 2, "alice", "secret")?;
    let unanswered = dial(config, Instant::now() + Duration::from_secs(4));
    let silence = format!("{:#}", unanswered.err().context("a device on the list got in")?);
    ensure!(silence.contains("not open in time (hung up)"), "{silence}");
    let bob = open(&world, 3, "bob")?;
    echo::ping(&world.cli, super::SERVER, 1)?;

    let hours = format!("local HOURS = {}\n", hours_until_soon(&world)?);
    let with_hours = [&lists[..], &[("local HOURS = nil\n", hours.as_str())]].concat();
    server.write_file(PATH, &shipped("deny-and-hours.lua", &with_hours)?)?;
    super::reload(&server)?;
    echo::ping(&world.cli, super::SERVER, 2)?;
    wait::until_true("closing time", Duration::from_secs(25), || Ok(alice.is_over()))?;
    server.wait_for_log(&["session ended", "alice", "admin"])?;
    ensure!(!bob.is_over(), "the hours do not count for bob");
    let refused = format!("{:#}", open(&world, 4, "alice").err().context("it is closed")?);
    ensure!(refused.contains("closed at this time"), "{refused}");
    bob.hang_up()?;
    drop(alice);
    server.wait_for_sessions(&world, 0, check::GONE)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// A table of hours that close in some seconds, whatever day it is.
fn hours_until_soon(world: &World) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["-d", &format!("{OPEN_FOR} seconds"), "+%A %H:%M:%S"]).env("LC_ALL", "C");
    let text = run_ok(&world.srv, &mut date)?;
    let (day, closing) = text.trim().split_once(' ').context("date")?;
    // Just after midnight the day before is still open.
    let day = day.to_lowercase();
    let opening = if closing < "12:00:00" { "12:00:00" } else { "00:00:00" };
    if opening < closing {
        return Ok(format!("{{ {day} = {{ '{opening}', '{closing}' }} }}"));
    }
    date = Command::new("date");
    date.args(["-d", "yesterday", "+%A"]).env("LC_ALL", "C");
    let yesterday = run_ok(&world.srv, &mut date)?.trim().to_lowercase();
    Ok(format!("{{ {yesterday} = {{ '{opening}', '{closing}' }} }}"))
}
