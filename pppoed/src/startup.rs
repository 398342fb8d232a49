//! The configuration that a start is to go by: that of the files, or with sessions to take over the last good one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use pppoed_config::config::file::DEFAULT_FILE;
use pppoed_config::config::{CommandLine, Config, ConfigError, Notice, Source};
use pppoed_config::files::{self, Reads};
use pppoed_config::policy::{self, Policy};
use tracing::debug;

use crate::last_good::{self, LastGood};
use crate::problems::{Part, Problems};
use crate::supervisor::{self, SetupError};

/// The default of `--run-dir`.
const DEFAULT_RUN_DIR: &str = "/run/pppoed";
/// Most bytes of a configuration file in which the run directory is looked for.
const MAX_FILE: u64 = 1 << 20;
/// Set by systemd for what it starts (systemd.exec(5)).
const SERVICE_VARIABLE: &str = "INVOCATION_ID";

/// All that a start needs to know.
#[derive(Debug)]
pub struct Startup {
    /// Where the configuration came from.
    pub source: Source,
    /// What consoles have set.
    pub policy: Policy,
    /// The configuration.
    pub config: Config,
    /// What there is to say beside.
    pub notices: Vec<Notice>,
    /// The files that were read; none, if the configuration is one that was kept.
    pub reads: Option<Reads>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong, or asks for help.
    Usage(clap::Error),
    /// The console file is wrong. Everything that is.
    Console(Vec<String>),
    /// Nobody has said what to serve.
    Nothing,
    /// The files are wrong.
    Files(Vec<ConfigError>, Vec<Notice>),
    /// The files are good, and do not go with the sessions that there are.
    Conflict(SetupError),
}

impl Failure {
    /// Everything that is wrong, in one line.
    fn text(&self) -> String {
        match self {
            Self::Usage(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
            Self::Console(errors) => errors.join("; "),
            Self::Nothing => "the configuration is gone".to_owned(),
            Self::Files(errors, _) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Self::Conflict(error) => error.to_string(),
        }
    }
}

/// What a start is to go by: what [`read`] finds, and with sessions to take over, for which that is no good, the last good
/// configuration. With them, the problems that are known so far.
///
/// # Errors
/// [`Failure`], if there is no such session, or nothing that was good.
pub fn settle(words: &[OsString]) -> Result<(Startup, Problems), Failure> {
    let found = read(words).and_then(|startup| match serves(startup.source.command_line()) {
        true => startup.without_conflict(),
        false => Ok(startup),
    });
    match found {
        Ok(startup) => {
            let sessions = supervisor::sessions_left(&startup.config.run_dir);
            Ok((startup, Problems::new(sessions)))
        }
        Err(failure) => last_good(words, &failure).ok_or(failure),
    }
}

impl Startup {
    fn without_conflict(self) -> Result<Self, Failure> {
        match supervisor::client_at_our_end(&self.config) {
            Some(conflict) => Err(Failure::Conflict(conflict)),
            None => Ok(self),
        }
    }
}

/// Reads all files that the command line leads to. `words` is the command line, program first.
///
/// # Errors
/// [`Failure`].
fn read(words: &[OsString]) -> Result<Startup, Failure> {
    let command_line = CommandLine::try_parse_from(words).map_err(Failure::Usage)?;
    let (outcome, reads) = files::recorded(|| {
        let console = absolute(&command_line.flags().console_file);
        let policy = policy::read(&console)
            .map_err(|errors| Failure::Console(errors.iter().map(ToString::to_string).collect()))?;
        let source = Source::new(command_line).with_console(policy.layer());
        if source.says_nothing() {
            return Err(Failure::Nothing);
        }
        match source.config() {
            (Ok(config), notices) => Ok(Startup { source, policy, config, notices, reads: None }),
            (Err(errors), notices) => Err(Failure::Files(errors, notices)),
        }
    });
    outcome.map(|startup| Startup { reads: Some(reads), ..startup })
}

/// The last good configuration, if there are sessions to take over that the failure of a start would end; with that as
/// their first problem.
///
/// A command line that is wrong counts as a start only if systemd says so: somebody at a terminal has mistyped.
fn last_good(words: &[OsString], failure: &Failure) -> Option<(Startup, Problems)> {
    if !is_start(words, failure) {
        return None;
    }
    let run_dir = run_dir(words);
    let sessions = supervisor::sessions_left(&run_dir);
    if sessions == 0 {
        return None;
    }
    let LastGood { words: kept_words, directory, files, kept } = last_good::load(&run_dir).ok()?;
    // It may be gone; then relative paths lead nowhere.
    let _ = std::env::set_current_dir(directory);
    let fitting = |words: &[OsString]| read(words)?.without_conflict();
    let startup = files::with_copies(files, || fitting(words).or_else(|_| fitting(&kept_words)));
    let startup =
        startup.inspect_err(|failure| debug!("the last good configuration: {}", failure.text())).ok()?;
    let mut problems = Problems::new(sessions);
    problems.add(
        Part::Configuration,
        &format!("the last good one is in force, of {}: {}", date(kept), failure.text()),
    );
    Some((Startup { reads: None, ..startup }, problems))
}

fn is_start(words: &[OsString], failure: &Failure) -> bool {
    match failure {
        Failure::Usage(error) => error.use_stderr() && std::env::var_os(SERVICE_VARIABLE).is_some(),
        _ => CommandLine::try_parse_from(words).is_ok_and(|line| serves(&line)),
    }
}

/// Whether this command line is one of a server, and not of somebody who only asks something.
fn serves(command_line: &CommandLine) -> bool {
    let flags = command_line.flags();
    !(flags.check || flags.dump || flags.check_pool || !flags.hooks.check_hooks.is_empty())
}

/// The run directory, as far as that can be told of a command line and a file that may be wrong.
fn run_dir(words: &[OsString]) -> PathBuf {
    let after = |flag: &str| {
        let long = format!("{flag}=");
        words.iter().enumerate().rev().find_map(|(number, word)| {
            let word = word.to_string_lossy();
            let joined = word.strip_prefix(&long).map(PathBuf::from);
            joined.or_else(|| (word == flag).then(|| words.get(number + 1).map(PathBuf::from)).flatten())
        })
    };
    let file = after("--config").or_else(|| after("-c")).unwrap_or_else(|| DEFAULT_FILE.into());
    let of_file = || {
        let contents = files::read_bounded(&file, MAX_FILE).ok()?;
        let text = String::from_utf8_lossy(&contents).into_owned();
        text.lines().rev().find_map(|line| {
            let value = line.trim().strip_prefix("run-dir")?.trim_start().strip_prefix('=')?;
            Some(PathBuf::from(value.split('#').next()?.trim().trim_matches(['"', '\''])))
        })
    };
    absolute(&after("--run-dir").or_else(of_file).unwrap_or_else(|| DEFAULT_RUN_DIR.into()))
}

/// As seen from every directory. Fails for the empty path; then the open will say so.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn date(time: SystemTime) -> String {
    Timestamp::try_from(time)
        .map_or_else(|_| "an unknown date".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_directory_is_found_whatever_else_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pppoed.toml");
        let found = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            run_dir(&words)
        };
        std::fs::write(&file, "interface = [\n run-dir = \"/run/two\" # ours\nnonsense").unwrap();
        let config = file.to_str().unwrap();
        assert_eq!(found(&["pppoed", "-c", config]), Path::new("/run/two"));
        assert_eq!(found(&["pppoed", &format!("--config={config}")]), Path::new("/run/two"));
        assert_eq!(found(&["pppoed", "-c", config, "--run-dir", "/run/3"]), Path::new("/run/3"));
        assert_eq!(found(&["pppoed", "--run-dir=/run/4", "--wrong", "-c", config]), Path::new("/run/4"));
        assert_eq!(found(&["pppoed", "-c", "/nowhere"]), Path::new(DEFAULT_RUN_DIR));
    }
}
