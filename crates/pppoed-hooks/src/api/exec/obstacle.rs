//! Why a program could not be executed, in words that say what to do: of execve(2) there is only a number, and "No such
//! file" is said of a script that is there, too.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use ppp_wire::escape::Escaped;

/// Bytes of a file in which the kernel looks for `#!` and the interpreter (`BINPRM_BUF_SIZE`).
const FIRST_LINE: u64 = 256;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why `program` was not executed in `directory`, where the system said `error`. `None`: the program is not there.
pub(super) fn explain(program: &Path, directory: &Path, error: &io::Error) -> Option<String> {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let shown = Escaped(program.as_os_str().as_bytes());
    let why = match errno {
        Some(Errno::ENOENT) if !directory.is_dir() => {
            return Some(format!("there is no directory {directory:?} to start {shown} in (cwd)"));
        }
        Some(Errno::ENOENT) if !program.exists() => return None,
        Some(Errno::ENOENT) => match interpreter(program) {
            Some(interpreter) => missing_interpreter(&interpreter, program),
            None => {
                "the loader of dynamic libraries that it needs is not installed (`file` names it)".to_owned()
            }
        },
        Some(Errno::EACCES) if program.is_dir() => "it is a directory".to_owned(),
        Some(Errno::EACCES) if !is_executable(program) => format!("it is not executable: chmod +x {shown}"),
        Some(Errno::EACCES) => match interpreter(program).filter(|path| !is_executable(path)) {
            Some(interpreter) => format!("its interpreter {interpreter:?} is not executable"),
            None => "it is executable, but perhaps not its file system (mount option noexec)".to_owned(),
        },
        Some(Errno::ENOEXEC) if beginning(program).starts_with(BYTE_ORDER_MARK) => {
            format!("a byte order mark stands before its first line: sed -i '1s/^\\xEF\\xBB\\xBF//' {shown}")
        }
        Some(Errno::ENOEXEC) => {
            "it is neither a program of this machine nor a script whose first line is #!/bin/sh or the like"
                .to_owned()
        }
        _ => error.to_string(),
    };
    Some(format!("{shown}: {why}"))
}

fn missing_interpreter(interpreter: &Path, program: &Path) -> String {
    let interpreter = interpreter.as_os_str().as_bytes();
    let shown = Escaped(interpreter);
    let program = Escaped(program.as_os_str().as_bytes());
    match interpreter.strip_suffix(b"\r") {
        Some(_) => format!(
            "its first line ends with a carriage return, as lines of DOS do, so its interpreter would be \"{shown}\": \
             sed -i 's/\\r$//' {program}"
        ),
        None => format!("its interpreter \"{shown}\", which its first line names, is not installed"),
    }
}

fn is_executable(program: &Path) -> bool {
    program.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// What follows `#!`, as the kernel reads it: up to a blank or the end of the line.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let beginning = beginning(program);
    let line = beginning.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = line.trim_ascii_start();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    line.get(..end).map(|word| OsStr::from_bytes(word).into())
}

/// Empty if it cannot be read.
fn beginning(program: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(program).and_then(|file| file.take(FIRST_LINE).read_to_end(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::process::Command;

    use super::*;

    /// What is said of a program with these contents and mode.
    fn said(contents: &[u8], mode: u32, errno: Option<Errno>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("ip-up");
        fs::write(&program, contents).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
        let error = match errno {
            Some(errno) => errno.into(),
            None => Command::new(&program).spawn().map(drop).unwrap_err(),
        };
        let said = explain(&program, Path::new("/"), &error).unwrap();
        said.replace(&program.display().to_string(), "ip-up")
    }

    #[test]
    fn what_is_wrong_with_a_script_is_told() {
        for (contents, mode, expected) in [
            (
                "#!/bin/sh\r\necho\r\n",
                0o755,
                "ip-up: its first line ends with a carriage return, as lines of DOS do, so its interpreter would be \
                 \"/bin/sh\\r\": sed -i 's/\\r$//' ip-up",
            ),
            (
                "#! /no/such/shell -e\n",
                0o755,
                "ip-up: its interpreter \"/no/such/shell\", which its first line names, is not installed",
            ),
            ("#!/bin/sh\n", 0o644, "ip-up: it is not executable: chmod +x ip-up"),
            ("#!/etc/passwd\n", 0o755, "ip-up: its interpreter \"/etc/passwd\" is not executable"),
        ] {
            assert_eq!(said(contents.as_bytes(), mode, None), expected);
        }
    }

    /// The C library has the shell read such files, so that the kernel's word for them is seldom heard.
    #[test]
    fn what_is_no_script_is_told() {
        let said = |contents: &[u8]| said(contents, 0o755, Some(Errno::ENOEXEC));
        let expected =
            "ip-up: a byte order mark stands before its first line: sed -i '1s/^\\xEF\\xBB\\xBF//' ip-up";
        assert_eq!(said(b"\xef\xbb\xbf#!/bin/sh\n"), expected);
        assert!(said(b"echo\n").contains("whose first line is #!/bin/sh"));
    }

    #[test]
    fn a_program_that_is_not_there_is_another_matter() {
        let error = io::Error::from(Errno::ENOENT);
        assert_eq!(explain(Path::new("/no/such/program"), Path::new("/"), &error), None);
        let said = explain(Path::new("/bin/sh"), Path::new("/no/such"), &error).unwrap();
        assert_eq!(said, "there is no directory \"/no/such\" to start /bin/sh in (cwd)");
        assert!(
            explain(Path::new("/etc"), Path::new("/"), &Errno::EACCES.into())
                .unwrap()
                .contains("a directory")
        );
    }
}
