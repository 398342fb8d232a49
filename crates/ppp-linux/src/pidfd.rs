//! Processes by descriptor (pidfd_open(2)): no other process is ever meant, whatever becomes of the number.

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// It was killed by the signal of this number.
    Signal(i32),
    /// It is gone, and was not a child of the caller: nobody here can know more.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(number) => {
                let name = Signal::try_from(*number).map_or("unknown", Signal::as_str);
                write!(f, "was killed by signal {number} ({name})")
            }
            Self::Unknown => f.write_str("is gone"),
        }
    }
}

/// A process. Readable (poll(2)) once it has ended, whoever its parent is.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// The process that has this number now. It is certain to be the one that was meant only if that is a child of
    /// the caller that has not been waited for; see [`PidFd::is_child`].
    ///
    /// # Errors
    /// When there is none.
    pub fn open(pid: u32) -> io::Result<Self> {
        const FLAGS: u32 = 0;
        // SAFETY: the call has no pointers.
        let outcome = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, FLAGS) };
        let fd = RawFd::try_from(Errno::result(outcome)?).map_err(|_| Errno::EBADF)?;
        // SAFETY: the kernel made this descriptor just now, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Whether the process is a child of the caller that has not been waited for.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn is_child(&self) -> io::Result<bool> {
        Ok(!matches!(self.wait(libc::WNOWAIT)?, Waited::NotAChild))
    }

    /// Sends a signal. Nothing happens if the process has ended.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        const NO_INFO: *const libc::siginfo_t = std::ptr::null();
        const FLAGS: u32 = 0;
        // SAFETY: without a siginfo the call has no pointers.
        let outcome = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal as i32, NO_INFO, FLAGS)
        };
        match Errno::result(outcome) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How the process ended, once the descriptor is readable; `None` if it runs. A child is waited for by this:
    /// ask once.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn exit(&self) -> io::Result<Option<Exit>> {
        match self.wait(0)? {
            Waited::Ended(exit) => Ok(Some(exit)),
            Waited::Runs => Ok(None),
            Waited::NotAChild => Ok(has_ended(self.as_fd())?.then_some(Exit::Unknown)),
        }
    }

    /// Another descriptor of the process.
    ///
    /// # Errors
    /// When the caller has too many open files.
    pub fn duplicate(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Whether the process has ended, whoever its parent is.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn has_ended(&self) -> io::Result<bool> {
        has_ended(self.as_fd())
    }

    /// A duplicate of the process's descriptor `number`, closed on exec. Whatever the process says that it is has to be
    /// made sure of.
    ///
    /// # Errors
    /// When the process has no such descriptor, has ended, or may not be traced by the caller.
    pub fn duplicate_descriptor(&self, number: RawFd) -> io::Result<OwnedFd> {
        const FLAGS: u32 = 0;
        // SAFETY: the call has no pointers.
        let outcome = unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, FLAGS) };
        let fd = RawFd::try_from(Errno::result(outcome)?).map_err(|_| Errno::EBADF)?;
        // SAFETY: the kernel made this descriptor just now, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn wait(&self, flags: i32) -> io::Result<Waited> {
        let id = libc::id_t::try_from(self.0.as_raw_fd()).map_err(|_| Errno::EBADF)?;
        match wait_id(libc::P_PIDFD, id, flags) {
            Ok((0, _)) => Ok(Waited::Runs),
            Ok((_, exit)) => Ok(Waited::Ended(exit)),
            Err(Errno::ECHILD) => Ok(Waited::NotAChild),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// When the process that has this number now was started, in clock ticks since boot (proc_pid_stat(5)). Together with its
/// number this is the name of a process for as long as the machine runs.
///
/// # Errors
/// When there is none, or `/proc` is not there.
pub fn start_time(pid: u32) -> io::Result<u64> {
    // Its name, in parentheses, may contain anything; the time is the 20th field behind it.
    const FIELD: usize = 19;
    let stat = std::fs::read(format!("/proc/{pid}/stat"))?;
    let behind_name = stat.rsplitn(2, |byte| *byte == b')').next().unwrap_or_default();
    let field =
        std::str::from_utf8(behind_name).ok().and_then(|text| text.split_ascii_whitespace().nth(FIELD));
    field.and_then(|field| field.parse().ok()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has no start time"))
    })
}

/// The process id of a child of the caller that has ended, belongs to the process group `group`, and was not waited
/// for. It still is not.
///
/// # Errors
/// `ECHILD` when the caller has no child in that group.
pub fn next_ended_in_group(group: u32) -> io::Result<Option<u32>> {
    let (pid, _) = wait_id(libc::P_PGID, group, libc::WNOWAIT)?;
    Ok(u32::try_from(pid).ok().filter(|&pid| pid > 0))
}

/// waitid(2), without blocking, for children that have ended: the process id, 0 for none, and how.
fn wait_id(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> nix::Result<(libc::pid_t, Exit)> {
    let flags = libc::WEXITED | libc::WNOHANG | flags;
    // SAFETY: `siginfo_t` consists of integers and raw pointers, for which all zeroes is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: `info` is valid for writes.
    Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, flags) })?;
    // SAFETY: the kernel filled in what belongs to a child's end, or left the zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let exit = match info.si_code {
        libc::CLD_EXITED => Exit::Status(status),
        _ => Exit::Signal(status),
    };
    Ok((pid, exit))
}

enum Waited {
    Ended(Exit),
    Runs,
    NotAChild,
}

fn has_ended(process: BorrowedFd<'_>) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let ready = poll(&mut [PollFd::new(process, PollFlags::POLLIN)], PollTimeout::ZERO)?;
    Ok(ready > 0)
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn wait(process: &PidFd) -> Exit {
        poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000_u16)).unwrap();
        process.exit().unwrap().unwrap()
    }

    #[allow(clippy::zombie_processes)] // Others wait for it.
    fn run(script: &str) -> PidFd {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        PidFd::open(child.id()).unwrap()
    }

    #[test]
    fn a_child_tells_how_it_ended() {
        for (script, expected) in [
            ("exit 3", Exit::Status(3)),
            ("kill -TERM $$", Exit::Signal(15)),
            ("kill -40 $$", Exit::Signal(40)),
        ] {
            let process = run(script);
            assert!(process.is_child().unwrap());
            assert_eq!(wait(&process), expected);
            assert!(!process.is_child().unwrap(), "it was waited for");
            process.signal(Signal::SIGKILL).unwrap();
        }
    }

    #[test]
    fn a_child_that_runs_can_be_killed() {
        let process = run("exec sleep 60");
        assert_eq!(process.exit().unwrap(), None);
        process.signal(Signal::SIGKILL).unwrap();
        assert_eq!(wait(&process), Exit::Signal(9));
    }

    #[test]
    fn a_strangers_end_is_seen_all_the_same() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut byte = [0];
        let mut stdout = shell.stdout.take().unwrap();
        while byte != *b"\n" {
            line.push(char::from(byte[0]));
            stdout.read_exact(&mut byte).unwrap();
        }
        let process = PidFd::open(line.trim_matches(['\0', '\n']).parse().unwrap()).unwrap();
        assert!(!process.is_child().unwrap());
        assert_eq!(process.exit().unwrap(), None);
        process.signal(Signal::SIGKILL).unwrap();
        assert_eq!(wait(&process), Exit::Unknown);
        shell.wait().unwrap();
    }

    #[test]
    #[allow(clippy::zombie_processes)] // The group is waited for.
    fn the_ended_of_a_group_are_found_and_stay() {
        let first = Command::new("true").process_group(0).spawn().unwrap().id();
        let second = Command::new("sleep").arg("60").process_group(first.cast_signed()).spawn().unwrap();
        let (first_process, second) = (PidFd::open(first).unwrap(), PidFd::open(second.id()).unwrap());
        poll(&mut [PollFd::new(first_process.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000_u16))
            .unwrap();
        assert_eq!(next_ended_in_group(first).unwrap(), Some(first));
        assert_eq!(wait(&first_process), Exit::Status(0));
        assert_eq!(next_ended_in_group(first).unwrap(), None, "one runs");
        second.signal(Signal::SIGKILL).unwrap();
        assert_eq!(wait(&second), Exit::Signal(9));
        assert!(next_ended_in_group(first).is_err());
    }

    #[test]
    fn what_is_not_there_cannot_be_opened() {
        let nobody = u32::try_from(i32::MAX).unwrap();
        assert!(PidFd::open(nobody).is_err());
        assert!(start_time(nobody).is_err());
    }

    #[test]
    #[allow(clippy::zombie_processes)] // It is waited for by its descriptor.
    fn a_process_began_after_the_one_that_started_it() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("a ) 1 2 (name");
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let child = Command::new(&program).arg("60").spawn().unwrap();
        let process = PidFd::open(child.id()).unwrap();
        let (ours, its) = (start_time(std::process::id()).unwrap(), start_time(child.id()).unwrap());
        assert!(0 < ours && ours <= its, "{ours} {its}");
        assert!(!process.has_ended().unwrap());
        process.signal(Signal::SIGKILL).unwrap();
        assert_eq!(wait(&process), Exit::Signal(9));
    }

    #[test]
    fn a_descriptor_of_another_process_can_be_duplicated() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let process = PidFd::open(child.id()).unwrap();
        let theirs = process.duplicate_descriptor(1).unwrap();
        nix::unistd::write(&theirs, b"from here").unwrap();
        drop(theirs);
        assert!(process.duplicate_descriptor(99).is_err());
        drop(child.stdin.take());
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "from here");
        child.wait().unwrap();
        assert!(process.has_ended().unwrap());
    }
}
