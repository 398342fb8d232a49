//! What the secrets files say, without the secrets: enough to tell which lines have changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use ppp_wire::name::NameText;

use super::users::Users;
use super::{AddressList, Entry, Pattern, Protocol, SecretsFile, Source};
use crate::options::{self, SessionOptions};
use crate::origin::Place;

/// The lines of the secrets files. Secrets are in it only as hashes under a key that this process alone has.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    lines: BTreeMap<Key, Line>,
}

/// One line: of which file, whose, for which server, and the how manieth of those.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    file: &'static str,
    client: Option<Box<[u8]>>,
    server: Option<Box<[u8]>>,
    number: u32,
}

#[derive(Clone, Debug)]
struct Line {
    place: Place,
    secret: u64,
    addresses: u64,
    options: u64,
    denied: bool,
}

/// A line that is new, gone or different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// `chap-secrets`, `pap-secrets` or `users-file`.
    pub file: &'static str,
    /// The user; `None` is anybody.
    pub client: Option<Vec<u8>>,
    /// Where it was.
    pub old: Option<Place>,
    /// Where it is.
    pub new: Option<Place>,
    /// What is different, in words.
    pub what: String,
}

impl Digest {
    /// Adds the lines of a file.
    pub(super) fn add(&mut self, file: &SecretsFile, protocol: Protocol, key: &RandomState) {
        let name = match protocol {
            Protocol::Chap => "chap-secrets",
            Protocol::Pap => "pap-secrets",
        };
        let mut numbers: BTreeMap<_, u32> = BTreeMap::new();
        for entry in file.entries() {
            let number = numbers.entry((&entry.client, &entry.server)).or_default();
            let (client, server) = (bytes(&entry.client), bytes(&entry.server));
            self.lines.insert(Key { file: name, client, server, number: *number }, Line::new(entry, key));
            *number += 1;
        }
    }

    /// Adds the entries of the users file.
    pub(super) fn add_users(&mut self, users: &Users, key: &RandomState) {
        for (name, user) in users.iter() {
            let client = Some(name.into());
            let secret = user.entry.as_ref().map(|entry| secret_hash(entry, key));
            let options: Vec<_> = option_values(&user.options);
            let line = Line {
                place: user.place.clone(),
                secret: key.hash_one(("users", secret)),
                addresses: key.hash_one(user.addresses.as_ref().map(AddressList::words)),
                options: key.hash_one(options),
                denied: user.denied.is_some(),
            };
            self.lines.insert(Key { file: "users-file", client, server: None, number: 0 }, line);
        }
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What has to happen to these lines to become those of `new`. Both must have been made with one key.
    pub fn changes<'a>(&'a self, new: &'a Self) -> impl Iterator<Item = LineChange> + 'a {
        let gone_or_different = self.lines.iter().filter_map(|(key, old)| {
            let new = new.lines.get(key);
            let what = new.map_or_else(|| "gone".to_owned(), |new| old.difference(new));
            (!what.is_empty()).then(|| change(key, Some(old), new, what))
        });
        let added = new.lines.iter().filter(|(key, _)| !self.lines.contains_key(key));
        gone_or_different.chain(added.map(|(key, new)| change(key, None, Some(new), "new".to_owned())))
    }
}

impl Line {
    fn new(entry: &Entry, key: &RandomState) -> Self {
        let options = option_values(&entry.options);
        Self {
            place: entry.place.clone(),
            secret: secret_hash(entry, key),
            addresses: key.hash_one(entry.addresses.words()),
            options: key.hash_one(options),
            denied: false,
        }
    }

    /// In words; empty for none.
    fn difference(&self, new: &Self) -> String {
        let parts = [
            (self.secret != new.secret, "another secret"),
            (self.addresses != new.addresses, "other addresses"),
            (self.options != new.options, "other options"),
            (self.denied != new.denied, if new.denied { "denied" } else { "no longer denied" }),
        ];
        let parts: Vec<&str> =
            parts.into_iter().filter(|(differs, _)| *differs).map(|(_, part)| part).collect();
        parts.join(", ")
    }
}

impl LineChange {
    /// The user and the server as on the line, safe to show.
    pub fn user(&self) -> String {
        self.client.as_ref().map_or_else(|| "*".to_owned(), |name| format!("\"{}\"", NameText(name)))
    }
}

fn secret_hash(entry: &Entry, key: &RandomState) -> u64 {
    match &entry.source {
        Source::File(path) => key.hash_one(("file", path)),
        Source::Word(word) => key.hash_one(("word", &word[..])),
    }
}

fn option_values(options: &SessionOptions) -> Vec<(Cow<'static, str>, String)> {
    options::shown(options).into_iter().map(|entry| (entry.key, entry.value)).collect()
}

fn bytes(pattern: &Pattern) -> Option<Box<[u8]>> {
    match pattern {
        Pattern::Any => None,
        Pattern::Name(name) => Some(name.clone()),
    }
}

fn change(key: &Key, old: Option<&Line>, new: Option<&Line>, what: String) -> LineChange {
    LineChange {
        file: key.file,
        client: key.client.as_deref().map(<[u8]>::to_vec),
        old: old.map(|line| line.place.clone()),
        new: new.map(|line| line.place.clone()),
        what,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn digest(text: &str, key: &RandomState) -> Digest {
        let (file, _) = SecretsFile::parse(Path::new("s"), text.as_bytes(), Protocol::Chap);
        let mut digest = Digest::default();
        digest.add(&file, Protocol::Chap, key);
        digest
    }

    #[test]
    fn lines_are_told_apart_and_places_are_no_change() {
        let key = RandomState::new();
        let old = digest(
            "alice * hunter1 *\nbob * two 10.0.0.5\ncarol * three * -- idle 60\n* * x *\ndave * y *\ndave * z *\n",
            &key,
        );
        assert_eq!(old.changes(&old).count(), 0);
        let moved = "# a comment\n\nalice  *  hunter1 *\nbob * two 10.0.0.5\ncarol * three * -- idle 60\n* * x *\n\
                     dave * y *\ndave * z *\n";
        assert_eq!(old.changes(&digest(moved, &key)).collect::<Vec<_>>(), []);
        let new = "bob * TWO 10.0.0.6\ncarol * three * -- idle 61\n* * x *\ndave * y *\nerin * a *\n";
        let new = digest(new, &key);
        let shown = |change: LineChange| {
            let place = |place: Option<Place>| place.map_or("-".to_owned(), |place| place.to_string());
            format!("{} {} {}: {}", change.user(), place(change.old), place(change.new), change.what)
        };
        let changes: Vec<String> = old.changes(&new).map(shown).collect();
        assert_eq!(
            changes,
            [
                "\"alice\" s:1 -: gone",
                "\"bob\" s:2 s:1: another secret, other addresses",
                "\"carol\" s:3 s:2: other options",
                "\"dave\" s:6 -: gone",
                "\"erin\" - s:5: new",
            ]
        );
        let debug = format!("{old:?}");
        assert!(!debug.contains("hunter1"), "{debug}");
    }
}
