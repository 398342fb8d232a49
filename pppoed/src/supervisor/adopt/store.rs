//! The records in the run directory: what the next `pppoed` knows of sessions whose workers it does not meet any more.
//!
//! No running session needs them, for its worker has its record as well. So whatever happens to these files (a full
//! disk, a torn write) costs no session; what it may cost is the tidy end of one whose worker is gone as well. A thread
//! writes them, so that a slow disk holds up nobody, and the latest of a session replaces what it has not written yet.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ppp_ipc::adoption::Ticket;
use ppp_ipc::control::Traffic;
use pppoed_config::files;
use pppoed_state::kept::{
    MAX_COUNTERS, MAX_RECORD_FILE, counters_content, parse_counters, parse_record, record_content,
};
use tracing::{info, warn};

use super::key::{Key, write_whole};

/// Directory of the records, below the run directory.
pub(super) const DIRECTORY: &str = "sessions";
/// File of the counters, below the run directory.
const COUNTERS: &str = "counters";
/// Time between attempts to write a key that could not be written.
const KEY_RETRY: Duration = Duration::from_secs(10);

/// A session that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) session_id: u16,
    pub(super) ticket: Ticket,
    /// Its traffic when it was last looked at.
    pub(super) traffic: Traffic,
}

/// What is still to be written, and whether it was.
#[derive(Default)]
struct Jobs {
    /// The latest of each session; none: the file is to go.
    records: BTreeMap<u16, Option<Ticket>>,
    counters: Option<Vec<u8>>,
    /// Nothing more will come.
    is_closed: bool,
}

type Shared = Arc<(Mutex<Jobs>, Condvar)>;

/// Writes records.
pub(super) struct Store {
    shared: Shared,
    recipe: Recipe,
    /// Writing fails at present.
    is_failing: Arc<AtomicBool>,
    /// The thread; none as long as the system has none for us.
    writer: RefCell<Option<JoinHandle<()>>>,
}

/// What the thread is started with.
struct Recipe {
    run_dir: PathBuf,
    key: Arc<Key>,
    key_is_stored: bool,
}

impl Store {
    /// Starts the thread that writes below `run_dir`, beginning with the key if that is still to be written.
    ///
    /// Where a limit of processes leaves no thread, what is to be written waits until there is one.
    pub(super) fn start(run_dir: &Path, key: Arc<Key>, key_is_stored: bool) -> Self {
        let recipe = Recipe { run_dir: run_dir.to_owned(), key, key_is_stored };
        let (shared, is_failing) = (Shared::default(), Arc::default());
        let store = Self { shared, recipe, is_failing, writer: RefCell::default() };
        if let Err(error) = store.ensure_writer() {
            warn!(
                path = %run_dir.display(), %error,
                "no thread for the records of sessions (TasksMax=, ulimit -u): those that end while pppoed is not there are \
                 not cleaned up"
            );
        }
        store
    }

    fn ensure_writer(&self) -> io::Result<()> {
        let mut thread = self.writer.borrow_mut();
        if thread.is_none() {
            let Recipe { run_dir, key, key_is_stored } = &self.recipe;
            let mut writer = Writer {
                run_dir: run_dir.clone(),
                key: key.clone(),
                key_is_stored: *key_is_stored,
                tried_key: Instant::now(),
                is_failing: self.is_failing.clone(),
            };
            let jobs = self.shared.clone();
            let builder = std::thread::Builder::new().name("records".into());
            *thread = Some(builder.spawn(move || writer.run(&jobs))?);
        }
        Ok(())
    }

    /// Whether what was to be written last could not be.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes a session's record, soon.
    pub(super) fn keep(&self, session_id: u16, ticket: Ticket) {
        self.change(|jobs| drop(jobs.records.insert(session_id, Some(ticket))));
    }

    /// Removes a session's record, soon.
    pub(super) fn forget(&self, session_id: u16) {
        self.change(|jobs| drop(jobs.records.insert(session_id, None)));
    }

    /// Writes the counters of all sessions, soon.
    pub(super) fn keep_counters(&self, counters: impl Iterator<Item = (u16, Traffic)>) {
        let content = counters_content(counters);
        self.change(|jobs| jobs.counters = Some(content));
    }

    fn change(&self, act: impl FnOnce(&mut Jobs)) {
        let (jobs, changed) = &*self.shared;
        act(&mut jobs.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_one();
        // That there is none was logged at the start.
        let _ = self.ensure_writer();
    }
}

impl Drop for Store {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.change(|jobs| jobs.is_closed = true);
        if let Some(writer) = self.writer.get_mut().take() {
            let _ = writer.join();
        }
    }
}

struct Writer {
    run_dir: PathBuf,
    key: Arc<Key>,
    key_is_stored: bool,
    tried_key: Instant,
    /// Writing fails, and that was told.
    is_failing: Arc<AtomicBool>,
}

impl Writer {
    fn run(&mut self, shared: &Shared) {
        let (jobs, changed) = &**shared;
        loop {
            let (records, counters) = {
                let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                while jobs.records.is_empty() && jobs.counters.is_none() {
                    if jobs.is_closed {
                        return;
                    }
                    jobs = changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                }
                (std::mem::take(&mut jobs.records), jobs.counters.take())
            };
            let mut outcome = Ok(());
            for (session_id, ticket) in records {
                outcome = outcome.and(self.write_record(session_id, ticket.as_ref()));
            }
            if let Some(counters) = counters {
                outcome = outcome.and(write_whole(&self.run_dir.join(COUNTERS), &counters));
            }
            if !self.key_is_stored && self.tried_key.elapsed() >= KEY_RETRY {
                self.tried_key = Instant::now();
                self.key_is_stored = self.key.store().is_ok();
            }
            self.tell(outcome);
        }
    }

    fn write_record(&self, session_id: u16, ticket: Option<&Ticket>) -> io::Result<()> {
        let path = self.run_dir.join(DIRECTORY).join(session_id.to_string());
        let Some(ticket) = ticket else {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        write_whole(&path, &record_content(ticket))
    }

    /// Once when it begins to fail, and once when it works again.
    fn tell(&mut self, outcome: io::Result<()>) {
        let run_dir = self.run_dir.display();
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !was_failing => warn!(
                path = %run_dir, %error,
                "records of sessions cannot be written: sessions go on, also when pppoed is started again; only what \
                 ends meanwhile may not be cleaned up"
            ),
            Ok(()) if was_failing => info!(path = %run_dir, "session records are written again"),
            _ => {}
        }
    }
}

/// Makes the directory of the records.
pub(super) fn make_directory(run_dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(run_dir.join(DIRECTORY))
}

/// How many sessions have a record.
pub(super) fn session_count(run_dir: &Path) -> usize {
    let entries = fs::read_dir(run_dir.join(DIRECTORY)).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u16>().is_ok())).count()
}

/// All records that are there, and what is wrong with others. Tidies up what was being written when the last `pppoed` went, if
/// the run directory is ours.
pub(super) fn load(run_dir: &Path, is_ours: bool) -> (Vec<Kept>, Vec<String>) {
    let mut problems = Vec::new();
    let path = run_dir.join(COUNTERS);
    let counters = match files::read_bounded(&path, MAX_COUNTERS).map(|content| parse_counters(&content)) {
        Ok(Some(counters)) => counters,
        // Without it, those that are gone have the counters that are not known.
        Ok(None) => {
            problems.push(format!("{}: it is damaged", path.display()));
            BTreeMap::new()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            problems.push(format!("{}: {error}", path.display()));
            BTreeMap::new()
        }
    };
    let mut found = BTreeMap::new();
    let entries = fs::read_dir(run_dir.join(DIRECTORY)).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let Some(session_id) = entry.file_name().to_str().and_then(session_id) else {
            // What was being written when the machine or pppoed went.
            if is_ours {
                let _ = fs::remove_file(&path);
            }
            continue;
        };
        match files::read_bounded(&path, MAX_RECORD_FILE).map(|content| parse_record(&content)) {
            Ok(Some(ticket)) => {
                let traffic = counters.get(&session_id).copied().unwrap_or_default();
                found.insert(session_id, Kept { session_id, ticket, traffic });
            }
            Ok(None) => problems.push(format!("{}: it is damaged", path.display())),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    (found.into_values().collect(), problems)
}

/// The session ids of all records that are there, good or not.
pub(super) fn ids(run_dir: &Path) -> BTreeSet<u16> {
    let entries = fs::read_dir(run_dir.join(DIRECTORY)).into_iter().flatten().flatten();
    entries.filter_map(|entry| session_id(entry.file_name().to_str()?)).collect()
}

/// The session whose record has this name.
fn session_id(name: &str) -> Option<u16> {
    name.parse::<u16>().ok().filter(|id| id.to_string() == name)
}

/// Leaves nothing behind: there is no session.
pub(super) fn remove(run_dir: &Path) {
    for name in [COUNTERS, "counters.new"] {
        let _ = fs::remove_file(run_dir.join(name));
    }
    let _ = fs::remove_dir_all(run_dir.join(DIRECTORY));
}

#[cfg(test)]
mod tests {
    use ppp_ipc::adoption::TAG_LEN;

    use super::*;

    fn ticket(byte: u8) -> Ticket {
        Ticket { record: vec![byte; 100], tag: [byte; TAG_LEN] }
    }

    fn traffic(number: u64) -> Traffic {
        Traffic { rx_packets: number, rx_bytes: number + 1, tx_packets: number + 2, tx_bytes: number + 3 }
    }

    fn store(run_dir: &Path) -> Store {
        let (key, _) = Key::open(run_dir, [1; 32]);
        make_directory(run_dir).unwrap();
        Store::start(run_dir, Arc::new(key), true)
    }

    #[test]
    fn what_is_kept_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path();
        let store = store(run_dir);
        store.keep(1, ticket(1));
        store.keep(65534, ticket(2));
        store.keep(3, ticket(3));
        store.keep(1, ticket(4));
        store.forget(3);
        store.forget(4);
        store.keep_counters([(1, traffic(10)), (65534, traffic(u64::MAX - 3))].into_iter());
        drop(store);
        let kept =
            |session_id, byte, number| Kept { session_id, ticket: ticket(byte), traffic: traffic(number) };
        assert_eq!(load(run_dir, true), (vec![kept(1, 4, 10), kept(65534, 2, u64::MAX - 3)], vec![]));
        remove(run_dir);
        assert_eq!(fs::read_dir(run_dir).unwrap().count(), 0);
        assert_eq!(load(run_dir, true), (vec![], vec![]));
    }

    #[test]
    fn torn_files_cost_only_themselves() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path();
        let store = store(run_dir);
        store.keep(1, ticket(1));
        store.keep(2, ticket(2));
        store.keep_counters([(1, traffic(10))].into_iter());
        drop(store);
        let path = |name: &str| run_dir.join(name);
        fs::write(path("sessions/3.new"), "half").unwrap();
        let good = fs::read(path("sessions/1")).unwrap();
        for len in [0, 1, 63, 64, good.len() - 1] {
            fs::write(path("sessions/1"), &good[..len]).unwrap();
            let (kept, problems) = load(run_dir, true);
            assert_eq!(kept.len(), 1, "{len}");
            assert!(problems[0].ends_with("/sessions/1: it is damaged"), "{problems:?}");
        }
        assert!(!path("sessions/3.new").exists());
        fs::write(path("counters"), "torn").unwrap();
        let (kept, problems) = load(run_dir, true);
        assert_eq!((kept[0].traffic, problems.len()), (Traffic::default(), 2));
    }

    /// Such a file took ten seconds, and as much memory.
    #[test]
    fn files_of_any_size_are_read_in_no_time() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path();
        make_directory(run_dir).unwrap();
        let files = ["counters", "sessions/1", "sessions/01", "adoption.key"];
        for name in files {
            fs::File::create(run_dir.join(name)).unwrap().set_len(1 << 40).unwrap();
        }
        let (kept, problems) = load(run_dir, true);
        assert_eq!((kept, problems.len()), (vec![], 2), "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("larger than")), "{problems:?}");
        assert!(!run_dir.join("sessions/01").exists(), "another name of a session that has one");
        let (_, source) = Key::open(run_dir, [1; 32]);
        assert!(format!("{source:?}").contains("larger than 4096 bytes"), "{source:?}");
    }

    #[test]
    fn what_cannot_be_written_holds_up_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path();
        let store = store(run_dir);
        fs::remove_dir_all(run_dir.join(DIRECTORY)).unwrap();
        store.keep(1, ticket(1));
        drop(store);
        assert_eq!(load(run_dir, true).0, []);
    }
}
