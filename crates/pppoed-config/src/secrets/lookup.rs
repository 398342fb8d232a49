//! Finds the line for a peer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::parse::read_secret_file;
use super::{Candidate, Entry, MAX_NAME, Notice, Pattern, Secret, SecretsFile, Shown, Source, Users};
use crate::origin::Place;

/// Lines by client, so that no lookup, and no look for the nearest miss, reads them all.
#[derive(Debug)]
pub(super) struct Index {
    /// By the client's name in lower case (ASCII), in the order of the file.
    named: HashMap<Box<[u8]>, Vec<usize>>,
    any: Vec<usize>,
}

impl Index {
    pub(super) fn new(entries: &[Entry]) -> Self {
        let mut index = Self { named: HashMap::new(), any: Vec::new() };
        for (number, entry) in entries.iter().enumerate() {
            match &entry.client {
                Pattern::Any => index.any.push(number),
                Pattern::Name(name) => {
                    index.named.entry(name.to_ascii_lowercase().into()).or_default().push(number);
                }
            }
        }
        index
    }

    /// Lines whose client has this name, in whatever case.
    fn near(&self, client: &[u8]) -> &[usize] {
        self.named.get(&*client.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The line for a peer, with its secret.
#[derive(Debug)]
pub struct Match<'a> {
    /// The line.
    pub entry: &'a Entry,
    secret: Hidden,
    /// Better lines that had to be skipped.
    pub notices: Vec<Notice>,
    client: &'a [u8],
}

struct Hidden(Secret);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Why a peer was not let in. Names the file and, where there is one, the line. For the log, not for the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The line has the name in other letters.
    #[error("{place}: this line is for user {}, not {}: upper and lower case differ", Shown(.there), Shown(.client))]
    CaseDiffers {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
        /// The name on the line.
        there: Vec<u8>,
    },
    /// The line's secret is empty.
    #[error("{place}: user {} cannot log in: the secret is empty, and an empty secret never matches", Shown(.client))]
    EmptySecret {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// The peer's name is too long to be on any line.
    #[error("the user name is {length} bytes long, and no line can have more than {MAX_NAME}")]
    NameTooLong {
        /// Length of the name that the peer gave.
        length: usize,
    },
    /// The entry in the users file has no password, and there is no secrets file.
    #[error("{place}: user {} has no password here, and there is no secrets file", Shown(.client))]
    NoPassword {
        /// The entry.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// The line's secret is no hash (with `papcrypt`) or one of a kind that is not supported.
    #[error(
        "{place}: user {} cannot log in: papcrypt is set, but the secret is not a hash that is supported ($1$, $2a$, \
         $2b$, $2y$, $5$, $6$); make one with: mkpasswd -m sha-512",
        Shown(.client)
    )]
    NotAHash {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// The users file says so.
    #[error("{place}: user {} is denied: deny = true", Shown(.client))]
    Denied {
        /// Where it says so.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// There is no entry in the users file, and no line in the secrets file.
    #[error("{path:?} has no entry for user {}, and {secrets:?} has no line (server {} or *)", Shown(.client), Shown(.server))]
    NoEntryAndNoLine {
        /// The users file.
        path: PathBuf,
        /// The secrets file.
        secrets: PathBuf,
        /// The name that the peer gave.
        client: Vec<u8>,
        /// Our name.
        server: Vec<u8>,
    },
    /// There is no entry in the users file, and no secrets file.
    #[error("{path:?} has no entry for user {}, and there is no secrets file", Shown(.client))]
    NoEntry {
        /// The users file.
        path: PathBuf,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// Only the file of an `@/path` secret stands in the way.
    #[error("{place}: user {} cannot log in: the secret cannot be read from {path:?}: {why}", Shown(.client))]
    SecretUnreadable {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        why: String,
    },
    /// The line's secret is `@login`.
    #[error("{place}: user {} cannot log in: \"@login\" is not supported; write a secret", Shown(.client))]
    SystemPassword {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// No line fits, not even nearly.
    #[error("{path:?} has no line for user {} (server {} or *)", Shown(.client), Shown(.server))]
    UnknownUser {
        /// The file.
        path: PathBuf,
        /// The name that the peer gave.
        client: Vec<u8>,
        /// Our name.
        server: Vec<u8>,
    },
    /// The secrets file cannot be read.
    #[error("cannot read secrets file {path:?}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// The users file could not be read, not even once.
    #[error("logins are refused until the users file can be read: {why}")]
    UsersUnreadable {
        /// What is wrong with it.
        why: String,
    },
    /// The proof does not fit the secret.
    #[error("{place}: user {} gave a wrong password", Shown(.client))]
    WrongPassword {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
    },
    /// The line is for another server.
    #[error(
        "{place}: this line for user {} is for server {}, but our name is {} (set it with the option name)",
        Shown(.client),
        Shown(.there),
        Shown(.server)
    )]
    WrongServer {
        /// The line.
        place: Place,
        /// The name that the peer gave.
        client: Vec<u8>,
        /// The server on the line.
        there: Vec<u8>,
        /// Our name.
        server: Vec<u8>,
    },
}

impl Refusal {
    /// A refusal by the secrets file, of a user who could be in the users file at `path` as well: names that, too.
    pub(super) fn with_users(self, users: &Users, path: &Path, client: &[u8]) -> Self {
        if let Some(user) = users.find(client) {
            return match self {
                Self::Unreadable { path, .. } if !path.exists() => {
                    Self::NoPassword { place: user.place.clone(), client: client.to_vec() }
                }
                other => other,
            };
        }
        match self {
            Self::Unreadable { path: ref secrets, .. } | Self::UnknownUser { path: ref secrets, .. } => {
                let similar = users.iter().find(|(name, _)| name.eq_ignore_ascii_case(client));
                let client = client.to_vec();
                match (similar, &self) {
                    (Some((name, user)), _) => {
                        Self::CaseDiffers { place: user.place.clone(), client, there: name.to_vec() }
                    }
                    (None, Self::UnknownUser { server, .. }) => Self::NoEntryAndNoLine {
                        path: path.to_owned(),
                        secrets: secrets.clone(),
                        client,
                        server: server.clone(),
                    },
                    (None, _) if !secrets.exists() => Self::NoEntry { path: path.to_owned(), client },
                    _ => self,
                }
            }
            other => other,
        }
    }
}

impl SecretsFile {
    /// The entries in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The best line for the peer `client` at the server `server`. Reads the file of an `@/path` secret.
    ///
    /// # Errors
    /// Why there is none, with the nearest miss.
    pub fn lookup<'a>(&'a self, client: &'a [u8], server: &[u8]) -> Result<Match<'a>, Refusal> {
        if client.len() > MAX_NAME {
            return Err(Refusal::NameTooLong { length: client.len() });
        }
        let mut candidates: Vec<_> = [self.index.near(client), self.index.any.as_slice()]
            .into_iter()
            .flatten()
            .filter_map(|&number| self.entries.get(number))
            .filter(|entry| entry.client.fits(client) && entry.server.fits(server))
            .collect();
        // The sort is stable: among equals the first line stays first.
        candidates.sort_by_key(|entry| {
            (matches!(entry.client, Pattern::Any), matches!(entry.server, Pattern::Any))
        });
        let mut notices = Vec::new();
        let mut unreadable = None;
        for entry in candidates {
            let secret = match &entry.source {
                Source::Word(secret) => secret.clone(),
                Source::File(path) => match read_secret_file(path) {
                    Ok(secret) => secret,
                    Err(why) => {
                        let (place, path) = (entry.place.clone(), path.clone());
                        unreadable.get_or_insert_with(|| Refusal::SecretUnreadable {
                            place: place.clone(),
                            client: client.to_vec(),
                            path: path.clone(),
                            why: why.clone(),
                        });
                        notices.push(Notice::UnusableSecretFile { place, path, why });
                        continue;
                    }
                },
            };
            return Ok(Match { entry, secret: Hidden(secret), notices, client });
        }
        Err(unreadable.unwrap_or_else(|| self.nearest_miss(client, server)))
    }

    fn nearest_miss(&self, client: &[u8], server: &[u8]) -> Refusal {
        let mut other_case = None;
        for entry in self.index.near(client).iter().filter_map(|&number| self.entries.get(number)) {
            if let Pattern::Name(name) = &entry.client {
                if **name == *client
                    && let Pattern::Name(there) = &entry.server
                {
                    return Refusal::WrongServer {
                        place: entry.place.clone(),
                        client: client.to_vec(),
                        there: there.to_vec(),
                        server: server.to_vec(),
                    };
                }
                other_case.get_or_insert_with(|| Refusal::CaseDiffers {
                    place: entry.place.clone(),
                    client: client.to_vec(),
                    there: name.to_vec(),
                });
            }
        }
        other_case.unwrap_or_else(|| Refusal::UnknownUser {
            path: self.path.to_path_buf(),
            client: client.to_vec(),
            server: server.to_vec(),
        })
    }
}

impl<'a> Match<'a> {
    /// The line of a user with a secret on it.
    pub(super) fn of(entry: &'a Entry, client: &'a [u8]) -> Option<Self> {
        match &entry.source {
            Source::Word(secret) => {
                Some(Self { entry, secret: Hidden(secret.clone()), notices: Vec::new(), client })
            }
            Source::File(_) => None,
        }
    }
}

impl Match<'_> {
    /// The line apart from the file. With `hashes_only` (the option `papcrypt`) a secret that is no hash never matches.
    pub fn candidate(&self, hashes_only: bool) -> Candidate {
        Candidate::new(self.entry, self.client, self.secret.0.clone(), hashes_only)
    }
}
