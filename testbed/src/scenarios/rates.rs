//! `rate-down` and `rate-up` of a user, measured with iperf3, and what they cost others on the line; changed by `pppctl`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check;
use super::{Load, OWN_CLIENT, Scenario};
use crate::client::dial;
use crate::lab::Lab;
use crate::meter::Direction;
use crate::own_client::dial_config;
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Uplink, Wiring, World};
use crate::{echo, iperf};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rates",
    about: "a user's 10 Mbit/s measures 9.4 to 10 by iperf3 with short pings, and other rates once pppctl sets them",
    peer: OWN_CLIENT,
    load: Load::Measures,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4",
    options: "require-chap\nrate-down 1M\n",
    chap_secrets: "limited * secret * -- rate-down 10M rate-up 10M\n",
    ..Setup::CHAP
};

/// Seconds of a measurement.
const SECONDS: u64 = 6;
/// Time between two pings under load.
const PING_INTERVAL: Duration = Duration::from_millis(50);
/// Half of the pings under load are answered within this time more than on an idle line: they go before what waits. In
/// one queue with all else, CoDel's 5 ms would be the least, and without any control it would be 200 ms.
const EXTRA_DELAY: Duration = Duration::from_millis(5);

fn run(lab: &Lab) -> Result<()> {
    let world = World::build("lab", Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let session = dial(dial_config(&world, "limited", "secret")?, Instant::now() + Duration::from_secs(20))?;
    let sessions = server.wait_for_sessions(&world, 1, check::GONE)?;
    let id = check::number(sessions.first().context("one session")?, "id")?;

    let idle = pings_until(&world, &AtomicBool::new(true), 20)?;
    println!("    idle: ping {}", shown(&idle));
    for direction in [Direction::Down, Direction::Up] {
        let (rate, pings) = under_load(&world, direction)?;
        println!("    {direction:?}, 10 Mbit/s: {rate:.2} Mbit/s, ping {}", shown(&pings));
        ensure!((9.4..=10.0).contains(&rate), "{direction:?}: {rate} Mbit/s");
        let extra = quantile(&pings, 50).saturating_sub(quantile(&idle, 50));
        ensure!(extra < EXTRA_DELAY, "{direction:?}: {extra:?} more than on the idle line");
    }

    let id = id.to_string();
    let answer = server.pppctl(&world.srv, &["set", "rate", &id, "20M", "2M"])?;
    let limit = |name: &str| answer.pointer(&format!("/session/limit/{name}")).and_then(|rate| rate.as_u64());
    ensure!((limit("down_kbit_per_s"), limit("up_kbit_per_s")) == (Some(20_000), Some(2000)), "{answer}");
    for (direction, configured) in [(Direction::Down, 20.0), (Direction::Up, 2.0)] {
        let rate = iperf::measure(&world, direction, SECONDS)?;
        println!("    {direction:?}, {configured} Mbit/s: {rate:.2} Mbit/s");
        ensure!((0.93..=1.0).contains(&(rate / configured)), "{direction:?}: {rate} Mbit/s");
    }
    server.pppctl(&world.srv, &["set", "rate", &id, "none", "none"])?;
    let rate = iperf::measure(&world, Direction::Down, 1)?;
    ensure!(rate > 50.0, "without a limit: {rate} Mbit/s");

    let counted = server.session(&world, id.parse()?)?;
    let dropped = counted.pointer("/dropped/rate").and_then(serde_json::Value::as_u64);
    ensure!(dropped.is_some_and(|dropped| dropped > 0), "TCP was never told to slow down: {counted}");
    drop(session);
    server.stop(&world)
}

/// What iperf3 measures, and pings meanwhile.
fn under_load(world: &World, direction: Direction) -> Result<(f64, Vec<Duration>)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pings = scope.spawn(|| pings_until(world, &done, 0));
        let rate = iperf::measure(world, direction, SECONDS);
        done.store(true, Ordering::SeqCst);
        let pings = pings.join().map_err(|_| anyhow::anyhow!("the pings panicked"))??;
        Ok((rate?, pings))
    })
}

/// Pings until it is done, but at least so often; the times, shortest first.
fn pings_until(world: &World, done: &AtomicBool, least: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for sequence in 1.. {
        if done.load(Ordering::SeqCst) && times.len() >= least {
            break;
        }
        // The limit may drop one.
        times.extend(echo::ping(&world.cli, FAR_HOST, sequence));
        thread::sleep(PING_INTERVAL);
    }
    times.sort();
    ensure!(times.len() >= least.max(10), "{} pings were answered", times.len());
    Ok(times)
}

fn quantile(times: &[Duration], percent: usize) -> Duration {
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn shown(times: &[Duration]) -> String {
    let millis = |percent| quantile(times, percent).as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms", millis(50), millis(99))
}
