//! What pppoed does, on a bare machine: three namespaces, a server with nothing configured, a client of our own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client::dial;
use crate::meter::{self, Direction};
use crate::own_client::{LINE, dial_config};
use crate::server::{Server, Setup};
use crate::world::{self, FAR_HOST, Uplink, Wiring, World, name_of};
use crate::{echo, programs, wait};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 64",
    options: "require-chap\nlcp-echo-interval 10\nlcp-echo-failure 2\n",
    chap_secrets: "demo * \"a secret\" *\n",
    ..Setup::CHAP
};
const PINGS: u16 = 5;

/// Runs the demo.
///
/// # Errors
/// When any step of it fails; everything is cleaned up all the same.
pub(crate) fn run() -> Result<()> {
    programs::build()?;
    world::sweep()?;
    // Secrets must lie where only root can change anything, which the usual directory for temporary files is not.
    let directory = tempfile::Builder::new().prefix(&name_of("demo-")).tempdir_in("/run")?;

    println!(
        "\nThree network namespaces: a client's line, the server, and a host beyond the server's uplink.\n"
    );
    println!("    [client] {LINE} ══ eth1 [pppoed] eth0 ══ eth0 [{FAR_HOST}]\n");
    let world = World::build("demo", Wiring::AccessOnEth1, Uplink::Routed)?;
    let meter = meter::Server::start(&world.net)?;
    let server = Server::start_by_flags(&world, directory.path(), &SETUP)?;
    println!("$ pppoed -I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 64");
    show("    ", &server.log()?);

    let outcome = call(&world, &server);
    if outcome.is_err() {
        show("    pppoed: ", &server.log()?);
    }
    outcome?;
    drop(meter);
    server.stop(&world)?;
    println!("SIGTERM to pppoed: it has gone, and with it every interface, process and file.");
    Ok(())
}

fn call(world: &World, server: &Server) -> Result<()> {
    let start = Instant::now();
    let config = dial_config(world, "demo", "a secret")?;
    let session = dial(config, start + Duration::from_secs(30)).context("dial")?;
    let opened = session.opened();
    println!(
        "\nThe client dialled in {:.0} ms: {} to {}, MTU {}.",
        start.elapsed().as_secs_f64() * 1e3,
        opened.local,
        opened.remote,
        opened.mtu
    );

    wait::until_true("an open session", Duration::from_secs(5), || {
        Ok(server
            .sessions(world)?
            .iter()
            .any(|session| session.get("state").is_some_and(|state| state == "open")))
    })?;
    println!("\n$ pppctl show sessions");
    show("    ", &server.pppctl_table(&world.srv, &["show", "sessions"])?);

    let mut times = Vec::new();
    for sequence in 1..=PINGS {
        times.push(echo::ping(&world.cli, FAR_HOST, sequence)?);
    }
    let fastest = times.iter().min().context("no ping")?;
    println!(
        "\nPing to {FAR_HOST} through the session: {PINGS} of {PINGS} answered, {:.0} µs the fastest.",
        fastest.as_secs_f64() * 1e6
    );
    for direction in [Direction::Up, Direction::Down] {
        let speed = world.cli.run(|| meter::measure(FAR_HOST, direction, Duration::from_secs(2)))?;
        println!(
            "TCP {:<4} through the session: {speed:.0} Mbit/s.",
            format!("{direction:?}").to_lowercase()
        );
    }

    let ended = session.hang_up().context("hang up")?;
    println!("\nThe client hung up: {} received, {} sent.", ended.received, ended.sent);
    server.wait_for_sessions(world, 0, Duration::from_secs(10))?;
    Ok(())
}

fn show(prefix: &str, text: &str) {
    text.lines().for_each(|line| println!("{prefix}{line}"));
}
