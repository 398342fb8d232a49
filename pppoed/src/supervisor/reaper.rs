//! Children that are nobody's. As the first process of a container, `pppoed` is the parent of everything whose own parent has ended:
//! of what a hook script left in the background, for instance. The kernel keeps the remains of such a process until its
//! parent has waited for it.
//!
//! The children that `pppoed` knows are waited for the moment they end. One that has still not been waited for after
//! [`PATIENCE`] is nobody's.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::time::Duration;

use crate::turns;
use ppp_linux::pidfd::{PidFd, start_time};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::debug;

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_secs(10);
/// Time in which those that are known are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process: its number, and when it was started.
type Process = (u32, u64);

/// Waits for them as long as `pppoed` runs, if it gets any. Must be called in a `LocalSet`.
pub(super) fn begin() {
    if gets_orphans() {
        turns::spawn("reaper", reap());
    }
}

fn gets_orphans() -> bool {
    std::process::id() == 1 || nix::sys::prctl::get_child_subreaper().unwrap_or(false)
}

async fn reap() {
    let mut rounds = interval(INTERVAL);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let before = ended_children().await;
        if before.is_empty() {
            continue;
        }
        sleep(PATIENCE).await;
        for (pid, _) in ended_children().await.intersection(&before) {
            // It has ended, and nobody else waits for it: its number is its own until we have.
            let exit = PidFd::open(*pid).and_then(|stray| stray.exit());
            debug!(pid, ?exit, "a child of somebody who is gone has ended");
        }
    }
}

async fn ended_children() -> HashSet<Process> {
    // The table of processes may be long.
    tokio::task::spawn_blocking(|| find().unwrap_or_default()).await.unwrap_or_default()
}

/// proc_tid_children(5), with proc_pid_stat(5) of each.
fn find() -> io::Result<HashSet<Process>> {
    let mut found = HashSet::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        let pids = children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok());
        found.extend(pids.filter(|pid| has_ended(*pid)).filter_map(|pid| Some((pid, start_time(pid).ok()?))));
    }
    Ok(found)
}

fn has_ended(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Its name, in parentheses, may contain anything.
    let behind_name = stat.rsplitn(2, |byte| *byte == b')').next().unwrap_or_default();
    behind_name.trim_ascii_start().first() == Some(&b'Z')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[allow(clippy::zombie_processes)] // That is what it is about.
    fn children_that_have_ended_are_found() {
        let runs = Command::new("sleep").arg("60").spawn().unwrap();
        let ended = Command::new("true").spawn().unwrap();
        let pids = || -> Vec<u32> { find().unwrap().into_iter().map(|(pid, _)| pid).collect() };
        while !pids().contains(&ended.id()) {
            std::thread::yield_now();
        }
        assert!(!pids().contains(&runs.id()));
        let (runs, ended) = (PidFd::open(runs.id()).unwrap(), PidFd::open(ended.id()).unwrap());
        assert!(ended.exit().unwrap().is_some());
        runs.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}
