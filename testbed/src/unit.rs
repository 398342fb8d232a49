//! The workspace's own tests: what `cargo test` runs, some at once, and counted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::jobs::{self, Job, Load};
use crate::programs;
use crate::suite::Tally;

/// Test programs that take longest: they begin first.
const LONGEST: [&str; 3] = ["daemon", "hooks", "pppoed"];

/// Builds the test programs of the workspace, runs them and the tests in documentation, and counts what their harnesses report.
/// Compiler output goes to stderr as it comes; what a program wrote is shown when a test of it failed.
///
/// # Errors
/// When cargo cannot be started, or the user interrupts.
pub(crate) fn run() -> Result<Tally> {
    let start = Instant::now();
    let mut tally = Tally::default();
    match build()? {
        Some(programs) => run_these(programs, &mut tally)?,
        // It did not compile.
        None => tally.count(false),
    }
    let verdict = if tally.failed() == 0 { "PASS" } else { "FAIL" };
    println!(
        "{verdict} {:<24} {:>5.1} s  {} unit and integration tests; no peer",
        "cargo-test",
        start.elapsed().as_secs_f32(),
        tally.total()
    );
    Ok(tally)
}

fn run_these(programs: Vec<TestProgram>, tally: &mut Tally) -> Result<()> {
    let mut jobs: Vec<Job> = programs.into_iter().map(TestProgram::job).collect();
    let mut documentation = programs::cargo("test")?;
    documentation.args(["--workspace", "--no-fail-fast", "--doc"]);
    jobs.push(Job { name: "documentation".to_owned(), command: documentation, load: Load::Works });
    jobs.sort_by_key(|job| LONGEST.iter().position(|name| *name == job.name).unwrap_or(LONGEST.len()));
    jobs::run(jobs, jobs::at_once(1) + 1, |one| {
        let mut counted = count(&one.output);
        if !one.status.success() {
            println!("---- {}, {}\n{}", one.name, one.status, one.output);
            if counted.failed() == 0 {
                // The harness died before it could report.
                counted.count(false);
            }
        }
        tally.add(counted);
        let figures = one.output.lines().filter(|line| line.contains(" fuzz targets, "));
        figures.for_each(|line| println!("     {line}"));
    })
}

/// A test program that cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct TestProgram {
    name: String,
    executable: PathBuf,
    /// The directory of its package: cargo runs tests there.
    package: PathBuf,
}

impl TestProgram {
    fn job(self) -> Job {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package);
        Job { name: self.name, command, load: Load::Works }
    }
}

/// Has cargo build all test programs; `None` when one does not compile.
fn build() -> Result<Option<Vec<TestProgram>>> {
    let output = programs::cargo("test")?
        .args(["--workspace", "--no-run", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo test")?;
    if !output.status.success() {
        return Ok(None);
    }
    let programs: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect();
    if programs.is_empty() {
        bail!("cargo test --no-run built no test program");
    }
    Ok(Some(programs))
}

/// The test program that a line of cargo's JSON tells of, if it tells of one.
fn program(line: &str) -> Option<TestProgram> {
    let message: Value = serde_json::from_str(line).ok()?;
    let text = |path: &str| message.pointer(path).and_then(Value::as_str);
    let tests = message.pointer("/profile/test").and_then(Value::as_bool);
    if text("/reason") != Some("compiler-artifact") || tests != Some(true) {
        return None;
    }
    Some(TestProgram {
        name: text("/target/name")?.to_owned(),
        executable: text("/executable")?.into(),
        package: Path::new(text("/manifest_path")?).parent()?.to_owned(),
    })
}

/// Adds up lines like `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
fn count(output: &str) -> Tally {
    let mut tally = Tally::default();
    for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let numbers = line.split([';', '.']).filter_map(|part| part.trim().split_once(' '));
        for (number, what) in numbers {
            match (number.parse(), what) {
                (Ok(passed), "passed") => tally.add(Tally::new(passed, 0)),
                (Ok(failed), "failed") => tally.add(Tally::new(0, failed)),
                _ => {}
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harness_lines_are_added_up() {
        let output = "running 2 tests\n\
            test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            noise: 99 passed\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(count(output), Tally::new(13, 2));
        assert_eq!(count(""), Tally::default());
    }
    #[test]
    fn cargo_tells_which_programs_hold_tests() {
        let line = |test: bool, executable: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/w/ppp-wire/Cargo.toml\",\
                 \"target\":{{\"name\":\"mss\"}},\"profile\":{{\"test\":{test}}},\"executable\":{executable}}}"
            )
        };
        let found = program(&line(true, "\"/t/debug/deps/mss-1\"")).unwrap();
        let job = found.job();
        assert_eq!((job.name.as_str(), job.command.get_program()), ("mss", "/t/debug/deps/mss-1".as_ref()));
        assert_eq!(job.command.get_current_dir(), Some(Path::new("/w/ppp-wire")));
        assert_eq!(program(&line(false, "\"/t/debug/pppoed\"")), None);
        assert_eq!(program(&line(true, "null")), None);
        assert_eq!(program("{\"reason\":\"build-finished\",\"success\":true}"), None);
    }
}
