//! Answers about hook scripts.

use std::io::{self, Write};

use ppp_ipc::control::{HookFunction, HookRun, HookSummary};
use ppp_wire::escape::harmless;
use serde::Serialize;

use super::grid::{self, Align, Column};
use crate::terminal::Screen;

const FUNCTIONS: [Column; 7] = [
    Column::new("FILE", Align::Left, 0),
    Column::new("HOOK", Align::Left, 0),
    Column::new("CALLS", Align::Right, 0),
    Column::new("FAILED", Align::Right, 0),
    Column::new("TIMED OUT", Align::Right, 1),
    Column::new("MEDIAN", Align::Right, 1),
    Column::new("LONGEST", Align::Right, 1),
];

/// The functions, and what goes on now.
pub(super) fn write_stats(
    summary: &HookSummary,
    functions: &[HookFunction],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    let HookSummary { files, hosts, running, waiting } = summary;
    if files.is_empty() {
        return writeln!(out, "no hook scripts");
    }
    let files: Vec<_> = files.iter().map(|file| harmless(file)).collect();
    writeln!(out, "{hosts} hook hosts, {running} calls run, {waiting} wait; scripts: {}", files.join(" "))?;
    if functions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let row = |function: &HookFunction| {
        vec![
            harmless(&function.file).into_owned(),
            harmless(&function.function).into_owned(),
            function.calls.to_string(),
            function.failures.to_string(),
            function.timeouts.to_string(),
            milliseconds(function.median_us),
            milliseconds(function.longest_us),
        ]
    };
    let rows: Vec<_> = functions.iter().map(row).collect();
    grid::write(&FUNCTIONS, &rows, screen, out)
}

/// What came of a hook, file by file.
pub(super) fn write_runs(runs: &[HookRun], out: &mut dyn Write) -> io::Result<()> {
    if runs.is_empty() {
        return writeln!(out, "no script was called");
    }
    for HookRun { file, took_us, returned, error, logged } in runs {
        let verdict = if error.is_empty() { "returned" } else { "failed" };
        write!(out, "{}: {verdict} after {}", harmless(file), milliseconds(*took_us))?;
        match returned.as_deref() {
            Some("") | None => writeln!(out)?,
            Some(returned) => writeln!(out, ": {}", harmless(returned))?,
        }
        for line in logged {
            writeln!(out, "  log {}", harmless(line))?;
        }
        for line in error {
            writeln!(out, "  {}", harmless(line))?;
        }
    }
    Ok(())
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:02} ms", microseconds / 1000, microseconds % 1000 / 10)
}

/// In JSON.
#[derive(Serialize)]
pub(super) struct Stats<'a> {
    #[serde(flatten)]
    pub(super) summary: &'a HookSummary,
    pub(super) functions: &'a [HookFunction],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_show_values_logs_and_errors() {
        let good = HookRun {
            file: "a.lua".into(),
            took_us: 1234,
            returned: Some("true".into()),
            logged: vec!["info: hello".into()],
            ..HookRun::default()
        };
        let bad = HookRun {
            file: "b.lua".into(),
            took_us: 99,
            error: vec!["b.lua:7: oops\u{1b}".into(), "stack traceback:".into()],
            ..HookRun::default()
        };
        let mut out = Vec::new();
        write_runs(&[good, bad], &mut out).unwrap();
        let expected = "a.lua: returned after 1.23 ms: true\n  log info: hello\n\
                        b.lua: failed after 0.09 ms\n  b.lua:7: oops\\u{1b}\n  stack traceback:\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
