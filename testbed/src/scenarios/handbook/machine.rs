//! A machine for one page: a world, and a server in it with files of its own where an admin's are.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::page::Machine as Place;
use crate::client::{Dialled, dial};
use crate::own_client::numbered_dial_config;
use crate::process::{self, Finished};
use crate::programs;
use crate::wait;
use crate::world::{Uplink, Wiring, World};

/// What the server has for itself: name below our directory, and where it sees it.
const COVERED: [(&str, &str); 6] = [
    ("etc", "/etc"),
    ("run", "/run"),
    ("var-log", "/var/log"),
    ("var-lib", "/var/lib"),
    ("share", "/usr/local/share"),
    ("root", "/root"),
];
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
const DIAL_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(20);

/// One machine with its clients. Dropping it kills what runs on it.
#[derive(Debug)]
pub(super) struct Machine {
    clients: Vec<Dialled>,
    dials: u8,
    directory: PathBuf,
    mounts: File,
    world: World,
}

impl Machine {
    /// A machine on which the programs are installed and nothing is configured. `directory` must not exist yet.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let world = World::build("book", Wiring::AccessOnEth1, Uplink::Isolated)?;
        for (own, _) in COVERED {
            fs::create_dir_all(directory.join(own))?;
        }
        // Programs need what is in /etc; what our own would find there is the machine's, not the page's.
        copy_etc(&directory.join("etc"))?;
        let hooks = directory.join("share/pppoed/hooks");
        fs::create_dir_all(&hooks)?;
        for script in fs::read_dir(programs::workspace().join("scripts"))? {
            let script = script?.path();
            if script.extension().is_some_and(|extension| extension == "lua") {
                fs::copy(&script, hooks.join(script.file_name().unwrap_or_default()))?;
            }
        }
        let bin = directory.join("bin");
        fs::create_dir_all(&bin)?;
        for program in ["pppoed", "pppctl"] {
            symlink(programs::path(program)?, bin.join(program))?;
        }
        let mounts = world.srv.run(|| cover(directory))?;
        Ok(Machine { clients: Vec::new(), dials: 0, directory: directory.to_owned(), mounts, world })
    }

    /// Writes a file as the server sees it, readable by root alone, and by all if it is for all.
    pub(super) fn write(&self, path: &str, content: &str) -> Result<()> {
        let own = COVERED
            .iter()
            .find_map(|(own, seen)| {
                let below = path.strip_prefix(seen)?.strip_prefix('/')?;
                Some(self.directory.join(own).join(below))
            })
            .with_context(|| format!("{path} is not the page's own"))?;
        own.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&own, content).with_context(|| format!("write {path}"))?;
        Ok(fs::set_permissions(&own, fs::Permissions::from_mode(0o600))?)
    }

    /// Types a command, and waits for its end. Standard error is with the output.
    pub(super) fn run(&self, place: Place, command: &str) -> Result<Finished> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec 2>&1; {command}"));
        shell.env_clear().env("TERM", "dumb").env("HOME", "/root").current_dir("/");
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.directory.join("bin").display()));
        match place {
            Place::Client => process::run(&self.world.cli, &mut shell, COMMAND_LIMIT),
            Place::Server => process::run_prepared(&self.world.srv, &mut shell, COMMAND_LIMIT, || {
                unshare(CloneFlags::CLONE_FS).context("unshare the working directory")?;
                setns(&self.mounts, CloneFlags::CLONE_NEWNS).context("enter the server's mounts")
            }),
        }
    }

    /// Adds an interface with nobody behind it.
    pub(super) fn add_interface(&self, name: &str) -> Result<()> {
        self.world.add_empty_access(name)
    }

    /// Dials from another line, and stays. The first client's line is its default route.
    pub(super) fn dial(&mut self, user: &str, password: &str) -> Result<()> {
        let dialled = self.try_dial(user, password)?;
        self.clients.push(dialled);
        Ok(())
    }

    /// Dials from another line.
    pub(super) fn try_dial(&mut self, user: &str, password: &str) -> Result<Dialled> {
        let config = numbered_dial_config(&self.world, self.dials, user, password)?;
        self.dials = self.dials.checked_add(1).context("too many clients")?;
        dial(config, Instant::now() + DIAL_LIMIT)
    }

    /// Ends the server as its admin would, if one runs, and checks that nothing is left.
    pub(super) fn end(mut self) -> Result<()> {
        self.clients.clear();
        if self.directory.join("run/pppoed/control.sock").exists() {
            let ended = self.run(Place::Server, "pppctl shutdown hard --yes")?;
            ensure!(ended.status.success(), "pppctl shutdown hard: {}", ended.stdout);
        }
        wait::until_true("the end of what runs on the machine", END_LIMIT, || {
            Ok(self.processes()?.is_empty())
        })?;
        let interfaces = self.world.srv.interfaces()?;
        match interfaces.iter().find(|name| name.starts_with("ppp")) {
            Some(left) => bail!("the interface {left} was left behind"),
            None => Ok(()),
        }
    }

    /// Everything that has the server's mounts: who daemonized is nobody's child any more.
    fn processes(&self) -> Result<Vec<Pid>> {
        let wanted = self.mounts.metadata()?;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino());
            if fs::metadata(entry.path().join("ns/mnt")).is_ok_and(is_ours) {
                found.push(Pid::from_raw(pid));
            }
        }
        Ok(found)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for pid in self.processes().unwrap_or_default() {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// The machine's /etc without what belongs to PPP.
fn copy_etc(to: &Path) -> Result<()> {
    let status = Command::new("cp").args(["-a", "--", "/etc/."]).arg(to).status().context("run cp")?;
    ensure!(status.success(), "cp -a /etc: {status}");
    for own in ["ppp", "pppoed"] {
        let _ = fs::remove_dir_all(to.join(own));
        fs::create_dir_all(to.join(own))?;
    }
    Ok(())
}

/// Gives the calling thread mounts of its own, with `directory`'s in place of the machine's.
fn cover(directory: &Path) -> Result<File> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("unshare the mounts")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("make the mounts private")?;
    for (own, seen) in COVERED {
        mount(Some(&directory.join(own)), seen, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("cover {seen}"))?;
    }
    File::open("/proc/thread-self/ns/mnt").context("open the mounts")
}
