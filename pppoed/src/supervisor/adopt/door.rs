//! Where workers come back: a socket in their root directory.
//!
//! Only who has the workers' user and group is listened to, and only for one message; whether that is believed is
//! decided by the supervisor. Nobody else learns anything, or gets an answer.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Gid, chown};
use ppp_ipc::adoption::{Claim, Returning as Claimed, SOCKET_NAME};
use ppp_ipc::codec;
use ppp_ipc::frame::FrameDecoder;
use ppp_linux::peercred::{PeerCredentials, peer_credentials};
use ppp_linux::pidfd::PidFd;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::warn;

use crate::supervisor::Work;
use crate::supervisor::worker::chain;

/// Connections that are listened to at once; more wait in the socket's queue.
const MAX_CALLERS: usize = 256;
/// Time that a caller has to say what it wants.
const CALLER_TIMEOUT: Duration = Duration::from_secs(2);
/// Least time between two lines of the log about strangers.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A worker that says which session it has.
#[derive(Debug)]
pub(in super::super) struct Arrival {
    pub(super) claim: Box<Claimed>,
    /// What the kernel says of who connected.
    pub(super) pid: u32,
    /// The very process: it still had its end of the connection when this was opened.
    pub(super) process: PidFd,
    pub(super) stream: UnixStream,
}

/// Who came and was not believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Rc<RefCell<(u64, Option<Instant>)>>);

impl Strangers {
    /// Counts one, and tells of it, but not of each of many.
    pub(super) fn turn_away(&self, pid: i64, why: &str) {
        let mut strangers = self.0.borrow_mut();
        let (count, told) = &mut *strangers;
        *count += 1;
        if told.is_none_or(|told| told.elapsed() >= LOG_INTERVAL) {
            *told = Some(Instant::now());
            warn!(pid, reason = why, count, "somebody on the workers' socket was turned away");
        }
    }
}

/// Who may come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workers {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Workers {
    fn admits(self, caller: &PeerCredentials) -> bool {
        caller.uid == self.uid && caller.gid == self.gid
    }
}

/// Opens the socket in `root`, in place of the one that an earlier `pppoed` left.
pub(super) fn open(root: &Path, workers: Workers) -> io::Result<UnixListener> {
    let path = root.join(SOCKET_NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdUnixListener::bind(&path)?;
    chown(&path, None, Some(Gid::from_raw(workers.gid)))?;
    // Their kernel asks for the right to write.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Removes the socket: there is no worker that could need it.
pub(super) fn close(root: &Path) {
    let _ = fs::remove_file(root.join(SOCKET_NAME));
}

/// Listens for ever.
pub(super) async fn serve(
    listener: UnixListener,
    workers: Workers,
    strangers: Strangers,
    work: mpsc::Sender<Work>,
) {
    let places = Arc::new(Semaphore::new(MAX_CALLERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely; trying again at once would spin.
                warn!(%error, "the workers' socket: accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (work, strangers) = (work.clone(), strangers.clone());
        tokio::task::spawn_local(async move {
            match listen_to(stream, workers).await {
                // Fails only when the supervisor is gone.
                Ok(arrival) => drop(work.send(Work::Arrived(arrival)).await),
                Err((pid, why)) => strangers.turn_away(pid.into(), &why),
            }
            drop(place);
        });
    }
}

async fn listen_to(mut stream: UnixStream, workers: Workers) -> Result<Arrival, (i32, String)> {
    let caller = peer_credentials(&stream).map_err(|error| (0, chain(&error)))?;
    let stranger = |why: String| (caller.pid, why);
    if !workers.admits(&caller) {
        return Err(stranger(format!("it has user {} and group {}", caller.uid, caller.gid)));
    }
    let pid = u32::try_from(caller.pid).map_err(|_| stranger("it is in another PID namespace".to_owned()))?;
    let process = PidFd::open(pid).map_err(|error| stranger(error.to_string()))?;
    let claim = match timeout(CALLER_TIMEOUT, read_claim(&mut stream)).await {
        Ok(Ok(claim)) => claim,
        Ok(Err(why)) => return Err(stranger(why)),
        Err(_) => return Err(stranger("it does not say what it wants".to_owned())),
    };
    let Claim::Session(claim) = claim;
    // Whoever has its number by now is somebody else if it is gone; and nobody but itself has its end.
    if has_hung_up(&stream) {
        return Err(stranger("it hung up".to_owned()));
    }
    Ok(Arrival { claim, pid, process, stream })
}

fn has_hung_up(stream: &UnixStream) -> bool {
    let mut looked_at = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    poll(&mut looked_at, PollTimeout::ZERO).is_err()
        || looked_at.iter().any(|one| one.revents().is_none_or(|events| events.intersects(gone)))
}

/// One message, and nothing after it: a worker waits for its answer.
async fn read_claim(stream: &mut UnixStream) -> Result<Claim, String> {
    let mut decoder = FrameDecoder::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.map_err(|error| error.to_string())?;
        if count == 0 {
            return Err("it hung up without a word".to_owned());
        }
        decoder.push(buffer.get(..count).unwrap_or_default());
        let frame = decoder.next_frame().map_err(|error| chain(&error))?;
        let Some(body) = frame else { continue };
        let claim = codec::decode(body).map_err(|error| chain(&error))?;
        return match decoder.is_mid_frame() {
            true => Err("it said more than it should".to_owned()),
            false => Ok(claim),
        };
    }
}
