//! What fuzzers reach of the supervisor: readers of what an earlier `pppoed` left, which nobody else has to call.
//!
//! Each tells whether bytes can be read (`None`: no) and whether, written and read again, they say the same.

use std::path::Path;

pub use super::adopt::fuzzing::{kept_counters, kept_record, record};
use super::hook_store::Store;

/// The file of the hooks' store.
pub fn hook_store(contents: &[u8]) -> Option<bool> {
    let path = Path::new("store");
    let written = Store::parse(path, contents).ok()?.contents();
    Some(Store::parse(path, &written).is_ok_and(|again| again.contents() == written))
}
