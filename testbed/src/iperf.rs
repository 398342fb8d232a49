//! iperf3 between the client's namespace and the host beyond the uplink.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::meter::Direction;
use crate::packages;
use crate::process::run;
use crate::world::{FAR_HOST, World};

/// How long a server may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// Runs one TCP test of so many seconds, after one that does not count, and returns what arrived, in Mbit/s.
///
/// # Errors
/// When iperf3 is not installed or fails.
pub(crate) fn measure(world: &World, direction: Direction, seconds: u64) -> Result<f64> {
    let mut server = packages::command("iperf3")?;
    server.args(["--server", "--one-off"]).stdout(std::process::Stdio::null());
    let mut server = world.net.spawn(&mut server)?;
    let outcome = client(world, direction, seconds);
    // One test, and it is gone; unless the client never came.
    if outcome.is_err() {
        let _ = server.kill();
    }
    server.wait().context("wait for iperf3")?;
    outcome
}

fn client(world: &World, direction: Direction, seconds: u64) -> Result<f64> {
    let deadline = Instant::now() + STARTS_WITHIN;
    loop {
        let mut client = packages::command("iperf3")?;
        client.args(["--client", &FAR_HOST.to_string(), "--json", "--omit", "1", "--time"]);
        client.arg(seconds.to_string());
        if direction == Direction::Down {
            client.arg("--reverse");
        }
        let finished = run(&world.cli, &mut client, Duration::from_secs(seconds + 20))?;
        let report: Value = serde_json::from_str(&finished.stdout).context("iperf3's report")?;
        match report.get("error").and_then(Value::as_str) {
            Some(error) => {
                ensure!(error.contains("refused") && Instant::now() < deadline, "iperf3: {error}");
                thread::sleep(Duration::from_millis(50));
            }
            None => {
                let rate = report.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
                return Ok(rate.context("no rate in iperf3's report")? / 1e6);
            }
        }
    }
}
