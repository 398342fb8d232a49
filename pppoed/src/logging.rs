//! Where the log goes: the journal when it is there, standard error otherwise, and the `logfile` of the options.
//!
//! Fields have the same names everywhere (`session`, `ifname`, `username`, `peer_mac`, `peer_ip`, `reason`); in
//! the journal they are upper case, so `journalctl USERNAME=alice` tells one subscriber's whole story.

use std::env;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::journal::JournalLayer;
use crate::log_levels::Levels;
use crate::log_ring::LogRing;

/// File that a background process writes to when there is neither a journal nor a `logfile`.
pub const FALLBACK_FILE: &str = "/var/log/pppoed.log";

/// What the log is to be.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Least important level that is written.
    pub level: LevelFilter,
    /// `logfile` of the options: written beside the journal or standard error.
    pub file: Option<PathBuf>,
    /// Whether standard error is about to go away.
    pub background: bool,
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// The hold on the log of a running server.
#[derive(Clone)]
pub struct LogHandle {
    /// The latest lines.
    pub ring: LogRing,
    levels: reload::Handle<Levels, Layered<Layers, Registry>>,
}

impl LogHandle {
    /// What is logged.
    pub fn levels(&self) -> Option<Levels> {
        self.levels.clone_current()
    }

    /// Changes what is logged, from now on.
    pub fn change(&self, change: impl FnOnce(&mut Levels)) {
        // Fails only when the log is gone.
        let _ = self.levels.modify(change);
    }
}

/// Starts logging. Must be called once.
///
/// # Errors
/// When the log file cannot be opened; the message names it.
pub fn start(settings: &LogSettings) -> anyhow::Result<LogHandle> {
    let mut layers: Layers = Vec::new();
    let under_systemd = env::var_os("JOURNAL_STREAM").is_some();
    let journal = (under_systemd || settings.background).then(JournalLayer::connect).and_then(Result::ok);
    let mut file = settings.file.clone();
    match journal {
        Some(journal) => {
            layers.push(journal.boxed());
        }
        None if settings.background => {
            file.get_or_insert_with(|| FALLBACK_FILE.into());
        }
        None => {
            let stderr = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
            layers.push(stderr.boxed());
        }
    }
    if let Some(path) = file {
        let writer = Mutex::new(open(&path)?);
        layers.push(fmt::layer().with_writer(writer).with_ansi(false).with_target(false).boxed());
    }
    let ring = LogRing::new();
    layers.push(ring.layer().boxed());
    let (filter, levels) = reload::Layer::new(Levels::new(settings.level));
    tracing_subscriber::registry().with(layers).with(filter).init();
    Ok(LogHandle { ring, levels })
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .with_context(|| format!("{}: cannot open the log file", path.display()))
}
