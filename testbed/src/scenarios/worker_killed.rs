//! One worker dies; the other subscriber does not notice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::check;
use super::{Load, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "worker-killed",
    about: "SIGKILL to one worker ends that session with a PADT, and the other loses no packet",
    peer: "two of: pppd 2.4.9 with rp-pppoe.so on Linux kernel PPPoE (User-Mode Linux guest)",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4",
    chap_secrets: "alice * secret *\nbob * secret *\n",
    ..Setup::CHAP
};

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [alice, bob] = lab.guests(&world, ["alice", "bob"])?;
    alice.dial(&Dial::new("alice", "secret"))?;
    bob.dial(&Dial::new("bob", "secret"))?;
    let sessions = server.wait_for_sessions(&world, 2, check::GONE)?;
    let is_alice = |session: &&Value| session.get("username").is_some_and(|name| name == "alice");
    let id = check::number(sessions.iter().find(is_alice).context("alice's session")?, "id")?;
    let session = server.session(&world, id)?;
    let worker = Pid::from_raw(i32::try_from(check::number(&session, "worker_pid")?)?);

    bob.sh(&format!("ping -n -i 0.2 -c 40 {FAR_HOST} > /run/steady 2>&1 &"))?;
    kill(worker, Signal::SIGKILL).context("kill alice's worker")?;
    alice.wait_session_end()?;
    let left = server.wait_for_sessions(&world, 1, check::GONE)?;
    ensure!(left.iter().all(|session| !is_alice(&session)), "the wrong session ended: {left:?}");
    server.wait_for_log(&["worker-crash", "alice"])?;

    let steady = bob.run(
        "wait; while pidof ping > /dev/null; do sleep 0.1; done; cat /run/steady",
        Duration::from_secs(20),
    )?;
    ensure!(steady.output.contains("40 received, 0% packet loss"), "bob's line suffered:\n{}", steady.output);

    alice.dial(&Dial::new("alice", "secret"))?;
    alice.ping(FAR_HOST)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}
