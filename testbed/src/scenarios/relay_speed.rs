//! A smoke test of the relay: bulk TCP both ways, with nothing lost on the way in the counters.

use anyhow::{Context, Result, ensure};

use super::check;
use super::{Load, PPPD, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::meter::{self, Direction};
use crate::server::{Server, Setup};
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "relay-speed",
    about: "bulk TCP both ways through the relay (a guest is slow: a smoke test, not a benchmark)",
    peer: PPPD,
    load: Load::Measures,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4", ..Setup::CHAP };

/// Well below what a guest on a busy machine does, well above what a broken relay does, in Mbit/s.
const SLOWEST: f64 = 20.0;

fn run(lab: &Lab) -> Result<()> {
    // No capture: bulk data would fill the disk.
    let world = World::build("lab", Wiring::AccessOnEth1, Uplink::Routed)?;
    let _meter = meter::Server::start(&world.net)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;
    client.dial(&Dial::new("alice", "secret"))?;
    let sessions = server.wait_for_sessions(&world, 1, check::GONE)?;
    let id = check::number(sessions.first().context("one session")?, "id")?;
    for direction in [Direction::Up, Direction::Down] {
        let speed = check::speed(&client, direction, 3)?;
        println!("    {direction:?}: {speed:.0} Mbit/s");
        ensure!(speed >= SLOWEST, "{direction:?}: {speed} Mbit/s");
    }
    let session = server.session(&world, id)?;
    for counter in ["/traffic/rx_bytes", "/traffic/tx_bytes"] {
        let bytes = session.pointer(counter).and_then(serde_json::Value::as_u64);
        ensure!(bytes.is_some_and(|bytes| bytes > 1_000_000), "{counter} is {bytes:?}: {session}");
    }
    server.stop(&world)
}
