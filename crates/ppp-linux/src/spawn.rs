//! Starting the workers' template from the very program file that the supervisor opened when it was started, and
//! what it does first.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use thiserror::Error;

/// Descriptors of the child are mapped to the numbers below this one; the program's own stays above, where no
/// mapping can replace it before it is executed.
const FIRST_PRIVATE_FD: i32 = 64;

/// What went wrong with the program file.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The file cannot be opened.
    #[error("cannot open program {}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The name is that of a directory, a device or the like.
    #[error("{} is not a program: it is no regular file", .path.display())]
    NotAFile {
        /// The name.
        path: PathBuf,
    },
}

/// A program file that was opened once. Whatever happens to its name afterwards (an upgrade, say), what is
/// executed is this file.
#[derive(Debug)]
pub struct Program {
    file: OwnedFd,
    path: PathBuf,
}

impl Program {
    /// Opens the program at `path`.
    ///
    /// # Errors
    /// When it cannot be opened for reading, or is no regular file. Whether it can be executed is seen when
    /// it is.
    pub fn open(path: &Path) -> Result<Self, ProgramError> {
        let open_error = |source| ProgramError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open_error)?;
        if !file.metadata().map_err(open_error)?.is_file() {
            return Err(ProgramError::NotAFile { path: path.to_owned() });
        }
        let file = duplicate_high(&file).map_err(|errno| open_error(errno.into()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// A command that executes the program, with an empty environment and with the path that it was opened by
    /// as its first argument. The child must not map a descriptor to a number from 64 on.
    ///
    /// The kernel names the process after the number of the descriptor; the program should call
    /// [`set_process_name`].
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        command.arg0(&self.path).env_clear();
        command
    }
}

/// A duplicate of `file` with a number that is at least [`FIRST_PRIVATE_FD`], closed on exec.
fn duplicate_high(file: &impl AsFd) -> nix::Result<OwnedFd> {
    let raw = fcntl(file, FcntlArg::F_DUPFD_CLOEXEC(FIRST_PRIVATE_FD))?;
    // SAFETY: the kernel made this descriptor just now, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sets the name of the calling process as `ps` and `top` show it; more than 15 bytes are cut.
///
/// # Errors
/// When `name` contains a zero byte.
pub fn set_process_name(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    nix::sys::prctl::set_name(&name)?;
    Ok(())
}

/// Makes the allocator of this process, and of those that are forked from it, give larger blocks back to the system as
/// soon as they are free. To be called before there are threads.
#[cfg(target_env = "gnu")]
pub fn give_memory_back() {
    const FROM: nix::libc::c_int = 16 << 10;
    for parameter in [nix::libc::M_MMAP_THRESHOLD, nix::libc::M_TRIM_THRESHOLD] {
        // SAFETY: both parameters only say when memory is asked for and given back. There is no other thread that
        // could be allocating. Where it fails, memory is given back later.
        let _ = unsafe { nix::libc::mallopt(parameter, FROM) };
    }
}

/// The allocators of other C libraries do so by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_memory_back() {}

/// Makes the kernel end a sleep of this process, and of those that are forked from it, when its time has come, and not up to
/// 50 µs later (PR_SET_TIMERSLACK).
///
/// # Errors
/// None that is known of.
pub fn wake_in_time() -> io::Result<()> {
    // In nanoseconds; 0 would be the default.
    nix::sys::prctl::set_timerslack(1)?;
    Ok(())
}

/// Makes `fd` the standard error of the process, in the place of the one that it has.
///
/// # Errors
/// The kernel's answer.
pub fn replace_standard_error(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: both are open, and standard error is open afterwards as before: who writes to it need not know.
    let outcome = unsafe { nix::libc::dup3(fd.as_raw_fd(), nix::libc::STDERR_FILENO, 0) };
    nix::errno::Errno::result(outcome)?;
    Ok(())
}

/// What went wrong with a descriptor that the parent should have handed over.
#[derive(Debug, Error)]
pub enum InheritError {
    /// The descriptors were taken before: each has one owner.
    #[error("the inherited descriptors were taken already")]
    TakenAlready,
    /// The parent did not hand it over.
    #[error("descriptor {number} was not handed over")]
    Missing {
        /// The number.
        number: i32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The number is that of standard input, output or error, or occurs twice.
    #[error("descriptor {number} cannot be taken")]
    NotTakeable {
        /// The number.
        number: i32,
    },
}

/// Takes the descriptors that the parent handed over under these numbers. To be called once, and before
/// anything else in the process opens a descriptor. They will not be handed on to a program that this one
/// executes.
///
/// # Errors
/// When the parent did not hand over one of them, or at the second call.
pub fn take_inherited<const N: usize>(numbers: [i32; N]) -> Result<[OwnedFd; N], InheritError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(InheritError::TakenAlready);
    }
    for (position, &number) in numbers.iter().enumerate() {
        if number <= 2 || numbers.iter().skip(position + 1).any(|&other| other == number) {
            return Err(InheritError::NotTakeable { number });
        }
        // SAFETY: the descriptor need not be open: the system call fails if it is not.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
            .map_err(|errno| InheritError::Missing { number, source: errno.into() })?;
    }
    // SAFETY: all are open, and differ. They came from the parent, for at this time the process has opened
    // none itself; and as this code runs once, nobody else has taken them.
    Ok(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_file_that_was_opened_is_executed_whatever_happens_to_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        symlink("/bin/echo", &path).unwrap();
        let program = Program::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        symlink("/bin/false", &path).unwrap();

        let output = program.command().arg("still the first").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"still the first\n");
    }

    #[test]
    fn a_program_starts_without_environment_and_without_its_own_file() {
        let program = Program::open(Path::new("/bin/sh")).unwrap();
        let own = program.file.as_raw_fd();
        assert!(own >= FIRST_PRIVATE_FD);
        // The shell sets some variables by itself; these are not among them.
        let script = format!("test -z \"$HOME$USER$CARGO$TERM\" && test ! -e /proc/self/fd/{own}");
        assert!(program.command().args(["-c", &script]).status().unwrap().success());
    }

    #[test]
    fn what_is_no_program() {
        let open = |path: &str| Program::open(Path::new(path)).unwrap_err();
        assert!(matches!(open("/nonexistent"), ProgramError::Open { .. }));
        assert!(matches!(open("/usr"), ProgramError::NotAFile { .. }));
        assert!(matches!(open("/dev/null"), ProgramError::NotAFile { .. }));
    }

    #[test]
    fn a_process_name_is_plain_text() {
        assert!(set_process_name("with\0zero").is_err());
    }
}
