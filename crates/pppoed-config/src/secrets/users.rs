//! The users file: users with their options in TOML, beside the secrets files of pppd.
//!
//! ```toml
//! [alice]
//! password = "her password"
//! address = "10.0.0.5"
//! rate-down = "10M"
//!
//! [bob]               # has a line in chap-secrets
//! maxconnect = 3600
//!
//! [mallory]
//! deny = true
//! ```
//!
//! A user with a password is let in by it alone, by CHAP and by PAP, whatever the secrets files say. A user without one adds
//! options, and addresses if there are any, to the line of the secrets file that decides. The options are those that
//! may stand behind `--` in a secrets file.
//!
//! It is stricter than the secrets files: any mistake makes the whole file void, and a running server then stays with
//! what it read before. A user who is denied shall not get in because of a slip in another one's entry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ppp_wire::name::bytes_of;
use zeroize::Zeroizing;

use super::{AddressList, Entry, MAX_CHAP_SECRET, MAX_NAME, Match, Notice, Pattern, Refusal, Source};
use crate::files::{self, Stamp};
use crate::options::{self, OptionError, Reader, SessionOptions};
use crate::origin::Place;
use crate::toml_file::{FileError, Item, Problem, Unreadable, Value, parse, ppp_assignment, unknown_key};

/// Most bytes of the file.
const MAX_FILE: u64 = 16 << 20;

/// Keys of a user that are no options.
const KEYS: [&str; 4] = ["address", "addresses", "deny", "password"];

/// The users of the file.
#[derive(Debug, Default)]
pub struct Users {
    users: BTreeMap<Box<[u8]>, User>,
}

/// One user.
#[derive(Debug)]
pub struct User {
    /// Where the entry begins.
    pub(super) place: Place,
    /// Where it says that the user is not let in.
    pub(super) denied: Option<Place>,
    /// The user as a line of a secrets file, if there is a password.
    pub(super) entry: Option<Entry>,
    /// The addresses that the user may have, if the entry says so.
    pub(super) addresses: Option<AddressList>,
    /// Options for the user's sessions.
    pub(super) options: SessionOptions,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// A key or value.
    #[error("{0}")]
    File(FileError),
    /// An option.
    #[error("{0}")]
    Option(OptionError),
    /// The whole.
    #[error("{0}")]
    Unreadable(Unreadable),
}

impl Users {
    /// Reads the file. May block.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn load(path: &Path) -> Result<(Self, Vec<Notice>), Vec<UsersError>> {
        let read = files::open_regular(path)
            .and_then(|(file, metadata)| Ok((files::read_text(file, &metadata, MAX_FILE)?, metadata)));
        let (contents, metadata) = read.map_err(|source| {
            vec![UsersError::Unreadable(Unreadable { what: "users file", path: path.to_owned(), source })]
        })?;
        let (users, mut notices) = Self::parse(path, &contents)?;
        if let Some(exposure) = files::exposure(path, &metadata) {
            notices.insert(0, Notice::Exposed { path: path.to_owned(), exposure });
        }
        Ok((users, notices))
    }

    /// Reads users from memory, under the name `path` in messages.
    ///
    /// # Errors
    /// All mistakes.
    pub fn parse(path: &Path, contents: &[u8]) -> Result<(Self, Vec<Notice>), Vec<UsersError>> {
        let root = parse(path, contents)
            .map_err(|errors| errors.into_iter().map(UsersError::File).collect::<Vec<_>>())?;
        let (mut this, mut errors, mut notices) = (Self::default(), Vec::new(), Vec::new());
        for item in root.items {
            let name: Box<[u8]> = bytes_of(item.key.as_bytes()).into();
            match user(item, &name, &mut errors, &mut notices) {
                Ok(user) => drop(this.users.insert(name, user)),
                Err(error) => errors.push(UsersError::File(error)),
            }
        }
        if errors.is_empty() { Ok((this, notices)) } else { Err(errors) }
    }

    /// The entry of this user.
    pub fn find(&self, name: &[u8]) -> Option<&User> {
        self.users.get(name)
    }

    /// All users, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &User)> {
        self.users.iter().map(|(name, user)| (&**name, user))
    }
}

/// Reads one entry, of the user whose name is `client`. Mistakes inside it go to `errors`, so that all are found.
fn user(
    item: Item,
    client: &[u8],
    errors: &mut Vec<UsersError>,
    notices: &mut Vec<Notice>,
) -> Result<User, FileError> {
    let Item { key: name, place, value } = item;
    let line = Place { column: None, ..place.clone() };
    let wrong = |why: &str| FileError {
        place: place.clone(),
        problem: Problem::Value { key: format!("user {name:?}"), why: why.to_owned() },
    };
    let table = match value.value {
        Value::Table(table) => table,
        other => {
            let wanted = "a user's table: [name] and below it the user's settings";
            return Err(FileError {
                problem: Problem::WrongType { key: name, wanted, found: other.kind() },
                place,
            });
        }
    };
    if name == "*" {
        return Err(wrong("cannot stand for everybody: put options for all users into [ppp] of pppoed.toml"));
    }
    if client.is_empty() || client.len() > MAX_NAME {
        return Err(wrong(&format!("must have from 1 to {MAX_NAME} bytes")));
    }
    let mut reader = Reader::new();
    let mut user =
        User { place: line, denied: None, entry: None, addresses: None, options: SessionOptions::default() };
    let mut password = None;
    for item in &table.items {
        let outcome = match item.key.as_str() {
            _ if matches!(item.value.value, Value::Table(_)) => Err(dotted_name(&name, item)),
            "password" => secret(item).map(|secret| password = Some(secret)),
            "address" | "addresses" if user.addresses.is_some() => {
                Err(problem(item, "and the other spelling of it are one too many"))
            }
            "address" | "addresses" => addresses(item).map(|list| user.addresses = Some(list)),
            "deny" => match item.value.value {
                Value::Boolean(deny) => {
                    user.denied = deny.then(|| Place { column: None, ..item.value.place.clone() });
                    Ok(())
                }
                ref other => Err(wrong_type(item, "true or false", other)),
            },
            _ => option(item, &mut reader),
        };
        errors.extend(outcome.err().map(UsersError::File));
    }
    let (options, option_errors, option_notices) = reader.finish();
    errors.extend(option_errors.into_iter().map(UsersError::Option));
    notices.extend(option_notices.into_iter().map(Notice::Option));
    user.options = options.session;
    user.entry = password.map(|password| Entry {
        place: user.place.clone(),
        client: Pattern::Name(client.into()),
        server: Pattern::Any,
        source: Source::Word(password),
        addresses: user.addresses.clone().unwrap_or_else(|| AddressList::any(&user.place)),
        options: user.options.clone(),
    });
    Ok(user)
}

/// `[john.doe]` is a table in a table, which no user has.
fn dotted_name(user: &str, item: &Item) -> FileError {
    let mut name = format!("{user}.{}", item.key);
    let mut value = &item.value.value;
    while let Value::Table(table) = value
        && let [only] = table.items.as_slice()
        && matches!(only.value.value, Value::Table(_))
    {
        name = format!("{name}.{}", only.key);
        value = &only.value.value;
    }
    let why = format!(
        "is a table in that of user {user:?}, as TOML reads it; to name a user, quote it: [{name:?}]"
    );
    FileError { place: item.place.clone(), problem: Problem::Value { key: format!("[{name}]"), why } }
}

fn secret(item: &Item) -> Result<super::Secret, FileError> {
    match &item.value.value {
        Value::Text(text) if text.is_empty() => {
            Err(problem(item, "must not be empty; to keep the user out: deny = true"))
        }
        Value::Text(text) if text.len() > MAX_CHAP_SECRET => {
            Err(problem(item, &format!("of {} bytes exceeds the maximum of {MAX_CHAP_SECRET}", text.len())))
        }
        Value::Text(text) => Ok(Zeroizing::new(text.as_bytes().into())),
        other => Err(wrong_type(item, "a string", other)),
    }
}

fn addresses(item: &Item) -> Result<AddressList, FileError> {
    let text = |value: &Value| match value {
        Value::Text(text) => Ok(text.to_string()),
        other => Err(wrong_type(item, "an address as a string, or a list of strings: [\"…\", \"…\"]", other)),
    };
    let words = match &item.value.value {
        Value::Array(nodes) => nodes.iter().map(|node| text(&node.value)).collect::<Result<Vec<_>, _>>()?,
        value => vec![text(value)?],
    };
    let mut notices = Vec::new();
    let list = AddressList::parse(&item.value.place, words.iter().map(String::as_bytes), &mut notices);
    match notices.first() {
        Some(Notice::Address { number, problem: why, .. }) => {
            let word = words.get(number.saturating_sub(1)).map_or("", String::as_str);
            Err(problem(item, &format!("{word:?}: {why}")))
        }
        _ => Ok(list),
    }
}

fn option(item: &Item, reader: &mut Reader) -> Result<(), FileError> {
    if options::kind_of(&item.key).is_none() {
        return Err(unknown_key(item, options::session_options().chain(KEYS)));
    }
    if !options::is_session_option(&item.key) && options::is_accepted(&item.key) {
        let belongs = "it is not for one user; put it below [ppp] in pppoed.toml";
        let problem = Problem::Misplaced { key: item.key.clone(), belongs };
        return Err(FileError { place: item.place.clone(), problem });
    }
    reader.assign(&ppp_assignment(item, Path::new(""))?);
    Ok(())
}

fn problem(item: &Item, why: &str) -> FileError {
    let problem = Problem::Value { key: item.key.clone(), why: why.to_owned() };
    FileError { place: item.value.place.clone(), problem }
}

fn wrong_type(item: &Item, wanted: &'static str, found: &Value) -> FileError {
    let problem = Problem::WrongType { key: item.key.clone(), wanted, found: found.kind() };
    FileError { place: item.value.place.clone(), problem }
}

/// The file as the server uses it: read again when it changes, and kept as it was while it cannot be read.
#[derive(Debug)]
pub(super) struct UsersStore {
    path: PathBuf,
    /// What was tried last, and what came of it.
    tried: Option<(Option<Stamp>, Result<(), String>)>,
    users: Option<Users>,
}

impl UsersStore {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, tried: None, users: None }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its state on disk as of the last look.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.tried.as_ref().and_then(|(stamp, _)| *stamp)
    }

    /// The users as the file has them now, or had them when it could be read the last time; and what is to be told.
    pub(super) fn current(&mut self) -> (Result<&Users, Refusal>, Vec<Notice>) {
        let mut notices = Vec::new();
        // Taken before the file is read: a change during the reading is seen next time.
        let stamp = Stamp::of(&self.path).ok();
        if self.tried.as_ref().is_none_or(|(known, _)| *known != stamp) {
            let outcome = match Users::load(&self.path) {
                Ok((users, more)) => {
                    notices = more;
                    self.users = Some(users);
                    Ok(())
                }
                Err(errors) => {
                    let why = errors.first().map(ToString::to_string).unwrap_or_default();
                    if self.users.is_some() {
                        notices.push(Notice::UsersKept {
                            why: why.clone(),
                            more: errors.len().saturating_sub(1),
                        });
                    }
                    Err(why)
                }
            };
            self.tried = Some((stamp, outcome));
        }
        let why = || self.tried.as_ref().and_then(|(_, outcome)| outcome.clone().err()).unwrap_or_default();
        (self.users.as_ref().ok_or_else(|| Refusal::UsersUnreadable { why: why() }), notices)
    }
}

impl User {
    /// Whether the user may be let in at all.
    ///
    /// # Errors
    /// Why the user is not let in whatever the proof.
    pub fn denial(&self, name: &[u8]) -> Result<(), Refusal> {
        match &self.denied {
            Some(place) => Err(Refusal::Denied { place: place.clone(), client: name.to_vec() }),
            None => Ok(()),
        }
    }

    /// The user's line, if there is a password.
    pub fn line<'a>(&'a self, name: &'a [u8]) -> Option<Match<'a>> {
        Match::of(self.entry.as_ref()?, name)
    }
}
