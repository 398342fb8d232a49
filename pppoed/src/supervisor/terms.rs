//! What holds on an access interface: the configuration with the interface's profile over it, in the terms of sessions
//! and of discovery. Interfaces of one profile share them.

use std::collections::BTreeMap;
use std::rc::Rc;

use ppp_ipc::worker::AuthMethod;
use ppp_proto::discovery::server;
use pppoed_config::config::Config;
use pppoed_config::pool::{DEFAULT_POOL, PoolName};

use super::settings::Settings;
use super::setup::discovery_config;

/// What holds on an interface.
#[derive(Debug)]
pub(super) struct Terms {
    /// Name or pattern of the profile, if there is one.
    pub(super) profile: Option<String>,
    /// What new sessions begin with; each keeps its own.
    pub(super) settings: Rc<Settings>,
    /// How discovery presents itself, but for what the interface is.
    pub(super) discovery: server::Config,
}

/// The terms of all profiles, and of those who have none.
#[derive(Debug)]
pub(super) struct AllTerms {
    general: Rc<Terms>,
    of_profiles: BTreeMap<String, Rc<Terms>>,
}

impl Terms {
    fn new(config: &Config, profile: Option<String>, pool: PoolName) -> Rc<Self> {
        let settings = Rc::new(Settings::new(config, pool));
        Rc::new(Self { profile, settings, discovery: discovery_config(config) })
    }
}

impl AllTerms {
    pub(super) fn new(config: &Config) -> Self {
        let of = |profile: &pppoed_config::config::Profile| {
            let name = profile.name.clone();
            (name.clone(), Terms::new(&config.for_profile(profile), Some(name), profile.pool()))
        };
        Self {
            general: Terms::new(config, None, DEFAULT_POOL.into()),
            of_profiles: config.profiles.iter().map(of).collect(),
        }
    }

    /// What holds without a profile.
    pub(super) fn general(&self) -> &Rc<Terms> {
        &self.general
    }

    /// The authentication that any interface asks for.
    pub(super) fn auth_methods(&self) -> Vec<AuthMethod> {
        let all = std::iter::once(&self.general).chain(self.of_profiles.values());
        all.flat_map(|terms| terms.settings.auth_methods()).copied().collect()
    }

    /// What holds on an interface; `config` is what these were made from.
    pub(super) fn of(&self, config: &Config, interface: &str) -> Rc<Terms> {
        let profile = config.profile(interface).and_then(|profile| self.of_profiles.get(&profile.name));
        profile.unwrap_or(&self.general).clone()
    }
}
