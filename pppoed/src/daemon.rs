//! Going to the background without a fork: the program starts itself again.
//!
//! A bare fork of a program with threads is unsound, and the parent must not say that all is well before the
//! child listens. So the parent executes the program anew with a pipe, and waits until the child
//! writes to it ("ready"), or exits.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use command_fds::{CommandFdExt, FdMapping};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ppp_linux::spawn::take_inherited;

/// Names the descriptor of the pipe in the child's environment.
const READY_VARIABLE: &str = "PPPOED_READY_FD";
/// Descriptor of the pipe in the child.
const READY_FD: i32 = 3;

/// What the child tells the parent once it listens.
#[derive(Debug)]
pub struct Readiness {
    pipe: Option<File>,
}

impl Readiness {
    /// Whether this process was started by [`start_in_background`], and the pipe to its parent.
    ///
    /// Must be called first in `main`, before a descriptor is opened.
    pub fn from_environment() -> Self {
        let ours = env::var_os(READY_VARIABLE).is_some_and(|value| value == *READY_FD.to_string());
        let pipe = ours.then(|| take_inherited([READY_FD]).ok()).flatten().map(|[pipe]| File::from(pipe));
        Self { pipe }
    }

    /// Whether this is the child that runs in the background.
    pub fn is_background(&self) -> bool {
        self.pipe.is_some()
    }

    /// Tells the parent that all is well and gives up the terminal's standard error.
    ///
    /// # Errors
    /// When `/dev/null` cannot be opened.
    pub fn announce(&mut self) -> anyhow::Result<()> {
        let Some(mut pipe) = self.pipe.take() else {
            return Ok(());
        };
        // The parent may have been killed; that changes nothing for us.
        let _ = pipe.write_all(b"1");
        let null = File::options().read(true).write(true).open("/dev/null").context("/dev/null")?;
        nix::unistd::dup2_stderr(&null).context("closing standard error")?;
        Ok(())
    }
}

/// Starts this program again in a session of its own, and waits until it says that it is ready.
///
/// Errors of the child are on our standard error already, so only its exit status is passed on.
///
/// # Errors
/// When the program cannot be started.
pub fn start_in_background() -> anyhow::Result<ExitCode> {
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args(env::args_os().skip(1))
        .arg0(env::args_os().next().unwrap_or_else(|| "pppoed".into()))
        .env(READY_VARIABLE, READY_FD.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .fd_mappings(vec![FdMapping { parent_fd: OwnedFd::from(writer), child_fd: READY_FD }])
        .context("mapping the pipe")?;
    let mut child = command.spawn().context("starting in the background")?;
    // Closes our copy of the writing end, so that the child's death ends the read.
    drop(command);
    let mut answer = Vec::new();
    File::from(OwnedFd::from(reader))
        .read_to_end(&mut answer)
        .context("waiting for the background process")?;
    if answer.is_empty() {
        let status = child.wait().context("waiting for the background process")?;
        return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Leaves the terminal's session and gives the process its name; for the child, before anything else.
///
/// # Errors
/// When the system refuses it, which it does only for a process-group leader.
pub fn leave_terminal() -> anyhow::Result<()> {
    nix::unistd::setsid().context("setsid")?;
    // The kernel took the name from /proc/self/exe; admins look for the program by its own.
    ppp_linux::spawn::set_process_name("pppoed").context("setting the process's name")?;
    Ok(())
}

/// Descriptors that one session takes here: its worker's socket, standard error and process, its counters,
/// and its place among the sessions of its interface.
const DESCRIPTORS_PER_SESSION: u64 = 5;
/// Descriptors for all else: sockets, consoles, files, the sessions that are being started.
const OTHER_DESCRIPTORS: u64 = 512;

/// Descriptors without which no session can be: those above the number from which the worker program's own is kept on, for
/// sockets, hook hosts, and a few sessions.
const LEAST_DESCRIPTORS: u64 = 160;

/// How many descriptors a configuration needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorNeed {
    /// To start, and for a few sessions.
    pub least: u64,
    /// With all sessions and access interfaces.
    pub all: u64,
}

impl DescriptorNeed {
    /// For so many sessions and access interfaces; an interface needs no more than a session.
    pub fn of(users: usize) -> Self {
        let users = u64::try_from(users).unwrap_or(u64::MAX);
        let all = users.saturating_mul(DESCRIPTORS_PER_SESSION).saturating_add(OTHER_DESCRIPTORS);
        Self { least: LEAST_DESCRIPTORS.min(all), all }
    }

    /// About how many sessions are possible with so many descriptors.
    pub fn sessions_within(self, limit: u64) -> u64 {
        limit.saturating_sub(LEAST_DESCRIPTORS) / DESCRIPTORS_PER_SESSION
    }
}

/// Raises the limit of open descriptors, which is 1024 on most systems, to what is needed, or as far as the system lets us.
///
/// # Errors
/// When that is less than needed; then the system will refuse sessions as well.
pub fn raise_descriptor_limit(need: DescriptorNeed) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading the limit of open files")?;
    if soft >= need.all {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, need.all, hard.max(need.all)).or_else(|errno| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Err(errno).with_context(|| format!("raising the limit of open files from {hard} to {}", need.all))
    })
}

/// Keeps what is in our memory, all passwords among it, out of core files, and from other processes that are root's but
/// have no privileges.
///
/// For all that `pppoed` is, hook hosts too. To look into one that fails, attach a debugger as root.
///
/// # Errors
/// When the kernel refuses.
pub fn keep_memory_private() -> anyhow::Result<()> {
    nix::sys::prctl::set_dumpable(false).context("prctl(PR_SET_DUMPABLE)")?;
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).context("reading the limit of core files")?;
    // The hard limit stays, for programs that hooks start.
    setrlimit(Resource::RLIMIT_CORE, 0, hard).context("setting the limit of core files")
}

/// Another `pppoed` has something that only one may have.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct InUse(String);

/// Whether the error of [`PidFile::create`] is that another `pppoed` runs.
pub fn is_in_use(error: &anyhow::Error) -> bool {
    error.is::<InUse>()
}

/// A file with our process id, locked for as long as we run.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Holds the lock.
    _lock: Flock<File>,
}

impl PidFile {
    /// Writes our process id to `path` and locks it (`pppoe-server -X`).
    ///
    /// # Errors
    /// When the file cannot be written, or a running process has locked it.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .with_context(|| format!("{shown}: cannot open the pid file (-X)"))?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => {
                bail!(InUse(format!("{shown}: another pppoed has locked the pid file (-X)")))
            }
            Err((_, errno)) => bail!("{shown}: cannot lock the pid file (-X): {errno}"),
        };
        let (ours, named) = (lock.metadata(), path.metadata());
        if !matches!((&ours, &named), (Ok(ours), Ok(named)) if ours.ino() == named.ino()) {
            // Its owner removed it between our opening and locking it.
            bail!(InUse(format!("{shown}: another pppoed has just stopped; start again (-X)")));
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .with_context(|| format!("{shown}: cannot write the pid file (-X)"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A left-over file does no harm: it is not locked.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_locked_and_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pppoed.pid");
        std::fs::write(&path, "99999999 left over").unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let second = PidFile::create(&path).unwrap_err();
        assert!(format!("{second:#}").contains("another pppoed has locked"), "{second:#}");
        drop(file);
        assert!(!path.exists());
    }
}
