//! Discovery on two interfaces: real `pppoe-discovery`, and our own frames for what it cannot say.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ppp_wire::pppoe::{Code, TagType};

use super::check;
use super::{Load, Scenario};
use crate::client::dial;
use crate::lab::Lab;
use crate::own_client::{dial_config, dial_config_on};
use crate::packages;
use crate::process;
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::wait;
use crate::world::{ACCESS_MAC, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "discovery",
    about: "two interfaces, service names, echoed tags, cookies, both refusals",
    peer: "pppoe-discovery of ppp 2.4.9 in a namespace, and the test bed's own frames",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -I eth2 -C test-ac -S internet -S iptv -L 10.0.0.1 -R 10.0.0.2 -N 2",
    options: "require-chap\nlcp-restart 1\n",
    ..Setup::CHAP
};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const INTERNET: (TagType, &[u8]) = (TagType::ServiceName, b"internet");
const UNKNOWN: (TagType, &[u8]) = (TagType::ServiceName, b"telex");
const HOST_UNIQ: (TagType, &[u8]) = (TagType::HostUniq, &[0, 1, 0xff, 0x0a]);
const RELAY: (TagType, &[u8]) = (TagType::RelaySessionId, b"relay-7");
const DIAL: Duration = Duration::from_secs(20);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Isolated)?;
    world.add_second_access()?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let one = Station::open(&world, "one", 1)?;
    let two = Station::open(&world, "two", 2)?;
    let elsewhere = Station::open_on_second(&world, "elsewhere", 3)?;

    real_client_finds_the_server(&world)?;
    tags_are_echoed(&one)?;
    unknown_services_are_refused(&one)?;
    cookies_are_bound(&one, &two, &elsewhere)?;
    ensure!(check::dropped(&server, &world, "cookie_wrong")? == 2, "wrong cookies on eth1 are not counted");
    ensure!(server.sessions(&world)?.is_empty(), "a refused PADR made a session");
    host_uniq_may_change(&one, &server, &world)?;
    a_full_server_says_so(&one, &world)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn real_client_finds_the_server(world: &World) -> Result<()> {
    let discover = |arguments: &[&str]| -> Result<process::Finished> {
        let mut command = packages::command("pppoe-discovery")?;
        command.args(["-I", "one", "-t", "1", "-a", "2", "-U"]).args(arguments);
        process::run(&world.cli, &mut command, Duration::from_secs(15))
    };
    let found = discover(&[])?;
    for expected in ["test-ac", "internet", "iptv", "02:50:50:00:00:01"] {
        ensure!(
            found.stdout.to_lowercase().contains(expected),
            "pppoe-discovery does not show {expected}: {found:?}"
        );
    }
    ensure!(discover(&["-S", "iptv"])?.stdout.contains("iptv"), "no offer for the service iptv");
    let none = discover(&["-S", "telex"])?;
    ensure!(!none.stdout.contains("test-ac"), "an offer for a service that there is not: {none:?}");
    Ok(())
}

fn tags_are_echoed(station: &Station) -> Result<()> {
    let offer = station.discover(&[ANY, HOST_UNIQ, RELAY])?;
    ensure!(offer.session_id == 0, "{offer:?}");
    ensure!(offer.tag(TagType::AcName) == Some(b"test-ac"), "{offer:?}");
    ensure!(offer.tag(TagType::HostUniq) == Some(HOST_UNIQ.1), "{offer:?}");
    ensure!(offer.tag(TagType::RelaySessionId) == Some(RELAY.1), "{offer:?}");
    ensure!(offer.tag(TagType::AcCookie).is_some_and(|cookie| !cookie.is_empty()), "{offer:?}");
    Ok(())
}

/// RFC 2516 section 5.4: session id 0 and a Service-Name-Error.
fn unknown_services_are_refused(station: &Station) -> Result<()> {
    let offer = station.discover(&[INTERNET, HOST_UNIQ])?;
    let refusal = station.request(&offer, &[UNKNOWN, HOST_UNIQ])?;
    ensure!(refusal.session_id == 0, "{refusal:?}");
    ensure!(refusal.tag(TagType::ServiceNameError).is_some(), "{refusal:?}");
    ensure!(refusal.tag(TagType::HostUniq) == Some(HOST_UNIQ.1), "{refusal:?}");
    Ok(())
}

/// A cookie is worth nothing to another station, on another interface, or when changed.
fn cookies_are_bound(one: &Station, two: &Station, elsewhere: &Station) -> Result<()> {
    let offer = one.discover(&[ANY, HOST_UNIQ])?;
    for thief in [two, elsewhere] {
        thief.send(&thief.padr(&offer, &[ANY, HOST_UNIQ])?)?;
        thief.expect_silence()?;
    }

    let mut forged = offer.clone();
    match forged.tags.iter_mut().find(|(kind, _)| *kind == TagType::AcCookie) {
        Some((_, cookie)) => cookie.iter_mut().for_each(|byte| *byte ^= 0x55),
        None => bail!("no cookie in {offer:?}"),
    }
    one.send(&one.padr(&forged, &[ANY, HOST_UNIQ])?)?;
    one.expect_silence()?;
    forged.tags.retain(|(kind, _)| *kind != TagType::AcCookie);
    one.send(&one.padr(&forged, &[ANY, HOST_UNIQ])?)?;
    one.expect_silence()
}

/// Host-Uniq matches an answer to its request (RFC 2516 appendix A): that of the PADR need not be that of the PADI, and
/// the same cookie is the same session.
fn host_uniq_may_change(station: &Station, server: &Server, world: &World) -> Result<()> {
    let offer = station.discover(&[ANY, HOST_UNIQ])?;
    let another = (TagType::HostUniq, &b"another"[..]);
    let first = station.request(&offer, &[ANY, another])?;
    ensure!(first.session_id != 0 && first.tag(TagType::HostUniq) == Some(another.1), "{first:?}");
    let again = station.request(&offer, &[ANY, HOST_UNIQ])?;
    ensure!(again.tag(TagType::HostUniq) == Some(HOST_UNIQ.1), "{again:?}");
    ensure!(again.session_id == first.session_id, "another session: {again:?} after {first:?}");
    station.send(&station.frame(ACCESS_MAC.into(), Code::Padt, first.session_id, &[])?)?;
    server.wait_for_sessions(world, 0, check::GONE).map(drop)
}

/// There are two addresses, so beside two sessions that have logged in, on whichever interface, the third is refused:
/// session id 0 and an AC-System-Error. (One that has not would make room.)
fn a_full_server_says_so(station: &Station, world: &World) -> Result<()> {
    let first = dial(dial_config(world, "alice", "secret")?, Instant::now() + DIAL)?;
    world.add_station("far", "br2", [0x02, 0, 0, 0, 0x5a, 4])?;
    let second = dial(dial_config_on(world, "far", "alice", "secret")?, Instant::now() + DIAL)?;
    let offer = station.discover(&[ANY])?;
    let refusal = station.request(&offer, &[ANY])?;
    ensure!(refusal.session_id == 0, "{refusal:?}");
    ensure!(refusal.tag(TagType::AcSystemError).is_some(), "{refusal:?}");

    // The end of a session frees its slot.
    first.hang_up()?;
    wait::until_true("a free slot after the end", check::GONE, || {
        let offer = station.discover(&[ANY])?;
        Ok(station.request(&offer, &[ANY])?.session_id != 0)
    })?;
    second.hang_up().map(drop)
}
