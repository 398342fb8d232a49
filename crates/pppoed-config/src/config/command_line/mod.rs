//! The command line, with what was really on it told from what clap fills in.

pub(crate) mod getopt;
mod habits;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::Notice;
use crate::flags::Flags;
use crate::flags::keys::{self, Kind, ServerKey, server_keys};

/// The flags that were given.
#[derive(Clone, Debug)]
pub struct CommandLine {
    flags: Flags,
    /// The same as words, by key.
    given: BTreeMap<usize, Vec<OsString>>,
    /// What was taken for the sake of pppoe-server's users.
    notices: Vec<Notice>,
}

impl CommandLine {
    /// The command line of this process. Ends it, with clap's message, if that is wrong or asks for help.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Self {
        Self::try_parse_from(words).unwrap_or_else(|error| error.exit())
    }

    /// As [`Self::parse`], of any words; the first is the program.
    ///
    /// # Errors
    /// Clap's, also for `--help` and `--version`.
    pub fn try_parse_from<W: Into<OsString>>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, clap::Error> {
        let (words, notices) = habits::accept(words.into_iter().map(Into::into).collect());
        let matches = Flags::command().try_get_matches_from(words)?;
        let flags = Flags::from_arg_matches(&matches)?;
        let numbered = server_keys().iter().enumerate();
        let given = numbered.filter_map(|(number, key)| Some((number, given(key, &matches)?))).collect();
        Ok(Self { flags, given, notices })
    }

    /// What it says, alone.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// What there is to say about it.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The configuration file that it names.
    pub fn config_file(&self) -> Option<&Path> {
        self.flags.config.as_deref()
    }

    /// Whether it tells nothing but how to run: nothing, or `-F`.
    pub fn says_nothing(&self) -> bool {
        let Self { flags, given, .. } = self;
        let is_command = flags.check || flags.dump || flags.check_pool || flags.config.is_some();
        let is_about_service =
            |number: &usize| server_keys().get(*number).is_none_or(|key| key.name != "foreground");
        !is_command && !given.keys().any(is_about_service)
    }

    /// The flags on it with their values; a switch has none.
    pub fn given_values(&self) -> impl Iterator<Item = (&'static ServerKey, Vec<OsString>)> {
        self.given().map(|(key, words)| {
            let prefix = format!("--{}=", key.name);
            let value = |word: &OsString| {
                let bytes = word.as_bytes().strip_prefix(prefix.as_bytes())?;
                Some(OsString::from_vec(bytes.to_vec()))
            };
            (key, words.iter().filter_map(value).collect())
        })
    }

    /// The flags on it, each in the form `--flag` or `--flag=value`.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static ServerKey, &[OsString])> {
        self.given.iter().filter_map(|(&number, words)| Some((server_keys().get(number)?, words.as_slice())))
    }
}

fn given(key: &ServerKey, matches: &ArgMatches) -> Option<Vec<OsString>> {
    if matches.value_source(&key.id) != Some(ValueSource::CommandLine) {
        return None;
    }
    Some(match key.kind {
        Kind::Switch => vec![format!("--{}", key.name).into()],
        _ => matches.get_raw(&key.id)?.map(|value| keys::word(&key.name, value.to_owned())).collect(),
    })
}
