//! Running scenarios and counting what passed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};

use crate::lab::Lab;
use crate::scenarios::{ALL, Scenario, every};
use crate::{interrupt, packages, programs, unit, world};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// A tally of tests that somebody else ran.
    pub(crate) fn new(passed: usize, failed: usize) -> Self {
        Tally { passed, failed }
    }

    /// Tests that failed.
    pub(crate) fn failed(self) -> usize {
        self.failed
    }

    /// Tests that ran.
    pub(crate) fn total(self) -> usize {
        self.passed + self.failed
    }

    /// Counts one test.
    pub(crate) fn count(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// Adds tests that somebody else counted.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Prints the last line of a run, and says success only when something ran and nothing failed.
    pub(crate) fn report(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.passed > 0 && self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What the README's test command does: packages, programs, `cargo test`, every scenario.
///
/// # Errors
/// When the set-up fails, or the user interrupts: no test can run then.
pub(crate) fn everything() -> Result<Tally> {
    packages::install()?;
    programs::build()?;
    let mut tally = unit::run()?;
    interrupt::check()?;
    tally.add(scenarios(&[], None)?);
    Ok(tally)
}

/// Runs the named scenarios, or all when there are no names, and keeps what they recorded in `captures`.
///
/// # Errors
/// When a name is unknown, a recording cannot be kept, or the user interrupts.
pub(crate) fn scenarios(names: &[String], captures: Option<&Path>) -> Result<Tally> {
    let chosen = choose(names)?;
    world::sweep()?;
    let mut tally = Tally::default();
    for scenario in chosen {
        tally.count(run_one(scenario, captures)?);
        interrupt::check()?;
    }
    Ok(tally)
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| match every().find(|scenario| scenario.name == name) {
        Some(scenario) => Ok(scenario),
        None => bail!("no scenario {name:?}; `list` shows them"),
    };
    names.iter().map(find).collect()
}

/// Runs one scenario, prints its line, and everything there is to know when it failed.
fn run_one(scenario: &Scenario, captures: Option<&Path>) -> Result<bool> {
    let start = Instant::now();
    let lab = Lab::new(scenario.name)?;
    let result = catch_unwind(AssertUnwindSafe(|| (scenario.run)(&lab)))
        .unwrap_or_else(|_| Err(anyhow!("the scenario panicked")));
    if let Some(directory) = captures {
        lab.keep_capture(&directory.join(format!("{}.pcap", scenario.name)))?;
    }
    let verdict = if result.is_ok() { "PASS" } else { "FAIL" };
    println!(
        "{verdict} {:<24} {:>5.1} s  peer: {}",
        scenario.name,
        start.elapsed().as_secs_f32(),
        scenario.peer
    );
    if let Err(error) = &result
        && !interrupt::requested()
    {
        println!("    {error:#}");
        lab.show();
    }
    Ok(result.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_tests_is_not_a_success() {
        assert_ne!(format!("{:?}", Tally::default().report()), format!("{:?}", ExitCode::SUCCESS));
        let mut tally = Tally::default();
        tally.count(true);
        assert_eq!(format!("{:?}", tally.report()), format!("{:?}", ExitCode::SUCCESS));
        tally.count(false);
        assert_ne!(format!("{:?}", tally.report()), format!("{:?}", ExitCode::SUCCESS));
    }

    #[test]
    fn scenario_names_are_unique_and_known() {
        for scenario in every() {
            let found = choose(&[scenario.name.to_owned()]).unwrap();
            assert!(std::ptr::eq(found[0], scenario), "{} is there twice", scenario.name);
        }
        assert!(choose(&["nonsense".to_owned()]).is_err());
    }
}
