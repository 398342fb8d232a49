//! What fuzzers reach: see `supervisor::fuzzing`.

use ppp_ipc::adoption::MAX_RECORD_LEN;

use super::record::{decode, encode};
use super::restore::Known;
use super::store;

/// A session's record, as a worker brings it back.
pub fn record(bytes: &[u8]) -> Option<bool> {
    // What the items come to is nothing to compare with.
    let _ = Known::parse(bytes);
    let items = decode(bytes).ok()?;
    let written = encode(items.clone()).ok()?;
    let is_whole = decode(&written).is_ok_and(|again| again == items);
    Some(is_whole && written.len() <= MAX_RECORD_LEN)
}

/// A session's record, as it lies in the run directory.
pub fn kept_record(bytes: &[u8]) -> Option<bool> {
    let read = |content: &[u8]| store::parse_record(content);
    let ticket = read(bytes).or_else(|| read(&store::with_sum(bytes)))?;
    let written = [&ticket.record[..], &ticket.tag].concat();
    Some(read(&store::with_sum(&written)).as_ref() == Some(&ticket))
}

/// The counters of all sessions, as they lie in the run directory.
pub fn kept_counters(bytes: &[u8]) -> Option<bool> {
    let counters = store::parse_counters(bytes).or_else(|| store::parse_counters(&store::with_sum(bytes)))?;
    let written = store::counters_content(counters.iter().map(|(id, traffic)| (*id, *traffic)));
    Some(store::parse_counters(&written).as_ref() == Some(&counters))
}
