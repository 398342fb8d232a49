//! The last configuration that was good, kept for a start that finds the files of now to be bad while there are sessions to
//! take over: a mistake in a file is no reason to end the sessions of everybody.
//!
//! `RUN_DIR/last-good` has the command line, and a copy of every file that made up the configuration, or the note that it was
//! not there. It is written whenever a configuration was good (a start, a reload), and goes with the last session.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use pppoed_config::files::{self, Reads};
use serde::{Deserialize, Serialize};

/// Directory below the run directory.
const DIRECTORY: &str = "last-good";
/// What is in it, written last.
const INDEX: &str = "index.json";
/// Most bytes of a file that is kept, and of all of them: they lie in memory, as a rule.
const MAX_FILE: u64 = 16 << 20;
const MAX_ALL: u64 = 32 << 20;

/// The index. Names of files may be of any bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    words: Vec<Vec<u8>>,
    directory: Vec<u8>,
    /// A file, and the name of its copy; none: it was not there.
    files: Vec<(Vec<u8>, Option<String>)>,
}

/// A configuration that was good, with the copies of its files.
#[derive(Debug)]
pub struct LastGood {
    /// The command line, program first.
    pub words: Vec<OsString>,
    /// The working directory in which it was given.
    pub directory: PathBuf,
    /// Each file, and its copy; none: it was not there.
    pub files: BTreeMap<PathBuf, Option<PathBuf>>,
    /// When it was kept.
    pub kept: SystemTime,
}

/// Keeps a configuration that was read from `files`, in place of the one before. May block.
///
/// # Errors
/// Those of the system, and [`io::ErrorKind::FileTooLarge`]. The one before is gone then, or stays.
pub fn keep(run_dir: &Path, words: &[OsString], working: &Path, reads: &Reads) -> io::Result<()> {
    replace_directory(&run_dir.join(DIRECTORY), |beside| write(beside, words, working, reads))
}

fn write(beside: &Path, words: &[OsString], working: &Path, reads: &Reads) -> io::Result<()> {
    let mut index = Index {
        words: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
        directory: working.as_os_str().as_bytes().to_vec(),
        files: Vec::new(),
    };
    let mut left = MAX_ALL;
    for (path, stamp) in reads.iter() {
        let copy = match stamp {
            None => None,
            Some(stamp) => {
                let contents = files::read_bounded(path, MAX_FILE.min(left))?;
                if files::Stamp::of(path).ok().as_ref() != Some(stamp) {
                    let problem = format!("{}: it has changed since it was read", path.display());
                    return Err(io::Error::other(problem));
                }
                left = left.saturating_sub(u64::try_from(contents.len()).unwrap_or(u64::MAX));
                let name = index.files.len().to_string();
                files::replace(&beside.join(&name), &contents)?;
                Some(name)
            }
        };
        index.files.push((path.as_os_str().as_bytes().to_vec(), copy));
    }
    files::replace(&beside.join(INDEX), &serde_json::to_vec(&index)?)
}

/// Replaces a directory by a new one that `fill` makes beside it: whenever this is cut off, there is the old one or the new one.
/// May block.
///
/// # Errors
/// Those of the system and of `fill`; the old one stays then.
pub(crate) fn replace_directory(
    directory: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let beside = beside(directory);
    forget_at(&beside)?;
    DirBuilder::new().mode(0o700).create(&beside)?;
    fill(&beside)?;
    match renameat2(AT_FDCWD, &beside, AT_FDCWD, directory, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => forget_at(&beside),
        Err(Errno::ENOENT) => fs::rename(&beside, directory),
        Err(errno) => Err(errno.into()),
    }
}

fn beside(directory: &Path) -> PathBuf {
    directory.with_extension("new")
}

/// The configuration that was kept last.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::NotFound`] if there is none.
pub fn load(run_dir: &Path) -> io::Result<LastGood> {
    let directory = run_dir.join(DIRECTORY);
    let path = directory.join(INDEX);
    let index: Index = serde_json::from_slice(&files::read_bounded(&path, MAX_FILE)?)?;
    let os = OsString::from_vec;
    let file = |(path, copy): (Vec<u8>, Option<String>)| {
        (os(path).into(), copy.map(|name| directory.join(name.replace('/', ""))))
    };
    Ok(LastGood {
        words: index.words.into_iter().map(os).collect(),
        directory: os(index.directory).into(),
        files: index.files.into_iter().map(file).collect(),
        kept: path.metadata()?.modified()?,
    })
}

/// Removes what is kept.
pub fn forget(run_dir: &Path) {
    forget_directory(&run_dir.join(DIRECTORY));
}

/// Removes what [`replace_directory`] made.
pub(crate) fn forget_directory(directory: &Path) {
    // What is left does no harm: it counts only while there are sessions.
    let _ = forget_at(directory);
    let _ = forget_at(&beside(directory));
}

fn forget_at(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_good_is_read_again_whatever_the_files_say_now() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path().join("run");
        fs::create_dir(&run_dir).unwrap();
        let (options, absent) = (directory.path().join("options"), directory.path().join("absent"));
        fs::write(&options, "good").unwrap();
        let read = |path: &Path| files::read_bounded(path, 100).map(|contents| contents.to_vec());
        let both = || (read(&options).ok(), read(&absent).ok());
        let (seen, reads) = files::recorded(both);
        assert_eq!(seen, (Some(b"good".to_vec()), None));
        let words = ["pppoed".into(), "-I".into(), OsString::from_vec(vec![0xff])];
        assert_eq!(load(&run_dir).unwrap_err().kind(), io::ErrorKind::NotFound);
        for _ in 0..2 {
            keep(&run_dir, &words, Path::new("/root"), &reads).unwrap();
        }

        fs::write(&options, "much worse").unwrap();
        fs::write(&absent, "new").unwrap();
        let last = load(&run_dir).unwrap();
        assert_eq!((last.words.as_slice(), last.directory.as_path()), (&words[..], Path::new("/root")));
        assert!(last.kept <= SystemTime::now());
        assert_eq!(files::with_copies(last.files, both), seen);
        assert_eq!(both(), (Some(b"much worse".to_vec()), Some(b"new".to_vec())));

        let error = keep(&run_dir, &words, Path::new("/root"), &reads).unwrap_err().to_string();
        assert!(error.ends_with("options: it has changed since it was read"), "{error}");
        assert!(load(&run_dir).is_ok(), "the one before stays");
        forget(&run_dir);
        assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 0);
    }
}
