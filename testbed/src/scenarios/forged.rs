//! What a station must not be able to do to others: repeat, hang up on strangers, or use a false address.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};
use serde_json::Value;

use super::check;
use super::{Load, PPPD, Scenario};
use crate::capture::{self, Capture};
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::station::{Station, Wire};
use crate::world::{ACCESS_MAC, FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "forged",
    about: "a repeated PADR, a stranger's PADT, a false source address: no second session, no harm, counted",
    peer: PPPD,
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4", ..Setup::CHAP };
const FALSE_SOURCE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 99);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;
    let session = client.dial(&Dial::new("alice", "secret"))?;
    let shown = check::only_session(&server, &world, &client, "alice", session.local)?;
    let id = check::number(&shown, "id")?;

    let stranger = Station::open(&world, "stranger", 1)?;
    strangers_cannot_hang_up(&world, &server, &stranger, u16::try_from(id)?)?;
    client.ping(FAR_HOST)?;
    false_sources_are_dropped(lab, &world, &server, &client, id)?;
    repeated_requests_make_one_session(&world, &server, &stranger)?;
    client.ping(FAR_HOST)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn strangers_cannot_hang_up(world: &World, server: &Server, stranger: &Station, id: u16) -> Result<()> {
    let padt = stranger.frame(MacAddr(ACCESS_MAC), Code::Padt, id, &[])?;
    check::is_dropped(server, world, &Wire::open(world)?, &padt, "not_owner")?;
    ensure!(server.sessions(world)?.len() == 1, "a stranger's PADT ended the session");
    Ok(())
}

fn false_sources_are_dropped(
    lab: &Lab,
    world: &World,
    server: &Server,
    client: &Guest,
    id: u64,
) -> Result<()> {
    let dropped = || -> Result<u64> {
        let session = server.session(world, id)?;
        session.pointer("/dropped/source").and_then(Value::as_u64).with_context(|| format!("{session}"))
    };
    ensure!(dropped()? == 0, "dropped before anything was forged");
    let file = lab.path().join("uplink.pcap");
    let mut uplink = Capture::start(&world.net, "eth0", "icmp", &file)?;
    client.sh(&format!(
        "ip address add {FALSE_SOURCE}/32 dev lo\n\
         ping -n -c 3 -i 0.2 -W 1 -I {FALSE_SOURCE} {FAR_HOST} && exit 1\n\
         ip address del {FALSE_SOURCE}/32 dev lo"
    ))?;
    client.ping(FAR_HOST)?;
    uplink.stop()?;
    let sources = capture::field(&file, "icmp.type == 8", "ip.src")?;
    ensure!(!sources.is_empty(), "the honest pings did not pass");
    ensure!(!sources.contains(&FALSE_SOURCE.to_string()), "packets from {FALSE_SOURCE} passed");
    ensure!(dropped()? >= 3, "{} packets counted as dropped for their source", dropped()?);
    Ok(())
}

/// A PADS may be lost, so a client repeats its PADR. It gets the same answer each time.
fn repeated_requests_make_one_session(world: &World, server: &Server, station: &Station) -> Result<()> {
    let before = server.sessions(world)?.len();
    let tags: [(TagType, &[u8]); 2] = [(TagType::ServiceName, b""), (TagType::HostUniq, b"again")];
    let offer = station.discover(&tags)?;
    let first = station.request(&offer, &tags)?;
    ensure!(first.session_id != 0, "{first:?}");
    for _ in 0..3 {
        let again = station.request(&offer, &tags)?;
        ensure!(again == first, "{again:?} after {first:?}");
    }
    let now = server.sessions(world)?.len();
    ensure!(now == before + 1, "{} sessions were made", now - before);
    Ok(())
}
