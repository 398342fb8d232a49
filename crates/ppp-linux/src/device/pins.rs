//! Where the maps are pinned (bpf(2), "BPF file system"), so that they stay even if nobody has a program or descriptor of them any more: a
//! directory of /sys/fs/bpf, where distributions mount it.
//!
//! Where there is none (`ip netns exec` has another /sys, and so have containers), the programs at the interfaces keep the maps, and
//! are asked for them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aya::maps::MapData;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{FsType, statfs};
use nix::unistd::gettid;

use super::maps::NAMES;

/// Where there is a BPF file system by default.
const SYSTEM: &str = "/sys/fs/bpf";
/// Our directory on it, which has one for each run directory.
const DIRECTORY: &str = "pppoed";

/// A directory for the maps of one run directory.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// Makes the directory if need be. `None` where there is no BPF file system, or it cannot be written to.
    pub(super) fn open(run_dir: &Path, layout: u32) -> Option<Self> {
        if !is_bpf(Path::new(SYSTEM)) {
            return None;
        }
        let directory =
            Path::new(SYSTEM).join(DIRECTORY).join(name_of(run_dir).ok()?).join(format!("v{layout}"));
        fs::create_dir_all(&directory).ok()?;
        Some(Self { directory })
    }

    /// Runs `work` with a directory that nobody else sees and that is gone afterwards. The loader takes maps that there are from a
    /// directory only.
    pub(super) fn with_scratch<T: Send>(
        run_dir: &Path,
        work: impl FnOnce(&Self) -> T + Send,
    ) -> io::Result<T> {
        let number = AtomicI32::new(0);
        let in_own_namespace = || -> io::Result<T> {
            number.store(gettid().as_raw(), Ordering::Relaxed);
            unshare(CloneFlags::CLONE_NEWNS)?;
            let nothing = None::<&str>;
            mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
            mount(Some("bpf"), run_dir, Some("bpf"), MsFlags::empty(), nothing)?;
            Ok(work(&Self { directory: run_dir.to_owned() }))
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, in_own_namespace)?;
            let outcome = thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
            wait_for_end(number.load(Ordering::Relaxed));
            outcome
        })
    }

    /// Where each map is to be.
    pub(super) fn paths(pins: Option<&Self>) -> Vec<(&'static str, PathBuf)> {
        let Some(pins) = pins else { return Vec::new() };
        NAMES.into_iter().map(|name| (name, pins.directory.join(name))).collect()
    }

    /// Whether all maps are there.
    pub(super) fn is_complete(&self) -> bool {
        NAMES.iter().all(|name| self.directory.join(name).exists())
    }

    /// Pins maps that were found otherwise.
    pub(super) fn keep(&self, maps: &[(&'static str, MapData)]) -> io::Result<()> {
        self.clear()?;
        for (name, map) in maps {
            map.pin(self.directory.join(name)).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Forgets the maps.
    pub(super) fn clear(&self) -> io::Result<()> {
        for name in NAMES {
            match fs::remove_file(self.directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets the maps, and takes away the directory.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.clear()?;
        // Above there are other layouts, and other run directories.
        for directory in self.directory.ancestors().take(3) {
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Forgets the maps of a `pppoed` that was killed and whose run directory is about to be removed; else they stay until the machine is
/// started again. Those of one that runs go on, but no other finds them.
///
/// # Errors
/// When the directory is not there, or what is pinned cannot be removed.
pub fn forget(run_dir: &Path) -> io::Result<()> {
    let facts = fs::metadata(run_dir)?;
    // It may have another path in the namespace of that `pppoed`.
    let own = identity(&facts);
    for entry in fs::read_dir(Path::new(SYSTEM).join(DIRECTORY)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(&own) {
            for layout in fs::read_dir(entry.path())?.flatten() {
                Pins { directory: layout.path() }.remove()?;
            }
        }
    }
    Ok(())
}

/// Taking its namespace apart, the kernel still counts a thread that has ended, and there may be no room for another one beside it.
fn wait_for_end(number: i32) {
    let entry = format!("/proc/self/task/{number}");
    let give_up = Instant::now() + Duration::from_secs(1);
    while Path::new(&entry).exists() && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A name that no other run directory has, not even one of the same path in another container. A BPF file system has no names with
/// dots.
fn name_of(run_dir: &Path) -> io::Result<String> {
    let facts = fs::metadata(run_dir)?;
    let path: String =
        run_dir.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let path = path.get(path.len().saturating_sub(64)..).unwrap_or_default();
    Ok(format!("{}{}", path.trim_matches('_'), identity(&facts)))
}

fn identity(facts: &fs::Metadata) -> String {
    format!("_{:x}_{}", facts.dev(), facts.ino())
}

fn is_bpf(path: &Path) -> bool {
    statfs(path).is_ok_and(|facts| facts.filesystem_type() == FsType(libc::BPF_FS_MAGIC))
}
