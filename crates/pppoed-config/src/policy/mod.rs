//! What consoles have set: a layer over files and command line, lists of users and stations, options of single users, and
//! hook scripts that are not called.
//!
//! It lives in memory, and in the console file once it was written there (`file`). Nothing here decides when a change holds:
//! settings go through the same layers, and the same reload, as those of files.

mod check;
mod file;
mod settable;
mod shown;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, MAX_ENTRIES, MAX_TEXT, MAX_VALUES, PolicyChange, Subject};
use ppp_wire::MacAddr;
use ppp_wire::escape::Escaped;

pub use check::{Refusal, check_option, check_setting, check_values};
pub use file::{PolicyFileError, parse, read, text};
pub use settable::settable;
pub use user::UserOverride;

use crate::config::Layer;
use crate::flags::keys::{Kind, ServerKey};
use crate::mac_list::ConsoleMacs;
use crate::options::{self, OptionKind};
use crate::origin::{Assignment, Origin};

/// Patterns that may be on the lists: each is compared with the name of whoever logs in.
pub const MAX_PATTERNS: usize = 64;
/// Between an option of pppd and what says that it is one.
const PPP: &str = "ppp.";
/// The only word beside the options that a user may have here.
pub const ADDRESS: &str = "address";

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A long flag.
    Setting(String),
    /// An option of pppd.
    Option(String),
    /// A list has it; on both at once nobody can be.
    Listed(Subject),
    /// An option of one user.
    User {
        /// Exact name.
        name: Name,
        /// The option, or [`ADDRESS`].
        option: String,
    },
    /// All hook scripts (`None`), or one of this name, that are not called.
    HookOff(Option<String>),
}

/// What was set, by whom, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The values: of a list `allow` or `deny`, of hooks none.
    pub values: Vec<String>,
    /// Who, and when.
    pub by: By,
}

/// Who set something, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// User.
    pub uid: u32,
    /// Milliseconds since 1970-01-01 00:00 UTC.
    pub time_ms: u64,
}

impl By {
    /// Somebody, now.
    pub fn now(uid: u32) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { uid, time_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Everything that consoles have set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    entries: BTreeMap<Key, Entry>,
}

/// The hook scripts that are not called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HooksOff {
    /// None is.
    pub all: bool,
    /// These are not.
    pub files: BTreeSet<String>,
}

impl HooksOff {
    /// Whether a script is called.
    pub fn calls(&self, name: &str) -> bool {
        !self.all && !self.files.contains(name)
    }
}

/// Lists that a console can add to, as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Services on offer.
    pub services: Vec<Name>,
    /// Access interfaces that are served, and patterns of such.
    pub interfaces: Vec<String>,
}

impl Policy {
    /// All entries, in a fixed order.
    pub fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether consoles have set nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether this says the same, whoever said it.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let values = |policy: &'_ Self| -> Vec<(Key, Vec<String>)> {
            policy.entries.iter().map(|(key, entry)| (key.clone(), entry.values.clone())).collect()
        };
        values(self) == values(other)
    }

    /// The entry about `key`.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Sets an entry. To be checked before, but for the limits.
    ///
    /// # Errors
    /// When there are too many entries, or a text is too long.
    pub fn insert(&mut self, key: Key, values: Vec<String>, by: By) -> Result<(), Refusal> {
        let mut lengths = key.lengths().into_iter().chain(values.iter().map(String::len));
        if let Some(long) = lengths.find(|length| *length > MAX_TEXT) {
            return Err(Refusal::TooLong { length: long });
        }
        if values.len() > MAX_VALUES {
            return Err(Refusal::TooManyValues { count: values.len() });
        }
        let is_new = !self.entries.contains_key(&key);
        if is_new && self.entries.len() >= MAX_ENTRIES {
            return Err(Refusal::TooManyEntries);
        }
        if is_new && key.is_pattern() && self.patterns().count() >= MAX_PATTERNS {
            return Err(Refusal::TooManyPatterns);
        }
        self.entries.insert(key, Entry { values, by });
        Ok(())
    }

    /// This policy after a change of what is there `now`.
    ///
    /// # Errors
    /// [`Refusal`]: there is nothing to be taken back, or something is not possible here.
    pub fn changed(&self, change: &PolicyChange, now: &Lists, by: By) -> Result<Self, Refusal> {
        let Lists { services, interfaces } = now;
        let mut new = self.clone();
        match change {
            PolicyChange::Set { key, values } => {
                let key = Key::of_setting(key);
                let values = shown::read(&key, values);
                key.check(&values)?;
                let values: Vec<String> = values.iter().map(|value| key.in_decimal(value)).collect();
                new.make_void(&key, &values);
                new.insert(key, values, by)?;
            }
            PolicyChange::Unset { key } => new.remove(&Key::of_setting(key))?,
            PolicyChange::AddService(name) => {
                if services.contains(name) {
                    return Err(Refusal::ServiceIsThere(name.clone()));
                }
                let all = services.iter().chain([name]).map(Name::to_string).collect::<Vec<_>>();
                let key = Key::Setting("service".to_owned());
                key.check(&all)?;
                new.insert(key, all, by)?;
            }
            PolicyChange::RemoveService(name) => {
                if !services.contains(name) {
                    return Err(Refusal::NoSuchService(name.clone()));
                }
                let rest = services.iter().filter(|service| *service != name);
                let rest = rest.map(Name::to_string).collect();
                new.insert(Key::Setting("service".to_owned()), rest, by)?;
            }
            PolicyChange::AddInterface(name) => {
                if interfaces.contains(name) {
                    return Err(Refusal::InterfaceIsThere(name.clone()));
                }
                let all = interfaces.iter().chain([name]).cloned().collect::<Vec<_>>();
                let key = Key::Setting("interface".to_owned());
                key.check(&all)?;
                new.insert(key, all, by)?;
            }
            PolicyChange::RemoveInterface(name) => {
                if !interfaces.contains(name) {
                    let (name, served) = (name.clone(), interfaces.join(" "));
                    return Err(Refusal::NoSuchInterface { name, served });
                }
                let rest: Vec<_> = interfaces.iter().filter(|other| *other != name).cloned().collect();
                if rest.is_empty() {
                    return Err(Refusal::LastInterface(name.clone()));
                }
                new.insert(Key::Setting("interface".to_owned()), rest, by)?;
            }
            PolicyChange::List { list, who } => {
                if let Subject::Mac(mac) = who
                    && !MacAddr(*mac).is_unicast()
                {
                    return Err(Refusal::GroupAddress(MacAddr(*mac)));
                }
                if matches!(who, Subject::User(name) if name.is_empty()) {
                    return Err(Refusal::Empty);
                }
                new.insert(Key::Listed(who.clone()), vec![list.as_str().to_owned()], by)?;
            }
            PolicyChange::Unlist { list, who } => {
                let key = Key::Listed(who.clone());
                match new.entries.get(&key) {
                    Some(entry) if entry.values == [list.as_str()] => new.remove(&key)?,
                    _ => return Err(Refusal::NotListed { who: who.to_string(), list: list.as_str() }),
                }
            }
            PolicyChange::SetUser { name, options } => {
                if name.is_empty() || options.is_empty() {
                    return Err(Refusal::Empty);
                }
                for (option, value) in options {
                    let value = shown::of_user(option, value);
                    user::check(option, &value)?;
                    let key = Key::User { name: name.clone(), option: option.clone() };
                    new.make_void(&key, std::slice::from_ref(&value));
                    new.insert(key, vec![value], by)?;
                }
                new.check_address_of(name)?;
            }
            PolicyChange::UnsetUser { name, options } if options.is_empty() => {
                let before = new.len();
                new.entries.retain(|key, _| !matches!(key, Key::User { name: of, .. } if of == name));
                if new.len() == before {
                    return Err(Refusal::NotSet(format!("anything of user {name}")));
                }
            }
            PolicyChange::UnsetUser { name, options } => {
                for option in options {
                    new.remove(&Key::User { name: name.clone(), option: option.clone() })?;
                }
            }
            PolicyChange::Hooks { enabled: false, file } => {
                if file.is_none() {
                    new.entries.retain(|key, _| !matches!(key, Key::HookOff(_)));
                }
                new.insert(Key::HookOff(file.clone()), Vec::new(), by)?;
            }
            PolicyChange::Hooks { enabled: true, file: Some(file) } => {
                if new.entries.contains_key(&Key::HookOff(None)) {
                    return Err(Refusal::AllHooksOff);
                }
                new.remove(&Key::HookOff(Some(file.clone())))?;
            }
            PolicyChange::Hooks { enabled: true, file: None } => {
                new.entries.retain(|key, _| !matches!(key, Key::HookOff(_)));
            }
            PolicyChange::UnsetAll => new.entries.clear(),
        }
        Ok(new)
    }

    /// Removes what says the same or the opposite of an option that is about to be set: the last word holds.
    fn make_void(&mut self, key: &Key, values: &[String]) {
        let void = |option: &str, values: &[String]| -> Vec<&'static str> {
            let assignment =
                Assignment { key: option.to_owned(), values: values.to_vec(), origin: Origin::Console };
            options::overridden_groups(&assignment).collect()
        };
        match key {
            Key::Option(option) => {
                let void = void(option, values);
                self.entries.retain(|key, _| !matches!(key, Key::Option(other) if is_in_group(other, &void)));
            }
            Key::User { name, option } => {
                let void = void(option, values);
                self.entries.retain(|key, _| {
                    !matches!(key, Key::User { name: of, option: other } if of == name && is_in_group(other, &void))
                });
            }
            Key::Setting(_) | Key::Listed(_) | Key::HookOff(_) => {}
        }
    }

    fn remove(&mut self, key: &Key) -> Result<(), Refusal> {
        self.entries.remove(key).map(drop).ok_or_else(|| Refusal::NotSet(key.to_string()))
    }

    /// No address may be two users'.
    fn check_address_of(&self, name: &Name) -> Result<(), Refusal> {
        let own = self.addresses().find(|(_, owner)| *owner == name).map(|(address, _)| address);
        match self.addresses().find(|(address, owner)| Some(*address) == own && *owner != name) {
            Some((address, owner)) => Err(Refusal::AddressTaken { address, owner: owner.clone() }),
            None => Ok(()),
        }
    }

    /// The settings of the server.
    pub fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        for (key, entry) in &self.entries {
            let assignment = |key: &String| Assignment {
                key: key.clone(),
                values: entry.values.clone(),
                origin: Origin::Console,
            };
            match key {
                Key::Setting(name) => layer.server.push(assignment(name)),
                Key::Option(name) => layer.ppp.push(assignment(name)),
                _ => {}
            }
        }
        layer
    }

    /// The lists of stations.
    pub fn macs(&self) -> ConsoleMacs {
        let of = |list: ListName| {
            let listed = self.entries.iter().filter_map(move |(key, entry)| match key {
                Key::Listed(Subject::Mac(mac)) if entry.values == [list.as_str()] => Some(MacAddr(*mac)),
                _ => None,
            });
            Arc::new(listed.collect())
        };
        ConsoleMacs { allow: of(ListName::Allow), deny: of(ListName::Deny) }
    }

    /// Why a user of this name is not let in, if that is so. The exact name decides before patterns, and `allow` before
    /// `deny` among these.
    pub fn denial(&self, name: &[u8]) -> Option<String> {
        let says = |entry: &Entry| entry.values == [ListName::Deny.as_str()];
        let reason = |what: &NamePattern, entry: &Entry| {
            format!(
                "denied at the console: set deny user {what} (by uid {}; unset deny user {what})",
                entry.by.uid
            )
        };
        let exactly = NamePattern::exactly(&Name::new(name));
        if let Some(exact) = self.entries.get(&Key::Listed(Subject::User(exactly.clone()))) {
            return says(exact).then(|| reason(&exactly, exact));
        }
        let mut denial = None;
        for (pattern, entry) in self.patterns().filter(|(pattern, _)| pattern.matches(name)) {
            if !says(entry) {
                return None;
            }
            denial.get_or_insert_with(|| reason(pattern, entry));
        }
        denial
    }

    fn patterns(&self) -> impl Iterator<Item = (&NamePattern, &Entry)> {
        self.entries.iter().filter_map(|(key, entry)| match key {
            Key::Listed(Subject::User(pattern)) if key.is_pattern() => Some((pattern, entry)),
            _ => None,
        })
    }

    /// What one user has beside what files say.
    pub fn user(&self, name: &[u8]) -> UserOverride {
        UserOverride::new(self.entries.iter().filter_map(|(key, entry)| match key {
            Key::User { name: of, option } if of.as_bytes() == name => {
                Some((option.as_str(), entry.values.first().map_or("", String::as_str)))
            }
            _ => None,
        }))
    }

    /// The addresses of single users.
    pub fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &Name)> {
        self.entries.iter().filter_map(|(key, entry)| match key {
            Key::User { name, option } if option == ADDRESS => {
                Some((entry.values.first()?.parse().ok()?, name))
            }
            _ => None,
        })
    }

    /// The hook scripts that are not called.
    pub fn hooks_off(&self) -> HooksOff {
        let mut off = HooksOff::default();
        for key in self.entries.keys() {
            match key {
                Key::HookOff(None) => off.all = true,
                Key::HookOff(Some(file)) => _ = off.files.insert(file.clone()),
                _ => {}
            }
        }
        off
    }
}

fn is_in_group(option: &str, groups: &[&str]) -> bool {
    options::option_group(option).is_some_and(|group| groups.contains(&group))
}

impl Key {
    /// `ppp.WORD` is an option of pppd, and everything else a long flag; or such an option, if no flag is called so: that is
    /// how `show config` lists them.
    pub fn of_setting(key: &str) -> Self {
        match key.strip_prefix(PPP) {
            Some(option) => Self::Option(option.to_owned()),
            None => {
                let name = key.trim_start_matches("--");
                match ServerKey::find(name).is_none() && options::kind_of(name).is_some() {
                    true => Self::Option(name.to_owned()),
                    false => Self::Setting(name.to_owned()),
                }
            }
        }
    }

    fn check(&self, values: &[String]) -> Result<(), Refusal> {
        match self {
            Self::Setting(name) => check_setting(name, values),
            Self::Option(name) => check_option(name).and_then(|()| check_values(name, values)),
            _ => Ok(()),
        }
    }

    /// The value as TOML has it, if it is a number: 007 and 0x10 are none there.
    fn in_decimal(&self, value: &str) -> String {
        let is_number = |key: &ServerKey| matches!(key.kind, Kind::Number | Kind::Quantity);
        let number = match self {
            Self::Setting(name) if ServerKey::find(name).is_some_and(is_number) => value.parse().ok(),
            Self::Option(name) if options::kind_of(name) == Some(OptionKind::Number) => {
                options::number_in_c(value.as_bytes()).map(i64::from)
            }
            _ => None,
        };
        number.map_or_else(|| value.to_owned(), |number: i64| number.to_string())
    }

    fn is_pattern(&self) -> bool {
        matches!(self, Self::Listed(Subject::User(pattern)) if pattern.exact().is_none())
    }

    /// Bytes of its texts.
    fn lengths(&self) -> [usize; 2] {
        match self {
            Self::Setting(text) | Self::Option(text) => [text.len(), 0],
            Self::Listed(Subject::User(pattern)) => [pattern.len(), 0],
            Self::Listed(Subject::Mac(_)) => [0, 0],
            Self::User { name, option } => [name.as_bytes().len(), option.len()],
            Self::HookOff(file) => [file.as_ref().map_or(0, String::len), 0],
        }
    }

    /// Which kind of entry it is.
    pub fn kind(&self, entry: &Entry) -> &'static str {
        match self {
            Self::Setting(_) | Self::Option(_) => "config",
            Self::Listed(_) if entry.values == [ListName::Allow.as_str()] => "allow",
            Self::Listed(_) => "deny",
            Self::User { .. } => "user",
            Self::HookOff(_) => "hooks",
        }
    }

    /// What it is about, beside its kind.
    pub fn name(&self) -> String {
        match self {
            Self::Setting(name) => name.clone(),
            Self::Option(name) => format!("{PPP}{name}"),
            Self::Listed(who) => who.to_string(),
            Self::User { name, .. } => name.to_string(),
            Self::HookOff(None) => "all scripts".to_owned(),
            Self::HookOff(Some(file)) => file.clone(),
        }
    }

    /// What it says.
    pub fn value(&self, entry: &Entry) -> String {
        match self {
            Self::User { option, .. } => format!("{option}={}", entry.values.join(" ")),
            Self::Listed(_) => String::new(),
            Self::HookOff(_) => "disabled".to_owned(),
            _ if entry.values.is_empty() => "none".to_owned(),
            // So that names with blanks in them can be told apart.
            Self::Setting(name) if name == "service" => {
                entry.values.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" ")
            }
            // So that a text that says "none" is not taken for none.
            Self::Setting(name) if shown::TEXTS.contains(&name.as_str()) => match entry.values.as_slice() {
                [text] if text.is_empty() => "none".to_owned(),
                texts => texts.iter().map(|text| format!("\"{}\"", Escaped(text.as_bytes()))).collect(),
            },
            _ => entry.values.join(" "),
        }
    }
}

/// The key of a difference.
impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User { name, option } => write!(f, "user {name} {option}"),
            Self::HookOff(_) => write!(f, "hooks {}", self.name()),
            _ => f.write_str(&self.name()),
        }
    }
}

#[cfg(test)]
mod tests;
