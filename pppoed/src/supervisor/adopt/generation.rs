//! Which sessions of an earlier `pppoed` this one can take over, as far as its run directory tells.
//!
//! A `pppoed` notes there which messages its workers speak. One that noted nothing is 0.1.0, whose workers are too old.

use std::fs;
use std::io;
use std::path::Path;

use ppp_ipc::adoption::MIN_VERSION;
use ppp_ipc::worker::VERSION;

use super::store::session_count;

/// The file, which the Debian package reads as well (`etc/debian/preinst`).
const NAME: &str = "worker-protocol";

/// Notes what the workers of this `pppoed` speak.
pub(super) fn note(run_dir: &Path) -> io::Result<()> {
    fs::write(run_dir.join(NAME), format!("{VERSION}\n"))
}

/// All sessions have ended.
pub(super) fn remove(run_dir: &Path) {
    let _ = fs::remove_file(run_dir.join(NAME));
}

/// How many sessions there are that a start would end, because an earlier version began them.
#[must_use]
pub fn outdated_sessions(run_dir: &Path) -> usize {
    let noted = fs::read_to_string(run_dir.join(NAME)).ok().and_then(|text| text.trim().parse::<u16>().ok());
    match noted {
        Some(version) if version >= MIN_VERSION => 0,
        _ => session_count(run_dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_an_earlier_version_are_counted_and_no_others() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(outdated_sessions(run.path()), 0);
        fs::create_dir(run.path().join("sessions")).unwrap();
        for id in ["1", "2"] {
            fs::write(run.path().join("sessions").join(id), "").unwrap();
        }
        assert_eq!(outdated_sessions(run.path()), 2);
        fs::write(run.path().join(NAME), format!("{}\n", MIN_VERSION - 1)).unwrap();
        assert_eq!(outdated_sessions(run.path()), 2);
        note(run.path()).unwrap();
        assert_eq!(outdated_sessions(run.path()), 0);
        remove(run.path());
        assert_eq!(outdated_sessions(run.path()), 2);
    }
}
