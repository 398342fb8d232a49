//! The key that makes a record ours.
//!
//! It lives as long as there are sessions, in a file of the run directory that only root can read. Without that file the
//! next `pppoed` believes no worker; where the records are in the run directory as well, it believes those.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use ppp_ipc::adoption::TAG_LEN;
use pppoed_config::files;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Name of the file.
pub(super) const FILE: &str = "adoption.key";
const KEY_LEN: usize = 32;
/// The key and its SHA-256, which tells a file that was torn.
const FILE_LEN: usize = 2 * KEY_LEN;

/// Most bytes of the file that are read: more than it has, so that another one is told from one that was torn.
const MAX_FILE: u64 = 4096;

/// Marks records.
pub(super) struct Key {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    path: PathBuf,
}

/// Where a key comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The file of an earlier `pppoed` that left sessions behind.
    Kept,
    /// There was none.
    New,
    /// There was one, and it is of no use. Why.
    Replaced(String),
}

impl Key {
    /// Reads the key in `directory`, or makes one of `fresh` random bytes.
    pub(super) fn open(directory: &Path, fresh: [u8; KEY_LEN]) -> (Self, Source) {
        let path = directory.join(FILE);
        let new = || Self { bytes: Zeroizing::new(fresh), path: path.clone() };
        match files::read_bounded(&path, MAX_FILE) {
            Ok(content) => match parse(&content) {
                Some(bytes) => (Self { bytes, path }, Source::Kept),
                None => (new(), Source::Replaced(format!("{}: the key in it is damaged", path.display()))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => (new(), Source::New),
            Err(error) => (new(), Source::Replaced(format!("{}: {error}", path.display()))),
        }
    }

    /// Writes the file, wholly or not at all.
    pub(super) fn store(&self) -> io::Result<()> {
        let mut content = Zeroizing::new([0; FILE_LEN]);
        let (key, sum) = content.split_at_mut(KEY_LEN);
        key.copy_from_slice(&*self.bytes);
        sum.copy_from_slice(&Sha256::digest(*self.bytes));
        write_whole(&self.path, &*content)
    }

    /// The mark of a record.
    pub(super) fn tag(&self, record: &[u8]) -> [u8; TAG_LEN] {
        self.code(record).finalize().into_bytes().into()
    }

    /// Whether a record is marked with this key.
    pub(super) fn verify(&self, record: &[u8], tag: &[u8; TAG_LEN]) -> bool {
        self.tag(record).ct_eq(tag).into()
    }

    fn code(&self, record: &[u8]) -> Hmac<Sha256> {
        // Padded with zeros to the block of SHA-256, as HMAC does with short keys (RFC 2104 §2).
        let mut block = Zeroizing::new([0; 64]);
        let (head, _) = block.split_at_mut(KEY_LEN);
        head.copy_from_slice(&*self.bytes);
        let mut code = Hmac::<Sha256>::new((&*block).into());
        code.update(b"pppoed session record");
        code.update(record);
        code
    }
}

fn parse(content: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let (key, sum) = content.split_first_chunk::<KEY_LEN>()?;
    (Sha256::digest(key).as_slice() == sum).then(|| Zeroizing::new(*key))
}

/// Forgets the key: no session is left that it could be needed for.
pub(super) fn remove(directory: &Path) {
    let _ = fs::remove_file(directory.join(FILE));
}

/// Replaces a file that only root may read by one with this content; on failure the old one stays.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let written = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_key_is_kept_and_marks_records() {
        let directory = tempfile::tempdir().unwrap();
        let (key, source) = Key::open(directory.path(), [1; KEY_LEN]);
        assert!(matches!(source, Source::New));
        key.store().unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (again, source) = Key::open(directory.path(), [2; KEY_LEN]);
        assert!(matches!(source, Source::Kept));
        let tag = key.tag(b"record");
        assert!(again.verify(b"record", &tag));
        assert!(!again.verify(b"recore", &tag));
        let (other, _) = Key::open(Path::new("/proc/none"), [2; KEY_LEN]);
        assert!(!other.verify(b"record", &tag));
        assert!(other.store().is_err());
        remove(directory.path());
        assert!(!path.exists());
    }

    #[test]
    fn a_torn_file_is_noticed_whichever_byte_it_is() {
        let directory = tempfile::tempdir().unwrap();
        Key::open(directory.path(), [1; KEY_LEN]).0.store().unwrap();
        let path = directory.path().join(FILE);
        let good = fs::read(&path).unwrap();
        for len in 0..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            let (_, source) = Key::open(directory.path(), [2; KEY_LEN]);
            assert!(matches!(&source, Source::Replaced(why) if why.contains("damaged")), "{len}: {source:?}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(matches!(Key::open(directory.path(), [2; KEY_LEN]).1, Source::Replaced(_)), "{index}");
        }
    }
}
