//! An access interface goes, comes back as another one, goes down and up, and changes its MTU.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use super::check;
use super::{Load, OWN_CLIENT, Scenario};
use crate::client::{Dialled, dial};
use crate::lab::{Lab, mac};
use crate::own_client::{LINE, redial_config};
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::world::{ACCESS_MAC, Uplink, Wiring, World};
use crate::{echo, proctree, wait};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "interface-gone",
    about: "an access interface is absent at the start, goes, returns as another one, is down, changes its MTU",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

const WAITING: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 2 --wait-for-interfaces",
    options: "require-chap\nlcp-echo-interval 2\nlcp-echo-failure 3\n",
    ..Setup::CHAP
};

const NEW_MAC: [u8; 6] = [0x02, 0x50, 0x50, 0x00, 0x00, 0x77];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PATIENCE: Duration = Duration::from_secs(5);

fn run(lab: &Lab) -> Result<()> {
    // No capture: tcpdump ends with its interface.
    let world = World::build("lab", Wiring::AccessOnEth1, Uplink::Routed)?;
    let station = Station::open(&world, "one", 1)?;
    world.remove_access()?;
    let refusal =
        Server::refused(&world, lab.path(), &Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2", ..WAITING })?;
    ensure!(refusal.contains("there is no interface eth1"), "{refusal}");

    let server = Server::start(&world, lab.path(), &WAITING)?;
    server.wait_for_log(&["interface does not exist; waiting", "eth1"])?;
    in_state(&server, &world, "absent")?;
    world.return_access(ACCESS_MAC)?;
    in_state(&server, &world, "up")?;

    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    let session = open(&world)?;
    let number = check::number(server.sessions(&world)?.first().context("a session")?, "id")?;
    let worker = check::number(&server.session(&world, number)?, "worker_pid")?;
    world.remove_access()?;
    let gone = Instant::now();
    server.wait_for_sessions(&world, 0, PATIENCE)?;
    println!("    the session was over {} ms after its interface", gone.elapsed().as_millis());
    let end = server.wait_for_log(&["session ended", "interface-gone", "eth1 is gone"])?;
    ensure!(end.contains("alice"), "{end}");
    in_state(&server, &world, "absent")?;
    ensure!(!world.srv.interfaces()?.iter().any(|name| name.starts_with("ppp")), "a ppp interface is left");
    let worker = nix::unistd::Pid::from_raw(i32::try_from(worker)?);
    ensure!(proctree::name_of(worker).is_none(), "the worker outlived its session");

    let returned = Instant::now();
    world.return_access(NEW_MAC)?;
    in_state(&server, &world, "up")?;
    let stats = server.interface_stats(&world, "eth1")?;
    ensure!(check::text(&stats, "mac")? == mac(NEW_MAC), "{stats}");
    answers(&server, &world, &station)?;
    println!("    discovery went on {} ms after its return", returned.elapsed().as_millis());
    // Nobody told the client; it notices by itself, or at the hang-up.
    session.hang_up().ok();

    let session = open(&world)?;
    ensure!(session.opened().ac_mac.0 == NEW_MAC, "{:?}", session.opened());
    survives_down_and_up(&server, &world, &session)?;
    session.hang_up()?;

    another_mtu(&server, &world)?;
    said_once(&server)?;
    server.stop(&world)
}

/// Dials on the line that is there already.
fn open(world: &World) -> Result<Dialled> {
    let mut config = redial_config(world, "alice", "secret")?;
    config.default_route = false;
    let session = dial(config, Instant::now() + Duration::from_secs(20))?;
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, SERVER, 1).ok()))?;
    Ok(session)
}

/// The station only listens to the server's usual address, so the server is asked what it sent.
fn answers(server: &Server, world: &World, station: &Station) -> Result<()> {
    let offers = || -> Result<u64> {
        let stats = server.interface_stats(world, "eth1")?;
        check::number(stats.get("packets").context("packets")?, "sent_pado")
    };
    let before = offers()?;
    let padi = station.frame(MacAddr::BROADCAST, Code::Padi, 0, &[(TagType::ServiceName, b"")])?;
    wait::until_true("a PADO", PATIENCE, || {
        station.send(&padi)?;
        Ok(offers()? > before)
    })
}

fn in_state(server: &Server, world: &World, state: &str) -> Result<()> {
    wait::until_true(&format!("eth1 {state} in show stats"), PATIENCE, || {
        Ok(check::text(&server.interface_stats(world, "eth1")?, "state")? == state)
    })
}

/// The peer's own echo decides, and two seconds are too short for it.
fn survives_down_and_up(server: &Server, world: &World, session: &Dialled) -> Result<()> {
    world.set_access_up(false)?;
    in_state(server, world, "down")?;
    thread::sleep(Duration::from_secs(2));
    world.set_access_up(true)?;
    in_state(server, world, "up")?;
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, SERVER, 2).ok()))?;
    ensure!(!session.is_over(), "the session ended");
    ensure!(server.sessions(world)?.len() == 1, "not the session that it was");
    Ok(())
}

/// RFC 4638: what is agreed on follows the interface.
fn another_mtu(server: &Server, world: &World) -> Result<()> {
    world.set_station_mtu(LINE, 1508)?;
    for (mtu, agreed) in [(1508_u32, 1500_u16), (1500, 1492)] {
        world.set_access_mtu(mtu)?;
        wait::until_true("the MTU in show stats", PATIENCE, || {
            Ok(check::number(&server.interface_stats(world, "eth1")?, "mtu")? == u64::from(mtu))
        })?;
        let mut config = redial_config(world, "alice", "secret")?;
        (config.default_route, config.max_payload) = (false, Some(1500));
        let session = dial(config, Instant::now() + Duration::from_secs(20))?;
        ensure!(session.opened().mtu == agreed, "with an MTU of {mtu}: {:?}", session.opened());
        session.hang_up()?;
        server.wait_for_sessions(world, 0, PATIENCE)?;
    }
    Ok(())
}

fn said_once(server: &Server) -> Result<()> {
    let log = server.log()?;
    for words in [
        ["access interface removed", "eth1"],
        ["access interface down", "eth1"],
        ["MTU of the access interface changed", "old_mtu=1500 mtu=1508"],
        ["MTU of the access interface changed", "old_mtu=1508 mtu=1500"],
    ] {
        let count = log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
        ensure!(count == 1, "{count} lines with {words:?} in the log");
    }
    Ok(())
}
