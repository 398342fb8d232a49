//! Who started whom, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use anyhow::{Context, Result};
use nix::unistd::Pid;

/// All living children of `ancestor`, their children, and so on.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn descendants(ancestor: Pid) -> Result<Vec<Pid>> {
    let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("read /proc")?.filter_map(io::Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look at it.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((parent, state)) = parent_and_state(&stat)
            && state != "Z"
        {
            children.entry(parent).or_default().push(Pid::from_raw(pid));
        }
    }
    let mut found = Vec::new();
    let mut queue = vec![ancestor];
    while let Some(parent) = queue.pop() {
        let mut own = children.remove(&parent).unwrap_or_default();
        queue.extend(&own);
        found.append(&mut own);
    }
    Ok(found)
}

/// The command's name as the kernel knows it, at most 15 bytes, while the process lives.
pub(crate) fn name_of(pid: Pid) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// Fields 4 and 3 of proc_pid_stat(5). The name in field 2 may hold anything, so count from its last parenthesis.
fn parent_and_state(stat: &str) -> Option<(Pid, &str)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    Some((Pid::from_raw(fields.next()?.parse().ok()?), state))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        assert_eq!(parent_and_state("12 (a) b) S 7 12 12"), Some((Pid::from_raw(7), "S")));
        assert_eq!(parent_and_state("12 nonsense"), None);
    }

    #[test]
    fn grandchildren_are_found() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap());
        let found = descendants(Pid::this()).unwrap();
        assert!(found.contains(&grandchild), "{found:?} without {grandchild}");
        nix::sys::signal::kill(grandchild, nix::sys::signal::Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(!descendants(Pid::this()).unwrap().contains(&grandchild));
    }
}
