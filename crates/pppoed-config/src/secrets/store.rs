//! The secrets files as the server uses them: read again when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::RandomState;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use ppp_ipc::name::Name;

use super::users::{Users, UsersStore};
use super::{
    AddressList, Candidate, Digest, Entry, Explanation, Near, Notice, Pattern, Protocol, Refusal, SecretsFile,
};
use crate::files::Stamp;
use crate::inet::Resolve;
use crate::options::SessionOptions;
use crate::origin::Place;

/// Which files to use, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file for CHAP.
    pub chap_secrets: PathBuf,
    /// The file for PAP.
    pub pap_secrets: PathBuf,
    /// Users with options of their own, which beat those of the other files.
    pub users_file: Option<PathBuf>,
    /// Our name, matched against the server column.
    pub our_name: Vec<u8>,
    /// `papcrypt`: PAP secrets are hashes only.
    pub papcrypt: bool,
}

/// Both secrets files, and the users file. Each is read when it is first needed, and again when it has changed on disk.
///
/// Every method may block on the disk. What else takes time is not done here: a proof is compared with a [`Candidate`], and
/// names of hosts are looked up by whoever is given as [`Resolve`].
#[derive(Debug)]
pub struct Secrets {
    pub(super) chap: Store,
    pub(super) pap: Store,
    pub(super) users: Option<UsersStore>,
    pub(super) our_name: Vec<u8>,
    pub(super) papcrypt: bool,
    /// The addresses that belong to users, and what they were found by.
    fixed: Option<(Origin, FixedAddresses)>,
}

/// What the addresses that belong to users were found by.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    files: [Option<Stamp>; 3],
    /// [`Resolve::generation`].
    names: u64,
}

/// A peer that was let in.
#[derive(Debug)]
pub struct Grant {
    /// The line that let it in.
    pub place: Place,
    /// The addresses it may have.
    pub addresses: AddressList,
    /// Options for its session.
    pub options: SessionOptions,
}

impl Grant {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            place: entry.place.clone(),
            addresses: entry.addresses.clone(),
            options: entry.options.clone(),
        }
    }
}

impl Secrets {
    /// Secrets that are read when they are first needed.
    pub fn new(settings: Settings) -> Self {
        Self {
            chap: Store::new(settings.chap_secrets, Protocol::Chap),
            pap: Store::new(settings.pap_secrets, Protocol::Pap),
            users: settings.users_file.map(UsersStore::new),
            our_name: settings.our_name,
            papcrypt: settings.papcrypt,
            fixed: None,
        }
    }

    /// Finds the line that decides about `name`: that of the users file or, without a password there, of the secrets file
    /// of the protocol.
    ///
    /// The notices are to be logged whatever comes of it: about the file if it was read anew, and about better lines
    /// that had to be skipped.
    pub fn find(&mut self, protocol: Protocol, name: &[u8]) -> (Result<Candidate, Refusal>, Vec<Notice>) {
        let Self { chap, pap, users, our_name, papcrypt, .. } = self;
        let (store, hashes_only) = match protocol {
            Protocol::Chap => (chap, false),
            Protocol::Pap => (pap, *papcrypt),
        };
        let Some(users) = users else { return store.find(name, our_name, hashes_only) };
        let path = users.path().to_owned();
        let (current, mut notices) = users.current();
        let users = match current {
            Ok(users) => users,
            Err(refusal) => return (Err(refusal), notices),
        };
        let user = users.find(name);
        if let Some(Err(refusal)) = user.map(|user| user.denial(name)) {
            return (Err(refusal), notices);
        }
        if let Some(found) = user.and_then(|user| user.line(name)) {
            return (Ok(found.candidate(hashes_only)), notices);
        }
        let (found, more) = store.find(name, our_name, hashes_only);
        notices.extend(more);
        let found = match (found, user) {
            (Ok(mut candidate), Some(user)) => {
                let grant = &mut candidate.grant;
                if let Some(addresses) = &user.addresses {
                    grant.addresses = addresses.clone();
                }
                grant.options = user.options.clone().over(&grant.options);
                Ok(candidate)
            }
            (found, _) => found.map_err(|refusal| refusal.with_users(users, &path, name)),
        };
        (found, notices)
    }

    /// [`Self::find`], and checks a CHAP response at once: `verify` gets the secret, and says whether the response was
    /// made with it. It is not called if no line fits.
    pub fn chap(
        &mut self,
        name: &[u8],
        verify: impl FnOnce(&[u8]) -> bool,
    ) -> (Result<Grant, Refusal>, Vec<Notice>) {
        let (found, notices) = self.find(Protocol::Chap, name);
        (found.and_then(|found| found.verify_chap(verify).map(|()| found.into_grant())), notices)
    }

    /// [`Self::find`], and checks a PAP password at once, however long that takes.
    pub fn pap(&mut self, name: &[u8], password: &[u8]) -> (Result<Grant, Refusal>, Vec<Notice>) {
        let (found, notices) = self.find(Protocol::Pap, name);
        (found.and_then(|found| found.verify_pap(password).map(|()| found.into_grant())), notices)
    }

    /// Refuses a user whom the users file denies, for those who know the user by other means than the files.
    ///
    /// # Errors
    /// Where it says so. A file that cannot be read denies nobody here.
    pub fn refuse_denied(&mut self, name: &[u8]) -> Result<(), Refusal> {
        let Some(users) = &mut self.users else { return Ok(()) };
        users.current().0.ok().and_then(|users| users.find(name)).map_or(Ok(()), |user| user.denial(name))
    }

    /// Reads the users file now, so that there are users to go on with if it is spoilt before anybody logs in.
    pub fn read_users(&mut self) {
        if let Some(users) = &mut self.users {
            // What is wrong with it is told where it is read for that.
            let _ = users.current();
        }
    }

    /// The users file as it is now, added to `digest`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest_users(
        &mut self,
        key: &RandomState,
        digest: &mut Digest,
    ) -> (Result<(), Refusal>, Vec<Notice>) {
        let Some(users) = &mut self.users else { return (Ok(()), Vec::new()) };
        let (current, notices) = users.current();
        (current.map(|users| digest.add_users(users, key)), notices)
    }

    /// Which line would decide about `name`, and why the others would not, of which at most `limit` are named.
    pub fn explain(&mut self, protocol: Protocol, name: &[u8], limit: usize) -> Explanation {
        let (server, papcrypt) = (self.our_name.clone(), self.papcrypt);
        let Self { chap, pap, users, .. } = self;
        let (store, hashes_only) = match protocol {
            Protocol::Chap => (chap, false),
            Protocol::Pap => (pap, papcrypt),
        };
        let users_file = users.as_ref().map(|users| users.path().to_owned());
        let users = match users.as_mut().map(|users| users.current().0) {
            Some(Ok(users)) => Some(users),
            Some(Err(refusal)) => return Explanation::refused(None, refusal, Near::default()),
            None => None,
        };
        let user = users.and_then(|users| users.find(name));
        let with_users = |refusal: Refusal| match (users, &users_file) {
            (Some(users), Some(path)) => refusal.with_users(users, path, name),
            _ => refusal,
        };
        if let Some(user) = user
            && (user.denied.is_some() || user.entry.is_some())
        {
            let near = store.current().0.map(|file| file.near(name, &server, Some(&user.place), limit));
            let near = near.unwrap_or_default();
            if let Err(refusal) = user.denial(name) {
                return Explanation::refused(user.denied.clone(), refusal, near);
            }
            if let Some(found) = user.line(name) {
                let (place, addresses) = (found.entry.place.clone(), found.entry.addresses.clone());
                let found = Ok(found.candidate(hashes_only));
                return Explanation { place: Some(place), addresses: Some(addresses), found, near };
            }
        }
        let file = match store.current().0 {
            Ok(file) => file,
            Err(refusal) => {
                return Explanation::refused(None, with_users(refusal), Near::default());
            }
        };
        let found = match file.lookup(name, &server) {
            Ok(found) => found,
            Err(refusal) => {
                let near = file.near(name, &server, None, limit);
                return Explanation::refused(None, with_users(refusal), near);
            }
        };
        let place = found.entry.place.clone();
        let own = user.and_then(|user| user.addresses.as_ref());
        let addresses = Some(own.unwrap_or(&found.entry.addresses).clone());
        let mut near = file.near(name, &server, Some(&place), limit);
        if let Some(user) = user {
            let why = "has no password: it adds options and addresses to the line that decides";
            near.lines.truncate(limit.saturating_sub(1));
            near.lines.insert(0, (user.place.clone(), why.to_owned()));
        }
        Explanation { place: Some(place), addresses, found: Ok(found.candidate(hashes_only)), near }
    }

    /// Reads whichever file has changed. For start and reload, so that what is wrong in them is told at once.
    pub fn refresh(&mut self, protocol: Protocol) -> (Result<(), Refusal>, Vec<Notice>) {
        let store = match protocol {
            Protocol::Chap => &mut self.chap,
            Protocol::Pap => &mut self.pap,
        };
        let (file, notices) = store.current();
        (file.map(drop), std::mem::take(notices))
    }

    /// The lines of this file as it is now, added to `digest`.
    ///
    /// # Errors
    /// When it cannot be read; the notices are those of [`Self::refresh`].
    pub fn digest(
        &mut self,
        protocol: Protocol,
        key: &RandomState,
        digest: &mut Digest,
    ) -> (Result<(), Refusal>, Vec<Notice>) {
        let store = match protocol {
            Protocol::Chap => &mut self.chap,
            Protocol::Pap => &mut self.pap,
        };
        let (file, notices) = store.current();
        (file.map(|file| digest.add(file, protocol, key)), std::mem::take(notices))
    }

    /// The addresses that belong to one user each, in all files. A file that cannot be read has none.
    ///
    /// They are found once for each version of the files, and once more when a name of a host has come to mean something else.
    pub fn fixed_addresses(&mut self, names: &dyn Resolve) -> FixedAddresses {
        let [chap, pap] = [&mut self.chap, &mut self.pap].map(|store| {
            // what is wrong with the file is told when somebody logs in by it
            store.current().0.ok()?;
            store.loaded.as_ref().map(|(stamp, _)| *stamp)
        });
        let users = self.users.as_ref().and_then(UsersStore::stamp);
        let origin = Origin { files: [chap, pap, users], names: names.generation() };
        if let Some((known, fixed)) = &self.fixed
            && *known == origin
        {
            return fixed.clone();
        }
        let mut fixed = FixedAddresses::default();
        for (_, file) in [&self.chap, &self.pap].into_iter().filter_map(|store| store.loaded.as_ref()) {
            fixed.add(file, &self.our_name, names);
        }
        if let Some(Ok(users)) = self.users.as_mut().map(|users| users.current().0) {
            fixed.add_users(users, names);
        }
        self.fixed.insert((origin, fixed)).1.clone()
    }
}

/// Addresses that the pool must not hand out, because a line in a secrets file gives each to one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedAddresses {
    owners: Arc<BTreeMap<Ipv4Addr, BTreeSet<Box<[u8]>>>>,
    /// What consoles gave to users: goes over the rest.
    console: Arc<BTreeMap<Ipv4Addr, Name>>,
}

impl FixedAddresses {
    /// Adds the addresses of one file: of each line for a named user at this server, the one it suggests.
    pub fn add(&mut self, file: &SecretsFile, server: &[u8], names: &dyn Resolve) {
        let owners = Arc::make_mut(&mut self.owners);
        for entry in file.entries() {
            if let Pattern::Name(client) = &entry.client
                && entry.server.fits(server)
                && let Some(address) = entry.addresses.fixed_address(names)
            {
                owners.entry(address).or_default().insert(client.clone());
            }
        }
    }

    /// Adds the addresses of the users file.
    fn add_users(&mut self, users: &Users, names: &dyn Resolve) {
        let owners = Arc::make_mut(&mut self.owners);
        for (name, user) in users.iter() {
            if let Some(address) = user.addresses.as_ref().and_then(|list| list.fixed_address(names)) {
                owners.entry(address).or_default().insert(name.into());
            }
        }
    }

    /// The same with the addresses that consoles gave to users.
    #[must_use]
    pub fn with_console(self, console: Arc<BTreeMap<Ipv4Addr, Name>>) -> Self {
        Self { console, ..self }
    }

    /// Does the address belong to somebody else than `user` (`None`: a peer without a name)?
    pub fn is_reserved_from(&self, address: Ipv4Addr, user: Option<&[u8]>) -> bool {
        if let Some(owner) = self.console.get(&address) {
            return user.is_none_or(|user| *user != *owner.as_bytes());
        }
        self.owners.get(&address).is_some_and(|owners| !user.is_some_and(|user| owners.contains(user)))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.owners.keys().chain(self.console.keys().filter(|key| !self.owners.contains_key(key))).copied()
    }
}

/// One secrets file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    protocol: Protocol,
    loaded: Option<(Stamp, SecretsFile)>,
    /// What is still to be told about the file.
    notices: Vec<Notice>,
}

impl Store {
    fn new(path: PathBuf, protocol: Protocol) -> Self {
        Self { path, protocol, loaded: None, notices: Vec::new() }
    }

    /// The file as it is now on disk, and what is still to be told about it.
    pub(super) fn current(&mut self) -> (Result<&SecretsFile, Refusal>, &mut Vec<Notice>) {
        let known = self.loaded.take();
        // Taken before the file is read: a change during the reading is seen next time.
        let loaded = Stamp::of(&self.path).and_then(|stamp| match known {
            Some((old, file)) if old == stamp => Ok((old, file)),
            _ => {
                let (file, notices) = SecretsFile::load(&self.path, self.protocol)?;
                self.notices = notices;
                Ok((stamp, file))
            }
        });
        let file = match loaded {
            Ok(loaded) => Ok(&self.loaded.insert(loaded).1),
            Err(error) => Err(Refusal::Unreadable { path: self.path.clone(), why: error.to_string() }),
        };
        (file, &mut self.notices)
    }

    fn find(
        &mut self,
        name: &[u8],
        server: &[u8],
        hashes_only: bool,
    ) -> (Result<Candidate, Refusal>, Vec<Notice>) {
        let (file, notices) = self.current();
        let mut notices = std::mem::take(notices);
        match file.and_then(|file| file.lookup(name, server)) {
            Ok(mut found) => {
                notices.append(&mut found.notices);
                (Ok(found.candidate(hashes_only)), notices)
            }
            Err(refusal) => (Err(refusal), notices),
        }
    }
}
