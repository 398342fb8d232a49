//! Why one line decides about a peer, and the others do not. For the administrator who wonders.

use super::{AddressList, Entry, Pattern, Refusal, SecretsFile, Shown};
use crate::origin::Place;

/// The lines of a file that come near, and what is said of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// Place and reason.
    pub lines: Vec<(Place, String)>,
    /// How many lines are for somebody else, or beyond the limit.
    pub more: usize,
}

/// What would become of a peer.
#[derive(Debug)]
pub struct Explanation {
    /// The line that decides.
    pub place: Option<Place>,
    /// The addresses on it, or those that the users file has in their place.
    pub addresses: Option<AddressList>,
    /// What comes of the password, or of having none to try: `None` then, if one could be right.
    pub verdict: Result<Option<()>, Refusal>,
    /// The other lines.
    pub near: Near,
}

impl Explanation {
    /// Not let in; `place` decides that, if there is one.
    pub(super) fn refused(place: Option<Place>, refusal: Refusal, near: Near) -> Self {
        Self { place, addresses: None, verdict: Err(refusal), near }
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
