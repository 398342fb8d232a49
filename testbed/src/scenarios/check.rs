//! Checks that several scenarios share.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::capture::Frame;
use crate::guest::Guest;
use crate::lab::mac;
use crate::meter::Direction;
use crate::packages;
use crate::process::run_ok;
use crate::programs;
use crate::server::Server;
use crate::station::Wire;
use crate::wait;
use crate::world::{ACCESS_MAC, FAR_HOST, Netns, World};

/// How long a session may take to disappear from the server after its end.
pub(super) const GONE: Duration = Duration::from_secs(10);

/// Loads an nftables ruleset in a namespace.
pub(super) fn nft(namespace: &Netns, ruleset: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("rules.nft");
    std::fs::write(&file, ruleset)?;
    run_ok(namespace, packages::command("nft")?.arg("-f").arg(&file)).map(drop)
}

/// An interface as the server's kernel shows it: `ip -details -json address show`.
pub(super) fn interface(world: &World, name: &str) -> Result<Value> {
    let mut ip = packages::command("ip")?;
    let text = run_ok(&world.srv, ip.args(["-details", "-json", "address", "show", "dev", name]))?;
    let list: Value = serde_json::from_str(&text).with_context(|| format!("ip printed {text:?}"))?;
    list.get(0).cloned().with_context(|| format!("no interface {name}"))
}

/// Checks the point-to-point interface that the server made for a session.
pub(super) fn server_interface(
    world: &World,
    name: &str,
    local: Ipv4Addr,
    remote: Ipv4Addr,
    mtu: u64,
) -> Result<()> {
    let link = interface(world, name)?;
    let flags = link.get("flags").and_then(Value::as_array).context("flags")?;
    for flag in ["POINTOPOINT", "NOARP", "MULTICAST", "UP"] {
        ensure!(flags.iter().any(|has| has == flag), "{name} is not {flag}: {link}");
    }
    ensure!(link.get("mtu").and_then(Value::as_u64) == Some(mtu), "{name} has not the MTU {mtu}: {link}");
    let has = |address: &Value| {
        address.get("local").and_then(Value::as_str) == Some(&local.to_string())
            && address.get("address").and_then(Value::as_str) == Some(&remote.to_string())
    };
    let addresses = link.get("addr_info").and_then(Value::as_array).context("addr_info")?;
    ensure!(addresses.iter().any(has), "{name} is not {local} P-t-P {remote}: {link}");
    Ok(())
}

/// A field of a session that must be there as text.
pub(super) fn text<'a>(session: &'a Value, field: &str) -> Result<&'a str> {
    session.get(field).and_then(Value::as_str).with_context(|| format!("no text {field:?} in {session}"))
}

/// A field of a session that must be there as a number.
pub(super) fn number(session: &Value, field: &str) -> Result<u64> {
    session.get(field).and_then(Value::as_u64).with_context(|| format!("no number {field:?} in {session}"))
}

/// The only session there is, which must be open and belong to `user` at `address` on the guest's line.
pub(super) fn only_session(
    server: &Server,
    world: &World,
    guest: &Guest,
    user: &str,
    address: Ipv4Addr,
) -> Result<Value> {
    let mut sessions = server.wait_for_sessions(world, 1, GONE)?;
    let session = sessions.pop().context("one session")?;
    ensure!(text(&session, "state")? == "open", "not open: {session}");
    ensure!(text(&session, "username")? == user, "not {user}: {session}");
    ensure!(text(&session, "ip")? == address.to_string(), "not at {address}: {session}");
    ensure!(text(&session, "mac")? == guest.mac(), "not from {}: {session}", guest.mac());
    Ok(session)
}

/// How many discovery frames the server has dropped on its first access interface for a cause.
pub(super) fn dropped(server: &Server, world: &World, cause: &str) -> Result<u64> {
    let stats = server.interface_stats(world, "eth1")?;
    let dropped = stats.get("dropped").and_then(Value::as_object).context("drops by cause")?;
    // A cause that never was need not be listed.
    Ok(dropped.get(cause).and_then(Value::as_u64).unwrap_or(0))
}

/// Sends a frame that the server must drop, and waits until that is counted under its cause.
pub(super) fn is_dropped(
    server: &Server,
    world: &World,
    wire: &Wire,
    frame: &[u8],
    cause: &str,
) -> Result<()> {
    let before = dropped(server, world, cause)?;
    wire.send(frame)?;
    wait::until_true(&format!("a drop because of {cause}"), GONE, || {
        Ok(dropped(server, world, cause)? == before + 1)
    })
}

/// The log line that contains all of `words`, now.
pub(super) fn log_line(server: &Server, words: &[&str]) -> Result<String> {
    let log = server.log()?;
    match log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
        Some(line) => Ok(line.to_owned()),
        None => bail!("no line with {words:?} in pppoed's log"),
    }
}

/// Moves bytes between a guest and the far host, in Mbit/s.
pub(super) fn speed(guest: &Guest, direction: Direction, seconds: u64) -> Result<f64> {
    let program = guest.bring(&programs::testbed()?)?;
    let way = match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    };
    let printed = guest.sh(&format!("{program} measure {FAR_HOST} {way} {seconds}"))?;
    printed.trim().parse().with_context(|| format!("measure printed {printed:?}"))
}

/// Has frames pass in this order, perhaps with others between them. Each is told by its sender and a part of its
/// summary.
pub(super) fn in_order(frames: &[Frame], expected: &[(From, &str)]) -> Result<()> {
    let server = mac(ACCESS_MAC);
    let mut rest = frames.iter();
    for (from, info) in expected {
        let matches = |frame: &&Frame| {
            (frame.source == server) == (*from == From::Server) && frame.summary().contains(info)
        };
        ensure!(rest.by_ref().find(matches).is_some(), "no {info:?} from the {from:?} where it should be");
    }
    Ok(())
}

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Server,
    Client,
}
