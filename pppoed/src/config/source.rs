//! Everything that a configuration is read from, to be read as often as one likes.

use std::hash::RandomState;
use std::path::{Path, PathBuf};

use ppp_proto::auth::AuthMethod;

use super::{Config, ConfigError, Notice};
use crate::flags::Flags;
use crate::secrets::{Digest, Protocol, Secrets};

/// The command line, and by it all files.
#[derive(Clone, Debug)]
pub struct Source {
    flags: Flags,
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
    /// The files that `flags` name. Relative paths stay those of the working directory of now.
    pub fn new(flags: Flags) -> Self {
        let directory = std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned());
        Self { flags, directory, key: RandomState::new() }
    }

    /// Reads all files, but for the secrets. May block.
    ///
    /// Returns the configuration or everything that is wrong, and in both cases what there is to say beside.
    pub fn config(&self) -> (Result<Config, Vec<ConfigError>>, Vec<Notice>) {
        Config::load_in(&self.flags, &self.directory)
    }

    /// Reads the secrets files that the authentication of `config` needs. May block.
    pub fn users(&self, config: &Config) -> (Digest, SecretsRemarks) {
        let mut secrets = Secrets::new(config.secrets.clone());
        let (mut digest, mut remarks) = (Digest::default(), SecretsRemarks::default());
        for method in &config.auth_methods.value {
            let protocol = match method {
                AuthMethod::ChapMd5 => Protocol::Chap,
                AuthMethod::Pap => Protocol::Pap,
            };
            let (read, notices) = secrets.digest(protocol, &self.key, &mut digest);
            remarks.notices.extend(notices.iter().map(ToString::to_string));
            let why = read.err().map(|refusal| format!("{refusal}: nobody can log in by {method}"));
            remarks.unreadable.extend(why);
        }
        (digest, remarks)
    }
}
