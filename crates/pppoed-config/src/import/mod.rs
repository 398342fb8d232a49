//! `pppoed import`: a `pppoed.toml` from a command line of pppoe-server, the options files and the pool file that it names.

mod find;
mod options;
mod output;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use clap::Parser;

pub use find::{Found, find};
pub use output::write;

use crate::config::{CommandLine, Config, Layer, Source, file, quoted};
use crate::flags::keys::{Kind, NO_EFFECT, ServerKey};

/// Convert a command line of pppoe-server, and the options files that it reads, to a pppoed.toml.
///
/// Settings without an equivalent are listed at the top of the file, with the reason. Users stay in the secrets files.
#[derive(Clone, Debug, Parser)]
#[command(name = "pppoed import", override_usage = "pppoed import [OPTIONS] [-- FLAGS OF pppoe-server...]")]
pub struct ImportFlags {
    /// File to find the command line in: rc.local, an init script or a systemd unit
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub from: Option<PathBuf>,

    /// Options file, instead of the one of -O
    #[arg(long, value_name = "FILE")]
    pub options: Option<PathBuf>,

    /// Options file to read before it
    #[arg(long, value_name = "FILE", default_value = "/etc/ppp/options")]
    pub common_options: PathBuf,

    /// Pool file, instead of the one of -p
    #[arg(long, value_name = "FILE")]
    pub pool: Option<PathBuf>,

    /// Output file; an existing file is replaced only if it contains nothing but comments [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace the output file in any case
    #[arg(long, requires = "output")]
    pub force: bool,

    /// Command line of pppoe-server; the program name may be omitted
    #[arg(last = true, value_name = "COMMAND LINE")]
    pub command: Vec<OsString>,
}

/// Why there is nothing to write.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The flags are none of pppoe-server's, or contradict each other.
    #[error("the command line {line:?} cannot be imported: {why}")]
    CommandLine {
        /// The flags.
        line: String,
        /// What is wrong with them.
        why: String,
    },
    /// What would be written cannot be read: a mistake of ours, told rather than hidden.
    #[error("the resulting file is invalid: {0}")]
    Made(String),
    /// The file that would be written has settings.
    #[error("{0:?} exists and contains settings: use --force to replace it")]
    InUse(PathBuf),
    /// What would be written is something else than a file.
    #[error("cannot write {0:?}: it is not a regular file")]
    NotAFile(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {path:?}: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No line of the script starts a server.
    #[error("no line of {0:?} starts pppoe-server; give the flags: pppoed import -- -I eth1 …")]
    NoCommand(PathBuf),
    /// A file.
    #[error("cannot read {path:?}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The file.
    pub toml: String,
    /// What has no equivalent, and why; it stands in the file, too.
    pub remarks: Vec<String>,
}

/// Makes the file. May block.
///
/// # Errors
/// When there is no command line to begin with, or when it is not one.
pub fn import(flags: &ImportFlags) -> Result<Imported, ImportError> {
    let mut as_tables = false;
    let (mut words, mut remarks, from) = match &flags.from {
        Some(path) => {
            let Found { arguments, line, remarks, is_one_of_several } = find(path)?;
            as_tables = is_one_of_several;
            let words: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
            (words, remarks, format!("{}:{line}", path.display()))
        }
        None => (flags.command.clone(), Vec::new(), "the command line".to_owned()),
    };
    // The name of the program, if it was copied with the rest.
    if words.first().is_some_and(|word| !word.as_encoded_bytes().starts_with(b"-")) {
        words.remove(0);
    }
    let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let mut all = vec![OsString::from("pppoed")];
    all.extend(words);
    all.push(flag("common-options", &flags.common_options));
    all.extend(flags.options.as_ref().map(|path| flag("options-file", path)));
    all.extend(flags.pool.as_ref().map(|path| flag("pool-file", path)));
    let command_line = CommandLine::try_parse_from(all).map_err(|error| {
        let why = error.to_string().lines().next().unwrap_or_default().to_owned();
        ImportError::CommandLine { line: line.clone(), why: why.trim_start_matches("error: ").to_owned() }
    })?;
    let mut body = String::new();
    let directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let interfaces = server_keys(&command_line, &directory, as_tables, &mut body, &mut remarks);
    let (ppp, more) = options::options(command_line.flags(), &directory);
    remarks.extend(more);
    body.push_str(&ppp);
    body.push_str(&interfaces);

    // What the old files do, and what the new one does.
    let old = Source::new(command_line).with_file(Layer::default());
    let made = |why: Vec<String>| ImportError::Made(why.join("; "));
    let (new, errors) = file::layer(Path::new("/pppoed.toml"), body.as_bytes());
    if !errors.is_empty() {
        return Err(made(errors.iter().map(ToString::to_string).collect()));
    }
    let none = CommandLine::try_parse_from(["pppoed"]).map_err(|error| made(vec![error.to_string()]))?;
    match (old.config(), Source::new(none).with_file(new).config().0) {
        ((Ok(old), notices), Ok(new)) => {
            remarks.extend(notices.iter().map(ToString::to_string));
            remarks.extend(differences(&old, &new));
        }
        ((Err(errors), notices), new) => {
            remarks.extend(notices.iter().map(ToString::to_string));
            remarks.extend(errors.iter().map(ToString::to_string));
            if let Err(errors) = new {
                let errors =
                    errors.iter().map(|error| format!("this file still has to be corrected: {error}"));
                remarks.extend(errors);
            }
        }
        ((Ok(_), _), Err(errors)) => return Err(made(errors.iter().map(ToString::to_string).collect())),
    }
    let mut seen = std::collections::BTreeSet::new();
    remarks.retain(|remark| seen.insert(remark.clone()));
    let toml = head(&from, &line, &remarks) + &body;
    Ok(Imported { toml, remarks })
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut word = OsString::from(format!("--{name}="));
    word.push(path);
    word
}

/// The flags that were given, as keys; and the interfaces `as_tables`, for who wants to add others to them.
fn server_keys(
    command_line: &CommandLine,
    directory: &Path,
    as_tables: bool,
    body: &mut String,
    remarks: &mut Vec<String>,
) -> String {
    let mut tables = String::new();
    for (key, values) in command_line.given_values() {
        if ["common-options", "options-file"].contains(&key.name.as_str()) {
            continue;
        }
        if as_tables && key.name == "interface" {
            for name in values.iter().filter_map(|name| name.to_str()) {
                // Writing to a text cannot fail.
                let _ = writeln!(tables, "\n[[interface]]\nname = {}  # {}", quoted(name), key.flag);
            }
            continue;
        }
        // What has no effect is told by the configuration itself.
        if key.not_in_file == Some(NO_EFFECT) {
            continue;
        }
        if let Some(why) = key.not_in_file {
            remarks.push(format!("{}: {why}", key.flag));
            continue;
        }
        match value(key, &values, directory) {
            // Writing to a text cannot fail.
            Some(value) => drop(writeln!(body, "{} = {value}  # {}", key.name, key.flag)),
            None => remarks.push(format!("{}: the value is not UTF-8, which TOML has to be", key.flag)),
        }
    }
    body.push_str(
        "# The options below are all: those of /etc/ppp/options and the like are not read any more.\n",
    );
    body.push_str("no-options-files = true\n");
    tables
}

fn value(key: &ServerKey, values: &[OsString], directory: &Path) -> Option<String> {
    let texts: Option<Vec<&str>> = values.iter().map(|value| value.to_str()).collect();
    Some(match (key.kind, texts?.as_slice()) {
        (Kind::Switch, _) => "true".to_owned(),
        (Kind::Number, [number]) => number.parse::<i64>().ok()?.to_string(),
        (Kind::Path, [path]) => quoted(directory.join(path).to_str()?),
        (_, [one]) => quoted(one),
        (_, all) => format!("[{}]", all.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
    })
}

/// Settings that came out otherwise: what cannot be said in TOML, or a mistake of ours, and in both cases worth knowing.
fn differences(old: &Config, new: &Config) -> Vec<String> {
    let (before, after) = (old.entries(), new.entries());
    let mut differ: Vec<String> = before
        .iter()
        .filter_map(|entry| {
            let now =
                after.iter().find(|other| other.key == entry.key).map_or("not set", |other| &other.value);
            (now != entry.value).then(|| format!("{} was {} and is now {now}", entry.key, entry.value))
        })
        .collect();
    // Who starts the server says so again.
    differ.retain(|line| !line.starts_with("foreground "));
    if old.pool != new.pool {
        differ.push(
            "the addresses of the sessions are not the same as before: see local, remote, sessions"
                .to_owned(),
        );
    }
    differ
}

/// A text as a comment can have it: TOML takes no control characters, and a line is one.
fn comment_text(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn head(from: &str, line: &str, remarks: &[String]) -> String {
    let shown = comment_text;
    let mut head = format!(
        "# Made by \"pppoed import\" from {}:\n#   pppoe-server {}\n# Users stay in the secrets files (chap-secrets, pap-secrets). Check it: pppoed check -c THIS_FILE\n",
        shown(from),
        shown(line)
    );
    if !remarks.is_empty() {
        head.push_str("#\n# To know, and what has no equivalent:\n");
    }
    for remark in remarks {
        // Writing to a text cannot fail.
        let _ = writeln!(head, "# - {}", shown(remark));
    }
    head + "\n"
}
