//! Starting one `ppp-worker` and carrying its messages.
//!
//! Each worker has a task of its own. It makes the descriptors that the worker is born with, has it forked, and
//! then passes messages both ways under time-outs. Whatever the worker does wrong (broken framing, a
//! message that does not parse, a flood, silence at the start) ends in one [`Report`] and its death, and nothing else.

mod prepared;

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use ppp_ipc::adoption::{MIN_VERSION, Welcome};
use ppp_ipc::codec;
use ppp_ipc::frame::FrameDecoder;
use ppp_ipc::worker::{FromWorker, Start, ToWorker, VERSION};
use ppp_linux::counters::SharedCounters;
use ppp_linux::device::Line;
use ppp_linux::interface::InterfaceId;
use ppp_linux::packet::SessionKey;
use ppp_linux::pidfd::{Exit, PidFd};
use ppp_wire::causes::chain;
use ppp_wire::if_name::IfName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::WriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::warn;
use zeroize::Zeroizing;

use self::prepared::{NotPrepared, Prepared, Running, prepare};
use super::adopt::Returning;
use super::devices::Devices;
use super::session::Token;
use super::template::{Worker, WorkerFactory, last_words, wait};
use super::watch::watch;
use crate::text::printable;
use crate::turns;

/// Messages that may wait for a worker. It answers each before the next is due, so more means that it is stuck. There is
/// room for an answer to each of [`MESSAGE_BURST`], so that a flood is called one.
const QUEUE_LEN: usize = 80;

/// Time that a worker has to take a message, and to exit once its socket is closed.
const WORKER_TIMEOUT: Duration = Duration::from_secs(5);

/// Messages that a worker may send at once. A session needs about ten.
pub(super) const MESSAGE_BURST: u32 = 64;

/// Time after which a worker may send one message more. A CHAP challenge each second (`chap-interval 1`) takes two.
const MESSAGE_INTERVAL: Duration = Duration::from_millis(250);

/// What one worker is started with.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) start: Start,
    pub(super) access: InterfaceId,
    pub(super) devices: Devices,
    pub(super) key: SessionKey,
    pub(super) tun: IfName,
}

/// What is left in the supervisor of what a worker was started with.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) tun: InterfaceId,
    /// Whose frames come in there, if it is the session's own device.
    pub(super) line: Option<Line>,
    pub(super) counters: SharedCounters,
}

/// What a worker's task tells the supervisor.
#[derive(Debug)]
pub(super) enum Report {
    /// It runs; its first message will be Ready.
    Started(Started),
    /// There is an interface of the name that its own was to have: it waits for another name. Without one, it is not
    /// started.
    NameInUse(oneshot::Sender<IfName>),
    /// It said something.
    Message(FromWorker),
    /// The system would not start it.
    NotStarted(String),
    /// It broke the rules of its socket; it is being killed.
    Failed(String),
    /// It sent too many messages; it is being killed.
    Flooded,
    /// The process is gone. Always the last report.
    Gone(Gone),
}

impl Report {
    /// What the event loop's turn with it is called.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Started(_) => "worker started",
            Self::NameInUse(_) => "interface name in use",
            Self::Message(_) => "worker message",
            Self::NotStarted(_) => "worker not started",
            Self::Failed(_) | Self::Flooded => "worker failed",
            Self::Gone(_) => "worker gone",
        }
    }
}

/// How a worker went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone(pub(super) Option<Exit>);

impl Gone {
    /// Whether it was killed by a signal that nobody sends it: a mistake in it, which somebody may be making use of.
    fn is_crash(self) -> bool {
        matches!(self.0, Some(Exit::Signal(signal)) if signal != Signal::SIGKILL as i32)
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("the worker was never started"),
            Some(exit) => write!(formatter, "the worker {exit}"),
        }
    }
}

/// The supervisor's hold on a worker's task.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    orders: mpsc::Sender<Order>,
    /// What the worker speaks: [`ppp_ipc::worker::VERSION`], or that of the `pppoed` that it was started by.
    version: u16,
}

/// What a worker's task is told. When nobody is left who could tell it anything, the worker is left alone: it goes on
/// without us ([`super::adopt`]).
#[derive(Debug)]
pub(super) enum Order {
    Send(ToWorker),
    Kill,
    /// The worker has come back, on this socket, and is to be answered this first.
    Attach(UnixStream, Welcome),
}

impl WorkerHandle {
    /// Starts a worker's task. Its reports go to `reports`, with `token`.
    pub(super) fn launch(
        factory: Rc<WorkerFactory>,
        launch: Launch,
        token: Token,
        reports: mpsc::Sender<(Token, Report)>,
    ) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE_LEN);
        let reporter = Reporter { token, reports };
        turns::spawn("worker", async move {
            let gone = run(&factory, launch, queue, &reporter).await;
            reporter.report(Report::Gone(gone)).await;
        });
        Self { orders, version: VERSION }
    }

    /// Begins a task for a worker that another `pppoed` has started, and that is expected back.
    pub(super) fn expect(returning: Returning, token: Token, reports: mpsc::Sender<(Token, Report)>) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE_LEN);
        let reporter = Reporter { token, reports };
        turns::spawn("worker", async move {
            let gone = returning.run(queue, &reporter).await;
            reporter.report(Report::Gone(gone)).await;
        });
        Self { orders, version: MIN_VERSION }
    }

    /// A worker that ended before anybody here knew of it.
    pub(super) fn gone() -> Self {
        Self { orders: mpsc::channel(1).0, version: MIN_VERSION }
    }

    /// The worker is back, and speaks `version`: gives it its answer, and from then on it is as any other.
    pub(super) fn attach(&mut self, stream: UnixStream, welcome: Welcome, version: u16) {
        self.version = version;
        // Full after more orders than are of any use: it is then being killed.
        let _ = self.orders.try_send(Order::Attach(stream, welcome));
    }

    /// Whether it is not too old to know a message.
    pub(super) fn knows(&self, message: &ToWorker) -> bool {
        message.since() <= self.version
    }

    /// Queues a message, unless the worker is too old to know it. A worker whose queue is full is stuck, and is killed.
    pub(super) fn send(&self, message: ToWorker) {
        if !self.knows(&message) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.orders.try_send(Order::Send(message)) {
            self.kill();
        }
    }

    /// Kills the worker with SIGKILL; [`Report::Gone`] follows.
    pub(super) fn kill(&self) {
        let orders = self.orders.clone();
        turns::spawn("worker", async move {
            // Fails only if the task has ended, and the worker with it.
            let _ = orders.send(Order::Kill).await;
        });
    }
}

pub(super) struct Reporter {
    token: Token,
    reports: mpsc::Sender<(Token, Report)>,
}

impl Reporter {
    pub(super) async fn report(&self, report: Report) {
        // Fails only when the supervisor is gone, and then nobody needs it.
        let _ = self.reports.send((self.token, report)).await;
    }
}

/// A worker's life. Returns when its process is gone.
async fn run(
    factory: &Rc<WorkerFactory>,
    mut launch: Launch,
    mut orders: mpsc::Receiver<Order>,
    reporter: &Reporter,
) -> Gone {
    let outcome = match prepare_named(&mut launch, reporter).await {
        // Its client has gone meanwhile.
        Ok(_) if matches!(orders.try_recv(), Ok(Order::Kill)) => return Gone(None),
        Ok(prepared) => {
            launch.start.offloads = prepared.offloads;
            prepared.start(factory).await
        }
        Err(why) => Err(why),
    };
    let (Running { worker, mut stream, mut stderr }, started) = match outcome {
        Ok(running) => running,
        Err(why) => {
            reporter.report(Report::NotStarted(why)).await;
            return Gone(None);
        }
    };
    let pid = worker.pid;
    reporter.report(Report::Started(started)).await;

    let start = codec::encode(&ToWorker::Start(Box::new(launch.start)));
    let first = start.map_err(|error| Parting::Kill(Some(chain(&error))));
    let parting = match first {
        Ok(first) => converse(&mut stream, first, &mut orders, reporter).await,
        Err(parting) => parting,
    };
    // While its socket is open: a worker that sees it close tells its peer, which may not hear anything any more (RFC 2516
    // §5.5).
    if !parting.carry_out(&worker.process, reporter).await {
        return Gone(None);
    }
    drop(stream);
    let Worker { process, entry: _entry, .. } = worker;
    let exit = reap(process, &mut orders, reporter).await;
    let gone = Gone(Some(exit));
    let said = last_words(&mut stderr);
    if !said.is_empty() {
        warn!(worker_pid = pid, said = printable(&said), "worker wrote to standard error");
    }
    if gone.is_crash() {
        factory.renew("a worker crashed").await;
    }
    gone
}

/// Makes the descriptors, under a name that no other program's interface has.
async fn prepare_named(launch: &mut Launch, reporter: &Reporter) -> Result<Prepared, String> {
    loop {
        match prepare(launch).await {
            Ok(prepared) => return Ok(prepared),
            Err(NotPrepared::Failed(why)) => return Err(why),
            Err(NotPrepared::NameInUse) => {
                let (answer, another) = oneshot::channel();
                reporter.report(Report::NameInUse(answer)).await;
                let in_use = |_| format!("there is an interface {} already", launch.tun);
                launch.tun = another.await.map_err(in_use)?;
            }
        }
    }
}

pub(super) fn kill(process: &PidFd) {
    if let Err(error) = process.signal(Signal::SIGKILL) {
        warn!(%error, "cannot kill a worker");
    }
}

/// Why a worker's task and its worker part.
#[derive(Debug)]
pub(super) enum Parting {
    /// The worker closed its socket: it is over, or is about to be.
    HungUp,
    /// It is to be killed, for this reason if the supervisor did not ask for it.
    Kill(Option<String>),
    /// It sent too many messages, and is to be killed.
    Flooded,
    /// `pppoed` ends and leaves its sessions to the next one.
    Left,
}

impl Parting {
    /// Kills the worker if it is to be killed, and reports why. False if it goes on without us.
    pub(super) async fn carry_out(self, process: &PidFd, reporter: &Reporter) -> bool {
        let why = match self {
            Self::Left => return false,
            Self::HungUp => return true,
            Self::Flooded => Some(Report::Flooded),
            Self::Kill(why) => why.map(Report::Failed),
        };
        kill(process);
        if let Some(why) = why {
            reporter.report(why).await;
        }
        true
    }
}

/// Passes messages, `first` before all others, until there is a reason to part.
pub(super) async fn converse(
    stream: &mut UnixStream,
    first: Zeroizing<Vec<u8>>,
    orders: &mut mpsc::Receiver<Order>,
    reporter: &Reporter,
) -> Parting {
    match pass_messages(stream, first, orders, reporter).await {
        Ok(parting) => parting,
        Err(why) => Parting::Kill(Some(why)),
    }
}

async fn pass_messages(
    stream: &mut UnixStream,
    first: Zeroizing<Vec<u8>>,
    orders: &mut mpsc::Receiver<Order>,
    reporter: &Reporter,
) -> Result<Parting, String> {
    let (mut reader, mut writer) = stream.split();
    let mut decoder = FrameDecoder::new();
    let mut budget = Budget::new();
    let mut buffer = vec![0; 4096];
    write(&mut writer, &first).await?;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Send(message)) => {
                    let bytes = codec::encode(&message).map_err(|error| chain(&error))?;
                    write(&mut writer, &bytes).await?;
                }
                Some(Order::Kill) => return Ok(Parting::Kill(None)),
                // It is there already.
                Some(Order::Attach(..)) => {}
                None => return Ok(Parting::Left),
            },
            count = reader.read(&mut buffer) => {
                let count = match count {
                    // It went without reading everything: how it went tells more.
                    Err(error) if is_hang_up(&error) => 0,
                    count => count.map_err(|error| format!("reading from the worker: {error}"))?,
                };
                if count == 0 {
                    return match decoder.is_mid_frame() {
                        true => Err("the worker closed its socket in a message".into()),
                        false => Ok(Parting::HungUp),
                    };
                }
                decoder.take(buffer.get_mut(..count).unwrap_or_default());
                while let Some(body) = decoder.next_frame().map_err(|error| chain(&error))? {
                    if !budget.take() {
                        return Ok(Parting::Flooded);
                    }
                    let message = codec::decode::<FromWorker>(body).map_err(|error| chain(&error))?;
                    reporter.report(Report::Message(message)).await;
                }
            }
        }
    }
}

async fn write(writer: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), String> {
    match timeout(WORKER_TIMEOUT, writer.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        // It closed its socket: what it said before, and its exit status, tell more.
        Ok(Err(error)) if is_hang_up(&error) => Ok(()),
        Ok(Err(error)) => Err(format!("writing to the worker: {error}")),
        Err(_) => Err("the worker does not read its messages".into()),
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Waits for the end of the process, and forces it when it does not come by itself.
pub(super) async fn reap(process: PidFd, orders: &mut mpsc::Receiver<Order>, reporter: &Reporter) -> Exit {
    // Only now is it watched: while a session is idle, its socket tells enough.
    let process = match watch(process) {
        Ok(process) => process,
        Err(error) => {
            warn!(%error, "cannot watch a worker");
            return Exit::Unknown;
        }
    };
    let exits = async {
        loop {
            tokio::select! {
                exit = wait(&process) => return Some(exit),
                order = orders.recv() => if matches!(order, Some(Order::Kill) | None) { return None },
            }
        }
    };
    match timeout(WORKER_TIMEOUT, exits).await {
        Ok(Some(exit)) => return exit,
        Ok(None) => {}
        Err(_) => {
            let why = "the worker closed its socket and did not exit".to_owned();
            reporter.report(Report::Failed(why)).await;
        }
    }
    kill(process.get_ref());
    wait(&process).await
}

/// How many messages a worker may still send: a token bucket.
struct Budget {
    left: u32,
    refilled: tokio::time::Instant,
}

impl Budget {
    fn new() -> Self {
        Self { left: MESSAGE_BURST, refilled: tokio::time::Instant::now() }
    }

    fn take(&mut self) -> bool {
        let elapsed = self.refilled.elapsed();
        let earned = u32::try_from(elapsed.as_millis() / MESSAGE_INTERVAL.as_millis()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(MESSAGE_BURST);
            self.refilled += MESSAGE_INTERVAL.saturating_mul(earned);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_once_and_then_a_steady_rate() {
        let mut budget = Budget::new();
        assert!((0..MESSAGE_BURST).all(|_| budget.take()));
        assert!(!budget.take());
        // Two messages each second, as of a challenge each second, are within it.
        for _ in 0..1000 {
            budget.refilled -= Duration::from_secs(1);
            assert!(budget.take() && budget.take());
        }
        budget.refilled -= Duration::from_secs(3600);
        assert_eq!((0..1000).filter(|_| budget.take()).count(), usize::try_from(MESSAGE_BURST).unwrap());
    }

    #[test]
    fn how_a_worker_went() {
        let gone = |exit| Gone(Some(exit)).to_string();
        assert_eq!(gone(Exit::Status(7)), "the worker exited with status 7");
        assert_eq!(gone(Exit::Signal(31)), "the worker was killed by signal 31 (SIGSYS)");
        assert_eq!(gone(Exit::Signal(40)), "the worker was killed by signal 40 (unknown)");
        assert_eq!(Gone(None).to_string(), "the worker was never started");
    }

    #[test]
    fn a_signal_that_nobody_sends_is_a_crash() {
        let is_crash = |exit| Gone(Some(exit)).is_crash();
        assert!([4, 6, 7, 11, 31].into_iter().all(|signal| is_crash(Exit::Signal(signal))));
        assert!(!is_crash(Exit::Signal(9)) && !is_crash(Exit::Status(101)) && !Gone(None).is_crash());
    }
}
