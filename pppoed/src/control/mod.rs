//! The control socket: `pppctl`'s end of the supervisor.
//!
//! Each client has a task of its own that does all of its I/O, under time-outs; the supervisor sees only
//! whole, checked [`Request`]s and hands back whole answers. So a slow, stuck or hostile client costs the
//! sessions nothing. The number of clients is bounded.

mod client;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use interprocess::local_socket::tokio::{Listener, prelude::*};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use ppp_ipc::control::{Request, Response};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{info, warn};

/// Clients that are served at once; more wait in the socket's backlog.
const MAX_CLIENTS: usize = 100;

/// Time that a client has to take an answer, or to send its hello.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that a client may stay without asking anything. It can connect again; its place is for others meanwhile.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Time that clients have to take their last answers when the server ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// The answers that are on their way to clients.
#[derive(Clone, Debug)]
pub struct Answers(Arc<Semaphore>);

impl Answers {
    /// Each client asks one thing at a time.
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CLIENTS)))
    }

    /// Waits, not long, until every client that has asked something has its answer. No more answers are begun then.
    pub async fn finish(&self) {
        let all = u32::try_from(MAX_CLIENTS).unwrap_or(u32::MAX);
        match tokio::time::timeout(FAREWELL_TIMEOUT, self.0.acquire_many(all)).await {
            Ok(Ok(permits)) => permits.forget(),
            Ok(Err(_)) | Err(_) => warn!("a console did not take its answer before the end"),
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
}

/// A request of a client, and where its answer goes.
#[derive(Debug)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub request: Request,
    /// Where the answer goes, without the closing [`Response::Done`].
    pub answer: oneshot::Sender<Vec<Response>>,
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

/// The listening control socket. Its name stays until `main` removes it: when this is dropped, a successor may listen.
#[derive(Debug)]
pub struct ControlSocket {
    listener: Listener,
    path: PathBuf,
    answers: Answers,
}

impl ControlSocket {
    /// Listens on `path`, in place of a socket that a dead `pppoed` left there.
    ///
    /// Only root may connect, and the members of `group` if there is such a group.
    ///
    /// # Errors
    /// [`OpenError`], also when another `pppoed` is alive.
    pub fn open(path: &Path, group: Option<nix::unistd::Gid>) -> Result<Self, OpenError> {
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
        Ok(Self { listener, path: path.to_owned(), answers: Answers::new() })
    }

    /// The answers that this socket's clients wait for.
    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Serves clients for ever. Requests go to `calls`.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        let slots = Arc::new(Semaphore::new(MAX_CLIENTS));
        info!(path = %self.path.display(), "control socket open");
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok(stream) => {
                    let (calls, answers) = (calls.clone(), self.answers());
                    tokio::task::spawn_local(async move {
                        if let Err(error) = client::serve(stream, calls, answers).await {
                            warn!(%error, "control client dropped");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely; trying again at once would spin.
                    warn!(%error, "control socket: accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
