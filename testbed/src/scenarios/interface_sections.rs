//! Access interfaces with services, pools, DNS servers and limits of their own: the example of `docs/interfaces.md`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use ppp_wire::pppoe::TagType;
use serde_json::Value;

use super::check;
use super::{Load, Scenario};
use crate::client::{Dialled, dial};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::own_client::dial_config_on;
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::world::{ACCESS_MAC, Uplink, Wiring, World};
use crate::{echo, programs, wait};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "interface-sections",
    about: "VLANs with their own services, pools, DNS and limits; one pool exhausted; a reload that adds one",
    peer: "the test bed's own client (CHAP), and pppd 2.4.9 on Linux kernel PPPoE (User-Mode Linux guest)",
    load: Load::Works,
    run,
};

const DOCUMENT: &str = include_str!("../../../docs/interfaces.md");
const FILE: &str = "/etc/ppp/pppoed.toml";
const SETUP: Setup<'_> = Setup {
    flags: "-c /etc/ppp/pppoed.toml",
    options: "",
    chap_secrets: "alice * secret *\nfixed * secret 10.10.0.200\n",
    ..Setup::CHAP
};
/// What a reload adds to the example.
const MORE: &str = "\n[pool.more]\nlocal = \"10.40.0.1\"\naddresses = \"10.40.0.2-3\"\n\
                    [[interface]]\nname = \"eth1.40\"\npool = \"more\"\n";
const PATIENCE: Duration = Duration::from_secs(20);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    for id in [10, 20] {
        subinterface(&world, id)?;
    }
    let example = example()?;
    let setup = Setup { files: &[("pppoed.toml", &example)], ..SETUP };
    let mut server = Server::start(&world, lab.path(), &setup)?;

    each_gets_its_own(lab, &world, &server)?;
    let sessions = one_pool_is_exhausted(&world, &server)?;
    let ids = ids(&server, &world)?;

    // A VLAN that a pattern matches is served as soon as it is there, from the same pool.
    subinterface(&world, 21)?;
    in_state(&server, &world, "eth1.21", "up")?;
    ensure!(refused(&world, "three.21")?, "the pool has no address left, and gave one");

    // What is added is served, and nobody loses a session.
    subinterface(&world, 40)?;
    server.write_file(FILE, &format!("{example}{MORE}"))?;
    let told = server.pppctl(&world.srv, &["reload"])?.to_string();
    for part in ["pool more: addresses", "interface eth1.40: pool", "pppoed.toml:"] {
        ensure!(told.contains(part), "{part} is not in {told}");
    }
    in_state(&server, &world, "eth1.40", "up")?;
    let added = open(&world, "three.40", "", 40)?;
    added.hang_up()?;
    server.wait_for_sessions(&world, sessions.len(), check::GONE)?;
    ensure!(self::ids(&server, &world)? == ids, "not the sessions that there were");

    // What is taken away takes no new sessions, and the old ones go on.
    let without = example.replace("name = \"eth1.10\"", "name = \"eth1.11\"");
    server.write_file(FILE, &without)?;
    server.pppctl(&world.srv, &["reload"])?;
    let table = server.pppctl_table(&world.srv, &["show", "interfaces"])?;
    ensure!(table.contains("eth1.10 takes no new sessions"), "{table}");
    ensure!(refused(&world, "three.10")?, "a session on an interface that is not in the configuration");
    server.write_file(FILE, &example)?;
    server.pppctl(&world.srv, &["reload"])?;
    ensure!(self::ids(&server, &world)? == ids, "not the sessions that there were");

    // The next pppoed knows which pool each of them is of.
    server.lose(Signal::SIGUSR1)?;
    server.start_again(&world, &setup, &programs::path("pppoed")?)?;
    wait::until_true("the sessions taken over", PATIENCE, || {
        Ok(server.log()?.matches("session taken over").count() == sessions.len())
    })?;
    ensure!(self::ids(&server, &world)? == ids, "not the sessions that there were");
    ensure!(pool(&server, &world, "flats")?.get("sessions") == Some(&Value::from(2)), "the flats' pool");
    ensure!(refused(&world, "one.20")?, "the pool has no address left, and gave one");
    for session in sessions {
        ping(&world, session.opened().remote)?;
        session.hang_up()?;
    }
    server.wait_for_sessions(&world, 0, check::GONE)?;
    open(&world, "three.20", "flat", 20)?.hang_up()?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// An access interface with three stations on it, `one.ID` and so on.
fn subinterface(world: &World, id: u16) -> Result<()> {
    world.add_subinterface(id)?;
    let stations = (1..).zip(["one", "two", "three"]);
    stations.into_iter().try_for_each(|(number, line)| {
        world.add_station(&format!("{line}.{id}"), &format!("br{id}"), [0x02, 0, 0, 0, 0, number])
    })
}

/// Services, AC-Name and DNS servers, and pppd on the interface below the VLANs.
fn each_gets_its_own(lab: &Lab, world: &World, server: &Server) -> Result<()> {
    for (line, name, services) in [("one.10", "ac-offices", ["office"]), ("one.20", "", ["flat"])] {
        let station = Station::on_link(world, line, [0x02, 0, 0, 0, 0, 1], ACCESS_MAC)?;
        let offer = station.discover(&[(TagType::ServiceName, b"")])?;
        let offered = offer.tags.iter().filter(|(kind, _)| *kind == TagType::ServiceName);
        let offered: Vec<_> = offered.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        ensure!(
            services.iter().all(|service| offered.iter().any(|one| one == service)),
            "{line}: {offered:?}"
        );
        ensure!(!offered.iter().any(|one| *one != services[0] && !one.is_empty()), "{line}: {offered:?}");
        let ac_name = offer.tag(TagType::AcName).context("an AC-Name")?;
        ensure!(name.is_empty() || ac_name == name.as_bytes(), "{line}: {ac_name:?}");
    }
    ensure!(dial_on(world, "one.20", "alice", "office").is_err(), "the offices' service among the flats");

    let office = open(world, "one.10", "office", 10)?;
    let flat = open(world, "two.20", "flat", 20)?;
    let dns =
        |session: &Dialled| session.opened().name_servers.dns.map(|server| server.map(|ip| ip.octets()[3]));
    ensure!(dns(&office) == [Some(10), Some(11)], "{:?}", office.opened());
    ensure!(dns(&flat) == [Some(20), Some(20)], "{:?}", flat.opened());
    for session in server.sessions(world)? {
        let is_limited = check::text(&session, "interface")? == "eth1.10";
        let detail = server.session(world, check::number(&session, "id")?)?.to_string();
        ensure!(detail.contains("\"down_kbit_per_s\":50000") == is_limited, "{detail}");
    }

    let [guest] = lab.guests(world, ["guest"])?;
    let session = guest.dial(&Dial::new("alice", "secret"))?;
    let expected = (Ipv4Addr::new(10, 30, 0, 2), Ipv4Addr::new(10, 30, 0, 1));
    ensure!((session.local, session.remote) == expected, "{session:?}");
    let resolver = guest.sh("cat /etc/ppp/resolv.conf")?;
    ensure!(resolver.contains("nameserver 192.0.2.53"), "{resolver}");
    ensure!(!resolver.contains("192.0.2.1") && !resolver.contains("192.0.2.20"), "{resolver}");
    guest.hang_up()?;
    office.hang_up()?;
    flat.hang_up()?;

    // A user's own address is the user's on every interface.
    let own = [10, 10, 0, 200].into();
    for (line, ours) in [("one.10", [10, 10, 0, 1]), ("one.20", [10, 20, 0, 1])] {
        let session = dial_on(world, line, "fixed", "")?;
        let opened = *session.opened();
        ensure!((opened.local, opened.remote) == (own, ours.into()), "{line}: {opened:?}");
        session.hang_up()?;
    }
    server.wait_for_sessions(world, 0, check::GONE).map(drop)
}

/// The flats have two addresses. Returns all sessions.
fn one_pool_is_exhausted(world: &World, server: &Server) -> Result<Vec<Dialled>> {
    let mut sessions = vec![open(world, "two.20", "", 20)?];
    sessions.push(open(world, "three.20", "flat", 20)?);
    ensure!(refused(world, "one.20")?, "a third session of two");
    sessions.push(open(world, "one.10", "office", 10)?);
    let refusals = |interface| -> Result<u64> {
        let stats = server.interface_stats(world, interface)?;
        check::number(stats.get("dropped").context("dropped")?, "no_free_slot")
    };
    ensure!(refusals("eth1.20")? > 0 && refusals("eth1.10")? == 0, "who was refused");
    for session in &sessions {
        ping(world, session.opened().remote)?;
    }
    Ok(sessions)
}

/// Dials, and checks that both ends' addresses are of the pool 10.N.0.x.
fn open(world: &World, line: &str, service: &str, pool: u8) -> Result<Dialled> {
    let session = dial_on(world, line, "alice", service)?;
    let opened = session.opened();
    ensure!(opened.local.octets()[..3] == [10, pool, 0], "{line}: {opened:?}");
    ensure!(opened.remote == Ipv4Addr::new(10, pool, 0, 1), "{line}: {opened:?}");
    Ok(session)
}

fn dial_on(world: &World, line: &str, user: &str, service: &str) -> Result<Dialled> {
    let mut config = dial_config_on(world, line, user, "secret")?;
    config.service_name = service.to_owned();
    dial(config, Instant::now() + PATIENCE).with_context(|| format!("on {line}"))
}

/// Whether a dial fails, without more patience than it takes to be answered.
fn refused(world: &World, line: &str) -> Result<bool> {
    let config = dial_config_on(world, line, "alice", "secret")?;
    Ok(dial(config, Instant::now() + Duration::from_secs(5)).is_err())
}

fn ping(world: &World, server: Ipv4Addr) -> Result<()> {
    let mut sequence = 0;
    wait::until("an answer to a ping", check::GONE, || {
        sequence += 1;
        Ok(echo::ping(&world.cli, server, sequence).ok())
    })
    .map(drop)
}

/// Session ids with their workers.
fn ids(server: &Server, world: &World) -> Result<Vec<(u64, u64)>> {
    let ids = server.sessions(world)?;
    let ids = ids.iter().map(|session| check::number(session, "id"));
    ids.map(|id| {
        Ok((id.as_ref().copied().unwrap_or(0), check::number(&server.session(world, id?)?, "worker_pid")?))
    })
    .collect()
}

fn pool(server: &Server, world: &World, name: &str) -> Result<Value> {
    let answer = server.pppctl(&world.srv, &["show", "pool"])?;
    let pools = answer.pointer("/pool/pools").and_then(Value::as_array).context("pools")?;
    let found = pools.iter().find(|pool| pool.get("name").is_some_and(|own| own == name));
    found.cloned().with_context(|| format!("no pool {name} in {answer}"))
}

fn in_state(server: &Server, world: &World, interface: &str, state: &str) -> Result<()> {
    wait::until_true(&format!("{interface} {state} in show stats"), PATIENCE, || {
        let stats = server.interface_stats(world, interface);
        Ok(stats.is_ok_and(|stats| stats.get("state").is_some_and(|own| own == state)))
    })
}

/// The configuration that the document shows.
fn example() -> Result<String> {
    let (_, rest) = DOCUMENT.split_once("```toml\n").context("no configuration")?;
    let (example, _) = rest.split_once("```").context("an open block")?;
    Ok(example.to_owned())
}
