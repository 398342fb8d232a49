//! What the process can see of the network and of the file system.

use std::fs::{self, Metadata, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;
use nix::sys::stat::fstat;
use nix::unistd::{chdir, chroot, fchdir};

use super::{StepError, verify};
use crate::netlink::Netlink;
use crate::netns::{self, OWN_NAMESPACE};

/// Enters the namespace and closes its descriptor.
pub(super) fn enter_netns(netns: OwnedFd) -> Result<(), StepError> {
    let wanted = fstat(&netns).map_err(StepError::system("examine the network namespace"))?;
    netns::enter(&netns).map_err(|error| StepError::System {
        action: error.to_string(),
        source: std::io::Error::other(error),
    })?;
    let own = fs::metadata(OWN_NAMESPACE).map_err(StepError::system(format!("examine {OWN_NAMESPACE}")))?;
    verify((own.dev(), own.ino()) == (wanted.st_dev, wanted.st_ino), || {
        "the process is still in another network namespace".into()
    })?;

    let interfaces = Netlink::open().and_then(|mut netlink| netlink.interfaces()).map_err(|error| {
        StepError::System { action: error.to_string(), source: std::io::Error::other(error) }
    })?;
    // Some kernels put fall-back tunnels into every new namespace, down like the loopback interface.
    let up = interfaces.iter().find(|interface| interface.up);
    verify(up.is_none(), || {
        let name = up.map(|interface| interface.id.to_string()).unwrap_or_default();
        format!("interface {name} is up in the network namespace, which has to be empty")
    })
}

/// Makes `path` the root directory and the current one.
pub(super) fn change_root(path: &Path) -> Result<(), StepError> {
    let shown = path.display();
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(StepError::system(format!("open directory {shown}")))?;
    let wanted = directory.metadata().map_err(StepError::system(format!("examine {shown}")))?;
    verify(wanted.uid() == 0 && wanted.mode() & 0o022 == 0, || {
        format!(
            "{shown} belongs to user {} and has mode {:03o}; it has to belong to root, and only root may write it",
            wanted.uid(),
            wanted.mode() & 0o7777
        )
    })?;
    fchdir(&directory).map_err(StepError::system(format!("change to {shown}")))?;
    chroot(".").map_err(StepError::system(format!("make {shown} the root directory")))?;
    chdir("/").map_err(StepError::system("change to the new root directory"))?;
    drop(directory);

    for here in ["/", "."] {
        let found = fs::metadata(here).map_err(StepError::system(format!("examine {here:?}")))?;
        verify(same_file(&found, &wanted), || format!("{here:?} is not {shown}"))?;
    }
    for entry in fs::read_dir("/").map_err(StepError::system(format!("list {shown}")))? {
        let entry = entry.map_err(StepError::system(format!("list {shown}")))?;
        let kind =
            entry.file_type().map_err(StepError::system(format!("examine {:?}", entry.file_name())))?;
        verify(kind.is_socket(), || {
            format!("{shown} contains {:?}; nothing but sockets may be there", entry.file_name())
        })?;
    }
    Ok(())
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
