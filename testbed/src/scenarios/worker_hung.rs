//! One worker hangs; it is found out, and the other subscriber does not notice.

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
    name: "worker-hung",
    about: "SIGSTOP to one worker ends that session with a PADT, its address is free, and the other loses no packet",
    peer: "two of: pppd 2.4.9 with rp-pppoe.so on Linux kernel PPPoE (User-Mode Linux guest)",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 2 --heartbeat 2 --heartbeat-timeout 2",
    options: "require-chap\nlcp-echo-interval 1\n",
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
    let summary = sessions.iter().find(is_alice).context("alice's session")?;
    let (id, address) = (check::number(summary, "id")?, check::text(summary, "ip")?);
    let session = server.session(&world, id)?;
    let worker = Pid::from_raw(i32::try_from(check::number(&session, "worker_pid")?)?);

    bob.sh(&format!("ping -n -i 0.2 -c 60 {FAR_HOST} > /run/steady 2>&1 &"))?;
    kill(worker, Signal::SIGSTOP).context("stop alice's worker")?;
    alice.wait_session_end()?;
    let left = server.wait_for_sessions(&world, 1, check::GONE)?;
    ensure!(left.iter().all(|session| !is_alice(&session)), "the wrong session ended: {left:?}");
    server.wait_for_log(&["session ended", "worker-crash", "alice", "did not answer", "it is stopped"])?;

    let steady = bob.run(
        "wait; while pidof ping > /dev/null; do sleep 0.1; done; cat /run/steady",
        Duration::from_secs(20),
    )?;
    ensure!(steady.output.contains("60 received, 0% packet loss"), "bob's line suffered:\n{}", steady.output);

    alice.dial(&Dial::new("alice", "secret"))?;
    alice.ping(FAR_HOST)?;
    let sessions = server.wait_for_sessions(&world, 2, check::GONE)?;
    let again = sessions.iter().find(is_alice).context("alice's session")?;
    ensure!(check::text(again, "ip")? == address, "another address than {address}: {again}");
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}
