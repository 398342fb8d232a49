//! The workspace's own tests: `cargo test`, counted.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::programs;
use crate::suite::Tally;

/// Runs `cargo test --workspace` and counts what its harnesses report. Compiler output goes to stderr as it comes.
///
/// # Errors
/// When cargo cannot be started.
pub(crate) fn run() -> Result<Tally> {
    let start = Instant::now();
    let output = programs::cargo("test")?
        .args(["--workspace", "--no-fail-fast"])
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut tally = count(&text);
    if !output.status.success() {
        println!("{text}");
        if tally.failed() == 0 {
            // It did not compile, or a harness died before it could report.
            tally.count(false);
        }
    }
    text.lines().filter(|line| line.contains(" fuzz targets, ")).for_each(|line| println!("     {line}"));
    let verdict = if tally.failed() == 0 { "PASS" } else { "FAIL" };
    println!(
        "{verdict} {:<24} {:>5.1} s  {} unit and integration tests; no peer",
        "cargo-test",
        start.elapsed().as_secs_f32(),
        tally.total()
    );
    Ok(tally)
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
}
