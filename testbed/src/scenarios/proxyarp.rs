//! `proxyarp`: a client with an address of the uplink's network is found there by ARP.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::check;
use super::{Load, PPPD, Scenario};
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::packages;
use crate::process::run_ok;
use crate::server::{Server, Setup};
use crate::wait;
use crate::world::{FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "proxyarp",
    about: "proxyarp: an entry while the session lasts, whichever way it ends; per user; without a network for it",
    peer: PPPD,
    load: Load::Works,
    run,
};

/// Alice and Bob have addresses of the uplink's network, whose hosts have no route to clients.
const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4",
    options: "require-chap\nproxyarp\n",
    chap_secrets: "alice * secret 198.51.100.50\nbob * secret 198.51.100.60 -- noproxyarp\n\
                   carol * secret 10.0.0.9\n",
    ..Setup::CHAP
};
const ALICE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 50);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Isolated)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;

    client.dial(&Dial::new("alice", "secret"))?;
    // The kernel asks before it answers for others; its first answer may come late.
    wait::until_true("an answer of the far host", check::GONE, || Ok(client.ping(FAR_HOST).is_ok()))?;
    ensure!(entries(&world)? == [format!("{ALICE} dev eth0 proxy")], "{:?}", entries(&world)?);
    client.hang_up()?;
    gone(&world, &server)?;

    client.dial(&Dial::new("alice", "secret"))?;
    kill_worker(&world, &server, &client)?;
    client.wait_session_end()?;
    gone(&world, &server)?;

    client.dial(&Dial::new("bob", "secret"))?;
    ensure!(entries(&world)?.is_empty(), "{:?}", entries(&world)?);
    client.hang_up()?;
    gone(&world, &server)?;

    let session = client.dial(&Dial::new("carol", "secret"))?;
    server.wait_for_log(&["proxyarp has no effect", &session.local.to_string()])?;
    ensure!(entries(&world)?.is_empty(), "{:?}", entries(&world)?);
    client.ping(Ipv4Addr::new(10, 0, 0, 1))?;
    client.hang_up()?;
    gone(&world, &server)?;

    client.dial(&Dial::new("alice", "secret"))?;
    ensure!(entries(&world)?.len() == 1, "{:?}", entries(&world)?);
    server.stop(&world)?;
    ensure!(entries(&world)?.is_empty(), "{:?}", entries(&world)?);
    lab.check_sent_frames(capture).map(drop)
}

fn kill_worker(world: &World, server: &Server, client: &Guest) -> Result<()> {
    let session = check::only_session(server, world, client, "alice", ALICE)?;
    let worker = check::number(&server.session(world, check::number(&session, "id")?)?, "worker_pid")?;
    kill(Pid::from_raw(i32::try_from(worker)?), Signal::SIGKILL).context("kill the worker")
}

/// The session is over, and its entry with it.
fn gone(world: &World, server: &Server) -> Result<()> {
    server.wait_for_sessions(world, 0, check::GONE)?;
    let left = entries(world)?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// `ip neigh show proxy`, line by line.
fn entries(world: &World) -> Result<Vec<String>> {
    let mut ip = packages::command("ip")?;
    let shown = run_ok(&world.srv, ip.args(["neigh", "show", "proxy"]))?;
    Ok(shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}
