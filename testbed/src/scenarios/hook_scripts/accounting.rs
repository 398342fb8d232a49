//! `accounting.lua`: each session has its start and its end in the file, with the right figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{FILE, Load, OWN_CLIENT, Scenario, open, setup, shipped};
use crate::echo;
use crate::lab::Lab;
use crate::scenarios::check;
use crate::server::Server;
use crate::wait;
use crate::world::{Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-accounting",
    about: "scripts/accounting.lua: start, interim and stop as JSON, over logrotate and killed workers",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

const ACCOUNTS: &str = "/var/log/pppoed-accounting.json";
const ROTATED: &str = "/var/log/pppoed-accounting.json.1";
/// Of a ping.
const BYTES: u64 = 84;

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let script = shipped("accounting.lua", &[("local INTERIM = 300\n", "local INTERIM = 1\n")])?;
    let server = Server::start(&world, lab.path(), &setup(&[(FILE, &script)]))?;
    let alice = open(&world, 0, "alice")?;
    echo::ping(&world.cli, super::SERVER, 1)?;
    let bob = open(&world, 1, "bob")?;
    wait::until_true("an interim line", check::GONE, || {
        Ok(server.read_file(ACCOUNTS)?.contains("\"event\":\"interim\""))
    })?;

    // As logrotate does it.
    let logs = lab.path().join("pppoed/var-log");
    let at = |path: &str| logs.join(Path::new(path).file_name().unwrap_or_default());
    std::fs::rename(at(ACCOUNTS), at(ROTATED))?;
    alice.hang_up()?;
    // The counters outlive the worker.
    let sessions = server.wait_for_sessions(&world, 1, check::GONE)?;
    let id = check::number(sessions.first().context("bob's session")?, "id")?;
    let worker = check::number(&server.session(&world, id)?, "worker_pid")?;
    kill(Pid::from_raw(i32::try_from(worker)?), Signal::SIGKILL)?;
    server.wait_for_sessions(&world, 0, check::GONE)?;
    drop(bob);
    wait::until_true("both ends", check::GONE, || {
        Ok(server.read_file(ACCOUNTS).unwrap_or_default().matches("\"event\":\"stop\"").count() == 2)
    })?;
    // Nothing comes after the end.
    thread::sleep(Duration::from_millis(1500));
    let text = server.read_file(ROTATED)? + &server.read_file(ACCOUNTS)?;
    server.stop(&world)?;

    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| format!("a torn line: {line}"))?;
        sessions.entry(check::text(&line, "sid")?.to_owned()).or_default().push(line);
    }
    ensure!(sessions.len() == 2, "{sessions:?}");
    for lines in sessions.values() {
        let events = lines.iter().map(|line| check::text(line, "event")).collect::<Result<Vec<_>>>()?;
        let middle = events.get(1..events.len() - 1).context("more than one line")?;
        ensure!(events.first() == Some(&"start") && events.last() == Some(&"stop"), "{events:?}");
        ensure!(middle.iter().all(|event| *event == "interim"), "{events:?}");
        let last = lines.last().context("a line")?;
        let expected = match check::text(last, "user")? {
            // The Terminate-Request and the PADT come at once.
            "alice" => (["peer-terminated", "padt"], BYTES),
            _ => (["worker-crash"; 2], 0),
        };
        ensure!(expected.0.contains(&check::text(last, "reason")?), "{last}");
        for count in ["rx_bytes", "tx_bytes"] {
            ensure!(check::number(last, count)? == expected.1, "{last}");
        }
        ensure!(check::text(last, "address")?.starts_with("10.0.0."), "{last}");
    }
    ensure!(text.matches("\"event\":\"interim\"").count() >= 2, "{text}");
    lab.check_sent_frames(capture).map(drop)
}
