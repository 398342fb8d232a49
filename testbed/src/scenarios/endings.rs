//! Every way that a session can end gives its address back: there is only one.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::check;
use super::{Load, PPPD, Scenario};
use crate::guest::{Dial, Guest};
use crate::lab::{Lab, mac};
use crate::server::{Server, Setup};
use crate::world::{ACCESS_MAC, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "endings",
    about: "the only address is free again after each way that a session can end",
    peer: PPPD,
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 1",
    options: "require-chap\nlcp-echo-interval 1\nlcp-echo-failure 3\n",
    ..Setup::CHAP
};

/// How to end a session, and the word that the log must give as the reason.
type Ending = (&'static str, fn(&World, &Server, &Guest, u64) -> Result<()>);

const ENDINGS: [Ending; 5] = [
    ("peer-terminated", |_, _, client, _| client.hang_up()),
    ("padt", |_, _, client, id| {
        // A dead client that has come back knows the session's number only, and sends no Terminate-Request.
        client.sh("kill -KILL $(pidof pppd)")?;
        client.sh(&format!("pppoe -I vec0 -e {id}:{} -k", mac(ACCESS_MAC)))?;
        client.wait_session_end()
    }),
    ("echo-lost", |world, _, client, _| world.set_line(client.name(), false)),
    ("admin", |world, server, client, id| {
        let answer = server.pppctl(&world.srv, &["terminate", "session", &id.to_string()])?;
        ensure!(check::number(&answer, "terminated")? == 1, "{answer}");
        client.wait_session_end()
    }),
    ("worker-crash", |world, server, client, id| {
        let worker = check::number(&server.session(world, id)?, "worker_pid")?;
        kill(Pid::from_raw(i32::try_from(worker)?), Signal::SIGKILL).context("kill the worker")?;
        client.wait_session_end()
    }),
];

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;

    client.dial_refused(&Dial::new("alice", "wrong"))?;
    for (reason, end) in ENDINGS {
        one_ending(&world, &server, &client, reason, end).with_context(|| format!("ending by {reason}"))?;
    }
    client.dial(&Dial::new("alice", "secret")).context("after all endings")?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn one_ending(
    world: &World,
    server: &Server,
    client: &Guest,
    reason: &str,
    end: fn(&World, &Server, &Guest, u64) -> Result<()>,
) -> Result<()> {
    let address = Ipv4Addr::new(10, 0, 0, 2);
    let session = client.dial(&Dial::new("alice", "secret"))?;
    ensure!(session.local == address, "the address is {}", session.local);
    let session = check::only_session(server, world, client, "alice", address)?;
    end(world, server, client, check::number(&session, "id")?)?;
    server.wait_for_sessions(world, 0, check::GONE)?;
    server.wait_for_log(&[reason])?;
    let left = world.srv.interfaces()?;
    ensure!(!left.iter().any(|name| name.starts_with("ppp")), "an interface is left: {left:?}");
    // After a lost line the client still has to notice.
    world.set_line(client.name(), true)?;
    client.sh("kill -KILL $(pidof pppd); true")?;
    client.wait_session_end()
}
