//! The tables `[[interface]]` and `[pool.NAME]`: what holds for some access interfaces only, and pools beside the
//! default one.
//!
//! A key of `[[interface]]` is `name`, `pool`, `auth` or `sessions`, a setting of the server that interfaces can differ in,
//! or an option that users can have too. Each goes through the parser that it has elsewhere.

use std::net::Ipv4Addr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::str::FromStr;

use clap::Parser as _;
use ppp_proto::auth::AuthMethod;
use ppp_proto::token_bucket::Rate;
use ppp_wire::if_name::IfName;
use ppp_wire::name::bytes_of;

use crate::config::{ConfigError, Layer, NamedPool, Notice, Profile, Sections};
use crate::flags::Flags;
use crate::flags::keys::{self, Kind, ServerKey};
use crate::options::{self, Reader};
use crate::origin::{Assignment, Origin, Sourced};
use crate::pool::DEFAULT_POOL;
use crate::toml_file::{FileError, Item, Node, Problem, Table, Value, ppp_assignment, unknown_key, values};

/// Keys of an interface that are keys of the whole server as well.
const SERVER_KEYS: [&str; 7] =
    ["service", "ac-name", "pado-delay", "padi-rate", "padr-rate", "mac-rate", "per-mac"];
/// Keys that only an interface has.
const OWN_KEYS: [&str; 4] = ["name", "pool", "auth", "sessions"];
/// The flag whose limit `sessions` of an interface is.
const SESSIONS: &str = "sessions-per-interface";
/// Keys of a pool.
const POOL_KEYS: [&str; 3] = ["addresses", "file", "local"];
/// Longest name of a pool, in bytes.
const MAX_POOL_NAME: usize = 32;

/// Reads the tables of a layer. Paths in them start from `directory` and the directory of their file; where a pool does not
/// name our end, it is `local`.
pub(in crate::config) fn sections(
    layer: &Layer,
    directory: &Path,
    local: Ipv4Addr,
    notices: &mut Vec<Notice>,
) -> (Sections, Vec<ConfigError>) {
    let (mut sections, mut errors) = (Sections::default(), Vec::new());
    for table in &layer.interfaces {
        match profile(table, notices) {
            Ok(profile) => sections.profiles.push(profile),
            Err(more) => errors.extend(more),
        }
    }
    for (name, table) in &layer.pools {
        match pool(name, table, directory, local, notices) {
            Ok(pool) => sections.pools.push(pool),
            Err(more) => errors.extend(more),
        }
    }
    (sections, errors)
}

/// A mistake in the value of a key.
fn bad(item: &Item, why: impl ToString) -> ConfigError {
    let problem = Problem::Value { key: item.key.clone(), why: why.to_string() };
    ConfigError::File(FileError { place: item.value.place.clone(), problem })
}

/// A mistake about a table as a whole.
fn incomplete(table: &Table, why: &str) -> ConfigError {
    let problem = Problem::Table(why.to_owned());
    ConfigError::File(FileError { place: table.place.clone(), problem })
}

fn origin(node: &Node) -> Origin {
    Origin::File(node.place.clone())
}

fn text(item: &Item) -> Result<Sourced<String>, ConfigError> {
    let values = values(item, Kind::Text, Path::new("")).map_err(ConfigError::File)?;
    Ok(Sourced::new(values.concat(), origin(&item.value)))
}

/// A text, or a list of them, each with its place.
fn texts(item: &Item) -> Result<Vec<Sourced<String>>, ConfigError> {
    let values = values(item, Kind::List, Path::new("")).map_err(ConfigError::File)?;
    let places: Vec<Origin> = match &item.value.value {
        Value::Array(nodes) => nodes.iter().map(origin).collect(),
        _ => vec![origin(&item.value)],
    };
    Ok(values.into_iter().zip(places).map(|(value, place)| Sourced::new(value, place)).collect())
}

fn profile(table: &Table, notices: &mut Vec<Notice>) -> Result<Profile, Vec<ConfigError>> {
    let mut profile = Profile::new("", Origin::File(table.place.clone()));
    let (mut errors, mut words, mut options) = (Vec::new(), Vec::new(), Reader::new());
    for item in &table.items {
        let taken = match item.key.as_str() {
            "name" => name(item).map(|name| profile.name = name),
            "pool" => text(item).map(|pool| {
                profile.pool = Some(pool.map(|name| name.as_str().into()));
            }),
            "auth" => auth(item).map(|methods| profile.auth_methods = Some(methods)),
            "sessions" => server_word(item, SESSIONS).map(|more| words.extend(more)),
            key if SERVER_KEYS.contains(&key) => server_word(item, key).map(|more| words.extend(more)),
            key if options::is_session_option(key) => option(item, &mut options),
            _ => Err(no_such_key(item)),
        };
        errors.extend(taken.err());
    }
    let (options, option_errors, option_notices) = options.finish();
    errors.extend(option_errors.into_iter().map(ConfigError::Option));
    notices.extend(option_notices.into_iter().map(Notice::Option));
    profile.session = options.session;
    if profile.name.is_empty() && !table.items.iter().any(|item| item.key == "name") {
        errors.push(incomplete(
            table,
            "[[interface]] has no name: give name = \"eth1\", or a pattern, \"eth1.*\"",
        ));
    }
    match Flags::try_parse_from(std::iter::once("pppoed".to_owned()).chain(words)) {
        Ok(flags) if errors.is_empty() => {
            apply_flags(&mut profile, flags, table);
            Ok(profile)
        }
        Ok(_) => Err(errors),
        // Each was good alone, so this is something that the flags say together.
        Err(error) if errors.is_empty() => Err(vec![incomplete(table, &error.to_string())]),
        Err(_) => Err(errors),
    }
}

fn name(item: &Item) -> Result<String, ConfigError> {
    let name = text(item)?.value;
    // A pattern is no longer than what it matches, and has the characters of a name.
    let as_name = name.replace(['*', '?'], "x");
    match IfName::from_str(&as_name) {
        Ok(_) => Ok(name),
        Err(error) => Err(bad(item, format!("{name:?} is no name of an interface: {error}"))),
    }
}

fn auth(item: &Item) -> Result<Sourced<Vec<AuthMethod>>, ConfigError> {
    let words = texts(item)?;
    let mut methods = Vec::new();
    for word in &words {
        match word.value.as_str() {
            "none" if words.len() == 1 => {}
            word => match options::auth_method(word) {
                Some(method) => methods.push(method),
                None => return Err(bad(item, "must be \"chap\", \"pap\", [\"chap\", \"pap\"] or \"none\"")),
            },
        }
    }
    if words.is_empty() {
        return Err(bad(item, "is empty: say \"none\" if clients need not prove who they are"));
    }
    Ok(Sourced::new(methods, origin(&item.value)))
}

/// The flags that set a key of the server from an item.
fn server_word(item: &Item, name: &str) -> Result<Vec<String>, ConfigError> {
    let Some(key) = ServerKey::find(name) else { return Err(no_such_key(item)) };
    let values = values(item, key.kind, Path::new("")).map_err(ConfigError::File)?;
    let assignment = Assignment { key: name.to_owned(), values, origin: origin(&item.value) };
    key.check(&assignment).map_err(|why| ConfigError::Key {
        origin: assignment.origin.clone(),
        key: item.key.clone(),
        why,
    })?;
    let words = assignment.values.into_iter().map(|value| keys::word(name, value.into()));
    Ok(words.filter_map(|word| word.into_string().ok()).collect())
}

fn option(item: &Item, options: &mut Reader) -> Result<(), ConfigError> {
    options.assign(&ppp_assignment(item, Path::new("")).map_err(ConfigError::File)?);
    Ok(())
}

fn no_such_key(item: &Item) -> ConfigError {
    let belongs = if ServerKey::find(&item.key).is_some_and(|key| key.not_in_file.is_none()) {
        "it holds for all interfaces: put it above the first line in [brackets]"
    } else if options::is_accepted(&item.key) {
        "it holds for all interfaces: put it below [ppp]"
    } else {
        let names = OWN_KEYS.into_iter().chain(SERVER_KEYS).chain(options::session_options());
        return ConfigError::File(unknown_key(item, names));
    };
    let problem = Problem::Misplaced { key: item.key.clone(), belongs };
    ConfigError::File(FileError { place: item.place.clone(), problem })
}

/// What the flags say goes into the profile, each with the place of its key.
fn apply_flags(profile: &mut Profile, flags: Flags, table: &Table) {
    let at = |key: &str| {
        let item = table.items.iter().find(|item| item.key == key);
        item.map_or(Origin::Default, |item| origin(&item.value))
    };
    let rate = |count: Option<u32>, key| {
        count.map(|count| Sourced::new(NonZeroU32::new(count).map(Rate::per_second), at(key)))
    };
    let limits = flags.limits;
    profile.padi_rate = rate(limits.padi_rate, "padi-rate");
    profile.padr_rate = rate(limits.padr_rate, "padr-rate");
    profile.mac_rate = rate(limits.mac_rate, "mac-rate");
    profile.pado_delay = limits.pado_delay.map(|delay| Sourced::new(delay.0, at("pado-delay")));
    profile.sessions = limits.sessions_per_interface.map(|count| {
        let count = NonZeroUsize::new(usize::try_from(count).unwrap_or(usize::MAX));
        Sourced::new(count, at("sessions"))
    });
    profile.per_mac = flags.per_mac.map(|limit| Sourced::new(limit, at("per-mac")));
    profile.ac_name = flags.ac_name.map(|name| Sourced::new(bytes_of(name.as_bytes()), at("ac-name")));
    if table.items.iter().any(|item| item.key == "service") {
        let services = flags.services.iter().map(|name| bytes_of(name.as_bytes())).collect();
        profile.services = Some(Sourced::new(services, at("service")));
    }
}

fn pool(
    name: &str,
    table: &Table,
    directory: &Path,
    local: Ipv4Addr,
    notices: &mut Vec<Notice>,
) -> Result<NamedPool, Vec<ConfigError>> {
    let (mut errors, mut local) = (Vec::new(), local);
    let (mut addresses, mut file) = (None, None);
    if name == DEFAULT_POOL {
        let why = "pool \"default\" is that of local, remote, sessions and pool-file: set these, above the first line in \
                   [brackets]";
        errors.push(incomplete(table, why));
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > MAX_POOL_NAME || !name.bytes().all(is_word) {
        let why = format!(
            "{name:?} is no name of a pool: 1 to {MAX_POOL_NAME} letters, digits, hyphens and underscores"
        );
        errors.push(incomplete(table, &why));
    }
    for item in &table.items {
        let taken = match item.key.as_str() {
            "local" => own_address(item).map(|address| local = address),
            "addresses" => texts(item).map(|texts| addresses = Some(texts)),
            "file" => text(item).map(|path| {
                let here = table.place.file.parent().unwrap_or(Path::new(""));
                file = Some(directory.join(here).join(path.value));
            }),
            _ => Err(ConfigError::File(unknown_key(item, POOL_KEYS))),
        };
        errors.extend(taken.err());
    }
    let place = Origin::File(table.place.clone());
    let pool = match (addresses, file) {
        _ if !errors.is_empty() => return Err(errors),
        (Some(_), Some(_)) => Err(incomplete(table, "a pool has addresses or a file, not both")),
        (None, Some(file)) => NamedPool::from_file(name.into(), place, local, &file, notices),
        (addresses, None) => {
            NamedPool::from_ranges(name.into(), place, local, &addresses.unwrap_or_default())
        }
    };
    pool.map_err(|error| vec![error])
}

fn own_address(item: &Item) -> Result<Ipv4Addr, ConfigError> {
    let Sourced { value, origin } = text(item)?;
    let address = value.parse().map_err(|_| bad(item, format!("{value:?} is no IPv4 address")))?;
    match crate::inet::is_bad_host(address) {
        false => Ok(address),
        true => Err(ConfigError::OwnAddress(Sourced::new(address, origin))),
    }
}
