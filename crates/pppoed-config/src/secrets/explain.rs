//! Why one line decides about a peer, and the others do not. For the administrator who wonders.

use subtle::ConstantTimeEq;

use super::{AddressList, Candidate, Entry, Pattern, Protocol, Refusal, SecretsFile, Shown};
use crate::origin::Place;

/// The lines of a file that come near, and what is said of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// Place and reason.
    pub lines: Vec<(Place, String)>,
    /// How many lines are for somebody else, or beyond the limit.
    pub more: usize,
}

/// Whether a peer would be let in, and by which line.
#[derive(Debug)]
pub struct Explanation {
    /// The line that decides.
    pub place: Option<Place>,
    /// The addresses on it, or those that the users file has in their place.
    pub addresses: Option<AddressList>,
    /// What a password is to be compared with: see [`Explanation::verdict`].
    pub found: Result<Candidate, Refusal>,
    /// The other lines.
    pub near: Near,
}

impl Explanation {
    /// Not let in; `place` decides that, if there is one.
    pub(super) fn refused(place: Option<Place>, refusal: Refusal, near: Near) -> Self {
        Self { place, addresses: None, found: Err(refusal), near }
    }

    /// What comes of a password, or of having none to try: `None` then, if one could be right. Slow for hashes.
    ///
    /// # Errors
    /// Why the user would not be let in.
    pub fn verdict(&self, protocol: Protocol, password: Option<&[u8]>) -> Result<Option<()>, Refusal> {
        let found = self.found.as_ref().map_err(Refusal::clone)?;
        let verified = match protocol {
            // A response is right if it was made with the secret, and so if its maker knows the secret.
            Protocol::Chap => found.verify_chap(|secret| {
                password.is_some_and(|password| ConstantTimeEq::ct_eq(secret, password).into())
            }),
            Protocol::Pap => found.verify_pap(password.unwrap_or_default()),
        };
        match verified {
            Ok(()) => Ok(Some(())),
            Err(Refusal::WrongPassword { .. }) if password.is_none() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

impl SecretsFile {
    /// What there is to say about the lines that do not decide about `client` at `server`; `decides` is the one that
    /// does.
    pub(super) fn near(&self, client: &[u8], server: &[u8], decides: Option<&Place>, limit: usize) -> Near {
        let mut near = Near::default();
        for entry in self.entries().iter().filter(|entry| Some(&entry.place) != decides) {
            match why_not(entry, client, server, decides) {
                Some(why) if near.lines.len() < limit => near.lines.push((entry.place.clone(), why)),
                _ => near.more += 1,
            }
        }
        near
    }
}

/// `None`: the line is for somebody else.
fn why_not(entry: &Entry, client: &[u8], server: &[u8], decides: Option<&Place>) -> Option<String> {
    match &entry.client {
        Pattern::Name(name) if **name == *client => {}
        Pattern::Name(name) if name.eq_ignore_ascii_case(client) => {
            return Some(format!("is for user {}: upper and lower case differ", Shown(name)));
        }
        Pattern::Name(_) => return None,
        Pattern::Any => {}
    }
    Some(match (&entry.server, decides) {
        (Pattern::Name(there), _) if **there != *server => {
            format!("is for server {}, and our name is {} (option name)", Shown(there), Shown(server))
        }
        (_, Some(place)) => {
            format!(
                "fits too, but {place} comes first: it names the client or server, or stands before this one"
            )
        }
        (_, None) => "fits, but its secret cannot be used".to_owned(),
    })
}
