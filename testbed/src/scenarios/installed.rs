//! The Debian package on a system with systemd: installed, started, restarted under a session, upgraded and purged.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Load, Scenario};
use crate::lab::Lab;
use crate::process::{Process, run_ok};
use crate::world::{Uplink, Wiring};
use crate::{packages, programs};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "installed",
    about: "the Debian package under systemd: start, reload, restart, crash, upgrade, init script, purge",
    peer: "systemd and dpkg of this Debian (User-Mode Linux guest), the test bed's own client",
    load: Load::Waits,
    run,
};

const STEPS: &str = include_str!("installed.sh");
const LIMIT: Duration = Duration::from_secs(400);

/// The guest's service, which is all that the guest boots for. Its output is seen from here as it comes.
const UNIT: &str = "[Unit]\nAfter=basic.target\nRequires=basic.target\n[Service]\nType=oneshot\n\
                    ExecStart=/bin/sh -c 'mkdir /run/spool && mount -t hostfs none /run/spool -o SPOOL && \
                    sh /run/spool/steps.sh /run/spool > /run/spool/steps 2>&1; systemctl poweroff --force'\n";

/// Makes a copy of the machine's files that is gone with the process, and boots it. `$1` is the spool directory.
///
/// The machine's own services stay out of it.
const BOOT: &str = r#"set -eu
spool=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$spool/disk"
mkdir "$spool/disk/changes" "$spool/disk/work" "$spool/disk/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$spool/disk/changes,workdir=$spool/disk/work" "$spool/disk/root"
mount -t tmpfs tmpfs "$spool/disk/root/tmp"
rm -rf "$spool"/disk/root/etc/systemd/system/*.wants "$spool/disk/root/etc/pppoed" "$spool/disk/root/etc/default/pppoed"
rm -f "$spool/disk/root/var/lib/man-db/auto-update"
cp "$spool/steps.service" "$spool/steps.target" "$spool/disk/root/etc/systemd/system/"
ln -sf steps.target "$spool/disk/root/etc/systemd/system/default.target"
exec "$@" "rootflags=$spool/disk/root"
"#;

fn run(lab: &Lab) -> Result<()> {
    let (world, _capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let spool = lab.path().join("spool");
    fs::create_dir_all(spool.join("disk"))?;
    fs::write(spool.join("steps.sh"), STEPS)?;
    let path = spool.to_str().context("a path in UTF-8")?;
    fs::write(spool.join("steps.service"), UNIT.replace("SPOOL", path))?;
    fs::write(spool.join("steps.target"), "[Unit]\nRequires=steps.service\n")?;
    fs::copy(programs::testbed()?, spool.join("testbed"))?;
    fs::set_permissions(spool.join("testbed"), Permissions::from_mode(0o755))?;

    let built = programs::path("pppoed")?;
    let built = built.parent().context("a directory of programs")?;
    let mut package = Command::new(programs::workspace().join("scripts/build-deb"));
    // Packing programs with all that debuggers want takes a minute on a busy machine.
    package.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    run_ok(&world.cli, package.arg(built).arg(&spool))?;

    let mut command = packages::command("unshare")?;
    command
        .args(["--mount", "sh", "-c", BOOT, "boot", path])
        .arg(packages::find("linux.uml").context("linux.uml")?)
        .args(["mem=512M", "rootfstype=hostfs", "rw", "hostfs=/", "con=null", "con0=null,fd:1", "quiet"])
        .args(["init=/lib/systemd/systemd"])
        .current_dir(&spool);
    let console = lab.path().join("installed-console.log");
    let mut guest = Process::start(&world.cli, &mut command, &console)?;
    let ended = guest.wait(LIMIT);
    let steps = fs::read_to_string(spool.join("steps")).unwrap_or_default();
    ended.with_context(|| format!("the guest said:\n{steps}"))?;
    ensure!(steps.contains("\nall steps passed\n"), "the guest said:\n{steps}");
    let figure = steps.lines().find(|line| line.contains("exposure level")).unwrap_or_default();
    println!("    {}", figure.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()));
    Ok(())
}
