//! pppoed under test: started as a guide says, with `/etc/ppp`, `/run` and `/var/log` of its own.
//!
//! The server gets a private mount namespace in which those three directories belong to the scenario, so that it can
//! be started with the very commands of the guides and does not see what the machine has there. A bare machine has no
//! `/etc/ppp` to cover; there the flags name the files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::{self, Process};
use crate::proctree;
use crate::programs;
use crate::wait;
use crate::world::{Netns, World};

/// What the scenario replaces: its own directory's name, and the path that the server sees it at.
const REPLACED: [(&str, &str); 3] = [("etc-ppp", "/etc/ppp"), ("run", "/run"), ("var-log", "/var/log")];
const START_LIMIT: Duration = Duration::from_secs(15);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The files and flags of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup<'a> {
    /// The command line, words separated by spaces.
    pub(crate) flags: &'a str,
    /// `/etc/ppp/pppoe-server-options`; not written when empty.
    pub(crate) options: &'a str,
    /// `/etc/ppp/options`; not written when empty.
    pub(crate) common_options: &'a str,
    /// `/etc/ppp/chap-secrets`.
    pub(crate) chap_secrets: &'a str,
    /// `/etc/ppp/pap-secrets`.
    pub(crate) pap_secrets: &'a str,
    /// More files in `/etc/ppp`: name, perhaps with a directory, and content. What begins with `#!` is executable.
    pub(crate) files: &'a [(&'a str, &'a str)],
}

impl Setup<'_> {
    /// CHAP for a user `alice` with the secret `secret`; what else a scenario needs, it says.
    pub(crate) const CHAP: Setup<'static> = Setup {
        flags: "",
        options: "require-chap\n",
        common_options: "",
        chap_secrets: "alice * secret *\n",
        pap_secrets: "",
        files: &[],
    };
}

/// How the server finds the scenario's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// At their usual paths, by mounts that only the server sees.
    Covered,
    /// By flags.
    Flags,
}

/// A running pppoed. Dropping it kills it and its workers; [`Server::stop`] is the orderly way.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    directory: PathBuf,
    /// How often it was started.
    starts: u32,
}

impl Server {
    /// Starts pppoed in the world's server namespace and waits until its control socket answers.
    ///
    /// # Errors
    /// When it does not come up; the error holds its log.
    pub(crate) fn start(world: &World, directory: &Path, setup: &Setup<'_>) -> Result<Self> {
        Self::launch(world, directory, setup, Placement::Covered)
    }

    /// As [`Server::start`], on a machine that need not have any of the usual directories.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start_by_flags(world: &World, directory: &Path, setup: &Setup<'_>) -> Result<Self> {
        Self::launch(world, directory, setup, Placement::Flags)
    }

    fn launch(world: &World, directory: &Path, setup: &Setup<'_>, placement: Placement) -> Result<Self> {
        let directory = directory.join("pppoed");
        prepare_files(&directory, setup)?;
        Self::execute(world, directory, setup, placement, &programs::path("pppoed")?, "pppoed.log")
    }

    /// Ends the server by a signal after which its sessions go on.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) fn lose(&mut self, signal: Signal) -> Result<()> {
        self.process.stop(signal, STOP_LIMIT).map(drop)
    }

    /// Starts a server that was lost again, from this program, with the files that it had. Its log begins anew.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start_again(&mut self, world: &World, setup: &Setup<'_>, program: &Path) -> Result<()> {
        self.starts += 1;
        let log = format!("pppoed-{}.log", self.starts);
        let starts = self.starts;
        *self = Self::execute(world, self.directory.clone(), setup, Placement::Covered, program, &log)?;
        self.starts = starts;
        Ok(())
    }

    fn execute(
        world: &World,
        directory: PathBuf,
        setup: &Setup<'_>,
        placement: Placement,
        program: &Path,
        log: &str,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(setup.flags.split_ascii_whitespace()).arg("-F").current_dir("/");
        if placement == Placement::Flags {
            name_files(&mut command, &directory);
        }
        // Under systemd the test bed has a journal; the log must come to us.
        command.env_remove("JOURNAL_STREAM");
        let log = directory.join(log);
        let process = Process::start_prepared(&world.srv, &mut command, &log, || match placement {
            Placement::Covered => private_mounts(&directory),
            Placement::Flags => Ok(()),
        })?;
        let mut server = Server { process, directory, starts: 1 };
        wait::until_true("pppoed's control socket", START_LIMIT, || {
            if let Some(status) = server.process.ended()? {
                bail!("pppoed ended with {status}:\n{}", server.process.output()?);
            }
            Ok(server.socket().exists() && server.pppctl(&world.srv, &["show", "stats"]).is_ok())
        })?;
        Ok(server)
    }

    /// Runs pppoed with files and flags that it should refuse, and returns what it wrote.
    ///
    /// # Errors
    /// When it starts all the same.
    pub(crate) fn refused(world: &World, directory: &Path, setup: &Setup<'_>) -> Result<String> {
        let directory = tempfile::tempdir_in(directory)?;
        match Self::start(world, directory.path(), setup) {
            Ok(_) => bail!("pppoed started although it should have refused"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_some())
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process id of the supervisor.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What the server has logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn log(&self) -> Result<String> {
        self.process.output()
    }

    /// Waits until a line of the log contains every one of `words`, and returns the line.
    ///
    /// # Errors
    /// When there is none within ten seconds.
    pub(crate) fn wait_for_log(&self, words: &[&str]) -> Result<String> {
        let what = format!("a log line with {words:?}");
        wait::until(&what, Duration::from_secs(10), || {
            let log = self.log()?;
            Ok(log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned))
        })
    }

    /// A file as the server sees it below one of the replaced directories.
    ///
    /// # Errors
    /// When the path is not below one of them, or the file cannot be read.
    pub(crate) fn read_file(&self, path: &str) -> Result<String> {
        let own = self.own_path(path)?;
        fs::read_to_string(&own).with_context(|| format!("read {path} ({})", own.display()))
    }

    /// Replaces the content of a file that the server sees below one of the replaced directories.
    ///
    /// # Errors
    /// When the path is not below one of them, or the file cannot be written.
    pub(crate) fn write_file(&self, path: &str, content: &str) -> Result<()> {
        let own = self.own_path(path)?;
        fs::write(&own, content).with_context(|| format!("write {path} ({})", own.display()))
    }

    fn own_path(&self, path: &str) -> Result<PathBuf> {
        REPLACED
            .iter()
            .find_map(|(own, seen)| {
                Some(self.directory.join(own).join(path.strip_prefix(seen)?.trim_start_matches('/')))
            })
            .with_context(|| format!("{path} is the machine's, not the scenario's"))
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("run/pppoed/control.sock")
    }

    /// `pppctl --json` with `words`, for those who want to run it themselves.
    ///
    /// # Errors
    /// When pppctl has not been built.
    pub(crate) fn pppctl_command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(programs::path("pppctl")?);
        command.arg("--json").arg("--socket").arg(self.socket()).args(words);
        Ok(command)
    }

    /// Runs `pppctl --json` with `words` and returns what it printed.
    ///
    /// # Errors
    /// When pppctl fails or does not print JSON.
    pub(crate) fn pppctl(&self, namespace: &Netns, words: &[&str]) -> Result<Value> {
        let printed = process::run_ok(namespace, &mut self.pppctl_command(words)?)?;
        serde_json::from_str(&printed).with_context(|| format!("pppctl printed {printed:?}"))
    }

    /// What `pppctl` prints for people.
    ///
    /// # Errors
    /// When pppctl fails.
    pub(crate) fn pppctl_table(&self, namespace: &Netns, words: &[&str]) -> Result<String> {
        let mut command = Command::new(programs::path("pppctl")?);
        command.arg("--socket").arg(self.socket()).args(words);
        process::run_ok(namespace, &mut command)
    }

    /// The sessions, as `pppctl --json show sessions` lists them.
    ///
    /// # Errors
    /// When pppctl fails or prints something else.
    pub(crate) fn sessions(&self, world: &World) -> Result<Vec<Value>> {
        let answer = self.pppctl(&world.srv, &["show", "sessions"])?;
        let sessions = answer.get("sessions").and_then(Value::as_array);
        Ok(sessions.with_context(|| format!("no sessions in {answer}"))?.clone())
    }

    /// Everything about one session, as `pppctl --json show session ID` tells it.
    ///
    /// # Errors
    /// When there is no such session.
    pub(crate) fn session(&self, world: &World, id: u64) -> Result<Value> {
        let answer = self.pppctl(&world.srv, &["show", "session", &id.to_string()])?;
        answer.get("session").cloned().with_context(|| format!("no session in {answer}"))
    }

    /// The counters of an access interface, as `pppctl --json show stats` tells them.
    ///
    /// # Errors
    /// When the server does not serve that interface.
    pub(crate) fn interface_stats(&self, world: &World, interface: &str) -> Result<Value> {
        let answer = self.pppctl(&world.srv, &["show", "stats"])?;
        let interfaces =
            answer.pointer("/stats/interfaces").and_then(Value::as_array).context("interfaces")?;
        let found = interfaces.iter().find(|one| one.get("interface").is_some_and(|name| name == interface));
        found.cloned().with_context(|| format!("no interface {interface} in {answer}"))
    }

    /// Waits until there are exactly `count` sessions.
    ///
    /// # Errors
    /// When there are not within `limit`.
    pub(crate) fn wait_for_sessions(
        &self,
        world: &World,
        count: usize,
        limit: Duration,
    ) -> Result<Vec<Value>> {
        wait::until(&format!("{count} sessions"), limit, || {
            let sessions = self.sessions(world)?;
            Ok((sessions.len() == count).then_some(sessions))
        })
    }

    /// Ends the server with SIGTERM and checks that it leaves nothing behind.
    ///
    /// # Errors
    /// When it does not end cleanly, or an interface, a worker or a file stays.
    pub(crate) fn stop(mut self, world: &World) -> Result<()> {
        let workers = proctree::descendants(self.pid())?;
        let status = self.process.stop(Signal::SIGTERM, STOP_LIMIT)?;
        self.check_end(world, status, &workers)
    }

    /// Waits until the server ends by itself, and checks the same.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub(crate) fn wait_end(mut self, world: &World) -> Result<()> {
        let workers = proctree::descendants(self.pid())?;
        let status = self.process.wait(STOP_LIMIT)?;
        self.check_end(world, status, &workers)
    }

    fn check_end(&self, world: &World, status: ExitStatus, workers: &[Pid]) -> Result<()> {
        ensure!(status.success(), "pppoed ended with {status}");
        for worker in workers {
            if let Some(name) = proctree::name_of(*worker) {
                bail!("{name} ({worker}) outlived pppoed");
            }
        }
        let interfaces = world.srv.interfaces()?;
        if let Some(left) = interfaces.iter().find(|name| name.starts_with("ppp")) {
            bail!("the interface {left} was left behind");
        }
        let left = files_below(&self.directory.join("run"))?;
        ensure!(left.is_empty(), "files were left behind: {left:?}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of one that was killed, the maps of its programs would stay in the kernel.
        let _ = ppp_linux::device::forget(&self.directory.join("run/pppoed"));
        if matches!(self.process.ended(), Ok(None)) {
            for worker in proctree::descendants(self.pid()).unwrap_or_default() {
                let _ = kill(worker, Signal::SIGKILL);
            }
        }
    }
}

fn prepare_files(directory: &Path, setup: &Setup<'_>) -> Result<()> {
    for (own, _) in REPLACED {
        fs::create_dir_all(directory.join(own))?;
    }
    let etc = directory.join("etc-ppp");
    let always = [("chap-secrets", setup.chap_secrets), ("pap-secrets", setup.pap_secrets)];
    let sometimes = [("pppoe-server-options", setup.options), ("options", setup.common_options)];
    let sometimes = sometimes.iter().filter(|(_, content)| !content.is_empty());
    for (name, content) in always.iter().chain(sometimes).chain(setup.files) {
        let path = etc.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, content).with_context(|| format!("write {name}"))?;
        let mode = if content.starts_with("#!") { 0o755 } else { 0o600 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Says by flags where the files of [`prepare_files`] are.
fn name_files(command: &mut Command, directory: &Path) {
    let etc = directory.join("etc-ppp");
    for (flag, file) in [
        ("--options-file", "pppoe-server-options"),
        ("--common-options", "options"),
        ("--chap-secrets", "chap-secrets"),
        ("--pap-secrets", "pap-secrets"),
    ] {
        command.arg(flag).arg(etc.join(file));
    }
    command.arg("--run-dir").arg(directory.join("run/pppoed"));
}

/// Gives the calling thread its own view of the replaced directories.
fn private_mounts(directory: &Path) -> Result<()> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("unshare the mounts")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("make the mounts private")?;
    for (own, seen) in REPLACED {
        mount(Some(&directory.join(own)), seen, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("cover {seen}"))?;
    }
    Ok(())
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files_below(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}
