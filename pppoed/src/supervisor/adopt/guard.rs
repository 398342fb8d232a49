//! The run directory while the server runs: whatever is removed from it is made again, as the next `pppoed` needs it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ppp_ipc::adoption::SOCKET_NAME;
use ppp_ipc::control::ServiceState;
use tracing::warn;

use super::ghosts::{GhostWorker, workers_of};
use super::key;
use super::run_dir::Claim;
use super::store;
use crate::message::RUN_DIRECTORY_REPAIRED;
use crate::problems::Part;
use crate::supervisor::{Supervisor, Work, prepare_directories};

/// Time between two looks.
pub(in super::super) const INTERVAL: Duration = Duration::from_secs(1);

/// Looks between two at the processes, of which there may be many.
const PROCESS_LOOKS: u32 = 30;

/// What a look needs to know.
struct Look {
    /// Look at the processes, too.
    processes: bool,
    run_dir: PathBuf,
    root: PathBuf,
    /// The sockets of consoles.
    consoles: Vec<PathBuf>,
    /// Whether there has been a session of which something is kept.
    has_records: bool,
}

/// What was found.
#[derive(Debug)]
pub(in super::super) struct Findings {
    /// What is missing, if anything.
    missing: Vec<&'static str>,
    /// Which one it is now.
    inode: Option<(u64, u64)>,
    /// None: that was not looked at.
    workers: Option<Vec<GhostWorker>>,
}

impl Look {
    /// Where it may block.
    fn carry_out(self) -> Findings {
        let Self { processes, run_dir, root, consoles, has_records } = self;
        let mut missing = Vec::new();
        let mut look = |name, path: &Path| {
            if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                missing.push(name);
            }
        };
        look("directory", &root);
        look("worker-socket", &root.join(SOCKET_NAME));
        look("console", consoles.first().map_or(&run_dir, PathBuf::as_path));
        if has_records {
            look("key", &run_dir.join(key::FILE));
            look("records", &run_dir.join(store::DIRECTORY));
        }
        let inode = inode(&run_dir);
        Findings { missing, inode, workers: processes.then(|| workers_of(&root)) }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok()
}

impl Supervisor {
    /// Has the run directory and the processes looked at, beside the event loop; one look at a time.
    pub(in super::super) fn look_around(&mut self) {
        if std::mem::replace(&mut self.adoption.is_looking, true) {
            return;
        }
        self.adoption.looks = self.adoption.looks.wrapping_add(1);
        let look = Look {
            processes: !self.adoption.ghosts.is_empty() || self.adoption.looks.is_multiple_of(PROCESS_LOOKS),
            run_dir: self.adoption.run_dir.clone(),
            root: self.adoption.root.clone(),
            consoles: self.consoles.as_ref().map(|consoles| consoles.paths()).unwrap_or_default(),
            has_records: self.adoption.store.is_some(),
        };
        let work = self.work.clone();
        tokio::task::spawn_local(async move {
            // Fails only when the runtime ends.
            if let Ok(findings) = tokio::task::spawn_blocking(move || look.carry_out()).await {
                let _ = work.send(Work::Looked(findings)).await;
            }
        });
    }

    pub(in super::super) fn handle_findings(&mut self, findings: Findings, now: Instant) {
        self.adoption.is_looking = false;
        let Findings { missing, inode, workers } = findings;
        if let Some(workers) = workers {
            self.end_ghosts(&workers, now);
        }
        let is_other = inode.is_some() && self.adoption.inode.replace(inode.unwrap_or_default()) != inode;
        if missing.is_empty() && !is_other && self.adoption.is_open.get() && self.has_console() {
            return;
        }
        match self.repair(&missing, is_other) {
            Ok(()) => {
                self.mended(Part::RunDirectory);
                self.mended(Part::Console);
                warn!(
                    name: RUN_DIRECTORY_REPAIRED.name,
                    path = %self.adoption.run_dir.display(),
                    missing = missing.join(" "),
                    "{}", RUN_DIRECTORY_REPAIRED.words
                );
                self.repaired.count("run-directory");
            }
            Err(why) => {
                if !std::mem::replace(&mut self.adoption.is_repair_failing, true) {
                    self.problems.add(Part::RunDirectory, &why);
                    self.tell_status();
                }
                return;
            }
        }
        self.adoption.is_repair_failing = false;
    }

    /// On the event loop, unlike the look: nothing may be made any more once the server has cleaned up and ends. It is a few
    /// names in memory, and only when somebody has removed them.
    fn repair(&mut self, missing: &[&str], is_other: bool) -> Result<(), String> {
        let run_dir = self.adoption.run_dir.clone();
        if !missing.is_empty() {
            prepare_directories(&run_dir).map_err(|error| error.to_string())?;
            let made = store::make_directory(&run_dir).and_then(|()| self.adoption.key.store());
            made.map_err(|error| format!("{}: {error}", run_dir.display()))?;
        }
        let now_there = inode(&run_dir);
        if is_other || self.adoption.inode != now_there {
            self.adoption.inode = now_there;
            // Ours until the process ends, as the first one is.
            std::mem::forget(Claim::new(&self.adoption.run_dir).map_err(|error| error.to_string())?);
        }
        if !self.adoption.is_open.get()
            || missing.contains(&"worker-socket")
            || missing.contains(&"directory")
        {
            self.adoption.open_door().map_err(|error| format!("cannot open the workers' socket: {error}"))?;
        }
        if missing.contains(&"directory") {
            // The old one forks workers into the directory that is gone, from which they could not come back.
            let factory = self.factory.clone();
            tokio::task::spawn_local(async move {
                factory.renew("the workers' root directory was made again").await;
            });
        }
        if let Some(consoles) = &mut self.consoles
            && (missing.contains(&"console") || !consoles.is_open())
        {
            consoles.open(&self.reloads.current.config).map_err(|error| error.to_string())?;
        }
        if missing.iter().any(|name| ["key", "records", "directory"].contains(name)) {
            for token in self.table.tokens() {
                self.keep_record(token);
            }
            if self.service == ServiceState::Draining {
                self.adoption.remember_drain(true);
            }
            self.keep_configuration_again();
        }
        Ok(())
    }

    fn has_console(&self) -> bool {
        self.consoles.as_ref().is_none_or(|consoles| consoles.is_open())
    }
}
