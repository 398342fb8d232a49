//! `+ipv6`: IPV6CP beside IPCP, link-local addresses on both sides, and neither protocol in the other's way.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::check;
use super::{Load, PPPD, Scenario};
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::packages;
use crate::process::run_ok;
use crate::server::{Server, Setup};
use crate::wait;
use crate::world::{FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "ipv6",
    about: "+ipv6: link-local addresses, pings both ways, foreign sources dropped; clients with one protocol only",
    peer: PPPD,
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4",
    options: "require-chap\n+ipv6\nipv6cp-restart 1\n",
    ..Setup::CHAP
};
/// The guest's kernel has IPv6 as a module.
const LOAD_IPV6: &str = "insmod /usr/lib/uml/modules/$(uname -r)/kernel/net/ipv6/ipv6.ko";
/// An address that nobody gave to the client.
const FOREIGN: &str = "2001:db8::9";

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    server.wait_for_log(&["+ipv6", "no IPv6 prefixes"])?;
    let [both, other] = lab.guests(&world, ["both", "other"])?;

    two_protocols(&world, &server, &both)?;
    ipv4_alone(&world, &server, &other)?;
    ipv6_alone(&world, &server, &other)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn two_protocols(world: &World, server: &Server, client: &Guest) -> Result<()> {
    client.sh(LOAD_IPV6)?;
    let session = client.dial(&Dial::new("alice", "secret").with(&["+ipv6"]))?;
    let (ours, theirs) = link_locals(world, server, client.mac())?;
    wait::until_true("pppd's link-local addresses", check::GONE, || {
        let log = client.pppd_log()?;
        let logged = |what: &str| -> Option<Ipv6Addr> {
            let line = log.lines().find(|line| line.contains(what))?;
            line.split_whitespace().next_back()?.parse().ok()
        };
        Ok(logged("local  LL address") == Some(theirs) && logged("remote LL address") == Some(ours))
    })?;
    let id = check::number(&of_guest(world, server, client.mac())?, "id")?;
    let table = server.pppctl_table(&world.srv, &["show", "session", &id.to_string()])?;
    ensure!(table.contains(&format!("{ours} ours, {theirs} the peer's")), "{table}");

    client.ping(FAR_HOST)?;
    client.sh(&format!("ping -6 -n -c 3 -i 0.2 -W 2 {ours}%ppp0"))?;
    let name = check::text(&of_guest(world, server, client.mac())?, "ifname")?.to_owned();
    let mut ping = packages::command("ping")?;
    run_ok(
        &world.srv,
        ping.args(["-6", "-n", "-c", "3", "-i", "0.2", "-W", "2", &format!("{theirs}%{name}")]),
    )?;

    let before = dropped_sources(world, server, id)?;
    client.sh(&format!(
        "ip -6 address add {FOREIGN}/128 dev ppp0 nodad; \
         ping -6 -n -c 2 -i 0.2 -W 1 -I {FOREIGN} {ours}%ppp0 > /run/foreign.out 2>&1; test $? -ne 0"
    ))?;
    let after = dropped_sources(world, server, id)?;
    ensure!(after >= before + 2, "{after} packets of foreign sources were dropped, {before} before");

    ensure!(session.remote == Ipv4Addr::new(10, 0, 0, 1), "{session:?}");
    client.hang_up()?;
    server.wait_for_sessions(world, 0, check::GONE).map(drop)
}

/// A client that rejects IPV6CP has its IPv4 all the same.
fn ipv4_alone(world: &World, server: &Server, client: &Guest) -> Result<()> {
    let session = client.dial(&Dial::new("alice", "secret").with(&["noipv6"]))?;
    ensure!(session.log.contains("rcvd [IPV6CP ConfReq"), "IPV6CP was not tried:\n{}", session.log);
    client.ping(FAR_HOST)?;
    let summary = check::only_session(server, world, client, "alice", session.local)?;
    let detail = server.session(world, check::number(&summary, "id")?)?;
    ensure!(detail.get("peer_link_local").is_some_and(Value::is_null), "{detail}");
    let link = check::interface(world, check::text(&summary, "ifname")?)?;
    let addresses = link.get("addr_info").and_then(Value::as_array).context("addr_info")?;
    ensure!(addresses.iter().all(|one| one.get("family").is_some_and(|family| family == "inet")), "{link}");
    client.hang_up()?;
    server.wait_for_sessions(world, 0, check::GONE).map(drop)
}

/// A client that refuses IPv4 has its IPv6 all the same. The files of the last dial are there.
fn ipv6_alone(world: &World, server: &Server, client: &Guest) -> Result<()> {
    client.sh(LOAD_IPV6)?;
    client.sh("(grep -v noipv6 /run/dial-options; echo noip; echo +ipv6) > /run/ipv6-options; \
               pppd file /run/ipv6-options")?;
    let (ours, theirs) = link_locals(world, server, client.mac())?;
    let state = of_guest(world, server, client.mac())?;
    ensure!(check::text(&state, "state")? == "open", "{state}");
    client.sh(&format!("ping -6 -n -c 3 -i 0.2 -W 2 {ours}%ppp0"))?;
    let link = check::interface(world, check::text(&state, "ifname")?)?;
    ensure!(!link.to_string().contains("\"inet\""), "an IPv4 address without IPCP: {link}");
    ensure!(link.to_string().contains(&theirs.to_string()), "{link}");
    client.hang_up()?;
    server.wait_for_sessions(world, 0, check::GONE).map(drop)
}

fn of_guest(world: &World, server: &Server, mac: &str) -> Result<Value> {
    let sessions = server.sessions(world)?;
    let found = sessions.iter().find(|session| session.get("mac").is_some_and(|own| own == mac));
    found.cloned().with_context(|| format!("no session of {mac} in {sessions:?}"))
}

/// The link-local addresses of the server's and the client's end, once IPV6CP is open.
fn link_locals(world: &World, server: &Server, mac: &str) -> Result<(Ipv6Addr, Ipv6Addr)> {
    wait::until("link-local addresses", Duration::from_secs(10), || {
        let id = check::number(&of_guest(world, server, mac)?, "id")?;
        let detail = server.session(world, id)?;
        let address = |field: &str| -> Option<Ipv6Addr> { detail.get(field)?.as_str()?.parse().ok() };
        Ok(address("local_link_local").zip(address("peer_link_local")))
    })
}

fn dropped_sources(world: &World, server: &Server, id: u64) -> Result<u64> {
    let detail = server.session(world, id)?;
    detail.pointer("/dropped/source").and_then(Value::as_u64).with_context(|| format!("{detail}"))
}
