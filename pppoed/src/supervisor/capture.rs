//! `pppctl capture`: copies of one session's frames, for the time that somebody wants them.
//!
//! The socket is `pppoed`'s, because it needs privileges; the file is `pppctl`'s, with the rights of its user. Nothing
//! here looks into a frame; passwords are covered ([`super::cover`]) unless they are asked for.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ppp_ipc::control::{CaptureEnd, CaptureRequest, CapturedFrame, Failure, Response};
use ppp_linux::packet::{CaptureSocket, SessionKey};
use ppp_wire::causes::chain;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::Supervisor;
use super::cover::{Secrets, cover_secrets};
use super::watch::watch;
use crate::control::{Answer, Stream};
use crate::turns;

/// Captures and traces at once.
pub(super) const MAX_CAPTURES: usize = 4;
/// Frames in one response, so that it fits into its frame.
pub(super) const FRAMES_PER_RESPONSE: usize = 24;
/// Responses that wait for a console; what comes while they do is lost.
pub(super) const QUEUE_LEN: usize = 64;
/// Time between two looks whether the session, and the console, are still there.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// The room that there is for captures and traces.
pub(super) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_CAPTURES))
}

impl Supervisor {
    pub(super) fn capture(&self, request: &CaptureRequest) -> Answer {
        match self.begin_capture(request) {
            Ok(frames) => Answer::Stream(Stream::Capture(frames)),
            Err(failure) => Response::Failed(failure).into(),
        }
    }

    fn begin_capture(&self, request: &CaptureRequest) -> Result<mpsc::Receiver<Response>, Failure> {
        let CaptureRequest { session, packets, bytes, seconds, snaplen, .. } = *request;
        let is_possible = packets > 0
            && bytes > 0
            && (1..=CaptureRequest::MAX_SECONDS).contains(&seconds)
            && (64..=CaptureRequest::MAX_SNAPLEN).contains(&snaplen);
        if !is_possible {
            return Err(Failure::Refused(format!(
                "give at least one packet, byte and second, at most {} seconds, and 64 to {} bytes of each frame",
                CaptureRequest::MAX_SECONDS,
                CaptureRequest::MAX_SNAPLEN
            )));
        }
        let session = self.table.by_id(session).ok_or(Failure::NoSuchSession)?;
        let permit = self.captures.clone().try_acquire_owned().map_err(|_| {
            Failure::Busy(format!("{MAX_CAPTURES} captures and traces are going on; end one of them first"))
        })?;
        let gone = || Failure::Busy("the access interface is gone".to_owned());
        let access = self.accesses.get(session.access).ok_or_else(gone)?;
        let (interface, _) = access.line().ok_or_else(gone)?;
        let key = SessionKey {
            ether_type: self.config.session_ether_type,
            session_id: session.id,
            own: session.own_mac,
            peer: session.peer_mac,
        };
        let socket = CaptureSocket::open(interface, &key, CaptureSocket::DEFAULT_RECEIVE_BUFFER)
            .map_err(|error| Failure::Busy(chain(&error)))?;
        let socket = watch(Watched(socket)).map_err(|error| Failure::Busy(error.to_string()))?;
        let (sender, frames) = mpsc::channel(QUEUE_LEN);
        let capture = Capture {
            request: *request,
            session: Rc::downgrade(&session.alive),
            sender,
            frames: 0,
            bytes: 0,
            lost: 0,
            _permit: permit,
        };
        turns::spawn("capture", capture.run(socket));
        Ok(frames)
    }
}

/// The socket in the form that the runtime wants.
struct Watched(CaptureSocket);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

struct Capture {
    request: CaptureRequest,
    session: Weak<()>,
    sender: mpsc::Sender<Response>,
    frames: u64,
    bytes: u64,
    lost: u64,
    _permit: OwnedSemaphorePermit,
}

impl Capture {
    async fn run(mut self, socket: AsyncFd<Watched>) {
        let why = self.copy(&socket).await;
        let end = CaptureEnd { frames: self.frames, lost: self.lost, why: why.to_owned() };
        // Fails only when the console is gone.
        let _ = self.sender.send(Response::CaptureEnd(end)).await;
    }

    /// Returns why it is over.
    async fn copy(&mut self, socket: &AsyncFd<Watched>) -> &'static str {
        let deadline = Instant::now() + Duration::from_secs(self.request.seconds.into());
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return "the time is over",
                () = self.sender.closed() => return "the console is gone",
                _ = looks.tick() => {
                    if self.session.strong_count() == 0 {
                        return "the session is over";
                    }
                }
                ready = socket.readable() => {
                    let Ok(mut ready) = ready else { return "the socket cannot be read" };
                    let outcome = self.copy_some(&socket.get_ref().0);
                    match outcome {
                        Some(why) => return why,
                        None => ready.clear_ready(),
                    }
                    // Others have their turn, however many frames there are.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Copies what waits. `Some` says why there is to be no more.
    fn copy_some(&mut self, socket: &CaptureSocket) -> Option<&'static str> {
        let mut buffer = vec![0; self.request.snaplen.into()];
        loop {
            let mut batch = Vec::new();
            let mut end = None;
            let mut is_empty = false;
            while batch.len() < FRAMES_PER_RESPONSE && end.is_none() {
                match socket.recv(&mut buffer) {
                    Ok(None) => {}
                    Ok(Some(captured)) => {
                        let mut bytes = buffer.get(..captured.len).unwrap_or_default().to_vec();
                        if !self.request.secrets {
                            cover_secrets(&mut bytes, Secrets::Passwords);
                        }
                        self.frames += 1;
                        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                        batch.push(CapturedFrame {
                            time_ns: now_ns(),
                            is_from_peer: captured.is_from_peer,
                            wire_len: u32::try_from(captured.wire_len).unwrap_or(u32::MAX),
                            bytes,
                        });
                        end = self.limit();
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        is_empty = true;
                        break;
                    }
                    Err(_) => end = Some("the access interface went down"),
                }
            }
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            if count > 0 && self.sender.try_send(Response::Frames(batch)).is_err() {
                self.frames -= count;
                self.lost += count;
            }
            if end.is_some() || is_empty {
                return end;
            }
        }
    }

    fn limit(&self) -> Option<&'static str> {
        if self.frames + self.lost >= self.request.packets.into() {
            Some("that many packets were asked for")
        } else if self.bytes >= self.request.bytes {
            Some("that many bytes were asked for")
        } else {
            None
        }
    }
}

pub(super) fn now_ns() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
