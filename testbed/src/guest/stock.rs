//! Debian's own kernel as a guest, in qemu's software emulation: modules, two processors, 250 ticks a second, as admins have it.
//!
//! All absolute times in it mean little; ratios between two servers in the same guest hold.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Guest;
use crate::packages;
use crate::process::Process;
use crate::programs;
use crate::wait;
use crate::world::World;

const INITRD: &str = include_str!("initrd.sh");

/// The package that depends on the current kernel's.
const KERNEL_PACKAGE: &str = "linux-image-amd64";
/// What the initrd needs to mount the host's files.
const BOOT_MODULES: [&str; 3] = ["virtio_pci", "9pnet_virtio", "9p"];
/// Time until the guest's first process runs. On a busy host, the emulated processors now and then stop for ever in the
/// first second of the boot; then it is tried again.
const FIRST_SIGN: Duration = Duration::from_secs(90);
const ATTEMPTS: u32 = 3;
/// Time from there until the guest takes commands.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// Seconds after which the guest ends by itself.
const LIFETIME: u32 = 900;

/// An unpacked kernel, with its modules and an initrd.
#[derive(Debug)]
pub(crate) struct StockKernel {
    directory: PathBuf,
    release: String,
}

impl StockKernel {
    /// Installs the packages, fetches the kernel's package and unpacks it below `target/`, unless that was done before. It is
    /// not installed: this machine boots what it booted.
    ///
    /// # Errors
    /// When a package cannot be downloaded.
    pub(crate) fn prepare() -> Result<Self> {
        packages::install()?;
        let directory = programs::workspace().join("target/stock-kernel");
        fs::create_dir_all(&directory)?;
        let package = kernel_package()?;
        let release = package.strip_prefix("linux-image-").context("the kernel's release")?.to_owned();
        let kernel = Self { directory, release };
        if !kernel.image().exists() {
            kernel.unpack(&package)?;
        }
        kernel.make_initrd()?;
        Ok(kernel)
    }

    fn root(&self) -> PathBuf {
        self.directory.join("kernel")
    }

    fn image(&self) -> PathBuf {
        self.root().join(format!("boot/vmlinuz-{}", self.release))
    }

    fn initrd(&self) -> PathBuf {
        self.directory.join("initrd.gz")
    }

    fn unpack(&self, package: &str) -> Result<()> {
        println!("fetching {package}");
        let download = self.directory.join("download");
        fs::create_dir_all(&download)?;
        run(Command::new("apt-get").args(["download", "-qq", package]).current_dir(&download))?;
        let found = fs::read_dir(&download)?.next().context("apt-get downloaded nothing")??.path();
        // Beside, and renamed: half of a kernel is none.
        let new = self.directory.join("kernel.new");
        run(Command::new("dpkg-deb").arg("-x").arg(&found).arg(&new))?;
        run(Command::new("/sbin/depmod").arg("-b").arg(&new).arg(&self.release))?;
        fs::remove_dir_all(&download)?;
        let _ = fs::remove_dir_all(self.root());
        fs::rename(&new, self.root()).context("put the kernel into its place")
    }

    fn make_initrd(&self) -> Result<()> {
        let tree = self.directory.join("initrd");
        let _ = fs::remove_dir_all(&tree);
        for directory in ["bin", "modules", "proc", "newroot"] {
            fs::create_dir_all(tree.join(directory))?;
        }
        fs::copy(packages::find("busybox").context("busybox")?, tree.join("bin/busybox"))?;
        let mut command = Command::new("/sbin/modprobe");
        command
            .arg("-d")
            .arg(self.root())
            .args(["-S", &self.release, "--show-depends", "-a"])
            .args(BOOT_MODULES);
        // In the order in which they are to be loaded; some are there more than once.
        let mut names = Vec::new();
        for path in run(&mut command)?
            .lines()
            .filter_map(|line| line.strip_prefix("insmod "))
            .map(|path| Path::new(path.trim()))
        {
            let name = path.file_name().context("a module's name")?.to_string_lossy().into_owned();
            if !names.contains(&name) {
                fs::copy(path, tree.join("modules").join(format!("{:02}-{name}", names.len())))
                    .with_context(|| format!("copy {}", path.display()))?;
                names.push(name);
            }
        }
        ensure!(!names.is_empty(), "no modules for {BOOT_MODULES:?}");
        fs::write(tree.join("init"), INITRD)?;
        fs::set_permissions(tree.join("init"), Permissions::from_mode(0o755))?;
        let pack = "find . | cpio -o -H newc 2>/dev/null | gzip -1 > ../initrd.gz";
        run(Command::new("sh").args(["-c", pack]).current_dir(&tree)).map(drop)
    }
}

/// The current kernel's package.
fn kernel_package() -> Result<String> {
    let find = || -> Result<Option<String>> {
        let listed = run(Command::new("apt-cache").args(["depends", KERNEL_PACKAGE]))?;
        let depends = listed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(depends.map(str::to_owned).find(|name| name.starts_with("linux-image-")))
    };
    if let Ok(Some(package)) = find() {
        return Ok(package);
    }
    packages::update()?;
    find()?.with_context(|| format!("{KERNEL_PACKAGE} depends on no kernel"))
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Guest {
    /// Boots Debian's kernel, with `vec0` on `bridge`, and waits until it takes commands. `name` as for [`Guest::start`].
    ///
    /// # Errors
    /// When it does not boot.
    pub(crate) fn boot_stock(
        world: &World,
        bridge: &str,
        name: &str,
        directory: &Path,
        kernel: &StockKernel,
    ) -> Result<Self> {
        let tap = world.add_tap(name, bridge)?;
        for attempt in 1..=ATTEMPTS {
            let guest = Self::start_stock(world, &tap, name, directory, kernel)?;
            let sign = guest.spool.join("booting");
            let booting = wait::until_true("the guest's first process", FIRST_SIGN, || {
                guest.check_alive()?;
                Ok(sign.exists())
            });
            match booting {
                Ok(()) => {
                    guest.ready_within(BOOT_LIMIT)?;
                    return Ok(guest);
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => println!("    the guest stopped in its first second; starting it again"),
            }
        }
        bail!("the guest was not started")
    }

    fn start_stock(
        world: &World,
        tap: &str,
        name: &str,
        directory: &Path,
        kernel: &StockKernel,
    ) -> Result<Self> {
        let (spool, init) = Self::make_spool(directory, name)?;
        let share = |tag: &str, path: &Path| {
            let share = format!("local,id={tag},path={},security_model=none,multidevs=remap", path.display());
            [
                "-fsdev".to_owned(),
                share,
                "-device".into(),
                format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
            ]
        };
        let append = format!(
            "console=ttyS0 panic=-1 quiet mitigations=off no_timer_check edd=off guestinit={} KERNEL={} LIFETIME={LIFETIME}",
            init.display(),
            kernel.root().display(),
        );
        let nic = "virtio-net-pci,netdev=n,mac=02:00:00:00:0d:01,gso=off,guest_tso4=off,guest_tso6=off,guest_csum=off,csum=off";
        let mut command = packages::command("qemu-system-x86_64")?;
        command
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-netdev", &format!("tap,id=n,ifname={tap},script=no,downscript=no"), "-device", nic])
            .args(share("root", Path::new("/")))
            .args(share("spool", &spool))
            .arg("-kernel")
            .arg(kernel.image())
            .arg("-initrd")
            .arg(kernel.initrd())
            .args(["-append", &append])
            .stdin(Stdio::piped());
        let log = directory.join(format!("{name}-console.log"));
        let process = Process::start(&world.cli, &mut command, &log)?;
        Self::of_process(name, "02:00:00:00:0d:01".to_owned(), spool, process)
    }
}
