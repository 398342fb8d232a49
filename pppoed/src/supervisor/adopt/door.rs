//! Where workers come back: a socket in their root directory.
//!
//! Only who has the workers' user and group is listened to, and only for one message; whether that is believed is
//! decided by the supervisor. Nobody else learns anything, or gets an answer.
//!
//! A worker that its peer has taken over may call as fast as it can. What waits in the socket's queue is the kernel's memory, so
//! that is short; who calls too often is hung up on at once, and not many times a second; and the supervisor ends the
//! session of a worker that calls although it is not lost.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::{Gid, chown};
use ppp_ipc::adoption::{Claim, Returning as Claimed, SOCKET_NAME};
use ppp_ipc::codec;
use ppp_ipc::frame::FrameDecoder;
use ppp_linux::peercred::{PeerCredentials, peer_credentials};
use ppp_linux::pidfd::PidFd;
use ppp_wire::causes::chain;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::warn;

use crate::log_limit::LogLimit;
use crate::supervisor::Work;
use crate::turns;

/// Connections that are listened to at once; more wait in the socket's queue.
const MAX_CALLERS: usize = 256;
/// Connections that wait in the socket's queue, each with what its caller has written: some 200 kB at most, of the kernel's memory.
/// A worker that finds the queue full tries again within a second.
const BACKLOG: i32 = 64;
/// Calls of one process in [`CREDIT_PERIOD`]. A worker tries about once a second, and a little faster at first.
const CREDIT: u32 = 20;
const CREDIT_PERIOD: Duration = Duration::from_secs(10);
/// Processes whose calls are counted.
const MAX_COUNTED: usize = 65_536;
/// Time for which nobody is heard after somebody who calls too often.
const EXCESS_PAUSE: Duration = Duration::from_millis(1);
/// Time that a caller has to say what it wants.
const CALLER_TIMEOUT: Duration = Duration::from_secs(2);

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

/// Somebody who called and has nothing to say that would be believed.
#[derive(Debug)]
pub(in super::super) struct Stranger {
    /// What the kernel says; 0 for a process of another PID namespace.
    pub(super) pid: i32,
    pub(super) why: String,
    /// Too often even for a worker that has lost its `pppoed`.
    pub(super) is_excess: bool,
}

/// How often each process has called.
#[derive(Debug, Default)]
struct Credits(HashMap<i32, (Instant, u32)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credit {
    Good,
    /// This is the first call beyond it.
    Exceeded,
    /// There were others beyond it.
    Gone,
}

impl Credits {
    fn take(&mut self, pid: i32, now: Instant) -> Credit {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= CREDIT_PERIOD;
        if self.0.len() >= MAX_COUNTED && !self.0.contains_key(&pid) {
            self.0.retain(|_, (since, _)| !is_over(*since));
            if self.0.len() >= MAX_COUNTED {
                self.0.clear();
            }
        }
        let (since, calls) = self.0.entry(pid).or_insert((now, 0));
        if is_over(*since) {
            (*since, *calls) = (now, 0);
        }
        *calls = calls.saturating_add(1);
        match (*calls).cmp(&(CREDIT + 1)) {
            Ordering::Less => Credit::Good,
            Ordering::Equal => Credit::Exceeded,
            Ordering::Greater => Credit::Gone,
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
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
    chown(&path, None, Some(Gid::from_raw(workers.gid)))?;
    // Their kernel asks for the right to write.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    UnixListener::from_std(StdUnixListener::from(socket))
}

/// Removes the socket: there is no worker that could need it.
pub(super) fn close(root: &Path) {
    let _ = fs::remove_file(root.join(SOCKET_NAME));
}

/// Listens for ever.
pub(super) async fn serve(listener: UnixListener, workers: Workers, work: mpsc::Sender<Work>) {
    let places = Arc::new(Semaphore::new(MAX_CALLERS));
    let (mut credits, mut failed) = (Credits::default(), LogLimit::default());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely; trying again at once would spin.
                if let Some(more) = failed.count(Instant::now()) {
                    warn!(%error, more, "worker socket: accept");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Without them it is nobody's call.
        let Ok(caller) = peer_credentials(&stream) else { continue };
        let credit = credits.take(caller.pid, Instant::now());
        if credit != Credit::Good {
            drop(stream);
            if credit == Credit::Exceeded {
                let why = format!("it called more than {CREDIT} times in {} s", CREDIT_PERIOD.as_secs());
                let stranger = Stranger { pid: caller.pid, why, is_excess: true };
                // Fails only when the supervisor is gone.
                let _ = work.send(Work::Stranger(stranger)).await;
            }
            tokio::time::sleep(EXCESS_PAUSE).await;
            continue;
        }
        let work = work.clone();
        turns::spawn("take-over", async move {
            let news = match listen_to(stream, &caller, workers).await {
                Ok(arrival) => Work::Arrived(arrival),
                Err(why) => Work::Stranger(Stranger { pid: caller.pid, why, is_excess: false }),
            };
            let _ = work.send(news).await;
            drop(place);
        });
    }
}

async fn listen_to(
    mut stream: UnixStream,
    caller: &PeerCredentials,
    workers: Workers,
) -> Result<Arrival, String> {
    if !workers.admits(caller) {
        return Err(format!("it has user {} and group {}", caller.uid, caller.gid));
    }
    let pid = u32::try_from(caller.pid).map_err(|_| "it is in another PID namespace".to_owned())?;
    let process = PidFd::open(pid).map_err(|error| error.to_string())?;
    let claim = match timeout(CALLER_TIMEOUT, read_claim(&mut stream)).await {
        Ok(claim) => claim?,
        Err(_) => return Err("it does not say what it wants".to_owned()),
    };
    let Claim::Session(claim) = claim;
    // Whoever has its number by now is somebody else if it is gone; and nobody but itself has its end.
    if has_hung_up(&stream) {
        return Err("it hung up".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_credit_for_what_a_lost_worker_needs_and_no_more() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut credits = Credits::default();
        assert!((0..CREDIT).all(|_| credits.take(7, start) == Credit::Good));
        assert_eq!(credits.take(7, at(9)), Credit::Exceeded);
        assert!((0..1000).all(|_| credits.take(7, at(9)) == Credit::Gone));
        assert_eq!(credits.take(8, at(9)), Credit::Good, "another process");
        assert_eq!(credits.take(7, at(10)), Credit::Good);
        // Once a second, for ever.
        assert!((11..1000).all(|second| credits.take(7, at(second)) == Credit::Good));
    }

    /// Each may hold some 200 kB of the kernel's memory, whoever has made it and closed it since.
    #[test]
    fn few_connections_wait() {
        let root = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let gid = nix::unistd::getgid().as_raw();
        let _listener = runtime.block_on(async { open(root.path(), Workers { uid: 0, gid }).unwrap() });
        let address = UnixAddr::new(&root.path().join(SOCKET_NAME)).unwrap();
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let call = || {
            let caller = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
            nix::sys::socket::connect(caller.as_raw_fd(), &address)
        };
        let waiting = (0..10_000).take_while(|_| call().is_ok()).count();
        assert_eq!(i32::try_from(waiting).unwrap(), BACKLOG + 1, "as the kernel counts");
    }

    #[test]
    fn no_more_processes_are_counted_than_there_is_room_for() {
        let start = Instant::now();
        let mut credits = Credits::default();
        for pid in 0..3 * i32::try_from(MAX_COUNTED).unwrap() {
            assert_eq!(credits.take(pid, start), Credit::Good);
            assert!(credits.0.len() <= MAX_COUNTED);
        }
    }
}
