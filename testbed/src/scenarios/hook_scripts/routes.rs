//! `routes.lua`: a network behind a subscriber, and nobody else's addresses.

use anyhow::{Context, Result, ensure};

use super::{FILE, Load, OWN_CLIENT, PATH, Scenario, ip, open, setup, shipped};
use crate::lab::Lab;
use crate::packages;
use crate::process::run_ok;
use crate::scenarios::check;
use crate::server::Server;
use crate::wait;
use crate::world::{FAR_HOST, Netns, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-routes",
    about: "scripts/routes.lua: a network behind a subscriber is reached and may send; forged sources may not",
    peer: OWN_CLIENT,
    load: Load::Works,
    run: scenario,
};

/// A host in the network behind alice, and one that is in no network of hers.
const BEHIND: &str = "192.0.2.1";
const FORGED: &str = "203.0.113.9";

fn scenario(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let script = script_with("192.0.2.0/28")?;
    let server = Server::start(&world, lab.path(), &setup(&[(FILE, &script)]))?;
    for address in [BEHIND, FORGED] {
        ip(&world.cli, &["address", "add", &format!("{address}/32"), "dev", "lo"])?;
    }
    let alice = open(&world, 0, "alice")?;
    ping(&world.net, BEHIND, FAR_HOST.to_string().as_str())?;
    ping(&world.cli, &FAR_HOST.to_string(), BEHIND)?;
    // The kernel's check, as pppoed's own is off for her.
    let before = reverse_path_drops(&world)?;
    ensure!(ping(&world.cli, &FAR_HOST.to_string(), FORGED).is_err(), "a forged source was answered");
    ensure!(reverse_path_drops(&world)? > before, "the kernel did not drop the forged source");

    // Everybody else has the address of the session and no other.
    let bob = open(&world, 1, "bob")?;
    ip(&world.cli, &["route", "replace", "default", "dev", "dial1"])?;
    ensure!(ping(&world.cli, &FAR_HOST.to_string(), BEHIND).is_err(), "bob sent in alice's name");
    let sessions = server.sessions(&world)?;
    let is_bobs = |session: &&serde_json::Value| session.get("username").is_some_and(|name| name == "bob");
    let id = check::number(sessions.iter().find(is_bobs).context("bob's session")?, "id")?;
    let detail = server.session(&world, id)?;
    let dropped = detail.pointer("/dropped/source").and_then(serde_json::Value::as_u64);
    ensure!(dropped.is_some_and(|count| count > 0), "{detail}");
    bob.hang_up()?;
    ip(&world.cli, &["route", "replace", "default", "dev", "dial0"])?;

    // Another network for her: the routes of the session that runs follow.
    server.write_file(PATH, &script_with("203.0.113.8/29")?)?;
    super::reload(&server)?;
    wait::until_true("the new route", check::GONE, || {
        Ok(routes(&world)?.lines().all(|route| route.starts_with("203.0.113.8/29 ")))
    })?;
    ping(&world.net, FORGED, &FAR_HOST.to_string())?;
    alice.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;
    ensure!(routes(&world)?.is_empty(), "a route was left behind: {}", routes(&world)?);
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// The script with a network behind alice.
fn script_with(network: &str) -> Result<String> {
    let setting = format!("local ROUTES = {{ [\"alice\"] = {{ \"{network}\" }},\n");
    shipped("routes.lua", &[("local ROUTES = {\n", &setting)])
}

fn routes(world: &World) -> Result<String> {
    ip(&world.srv, &["-4", "route", "show", "proto", "186"])
}

fn ping(namespace: &Netns, target: &str, source: &str) -> Result<()> {
    let mut ping = packages::command("ping")?;
    run_ok(namespace, ping.args(["-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", source, target])).map(drop)
}

/// Packets that the server's kernel dropped for their source: `IPReversePathFilter` of netstat.
fn reverse_path_drops(world: &World) -> Result<u64> {
    let text = world.srv.run(|| Ok(std::fs::read_to_string("/proc/thread-self/net/netstat")?))?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_ascii_whitespace);
    let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
    let value = names.zip(values).find_map(|(name, value)| (name == "IPReversePathFilter").then_some(value));
    value.context("no IPReversePathFilter")?.parse().context("IPReversePathFilter")
}
