//! What one `pppoed` leaves to the next: records of sessions, and the files of the run directory.

use ppp_ipc::adoption::MAX_RECORD_LEN;
use pppoed_state::kept::{counters_content, parse_counters, parse_record, record_content, with_sum};
use pppoed_state::known::Known;
use pppoed_state::record::{decode, encode};

/// The first byte chooses what the rest is.
pub fn run(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    let is_same = match choice % 3 {
        0 => record(content),
        1 => kept_record(content),
        _ => kept_counters(content),
    };
    assert_ne!(is_same, Some(false), "written and read again it says something else");
}

/// A session's record, as a worker brings it back.
fn record(bytes: &[u8]) -> Option<bool> {
    // What the items come to is nothing to compare with.
    let _ = Known::parse(bytes);
    let items = decode(bytes).ok()?;
    let written = encode(items.clone()).ok()?;
    let is_whole = decode(&written).is_ok_and(|again| again == items);
    Some(is_whole && written.len() <= MAX_RECORD_LEN)
}

/// A session's record, as it lies in the run directory.
fn kept_record(bytes: &[u8]) -> Option<bool> {
    let ticket = parse_record(bytes).or_else(|| parse_record(&with_sum(bytes)))?;
    Some(parse_record(&record_content(&ticket)).as_ref() == Some(&ticket))
}

/// The counters of all sessions, as they lie in the run directory.
fn kept_counters(bytes: &[u8]) -> Option<bool> {
    let counters = parse_counters(bytes).or_else(|| parse_counters(&with_sum(bytes)))?;
    let written = counters_content(counters.iter().map(|(id, traffic)| (*id, *traffic)));
    Some(parse_counters(&written).as_ref() == Some(&counters))
}
