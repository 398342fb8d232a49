//! Programs of a run, some at once: each in a process group of its own, its output kept and handed over whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// Time that programs have to clean up after themselves when the user interrupts.
const CLEAN_UP: Duration = Duration::from_secs(60);
/// Time between two looks at who has ended.
const STEP: Duration = Duration::from_millis(20);

/// What a program needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Mostly waits, for long: it begins before all others, and takes nobody's turn.
    Waits,
    /// Takes its turn beside others, and bears it that they delay it by a second or two.
    Works,
    /// Measures delays in tenths of a second, or speeds of a few Mbit/s, and takes little of the machine: only others of this kind
    /// run meanwhile.
    Times,
    /// Measures what the machine can do, or delays of milliseconds: nothing else runs meanwhile.
    Measures,
}

/// A program that is to be run.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is called.
    pub(crate) name: String,
    /// How to start it.
    pub(crate) command: Command,
    /// What it needs.
    pub(crate) load: Load,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it was called.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Everything that it wrote to stdout and stderr.
    pub(crate) output: String,
}

/// Runs the jobs, `at_once` of those that work at a time, and hands over each that has ended, in the order of `jobs`, as soon as
/// all before it have.
///
/// # Errors
/// When a program cannot be started, or the user interrupts: what runs then is told to end, and waited for.
pub(crate) fn run(jobs: Vec<Job>, at_once: usize, mut ended: impl FnMut(Ended)) -> Result<()> {
    let count = jobs.len();
    let mut waiting: VecDeque<(usize, Job)> = in_turn(jobs).into();
    let mut running: Vec<Running> = Vec::new();
    let mut over: Vec<Option<Ended>> = (0..count).map(|_| None).collect();
    let mut told = 0;
    while told < count {
        if interrupt::requested() {
            end_all(&mut running);
        }
        interrupt::check()?;
        while let Some((number, job)) =
            waiting.pop_front_if(|(_, job)| may_begin(job.load, running.iter().map(|one| one.load), at_once))
        {
            running.push(Running::start(number, job)?);
        }
        for index in (0..running.len()).rev() {
            let Some(one) = running.get_mut(index) else { continue };
            if let Some(status) = one.child.try_wait().with_context(|| format!("wait for {}", one.name))? {
                let one = running.swap_remove(index);
                let number = one.number;
                if let Some(place) = over.get_mut(number) {
                    *place = Some(one.finish(status)?);
                }
            }
        }
        while let Some(next) = over.get_mut(told).and_then(Option::take) {
            ended(next);
            told += 1;
        }
        if told < count {
            thread::sleep(STEP);
        }
    }
    Ok(())
}

/// The jobs in the order in which they begin, each with its place in the list: those that measure last, when no other is left
/// that would have to wait for them.
fn in_turn(jobs: Vec<Job>) -> Vec<(usize, Job)> {
    let mut jobs: Vec<(usize, Job)> = jobs.into_iter().enumerate().collect();
    jobs.sort_by_key(|(_, job)| match job.load {
        Load::Waits => 0,
        Load::Works => 1,
        Load::Times => 2,
        Load::Measures => 3,
    });
    jobs
}

fn may_begin(load: Load, running: impl Iterator<Item = Load>, at_once: usize) -> bool {
    let running: Vec<Load> = running.collect();
    let busy = |kind| running.iter().filter(|one| **one == kind).count();
    let timed = busy(Load::Times) + busy(Load::Measures) > 0;
    match load {
        Load::Waits => !timed,
        Load::Works => !timed && busy(Load::Works) < at_once.max(1),
        Load::Times => running.iter().all(|one| *one == Load::Times),
        Load::Measures => running.is_empty(),
    }
}

/// A program that runs. Dropping it kills its process group.
struct Running {
    number: usize,
    name: String,
    load: Load,
    child: Child,
    output: File,
}

impl Running {
    fn start(number: usize, job: Job) -> Result<Self> {
        let Job { name, mut command, load } = job;
        let output = tempfile::tempfile().context("a file for a program's output")?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        // A terminal's Ctrl-C is for us alone: programs get one signal, so that they clean up.
        let child = command.process_group(0).spawn().with_context(|| format!("start {name}"))?;
        Ok(Running { number, name, load, child, output })
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().map(Pid::from_raw)
    }

    fn finish(mut self, status: ExitStatus) -> Result<Ended> {
        let mut bytes = Vec::new();
        self.output.rewind()?;
        self.output.read_to_end(&mut bytes)?;
        let output = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended { name: std::mem::take(&mut self.name), status, output })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Some(group) = self.pid() {
                let _ = killpg(group, Signal::SIGKILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Tells programs to end, and waits until they have cleaned up; what has not by then is killed by its guard.
fn end_all(running: &mut Vec<Running>) {
    for pid in running.iter().filter_map(Running::pid) {
        let _ = kill(pid, Signal::SIGTERM);
    }
    let give_up = Instant::now() + CLEAN_UP;
    while !running.is_empty() && Instant::now() < give_up {
        running.retain_mut(|one| matches!(one.child.try_wait(), Ok(None)));
        thread::sleep(STEP);
    }
    running.clear();
}

/// Programs that work at once: a few for each processor, as they wait for each other's answers and for timers.
pub(crate) fn at_once(for_each_processor: usize) -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get) * for_each_processor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;

    fn job(name: &str, load: Load, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Job { name: name.to_owned(), command, load }
    }

    #[test]
    fn those_that_wait_begin_first_and_those_that_measure_are_alone() {
        use Load::{Measures, Times, Waits, Works};
        let jobs = [("a", Works), ("b", Measures), ("c", Times), ("d", Waits), ("e", Works)];
        let jobs = jobs.map(|(name, load)| job(name, load, ""));
        let order: String = in_turn(jobs.into()).into_iter().map(|(_, job)| job.name).collect();
        assert_eq!(order, "daecb");

        let may = |load, running: &[Load]| may_begin(load, running.iter().copied(), 2);
        assert!(may(Works, &[Waits, Waits, Works]));
        assert!(!may(Works, &[Works, Works]));
        assert!(may(Waits, &[Works, Works]));
        assert!(may(Times, &[Times, Times, Times]) && !may(Times, &[Waits]));
        assert!(may(Measures, &[]));
        assert!([Waits, Works, Times, Measures].iter().all(|load| !may(Measures, &[*load])));
        assert!([Waits, Works, Times, Measures].iter().all(|load| !may(*load, &[Measures])));
        assert!(!may(Works, &[Times]) && !may(Waits, &[Times]));
    }

    #[test]
    fn outputs_are_whole_and_in_order_whoever_ends_first() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("second-is-over");
        // The first ends after the second, which it waits for.
        let first = format!("echo 1; until [ -e {0} ]; do sleep 0.01; done; echo 1 >&2", file.display());
        let second = format!("echo 2; echo 2 >&2; : > {}; exit 3", file.display());
        let jobs = vec![job("first", Load::Works, &first), job("second", Load::Works, &second)];
        let mut seen = Vec::new();
        run(jobs, 2, |one| seen.push((one.name, one.status.code(), one.output))).unwrap();
        let wanted = [("first", Some(0), "1\n1\n"), ("second", Some(3), "2\n2\n")];
        assert_eq!(seen, wanted.map(|(name, code, output)| (name.to_owned(), code, output.to_owned())));
    }

    #[test]
    fn what_is_told_to_end_may_clean_up() {
        let directory = tempfile::tempdir().unwrap();
        let (ready, clean) = (directory.path().join("ready"), directory.path().join("clean"));
        let script = format!(
            "trap ': > {}; exit 0' TERM; : > {}; while :; do sleep 0.01; done",
            clean.display(),
            ready.display()
        );
        let mut running = vec![Running::start(0, job("one", Load::Works, &script)).unwrap()];
        wait::until_true("it to run", Duration::from_secs(20), || Ok(ready.exists())).unwrap();
        end_all(&mut running);
        assert!(running.is_empty() && clean.exists());
    }
}
