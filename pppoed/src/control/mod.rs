//! The control sockets: `pppctl`'s end of the supervisor.
//!
//! Each client has a task of its own that does all of its I/O, under time-outs; the supervisor sees only
//! whole, checked [`Request`]s and hands back whole answers, long ones in pages. So a slow, stuck or hostile client
//! costs the sessions nothing. The number of clients is bounded, and who asks nothing makes room for others.
//!
//! There are two sockets: one for everything, and one whose clients may only look.

mod client;
mod places;
mod reserve;
mod sockets;
mod stream;

use std::cell::RefCell;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use interprocess::local_socket::tokio::{Listener, prelude::*};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use nix::unistd::Uid;
use ppp_ipc::control::{Request, Response};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{debug, info, warn};

use self::client::ClientError;
use self::places::Places;
use self::reserve::Reserve;
pub use self::sockets::{Consoles, remove};
pub use self::stream::{Stream, Subscription};
use crate::log_limit::LogLimit;
use crate::turns;

/// Clients of each socket that are served at once; more wait in the socket's backlog, or take the place of one that
/// asks nothing.
pub const MAX_CLIENTS: usize = 100;

/// Clients of each socket that may have an answer without end at once. The others are for questions.
const MAX_STREAMS: usize = 50;

/// Lines a minute about clients of a socket that were hung up on.
const DROPPED_TOLD: u32 = 10;

/// Time that a client has to send its hello, and to take an answer, or a page of it, or an event.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that a client has to take all pages of an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Time that a client may stay without asking anything. It can connect again; its place is for others meanwhile.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Time that clients have to take their last answers when the server ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// The answers that are on their way to clients.
#[derive(Clone, Debug)]
pub struct Answers {
    questions: Arc<Semaphore>,
    /// Of each socket, so that those who may only look take nothing from the others.
    streams: [Arc<Semaphore>; 2],
}

impl Answers {
    /// For the clients of all sockets. Each of them asks one thing at a time.
    #[expect(clippy::new_without_default, reason = "there is one, and it is no value")]
    pub fn new() -> Self {
        let questions = Arc::new(Semaphore::new(2 * MAX_CLIENTS));
        let streams = || Arc::new(Semaphore::new(MAX_STREAMS));
        Self { questions, streams: [streams(), streams()] }
    }

    fn streams(&self, rights: Rights) -> Arc<Semaphore> {
        let [full, view] = &self.streams;
        match rights {
            Rights::Full => full.clone(),
            Rights::ReadOnly => view.clone(),
        }
    }

    /// Waits, not long, until every client that has asked something has its answer, and every stream has ended. No
    /// more answers are begun then.
    pub async fn finish(&self) {
        let all = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let finish = async {
            let [full, view] = &self.streams;
            let full = full.acquire_many(all(MAX_STREAMS)).await;
            let view = view.acquire_many(all(MAX_STREAMS)).await;
            let questions = self.questions.acquire_many(all(2 * MAX_CLIENTS)).await;
            for permits in [full, view, questions].into_iter().flatten() {
                permits.forget();
            }
        };
        if tokio::time::timeout(FAREWELL_TIMEOUT, finish).await.is_err() {
            warn!("console did not read its answer before the exit");
        }
    }
}

/// Who sent a request, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Process.
    pub pid: i32,
    /// What its socket lets it ask.
    pub rights: Rights,
}

/// What the clients of a socket may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    Full,
    /// [`Request::is_read_only`].
    ReadOnly,
}

impl Rights {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
        }
    }
}

/// A request of a client, and where its answer goes.
#[derive(Debug)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub request: Request,
    /// Which page of the answer: none for the first, else what [`Answer::Page`] said.
    pub after: Option<u64>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// Where the clients of each socket put their requests.
#[derive(Clone, Debug)]
pub struct CallSenders {
    full: mpsc::Sender<Call>,
    view: mpsc::Sender<Call>,
}

/// The requests of all sockets.
#[derive(Debug)]
pub struct CallQueue {
    full: mpsc::Receiver<Call>,
    view: mpsc::Receiver<Call>,
}

/// A way for requests from the sockets to the supervisor. Each client of each socket asks one thing at a time, so there is room
/// for all.
pub fn calls() -> (CallSenders, CallQueue) {
    let (full, full_queue) = mpsc::channel(MAX_CLIENTS);
    let (view, view_queue) = mpsc::channel(MAX_CLIENTS);
    (CallSenders { full, view }, CallQueue { full: full_queue, view: view_queue })
}

impl CallSenders {
    fn of(&self, rights: Rights) -> mpsc::Sender<Call> {
        match rights {
            Rights::Full => self.full.clone(),
            Rights::ReadOnly => self.view.clone(),
        }
    }
}

impl CallQueue {
    /// The next request: those who may only look wait for the others. `None` when there are no sockets any more. Nothing is
    /// lost when this is dropped while it waits.
    pub async fn recv(&mut self) -> Option<Call> {
        tokio::select! {
            biased;
            Some(call) = self.full.recv() => Some(call),
            Some(call) = self.view.recv() => Some(call),
            else => None,
        }
    }
}

/// What the supervisor answers.
#[derive(Debug)]
pub enum Answer {
    /// Everything but the closing [`Response::Done`].
    Whole(Vec<Response>),
    /// A part; the rest is for those who call again, when this one has been taken.
    Page {
        /// The part.
        responses: Vec<Response>,
        /// [`Call::after`] of the next page.
        after: u64,
    },
    /// An answer without end.
    Stream(Stream),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Whole(vec![response])
    }
}

/// The control socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another `pppoed` answers on it.
    #[error("{path}: another pppoed is running")]
    InUse {
        /// Path of the socket.
        path: PathBuf,
    },
    /// Something that is not a socket has its name.
    #[error("{path} exists and is not a socket; give another path with --control")]
    NotASocket {
        /// Path of the socket.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: cannot listen on the control socket")]
    System {
        /// Path of the socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// Whether another `pppoed` has it.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }
}

/// The listening control socket. Its name stays until `main` removes it: when this is dropped, a successor may listen.
#[derive(Debug)]
pub struct ControlSocket {
    listener: Listener,
    path: PathBuf,
    rights: Rights,
    stranger: Option<Uid>,
    answers: Answers,
}

impl ControlSocket {
    /// Listens on `path`, in place of a socket that a dead `pppoed` left there, for clients with these `rights`.
    ///
    /// Only root may connect, and the members of `group` if there is such a group. All sockets share `answers`.
    ///
    /// # Errors
    /// [`OpenError`], also when another `pppoed` is alive.
    pub fn open(
        path: &Path,
        group: Option<nix::unistd::Gid>,
        rights: Rights,
        answers: Answers,
    ) -> Result<Self, OpenError> {
        let system = |source| OpenError::System { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(OpenError::NotASocket { path: path.to_owned() });
            }
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(OpenError::InUse { path: path.to_owned() });
            }
            Ok(_) => fs::remove_file(path).map_err(system)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(system(error)),
        }
        let name = path.to_fs_name::<GenericFilePath>().map_err(system)?;
        // The umask keeps the socket closed to others until its owner and mode are set.
        let umask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let listener = ListenerOptions::new().name(name).reclaim_name(false).create_tokio();
        nix::sys::stat::umask(umask);
        let listener = listener.map_err(system)?;
        if let Some(group) = group {
            nix::unistd::chown(path, None, Some(group)).map_err(|errno| system(errno.into()))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(system)?;
        }
        Ok(Self { listener, path: path.to_owned(), rights, stranger: None, answers })
    }

    /// Refuses this user, whatever its groups: workers may be members of the group that the control socket has, and
    /// have nothing to say here.
    pub fn except(self, stranger: Option<Uid>) -> Self {
        Self { stranger, ..self }
    }

    /// Serves clients for ever. Requests go to `calls`.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        let places = Places::new(MAX_CLIENTS);
        let reserve = Reserve::new();
        let dropped = Rc::new(RefCell::new(LogLimit::of(DROPPED_TOLD)));
        let mut failed = LogLimit::default();
        info!(path = %self.path.display(), access = self.rights.as_str(), "control socket open");
        loop {
            match self.listener.accept().await {
                Ok(stream) => {
                    let place = places.take().await;
                    let (calls, answers) = (calls.clone(), self.answers.clone());
                    let (rights, stranger) = (self.rights, self.stranger);
                    let reserve = reserve.clone();
                    let dropped = dropped.clone();
                    turns::spawn("console", async move {
                        match client::serve(stream, rights, stranger, &place, calls, answers).await {
                            Ok(()) => {}
                            // It only waited, and can come again.
                            Err(error @ ClientError::GaveWay) => debug!(%error, "control client dropped"),
                            Err(error) => {
                                // A client may come again at once: it is not to fill the log.
                                let told = dropped.borrow_mut().count(Instant::now());
                                if let Some(more) = told {
                                    warn!(%error, access = rights.as_str(), more, "control client dropped");
                                }
                            }
                        }
                        reserve.refill();
                    });
                }
                Err(error) if reserve.helps(&error) => {
                    debug!(%error, "a descriptor that was kept back is used")
                }
                Err(error) => {
                    // Out of descriptors, most likely; trying again at once would spin.
                    if let Some(more) = failed.count(Instant::now()) {
                        warn!(%error, more, "control socket: accept");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
