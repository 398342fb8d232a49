//! What the files say about a user beside the password: for whoever is about to say something else.

use super::{AddressList, Protocol, Refusal, Secrets};
use crate::options::SessionOptions;
use crate::origin::Place;

/// What the files say about a user.
#[derive(Debug, Default)]
pub struct KnownUser {
    /// Options: those of the users file over those of the line that decides.
    pub options: SessionOptions,
    /// The addresses that the user may have, and where that stands.
    pub addresses: Option<(AddressList, Place)>,
    /// Why nobody can log in by this name, if the reason is that no file has it.
    pub unknown: Option<Refusal>,
}

impl Secrets {
    /// What the files say about `name`, for logins by one of these protocols. May block.
    pub fn known(&mut self, protocols: &[Protocol], name: &[u8]) -> KnownUser {
        let mut known = KnownUser::default();
        let mut has_entry = false;
        let users = self.users.as_mut().and_then(|users| users.current().0.ok());
        if let Some(user) = users.and_then(|users| users.find(name)) {
            known.options = user.options.clone();
            known.addresses = user.addresses.clone().map(|list| (list, user.place.clone()));
            has_entry = true;
            if user.entry.is_some() || user.denied.is_some() {
                return known;
            }
        }
        let mut unknown = None;
        for protocol in protocols {
            match self.explain(*protocol, name, 0).found {
                Ok(candidate) => {
                    let grant = candidate.into_grant();
                    known.options = std::mem::take(&mut known.options).over(&grant.options);
                    known.addresses.get_or_insert((grant.addresses, grant.place));
                    return known;
                }
                Err(refusal) if refusal.is_about_nobody() => _ = unknown.get_or_insert(refusal),
                Err(_) => has_entry = true,
            }
        }
        known.unknown = unknown.filter(|_| !has_entry);
        known
    }
}

impl Refusal {
    /// Whether no file has the name that the peer gave.
    fn is_about_nobody(&self) -> bool {
        match self {
            Self::CaseDiffers { .. }
            | Self::NameTooLong { .. }
            | Self::NoEntry { .. }
            | Self::NoEntryAndNoLine { .. }
            | Self::UnknownUser { .. } => true,
            Self::Unreadable { path, .. } => !path.exists(),
            Self::Denied { .. }
            | Self::EmptySecret { .. }
            | Self::NoPassword { .. }
            | Self::NotAHash { .. }
            | Self::SecretUnreadable { .. }
            | Self::SystemPassword { .. }
            | Self::UsersUnreadable { .. }
            | Self::WrongPassword { .. }
            | Self::WrongServer { .. } => false,
        }
    }
}
