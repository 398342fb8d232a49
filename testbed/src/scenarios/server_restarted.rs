//! The server is killed, told to leave, and replaced by another program; its subscriber does not notice.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::check;
use super::{Load, PPPD, Scenario};
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::programs;
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "server-restarted",
    about: "kill -9, SIGUSR1 and another program: sessions go on, no ping and no echo lost, taken over within 2 s",
    peer: PPPD,
    load: Load::Works,
    run,
};

/// Both ends ask for echoes each second, and give up after three.
const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4 --orphan-timeout 60",
    options: "require-chap\nlcp-echo-interval 1\nlcp-echo-failure 3\n",
    ..Setup::CHAP
};
/// Longer than it takes to miss three echoes.
const ABSENCE: Duration = Duration::from_secs(5);
const TAKEN_OVER: Duration = Duration::from_secs(2);

/// What must be the same for as long as a session lasts.
const IDENTITY: [&str; 10] =
    ["id", "ifname", "username", "ip", "mac", "interface", "worker_pid", "local_ip", "mtu", "secret_origin"];

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let mut server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;
    let options = ["lcp-echo-interval", "1", "lcp-echo-failure", "3"];
    client.dial(&Dial::new("alice", "secret").with(&options))?;
    client.ping(FAR_HOST)?;
    let sessions = server.wait_for_sessions(&world, 1, check::GONE)?;
    let id = check::number(sessions.first().context("a session")?, "id")?;

    client.sh(&format!("ping -n -i 0.1 {FAR_HOST} > /run/steady 2>&1 & echo $! > /run/steady.pid"))?;
    let upgraded = another_program(lab)?;
    let own = programs::path("pppoed")?;
    for (what, signal, program) in [
        ("killed", Signal::SIGKILL, &own),
        ("told to leave", Signal::SIGUSR1, &own),
        ("replaced by another program", Signal::SIGUSR1, &upgraded),
    ] {
        let before = server.session(&world, id)?;
        server.lose(signal)?;
        thread::sleep(ABSENCE);
        let start = Instant::now();
        server.start_again(&world, &SETUP, program)?;
        server.wait_for_log(&["session taken over", "alice"])?;
        let took = start.elapsed();
        println!("    {what}: taken over {} ms after the start", took.as_millis());
        ensure!(took < TAKEN_OVER, "{what}: it took {took:?}");
        is_the_same(&before, &server.session(&world, id)?).context(what)?;
    }
    steady_line(&world, &server, &client)?;

    // A session that ends while nobody is there is told of, with its reason and its traffic.
    server.lose(Signal::SIGKILL)?;
    client.hang_up()?;
    server.start_again(&world, &SETUP, &own)?;
    let end = server.wait_for_log(&["session ended", "alice", "peer-terminated"])?;
    ensure!(!end.contains("rx_bytes=0"), "its traffic is lost: {end}");
    server.wait_for_sessions(&world, 0, check::GONE)?;
    client.dial(&Dial::new("alice", "secret"))?;
    client.ping(FAR_HOST)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn is_the_same(before: &Value, after: &Value) -> Result<()> {
    for field in IDENTITY {
        ensure!(before.get(field).is_some(), "no {field} in {before}");
        ensure!(before.get(field) == after.get(field), "{field} was {before} and is {after}");
    }
    ensure!(check::text(after, "state")? == "open", "{after}");
    for counter in ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"] {
        let number = |session: &Value| check::number(session.get("traffic").context("traffic")?, counter);
        let (was, is) = (number(before)?, number(after)?);
        ensure!(is > was, "{counter} was {was} and is {is}");
    }
    let uptime = |session| check::number(session, "uptime_s");
    ensure!(uptime(after)? > uptime(before)?, "{before}, then {after}");
    Ok(())
}

fn steady_line(world: &World, server: &Server, client: &Guest) -> Result<()> {
    let steady = client.run(
        "kill -INT $(cat /run/steady.pid); while pidof ping > /dev/null; do sleep 0.1; done; tail -n 3 /run/steady",
        Duration::from_secs(20),
    )?;
    ensure!(steady.output.contains(" 0% packet loss"), "the line suffered:\n{}", steady.output);
    println!("    {}", steady.output.lines().find(|line| line.contains("packet loss")).unwrap_or_default());
    ensure!(server.sessions(world)?.len() == 1, "not the session that it was");
    Ok(())
}

/// The programs once more, elsewhere: what an upgrade puts there.
fn another_program(lab: &Lab) -> Result<PathBuf> {
    let directory = lab.path().join("upgraded");
    fs::create_dir(&directory)?;
    for name in ["pppoed", "ppp-worker"] {
        fs::copy(programs::path(name)?, directory.join(name)).with_context(|| format!("copy {name}"))?;
    }
    Ok(directory.join("pppoed"))
}
