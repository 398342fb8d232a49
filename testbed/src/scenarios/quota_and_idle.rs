//! `idle`, `maxconnect` and `maxoctets`, for everybody and for one user, at their edges.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::check;
use super::{Load, OWN_CLIENT, Scenario};
use crate::client::{Dialled, dial};
use crate::echo;
use crate::lab::Lab;
use crate::own_client::{LINE, redial_config};
use crate::server::{Server, Setup};
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "quota-and-idle",
    about: "idle, maxconnect and maxoctets end sessions when they should and not before, globally and per user",
    peer: OWN_CLIENT,
    load: Load::Times,
    run,
};

/// A ping is 84 bytes each way, and the quota 10 of them: one more is too much.
const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 2",
    options: "require-chap\nidle 2\nmaxconnect 5\nlcp-echo-interval 1\n",
    chap_secrets: "general * secret *\nlazy * secret * -- idle 0 maxconnect 3\n\
                   in * secret * -- idle 0 maxconnect 0 maxoctets 840 mo-direction in\n\
                   both * secret * -- idle 0 maxconnect 0 mo 1680 mo-timeout 2\n",
    ..Setup::CHAP
};

const PINGS: u16 = 10;
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// For the end's way through Terminate-Request and PADT, and a busy machine.
const MARGIN: Duration = Duration::from_millis(900);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    let seconds = Duration::from_secs;

    let (session, start) = open(&world, "general")?;
    ensure!(!ends(&session, seconds(2).saturating_sub(MARGIN))?, "it was too short");
    // Traffic moves the end; LCP echo does not.
    echo::ping(&world.cli, SERVER, 1)?;
    let last = Instant::now();
    let idle_after = end_of(&session, &last)?;
    between("idle", idle_after, seconds(2))?;
    ensure!(start.elapsed() > seconds(3), "the ping did not count");
    closed(&server, &world, session, "idle")?;

    let (session, start) = open(&world, "general")?;
    // Nobody listens there, and the server's answer is traffic, too.
    let socket = world.cli.run(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    while start.elapsed() < seconds(9) && !ends(&session, Duration::from_millis(100))? {
        socket.send_to(b"busy", (SERVER, 9)).ok();
    }
    between("maxconnect of everybody", start.elapsed(), seconds(5))?;
    closed(&server, &world, session, "session-timeout")?;

    let (session, start) = open(&world, "lazy")?;
    between("maxconnect of a user who may idle", end_of(&session, &start)?, seconds(3))?;
    closed(&server, &world, session, "session-timeout")?;

    quota(&server, &world, "in", seconds(1))?;
    quota(&server, &world, "both", seconds(2))?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn quota(server: &Server, world: &World, user: &str, interval: Duration) -> Result<()> {
    let (session, _) = open(world, user)?;
    for number in 1..=PINGS {
        echo::ping(&world.cli, SERVER, number)?;
    }
    let sessions = server.sessions(world)?;
    let received = sessions.first().and_then(|session| session.pointer("/traffic/rx_bytes")?.as_u64());
    ensure!(received == Some(840), "the pings are not all there is: {sessions:?}");
    ensure!(!ends(&session, interval * 2 + MARGIN)?, "{user}: the quota was not used up");
    echo::ping(&world.cli, SERVER, PINGS + 1)?;
    let over = Instant::now();
    let after = end_of(&session, &over)?;
    ensure!(after < interval + MARGIN, "{user}: it took {after:?}");
    closed(server, world, session, "quota")
}

fn open(world: &World, user: &str) -> Result<(Dialled, Instant)> {
    let mut config = redial_config(world, user, "secret")?;
    config.default_route = false;
    let session = dial(config, Instant::now() + Duration::from_secs(20))?;
    Ok((session, Instant::now()))
}

/// Whether a session ends by itself within this time.
fn ends(session: &Dialled, limit: Duration) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < limit {
        crate::interrupt::check()?;
        if session.is_over() {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}

/// Time from `start` to the end of a session.
fn end_of(session: &Dialled, start: &Instant) -> Result<Duration> {
    match ends(session, Duration::from_secs(10))? {
        true => Ok(start.elapsed()),
        false => bail!("the session does not end"),
    }
}

fn between(what: &str, time: Duration, expected: Duration) -> Result<()> {
    println!("    {what}: {:.2} s", time.as_secs_f32());
    // The client opens, and pings, a moment before or after the server.
    let earliest = expected.saturating_sub(Duration::from_millis(200));
    ensure!((earliest..expected + MARGIN).contains(&time), "{what}: {time:?} and not {expected:?}");
    Ok(())
}

fn closed(server: &Server, world: &World, session: Dialled, reason: &str) -> Result<()> {
    let ended = session.hang_up()?;
    ensure!(ended.end.to_string().contains("terminated"), "the client was not told: {:?}", ended.end);
    server.wait_for_sessions(world, 0, check::GONE)?;
    server.wait_for_log(&["session ended", &format!("\"{reason}\"")]).map(drop)
}
