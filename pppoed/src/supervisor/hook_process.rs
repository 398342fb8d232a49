//! One hook host: its process, and a call of it under a deadline.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ppp_ipc::codec;
use ppp_ipc::frame::FrameDecoder;
use ppp_ipc::hooks::{
    Call, CallError, FileReport, FromHost, Level, Load, PLACE_FD, PLACE_LEN, Question, ROLE, Returned,
    SOCKET_FD, SOURCE_FD, Source, ToHost,
};
use ppp_linux::pidfd::{Exit, PidFd};
use ppp_linux::spawn::Program;
use ppp_wire::causes::chain;
use pppoed_config::hook_scripts::Script;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::Work;
use super::hook_leftovers::Leftovers;
use super::hook_news::{Answered, HookNews, Label, Logged};
use super::template::{last_words, pipe, wait};
use super::watch::watch;
use crate::oom;
use crate::text::printable;
use crate::threads::start_process;

/// Time that all scripts have to be loaded, and a dying host to die.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines of log that one call may write.
const MAX_LOG_LINES: u32 = 200;
/// Time of the event loop that the questions of a call may take at once. Then the call waits.
const QUESTION_BURST: Duration = Duration::from_millis(1);
/// How often that time a call waits: so the questions of one call take at most a fifth of the event loop's time.
const QUESTION_SHARE: u32 = 4;

/// What every host is started with.
#[derive(Debug)]
pub(super) struct HostRecipe {
    /// This program.
    program: Program,
    load: Load,
    texts: File,
    leftovers: Leftovers,
}

impl HostRecipe {
    pub(super) fn new(
        scripts: &[Script],
        memory_limit: u64,
        leftovers: Option<Duration>,
    ) -> Result<Self, String> {
        let program = Program::open("/proc/self/exe".as_ref()).map_err(|error| chain(&error))?;
        let store = || -> io::Result<File> {
            let mut texts = File::from(memfd_create(c"hook scripts", MFdFlags::MFD_CLOEXEC)?);
            for script in scripts {
                texts.write_all(&script.text)?;
            }
            Ok(texts)
        };
        let texts = store().map_err(|error| format!("cannot keep the hook scripts: {error}"))?;
        let files = scripts.iter().map(|script| Source {
            name: script.name.clone(),
            len: u32::try_from(script.text.len()).unwrap_or(u32::MAX),
        });
        let leftovers = Leftovers::new(leftovers);
        Ok(Self { program, load: Load { files: files.collect(), memory_limit }, texts, leftovers })
    }
}

/// Why there is no host.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// The scripts do not load: one message each.
    Scripts(Vec<String>),
    /// The system, or the program, failed.
    Host(String),
}

impl NotStarted {
    pub(super) fn into_messages(self) -> Vec<String> {
        match self {
            Self::Scripts(messages) => messages,
            Self::Host(message) => vec![message],
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum CallEnd {
    /// By itself. The host can go on.
    Returned(Returned),
    /// At its deadline. The host must be ended.
    TimedOut {
        /// Where the script was last seen.
        place: String,
    },
    /// With the host.
    Broken(String),
}

/// A running host.
#[derive(Debug)]
pub(super) struct HostProcess {
    pid: u32,
    process: AsyncFd<PidFd>,
    stream: UnixStream,
    decoder: FrameDecoder,
    place: File,
    stderr: io::PipeReader,
    /// The program that its script runs.
    child: Option<u32>,
    leftovers: Leftovers,
}

impl HostProcess {
    /// Starts a host and has it load the scripts; tells what is in each.
    pub(super) async fn start(recipe: &HostRecipe) -> Result<(Self, Vec<FileReport>), NotStarted> {
        let system = |error: io::Error| NotStarted::Host(format!("cannot start a hook host: {error}"));
        let mut host = Self::execute(recipe).await.map_err(system)?;
        let why = match timeout(PATIENCE, host.load(&recipe.load)).await {
            Ok(Ok(reports)) if reports.len() == recipe.load.files.len() => return Ok((host, reports)),
            Ok(Ok(_)) => NotStarted::Host("a hook host loaded another number of scripts".to_owned()),
            Ok(Err(why)) => why,
            Err(_) => {
                let place = host.place();
                NotStarted::Scripts(vec![format!("{place}: the main chunk does not end in {PATIENCE:?}")])
            }
        };
        let end = host.end().await;
        Err(match why {
            NotStarted::Host(why) => NotStarted::Host(format!("{why} (it {end})")),
            scripts => scripts,
        })
    }

    async fn execute(recipe: &HostRecipe) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (stderr, their_stderr) = pipe()?;
        let place = File::from(memfd_create(c"hook place", MFdFlags::MFD_CLOEXEC)?);
        let map = |parent_fd: OwnedFd, child_fd| FdMapping { parent_fd, child_fd };
        let mut command = recipe.program.command();
        command.arg(ROLE).stdin(Stdio::null()).stdout(Stdio::null()).stderr(their_stderr);
        let mappings = vec![
            map(theirs.into(), SOCKET_FD),
            map(recipe.texts.try_clone()?.into(), SOURCE_FD),
            map(place.try_clone()?.into(), PLACE_FD),
        ];
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        // A group of its own: an interrupt from the terminal is for us.
        command.process_group(0);
        let child = start_process(command).await?;
        oom::do_not_spare(child.id());
        let process = watch(PidFd::open(child.id())?)?;
        Ok(Self {
            pid: child.id(),
            process,
            stream: UnixStream::from_std(ours)?,
            decoder: FrameDecoder::new(),
            place,
            stderr,
            child: None,
            leftovers: recipe.leftovers.clone(),
        })
    }

    async fn load(&mut self, load: &Load) -> Result<Vec<FileReport>, NotStarted> {
        self.send(&ToHost::Load(load.clone())).await.map_err(NotStarted::Host)?;
        loop {
            match self.receive().await.map_err(NotStarted::Host)? {
                FromHost::Loaded(reports) => return Ok(reports),
                FromHost::LoadFailed(errors) => return Err(NotStarted::Scripts(errors)),
                FromHost::Log { level, text } => log(level, &text, &Label::loading(), ""),
                _ => return Err(NotStarted::Host("a hook host said what does not fit".to_owned())),
            }
        }
    }

    /// Calls a function. Questions go to the supervisor.
    pub(super) async fn call(
        &mut self,
        call: Call,
        file: &str,
        label: &Label,
        work: &mpsc::Sender<Work>,
        logged: &mut Logged,
    ) -> CallEnd {
        let deadline = Instant::now() + Duration::from_millis(u64::from(call.deadline_ms));
        let end = timeout_at(deadline, self.converse(call, file, label, work, logged)).await;
        match end {
            Ok(Ok(returned)) => CallEnd::Returned(returned),
            Ok(Err(why)) => CallEnd::Broken(why),
            Err(_) => CallEnd::TimedOut { place: self.place() },
        }
    }

    async fn converse(
        &mut self,
        call: Call,
        file: &str,
        label: &Label,
        work: &mpsc::Sender<Work>,
        logged: &mut Logged,
    ) -> Result<Returned, String> {
        let show = call.show;
        let bytes = match codec::encode(&ToHost::Call(call)) {
            Ok(bytes) => bytes,
            // Nothing was sent, so the host is as good as before.
            Err(error) => return Ok(refused(format!("it cannot be called: {}", chain(&error)))),
        };
        self.write(&bytes).await?;
        let (mut lines, mut spent) = (0_u32, Duration::ZERO);
        loop {
            match self.receive().await? {
                FromHost::Returned(returned) => {
                    if let Some(more) = lines.checked_sub(MAX_LOG_LINES).filter(|more| *more > 0) {
                        warn!(file, hook = label.function, more, "hook exceeded its limit of log lines");
                    }
                    return Ok(*returned);
                }
                FromHost::Log { level, text } => {
                    lines = lines.saturating_add(1);
                    logged.has_failure |= level == Level::Failure;
                    logged.repaired += u64::from(level == Level::Repaired);
                    if lines <= MAX_LOG_LINES {
                        log(level, &text, label, file);
                        if show {
                            logged.lines.push(format!("{level:?}: {}", printable(&text)).to_lowercase());
                        }
                    }
                }
                FromHost::Child(child) => {
                    if let Some(ended) = std::mem::replace(&mut self.child, child) {
                        self.leftovers.program_ended(ended);
                    }
                }
                FromHost::Ask(question) => {
                    let (reply, took) = ask(question, file, work).await?;
                    self.send(&ToHost::Reply(reply)).await?;
                    spent += took;
                    if spent >= QUESTION_BURST {
                        sleep(spent * QUESTION_SHARE).await;
                        spent = Duration::ZERO;
                    }
                }
                FromHost::Loaded(_) | FromHost::LoadFailed(_) => {
                    return Err("it said what does not fit".to_owned());
                }
            }
        }
    }

    async fn send(&mut self, message: &ToHost) -> Result<(), String> {
        let bytes = codec::encode(message).map_err(|error| chain(&error))?;
        self.write(&bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("writing to it: {error}"))
    }

    async fn receive(&mut self) -> Result<FromHost, String> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = self.decoder.next_frame().map_err(|error| chain(&error))? {
                return codec::decode(body).map_err(|error| chain(&error));
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => return Err("it closed its socket".to_owned()),
                Ok(count) => self.decoder.take(buffer.get_mut(..count).unwrap_or_default()),
                Err(error) => return Err(format!("reading from it: {error}")),
            }
        }
    }

    /// Where its script was last seen.
    fn place(&self) -> String {
        let mut note = vec![0; PLACE_LEN];
        let count = self.place.read_at(&mut note, 0).unwrap_or(0);
        let line = note.get(..count).unwrap_or_default().split(|byte| *byte == b'\n').next();
        printable(line.unwrap_or_default())
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(&self) {
        let _ = self.process.readable().await;
    }

    /// Kills it, and the program that its script runs, and waits for it. Tells how it ended.
    pub(super) async fn end(mut self) -> String {
        if let Err(error) = self.process.get_ref().signal(Signal::SIGKILL) {
            warn!(%error, "cannot kill a hook host");
        }
        let exit = timeout(PATIENCE, wait(&self.process)).await.unwrap_or(Exit::Unknown);
        if let Some(group) = self.child.and_then(|child| i32::try_from(child).ok()).filter(|group| *group > 1)
        {
            // Its leader dies with the host; what that has started in its group does not.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let said = last_words(&mut self.stderr);
        if !said.is_empty() {
            warn!(pid = self.pid, said = printable(&said), "hook host wrote to standard error");
        }
        exit.to_string()
    }
}

/// What a call comes to that is not made.
fn refused(message: String) -> Returned {
    Returned { result: Err(CallError { is_nonsense: false, message }), shown: None, is_worn: false }
}

async fn ask(question: Question, file: &str, work: &mpsc::Sender<Work>) -> Result<Answered, String> {
    let (answer, answered) = oneshot::channel();
    let gone = |_| "the server is ending".to_owned();
    let news = HookNews::Asked { question, file: file.to_owned(), answer };
    work.send(Work::Hook(news)).await.map_err(|_| "the server is ending".to_owned())?;
    answered.await.map_err(gone)
}

/// A line of a script's log.
fn log(level: Level, text: &[u8], label: &Label, file: &str) {
    let Label { function, session, ifname, username, peer_mac } = label;
    let text = ppp_wire::escape::Escaped(text).to_string();
    macro_rules! log {
        ($level:ident) => {
            $level!(file, hook = function, session, ifname, username, peer_mac, "{text}")
        };
    }
    match level {
        Level::Debug => log!(debug),
        Level::Info => log!(info),
        Level::Warn | Level::Repaired => log!(warn),
        Level::Error | Level::Failure => log!(error),
    }
}
