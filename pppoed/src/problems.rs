//! What does not work although the server runs.
//!
//! A start fails for a mistake in a file while there is nobody who would suffer from it: whoever starts the server sees it
//! at once. With sessions to take over it does not: they would end. What cannot work is left out then, and said wherever
//! somebody may look: in the log, `pppctl show stats`, the prompt of `pppctl`, and `systemctl status`.

use std::fmt;

use ppp_wire::causes::chain;
use ppp_wire::escape::Escaped;
use tracing::error;

use crate::message::DEGRADED;

/// Problems that are kept; what comes after them is in the log.
const MAX_PROBLEMS: usize = 32;
/// Most bytes of a problem's text as it is shown.
const MAX_TEXT: usize = 512;

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The files cannot be used; the last good configuration is in force.
    Configuration,
    /// The log file.
    LogFile,
    /// The machine: `/dev/net/tun`, too few descriptors.
    Machine,
    /// The pid file.
    PidFile,
    /// The run directory.
    RunDirectory,
    /// The hook scripts.
    HookScripts,
    /// The hooks' store.
    HookStore,
    /// The program of the workers, without which no session can begin.
    Worker,
    /// An access interface.
    Interface,
    /// The sockets of consoles.
    Console,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Configuration => "configuration",
            Self::LogFile => "log file",
            Self::Machine => "machine",
            Self::PidFile => "pid file",
            Self::RunDirectory => "run directory",
            Self::HookScripts => "hook scripts",
            Self::HookStore => "hooks' store",
            Self::Worker => "worker program",
            Self::Interface => "access interface",
            Self::Console => "console",
        })
    }
}

/// All that does not work, and whether the server runs nevertheless.
#[derive(Debug, Default)]
pub struct Problems {
    sessions: usize,
    list: Vec<(Part, String)>,
}

impl Problems {
    /// None, with so many sessions to take over. With none of those the first problem ends the start.
    pub fn new(sessions: usize) -> Self {
        Self { sessions, list: Vec::new() }
    }

    /// Whether there are sessions for which the server is to start whatever does not work.
    pub fn has_sessions(&self) -> bool {
        self.sessions > 0
    }

    /// What `result` has. With sessions to take over, an error is noted, and there is nothing.
    ///
    /// # Errors
    /// That of `result`, without such sessions.
    pub fn tolerate<T>(&mut self, part: Part, result: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
        match result {
            Ok(good) => Ok(Some(good)),
            Err(error) if self.has_sessions() => {
                self.add(part, &chain(error.as_ref()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes a problem, and logs it if the log is there already ([`Problems::log`]).
    pub fn add(&mut self, part: Part, text: &str) {
        log(part, text);
        if self.list.len() < MAX_PROBLEMS {
            self.list.push((part, text.to_owned()));
        }
    }

    /// Logs all of them; for those that were found before there was a log.
    pub fn log(&self) {
        self.list.iter().for_each(|(part, text)| log(*part, text));
    }

    /// A part works again. False if it did before.
    pub fn mended(&mut self, part: Part) -> bool {
        let before = self.list.len();
        self.list.retain(|(other, _)| *other != part);
        self.list.len() < before
    }

    /// Whether this part does not work.
    pub fn has(&self, part: Part) -> bool {
        self.list.iter().any(|(other, _)| *other == part)
    }

    /// Whether everything works.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each in a line that may be shown.
    pub fn lines(&self) -> Vec<String> {
        let line = |(part, text): &(Part, String)| {
            let mut line = format!("{part}: {}", Escaped(text.as_bytes()));
            line.truncate(line.floor_char_boundary(MAX_TEXT));
            line
        };
        self.list.iter().map(line).collect()
    }
}

fn log(part: Part, reason: &str) {
    error!(name: DEGRADED.name, part = %part, reason, "{}", DEGRADED.words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_ends_a_start_without_sessions_and_no_other() {
        let failed = || -> anyhow::Result<()> { Err(anyhow::anyhow!("no such file\n")) };
        assert!(Problems::new(0).tolerate(Part::Machine, failed()).is_err());
        let mut problems = Problems::new(1);
        assert_eq!(problems.tolerate(Part::Machine, Ok(7)).unwrap(), Some(7));
        assert!(problems.is_empty());
        assert_eq!(problems.tolerate(Part::Machine, failed()).unwrap(), None);
        assert_eq!(problems.lines(), ["machine: no such file\\n"]);
        problems.add(Part::Worker, &"é".repeat(MAX_TEXT));
        assert!(problems.lines()[1].len() <= MAX_TEXT);
        assert!(problems.mended(Part::Machine) && !problems.mended(Part::Machine) && !problems.is_empty());
        for _ in 0..2 * MAX_PROBLEMS {
            problems.add(Part::Interface, "x");
        }
        assert_eq!(problems.lines().len(), MAX_PROBLEMS);
    }
}
