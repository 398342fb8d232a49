//! What files say about the users that a change is about: the old values, and whether anybody is called so.
//!
//! The files are read beside the event loop, and only for a while: somebody can be denied whatever the disk does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ppp_ipc::control::AuthMethod;
use ppp_ipc::hooks::Event;
use ppp_ipc::name::Name;
use ppp_ipc::policy::{PolicyChange, PolicyRequest, Subject};
use pppoed_config::config::Setting;
use pppoed_config::options::{self, SessionOptions};
use pppoed_config::policy::{ADDRESS, Policy};
use pppoed_config::secrets::{KnownUser, Protocol};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::touch::changed_users;
use super::{News, Supervisor, Work};
use crate::control::{Answer, Caller};
use crate::turns;

/// Time that a change waits for the files.
const PATIENCE: Duration = Duration::from_secs(1);

/// Options that are shown as their opposites.
const OPPOSITES: [(&str, &str); 2] = [("noproxyarp", "proxyarp"), ("-proxyarp", "proxyarp")];

/// Users by name. Empty where the files could not be read in time.
pub(super) type KnownUsers = BTreeMap<Name, KnownUser>;

/// A change that was asked for, and what files say about its users.
#[derive(Debug)]
pub(in super::super) struct Asked {
    pub(super) request: PolicyRequest,
    pub(super) caller: Caller,
    pub(super) answer: oneshot::Sender<Answer>,
    pub(super) known: KnownUsers,
}

impl Supervisor {
    /// Has the files asked about users, and goes on with the change.
    pub(super) fn ask_about_users(&mut self, asked: Asked, new: &Policy, now: Instant) {
        let names = users_of(&asked.request.change, &self.policy.current, new);
        if names.is_empty() {
            return self.go_on(asked, now);
        }
        let (secrets, work) = (self.secrets.clone(), self.work.clone());
        let protocols = protocols(&self.terms.auth_methods());
        turns::spawn("users of the files", async move {
            let asking = secrets.with(move |secrets, _| {
                let ask = |name: Name| (name.clone(), secrets.known(&protocols, name.as_bytes()));
                names.into_iter().map(ask).collect()
            });
            let known = timeout(PATIENCE, asking).await.ok().flatten().unwrap_or_default();
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Policy(News::Known(Box::new(Asked { known, ..asked })))).await;
        });
    }

    /// Whoever sets something for a user that does not exist has most likely made a slip.
    pub(super) fn remark_on_users(
        &self,
        change: &PolicyChange,
        users: &KnownUsers,
        remarks: &mut Vec<String>,
    ) {
        let Some(name) = named(change).filter(|_| !is_taken_back(change)) else { return };
        let is_here = self.table.iter().any(|session| session.username().as_ref() == Some(&name));
        let Some(unknown) = users.get(&name).and_then(|user| user.unknown.as_ref()).filter(|_| !is_here)
        else {
            return;
        };
        remarks.push(match self.hooks.has(Event::Auth) {
            true => format!("{unknown}; a hook script may let such a user in"),
            false => unknown.to_string(),
        });
    }
}

/// What files say about an option of a user, or else what holds for all.
pub(super) fn of_files(
    users: &KnownUsers,
    general: &SessionOptions,
    name: &Name,
    option: &str,
) -> Option<Setting> {
    let user = users.get(name)?;
    if option == ADDRESS {
        let (addresses, place) = user.addresses.as_ref()?;
        return Some(Setting { value: addresses.to_string(), origin: place.to_string() });
    }
    let opposite = OPPOSITES.iter().find(|(name, _)| *name == option).map(|(_, shown)| *shown);
    let entries = options::shown(&user.options.clone().over(general));
    let entry = entries.into_iter().find(|entry| entry.key == opposite.unwrap_or(option))?;
    let value = match opposite.and_then(|_| entry.value.parse::<bool>().ok()) {
        Some(is_on) => (!is_on).to_string(),
        None => entry.value,
    };
    Some(Setting { value, origin: entry.origin.to_string() })
}

/// The users of whom something changes, and the one that is named.
fn users_of(change: &PolicyChange, old: &Policy, new: &Policy) -> BTreeSet<Name> {
    changed_users(old, new).into_iter().chain(named(change)).collect()
}

fn named(change: &PolicyChange) -> Option<Name> {
    match change {
        PolicyChange::SetUser { name, .. } | PolicyChange::UnsetUser { name, .. } => Some(name.clone()),
        PolicyChange::List { who: Subject::User(pattern), .. } => pattern.exact(),
        _ => None,
    }
}

fn is_taken_back(change: &PolicyChange) -> bool {
    matches!(change, PolicyChange::UnsetUser { .. })
}

fn protocols(methods: &[AuthMethod]) -> Vec<Protocol> {
    methods
        .iter()
        .map(|method| match method {
            AuthMethod::ChapMd5 => Protocol::Chap,
            AuthMethod::Pap => Protocol::Pap,
        })
        .collect()
}
