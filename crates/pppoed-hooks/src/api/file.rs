//! `file`: reading, appending, replacing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mlua::{LuaString, MultiValue, Table, Value};
use pppoed_config::files;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{Api, When, failure, outcome};

/// Most bytes that are read or written.
const MAX_FILE: usize = 1 << 20;
const MODE: u32 = 0o640;

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let file = api.lua.create_table()?;
    api.add(&file, ("file.read", "read"), When::Always, |lua, _, path: LuaString| {
        match read(&path_of(&path)) {
            Ok(contents) => Ok(MultiValue::from_iter([Value::String(lua.create_string(contents)?)])),
            Err(error) => failure(lua, format!("{}: {error}", path.display())),
        }
    })?;
    api.add(
        &file,
        ("file.append", "append"),
        When::InCalls,
        |lua, _, (path, text): (LuaString, LuaString)| {
            let done = append(&path_of(&path), &text.as_bytes());
            outcome(lua, done.map_err(|error| format!("{}: {error}", path.display())))
        },
    )?;
    api.add(
        &file,
        ("file.write", "write"),
        When::InCalls,
        |lua, _, (path, text): (LuaString, LuaString)| {
            let done = replace(&path_of(&path), &text.as_bytes());
            outcome(lua, done.map_err(|error| format!("{}: {error}", path.display())))
        },
    )?;
    globals.raw_set("file", file)
}

fn path_of(path: &LuaString) -> PathBuf {
    OsString::from_vec(path.as_bytes().to_vec()).into()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, metadata) = files::open_regular(path)?;
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    files::read_all(file, &metadata, limit).map(|contents| contents.to_vec())
}

fn check_length(text: &[u8]) -> io::Result<()> {
    match text.len() {
        ..=MAX_FILE => Ok(()),
        length => Err(io::Error::other(format!("{length} bytes exceeds the maximum of {MAX_FILE}"))),
    }
}

/// In one write, which the system does not mix with those of others (O_APPEND, open(2)), and as a whole or not at all: the part that
/// a disk had room for is taken back. The lock keeps other hosts from appending meanwhile.
fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    check_length(text)?;
    let mut file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
    let is_regular = file.metadata()?.is_file();
    if is_regular {
        file.lock()?;
    }
    let end = file.metadata()?.len();
    let count = file.write(text)?;
    if count < text.len() {
        if is_regular {
            file.set_len(end)?;
        }
        return Err(io::Error::other(format!("only {count} of {} bytes were written", text.len())));
    }
    Ok(())
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    check_length(text)?;
    match fs::metadata(path) {
        // Files of the kernel cannot be replaced, and say that their size is 0.
        Ok(metadata) if !metadata.is_file() || is_kernels(path) => {
            OpenOptions::new().write(true).open(path)?.write_all(text)
        }
        Ok(_) => write_new(&path.canonicalize()?, text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_new(path, text),
        Err(error) => Err(error),
    }
}

fn is_kernels(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path.starts_with("/proc") || path.starts_with("/sys"))
}

/// Writes beside, then renames: nobody sees half a file.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file: File =
            OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&beside)?;
        file.write_all(text)?;
        fs::rename(&beside, path)
    };
    write().inspect_err(|_| {
        // Half of it is of no use to anybody.
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_appended_to_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        append(&path, b"one\n").unwrap();
        append(&path, b"two\n").unwrap();
        assert_eq!(read(&path).unwrap(), b"one\ntwo\n");
        replace(&path, b"three").unwrap();
        assert_eq!(read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        replace(&path, &vec![b'x'; MAX_FILE]).unwrap();
        assert_eq!(read(&path).unwrap().len(), MAX_FILE);
        append(&path, b"x").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        replace(&path, &vec![b'x'; MAX_FILE + 1]).unwrap_err();
        append(&path, &vec![b'x'; MAX_FILE + 1]).unwrap_err();
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_the_file_as_it_was() {
        assert!(append(Path::new("/dev/full"), b"x").is_err());
        let name = "/proc/self/comm";
        let before = read(Path::new(name)).unwrap();
        replace(Path::new(name), b"renamed").unwrap();
        assert_eq!(read(Path::new(name)).unwrap(), b"renamed\n");
        replace(Path::new(name), &before).unwrap();
    }

    #[test]
    fn what_a_full_disk_takes_a_part_of_is_taken_back() {
        use nix::mount::{MsFlags, mount};
        use nix::sched::{CloneFlags, unshare};

        // The mount is this thread's alone, and goes with it.
        let on_a_small_disk = || {
            let none: Option<&str> = None;
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let size = Some("size=8k");
            mount(Some("tmpfs"), directory.path(), Some("tmpfs"), MsFlags::empty(), size).unwrap();
            let path = directory.path().join("accounts");
            append(&path, &[b'a'; 6000]).unwrap();
            let error = append(&path, &[b'b'; 6000]).unwrap_err();
            assert_eq!(error.to_string(), "only 2192 of 6000 bytes were written");
            assert_eq!(fs::read(&path).unwrap(), [b'a'; 6000]);
            append(&path, &[b'c'; 2000]).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), 8000);
            nix::mount::umount(directory.path()).unwrap();
        };
        std::thread::spawn(on_a_small_disk).join().unwrap();
    }
}
