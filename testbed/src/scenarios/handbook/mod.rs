//! Every command in the pages of `docs/` is typed, and must print what the page shows.

mod machine;
mod page;
mod pattern;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::machine::Machine;
use self::page::{Placed, Step};
use super::{Load, OWN_CLIENT, Scenario};
use crate::interrupt;
use crate::lab::Lab;
use crate::process::Finished;
use crate::programs;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "handbook",
    about: "every command of the pages in docs/ prints what the page shows",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

/// How long what is shown may take to become true: a client knows of its session a moment before the server lists it.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

fn run(lab: &Lab) -> Result<()> {
    let docs = programs::workspace().join("docs");
    let (mut commands, mut wrong) = (0, Vec::new());
    for (number, path) in pages(&docs)?.iter().enumerate() {
        let name = path.strip_prefix(programs::workspace()).unwrap_or(path).display();
        let text = fs::read_to_string(path).with_context(|| format!("read {name}"))?;
        let steps = page::parse(&text).with_context(|| format!("{name}"))?;
        if steps.is_empty() {
            continue;
        }
        let directory = lab.path().join(format!("page{number}"));
        match follow(&steps, &directory) {
            Ok(typed) => commands += typed,
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
        interrupt::check()?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(commands > 0, "no page has a command");
    Ok(())
}

/// Does what a page says. Returns how many commands were typed.
fn follow(steps: &[Placed], directory: &Path) -> Result<usize> {
    let mut machines = 0;
    let mut next = || {
        machines += 1;
        Machine::new(&directory.join(machines.to_string()))
    };
    let mut machine = next()?;
    let mut commands = 0;
    for Placed { line, step } in steps {
        if *step == Step::Afresh {
            machine.end().with_context(|| format!("before line {line}"))?;
            machine = next()?;
            continue;
        }
        commands += usize::from(matches!(step, Step::Command { .. }));
        do_step(&mut machine, step).with_context(|| format!("line {line}"))?;
    }
    machine.end().context("at the end")?;
    Ok(commands)
}

fn do_step(machine: &mut Machine, step: &Step) -> Result<()> {
    match step {
        Step::Afresh => Ok(()),
        Step::File { path, content } => machine.write(path, content),
        Step::Interface(name) => machine.add_interface(name),
        Step::Dial { user, password, succeeds: true } => machine.dial(user, password),
        Step::Dial { user, password, succeeds: false } => match machine.try_dial(user, password) {
            Ok(_) => bail!("{user} got in"),
            Err(_) => Ok(()),
        },
        Step::Command { machine: place, command, output } => {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let finished = machine.run(*place, command)?;
                // What fails must be meant to: its message is shown.
                let is_meant = finished.status.success() || !output.is_empty();
                if is_meant && pattern::matches(output, &shown(&finished)) {
                    return Ok(());
                }
                ensure!(
                    is_look(command) && Instant::now() < deadline,
                    "`{command}` ({}) prints\n{}\nand not\n{}",
                    finished.status,
                    finished.stdout,
                    output.join("\n")
                );
                thread::sleep(PAUSE);
            }
        }
    }
}

/// What `pppoed` says of the machine that the tests run on, wherever it is started: pages are about something else.
const OF_THIS_MACHINE: [&str; 3] = [
    "pppoed: there is no user \"pppoed\"",
    "pppoed: the hard limit of open files",
    "pppoed: cannot read secrets file",
];

/// What a command prints, without that.
fn shown(finished: &Finished) -> String {
    let is_shown = |line: &&str| !OF_THIS_MACHINE.iter().any(|said| line.starts_with(said));
    finished.stdout.split_inclusive('\n').filter(is_shown).collect()
}

/// Whether a command changes nothing, and may be repeated.
fn is_look(command: &str) -> bool {
    ["pppctl show ", "pppctl hooks stats", "nft list ", "ip ", "grep ", "tail "]
        .iter()
        .any(|look| command.starts_with(look))
}

fn pages(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(pages(&path)?),
            false => found.extend(path.extension().is_some_and(|end| end == "md").then_some(path)),
        }
    }
    found.sort();
    Ok(found)
}
