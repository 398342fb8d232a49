//! Settings as text, in layers of which the later ones win.
//!
//! The order, weakest first: the built-in defaults; `/etc/ppp/options`; the options file (`-O`); `pppoed.toml`; the
//! command line; what was set at the console. A setting replaces the same setting of a weaker layer as a whole, lists
//! too: `ms-dns` in `pppoed.toml` makes those of the options files void.
//!
//! To add a kind of table to `pppoed.toml`: give [`Layer`] a field for it, and fill that in `file::section`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::Parser as _;

use super::ConfigError;
use super::command_line::CommandLine;
use crate::flags::Flags;
use crate::flags::keys::{self, Kind, ServerKey};
use crate::options::{option_group, overridden_groups};
use crate::origin::{Assignment, Origin};
use crate::toml_file::Table;

/// The settings of one place: a file, or the console.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// Settings of the server, by long flag.
    pub server: Vec<Assignment>,
    /// Options of `[ppp]`, by option word.
    pub ppp: Vec<Assignment>,
    /// The tables `[[interface]]`, in the order of the file, not looked into yet.
    pub interfaces: Vec<Table>,
    /// The tables `[pool.NAME]`, by name, not looked into yet.
    pub pools: Vec<(String, Table)>,
}

impl Layer {
    /// Whether both set the same, wherever.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let settings = |list: &'_ [Assignment]| -> Vec<(String, Vec<String>)> {
            list.iter().map(|one| (one.key.clone(), one.values.clone())).collect()
        };
        settings(&self.server) == settings(&other.server)
            && settings(&self.ppp) == settings(&other.ppp)
            && self.interfaces == other.interfaces
            && self.pools == other.pools
    }

    /// Sets nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What all layers say together about the server.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    /// As if the command line had said it all.
    pub(super) flags: Flags,
    /// Where each long flag that was given was given.
    set: BTreeMap<&'static str, Origin>,
}

/// Flags to be, by key.
type Words = BTreeMap<&'static str, (Vec<OsString>, Origin)>;

impl Merged {
    /// The settings of `file`, the command line over them, and `console` over both.
    pub(super) fn new(
        command_line: &CommandLine,
        file: &Layer,
        console: &Layer,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut words = server_words(file, &mut errors);
        words.extend(
            command_line
                .given()
                .map(|(key, words)| (key.name.as_str(), (words.to_vec(), Origin::Flag(key.flag.as_str())))),
        );
        words.extend(server_words(console, &mut errors));
        for (key, needs) in [("check-pool", "pool-file"), ("user-limit", "sessions-per-user")] {
            if let Some((_, origin)) = words.get(key).filter(|_| !words.contains_key(needs)) {
                errors.push(ConfigError::Needs { origin: origin.clone(), key, needs });
            }
        }
        let line = words.values().flat_map(|(words, _)| words.iter().cloned());
        let flags = Flags::try_parse_from([OsString::from("pppoed")].into_iter().chain(line))
            .map_err(|error| errors.push(ConfigError::CommandLine(error.to_string())));
        match flags {
            Ok(flags) if errors.is_empty() => {
                let set = words.into_iter().map(|(key, (_, origin))| (key, origin)).collect();
                Ok(Self { flags, set })
            }
            _ => Err(errors),
        }
    }

    /// Where the long flag `key` was given, if it was.
    pub(super) fn given(&self, key: &str) -> Option<&Origin> {
        self.set.get(key)
    }

    /// Where the long flag `key` was given, or the default.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.given(key).cloned().unwrap_or(Origin::Default)
    }

    /// All that were given.
    pub(super) fn all_given(&self) -> impl Iterator<Item = (&'static str, &Origin)> {
        self.set.iter().map(|(key, origin)| (*key, origin))
    }
}

fn server_words(layer: &Layer, errors: &mut Vec<ConfigError>) -> Words {
    let mut words = Words::new();
    for assignment in &layer.server {
        let Some(key) = ServerKey::find(&assignment.key).filter(|key| key.not_in_file.is_none()) else {
            let (key, origin) = (assignment.key.clone(), assignment.origin.clone());
            errors.push(ConfigError::UnknownKey { origin, key });
            continue;
        };
        let origin = assignment.origin.clone();
        match key.check(assignment) {
            Ok(()) => {
                words.insert(key.name.as_str(), (flags_of(key, assignment), origin));
            }
            Err(why) => errors.push(ConfigError::Key { origin, key: key.name.clone(), why }),
        }
    }
    words
}

fn flags_of(key: &ServerKey, assignment: &Assignment) -> Vec<OsString> {
    let is_true = assignment.values.first().is_some_and(|value| value == "true");
    match key.kind {
        Kind::Switch if is_true => vec![format!("--{}", key.name).into()],
        Kind::Switch => Vec::new(),
        _ => assignment.values.iter().map(|value| keys::word(&key.name, value.into())).collect(),
    }
}

/// The options of `file` and `console`, without those of `file` that `console` makes void.
pub(super) fn merged_options<'a>(
    file: &'a Layer,
    console: &'a Layer,
) -> impl Iterator<Item = &'a Assignment> {
    let groups: BTreeSet<_> = console.ppp.iter().flat_map(overridden_groups).collect();
    let is_void =
        move |option: &&Assignment| option_group(&option.key).is_some_and(|group| groups.contains(group));
    file.ppp.iter().filter(move |option| !is_void(option)).chain(&console.ppp)
}
