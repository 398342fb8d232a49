//! `pppctl trace`: copies of the frames of a negotiation, for the time that somebody watches.
//!
//! They are read by `pppctl`: this process holds the sockets, which need privileges, covers secrets ([`super::cover`]),
//! and looks at nothing else in a frame but whether a host that was waited for has come.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ppp_ipc::control::{
    CaptureEnd, CaptureRequest, CapturedFrame, Failure, Response, Selector, TraceRequest, TraceTarget,
    TracedFrame,
};
use ppp_linux::packet::{Watch, WatchSocket};
use ppp_wire::MacAddr;
use ppp_wire::causes::chain;
use ppp_wire::pppoe::Code;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::Supervisor;
use super::capture::{FRAMES_PER_RESPONSE, LOOK, MAX_CAPTURES, QUEUE_LEN, now_ns};
use super::cover::{Secrets, cover_secrets};
use super::session::{AccessIndex, Session};
use super::watch::watch;
use crate::control::{Answer, Stream};
use crate::turns;

/// Sockets of one trace: access interfaces, or hosts of one user.
const MAX_SOCKETS: usize = 256;
/// Of each frame, in bytes.
const SNAPLEN: usize = CaptureRequest::MAX_SNAPLEN as usize;

/// Where to look, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    access: AccessIndex,
    peer: Option<MacAddr>,
    session_id: Option<u16>,
}

impl Spot {
    fn of(session: &Session, session_id: Option<u16>) -> Self {
        Self { access: session.access, peer: Some(session.peer_mac), session_id }
    }
}

impl Supervisor {
    pub(super) fn trace(&self, request: &TraceRequest) -> Answer {
        match self.begin_trace(request) {
            Ok(frames) => Answer::Stream(Stream::Capture(frames)),
            Err(failure) => Response::Failed(failure).into(),
        }
    }

    fn begin_trace(&self, request: &TraceRequest) -> Result<mpsc::Receiver<Response>, Failure> {
        if request.packets == 0 || !(1..=TraceRequest::MAX_SECONDS).contains(&request.seconds) {
            return Err(Failure::Refused(format!(
                "give at least one packet, and 1 to {} seconds",
                TraceRequest::MAX_SECONDS
            )));
        }
        let (spots, session) = self.spots(&request.target)?;
        let permit = self.captures.clone().try_acquire_owned().map_err(|_| {
            Failure::Busy(format!("{MAX_CAPTURES} captures and traces are going on; end one of them first"))
        })?;
        let (sender, frames) = mpsc::channel(QUEUE_LEN);
        let shared = Rc::new(Shared {
            wants: Cell::new((request.target == TraceTarget::New).then_some(Wanted::Next)),
            left: Cell::new(request.packets),
            frames: Cell::new(0),
            lost: Cell::new(0),
            untold: Cell::new(0),
            sender,
        });
        let mut watchers = JoinSet::new();
        for spot in spots {
            let Some(watcher) = self.watcher(spot, request.data, &shared)? else { continue };
            watchers.spawn_local(turns::metered("trace", watcher.run()));
        }
        if watchers.is_empty() {
            return Err(Failure::Busy("no access interface to watch is there".to_owned()));
        }
        let deadline = Instant::now() + Duration::from_secs(request.seconds.into());
        let keeper = Keeper { shared, watchers, session, deadline, _permit: permit };
        turns::spawn("trace", keeper.run());
        Ok(frames)
    }

    /// Where to look; and the session whose end is that of the trace.
    fn spots(&self, target: &TraceTarget) -> Result<(Vec<Spot>, Option<Weak<()>>), Failure> {
        let alone = |session: &Session| {
            (vec![Spot::of(session, Some(session.id))], Some(Rc::downgrade(&session.alive)))
        };
        let everywhere =
            |peer| (0..self.accesses.len()).map(move |access| Spot { access, peer, session_id: None });
        let spots: Vec<Spot> = match target {
            TraceTarget::Session(id) => {
                return self.table.by_id(*id).map(alone).ok_or(Failure::NoSuchSession);
            }
            TraceTarget::Interface(name) => {
                if let Some(session) = self.table.iter().find(|session| session.ifname == *name) {
                    return Ok(alone(session));
                }
                let access = self.accesses.iter().position(|access| access.name() == name);
                let unknown = || {
                    Failure::Refused(
                        "neither an access interface nor the interface of a session is called so: \
                         show interfaces and show sessions list them"
                            .to_owned(),
                    )
                };
                vec![Spot { access: access.ok_or_else(unknown)?, peer: None, session_id: None }]
            }
            TraceTarget::User(name) => {
                let mut spots: Vec<Spot> = Vec::new();
                for session in self.table.of_selector(&Selector::User(name.clone())) {
                    let spot = Spot::of(session, None);
                    if !spots.contains(&spot) {
                        spots.push(spot);
                    }
                }
                if spots.is_empty() {
                    return Err(Failure::NoSuchSession);
                }
                spots
            }
            TraceTarget::Mac(mac) => everywhere(Some(MacAddr(*mac))).collect(),
            TraceTarget::New => everywhere(None).collect(),
        };
        if spots.len() > MAX_SOCKETS {
            return Err(Failure::Refused(format!(
                "this would watch {} places, at most {MAX_SOCKETS} are possible: trace interface names one",
                spots.len()
            )));
        }
        Ok((spots, None))
    }

    /// `None` when the interface is not there.
    fn watcher(&self, spot: Spot, data: bool, shared: &Rc<Shared>) -> Result<Option<Watcher>, Failure> {
        let Some((interface, _)) = self.accesses.get(spot.access).and_then(|access| access.line()) else {
            return Ok(None);
        };
        let watched = Watch {
            discovery: self.config.discovery_ether_type,
            session: self.config.session_ether_type,
            peer: spot.peer,
            session_id: spot.session_id,
            data,
        };
        let socket = WatchSocket::open(interface, &watched, WatchSocket::DEFAULT_RECEIVE_BUFFER)
            .map_err(|error| Failure::Busy(chain(&error)))?;
        let socket = watch(Watched(socket)).map_err(|error| Failure::Busy(error.to_string()))?;
        let discovery = u16::from(self.config.discovery_ether_type).to_be_bytes();
        Ok(Some(Watcher {
            socket,
            interface: interface.name.to_string(),
            access: spot.access,
            discovery,
            buffer: RefCell::new(vec![0; SNAPLEN]),
            shared: Rc::clone(shared),
        }))
    }
}

/// The socket in the form that the runtime wants.
struct Watched(WatchSocket);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The next host that looks for a server.
    Next,
    /// This one, which has.
    Host(AccessIndex, MacAddr),
}

/// What the sockets of a trace have in common.
struct Shared {
    wants: Cell<Option<Wanted>>,
    /// Frames that may still come.
    left: Cell<u32>,
    frames: Cell<u64>,
    lost: Cell<u64>,
    /// Those that the console has not been told of.
    untold: Cell<u64>,
    sender: mpsc::Sender<Response>,
}

impl Shared {
    fn lose(&self, count: u64) {
        self.lost.set(self.lost.get() + count);
        self.untold.set(self.untold.get() + count);
    }

    /// Never waits: what the console does not take is lost to it, and counted.
    fn send(&self, batch: Vec<TracedFrame>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let untold = self.untold.get();
        if untold > 0 && self.sender.try_send(Response::Lost { count: untold }).is_ok() {
            self.untold.set(0);
        }
        if count == 0 {
            return;
        }
        match self.sender.try_send(Response::Traced(batch)) {
            Ok(()) => self.frames.set(self.frames.get() + count),
            Err(_) => self.lose(count),
        }
    }
}

/// Ends a trace when it is time.
struct Keeper {
    shared: Rc<Shared>,
    /// Dropped, and so ended, with this.
    watchers: JoinSet<()>,
    session: Option<Weak<()>>,
    deadline: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Keeper {
    async fn run(mut self) {
        let why = self.keep().await;
        let Shared { frames, lost, sender, .. } = &*self.shared;
        let end = CaptureEnd { frames: frames.get(), lost: lost.get(), why: why.to_owned() };
        // Fails only when the console is gone.
        let _ = sender.send(Response::CaptureEnd(end)).await;
    }

    /// Returns why it is over.
    async fn keep(&mut self) -> &'static str {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(self.deadline) => return "the time is over",
                () = self.shared.sender.closed() => return "the console is gone",
                _ = self.watchers.join_next() => {
                    if self.shared.left.get() == 0 {
                        return "that many packets were asked for";
                    }
                    if self.watchers.is_empty() {
                        return "the access interface is gone";
                    }
                }
                _ = looks.tick() => {
                    if self.session.as_ref().is_some_and(|alive| alive.strong_count() == 0) {
                        // Its last frames are on their way.
                        tokio::time::sleep(LOOK).await;
                        return "the session is over";
                    }
                }
            }
        }
    }
}

/// One socket of a trace.
struct Watcher {
    socket: AsyncFd<Watched>,
    interface: String,
    access: AccessIndex,
    /// EtherType.
    discovery: [u8; 2],
    buffer: RefCell<Vec<u8>>,
    shared: Rc<Shared>,
}

impl Watcher {
    /// Ends when nothing more is wanted or can be had.
    async fn run(self) {
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return };
            match self.copy_some() {
                Copied::All => ready.clear_ready(),
                Copied::Some => {}
                Copied::Enough => return,
            }
            // Others have their turn, however many frames there are.
            tokio::task::yield_now().await;
        }
    }

    fn copy_some(&self) -> Copied {
        let socket = &self.socket.get_ref().0;
        let mut buffer = self.buffer.borrow_mut();
        let mut batch = Vec::new();
        let mut copied = Copied::Some;
        for _ in 0..FRAMES_PER_RESPONSE {
            if self.shared.left.get() == 0 {
                copied = Copied::Enough;
                break;
            }
            match socket.recv(&mut buffer) {
                Ok(None) => {}
                Ok(Some(seen)) => {
                    let bytes = buffer.get(..seen.len).unwrap_or_default();
                    if !self.is_wanted(bytes, seen.is_from_peer) {
                        continue;
                    }
                    let mut bytes = bytes.to_vec();
                    cover_secrets(&mut bytes, Secrets::All);
                    self.shared.left.set(self.shared.left.get() - 1);
                    let frame = CapturedFrame {
                        time_ns: now_ns(),
                        is_from_peer: seen.is_from_peer,
                        wire_len: u32::try_from(seen.wire_len).unwrap_or(u32::MAX),
                        bytes,
                    };
                    batch.push(TracedFrame { interface: self.interface.clone(), frame });
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    copied = Copied::All;
                    break;
                }
                // It may come up again: a client whose cable is plugged in is worth to be watched.
                Err(error) if error.kind() == std::io::ErrorKind::NetworkDown => {}
                Err(_) => {
                    copied = Copied::Enough;
                    break;
                }
            }
        }
        let dropped = socket.take_statistics().map_or(0, |statistics| statistics.dropped);
        if dropped > 0 {
            self.shared.lose(dropped.into());
        }
        self.shared.send(batch);
        copied
    }

    /// Whether a frame is of the host that was waited for, which may be the first one that says something.
    fn is_wanted(&self, frame: &[u8], is_from_peer: bool) -> bool {
        let Some(wanted) = self.shared.wants.get() else { return true };
        let Some((destination, rest)) = frame.split_first_chunk::<6>() else { return false };
        let Some((source, rest)) = rest.split_first_chunk::<6>() else { return false };
        let peer = MacAddr(if is_from_peer { *source } else { *destination });
        match wanted {
            Wanted::Host(access, mac) => (access, mac) == (self.access, peer),
            Wanted::Next => {
                let code = rest.get(3).copied().map(Code::from);
                let looks = matches!(code, Some(Code::Padi | Code::Padr));
                let is_new = is_from_peer && rest.starts_with(&self.discovery) && looks;
                if is_new {
                    self.shared.wants.set(Some(Wanted::Host(self.access, peer)));
                }
                is_new
            }
        }
    }
}

/// What was copied of what waits.
enum Copied {
    All,
    Some,
    /// And no more is to be.
    Enough,
}
