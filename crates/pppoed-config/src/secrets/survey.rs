//! What logins by the files will come to, as far as it can be told before anybody logs in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::parse::read_secret_file;
use super::{AddressList, Entry, Notice, Pattern, Protocol, Secrets, Source, Users};
use crate::inet::{NoNames, Resolve};
use crate::origin::Place;

/// How long names are looked up: a resolver that does not answer takes seconds for each.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(20);

/// Addresses that belong to one user each, with the places that say so.
type Owners = BTreeMap<Ipv4Addr, BTreeMap<Box<[u8]>, Place>>;

/// What to look for.
pub struct Survey<'a> {
    /// The protocols by which users log in.
    pub protocols: &'a [Protocol],
    /// Our own ends of the links.
    pub ours: &'a BTreeSet<Ipv4Addr>,
    /// Looks up the names in the address column, which may take its time; `None`: they are not looked at.
    pub names: Option<&'a dyn Resolve>,
}

impl Secrets {
    /// What keeps users out, or apart, that the files' words alone do not show: lines without an address, secrets that
    /// cannot be read, names that nobody knows, one address for several users. Files that cannot be read are passed
    /// over. May block.
    pub fn survey(&mut self, survey: &Survey<'_>) -> Vec<Notice> {
        let Self { chap, pap, users, our_name, papcrypt, .. } = self;
        let users = users.as_mut().and_then(|users| users.current().0.ok());
        let mut surveyor = Surveyor {
            names: survey.names,
            until: Instant::now() + LOOKUP_PATIENCE,
            owners: Owners::new(),
            notices: Vec::new(),
        };
        for protocol in survey.protocols {
            let store = match protocol {
                Protocol::Chap => &mut *chap,
                Protocol::Pap => &mut *pap,
            };
            let Ok(file) = store.current().0 else { continue };
            let entries = file.entries();
            let here = |entry: &&Entry| entry.server.fits(our_name);
            for entry in entries.iter().filter(here) {
                surveyor.entry(entry, *protocol, *papcrypt, users);
            }
            // Debian's file is full of lines that nobody is meant to log in by.
            let is_meant = |entry: &&Entry| !entry.addresses.allows_nothing() && !entry.source.is_empty();
            let first = entries.iter().find(is_meant).filter(|_| !entries.iter().any(|entry| here(&entry)));
            if let Some(entry) = first {
                let our_name = our_name.clone();
                surveyor.notices.push(Notice::AllForOtherServers { place: entry.place.clone(), our_name });
            }
        }
        for (name, user) in users.into_iter().flat_map(Users::iter) {
            if let Some(list) = user.addresses.as_ref().filter(|_| user.denied.is_none()) {
                surveyor.addresses(list, Some(name));
            }
        }
        surveyor.finish(survey.ours)
    }
}

struct Surveyor<'a> {
    names: Option<&'a dyn Resolve>,
    until: Instant,
    owners: Owners,
    notices: Vec<Notice>,
}

impl Surveyor<'_> {
    fn entry(&mut self, entry: &Entry, protocol: Protocol, papcrypt: bool, users: Option<&Users>) {
        let name = match &entry.client {
            Pattern::Any => None,
            Pattern::Name(name) => Some(&**name),
        };
        let user = name.and_then(|name| users?.find(name));
        if user.is_some_and(|user| user.denied.is_some() || user.entry.is_some()) {
            // The users file decides, and not this line.
            return;
        }
        let place = || entry.place.clone();
        match &entry.source {
            Source::File(path) => {
                if let Err(why) = read_secret_file(path) {
                    let path = path.clone();
                    self.notices.push(Notice::UnusableSecretFile { place: place(), path, why });
                }
            }
            Source::Word(secret) => match (protocol, super::crypt::is_hash(secret)) {
                (Protocol::Pap, false) if papcrypt && !secret.is_empty() => {
                    self.notices.push(Notice::NotAHash { place: place() });
                }
                (Protocol::Chap, true) => self.notices.push(Notice::HashForChap { place: place() }),
                _ => {}
            },
        }
        if user.is_none_or(|user| user.addresses.is_none()) {
            self.addresses(&entry.addresses, name);
        }
    }

    /// Looks at the addresses of a user, or of anybody.
    fn addresses(&mut self, list: &AddressList, user: Option<&[u8]>) {
        match self.names {
            Some(names) if list.has_names() && Instant::now() < self.until => {
                self.notices.extend(list.resolve(user.unwrap_or_default(), 0, names).1);
            }
            _ => {}
        }
        if list.allows_nothing() {
            self.notices.push(Notice::NoAddress { place: list.place().clone() });
        }
        // A name may lead to another's address as well, but nobody is to wait for that at a start.
        let fixed = match self.names.filter(|_| Instant::now() < self.until) {
            Some(names) => list.fixed_address(names),
            None => list.fixed_address(&NoNames),
        };
        if let (Some(user), Some(address)) = (user, fixed) {
            let owners = self.owners.entry(address).or_default();
            owners.entry(user.into()).or_insert_with(|| list.place().clone());
        }
    }

    fn finish(mut self, ours: &BTreeSet<Ipv4Addr>) -> Vec<Notice> {
        for (address, owners) in self.owners {
            let mut owners = owners.into_iter();
            let Some((first, place)) = owners.next() else { continue };
            if ours.contains(&address) {
                self.notices.push(Notice::OurAddress { place: place.clone(), user: first.to_vec(), address });
            }
            if let Some((second, other)) = owners.next() {
                self.notices.push(Notice::SharedAddress {
                    address,
                    users: [(first.to_vec(), place), (second.to_vec(), other)],
                    more: owners.count(),
                });
            }
        }
        self.notices
    }
}
