//! What one `pppoed` leaves to the next: records of sessions, and the files of the run directory.

use pppoed::supervisor::fuzzing;

/// The first byte chooses what the rest is.
pub fn run(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    let is_same = match choice % 3 {
        0 => fuzzing::record(content),
        1 => fuzzing::kept_record(content),
        _ => fuzzing::kept_counters(content),
    };
    assert_ne!(is_same, Some(false), "written and read again it says something else");
}
