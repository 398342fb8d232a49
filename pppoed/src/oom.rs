//! Who is killed when the machine runs out of memory (proc_pid_oom_score_adj(5)).
//!
//! `pppoed` is what all sessions go through, and the largest process of ours: left alone, the kernel takes it first. So it
//! asks to be spared, and what it starts does not have that from it: a worker is one session, and a script can be run again.

use std::fs;
use std::io;

use tracing::{debug, info};

/// As in `etc/systemd/pppoed.service`.
const SPARED: i32 = -500;

/// Asks the kernel to take others before this process, unless somebody has said already what it is to do.
pub fn spare_this_process() {
    let path = "/proc/self/oom_score_adj";
    match read(path) {
        Ok(0) => {
            if let Err(error) = fs::write(path, SPARED.to_string()) {
                info!(%error, "the kernel may kill pppoed first when memory is low (oom_score_adj)");
            }
        }
        Ok(score) => debug!(score, "oom_score_adj is set already"),
        Err(error) => debug!(%error, "oom_score_adj is unavailable"),
    }
}

/// A process that was just started, and all that it will start, are not spared.
pub fn do_not_spare(pid: u32) {
    let path = format!("/proc/{pid}/oom_score_adj");
    if matches!(read(&path), Ok(score) if score < 0)
        && let Err(error) = fs::write(&path, "0")
    {
        debug!(pid, %error, "oom_score_adj stays");
    }
}

fn read(path: &str) -> io::Result<i32> {
    fs::read_to_string(path)?.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_spared_process_starts_is_not_spared() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let path = format!("/proc/{}/oom_score_adj", child.id());
        // It takes CAP_SYS_RESOURCE.
        if fs::write(&path, "-500").is_ok() {
            do_not_spare(child.id());
        }
        assert_eq!(read(&path).unwrap(), 0);
        // Who is to go first anyway stays so.
        fs::write(&path, "300").unwrap();
        do_not_spare(child.id());
        assert_eq!(read(&path).unwrap(), 300);
        drop(child.stdin.take());
        child.wait().unwrap();
        do_not_spare(child.id());
    }
}
