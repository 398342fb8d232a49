//! Running scenarios and counting what passed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeVal;

use crate::jobs::{self, Job};
use crate::lab::Lab;
use crate::scenarios::{ALL, Scenario, every};
use crate::{interrupt, packages, programs, unit, world};

/// The command that runs one scenario for another process of this program.
pub(crate) const ONE: &str = "one-scenario";

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
    let mut tally = unit::run()?;
    interrupt::check()?;
    // In the profile of tests, cargo has made the programs with them.
    if !cfg!(debug_assertions) {
        programs::build()?;
    }
    tally.add(scenarios(&[], None)?);
    Ok(tally)
}

/// Runs the named scenarios, or all when there are no names, and keeps what they recorded in `captures`. One runs in this process;
/// more, each in its own, some at once.
///
/// # Errors
/// When a name is unknown, a recording cannot be kept, or the user interrupts.
pub(crate) fn scenarios(names: &[String], captures: Option<&Path>) -> Result<Tally> {
    let chosen = choose(names)?;
    world::sweep()?;
    let mut tally = Tally::default();
    if let [scenario] = chosen[..] {
        tally.count(run_one(scenario, captures)?);
        interrupt::check()?;
        return Ok(tally);
    }
    let jobs = chosen.iter().map(|scenario| job(scenario, captures)).collect::<Result<_>>()?;
    jobs::run(jobs, jobs::at_once(2), |one| {
        print!("{}", one.output);
        if one.status.code().is_none() {
            println!("FAIL {:<24} ended with {}", one.name, one.status);
        }
        tally.count(one.status.success());
    })?;
    // What one left that was killed.
    world::sweep()?;
    Ok(tally)
}

/// This program once more, with one scenario.
fn job(scenario: &Scenario, captures: Option<&Path>) -> Result<Job> {
    let mut command = Command::new(programs::testbed()?);
    command.arg(ONE);
    if let Some(directory) = captures {
        command.arg("--captures").arg(directory);
    }
    command.arg(scenario.name);
    Ok(Job { name: scenario.name.to_owned(), command, load: scenario.load })
}

/// Runs one scenario for the process that runs many: it ends with that process, and cleans up before.
///
/// # Errors
/// As [`scenarios`].
pub(crate) fn one(name: &str, captures: Option<&Path>) -> Result<ExitCode> {
    set_pdeathsig(Signal::SIGTERM).context("ask for a signal when the parent ends")?;
    let chosen = choose(&[name.to_owned()])?;
    let passed = chosen.iter().map(|scenario| run_one(scenario, captures)).collect::<Result<Vec<_>>>()?;
    Ok(if passed == [true] { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let (start, before) = (Instant::now(), processor_time()?);
    let lab = Lab::new(scenario.name)?;
    let result = catch_unwind(AssertUnwindSafe(|| (scenario.run)(&lab)))
        .unwrap_or_else(|_| Err(anyhow!("the scenario panicked")));
    if let Some(directory) = captures {
        lab.keep_capture(&directory.join(format!("{}.pcap", scenario.name)))?;
    }
    let verdict = if result.is_ok() { "PASS" } else { "FAIL" };
    println!(
        "{verdict} {:<24} {:>5.1} s, {:>4.1} s of a processor  peer: {}",
        scenario.name,
        start.elapsed().as_secs_f32(),
        processor_time()?.saturating_sub(before).as_secs_f32(),
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

/// Processor time of this process, and of the children that it has waited for.
fn processor_time() -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who).context("processor time")?;
        let duration = |time: TimeVal| -> Result<Duration> {
            Ok(Duration::from_secs(time.tv_sec().try_into()?)
                + Duration::from_micros(time.tv_usec().try_into()?))
        };
        sum += duration(usage.user_time())? + duration(usage.system_time())?;
    }
    Ok(sum)
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
