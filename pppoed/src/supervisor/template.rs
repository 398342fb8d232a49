//! The template that workers are forked from: started, asked, and started again when it fails.
//!
//! One task owns it ([`keep`]) and takes one request at a time. A template that dies, hangs or says what it should
//! not is killed and replaced; running sessions notice nothing, for their workers are this process's own children.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::pending;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use ppp_ipc::codec;
use ppp_ipc::template::{DESCRIPTORS, FromTemplate, NETNS_FD, SOCKET_FD, SandboxParameters, ToTemplate};
use ppp_ipc::worker::VERSION;
use ppp_linux::pidfd::{Exit, PidFd, next_ended_in_group};
use ppp_linux::records::{RecordError, RecordSocket};
use ppp_linux::spawn::Program;
use ppp_wire::causes::chain;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::watch::watch;
use crate::message::WORKERS_UNAVAILABLE;
use crate::oom;
use crate::text::printable;
use crate::threads::start_process;
use crate::turns;

/// Requests that may wait for the template. More dials than this wait before they ask.
const QUEUE_LEN: usize = 256;

/// Time that a template has to enter its sandbox, and then to answer a request, which takes it 100 µs.
const PATIENCE: Duration = Duration::from_secs(3);

/// Least time between the start of a template that failed and the start of the next one.
const RESTART_INTERVAL: Duration = Duration::from_secs(1);

/// Time until the start of a template is tried again that was not possible. Dials are refused until then.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How often, and for how long, the workers are looked for that a template forked just before it failed.
const STRAY_INTERVAL: Duration = Duration::from_millis(200);
const STRAY_ROUNDS: u32 = 50;

/// Bytes that may wait in somebody's standard error: the kernel's least.
const PIPE_SIZE: i32 = 4096;

/// What every template is started with.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) program: WorkerProgram,
    /// The empty network namespace that all workers share.
    pub(super) netns: OwnedFd,
    pub(super) sandbox: SandboxParameters,
}

/// The workers' program.
#[derive(Debug)]
pub(super) enum WorkerProgram {
    /// As it was at the start.
    Open(Program),
    /// It was not there then, and may be when it is needed.
    At(PathBuf),
}

impl WorkerProgram {
    /// Starts it, when `prepare` has said with what.
    async fn start(&self, prepare: impl FnOnce(&mut Command) -> io::Result<()>) -> io::Result<Child> {
        let opened;
        let program = match self {
            Self::Open(program) => program,
            Self::At(path) => {
                opened = Program::open(path).map_err(|error| io::Error::other(chain(&error)))?;
                &opened
            }
        };
        let mut command = program.command();
        prepare(&mut command)?;
        start_process(command).await
    }
}

/// Makes workers.
#[derive(Debug)]
pub(super) struct WorkerFactory {
    requests: mpsc::Sender<Request>,
    is_running: Rc<Cell<bool>>,
}

/// The process ids of the workers that somebody waits for.
type Known = Rc<RefCell<BTreeSet<u32>>>;

#[derive(Debug)]
enum Request {
    /// Fork a worker with these descriptors.
    Birth { descriptors: [OwnedFd; DESCRIPTORS], answer: oneshot::Sender<Birth> },
    /// Replace the template, as this has happened.
    Renew(&'static str),
    /// End the template, and start no other.
    Stop(oneshot::Sender<()>),
}

/// A worker, or why there is none.
type Birth = Result<Worker, String>;

/// A worker's process, which is a child of this one.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: u32,
    pub(super) process: PidFd,
    /// To be kept until the process was waited for.
    pub(super) entry: Entry,
}

/// A process id's place among those that somebody waits for.
#[derive(Debug)]
pub(super) struct Entry {
    pid: u32,
    known: Known,
}

impl Entry {
    fn new(pid: u32, known: &Known) -> Self {
        known.borrow_mut().insert(pid);
        Self { pid, known: known.clone() }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.known.borrow_mut().remove(&self.pid);
    }
}

impl WorkerFactory {
    /// Starts the first template. Must be called in the runtime's `LocalSet`.
    pub(super) fn start(recipe: Recipe) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE_LEN);
        let is_running = Rc::new(Cell::new(false));
        turns::spawn("template", keep(recipe, queue, Known::default(), is_running.clone()));
        Self { requests, is_running }
    }

    /// Whether there is a template.
    pub(super) fn is_running(&self) -> bool {
        self.is_running.get()
    }

    /// Forks a worker; `descriptors` are those of [`ToTemplate::Fork`].
    pub(super) async fn birth(&self, descriptors: [OwnedFd; DESCRIPTORS]) -> Result<Worker, String> {
        let (answer, answered) = oneshot::channel();
        let gone = "the template's task has ended";
        self.requests.send(Request::Birth { descriptors, answer }).await.map_err(|_| gone)?;
        answered.await.map_err(|_| gone)?
    }

    /// Replaces the template. All workers of one template have the same layout of memory, which a peer that made its
    /// worker crash may be about to find out. `why` completes a sentence of the log.
    pub(super) async fn renew(&self, why: &'static str) {
        // Fails only when the supervisor is gone.
        let _ = self.requests.send(Request::Renew(why)).await;
    }

    /// Ends the template; returns when it is gone.
    pub(super) async fn stop(&self) {
        let (answer, stopped) = oneshot::channel();
        // Both fail only if it has ended.
        let _ = self.requests.send(Request::Stop(answer)).await;
        let _ = stopped.await;
    }
}

/// Keeps a template running and hands it the requests.
async fn keep(recipe: Recipe, mut queue: mpsc::Receiver<Request>, known: Known, is_running: Rc<Cell<bool>>) {
    let mut earliest = Instant::now();
    loop {
        sleep_until(earliest).await;
        earliest = Instant::now() + RESTART_INTERVAL;
        let mut template = match Template::start(&recipe).await {
            Ok(template) => template,
            Err(why) => {
                warn!(name: WORKERS_UNAVAILABLE.name, reason = why, "{}", WORKERS_UNAVAILABLE.words);
                earliest = Instant::now() + RETRY_INTERVAL;
                if !refuse_until(earliest, &mut queue, &why).await {
                    return;
                }
                continue;
            }
        };
        let pid = template.pid;
        is_running.set(true);
        let outcome = template.serve(&mut queue, &known).await;
        is_running.set(false);
        if let Outcome::Failed { why, .. } = &outcome {
            warn!(reason = why, "worker template failed; restarting it, sessions continue");
        }
        template.end().await;
        match outcome {
            Outcome::Stop(_answered_when_dropped) => return,
            Outcome::Renew(why) => {
                info!("restarting the worker template: {why}");
                earliest = Instant::now();
            }
            Outcome::Failed { unanswered, .. } => {
                // Now nobody else has what the worker would have been born with.
                if let Some(answer) = unanswered {
                    let _ = answer.send(Err("worker template failed".to_owned()));
                }
                turns::spawn("template", reap_strays(pid, known.clone()));
            }
        }
    }
}

/// Nothing can be started until then. False when nothing is to be started any more.
async fn refuse_until(time: Instant, queue: &mut mpsc::Receiver<Request>, why: &str) -> bool {
    loop {
        tokio::select! {
            () = sleep_until(time) => return true,
            request = queue.recv() => match request {
                None | Some(Request::Stop(_)) => return false,
                Some(Request::Renew(_)) => {}
                Some(Request::Birth { answer, .. }) => drop(answer.send(Err(why.to_owned()))),
            },
        }
    }
}

/// Why a template is not used any longer.
enum Outcome {
    /// The supervisor is done; it waits for this to be dropped.
    Stop(Option<oneshot::Sender<()>>),
    /// Somebody asked for another one, as this has happened.
    Renew(&'static str),
    Failed {
        why: String,
        unanswered: Option<oneshot::Sender<Birth>>,
    },
}

/// A running template.
struct Template {
    pid: u32,
    process: AsyncFd<PidFd>,
    socket: AsyncFd<RecordSocket>,
    stderr: io::PipeReader,
}

impl Template {
    async fn start(recipe: &Recipe) -> Result<Self, String> {
        let template = Self::execute(recipe).await.map_err(|error| chain(&error))?;
        let enter = ToTemplate::Enter { version: VERSION, sandbox: recipe.sandbox.clone() };
        let why = match template.ask(&enter, &[]).await {
            Ok(FromTemplate::Ready { version: VERSION }) => return Ok(template),
            Ok(FromTemplate::Ready { version }) => {
                format!("it has version {version} of the worker protocol, and this is {VERSION}")
            }
            Ok(FromTemplate::Failed { why }) => printable(why.as_bytes()),
            Ok(_) => "it said something else than that it is ready".to_owned(),
            Err(why) => why,
        };
        template.end().await;
        Err(why)
    }

    async fn execute(recipe: &Recipe) -> io::Result<Self> {
        let (ours, theirs) = RecordSocket::pair()?;
        ours.set_nonblocking()?;
        let (stderr, their_stderr) = pipe()?;
        let map = |parent_fd: OwnedFd, child_fd| FdMapping { parent_fd, child_fd };
        let child = recipe
            .program
            .start(|command| {
                command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    // Neither it nor a worker may write to our log or terminal by itself.
                    .stderr(their_stderr)
                    .fd_mappings(vec![
                        map(theirs.into(), SOCKET_FD),
                        map(recipe.netns.try_clone()?, NETNS_FD),
                    ])
                    .map_err(io::Error::other)?;
                // A group of its own, and its workers': an interrupt from the terminal is for us, and we end them in order.
                command.process_group(0);
                Ok(())
            })
            .await?;
        oom::do_not_spare(child.id());
        let process = watch(PidFd::open(child.id())?)?;
        Ok(Self { pid: child.id(), process, socket: watch(ours)?, stderr })
    }

    /// Hands over requests until there is a reason to stop.
    async fn serve(&mut self, queue: &mut mpsc::Receiver<Request>, known: &Known) -> Outcome {
        loop {
            let request = tokio::select! {
                request = queue.recv() => request,
                _ = self.process.readable() => {
                    return Outcome::Failed { why: "it ended".to_owned(), unanswered: None };
                }
            };
            let (descriptors, answer) = match request {
                None => return Outcome::Stop(None),
                Some(Request::Stop(answer)) => return Outcome::Stop(Some(answer)),
                Some(Request::Renew(why)) => return Outcome::Renew(why),
                Some(Request::Birth { descriptors, answer }) => (descriptors, answer),
            };
            // Nobody waits any more: the session ended meanwhile.
            if answer.is_closed() {
                continue;
            }
            match self.birth(&descriptors, known).await {
                // A worker that nobody waits for any more has its socket closed, and goes.
                Ok(outcome) => drop(answer.send(outcome)),
                Err(why) => return Outcome::Failed { why, unanswered: Some(answer) },
            }
        }
    }

    /// `Err` when the template is of no use any more; `Ok(Err)` when there is no worker.
    async fn birth(&self, descriptors: &[OwnedFd; DESCRIPTORS], known: &Known) -> Result<Birth, String> {
        let borrowed = descriptors.each_ref().map(AsFd::as_fd);
        match self.ask(&ToTemplate::Fork, &borrowed).await? {
            FromTemplate::Forked { pid } => {
                // Nobody but us can wait for our child, so the number is still its own.
                let process = PidFd::open(pid).map_err(|error| format!("worker {pid}: {error}"))?;
                match process.is_child() {
                    Ok(true) => {}
                    _ => return Err(format!("it gave process {pid} for a worker, which is not our child")),
                }
                Ok(Ok(Worker { pid, process, entry: Entry::new(pid, known) }))
            }
            FromTemplate::NotForked { why } => {
                Ok(Err(format!("cannot fork a worker: {}", printable(why.as_bytes()))))
            }
            FromTemplate::Ready { .. } | FromTemplate::Failed { .. } => {
                Err("it answered what was not asked".to_owned())
            }
        }
    }

    /// Sends a message and waits for the answer.
    async fn ask(
        &self,
        message: &ToTemplate,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<FromTemplate, String> {
        let bytes = codec::encode(message).map_err(|error| chain(&error))?;
        // One request at a time: the socket has room.
        self.socket.get_ref().send(&bytes, descriptors).map_err(|error| format!("writing to it: {error}"))?;
        let record = match timeout(PATIENCE, receive(&self.socket)).await {
            Ok(Ok(Some(record))) => record,
            Ok(Ok(None)) => return Err("it closed its socket".to_owned()),
            Ok(Err(error)) => return Err(chain(&error)),
            Err(_) => return Err("it did not answer in time".to_owned()),
        };
        codec::decode_frame(&record.bytes).map_err(|error| chain(&error))
    }

    /// Kills it and waits for it: whatever it was about to do is done, or will not be.
    async fn end(mut self) {
        if let Err(error) = self.process.get_ref().signal(Signal::SIGKILL) {
            warn!(%error, "cannot kill the worker template");
        }
        let exit = wait(&self.process).await;
        let said = last_words(&mut self.stderr);
        if !matches!(exit, Exit::Signal(9) | Exit::Status(0)) || !said.is_empty() {
            warn!(pid = self.pid, said = printable(&said), "worker template {exit}");
        }
    }
}

async fn receive(socket: &AsyncFd<RecordSocket>) -> Result<Option<ppp_linux::records::Record>, RecordError> {
    loop {
        let mut guard = socket.readable().await.map_err(RecordError::Receive)?;
        match socket.get_ref().receive() {
            Err(RecordError::Receive(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                guard.clear_ready();
            }
            Err(RecordError::Receive(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Waits for the end of a process.
pub(super) async fn wait(process: &AsyncFd<PidFd>) -> Exit {
    loop {
        let Ok(mut guard) = process.readable().await else { return pending().await };
        match process.get_ref().exit() {
            Ok(Some(exit)) => return exit,
            Ok(None) => guard.clear_ready(),
            Err(error) => {
                warn!(%error, "cannot wait for a process");
                return Exit::Unknown;
            }
        }
    }
}

/// A pipe for somebody's standard error: our end and theirs. It takes a page, and neither end waits: who writes more
/// than that gets an error.
pub(super) fn pipe() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    let (ours, theirs) = io::pipe()?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    fcntl(&theirs, FcntlArg::F_SETFL(OFlag::O_WRONLY | OFlag::O_NONBLOCK))?;
    fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE))?;
    Ok((ours, theirs))
}

/// What was written to a standard error by somebody who has ended: the first of it, and nobody reads more.
pub(super) fn last_words(stderr: &mut io::PipeReader) -> Vec<u8> {
    let mut said = vec![0; crate::text::MAX_SHOWN];
    let count = stderr.read(&mut said).unwrap_or(0);
    said.truncate(count);
    said
}

/// Waits for workers whose process id the template did not live to tell. They see that their socket is closed, and
/// exit; nobody else knows them.
async fn reap_strays(template: u32, known: Known) {
    for _ in 0..STRAY_ROUNDS {
        sleep(STRAY_INTERVAL).await;
        // The children in the template's process group are its workers.
        while let Ok(Some(pid)) = next_ended_in_group(template) {
            if known.borrow().contains(&pid) {
                break;
            }
            if PidFd::open(pid).and_then(|stray| stray.exit()).is_ok() {
                info!(pid, "unknown worker exited");
            }
        }
    }
}
