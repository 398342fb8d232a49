//! The run directory while the server runs: whatever is removed from it is made again, as the next `pppoed` needs it.

use std::collections::BTreeSet;
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
use crate::supervisor::kept::Doubtful;
use crate::supervisor::session::Session;
use crate::supervisor::{Supervisor, Work, prepare_directories};
use crate::turns;

/// Time between two looks.
pub(in super::super) const INTERVAL: Duration = Duration::from_secs(1);

/// What a look needs to know.
struct Look {
    /// Look at the processes and the records, too, of which there may be many.
    is_thorough: bool,
    run_dir: PathBuf,
    root: PathBuf,
    /// The sockets of consoles.
    consoles: Vec<PathBuf>,
    /// Whether there has been a session of which something is kept.
    has_records: bool,
    doubtful: Doubtful,
}

/// What was found.
#[derive(Debug)]
pub(in super::super) struct Findings {
    /// What is missing, if anything.
    missing: Vec<&'static str>,
    /// Which one it is now.
    inode: Option<(u64, u64)>,
    /// Workers, and the session ids of records; none: they were not looked at.
    thorough: Option<(Vec<GhostWorker>, BTreeSet<u16>)>,
    /// Of what was [`Doubtful`], what works.
    working: Vec<Part>,
}

impl Look {
    /// Where it may block.
    fn carry_out(self) -> Findings {
        let Self { is_thorough, run_dir, root, consoles, has_records, doubtful } = self;
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
        let thorough = is_thorough.then(|| (workers_of(&root), store::ids(&run_dir)));
        Findings { missing, inode, thorough, working: doubtful.working() }
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
        let interval = self.reloads.current.config.limits.reconcile;
        let is_due = interval.is_some_and(|interval| self.adoption.thorough_look.elapsed() >= interval);
        let is_thorough = is_due || !self.adoption.ghosts.is_empty();
        if is_due {
            self.adoption.thorough_look = Instant::now();
        }
        let look = Look {
            is_thorough,
            run_dir: self.adoption.run_dir.clone(),
            root: self.adoption.root.clone(),
            consoles: self.consoles.as_ref().map(|consoles| consoles.paths()).unwrap_or_default(),
            has_records: self.adoption.store.is_some(),
            doubtful: self.doubtful(),
        };
        let work = self.work.clone();
        turns::spawn("run directory", async move {
            // Fails only when the runtime ends.
            if let Ok(findings) = tokio::task::spawn_blocking(move || look.carry_out()).await {
                let _ = work.send(Work::Looked(findings)).await;
            }
        });
    }

    pub(in super::super) fn handle_findings(&mut self, findings: Findings, now: Instant) {
        self.adoption.is_looking = false;
        let Findings { missing, inode, thorough, working } = findings;
        self.works_again(working);
        if let Some((workers, records)) = thorough {
            self.end_ghosts(&workers, now);
            self.compare_records(&records);
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
            turns::spawn("run directory", async move {
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
            self.keep_hook_scripts();
        }
        Ok(())
    }

    /// Records are written and removed a moment later than sessions change, so only what differs twice is put right.
    fn compare_records(&mut self, found: &BTreeSet<u16>) {
        // What cannot be written now is written when it can.
        let Some(store) = self.adoption.store.as_ref().filter(|store| !store.is_failing()) else { return };
        let is_kept = |session: &&Session| session.machine.opened().is_some() && !session.machine.is_ending();
        let wanted: BTreeSet<u16> = self.table.iter().filter(is_kept).map(|session| session.id).collect();
        let has_no_session = |id: &&u16| self.table.by_id(**id).is_none();
        let left_over: BTreeSet<u16> = found.iter().filter(has_no_session).copied().collect();
        let missing: BTreeSet<u16> = wanted.difference(found).copied().collect();
        let removed: Vec<u16> = left_over.intersection(&self.adoption.left_over_records).copied().collect();
        removed.iter().for_each(|id| store.forget(*id));
        let again: Vec<u16> = missing.intersection(&self.adoption.missing_records).copied().collect();
        (self.adoption.left_over_records, self.adoption.missing_records) = (left_over, missing);
        self.count_removed("record", removed.len());
        if again.is_empty() {
            return;
        }
        warn!(
            name: RUN_DIRECTORY_REPAIRED.name,
            path = %self.adoption.run_dir.display(),
            missing = format!("records of {} sessions", again.len()),
            "{}", RUN_DIRECTORY_REPAIRED.words
        );
        for id in again {
            self.repaired.count("record");
            if let Some(token) = self.table.by_id(id).map(|session| session.token) {
                self.keep_record(token);
            }
        }
    }

    fn has_console(&self) -> bool {
        self.consoles.as_ref().is_none_or(|consoles| consoles.is_open())
    }
}
