//! The console file: what consoles have set, as `pppctl write` keeps it.
//!
//! The settings and `[ppp]` are those of `pppoed.toml`, with its parsers; the other tables are this file's own. Names of users
//! are their text ([`ppp_wire::name`]):
//!
//! ```toml
//! pado-delay = "100"
//!
//! [ppp]
//! ms-dns = ["1.1.1.1"]
//!
//! [deny]
//! mac = ["02:00:5e:10:00:01"]
//! user = ["guest*"]
//!
//! [hooks]
//! disabled = ["20-nat.lua"]
//!
//! [user."alice"]
//! rate-down = "10M"
//! address = "10.0.0.9"
//!
//! [written]
//! uid = 0
//! time-ms = 1795257062123
//! ```

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, Subject};
use ppp_wire::MacAddr;

use super::{By, Key, Policy, Refusal, user};
use crate::files;
use crate::flags::keys::{Kind, ServerKey};
use crate::options::{self, OptionKind};
use crate::toml_file::{self, FileError, Item, Problem, Unreadable, Value};

/// Most bytes of it: more than the largest policy takes.
const MAX_FILE: u64 = 8 << 20;
const ALL_DISABLED: &str = "all-disabled";
const TABLES: [&str; 6] = ["allow", "deny", "hooks", "ppp", "user", "written"];

/// The console file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Something in it is wrong.
    #[error("{0}; fix it, or move it away, which discards saved runtime settings")]
    Mistake(FileError),
}

/// Reads the console file; one that is not there is empty. May block.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path) -> Result<Policy, Vec<PolicyFileError>> {
    let opened = files::open_regular(path);
    let contents = match opened.and_then(|(file, metadata)| files::read_text(file, &metadata, MAX_FILE)) {
        Ok(contents) => contents,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Policy::default()),
        Err(source) => {
            let path = path.to_owned();
            return Err(vec![Unreadable { what: "console file", path, source }.into()]);
        }
    };
    parse(path, &contents).map_err(|errors| errors.into_iter().map(PolicyFileError::Mistake).collect())
}

/// What the contents of a console file say; `path` is its name in messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(path: &Path, contents: &[u8]) -> Result<Policy, Vec<FileError>> {
    let root = toml_file::parse(path, contents)?;
    let mut reader = Reader { policy: Policy::default(), by: By::default(), errors: Vec::new() };
    // Needed for all the others.
    for item in root.items.iter().filter(|item| item.key == "written") {
        reader.written(item);
    }
    for item in &root.items {
        reader.add(item);
    }
    if reader.errors.is_empty() { Ok(reader.policy) } else { Err(reader.errors) }
}

struct Reader {
    policy: Policy,
    by: By,
    errors: Vec<FileError>,
}

impl Reader {
    fn add(&mut self, item: &Item) {
        match (item.key.as_str(), &item.value.value) {
            ("written", _) => {}
            ("ppp", Value::Table(table)) => {
                for option in &table.items {
                    match toml_file::ppp_assignment(option, Path::new("/")) {
                        Ok(found) => self.set(option, Key::Option(found.key), found.values),
                        Err(error) => self.errors.push(error),
                    }
                }
            }
            ("deny", Value::Table(table)) => {
                table.items.iter().for_each(|item| self.listed(ListName::Deny, item));
            }
            ("allow", Value::Table(table)) => {
                table.items.iter().for_each(|item| self.listed(ListName::Allow, item));
            }
            ("hooks", Value::Table(table)) => table.items.iter().for_each(|item| self.hooks(item)),
            ("user", Value::Table(users)) => users.items.iter().for_each(|item| self.user(item)),
            (key, _) if TABLES.contains(&key) => self.wrong(item, "a table"),
            _ => match toml_file::server_assignment(item, Path::new("/")) {
                Ok(found) => self.set(item, Key::Setting(found.key), found.values),
                Err(error) => self.errors.push(error),
            },
        }
    }

    fn set(&mut self, item: &Item, key: Key, values: Vec<String>) {
        let done = key.check(&values).and_then(|()| self.policy.insert(key, values, self.by));
        self.refused(item, done);
    }

    fn refused(&mut self, item: &Item, done: Result<(), Refusal>) {
        if let Err(why) = done {
            self.errors.push(FileError {
                place: item.value.place.clone(),
                problem: Problem::Table(why.to_string()),
            });
        }
    }

    fn wrong(&mut self, item: &Item, wanted: &'static str) {
        let (key, found) = (item.key.clone(), item.value.value.kind());
        let problem = Problem::WrongType { key, wanted, found };
        self.errors.push(FileError { place: item.value.place.clone(), problem });
    }

    fn written(&mut self, item: &Item) {
        let Value::Table(table) = &item.value.value else { return self.wrong(item, "a table") };
        for item in &table.items {
            match (item.key.as_str(), &item.value.value) {
                ("uid", Value::Integer(uid)) if u32::try_from(*uid).is_ok() => {
                    self.by.uid = u32::try_from(*uid).unwrap_or_default();
                }
                ("time-ms", Value::Integer(time)) if u64::try_from(*time).is_ok() => {
                    self.by.time_ms = u64::try_from(*time).unwrap_or_default();
                }
                ("uid" | "time-ms", _) => self.wrong(item, "a number"),
                _ => self.errors.push(toml_file::unknown_key(item, ["uid", "time-ms"])),
            }
        }
    }

    /// The texts of a list.
    fn texts(&mut self, item: &Item) -> Vec<String> {
        let mut texts = Vec::new();
        match &item.value.value {
            Value::Array(nodes) => {
                for node in nodes {
                    match &node.value {
                        Value::Text(text) => texts.push(text.to_string()),
                        _ => self.wrong(item, "a list of strings"),
                    }
                }
            }
            _ => self.wrong(item, "a list of strings"),
        }
        texts
    }

    fn listed(&mut self, list: ListName, item: &Item) {
        if !["mac", "user"].contains(&item.key.as_str()) {
            return self.errors.push(toml_file::unknown_key(item, ["mac", "user"]));
        }
        let texts = self.texts(item);
        for text in texts {
            let who = match item.key.as_str() {
                "user" => Ok(Subject::User(NamePattern::from_text(text))),
                _ => match text.parse::<MacAddr>() {
                    Ok(mac) if mac.is_unicast() => Ok(Subject::Mac(mac.0)),
                    _ => Err(Refusal::UserOption(format!(
                        "{text:?} is not a station's MAC address such as 02:00:5e:10:00:01"
                    ))),
                },
            };
            let done = who.and_then(|who| {
                self.policy.insert(Key::Listed(who), vec![list.as_str().to_owned()], self.by)
            });
            self.refused(item, done);
        }
    }

    fn hooks(&mut self, item: &Item) {
        match (item.key.as_str(), &item.value.value) {
            (ALL_DISABLED, Value::Boolean(true)) => {
                let done = self.policy.insert(Key::HookOff(None), Vec::new(), self.by);
                self.refused(item, done);
            }
            (ALL_DISABLED, Value::Boolean(false)) => {}
            (ALL_DISABLED, _) => self.wrong(item, "true or false"),
            ("disabled", _) => {
                for name in self.texts(item) {
                    let done = self.policy.insert(Key::HookOff(Some(name)), Vec::new(), self.by);
                    self.refused(item, done);
                }
            }
            _ => self.errors.push(toml_file::unknown_key(item, ["disabled", ALL_DISABLED])),
        }
    }

    fn user(&mut self, of: &Item) {
        let Value::Table(table) = &of.value.value else { return self.wrong(of, "a table") };
        let name = Name::from_text(&of.key);
        for item in &table.items {
            let value = match &item.value.value {
                Value::Text(text) => text.to_string(),
                Value::Integer(number) => number.to_string(),
                Value::Boolean(value) => value.to_string(),
                _ => {
                    self.wrong(item, "a text, a number, or true");
                    continue;
                }
            };
            let key = Key::User { name: name.clone(), option: item.key.clone() };
            let done = user::check(&item.key, &value)
                .and_then(|()| self.policy.insert(key, vec![value], self.by))
                .and_then(|()| self.policy.check_address_of(&name));
            self.refused(item, done);
        }
    }
}

/// A console file that says what `policy` does, written `by` somebody.
pub fn text(policy: &Policy, by: By) -> String {
    let mut text = String::from(
        "# What was set with pppctl while pppoed ran, and kept with `pppctl write`, which writes this file anew.\n\
         # pppoed reads it at its start, after all other files and the command line.\n",
    );
    let mut line = |words: std::fmt::Arguments<'_>| {
        // A String takes everything.
        let _ = writeln!(text, "{words}");
    };
    for (key, entry) in policy.entries() {
        if let Key::Setting(name) = key {
            let kind = ServerKey::find(name).map_or(Kind::Text, |key| key.kind);
            line(format_args!("{name} = {}", values(kind, &entry.values)));
        }
    }
    line(format_args!("\n[ppp]"));
    for (key, entry) in policy.entries() {
        if let Key::Option(name) = key {
            line(format_args!(
                "{} = {}",
                quoted(name),
                values(kind_of_option(name, &entry.values), &entry.values)
            ));
        }
    }
    for list in [ListName::Deny, ListName::Allow] {
        let (mut macs, mut users) = (Vec::new(), Vec::new());
        for (key, entry) in policy.entries() {
            match key {
                Key::Listed(Subject::Mac(mac)) if entry.values == [list.as_str()] => {
                    macs.push(MacAddr(*mac).to_string());
                }
                Key::Listed(Subject::User(name)) if entry.values == [list.as_str()] => {
                    users.push(name.to_string())
                }
                _ => {}
            }
        }
        line(format_args!("\n[{}]", list.as_str()));
        line(format_args!("mac = {}\nuser = {}", array(&macs), array(&users)));
    }
    let off = policy.hooks_off();
    let files: Vec<String> = off.files.into_iter().collect();
    line(format_args!("\n[hooks]\n{ALL_DISABLED} = {}\ndisabled = {}", off.all, array(&files)));
    let mut last = None;
    for (key, entry) in policy.entries() {
        if let Key::User { name, option } = key {
            if last != Some(name) {
                line(format_args!("\n[user.{}]", quoted(&name.to_string())));
                last = Some(name);
            }
            let value = entry.values.first().map_or("", String::as_str);
            line(format_args!("{} = {}", quoted(option), quoted(value)));
        }
    }
    line(format_args!("\n[written]\nuid = {}\ntime-ms = {}", by.uid, by.time_ms));
    text
}

fn kind_of_option(name: &str, values: &[String]) -> Kind {
    match options::kind_of(name) {
        // `ipv6 = true` for the option +ipv6
        Some(OptionKind::Text)
            if name == "ipv6" && values.iter().any(|value| value.parse::<bool>().is_ok()) =>
        {
            Kind::Switch
        }
        // `auth = ["chap"]`
        Some(OptionKind::Switch) if values.iter().any(|value| value.parse::<bool>().is_err()) => Kind::List,
        Some(OptionKind::Switch) => Kind::Switch,
        Some(OptionKind::Number) => Kind::Number,
        Some(OptionKind::List) => Kind::List,
        _ => Kind::Text,
    }
}

fn values(kind: Kind, values: &[String]) -> String {
    let first = values.first().map_or("", String::as_str);
    match kind {
        Kind::List => array(values),
        Kind::Switch if first.parse::<bool>().is_ok() => first.to_owned(),
        Kind::Number if first.parse::<i64>().is_ok() => first.to_owned(),
        _ => quoted(first),
    }
}

fn array(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // A String takes everything.
            _ if character.is_control() => _ = write!(quoted, "\\u{:04X}", u32::from(character)),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}
