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

/// Runs one TCP test of so many seconds, after one that does not count, and returns what arrived in the middle one of them
/// when sorted, in Mbit/s.
///
/// # Errors
/// When iperf3 is not installed or fails.
pub(crate) fn measure(world: &World, direction: Direction, seconds: u64) -> Result<f64> {
    let mut server = packages::command("iperf3")?;
    server.args(["--server", "--one-off", "--json"]).stdout(std::process::Stdio::null());
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
        client.args([
            "--client",
            &FAR_HOST.to_string(),
            "--json",
            "--get-server-output",
            "--omit",
            "1",
            "--time",
        ]);
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
                // What the receiver saw, second by second. The sums at the end count what still arrives when the
                // time is over, and what came before the first second was omitted.
                let receiver = match direction {
                    Direction::Down => "/intervals",
                    Direction::Up => "/server_output_json/intervals",
                };
                let intervals = report.pointer(receiver).and_then(Value::as_array);
                return median(intervals.context("no intervals in iperf3's report")?);
            }
        }
    }
}

/// The median of the whole seconds that count, in Mbit/s.
fn median(intervals: &[Value]) -> Result<f64> {
    let number =
        |interval: &Value, name: &str| interval.pointer(&format!("/sum/{name}")).and_then(Value::as_f64);
    let counts = |interval: &&Value| {
        interval.pointer("/sum/omitted").and_then(Value::as_bool) != Some(true)
            && number(interval, "seconds").is_some_and(|seconds| seconds > 0.5)
    };
    let mut rates: Vec<f64> =
        intervals.iter().filter(counts).filter_map(|interval| number(interval, "bits_per_second")).collect();
    rates.sort_by(f64::total_cmp);
    let middle = rates.get(rates.len() / 2).context("no whole second in iperf3's report")?;
    Ok(middle / 1e6)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whole_seconds_that_were_not_omitted_count() {
        let interval = |seconds: f64, rate: f64, omitted: bool| json!({"sum": {"seconds": seconds, "bits_per_second": rate, "omitted": omitted}});
        let intervals = [
            interval(1.0, 30e6, true),
            interval(1.0, 9.5e6, false),
            interval(1.0, 9.6e6, false),
            interval(1.0, 9.7e6, false),
            interval(0.1, 20e6, false),
        ];
        assert!((median(&intervals).unwrap() - 9.6).abs() < 1e-9);
        assert!(median(&[]).is_err());
    }
}
