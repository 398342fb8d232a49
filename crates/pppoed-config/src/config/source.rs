//! Everything that a configuration is read from, to be read as often as one likes.

use std::hash::RandomState;
use std::path::{Path, PathBuf};

use ppp_proto::auth::AuthMethod;

use super::file::{self, DEFAULT_FILE};
use super::layer::{self, Merged};
use super::{CommandLine, Config, ConfigError, Layer, Notice};
use crate::inet::Resolve;
use crate::secrets::{Digest, Protocol, Refusal, Secrets, Survey, Users};

/// The command line, and by it all files; and what was set at the console.
#[derive(Clone, Debug)]
pub struct Source {
    command_line: CommandLine,
    console: Layer,
    /// In place of `pppoed.toml`.
    file: Option<Layer>,
    /// Where relative paths start from.
    directory: PathBuf,
    /// For the comparison of secrets.
    key: RandomState,
}

/// Everything that was read, at one time.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The configuration.
    pub config: Config,
    /// The lines of the secrets files, without the secrets.
    pub users: Digest,
}

/// What is wrong with the secrets files. Not a reason not to start: they may come later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsRemarks {
    /// Files that cannot be read, and what that means.
    pub unreadable: Vec<String>,
    /// Lines that are not as they should be.
    pub notices: Vec<String>,
}

impl Source {
    /// `pppoed.toml`, and the files that it and the command line name. Relative paths on the command line stay those of
    /// the working directory of now.
    pub fn new(command_line: CommandLine) -> Self {
        let directory = std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned());
        Self { command_line, console: Layer::default(), file: None, directory, key: RandomState::new() }
    }

    /// The same with other settings of the console, which beat all others.
    #[must_use]
    pub fn with_console(&self, console: Layer) -> Self {
        Self { console, ..self.clone() }
    }

    /// The same with `file` as what `pppoed.toml` says, which is not read then.
    #[must_use]
    pub fn with_file(&self, file: Layer) -> Self {
        Self { file: Some(file), ..self.clone() }
    }

    /// What was set at the console.
    pub fn console(&self) -> &Layer {
        &self.console
    }

    /// The command line.
    pub fn command_line(&self) -> &CommandLine {
        &self.command_line
    }

    /// What `pppoed.toml` says, what is wrong with it, and what there is to say beside. May block.
    pub fn file_layer(&self) -> (Layer, Vec<ConfigError>, Vec<Notice>) {
        if let Some(layer) = &self.file {
            return (layer.clone(), Vec::new(), Vec::new());
        }
        match self.command_line.config_file() {
            Some(path) => file::read(path, &self.directory, true),
            None => file::read(Path::new(DEFAULT_FILE), &self.directory, false),
        }
    }

    /// Whether nobody has said what to serve: not the command line, nor the console, and `pppoed.toml` is not there or says
    /// nothing. May block.
    pub fn says_nothing(&self) -> bool {
        if !self.command_line.says_nothing() || !self.console.is_empty() {
            return false;
        }
        let (layer, errors, _) = self.file_layer();
        layer.is_empty() && errors.is_empty()
    }

    /// Reads all files, but for the secrets. May block.
    ///
    /// Returns the configuration or everything that is wrong, and in both cases what there is to say beside.
    pub fn config(&self) -> (Result<Config, Vec<ConfigError>>, Vec<Notice>) {
        let (layer, mut errors, more) = self.file_layer();
        let mut notices = self.command_line.notices().to_vec();
        notices.extend(more);
        let merged = match Merged::new(&self.command_line, &layer, &self.console) {
            Ok(merged) => merged,
            Err(more) => {
                errors.extend(more);
                return (Err(errors), notices);
            }
        };
        let ppp: Vec<_> = layer::merged_options(&layer, &self.console).collect();
        let (config, more) = Config::load(&merged, &ppp, &layer, &self.directory);
        notices.extend(more);
        // Unlike the secrets files, whose lines stand for themselves.
        let users_file = config.as_ref().ok().and_then(|config| config.secrets.users_file.as_ref());
        if let Some(Err(mistakes)) = users_file.map(|path| Users::load(path)) {
            errors.extend(mistakes.into_iter().map(ConfigError::Users));
        }
        match config {
            Ok(config) if errors.is_empty() => (Ok(config), notices),
            Ok(_) => (Err(errors), notices),
            Err(more) => {
                errors.extend(more);
                (Err(errors), notices)
            }
        }
    }

    /// Reads the secrets files that the authentication of `config` needs. May block; for long if there are `names` to look
    /// up the names of hosts in them with.
    pub fn users(&self, config: &Config, names: Option<&dyn Resolve>) -> (Digest, SecretsRemarks) {
        let mut secrets = Secrets::new(config.secrets.clone());
        let (mut digest, mut remarks) = (Digest::default(), SecretsRemarks::default());
        let (read, notices) = secrets.digest_users(&self.key, &mut digest);
        remarks.notices.extend(notices.iter().map(ToString::to_string));
        remarks.unreadable.extend(read.err().map(|refusal| refusal.to_string()));
        let protocol_of = |method: &AuthMethod| match method {
            AuthMethod::ChapMd5 => Protocol::Chap,
            AuthMethod::Pap => Protocol::Pap,
        };
        for method in &config.auth_methods.value {
            let protocol = protocol_of(method);
            let (read, notices) = secrets.digest(protocol, &self.key, &mut digest);
            remarks.notices.extend(notices.iter().map(ToString::to_string));
            // Who has users of our own needs no secrets files.
            let needed = config.secrets.users_file.is_none();
            let missing =
                |refusal: &Refusal| matches!(refusal, Refusal::Unreadable { path, .. } if !path.exists());
            let why = read
                .err()
                .filter(|refusal| needed || !missing(refusal))
                .map(|refusal| format!("{refusal}: nobody can log in by {method}"));
            remarks.unreadable.extend(why);
        }
        let protocols: Vec<Protocol> = config.auth_methods.value.iter().map(protocol_of).collect();
        let ours = config.pools().flat_map(|(_, entries)| entries).map(|entry| entry.local).collect();
        let found = secrets.survey(&Survey { protocols: &protocols, ours: &ours, names });
        remarks.notices.extend(found.iter().map(ToString::to_string));
        (digest, remarks)
    }
}
