//! What is different between two readings of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{Config, Effect, Entry, PoolOrigins, Reading};
use crate::origin::Origin;
use crate::pool::PoolEntry;
use crate::secrets::LineChange;

/// Changes that are told one by one; more are counted.
pub const MAX_CHANGES: usize = 256;

/// A value in words, and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value, safe to show.
    pub value: String,
    /// `file:line`, a flag, a file, or `default`.
    pub origin: String,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is different.
    pub key: String,
    /// How it was; `None`: it was not there.
    pub old: Option<Setting>,
    /// How it is; `None`: it is gone.
    pub new: Option<Setting>,
    /// When the new one holds.
    pub effect: Effect,
}

/// All differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The first ones, at most [`MAX_CHANGES`].
    pub list: Vec<Change>,
    /// How many there are beside.
    pub more: usize,
    /// Something has changed that sessions keep from their beginning.
    pub for_new_sessions: bool,
    /// Profiles of which something has changed that sessions keep from their beginning.
    pub profiles: BTreeSet<String>,
    /// Something has changed that only a new start can change.
    pub needs_restart: bool,
    /// Users whose lines have changed or are gone; `None` is everybody who has no line of his own.
    pub users: BTreeSet<Option<Vec<u8>>>,
}

impl Changes {
    /// The changes from `old` to `new`; none exactly if both say the same. Where something is set is no
    /// difference.
    pub fn between(old: &Reading, new: &Reading) -> Self {
        let mut changes = Self::of_settings(&old.config, &new.config);
        for line in old.users.changes(&new.users) {
            changes.user(line);
        }
        changes
    }

    /// As [`Changes::between`], without the secrets files.
    pub fn of_settings(old: &Config, new: &Config) -> Self {
        let mut changes = Self::default();
        changes.settings(old, new);
        changes.pools(old, new);
        changes.mac_lists(old, new);
        changes
    }

    /// Adds changes of another kind.
    pub fn add(&mut self, changes: Vec<Change>) {
        for Change { key, old, new, effect } in changes {
            self.push(key, old, new, effect);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len().saturating_add(self.more)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn push_entry(&mut self, entry: &Entry, old: Option<Setting>, new: Option<Setting>) {
        let Some(profile) = entry.profile.clone().filter(|_| entry.effect == Effect::NewSessions) else {
            return self.push(entry.key.to_string(), old, new, entry.effect);
        };
        let of_all = self.for_new_sessions;
        self.push(entry.key.to_string(), old, new, entry.effect);
        self.for_new_sessions = of_all;
        self.profiles.insert(profile);
    }

    fn push(&mut self, key: String, old: Option<Setting>, new: Option<Setting>, effect: Effect) {
        match effect {
            Effect::Now => {}
            Effect::NewSessions => self.for_new_sessions = true,
            Effect::Restart => self.needs_restart = true,
        }
        match self.list.len() < MAX_CHANGES {
            true => self.list.push(Change { key, old, new, effect }),
            false => self.more += 1,
        }
    }

    fn settings(&mut self, old: &Config, new: &Config) {
        let (old, new) = (old.entries(), new.entries());
        let by_key = |entries: &'_ [Entry]| -> BTreeMap<_, Setting> {
            let setting =
                |entry: &Entry| Setting { value: entry.value.clone(), origin: entry.origin.to_string() };
            entries.iter().map(|entry| (entry.key.clone(), setting(entry))).collect()
        };
        let (mut before, after) = (by_key(&old), by_key(&new));
        for entry in &new {
            let (was, is) = (before.remove(&entry.key), after.get(&entry.key).cloned());
            if was.as_ref().map(|was| &was.value) != is.as_ref().map(|is| &is.value) {
                self.push_entry(entry, was, is);
            }
        }
        for entry in &old {
            if let Some(was) = before.remove(&entry.key) {
                self.push_entry(entry, Some(was), None);
            }
        }
    }

    fn pools(&mut self, old: &Config, new: &Config) {
        let named = old.named_pools.iter().chain(&new.named_pools).map(|pool| &pool.name);
        for name in named.collect::<BTreeSet<_>>() {
            let prefix = format!("pool {name}: ");
            self.pool(&prefix, &AddressList::named(old, name), &AddressList::named(new, name));
        }
        self.pool("", &AddressList::of_default(old), &AddressList::of_default(new));
    }

    /// Changes of one pool; their keys begin with `prefix`.
    fn pool(&mut self, prefix: &str, old: &AddressList<'_>, new: &AddressList<'_>) {
        if old.entries == new.entries {
            return;
        }
        let (before, after) = (addresses(old.entries), addresses(new.entries));
        let differs = |this: &Addresses, other: &Addresses| -> Vec<_> {
            let all = this
                .iter()
                .filter(|(remote, (local, _))| other.get(*remote).map(|(local, _)| local) != Some(local));
            all.map(|(remote, (local, slot))| (*remote, *local, *slot)).collect()
        };
        let (gone, come) = (differs(&before, &after), differs(&after, &before));
        let told = self.count();
        for (setting, is_old) in runs(&gone, old.origins)
            .map(|setting| (setting, true))
            .chain(runs(&come, new.origins).map(|setting| (setting, false)))
        {
            let (was, is) = if is_old { (Some(setting), None) } else { (None, Some(setting)) };
            self.push(format!("{prefix}addresses"), was, is, Effect::Now);
        }
        // The same addresses in another order, or twice, or only our own ends.
        if self.count() == told {
            let first = old.entries.iter().zip(new.entries).position(|(old, new)| old != new);
            let slot = first.unwrap_or_else(|| old.entries.len().min(new.entries.len()));
            let setting = |list: &AddressList<'_>| {
                let entry = list.entries.get(slot)?;
                let remote = entry.remote.map_or("none".to_owned(), |remote| remote.to_string());
                let origin = list.origins.of(slot).to_string();
                Some(Setting { value: format!("slot {slot} has {remote}, ours is {}", entry.local), origin })
            };
            let key = format!("{prefix}order of addresses");
            self.push(key, setting(old), setting(new), Effect::Now);
        }
    }

    fn mac_lists(&mut self, old: &Config, new: &Config) {
        let files = [&new.limits.mac_files.allow, &new.limits.mac_files.deny];
        let lists = old.limits.mac_rules.lists().into_iter().zip(new.limits.mac_rules.lists());
        for (((key, before), (_, after)), file) in lists.zip(files) {
            let origin = || file.as_ref().map_or_else(String::new, |file| file.display().to_string());
            let setting = |mac: &dyn ToString| Some(Setting { value: mac.to_string(), origin: origin() });
            let none = BTreeSet::new();
            if before.is_some() != after.is_some() {
                let words = |list: Option<&BTreeSet<_>>| if list.is_some() { "a list" } else { "everybody" };
                self.push(key.to_owned(), setting(&words(before)), setting(&words(after)), Effect::Now);
            }
            let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
            for mac in before.difference(after) {
                self.push(key.to_owned(), setting(mac), None, Effect::Now);
            }
            for mac in after.difference(before) {
                self.push(key.to_owned(), None, setting(mac), Effect::Now);
            }
        }
    }

    fn user(&mut self, line: LineChange) {
        let key = format!("user {} ({})", line.user(), line.file);
        let setting = |place: Option<_>, value: &str| {
            place.map(|place: crate::origin::Place| Setting {
                value: value.to_owned(),
                origin: place.to_string(),
            })
        };
        let is_new = line.old.is_none();
        let value = if line.new.is_some() { line.what.as_str() } else { "" };
        self.push(key, setting(line.old, "a line"), setting(line.new, value), Effect::Now);
        if !is_new {
            self.users.insert(line.client);
        }
    }
}

/// What a pool gives its slots, and where it says so.
struct AddressList<'a> {
    entries: &'a [PoolEntry],
    origins: &'a PoolOrigins,
}

impl<'a> AddressList<'a> {
    const NONE: Self = Self { entries: &[], origins: &PoolOrigins::One(Origin::Default) };

    fn of_default(config: &'a Config) -> Self {
        Self { entries: &config.pool, origins: &config.pool_origins }
    }

    fn named(config: &'a Config, name: &str) -> Self {
        let pool = config.named_pools.iter().find(|pool| *pool.name == *name);
        pool.map_or(Self::NONE, |pool| Self { entries: &pool.entries, origins: &pool.origins })
    }
}

/// Our end and the first slot of each address.
type Addresses = BTreeMap<Ipv4Addr, (Ipv4Addr, usize)>;

fn addresses(pool: &[PoolEntry]) -> Addresses {
    let mut addresses = BTreeMap::new();
    for (slot, entry) in pool.iter().enumerate() {
        if let Some(remote) = entry.remote {
            addresses.entry(remote).or_insert((entry.local, slot));
        }
    }
    addresses
}

/// Neighbours with the same end of ours as one.
fn runs<'a>(
    addresses: &'a [(Ipv4Addr, Ipv4Addr, usize)],
    origins: &'a PoolOrigins,
) -> impl Iterator<Item = Setting> + 'a {
    let follows = |before: &(Ipv4Addr, Ipv4Addr, usize), next: &(Ipv4Addr, Ipv4Addr, usize)| {
        before.0.to_bits().checked_add(1) == Some(next.0.to_bits()) && before.1 == next.1
    };
    addresses.chunk_by(follows).filter_map(|run| {
        let ((first, local, slot), (last, ..)) = (run.first()?, run.last()?);
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        Some(Setting { value: format!("{range}, ours is {local}"), origin: origins.of(*slot).to_string() })
    })
}

impl Reading {
    /// This reading as far as a running server can take it over from `old`: what needs a restart stays.
    #[must_use]
    pub fn applied_over(mut self, old: &Self) -> Self {
        let before = &old.config;
        let config = &mut self.config;
        config.wait_for_interfaces = before.wait_for_interfaces;
        config.discovery_ether_type = before.discovery_ether_type;
        config.session_ether_type = before.session_ether_type;
        config.cookie_lifetime = before.cookie_lifetime;
        config.adoption_grace = before.adoption_grace;
        config.numbering = before.numbering;
        config.random_order = before.random_order;
        config.limits.mac_files.clone_from(&before.limits.mac_files);
        config.run_dir.clone_from(&before.run_dir);
        config.control_socket.clone_from(&before.control_socket);
        config.pid_file.clone_from(&before.pid_file);
        config.hooks.clone_from(&before.hooks);
        config.foreground = before.foreground;
        config.console_file.clone_from(&before.console_file);
        config.probe = before.probe;
        config.rival_interval = before.rival_interval;
        config.ebpf = before.ebpf;
        config.allow_unfiltered_workers = before.allow_unfiltered_workers;
        config.worker.clone_from(&before.worker);
        config.worker_user.clone_from(&before.worker_user);
        config.control_group.clone_from(&before.control_group);
        config.view_group.clone_from(&before.view_group);
        self
    }
}
