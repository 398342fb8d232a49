//! Guests: a whole Linux kernel in a process, PPP included. Most are User-Mode Linux; [`stock`] has Debian's own kernel.

mod pppd;
mod stock;

use std::cell::{Cell, RefCell};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::process::Process;
use crate::wait;
use crate::world::World;

pub(crate) use pppd::{Carrier, Dial};
pub(crate) use stock::StockKernel;

const INIT: &str = include_str!("init.sh");
const BOOT_LIMIT: Duration = Duration::from_secs(40);

/// How a command in the guest ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The shell's exit status.
    pub(crate) status: i32,
    /// Everything the command wrote, stdout and stderr together.
    pub(crate) output: String,
}

/// A guest on an access segment. Dropping it powers it off.
#[derive(Debug)]
pub(crate) struct Guest {
    name: String,
    mac: String,
    spool: PathBuf,
    process: RefCell<Process>,
    console: RefCell<ChildStdin>,
    commands: Cell<u32>,
}

impl Guest {
    /// Starts a guest whose `vec0` is on `bridge`. It is still booting when this returns: see [`Guest::ready`].
    ///
    /// `name` must be unique in the world and short enough for a tap's name; `number` goes into the hardware address.
    ///
    /// # Errors
    /// When User-Mode Linux cannot be started.
    pub(crate) fn start(
        world: &World,
        bridge: &str,
        name: &str,
        number: u8,
        directory: &Path,
    ) -> Result<Self> {
        let tap = world.add_tap(name, bridge)?;
        let (spool, init) = Self::make_spool(directory, name)?;
        let mac = format!("02:00:00:00:0c:{number:02x}");
        let mut command = packages::command("linux.uml")?;
        command
            .args(["mem=128M", "rootfstype=hostfs", "rw", "hostfs=/", "con=null", "con0=fd:0,fd:1", "quiet"])
            .arg(format!("init={}", init.display()))
            .arg(format!("vec0:transport=tap,ifname={tap},depth=128,gro=1,mac={mac}"))
            .arg(format!("SPOOL={}", spool.display()))
            .arg("LIFETIME=240")
            .stdin(Stdio::piped())
            .current_dir(&spool);
        let log = directory.join(format!("{name}-console.log"));
        let process = Process::start(&world.cli, &mut command, &log)?;
        Self::of_process(name, mac, spool, process)
    }

    /// Makes the directory that a guest shares with the test bed, and the guest's first process in it.
    fn make_spool(directory: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        let spool = directory.join(name);
        // Of one that did not boot.
        let _ = fs::remove_dir_all(&spool);
        fs::create_dir_all(&spool)?;
        let init = spool.join("init");
        fs::write(&init, INIT)?;
        fs::set_permissions(&init, Permissions::from_mode(0o755))?;
        Ok((spool, init))
    }

    fn of_process(name: &str, mac: String, spool: PathBuf, mut process: Process) -> Result<Self> {
        let console = process.take_stdin().context("the guest's console")?;
        Ok(Guest {
            name: name.to_owned(),
            mac,
            spool,
            process: RefCell::new(process),
            console: RefCell::new(console),
            commands: Cell::new(0),
        })
    }

    /// Waits until the guest takes commands.
    ///
    /// # Errors
    /// When it does not boot.
    pub(crate) fn ready(&self) -> Result<()> {
        self.ready_within(BOOT_LIMIT)
    }

    fn ready_within(&self, limit: Duration) -> Result<()> {
        let ready = self.spool.join("ready");
        wait::until_true(&format!("guest {} to boot", self.name), limit, || {
            self.check_alive()?;
            Ok(ready.exists())
        })
    }

    /// The name given at the start.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The hardware address of the guest's `vec0`.
    pub(crate) fn mac(&self) -> &str {
        &self.mac
    }

    /// Runs a shell script in the guest.
    ///
    /// # Errors
    /// When the guest dies or the script takes longer than `limit`.
    pub(crate) fn run(&self, script: &str, limit: Duration) -> Result<Done> {
        let number = self.commands.get() + 1;
        self.commands.set(number);
        let file = |kind: &str| self.spool.join(format!("{number}.{kind}"));
        fs::write(file("cmd"), script)?;
        writeln!(self.console.borrow_mut(), "run {number}").context("write to the guest's console")?;

        let first_line = script.lines().next().unwrap_or_default();
        let what = format!("guest {} to run `{first_line}`", self.name);
        wait::until_true(&what, limit, || {
            self.check_alive()?;
            Ok(file("rc").exists())
        })?;
        let status = fs::read_to_string(file("rc"))?;
        let output = String::from_utf8_lossy(&fs::read(file("out"))?).into_owned();
        Ok(Done { status: status.trim().parse().context("exit status")?, output })
    }

    /// As [`Guest::run`] with 30 s, and failure is an error that shows the output.
    ///
    /// # Errors
    /// When the script fails or takes too long.
    pub(crate) fn sh(&self, script: &str) -> Result<String> {
        let done = self.run(script, Duration::from_secs(30))?;
        if done.status != 0 {
            bail!("guest {}: `{script}` ended with {}: {}", self.name, done.status, done.output);
        }
        Ok(done.output)
    }

    /// Makes a program of the host available in the guest, which may have covered its directory, and returns its path
    /// there.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(crate) fn bring(&self, program: &Path) -> Result<String> {
        let name = program.file_name().context("a program's name")?;
        let copy = self.spool.join(name);
        if !copy.exists() {
            fs::copy(program, &copy).with_context(|| format!("copy {}", program.display()))?;
        }
        Ok(format!("/run/spool/{}", name.to_string_lossy()))
    }

    fn check_alive(&self) -> Result<()> {
        let mut process = self.process.borrow_mut();
        match process.ended()? {
            Some(status) => bail!("guest {} ended with {status}: {}", self.name, process.output()?),
            None => Ok(()),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let process = self.process.get_mut();
        // "off" lets the guest flush its log files to the host; if it does not, the process's guard kills it.
        if writeln!(self.console.get_mut(), "off").is_ok() {
            let _ = process.wait(Duration::from_secs(5));
        }
    }
}
