//! What holds for some access interfaces only: each profile goes over what holds for all.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use ppp_ipc::name::NamePattern;
use ppp_proto::auth::AuthMethod;
use ppp_proto::discovery::server::PadoDelay;
use ppp_proto::token_bucket::Rate;

use super::named_pool::NamedPool;
use super::{Config, ConfigError, Notice, PoolOrigins};
use crate::flags::PerMac;
use crate::options::SessionOptions;
use crate::origin::{Origin, Sourced};
use crate::pool::{DEFAULT_POOL, PoolEntry, PoolName};

/// Most pools beside the default one: discovery looks for that of its interface at every frame.
const MAX_POOLS: usize = 256;
/// Most profiles that there may be: a reload looks for that of each interface.
const MAX_PROFILES: usize = 1024;

/// What is said of the access interfaces of one name, or of those that a pattern matches. `None` and empty: nothing,
/// so that what holds for all holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Name of an interface, or a pattern with `*` and `?`.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
    /// Services on offer, the default first.
    pub services: Option<Sourced<Vec<Vec<u8>>>>,
    /// AC-Name.
    pub ac_name: Option<Sourced<Vec<u8>>>,
    /// How offers wait by the number of all sessions.
    pub pado_delay: Option<Sourced<PadoDelay>>,
    /// PADI answered; no rate is no limit.
    pub padi_rate: Option<Sourced<Option<Rate>>>,
    /// PADR answered.
    pub padr_rate: Option<Sourced<Option<Rate>>>,
    /// What is answered of one station.
    pub mac_rate: Option<Sourced<Option<Rate>>>,
    /// Sessions on each of the interfaces; no number is no limit.
    pub sessions: Option<Sourced<Option<NonZeroUsize>>>,
    /// How many sessions one host may have.
    pub per_mac: Option<Sourced<PerMac>>,
    /// How clients may prove who they are; empty: they need not.
    pub auth_methods: Option<Sourced<Vec<AuthMethod>>>,
    /// Where their addresses come from.
    pub pool: Option<Sourced<PoolName>>,
    /// Options of the sessions, below those of their users.
    pub session: SessionOptions,
}

/// The profiles, and the pools that they name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sections {
    /// In their order: of two patterns that match a name, the first counts.
    pub profiles: Vec<Profile>,
    /// Pools beside the default one.
    pub pools: Vec<NamedPool>,
}

impl Profile {
    /// A profile that says nothing.
    pub fn new(name: impl Into<String>, origin: Origin) -> Self {
        Self {
            name: name.into(),
            origin,
            services: None,
            ac_name: None,
            pado_delay: None,
            padi_rate: None,
            padr_rate: None,
            mac_rate: None,
            sessions: None,
            per_mac: None,
            auth_methods: None,
            pool: None,
            session: SessionOptions::default(),
        }
    }

    /// Whether its name is a pattern.
    pub fn is_pattern(&self) -> bool {
        is_pattern(&self.name)
    }

    /// Name of the pool that its interfaces have.
    pub fn pool(&self) -> PoolName {
        self.pool.as_ref().map_or_else(|| DEFAULT_POOL.into(), |pool| PoolName::clone(&pool.value))
    }
}

/// Whether it is a pattern and not a name.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

impl Config {
    /// The profile of an interface: the one of its name, or else the first whose pattern matches.
    pub fn profile(&self, interface: &str) -> Option<&Profile> {
        let exact = self.profiles.iter().find(|profile| profile.name == interface);
        exact.or_else(|| {
            self.profiles.iter().find(|profile| {
                profile.is_pattern() && NamePattern::from_text(&profile.name).matches(interface)
            })
        })
    }

    /// Whether an interface of this name is to be served when it is there.
    pub fn serves(&self, interface: &str) -> bool {
        self.interfaces.iter().any(|name| name == interface)
            || self.patterns.iter().any(|name| NamePattern::from_text(name).matches(interface))
    }

    /// What holds for the interfaces of a profile.
    pub fn for_profile(&self, profile: &Profile) -> Self {
        fn over<T: Clone>(slot: &mut T, own: &Option<Sourced<T>>) {
            if let Some(own) = own {
                slot.clone_from(&own.value);
            }
        }
        let mut config = self.clone();
        let limits = &mut config.limits;
        over(&mut config.services, &profile.services);
        over(&mut limits.pado_delay, &profile.pado_delay);
        over(&mut limits.discovery.padi, &profile.padi_rate);
        over(&mut limits.discovery.padr, &profile.padr_rate);
        over(&mut limits.discovery.per_mac, &profile.mac_rate);
        over(&mut limits.per_interface, &profile.sessions);
        config.ac_name = profile.ac_name.clone().unwrap_or(config.ac_name);
        config.per_mac = profile.per_mac.clone().unwrap_or(config.per_mac);
        config.auth_methods = profile.auth_methods.clone().unwrap_or(config.auth_methods);
        config.session = profile.session.clone().over(&self.session);
        config
    }

    /// All pools with their addresses, the default one first. None is empty.
    pub fn pools(&self) -> impl Iterator<Item = (PoolName, &[PoolEntry])> {
        let default = (DEFAULT_POOL.into(), self.pool.as_slice());
        let named = self.named_pools.iter().map(|pool| (pool.name.clone(), pool.entries.as_slice()));
        std::iter::once(default).chain(named).filter(|(_, entries)| !entries.is_empty())
    }

    /// How many sessions there may be at once, in all pools.
    pub fn max_sessions(&self) -> usize {
        self.pools().map(|(_, entries)| entries.len()).sum()
    }

    /// Sessions that may be in setup at once; `None` is no limit.
    pub fn max_starting(&self) -> Option<NonZeroUsize> {
        self.limits.max_starting.limit(self.max_sessions())
    }

    /// Sessions and access interfaces that need descriptors. How many interfaces match patterns is not known before they
    /// are there.
    pub fn descriptor_users(&self) -> usize {
        let matching = if self.patterns.is_empty() { 0 } else { 256 };
        self.max_sessions().saturating_add(self.interfaces.len()).saturating_add(matching)
    }

    /// Takes the profiles and the pools in, and checks that they fit together and to the rest.
    pub(super) fn with_sections(
        mut self,
        sections: Sections,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, Vec<ConfigError>> {
        let Sections { profiles, pools } = sections;
        let mut errors = Vec::new();
        let counts = [("interfaces", profiles.len(), MAX_PROFILES), ("pools", pools.len(), MAX_POOLS)];
        if let Some((of, count, limit)) = counts.into_iter().find(|(_, count, limit)| count > limit) {
            return Err(vec![ConfigError::TooManySections { of, count, limit }]);
        }
        for (index, profile) in profiles.iter().enumerate() {
            if let Some(first) = profiles.iter().take(index).find(|first| first.name == profile.name) {
                errors.push(ConfigError::TwoProfiles {
                    name: profile.name.clone(),
                    first: first.origin.clone(),
                    second: profile.origin.clone(),
                });
            }
            if let Some(pool) = &profile.pool
                && *pool.value != *DEFAULT_POOL
                && !pools.iter().any(|named| named.name == pool.value)
            {
                let known = pools.iter().map(|pool| &*pool.name).chain([DEFAULT_POOL]);
                errors.push(ConfigError::UnknownPool {
                    pool: pool.clone(),
                    known: known.collect::<Vec<_>>().join(", "),
                });
            }
        }
        if let (Some(first), Origin::Default) = (profiles.first(), self.origins.of("interface")) {
            let (patterns, names): (Vec<_>, Vec<_>) =
                profiles.iter().map(|profile| profile.name.clone()).partition(|name| is_pattern(name));
            (self.interfaces, self.patterns) = (names, patterns);
            self.origins.set("interface", first.origin.clone());
        }
        self.profiles = profiles;
        self.named_pools = pools;
        errors.extend(self.settle_default_pool());
        let is_sized = self.origins.of("sessions") != Origin::Default;
        notices.extend(
            (is_sized && self.pool.is_empty()).then(|| Notice::NoDefaultPool(self.origins.of("sessions"))),
        );
        errors.extend(self.overlap());
        let count = u32::try_from(self.max_sessions()).unwrap_or(u32::MAX);
        errors.extend(self.numbering.check(count).err().map(ConfigError::Sessions));
        notices.extend(self.unused_pools());
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    /// The names and patterns of what is served, with the pool of each.
    fn pools_in_use(&self) -> impl Iterator<Item = (&str, PoolName)> {
        let names = self.interfaces.iter().map(|name| (name.as_str(), self.profile(name)));
        let patterns = self.patterns.iter();
        let of_pattern = |name: &String| self.profiles.iter().find(|profile| profile.name == *name);
        let patterns = patterns.map(move |name| (name.as_str(), of_pattern(name)));
        let pool = |profile: Option<&Profile>| profile.map_or_else(|| DEFAULT_POOL.into(), Profile::pool);
        names.chain(patterns).map(move |(name, profile)| (name, pool(profile)))
    }

    /// Beside pools that interfaces have there is no default pool that nobody asked for: it goes if no interface has it, and
    /// an interface that would get addresses that are built in is a mistake.
    fn settle_default_pool(&mut self) -> Option<ConfigError> {
        let is_asked_for = matches!(self.pool_origins, PoolOrigins::File { .. })
            || self.origins.of("remote") != Origin::Default;
        let is_default = |pool: &PoolName| **pool == *DEFAULT_POOL;
        let is_there = |pool: &PoolName| self.named_pools.iter().any(|named| named.name == *pool);
        // A pool that is not there is a mistake of its own.
        let are_known = self.pools_in_use().all(|(_, pool)| is_default(&pool) || is_there(&pool));
        if is_asked_for || !are_known || self.pools_in_use().all(|(_, pool)| is_default(&pool)) {
            return None;
        }
        let without = self.pools_in_use().find(|(_, pool)| is_default(pool)).map(|(name, _)| name.to_owned());
        let Some(name) = without else {
            self.pool.clear();
            return None;
        };
        let known = self.named_pools.iter().map(|pool| &*pool.name).collect::<Vec<_>>().join(", ");
        let origin = self.profile(&name).map_or_else(|| self.origins.of("interface"), |it| it.origin.clone());
        (self.origins.of("sessions") == Origin::Default).then_some(ConfigError::NoPool {
            name,
            origin,
            known,
        })
    }

    /// The first address that two pools have, or that is our own end of another pool's links.
    fn overlap(&self) -> Option<ConfigError> {
        let mut seen: std::collections::BTreeMap<Ipv4Addr, (PoolName, Origin)> = Default::default();
        let default = (DEFAULT_POOL.into(), &self.pool, &self.pool_origins);
        let named = self.named_pools.iter().map(|pool| (pool.name.clone(), &pool.entries, &pool.origins));
        for (name, entries, origins) in std::iter::once(default).chain(named) {
            for (slot, entry) in entries.iter().enumerate() {
                let Some(address) = entry.remote else { continue };
                match seen.get(&address) {
                    Some((first, _)) if *first == name => {}
                    Some((first, first_origin)) => {
                        return Some(ConfigError::PoolOverlap {
                            address,
                            first: first.to_string(),
                            first_origin: first_origin.clone(),
                            second: name.to_string(),
                            second_origin: origins.of(slot),
                        });
                    }
                    None => {
                        seen.insert(address, (name.clone(), origins.of(slot)));
                    }
                }
            }
        }
        None
    }

    fn unused_pools(&self) -> Vec<Notice> {
        let used: Vec<PoolName> = self.pools_in_use().map(|(_, pool)| pool).collect();
        let unused = self.named_pools.iter().filter(|pool| !used.contains(&pool.name));
        unused
            .map(|pool| Notice::UnusedPool { name: pool.name.to_string(), origin: pool.origin.clone() })
            .collect()
    }
}

#[cfg(test)]
mod tests;
