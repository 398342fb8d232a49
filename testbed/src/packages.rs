//! The Debian packages that the tests and scenarios need. The demo needs none of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A package, and the program that it is needed for.
const PACKAGES: [(&str, &str); 18] = [
    ("busybox-static", "busybox"),
    ("cpio", "cpio"),
    ("ethtool", "ethtool"),
    ("fish", "fish"),
    ("iperf3", "iperf3"),
    ("iproute2", "ip"),
    ("iputils-ping", "ping"),
    ("kmod", "insmod"),
    ("mandoc", "mandoc"),
    ("nftables", "nft"),
    ("ppp", "pppd"),
    ("pppoe", "pppoe-server"),
    ("qemu-system-x86", "qemu-system-x86_64"),
    ("systemd", "journalctl"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("user-mode-linux", "linux.uml"),
    ("zsh", "zsh"),
];

/// Where programs are, whatever the caller's PATH says: root's often lacks the sbin directories.
const DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A command of one of the packages' programs.
///
/// # Errors
/// When the program is not installed.
pub(crate) fn command(program: &str) -> Result<Command> {
    let path =
        find(program).with_context(|| format!("{program} is not installed; `testbed setup` does that"))?;
    Ok(Command::new(path))
}

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    DIRECTORIES.iter().map(|directory| Path::new(directory).join(program)).find(|path| path.exists())
}

/// Installs what is missing and checks that it is there.
///
/// # Errors
/// When apt-get fails, or a program is still missing.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, program)| find(program).is_none()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    update()?;
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], &missing[..]].concat())?;
    match PACKAGES.iter().find(|(_, program)| find(program).is_none()) {
        Some((package, program)) => bail!("{package} was installed, but {program} is missing"),
        None => Ok(()),
    }
}

/// Has apt-get learn what packages there are now.
///
/// # Errors
/// When it fails.
pub(crate) fn update() -> Result<()> {
    apt_get(&["update", "-qq"])
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let output = command.output().context("run apt-get (the tests need Debian's packages)")?;
    if !output.status.success() {
        bail!(
            "apt-get {}: {}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
