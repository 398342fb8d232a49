//! `exec`: programs, without a shell.

mod obstacle;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ppp_ipc::hooks::FromHost;
use ppp_linux::child::set_apart;
use ppp_linux::pidfd::{Exit, PidFd};
use pppoed_config::hook_scripts;

use super::super::host::Host;
use super::{Api, When};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most bytes of standard input, output and error.
const MAX_TEXT: usize = 1 << 20;
const DEFAULT_OUTPUT: usize = 64 << 10;
/// pppd's umask for its scripts.
const DEFAULT_UMASK: u32 = 0o077;
/// What is written to a program or read from it at once.
const PIECE: usize = 16 << 10;

/// What to execute, and how.
#[derive(Debug)]
pub(super) struct Order {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
    timeout: Option<Duration>,
    directory: PathBuf,
    umask: u32,
    max_output: usize,
    is_quiet: bool,
    trusted_only: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) exit: Exit,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) timed_out: bool,
    truncated: bool,
}

/// Why nothing was executed: a message, and a word for scripts.
#[derive(Debug)]
pub(super) struct NotExecuted {
    pub(super) message: String,
    kind: &'static str,
}

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    api.add(globals, ("exec", "exec"), When::InCalls, |lua, host, table: Table| {
        let order = Order::from_table(&table)?;
        match order.carry_out(host) {
            Ok(outcome) => Ok(MultiValue::from_iter([Value::Table(outcome.into_table(lua)?)])),
            Err(NotExecuted { message, kind }) => {
                let message = lua.create_string(message)?;
                let kind = lua.create_string(kind)?;
                Ok(MultiValue::from_iter([Value::Nil, Value::String(message), Value::String(kind)]))
            }
        }
    })
}

impl Order {
    /// A program with arguments and standard input, for our own use.
    pub(super) fn new(words: &[&str], stdin: Vec<u8>) -> Self {
        Self {
            words: words.iter().map(OsString::from).collect(),
            environment: vec![("PATH".into(), PATH.into())],
            stdin: Some(stdin),
            timeout: None,
            directory: "/".into(),
            umask: DEFAULT_UMASK,
            max_output: DEFAULT_OUTPUT,
            is_quiet: false,
            trusted_only: false,
        }
    }

    fn from_table(table: &Table) -> mlua::Result<Self> {
        let mut order = Self { stdin: None, ..Self::new(&[], Vec::new()) };
        let mut clear_environment = false;
        let mut environment = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            let key = match key {
                Value::Integer(_) => continue,
                Value::String(key) => key.to_string_lossy(),
                other => return Err(wrong(format!("a key is a {}", other.type_name()))),
            };
            match (key.as_str(), &value) {
                ("env", Value::Table(variables)) => environment = variables_of(variables)?,
                ("clear_env", Value::Boolean(clear)) => clear_environment = *clear,
                ("stdin", Value::String(text)) if text.as_bytes().len() <= MAX_TEXT => {
                    order.stdin = Some(text.as_bytes().to_vec());
                }
                ("timeout", Value::Integer(_) | Value::Number(_)) => {
                    let seconds = value.as_number().filter(|seconds| (0.0..=1e6).contains(seconds));
                    let seconds = seconds.ok_or_else(|| wrong("\"timeout\" is no number of seconds"))?;
                    order.timeout = Some(Duration::from_secs_f64(seconds));
                }
                ("cwd", Value::String(path)) => order.directory = PathBuf::from(word(path)?),
                ("umask", Value::Integer(mask)) => {
                    let mask = u32::try_from(*mask).ok().filter(|mask| *mask <= 0o777);
                    order.umask = mask.ok_or_else(|| wrong("\"umask\" must be from 0 to 511, octal 777"))?;
                }
                ("max_output", Value::Integer(bytes)) => {
                    let bytes = usize::try_from(*bytes).ok().filter(|bytes| *bytes <= MAX_TEXT);
                    order.max_output =
                        bytes.ok_or_else(|| wrong(format!("\"max_output\" must be from 0 to {MAX_TEXT}")))?;
                }
                ("output", Value::String(what)) => {
                    order.is_quiet = match &*what.as_bytes() {
                        b"null" => true,
                        b"capture" => false,
                        _ => return Err(wrong("\"output\" must be \"capture\" or \"null\"")),
                    }
                }
                ("trusted_only", Value::Boolean(only)) => order.trusted_only = *only,
                (key, value) => {
                    return Err(wrong(format!(
                        "{key:?} is not known, or must not be this {}",
                        value.type_name()
                    )));
                }
            }
        }
        for value in table.sequence_values::<Value>() {
            order.words.push(match value? {
                Value::String(text) => word(&text)?,
                Value::Integer(number) => number.to_string().into(),
                other => {
                    let (number, kind) = (order.words.len() + 1, other.type_name());
                    return Err(wrong(format!("word {number} is a {kind}, not a string")));
                }
            });
        }
        if table.raw_len() != order.words.len() || order.words.first().is_none_or(|word| word.is_empty()) {
            return Err(wrong("the list must hold a program and its arguments, without gaps"));
        }
        if clear_environment {
            order.environment.clear();
        }
        order.environment.extend(environment);
        Ok(order)
    }

    pub(super) fn carry_out(&self, host: &Host) -> Result<Outcome, NotExecuted> {
        let failed = |message: String| NotExecuted { message, kind: "failed" };
        let name = self.words.first().map_or_else(OsString::new, Clone::clone);
        let shown = ppp_wire::escape::Escaped(name.as_bytes()).to_string();
        let missing = || NotExecuted { message: format!("{shown}: no such program"), kind: "missing" };
        let program = find(&name).ok_or_else(missing)?;
        if self.trusted_only {
            match hook_scripts::distrust(&program) {
                Ok(None) => {}
                Ok(Some(exposure)) => {
                    return Err(NotExecuted { message: format!("{shown}: {exposure}"), kind: "untrusted" });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
                Err(error) => return Err(failed(format!("{shown}: {error}"))),
            }
        }
        let mut command = Command::new(&program);
        command.args(self.words.iter().skip(1)).env_clear().envs(self.environment.iter().cloned());
        command.current_dir(&self.directory);
        let output = || if self.is_quiet { Stdio::null() } else { Stdio::piped() };
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(output()).stderr(output());
        let child = match set_apart(&mut command, self.umask).spawn() {
            Ok(child) => child,
            Err(error) => {
                let why = obstacle::explain(&program, &self.directory, &error);
                return Err(why.map_or_else(missing, failed));
            }
        };
        host.tell(&FromHost::Child(Some(child.id())));
        let left = host.time_left();
        let outcome = self.attend(child, self.timeout.map_or(left, |timeout| timeout.min(left)));
        host.tell(&FromHost::Child(None));
        outcome.map_err(|error| failed(format!("{shown}: {error}")))
    }

    /// Feeds a program, listens to it and waits for its end.
    fn attend(&self, mut child: Child, patience: Duration) -> io::Result<Outcome> {
        let until = Instant::now() + patience;
        let pid = child.id();
        let process = PidFd::open(pid)?;
        let mut stdin = child.stdin.take().zip(self.stdin.as_deref());
        let mut stdout = Capture::new(child.stdout.take(), self.max_output);
        let mut stderr = Capture::new(child.stderr.take(), self.max_output);
        for fd in
            [stdin.as_ref().map(|(pipe, _)| pipe.as_fd()), stdout.fd(), stderr.fd()].into_iter().flatten()
        {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let mut timed_out = false;
        let exit = loop {
            if let Some(exit) = process.exit()? {
                break exit;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() && !timed_out {
                timed_out = true;
                kill_group(pid, &process);
            }
            let wait = if timed_out { Duration::from_secs(1) } else { left };
            wait_for(&process, stdin.as_ref().map(|(pipe, _)| pipe.as_fd()), &stdout, &stderr, wait)?;
            stdin = stdin.and_then(|(pipe, rest)| feed(pipe, rest));
            stdout.read();
            stderr.read();
        };
        // What is there already; who was left running in the background may write more, and is not waited for.
        stdout.read();
        stderr.read();
        let truncated = stdout.truncated || stderr.truncated;
        Ok(Outcome { exit, stdout: stdout.bytes, stderr: stderr.bytes, timed_out, truncated })
    }
}

/// Kills a program and what it has started in its process group.
fn kill_group(pid: u32, process: &PidFd) {
    // It has not been waited for, so the number is still its own.
    if let Ok(group) = i32::try_from(pid) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = process.signal(Signal::SIGKILL);
}

fn wait_for<'a>(
    process: &'a PidFd,
    stdin: Option<std::os::fd::BorrowedFd<'a>>,
    stdout: &'a Capture<impl AsFd>,
    stderr: &'a Capture<impl AsFd>,
    time: Duration,
) -> io::Result<()> {
    let mut events = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    events.extend(stdin.map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
    events.extend(
        [stdout.fd(), stderr.fd()].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)),
    );
    // Rounded up, so that the deadline has passed when nothing happens until then.
    let milliseconds = i32::try_from(time.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    match poll(&mut events, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes what there is room for. `None` when all was written, or nobody reads.
fn feed(mut pipe: std::process::ChildStdin, rest: &[u8]) -> Option<(std::process::ChildStdin, &[u8])> {
    if rest.is_empty() {
        return None;
    }
    match pipe.write(rest.get(..PIECE).unwrap_or(rest)) {
        Ok(count) => rest.get(count..).filter(|rest| !rest.is_empty()).map(|rest| (pipe, rest)),
        Err(error) if is_temporary(&error) => Some((pipe, rest)),
        Err(_) => None,
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What a program writes.
struct Capture<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl<P: AsFd> Capture<P> {
    fn new(pipe: Option<P>, limit: usize) -> Self {
        Self { pipe, bytes: Vec::new(), limit, truncated: false }
    }

    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }
}

impl<P: Read> Capture<P> {
    /// Reads what is there. What is beyond the limit is read too, so that the program goes on.
    fn read(&mut self) {
        let mut piece = vec![0; PIECE];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = self.limit.saturating_sub(self.bytes.len()).min(count);
                    self.bytes.extend_from_slice(piece.get(..room).unwrap_or_default());
                    self.truncated |= room < count;
                    if count < PIECE {
                        return;
                    }
                }
                Err(error) if is_temporary(&error) => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

impl Outcome {
    /// Whether it exited with status 0.
    pub(super) fn is_success(&self) -> bool {
        !self.timed_out && self.exit == Exit::Status(0)
    }

    fn into_table(self, lua: &Lua) -> mlua::Result<Table> {
        let table = lua.create_table()?;
        table.raw_set("ok", self.is_success())?;
        match self.exit {
            Exit::Status(status) => table.raw_set("status", status)?,
            Exit::Signal(signal) => table.raw_set("signal", signal)?,
            Exit::Unknown => {}
        }
        table.raw_set("timed_out", self.timed_out)?;
        table.raw_set("truncated", self.truncated)?;
        table.raw_set("stdout", lua.create_string(self.stdout)?)?;
        table.raw_set("stderr", lua.create_string(self.stderr)?)?;
        Ok(table)
    }
}

fn wrong(message: impl Into<String>) -> mlua::Error {
    mlua::Error::runtime(message.into())
}

/// Text that can be passed to a program: the system ends words at a zero byte.
fn word(text: &LuaString) -> mlua::Result<OsString> {
    let bytes = text.as_bytes().to_vec();
    match bytes.contains(&0) {
        true => Err(wrong("a word holds a zero byte, which no program can be given")),
        false => Ok(OsString::from_vec(bytes)),
    }
}

fn variables_of(table: &Table) -> mlua::Result<Vec<(OsString, OsString)>> {
    let mut variables = Vec::new();
    for pair in table.pairs::<LuaString, Value>() {
        let (name, value) = pair?;
        let name = word(&name)?;
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(wrong(format!("{name:?} cannot be the name of a variable")));
        }
        let value = match value {
            Value::String(text) => word(&text)?,
            Value::Integer(number) => number.to_string().into(),
            other => return Err(wrong(format!("variable {name:?} is a {}", other.type_name()))),
        };
        variables.push((name, value));
    }
    variables.sort();
    Ok(variables)
}

/// The program's file.
fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(name.into());
    }
    PATH.split(':').map(|directory| Path::new(directory).join(name)).find(|path| path.is_file())
}
