//! What consoles have changed.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use ppp_ipc::policy::{PolicyEntry, PolicySummary, PolicyWritten, Sessions};
use ppp_ipc::reload::Change;
use ppp_wire::escape::harmless;
use serde::Serialize;

use super::grid::{self, Align, Column};
use super::{json::Keeping, reload, units};
use crate::answer::PolicyOutcome;
use crate::clock::Zone;
use crate::terminal::Screen;

const ENTRIES: [Column; 6] = [
    Column::new("KIND", Align::Left, 0),
    Column::new("NAME", Align::Left, 0).shrink_to(16),
    Column::new("VALUE", Align::Left, 0).shrink_to(16),
    Column::new("BY", Align::Left, 1),
    Column::new("AGE", Align::Right, 2),
    Column::new("WRITTEN", Align::Left, 0),
];

/// What a change changes, and whom it touches.
pub(crate) fn write_outcome(outcome: &PolicyOutcome, out: &mut dyn Write) -> io::Result<()> {
    let PolicyOutcome { changes, summary } = outcome;
    changes.iter().try_for_each(|change| reload::write_change(change, out))?;
    let listed = u32::try_from(changes.len()).unwrap_or(u32::MAX);
    if summary.changes > listed {
        writeln!(out, "and {} more changes", summary.changes - listed)?;
    }
    let PolicySummary { applied, keeping, denied, ending, rates, remarks, changes: count } = summary;
    let ends = if *applied { "terminated" } else { "would end" };
    for (sessions, what) in [
        (denied, "now denied, but stay up (--end disconnects them)"),
        (ending, ends),
        (rates, "with changed rates"),
        (keeping, "with old values until the end"),
    ] {
        if sessions.count > 0 {
            writeln!(out, "{} {what}: {}", super::count(sessions.count.into(), "session"), ids(sessions))?;
        }
    }
    remarks.iter().try_for_each(|remark| writeln!(out, "note: {}", harmless(remark)))?;
    match (count, applied) {
        (0, _) => writeln!(out, "nothing changes"),
        (_, true) => writeln!(out, "applied; `pppctl write` saves it"),
        (_, false) => writeln!(out, "not applied"),
    }
}

fn ids(sessions: &Sessions) -> String {
    let ids: Vec<String> = sessions.ids.iter().map(ToString::to_string).collect();
    let is_all = u32::try_from(ids.len()) == Ok(sessions.count);
    ids.join(", ") + if is_all { "" } else { ", …" }
}

/// What holds, as a table.
pub(super) fn write(entries: &[PolicyEntry], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "nothing was set at a console");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let row = |entry: &PolicyEntry| {
        let PolicyEntry { kind, name, value, uid, time_ms, is_written } = entry;
        vec![
            harmless(kind).into_owned(),
            harmless(name).into_owned(),
            super::text(value),
            format!("uid {uid}"),
            units::duration(now.saturating_sub(*time_ms) / 1000),
            if *is_written { "yes" } else { "no" }.to_owned(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    grid::write(&ENTRIES, &rows, screen, out)?;
    if entries.iter().any(|entry| !entry.is_written) {
        writeln!(out, "what is not written is lost by a restart: `write` keeps it")?;
    }
    Ok(())
}

/// What `write` did.
pub(super) fn write_written(written: &PolicyWritten, out: &mut dyn Write) -> io::Result<()> {
    let PolicyWritten { path, entries, differs, applied } = written;
    let (path, entries) = (harmless(path), super::count(u64::from(*entries), "setting"));
    match (applied, differs) {
        (true, _) => writeln!(out, "{path}: {entries} written"),
        (false, true) => writeln!(out, "{path}: {entries} to be written; it says something else"),
        (false, false) => writeln!(out, "{path}: nothing to be written"),
    }
}

/// A change in JSON.
#[derive(Serialize)]
pub(super) struct Outcome<'a> {
    applied: bool,
    changes: &'a [Change],
    change_count: u32,
    sessions_keeping_old_values: Keeping<'a>,
    sessions_denied: Keeping<'a>,
    sessions_ending: Keeping<'a>,
    sessions_with_other_rates: Keeping<'a>,
    remarks: &'a [String],
}

impl<'a> From<&'a PolicyOutcome> for Outcome<'a> {
    fn from(outcome: &'a PolicyOutcome) -> Self {
        fn sessions(sessions: &Sessions) -> Keeping<'_> {
            Keeping { count: sessions.count, ids: &sessions.ids }
        }
        let PolicyOutcome { changes, summary } = outcome;
        let PolicySummary { applied, keeping, denied, ending, rates, remarks, changes: count } = summary;
        Self {
            applied: *applied,
            changes,
            change_count: *count,
            sessions_keeping_old_values: sessions(keeping),
            sessions_denied: sessions(denied),
            sessions_ending: sessions(ending),
            sessions_with_other_rates: sessions(rates),
            remarks,
        }
    }
}

/// An entry in JSON.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    kind: &'a str,
    name: &'a str,
    value: &'a str,
    uid: u32,
    time: String,
    time_ms: u64,
    written: bool,
}

impl<'a> Entry<'a> {
    pub(super) fn new(entry: &'a PolicyEntry, zone: Zone) -> Self {
        let PolicyEntry { kind, name, value, uid, time_ms, is_written } = entry;
        let time = zone.iso_8601(*time_ms);
        Self { kind, name, value, uid: *uid, time, time_ms: *time_ms, written: *is_written }
    }
}
