//! One run directory, one `pppoed`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Nobody else uses the run directory for as long as this is there. The kernel gives it back however we end.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "it is held, not used")] Flock<File>);

/// Why the run directory cannot be ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Another `pppoed` has it.
    #[error("{path}: another pppoed is running with this run directory; --run-dir gives another one")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be opened or locked.
    #[error("{path}: cannot lock the run directory")]
    System {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Claim {
    /// Locks a directory, which must be there.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub(in super::super) fn new(path: &Path) -> Result<Self, ClaimError> {
        let system = |source| ClaimError::System { path: path.to_owned(), source };
        let directory = File::open(path).map_err(system)?;
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(lock)),
            Err((_, Errno::EWOULDBLOCK)) => Err(ClaimError::InUse { path: path.to_owned() }),
            Err((_, errno)) => Err(system(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner() {
        let directory = tempfile::tempdir().unwrap();
        let claim = Claim::new(directory.path()).unwrap();
        let error = Claim::new(directory.path()).unwrap_err().to_string();
        assert!(error.contains("another pppoed is running"), "{error}");
        drop(claim);
        Claim::new(directory.path()).unwrap();
        assert!(matches!(Claim::new(Path::new("/proc/none")), Err(ClaimError::System { .. })));
    }
}
