//! Where an import goes: never over settings that somebody made, unless that is asked for.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::ImportError;

/// Most bytes that are looked at of a file that is there.
const MAX_FILE: u64 = 1 << 20;

/// Writes the file. One that is there is replaced if it holds comments only, as the packaged one does, or by `force`.
///
/// # Errors
/// When there are settings in it, or it cannot be read or written; then it is as it was.
pub fn write(path: &Path, toml: &str, force: bool) -> Result<(), ImportError> {
    let failed = |source: io::Error| ImportError::Unwritable { path: path.to_owned(), source };
    let (target, permissions) = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(failed(error)),
        Ok(_) => {
            let target = fs::canonicalize(path).map_err(failed)?;
            let metadata = fs::metadata(&target).map_err(failed)?;
            if !metadata.is_file() {
                return Err(ImportError::NotAFile(path.to_owned()));
            }
            if !force && !is_all_comments(&target, metadata.len()).map_err(failed)? {
                return Err(ImportError::InUse(path.to_owned()));
            }
            (target, Some(metadata.permissions()))
        }
    };
    let beside = beside(&target);
    let written = write_new(&beside, toml, permissions).and_then(|()| fs::rename(&beside, &target));
    written.map_err(|error| {
        // Fails if it was never made.
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}

fn write_new(path: &Path, toml: &str, permissions: Option<Permissions>) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    // The options may name secrets.
    file.set_permissions(permissions.unwrap_or_else(|| Permissions::from_mode(0o640)))?;
    file.write_all(toml.as_bytes())?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".import-{}", std::process::id()));
    name.into()
}

/// Whether there is nothing in it but comments and empty lines.
fn is_all_comments(path: &Path, length: u64) -> io::Result<bool> {
    if length > MAX_FILE {
        return Ok(false);
    }
    let text = fs::read(path)?;
    let is_comment = |line: &[u8]| line.trim_ascii().first().is_none_or(|first| *first == b'#');
    Ok(text.split(|&byte| byte == b'\n').all(is_comment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_replaced_by_force_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pppoed.toml");
        let read = || fs::read_to_string(&path).unwrap();
        write(&path, "new = 1\n", false).unwrap();
        assert_eq!(read(), "new = 1\n");
        let refused = write(&path, "other = 1\n", false).unwrap_err().to_string();
        assert!(refused.ends_with("contains settings: use --force to replace it"), "{refused}");
        assert_eq!(read(), "new = 1\n");
        write(&path, "other = 1\n", true).unwrap();
        assert_eq!(read(), "other = 1\n");

        fs::write(&path, "# comment\n\n  #interface = \"eth0\"\r\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write(&path, "third = 1\n", false).unwrap();
        assert_eq!(
            (read().as_str(), fs::metadata(&path).unwrap().permissions().mode() & 0o777),
            ("third = 1\n", 0o600)
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");

        let refused = write(directory.path(), "", true).unwrap_err().to_string();
        assert!(refused.ends_with("is not a regular file"), "{refused}");
        write(&directory.path().join("no/such/directory"), "", false).unwrap_err();
    }
}
