//! Reading configuration files with care.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// Opens a regular file for reading. Never waits for a FIFO's other end.
///
/// # Errors
/// Those of the system, and [`io::ErrorKind::InvalidInput`] for what is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let copy = copy_of(path)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(copy.as_deref().unwrap_or(path))
        .inspect_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                note_read(path, None);
            }
        })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    note_read(path, Some(Stamp::from(&metadata)));
    Ok((file, metadata))
}

/// Reads an open file to its end, into memory that is wiped when dropped.
///
/// # Errors
/// Those of the system, and [`io::ErrorKind::FileTooLarge`] above `limit` bytes.
pub fn read_all(file: File, metadata: &Metadata, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes"));
    if metadata.len() > limit {
        return Err(too_large());
    }
    let room = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    // Room for the whole file at once: growing would leave copies of secrets behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut contents)?;
    if u64::try_from(read).is_ok_and(|read| read > limit) {
        // It grows.
        return Err(too_large());
    }
    Ok(contents)
}

/// Reads a regular file of at most `limit` bytes. A larger one is not read at all.
///
/// # Errors
/// As of [`open_regular`] and [`read_all`].
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let (file, metadata) = open_regular(path)?;
    read_all(file, &metadata, limit)
}

/// The bytes EF BB BF, which editors of Windows put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// As [`read_all`], for what people write: without the byte order mark that may stand before UTF-8 text, of which it is no
/// part (RFC 3629 §6).
///
/// # Errors
/// As of [`read_all`], and [`io::ErrorKind::InvalidData`] for UTF-16.
pub fn read_text(file: File, metadata: &Metadata, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut contents = read_all(file, metadata, limit)?;
    if contents.starts_with(BYTE_ORDER_MARK) {
        // Moves the rest within its memory, so that no copy of secrets stays behind.
        contents.drain(..BYTE_ORDER_MARK.len());
    } else if contents.starts_with(b"\xff\xfe") || contents.starts_with(b"\xfe\xff") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is in UTF-16: save it as UTF-8"));
    }
    Ok(contents)
}

/// Writes a file that only we can read, and its directory if that is not there: beside, then renames, so that after a
/// crash there is the old file or the new one. May block.
///
/// # Errors
/// Those of the system; the file is then as it was.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The new name, too, is to be there after a crash.
        File::open(directory)?.sync_all()
    };
    write().inspect_err(|_| {
        // Half of it is of no use to anybody, and takes the space that is missing.
        let _ = fs::remove_file(&beside);
    })
}

/// What tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The state of the file at `path` now. May block.
    ///
    /// # Errors
    /// When there is no such file, or it may not be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.metadata()?))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The files that were looked at, and how each was; none: it was not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads(BTreeMap<PathBuf, Option<Stamp>>);

impl Reads {
    /// Each file, in order of its name.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Option<&Stamp>)> {
        self.0.iter().map(|(path, stamp)| (path.as_path(), stamp.as_ref()))
    }

    /// These and `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

thread_local! {
    /// What [`recorded`] is to tell, while it runs on this thread.
    static READS: RefCell<Option<Reads>> = const { RefCell::new(None) };
    /// What [`with_copies`] reads instead, while it runs on this thread.
    static COPIES: RefCell<BTreeMap<PathBuf, Option<PathBuf>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Does `work`, and tells which files it looked at with [`open_regular`] on this thread.
pub fn recorded<T>(work: impl FnOnce() -> T) -> (T, Reads) {
    READS.set(Some(Reads::default()));
    let outcome = work();
    (outcome, READS.take().unwrap_or_default())
}

fn note_read(path: &Path, stamp: Option<Stamp>) {
    READS.with_borrow_mut(|reads| {
        if let Some(Reads(reads)) = reads {
            reads.insert(path.to_owned(), stamp);
        }
    });
}

/// Does `work` with these copies in place of files, and others as if they were not there, for [`open_regular`] on this
/// thread.
pub fn with_copies<T>(copies: BTreeMap<PathBuf, Option<PathBuf>>, work: impl FnOnce() -> T) -> T {
    COPIES.set(copies);
    let outcome = work();
    COPIES.take();
    outcome
}

/// The copy that is to be read instead, if any.
fn copy_of(path: &Path) -> io::Result<Option<PathBuf>> {
    COPIES.with_borrow(|copies| match copies.get(path) {
        None => Ok(None),
        Some(Some(copy)) => Ok(Some(copy.clone())),
        Some(None) => Err(io::ErrorKind::NotFound.into()),
    })
}

/// A way in which somebody other than root (or ourselves) could read or change a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exposure {
    /// Others may write the file, which they may read: a program or script.
    #[error("its mode {0:04o} lets other users change it: chmod go-w it")]
    Changeable(u32),
    /// A directory above the file can be written by others, who could replace the file.
    #[error("directory {0:?} can be changed by other users than root: chown root and chmod go-w it")]
    Directory(PathBuf),
    /// The file belongs to somebody else.
    #[error("it belongs to user id {0}, not to root: chown it")]
    Owner(u32),
    /// Others may read the file.
    #[error("its mode {0:04o} lets other users read it: chmod 600 it")]
    Readable(u32),
    /// Others may write the file.
    #[error("its mode {0:04o} lets other users change it: chmod 600 it")]
    Writable(u32),
}

impl Exposure {
    /// Others may change what the file says, not only read it.
    pub fn is_unsafe(&self) -> bool {
        !matches!(self, Self::Readable(_))
    }
}

/// In which way others could change an open file that they may read, such as a program, if in any.
pub fn exposure_to_change(path: &Path, metadata: &Metadata) -> Option<Exposure> {
    exposure(path, metadata).filter(Exposure::is_unsafe).map(|exposure| match exposure {
        Exposure::Writable(mode) => Exposure::Changeable(mode),
        other => other,
    })
}

/// The worst exposure of an open file that holds secrets, if any.
pub fn exposure(path: &Path, metadata: &Metadata) -> Option<Exposure> {
    let mode = metadata.mode() & 0o7777;
    if !is_trusted(metadata.uid()) {
        Some(Exposure::Owner(metadata.uid()))
    } else if mode & 0o022 != 0 {
        Some(Exposure::Writable(mode))
    } else if let Some(directory) = exposed_directory(path) {
        Some(Exposure::Directory(directory))
    } else if mode & 0o077 != 0 {
        Some(Exposure::Readable(mode))
    } else {
        None
    }
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// The first directory above `path` where somebody else could put another file in its place. Of a link, this is about
/// what it leads to.
fn exposed_directory(path: &Path) -> Option<PathBuf> {
    first_exposed(path.canonicalize().ok()?.parent()?)
}

/// As [`Exposure::Directory`], of a link itself: where somebody else could make it lead elsewhere.
pub fn exposed_parent(path: &Path) -> Option<PathBuf> {
    first_exposed(&path.parent()?.canonicalize().ok()?)
}

fn first_exposed(directory: &Path) -> Option<PathBuf> {
    const STICKY: u32 = 0o1000;
    let exposed = |directory: &&Path| {
        directory.metadata().is_ok_and(|metadata| {
            let others_write = metadata.mode() & 0o022 != 0 && metadata.mode() & STICKY == 0;
            others_write || !is_trusted(metadata.uid())
        })
    };
    directory.ancestors().find(exposed).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn exposures_by_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets");
        fs::write(&path, "x").unwrap();
        for (mode, expected) in [
            (0o600, None),
            (0o400, None),
            (0o640, Some(Exposure::Readable(0o640))),
            (0o604, Some(Exposure::Readable(0o604))),
            (0o660, Some(Exposure::Writable(0o660))),
            (0o602, Some(Exposure::Writable(0o602))),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposure(&path, &path.metadata().unwrap()), expected, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        let real = directory.path().canonicalize().unwrap();
        assert_eq!(exposure(&path, &path.metadata().unwrap()), Some(Exposure::Directory(real)));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        let read = |contents: &[u8]| {
            fs::write(&path, contents).unwrap();
            let (file, metadata) = open_regular(&path).unwrap();
            read_text(file, &metadata, 100).map(|text| text.to_vec()).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbfalice"), Ok(b"alice".to_vec()));
        assert_eq!(read(b"alice\xef\xbb\xbf"), Ok(b"alice\xef\xbb\xbf".to_vec()));
        assert_eq!(read(b"\xef\xbb"), Ok(b"\xef\xbb".to_vec()));
        for utf16 in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a"] {
            assert_eq!(read(utf16), Err("it is in UTF-16: save it as UTF-8".to_owned()));
        }
    }

    /// "chmod 600" would take away the right to execute it.
    #[test]
    fn a_program_stays_executable_as_advised() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ip-up");
        fs::write(&path, "x").unwrap();
        let advice = |mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            exposure_to_change(&path, &path.metadata().unwrap()).map(|exposure| exposure.to_string())
        };
        assert_eq!(advice(0o755), None);
        assert_eq!(advice(0o775), Some("its mode 0775 lets other users change it: chmod go-w it".to_owned()));
    }

    #[test]
    fn only_regular_files_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(open_regular(directory.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(open_regular(&fifo).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let path = directory.path().join("file");
        fs::write(&path, "12345").unwrap();
        let read = |limit| {
            let (file, metadata) = open_regular(&path).unwrap();
            read_all(file, &metadata, limit).map(|contents| contents.to_vec())
        };
        assert_eq!(read(5).unwrap(), b"12345");
        assert_eq!(read(4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
