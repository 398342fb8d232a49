//! Programs that are executed for somebody else's script: on their own, and gone with the one who started them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;

/// Makes `command` start its program as pppd does its scripts: in a session and process group of its own, whose number is
/// the program's process id, and with this umask.
///
/// The program is killed when the thread that starts it ends. The limit of its address space is the hard one, whatever
/// the starting process has set for itself.
pub fn set_apart(command: &mut Command, mask: u32) -> &mut Command {
    let mask = Mode::from_bits_truncate(mask & 0o777);
    let prepare = move || -> io::Result<()> {
        setsid()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        umask(mask);
        let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
        setrlimit(Resource::RLIMIT_AS, hard, hard)?;
        Ok(())
    };
    // SAFETY: what runs between fork and exec makes system calls and nothing else: no lock is taken and no memory is
    // allocated, so it does not matter what other threads held at the fork.
    unsafe { command.pre_exec(prepare) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_leads_a_session_of_its_own() {
        let script = "echo $$ $(cut -d' ' -f5,6 /proc/$$/stat) $(umask) $(ulimit -v)";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let output = set_apart(&mut command, 0o137).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let [pid, group, session, mask, limit] = words.as_slice() else { panic!("{text:?}") };
        assert_eq!((group, session), (pid, pid));
        assert_eq!((*mask, *limit), ("0137", "unlimited"));
    }
}
