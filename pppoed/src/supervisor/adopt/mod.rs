//! Sessions outlive `pppoed`: what each leaves to the next one, and how that takes over.
//!
//! A session that has been open has a record ([`pppoed_state::record`]), which its worker keeps, and which is in the run directory as
//! well ([`store`]). When `pppoed` is lost the worker goes on by itself, and brings the record back ([`door`]). A
//! record counts if it was marked with the key of the run directory ([`key`]), or is the one that lies there, and
//! if it comes from the very process that it names.
//!
//! What is in the run directory is taken over at once, so that nobody else gets its address, number or interface; its
//! worker is then waited for. If that is gone the session ends as any other whose worker is gone.

mod describe;
mod door;
mod generation;
mod ghosts;
mod guard;
mod key;
mod restore;
mod returning;
mod run_dir;
mod store;
mod take_over;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ppp_ipc::adoption::Ticket;
use ppp_ipc::worker::ToWorker;
use ppp_wire::causes::chain;
use pppoed_config::config::Config;
use pppoed_state::known::Known;
use pppoed_state::record;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use self::door::Workers;
pub(super) use self::door::{Arrival, Stranger};
pub use self::generation::outdated_sessions;
use self::ghosts::Ghosts;
pub(super) use self::ghosts::workers_of;
pub(super) use self::guard::{Findings, INTERVAL as LOOK_INTERVAL};
use self::key::{Key, Source};
pub(super) use self::returning::Returning;
pub use self::run_dir::{Claim as RunDirClaim, ClaimError};
use self::store::{Kept, Store};
use super::hook_scripts::forget_last_good;
use super::session::Token;
use super::session_log::about;
use super::{SetupError, Supervisor, Work};
use crate::last_good;
use crate::log_limit::LogLimit;
use crate::message::{SERVER_LEAVING, SESSION_NOT_RECORDED};
use crate::turns;

/// Time between two looks at the counters of all sessions, for the account of those whose worker goes while `pppoed` is
/// not there.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(10);

/// A file of the run directory that is there while the server takes no new sessions.
const DRAINING: &str = "draining";

/// A process, for as long as the machine runs: its number, and when it was started.
type Process = (u32, u64);

/// What outlives this `pppoed`, and what an earlier one left.
pub(super) struct Adoption {
    run_dir: PathBuf,
    /// The workers' root directory.
    root: PathBuf,
    workers: Workers,
    /// Where workers come back; none while the socket cannot be made.
    door: Option<JoinHandle<()>>,
    is_open: Rc<Cell<bool>>,
    /// The key is one that workers of an earlier `pppoed` know.
    is_key_kept: bool,
    /// Somebody looks at the run directory.
    is_looking: bool,
    /// When somebody looked at processes and records, too.
    thorough_look: Instant,
    /// Records of no session, and sessions without a record, at that look.
    left_over_records: BTreeSet<u16>,
    missing_records: BTreeSet<u16>,
    /// That it cannot be repaired was told.
    is_repair_failing: bool,
    /// Which directory it is.
    inode: Option<(u64, u64)>,
    ghosts: Ghosts,
    work: mpsc::Sender<Work>,
    key: Arc<Key>,
    store: Option<Store>,
    strangers: LogLimit,
    /// Sessions whose workers are expected, with the record that was in the run directory.
    expected: HashMap<Process, Expected>,
    /// What was in the run directory at the start, until it is taken over.
    kept: Vec<Kept>,
    /// No session begins until then: of what there is, something might not be known yet.
    hold_back_until: Option<Instant>,
    next_counters: Instant,
}

#[derive(Debug)]
struct Expected {
    token: Token,
    ticket: Ticket,
}

/// What is needed to be found by the workers of an earlier `pppoed`.
pub(super) struct Opening<'a> {
    pub(super) run_dir: &'a Path,
    /// The workers' root directory.
    pub(super) root: &'a Path,
    /// Their user and group.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// A new key, should there be none.
    pub(super) fresh_key: [u8; 32],
    /// Time that they have to come back before sessions begin.
    pub(super) grace: Duration,
}

impl Adoption {
    /// Reads what the last `pppoed` left; [`Adoption::open_door`] is to follow.
    ///
    /// Whatever is wrong in the run directory is told, and no reason not to start.
    pub(super) fn open(opening: Opening<'_>, work: mpsc::Sender<Work>, now: Instant) -> Self {
        let Opening { run_dir, root, uid, gid, fresh_key, grace } = opening;
        let (key, source) = Key::open(run_dir, fresh_key);
        let key = Arc::new(key);
        let key_is_stored = match (&source, key.store()) {
            (_, Ok(())) | (Source::Kept, Err(_)) => true,
            (_, Err(error)) => {
                warn!(
                    path = %run_dir.display(), %error,
                    "the key for taking sessions over cannot be written: if pppoed is killed or crashes, the next one \
                     cannot take over the sessions, and they end"
                );
                false
            }
        };
        if let Source::Replaced(why) = &source {
            warn!(reason = why, "only sessions with a record in the run directory can be taken over");
        }
        let (kept, problems) = store::load(run_dir, true);
        for problem in problems {
            warn!(reason = problem, "unusable session record");
        }
        let started =
            store::make_directory(run_dir).map(|()| Store::start(run_dir, key.clone(), key_is_stored));
        let store = match started {
            Ok(store) => Some(store),
            Err(error) => {
                warn!(
                    path = %run_dir.display(), %error,
                    "session records disabled; sessions that end without pppoed are not cleaned up"
                );
                None
            }
        };
        if let Err(error) = generation::note(run_dir) {
            warn!(path = %run_dir.display(), %error, "a later version cannot check whether it can take over the \
                 sessions");
        }
        let workers = Workers { uid, gid };
        let is_successor = !matches!(source, Source::New) || !kept.is_empty();
        Self {
            run_dir: run_dir.to_owned(),
            root: root.to_owned(),
            workers,
            door: None,
            is_open: Rc::default(),
            is_key_kept: matches!(source, Source::Kept),
            is_looking: false,
            thorough_look: now,
            left_over_records: BTreeSet::new(),
            missing_records: BTreeSet::new(),
            is_repair_failing: false,
            inode: fs::metadata(run_dir).map(|metadata| (metadata.dev(), metadata.ino())).ok(),
            ghosts: Ghosts::default(),
            work,
            key,
            store,
            strangers: LogLimit::default(),
            expected: HashMap::new(),
            kept,
            hold_back_until: is_successor.then(|| now + grace),
            next_counters: now,
        }
    }

    /// Opens the socket for workers that come back, in place of the one before. Must be called in a `LocalSet`.
    pub(super) fn open_door(&mut self) -> io::Result<()> {
        let listener = door::open(&self.root, self.workers)?;
        let serving = turns::spawn("take-over", door::serve(listener, self.workers, self.work.clone()));
        if let Some(before) = self.door.replace(serving) {
            before.abort();
        }
        self.is_open.set(true);
        Ok(())
    }

    /// Whether workers can come back, now and later.
    fn has_door(&self) -> Rc<Cell<bool>> {
        self.is_open.clone()
    }

    pub(super) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Whether sessions may not begin yet.
    pub(super) fn holds_back(&self, now: Instant) -> bool {
        // Somebody might get the address of a session that nobody knows.
        self.hold_back_until.is_some_and(|until| now < until) || !self.ghosts.is_empty()
    }

    /// When [`Supervisor::keep_counters`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.store.as_ref().map(|_| self.next_counters)
    }

    /// A session is over: nothing is to be known of it any more.
    pub(super) fn forget(&mut self, token: Token, session_id: u16) {
        self.expected.retain(|_, expected| expected.token != token);
        if let Some(store) = &self.store {
            store.forget(session_id);
        }
    }

    /// Whether a worker is still expected.
    pub(super) fn is_expected(&self, token: Token) -> bool {
        self.expected.values().any(|expected| expected.token == token)
    }

    /// Whether the server takes new sessions outlasts `pppoed`, as far as that can be written down.
    pub(super) fn remember_drain(&self, on: bool) {
        let path = self.run_dir.join(DRAINING);
        let outcome = match on {
            true => fs::write(&path, ""),
            false => fs::remove_file(&path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        if let Err(error) = outcome {
            warn!(path = %path.display(), %error, "cannot save the drain state for the next pppoed");
        }
    }

    /// Whether an earlier `pppoed` was not to take new sessions.
    pub(super) fn was_draining(&self) -> bool {
        self.run_dir.join(DRAINING).exists()
    }

    /// All sessions have ended: leaves nothing behind.
    fn clean_up(mut self) {
        // Whatever is still being written is written first.
        drop(self.store.take());
        door::close(&self.root);
        key::remove(&self.run_dir);
        store::remove(&self.run_dir);
        generation::remove(&self.run_dir);
        let _ = fs::remove_file(self.run_dir.join(DRAINING));
        last_good::forget(&self.run_dir);
        forget_last_good(&self.run_dir);
    }
}

/// How many sessions an earlier `pppoed` left in this run directory, whose workers live. Changes nothing there: another one may be
/// running.
pub fn sessions_left(run_dir: &Path) -> usize {
    left(run_dir).len()
}

/// A session that an earlier `pppoed` left, whose client has an address that this configuration makes our own end.
pub(crate) fn client_at_our_end(config: &Config) -> Option<SetupError> {
    let entries = || config.pools().flat_map(|(_, entries)| entries);
    left(&config.run_dir).into_iter().find_map(|known| {
        let address = known.client()?;
        let is_ours = entries().any(|entry| entry.local == address);
        is_ours.then_some(SetupError::ClientAtOurEnd { address, session: known.session_id })
    })
}

fn left(run_dir: &Path) -> Vec<Known> {
    let root = run_dir.join(super::setup::EMPTY_DIRECTORY);
    let known =
        store::load(run_dir, false).0.into_iter().filter_map(|kept| Known::parse(&kept.ticket.record).ok());
    known.filter(|known| take_over::find(known.process, Some(&root)).is_some()).collect()
}

impl Supervisor {
    /// What is known of a session changed, and it has been open: gives its worker a new record, and keeps that.
    pub(super) fn keep_record(&mut self, token: Token) {
        if self.table.get_mut(token).is_some_and(|session| !session.machine.is_ending()) {
            self.write_record(token);
        }
    }

    /// As [`Self::keep_record`], for a session whose end has just been decided here, too: the next `pppoed` takes no worker's word
    /// for that.
    pub(super) fn write_record(&mut self, token: Token) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.machine.opened().is_none() {
            return;
        }
        let line = self.accesses.get(session.access).and_then(super::access::Access::line);
        let Some((interface, _)) = line else { return };
        let record = match session.describe(interface.index).and_then(record::encode) {
            Ok(record) => record,
            Err(error) => {
                about!(warn, SESSION_NOT_RECORDED, session, reason = chain(&error));
                return;
            }
        };
        let tag = self.adoption.key.tag(&record);
        let ticket = Ticket { record, tag };
        session.worker.send(ToWorker::Record(ticket.clone()));
        if let Some(store) = &self.adoption.store {
            store.keep(session.id, ticket);
        }
    }

    /// Writes the counters of all sessions down now and then.
    pub(super) fn keep_counters(&mut self, now: Instant) {
        if self.adoption.next_counters > now {
            return;
        }
        self.adoption.next_counters = now + COUNTERS_INTERVAL;
        if let Some(store) = self.adoption.store.as_ref().filter(|_| !self.table.is_empty()) {
            store.keep_counters(self.table.iter().map(|session| (session.id, session.traffic())));
        }
    }

    /// Exits with the sessions going on. Those that have not been open yet are ended by their workers.
    pub(super) fn leave(mut self) {
        info!(name: SERVER_LEAVING.name, sessions = self.table.len(), "{}", SERVER_LEAVING.words);
        self.adoption.next_counters = Instant::now();
        self.keep_counters(Instant::now());
        for token in self.table.tokens() {
            if let Some(given) = self.table.get_mut(token).and_then(|session| session.given.take()) {
                given.leave();
            }
        }
    }

    /// All sessions have ended.
    pub(super) fn clean_up(self) {
        self.adoption.clean_up();
        self.devices.clean_up();
    }
}
