//! Workers that live and that nobody knows: their sessions have interfaces and addresses, and relay for peers that think to
//! be connected.
//!
//! They are found by what the kernel says of every process: a worker's root directory is that of our run directory, whatever
//! that is called by now. One that has its record comes back by itself, within a second or two; one that does not is ended,
//! for the next subscriber would get its address.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ppp_linux::pidfd::start_time;
use tracing::warn;

use super::Process;
use crate::message::GHOST_ENDED;
use crate::supervisor::Supervisor;

/// Time that a worker nobody knows has to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// A worker of this run directory that is no child of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct GhostWorker {
    process: Process,
    /// Its root directory is gone, and with it the socket by which it could come back.
    is_cut_off: bool,
}

/// Those that were seen and are not known, and since when.
#[derive(Debug, Default)]
pub(super) struct Ghosts(BTreeMap<Process, Instant>);

impl Ghosts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All living workers whose root directory is `root`, or was before that was removed, but for children of this process. (The
/// template of a `pppoed` that was killed a moment ago is among them.) Reads `/proc`.
pub(in super::super) fn workers_of(root: &Path) -> Vec<GhostWorker> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let resolved = root.canonicalize();
    let root = resolved.as_deref().unwrap_or(root);
    let own = std::process::id();
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own).filter_map(|pid| worker(pid, root, own).ok().flatten()).collect()
}

fn worker(pid: u32, root: &Path, own: u32) -> io::Result<Option<GhostWorker>> {
    let process = Path::new("/proc").join(pid.to_string());
    let found = process.join("root");
    // By its inode, for in another mount namespace (systemd makes one for each start) it has another name; and by its name
    // once it is removed.
    let inode = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    let is_cut_off = fs::read_link(&found)?.as_os_str() == format!("{} (deleted)", root.display()).as_str();
    let is_there = inode(root).is_ok_and(|ours| inode(&found).is_ok_and(|theirs| theirs == ours));
    if !(is_there || is_cut_off) || parent(&process)? == Some(own) {
        return Ok(None);
    }
    Ok(Some(GhostWorker { process: (pid, start_time(pid)?), is_cut_off }))
}

fn parent(process: &Path) -> io::Result<Option<u32>> {
    let status = fs::read_to_string(process.join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(line.and_then(|number| number.trim().parse().ok()))
}

impl Supervisor {
    /// Looks which of these workers nobody knows, and ends those that had their time, or that cannot come back.
    pub(in super::super) fn end_ghosts(&mut self, workers: &[GhostWorker], now: Instant) {
        let can_return = self.adoption.is_open.get() && self.adoption.is_key_kept;
        let mut seen = BTreeMap::new();
        for GhostWorker { process, is_cut_off } in workers {
            let is_back = self.table.iter().any(|session| {
                session.process() == Some(*process) && !self.adoption.expected.contains_key(process)
            });
            if is_back {
                continue;
            }
            let known = self.adoption.expected.contains_key(process);
            let earlier = self.adoption.ghosts.0.get(process).copied();
            let since = earlier.unwrap_or(now);
            let is_due = now.saturating_duration_since(since) >= PATIENCE;
            // One that has a session here is waited for elsewhere, and longer. Not at the first look: it may be exiting.
            let is_hopeless = match known {
                true => *is_cut_off,
                false => is_due || (earlier.is_some() && (*is_cut_off || !can_return)),
            };
            if is_hopeless {
                self.end_ghost(*process);
            }
            if !known {
                seen.insert(*process, since);
            }
        }
        self.adoption.ghosts.0 = seen;
    }

    fn end_ghost(&mut self, process: Process) {
        let (pid, _) = process;
        if let Some((descriptor, _)) = super::take_over::find(process, Some(&self.adoption.root))
            && descriptor.signal(Signal::SIGKILL).is_ok()
        {
            warn!(name: GHOST_ENDED.name, worker_pid = pid, "{}", GHOST_ENDED.words);
            self.repaired.count("worker");
            self.expect_stale_devices();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_process_is_a_worker_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(workers_of(directory.path()), []);
        // Only its own children are left out.
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pids =
            |found: Vec<GhostWorker>| found.into_iter().map(|worker| worker.process.0).collect::<Vec<_>>();
        let found = pids(workers_of(Path::new("/")));
        assert!(found.contains(&std::os::unix::process::parent_id()) && !found.contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(parent(Path::new("/proc/self")).unwrap(), Some(std::os::unix::process::parent_id()));
    }
}
