//! What a start, or a reload, leaves to the next start: the last good configuration, and what does not work.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use pppoed_config::config::Config;
use pppoed_config::files::Reads;
use tokio::task::JoinHandle;
use tracing::{debug, info};

use super::Supervisor;
use crate::control::Consoles;
use crate::message::MENDED;
use crate::problems::{Part, Problems};
use crate::turns;
use crate::{last_good, preflight, systemd};

/// The configuration of the start, to be kept for the next one.
#[derive(Clone, Debug, Default)]
pub struct KeptConfiguration {
    /// The command line, program first.
    pub words: Vec<OsString>,
    /// Where it was given.
    pub directory: PathBuf,
    /// The files that were read; none, if the configuration is one that was kept.
    pub reads: Option<Reads>,
}

/// Files that are written for the next start: one after the other, so that what was kept last is what stays, and none after the
/// end, when everything is removed.
#[derive(Debug, Default)]
pub(super) struct Keeping(Option<JoinHandle<()>>);

/// A problem of the start is resolved, and may by now.
#[derive(Debug)]
pub(super) struct Doubtful {
    /// The machine, for this configuration.
    machine: Option<Box<Config>>,
    log_file: Option<PathBuf>,
}

impl Doubtful {
    /// What of it works. May block.
    pub(super) fn working(self) -> Vec<Part> {
        let mut working = Vec::new();
        if self.machine.is_some_and(|config| preflight::machine(&config).errors.is_empty()) {
            working.push(Part::Machine);
        }
        if self.log_file.is_some_and(|path| OpenOptions::new().create(true).append(true).open(path).is_ok()) {
            working.push(Part::LogFile);
        }
        working
    }
}

impl Keeping {
    /// Has this done after all the others, where it may block.
    pub(super) fn begin(&mut self, write: impl FnOnce() + Send + 'static) {
        let before = self.0.take();
        self.0 = Some(turns::spawn("last good configuration", async move {
            if let Some(before) = before {
                // Whether it worked is no matter to this one.
                let _ = before.await;
            }
            let _ = tokio::task::spawn_blocking(write).await;
        }));
    }

    /// Waits until all is done that was begun.
    pub(super) async fn finish(&mut self) {
        if let Some(last) = self.0.take() {
            let _ = last.await;
        }
    }
}

impl Supervisor {
    /// What does not work, as far as the start has found out.
    #[must_use]
    pub fn with_problems(mut self, problems: Problems) -> Self {
        self.problems = problems;
        self
    }

    /// Keeps the configuration that the server was started with, if that is not one that was kept.
    #[must_use]
    pub fn with_kept(mut self, kept: KeptConfiguration) -> Self {
        self.kept = kept;
        self.keep_configuration_again();
        self
    }

    /// Opens these sockets again if they are lost.
    #[must_use]
    pub fn with_consoles(mut self, consoles: Consoles) -> Self {
        self.consoles = Some(consoles);
        self
    }

    /// The configuration that was read from these files is good.
    pub(super) fn keep_configuration(&mut self, reads: Reads) {
        self.kept.reads = Some(reads);
        self.keep_configuration_again();
    }

    /// Keeps the configuration that is in force, if its files are still as they were.
    pub(super) fn keep_configuration_again(&mut self) {
        let KeptConfiguration { words, directory, reads } = self.kept.clone();
        let Some(reads) = reads else { return };
        let run_dir: PathBuf = self.adoption.run_dir().to_owned();
        self.keeping.begin(move || keep(&run_dir, &words, &directory, &reads));
    }

    /// What is to be looked at, to see whether it works by now.
    pub(super) fn doubtful(&self) -> Doubtful {
        let config = &self.reloads.current.config;
        let log_file = config.logfile.as_ref().filter(|_| self.problems.has(Part::LogFile));
        Doubtful {
            machine: self.problems.has(Part::Machine).then(|| Box::new(config.clone())),
            log_file: log_file.map(|file| file.value.clone()),
        }
    }

    /// A problem of the start is resolved may work by now: `looked_at` does, and there is what nobody has to look for.
    pub(super) fn works_again(&mut self, looked_at: Vec<Part>) {
        if self.problems.is_empty() {
            return;
        }
        if self.factory.is_running() {
            self.mended(Part::Worker);
        }
        if self.accesses.iter().all(|access| access.line().is_some()) {
            self.mended(Part::Interface);
        }
        for part in looked_at {
            if part == Part::LogFile
                && let Some(log) = &self.log
            {
                log.reopen(&self.reloads.current.config);
            }
            self.mended(part);
        }
    }

    /// A part of the server works, and perhaps did not before.
    pub(super) fn mended(&mut self, part: Part) {
        if self.problems.mended(part) {
            info!(name: MENDED.name, part = %part, "{}", MENDED.words);
            self.tell_status();
        }
    }

    /// Tells the service manager that the server serves, and how it is.
    pub fn announce(&self) {
        systemd::ready(self.slots.count(), &self.problems.lines());
    }

    /// Tells the service manager how the server is.
    pub(super) fn tell_status(&self) {
        systemd::status(self.slots.count(), &self.problems.lines());
    }
}

fn keep(run_dir: &Path, words: &[OsString], directory: &Path, reads: &Reads) {
    if let Err(error) = last_good::keep(run_dir, words, directory, reads) {
        // It matters only to a start with a mistake, and may be a file that is being changed.
        debug!(%error, "the configuration is not kept");
    }
}
