//! A child process with its output in a file, ended at the latest when its guard goes.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::wait;
use crate::world::Netns;

/// A running program. Dropping the guard kills it and its process group.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `namespace`, in a process group of its own, with stdout and stderr going to `log`.
    ///
    /// # Errors
    /// When the program cannot be started or `log` not written.
    pub(crate) fn start(namespace: &Netns, command: &mut Command, log: &Path) -> Result<Self> {
        Self::start_prepared(namespace, command, log, || Ok(()))
    }

    /// As [`Process::start`], after `prepare` has changed the thread that starts the program.
    ///
    /// # Errors
    /// As [`Process::start`], and what `prepare` returns.
    pub(crate) fn start_prepared(
        namespace: &Netns,
        command: &mut Command,
        log: &Path,
        prepare: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = namespace.spawn_prepared(command, prepare)?;
        let group = Pid::from_raw(i32::try_from(child.id()).context("pid")?);
        Ok(Process { name, child, group, log: log.to_owned() })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> Pid {
        self.group
    }

    /// The write end of the child's stdin, when the command asked for a pipe.
    pub(crate) fn take_stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// What the program has written so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn output(&self) -> Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The exit status, when the program has ended.
    ///
    /// # Errors
    /// When the kernel does not know the child.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until the program has written a text.
    ///
    /// # Errors
    /// When it ends before that, or `limit` passes.
    pub(crate) fn wait_for_output(&mut self, text: &str, limit: Duration) -> Result<()> {
        let what = format!("{:?} from {}", text, self.name);
        wait::until_true(&what, limit, || {
            if self.output()?.contains(text) {
                return Ok(true);
            }
            match self.child.try_wait()? {
                Some(status) => bail!("{} ended with {status}: {}", self.name, self.output()?),
                None => Ok(false),
            }
        })
    }

    /// Sends a signal to the program alone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        nix::sys::signal::kill(self.group, signal).with_context(|| format!("send {signal} to {}", self.name))
    }

    /// Waits for the program's own end.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait::until(&what, limit, || Ok(self.child.try_wait()?))
    }

    /// Sends a signal and waits for the end.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub(crate) fn stop(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(signal)?;
        self.wait(limit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = killpg(self.group, Signal::SIGKILL);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Starts a short-lived `command` in `namespace` and collects its output.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
}

/// Runs `command` in `namespace` to its end, with nothing on stdin.
///
/// # Errors
/// When it cannot be started or takes longer than `limit`.
pub(crate) fn run(namespace: &Netns, command: &mut Command, limit: Duration) -> Result<Finished> {
    run_prepared(namespace, command, limit, || Ok(()))
}

/// As [`run`], after `prepare` has changed the thread that starts the program.
///
/// # Errors
/// As [`run`], and what `prepare` returns.
pub(crate) fn run_prepared(
    namespace: &Netns,
    command: &mut Command,
    limit: Duration,
    prepare: impl FnOnce() -> Result<()> + Send,
) -> Result<Finished> {
    let directory = tempfile::tempdir()?;
    let (stdout, stderr) = (directory.path().join("stdout"), directory.path().join("stderr"));
    command
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?)
        .process_group(0);
    let child = namespace.spawn_prepared(command, prepare)?;
    let group = Pid::from_raw(i32::try_from(child.id()).context("pid")?);
    let name = Path::new(command.get_program()).display().to_string();
    let mut process = Process { name, child, group, log: stdout.clone() };
    let status = process.wait(limit)?;
    let read = |path: &Path| -> Result<String> { Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned()) };
    Ok(Finished { status, stdout: read(&stdout)?, stderr: read(&stderr)? })
}

/// As [`run`], with a minute's time, and failure is an error that shows what the program said.
///
/// # Errors
/// When the program cannot be started, takes too long or fails.
pub(crate) fn run_ok(namespace: &Netns, command: &mut Command) -> Result<String> {
    let finished = run(namespace, command, Duration::from_secs(60))?;
    if !finished.status.success() {
        bail!("{:?}: {}: {}{}", command, finished.status, finished.stdout, finished.stderr);
    }
    Ok(finished.stdout)
}
