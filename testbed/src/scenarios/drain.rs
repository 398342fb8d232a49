//! `pppctl drain`, `pppctl shutdown soft` and `pppctl shutdown hard`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use super::check;
use super::{Load, Scenario};
use crate::client::{Dialled, dial};
use crate::lab::Lab;
use crate::own_client::{LINE, redial_config};
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::world::{Uplink, Wiring, World};
use crate::{echo, wait};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "drain",
    about: "drain on and off, shutdown soft (called off, then carried out) and hard; sessions that are there stay",
    peer: "the test bed's own client, and its own frames",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4", ..Setup::CHAP };

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    let station = Station::open(&world, "one", 1)?;
    let session = open(&world)?;
    let offer = station.discover(&[ANY])?;

    command(&server, &world, &["drain", "on"], "draining", 1)?;
    station.send(&station.frame(MacAddr::BROADCAST, Code::Padi, 0, &[ANY])?)?;
    station.send(&station.padr(&offer, &[ANY])?)?;
    station.expect_silence()?;
    ensure!(check::dropped(&server, &world, "not_admitted")? == 2, "the silence is not counted");
    echo::ping(&world.cli, SERVER, 2)?;
    let shown = server.pppctl_table(&world.srv, &["show", "stats"])?;
    ensure!(shown.contains("draining: no new sessions, 1 session left"), "{shown}");

    command(&server, &world, &["drain", "off"], "serving", 1)?;
    station.discover(&[ANY])?;

    command(&server, &world, &["shutdown", "soft"], "shutdown-soft", 1)?;
    station.send(&station.frame(MacAddr::BROADCAST, Code::Padi, 0, &[ANY])?)?;
    station.expect_silence()?;
    echo::ping(&world.cli, SERVER, 3)?;
    command(&server, &world, &["drain", "off"], "serving", 1)?;
    session.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;

    let session = open(&world).context("after a soft shutdown that was called off")?;
    command(&server, &world, &["shutdown", "soft"], "shutdown-soft", 1)?;
    session.hang_up()?;
    server.wait_end(&world).context("after the last session")?;

    // The answer comes although the server ends at once.
    let server = Server::start(&world, lab.path(), &SETUP)?;
    command(&server, &world, &["shutdown", "soft"], "shutdown-soft", 0)?;
    server.wait_end(&world).context("without a session")?;

    let server = Server::start(&world, lab.path(), &SETUP)?;
    let session = open(&world)?;
    command(&server, &world, &["shutdown", "hard", "--yes"], "stopping", 1)?;
    wait::until_true("the client's end", check::GONE, || Ok(session.is_over()))?;
    let ended = session.hang_up()?;
    ensure!(ended.end.to_string().contains("terminated"), "the client was not told: {:?}", ended.end);
    server.wait_end(&world).context("after shutdown hard")?;
    lab.check_sent_frames(capture).map(drop)
}

fn open(world: &World) -> Result<Dialled> {
    let mut config = redial_config(world, "alice", "secret")?;
    config.default_route = false;
    let session = dial(config, Instant::now() + Duration::from_secs(20))?;
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, SERVER, 1).ok()))?;
    Ok(session)
}

fn command(server: &Server, world: &World, words: &[&str], state: &str, sessions: u64) -> Result<()> {
    let answer = server.pppctl(&world.srv, words)?;
    let service = answer.get("service").with_context(|| format!("{words:?}: {answer}"))?;
    ensure!(check::text(service, "state")? == state, "{words:?}: {answer}");
    ensure!(check::number(service, "sessions")? == sessions, "{words:?}: {answer}");
    Ok(())
}
