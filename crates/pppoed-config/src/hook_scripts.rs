//! The files with hook scripts, and whether they can be trusted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, Exposure};

/// Most scripts that there may be.
pub const MAX_SCRIPTS: usize = 128;
/// Most bytes of a script.
pub const MAX_SCRIPT: u64 = 1 << 20;

/// Why the scripts cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The directory cannot be read.
    #[error("{path}: cannot read the directory of the hook scripts (--hooks-dir): {source}")]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("{path}: cannot read the hook script: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than root could change what a script does.
    #[error("{path}: the hook script is ignored, as other users could change it: {exposure}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// How.
        exposure: Exposure,
    },
    /// There are too many.
    #[error("{path}: {count} hook scripts exceed the maximum of {MAX_SCRIPTS}")]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// Its name cannot be shown, or passed on.
    #[error("{path:?}: the name of a hook script must be UTF-8")]
    Name {
        /// The file.
        path: PathBuf,
    },
}

/// A script as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Name of the file without its directory.
    pub name: String,
    /// The program.
    pub text: Vec<u8>,
}

/// The scripts in `directory`, in order of name; none if there is no such directory. Each can be changed only by root. A
/// `directory` that is a file is one script. May block.
///
/// # Errors
/// The first thing that is wrong.
pub fn scripts(directory: &Path) -> Result<Vec<Script>, DirectoryError> {
    let unreadable = |source| DirectoryError::Unreadable { path: directory.to_owned(), source };
    let mut paths = match fs::read_dir(directory) {
        Ok(entries) => {
            let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
            paths.map_err(unreadable)?.into_iter().filter(|path| is_script(path)).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => vec![directory.to_owned()],
        Err(error) => return Err(unreadable(error)),
    };
    if paths.len() > MAX_SCRIPTS {
        return Err(DirectoryError::TooMany { path: directory.to_owned(), count: paths.len() });
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Editors leave files like `.50-nat.lua.swp` and `50-nat.lua~` behind.
fn is_script(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == "lua")
}

fn read(path: &Path) -> Result<Script, DirectoryError> {
    let failed = |source| DirectoryError::File { path: path.to_owned(), source };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| DirectoryError::Name { path: path.to_owned() })?.to_owned();
    let target = path.canonicalize().map_err(failed)?;
    let (file, metadata) = files::open_regular(&target).map_err(failed)?;
    if let Some(exposure) = exposure(path, &target, &metadata) {
        return Err(DirectoryError::Exposed { path: path.to_owned(), exposure });
    }
    let text = files::read_text(file, &metadata, MAX_SCRIPT).map_err(failed)?.to_vec();
    Ok(Script { name, text })
}

/// How others than root could change the file that `path` leads to. That they can read it is no harm.
fn exposure(path: &Path, target: &Path, metadata: &fs::Metadata) -> Option<Exposure> {
    let of_link = || files::exposed_parent(path).map(Exposure::Directory);
    files::exposure_to_change(target, metadata).or_else(of_link)
}

/// Why a program is not one that only root can change; pppd's rule for its scripts.
///
/// # Errors
/// When there is no such file.
pub fn distrust(program: &Path) -> io::Result<Option<Exposure>> {
    let target = program.canonicalize()?;
    Ok(exposure(program, &target, &target.metadata()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(path: &Path, mode: u32) {
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn scripts_come_in_order_of_name_and_nothing_else_does() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path();
        assert!(scripts(&directory.join("none")).unwrap().is_empty());
        for name in ["50-b.lua", "10-a.lua", ".10-a.lua", "10-a.lua~", "README"] {
            write(&directory.join(name), 0o644);
        }
        symlink("README", directory.join("90-link.lua")).unwrap();
        let found = scripts(directory).unwrap();
        let names: Vec<_> = found.iter().map(|script| script.name.as_str()).collect();
        assert_eq!(names, ["10-a.lua", "50-b.lua", "90-link.lua"]);
        assert_eq!(scripts(&directory.join("README")).unwrap()[0].name, "README");
    }

    #[test]
    fn a_script_that_others_could_change_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let script = parent.path().join("a.lua");
        write(&script, 0o664);
        let error = scripts(parent.path()).unwrap_err().to_string();
        assert!(error.contains("a.lua: the hook script is ignored"), "{error}");
        write(&script, 0o644);
        scripts(parent.path()).unwrap();
        nix::unistd::chown(&script, Some(65534.into()), None).unwrap();
        assert!(scripts(parent.path()).unwrap_err().to_string().contains("user id 65534"));
        assert!(matches!(distrust(&script), Ok(Some(Exposure::Owner(65534)))));

        fs::remove_file(&script).unwrap();
        let open = parent.path().join("open");
        fs::create_dir(&open).unwrap();
        write(&open.join("b.lua"), 0o644);
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        symlink(open.join("b.lua"), &script).unwrap();
        let error = scripts(parent.path()).unwrap_err().to_string();
        assert!(error.contains("can be changed by other users"), "{error}");
    }

    #[test]
    fn a_link_to_nowhere_is_told() {
        let parent = tempfile::tempdir().unwrap();
        symlink("nowhere", parent.path().join("a.lua")).unwrap();
        assert!(matches!(scripts(parent.path()), Err(DirectoryError::File { .. })));
    }
}
