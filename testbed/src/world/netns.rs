//! One named network namespace, removed when its guard goes.

use std::fs::{self, File};
use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::proctree;

/// Where iproute2 looks for namespaces, so that `ip netns exec NAME …` works on a running world.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// A network namespace that is bound to a name below [`NETNS_DIR`].
///
/// Dropping it kills what still runs inside and removes the name.
#[derive(Debug)]
pub(crate) struct Netns {
    name: String,
    file: File,
}

impl Netns {
    /// Makes a namespace and gives it a name.
    ///
    /// # Errors
    /// When the kernel refuses, for instance because we are not root.
    pub(crate) fn create(name: &str) -> Result<Self> {
        fs::create_dir_all(NETNS_DIR).with_context(|| format!("create {NETNS_DIR}"))?;
        let path = Path::new(NETNS_DIR).join(name);
        File::create_new(&path).with_context(|| format!("create {}", path.display()))?;
        let bind = || -> Result<()> {
            unshare(CloneFlags::CLONE_NEWNET).context("unshare the network (are you root?)")?;
            let no_data: Option<&str> = None;
            mount(Some("/proc/thread-self/ns/net"), &path, no_data, MsFlags::MS_BIND, no_data)
                .with_context(|| format!("bind {}", path.display()))
        };
        // A thread of its own: unshare() changes the calling thread for good.
        let file = on_thread(bind).and_then(|()| Ok(File::open(&path)?)).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })?;
        Ok(Netns { name: name.to_owned(), file })
    }

    /// The name, as `ip netns` knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The namespace's descriptor, for netlink requests that name another namespace.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Runs `f` on a thread inside the namespace. Sockets made by `f` stay in it.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what `f` returns.
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_thread(|| {
            setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("enter namespace {}", self.name))?;
            f()
        })
    }

    /// Starts `command` inside the namespace.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        self.spawn_prepared(command, || Ok(()))
    }

    /// Starts `command` inside the namespace, after `prepare` has changed the thread that starts it.
    ///
    /// # Errors
    /// What `prepare` returns, or when the program cannot be started.
    pub(crate) fn spawn_prepared(
        &self,
        command: &mut Command,
        prepare: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Child> {
        self.run(|| {
            prepare()?;
            command.spawn().with_context(|| format!("start {}", Path::new(command.get_program()).display()))
        })
    }

    /// Writes a value below `/proc/sys/net` of this namespace.
    ///
    /// # Errors
    /// When the file does not exist or refuses the value.
    pub(crate) fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys/net").join(key);
        self.run(|| fs::write(&path, value).with_context(|| format!("write {}", path.display())))
    }

    /// Names of the interfaces in this namespace.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub(crate) fn interfaces(&self) -> Result<Vec<String>> {
        self.run(|| {
            let listed = nix::net::if_::if_nameindex().context("list interfaces")?;
            Ok(listed.iter().map(|i| i.name().to_string_lossy().into_owned()).collect())
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = remove(&Path::new(NETNS_DIR).join(&self.name)) {
            eprintln!("testbed: cannot remove namespace {}: {error:#}", self.name);
        }
    }
}

/// Kills every process inside the namespace that is bound at `path` and what they started, then removes the name.
///
/// # Errors
/// When the name cannot be removed.
pub(super) fn remove(path: &Path) -> Result<()> {
    for pid in processes_inside(path)? {
        // A worker of pppoed has left the namespace, so ask for the children as well.
        let children = proctree::descendants(pid)?;
        for doomed in iter::once(pid).chain(children) {
            let _ = kill(doomed, Signal::SIGKILL);
        }
    }
    match umount2(path, MntFlags::MNT_DETACH) {
        // Not a mount point: its maker died between creating the file and the mount.
        Ok(()) | Err(nix::Error::EINVAL) => {}
        Err(error) => return Err(error).context("unmount"),
    }
    fs::remove_file(path).context("remove the name")
}

/// The processes whose network namespace is the one at `path`.
fn processes_inside(path: &Path) -> Result<Vec<Pid>> {
    let wanted = fs::metadata(path)?;
    let inside = |namespace: PathBuf| {
        fs::metadata(namespace).is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.filter_map(io::Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if inside(entry.path().join("ns/net")) {
            found.push(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

fn on_thread<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(f).join().map_err(|_| anyhow!("a helper thread panicked"))?)
}
