//! What the kernel says about a worker that serves a session: it has nothing left to misuse.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check;
use super::{Load, Scenario};
use crate::client::dial;
use crate::lab::Lab;
use crate::own_client::dial_config;
use crate::server::{Server, Setup};
use crate::world::{Uplink, Wiring};
use crate::{echo, wait, world};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "sandbox",
    about: "the worker of a live session: uid, capabilities, seccomp, namespace, root directory, limits",
    peer: "the test bed's own client (CHAP, ping through its TUN)",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup { flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4", ..Setup::CHAP };

/// Lines of proc_pid_status(5) that must stand there just so: seccomp 2 is a filter.
const STATUS: [(&str, &str); 8] = [
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
    ("Threads", "1"),
    ("CapInh", "0000000000000000"),
    ("CapPrm", "0000000000000000"),
    ("CapEff", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("CapAmb", "0000000000000000"),
];

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let config = dial_config(&world, "alice", "secret")?;
    let session = dial(config, Instant::now() + Duration::from_secs(30))?;
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, world::FAR_HOST, 1).ok()))?;

    let sessions = server.wait_for_sessions(&world, 1, check::GONE)?;
    let id = check::number(sessions.first().context("one session")?, "id")?;
    let detail = server.session(&world, id)?;
    let worker = check::number(&detail, "worker_pid")?;
    let said: Vec<&str> = detail
        .get("sandbox")
        .and_then(|said| said.as_array())
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str())
        .collect();
    ensure!(said.len() == 9 && said.contains(&"own device"), "show session says {said:?}");
    ensure!(
        !said.iter().any(|one| one.starts_with("NOT ") || one.starts_with("unknown")),
        "show session says {said:?}"
    );
    status(worker)?;
    limits(worker)?;
    namespace_and_root(worker, server.pid().as_raw())?;

    session.hang_up()?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn status(worker: u64) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{worker}/status"))?;
    let value = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    for (name, expected) in STATUS {
        ensure!(value(name) == Some(expected), "{name} is {:?}, not {expected}", value(name));
    }
    for name in ["Uid", "Gid"] {
        let ids = value(name).context("ids")?;
        ensure!(ids.split_ascii_whitespace().all(|id| id != "0"), "{name} is {ids}");
    }
    ensure!(value("Groups").is_none_or(str::is_empty), "it has groups: {:?}", value("Groups"));
    Ok(())
}

fn limits(worker: u64) -> Result<()> {
    let limits = fs::read_to_string(format!("/proc/{worker}/limits"))?;
    for name in ["Max core file size", "Max processes"] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).context("limit")?;
        let hard = line.split_ascii_whitespace().nth(1);
        ensure!(hard == Some("0"), "{name} is {line}");
    }
    Ok(())
}

fn namespace_and_root(worker: u64, supervisor: i32) -> Result<()> {
    let inode = |pid: &str| -> Result<u64> { Ok(fs::metadata(format!("/proc/{pid}/ns/net"))?.ino()) };
    ensure!(
        inode(&worker.to_string())? != inode(&supervisor.to_string())?,
        "it is in pppoed's network namespace"
    );
    let links = fs::read_to_string(format!("/proc/{worker}/net/dev"))?;
    // Two lines of heading; a namespace that was just made has nothing but its loopback interface.
    let names: Vec<&str> =
        links.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    ensure!(names.iter().all(|name| *name == "lo"), "it sees the interfaces {names:?}");

    let root: Vec<_> = fs::read_dir(format!("/proc/{worker}/root/"))?.collect::<Result<_, _>>()?;
    let sockets_only = root.iter().all(|entry| {
        use std::os::unix::fs::FileTypeExt;
        entry.file_type().is_ok_and(|kind| kind.is_socket())
    });
    ensure!(sockets_only, "its root directory has more than sockets: {root:?}");
    Ok(())
}
