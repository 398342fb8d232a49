//! The sessions that a change touches.

use std::collections::BTreeSet;
use std::time::Instant;

use ppp_ipc::control::BitRate;
use ppp_ipc::name::Name;
use ppp_ipc::policy::{ListName, PolicyChange, PolicyRequest, Subject};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::Rates;
use ppp_wire::MacAddr;
use pppoed_config::config::{Changes, Reading};
use pppoed_config::options::SessionOptions;
use pppoed_config::policy::{Key, Policy, UserOverride};

use super::super::Supervisor;
use super::super::session::Session;
use crate::control::Caller;

/// Ids of sessions.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// They keep old values.
    pub(super) keeping: Vec<u16>,
    /// They are denied, and go on.
    pub(super) denied: Vec<u16>,
    /// They are denied, and end.
    pub(super) ending: Vec<u16>,
    /// Their rates change.
    pub(super) rates: Vec<u16>,
}

impl Supervisor {
    pub(super) fn touched(
        &self,
        request: &PolicyRequest,
        old: &Policy,
        new: &Policy,
        settings: Option<&(Reading, Changes)>,
    ) -> Touched {
        let mut touched = Touched::default();
        let macs = new.macs();
        let is_denied = |session: &Session| match &request.change {
            PolicyChange::List { list: ListName::Deny, who: Subject::Mac(mac) } => {
                session.peer_mac == MacAddr(*mac) && macs.deny.contains(&session.peer_mac)
            }
            PolicyChange::List { list: ListName::Deny, who: Subject::User(_) } => {
                session.username().is_some_and(|name| new.denial(name.as_bytes()).is_some())
            }
            _ => false,
        };
        let changed = changed_users(old, new);
        for session in self.table.iter().filter(|session| !session.machine.is_ending()) {
            if is_denied(session) {
                let list = if request.end { &mut touched.ending } else { &mut touched.denied };
                list.push(session.id);
            }
            let Some(name) = session.username().filter(|name| changed.contains(name)) else { continue };
            let (before, after) = (old.user(name.as_bytes()), new.user(name.as_bytes()));
            if new_rates(session, &before, &after).is_some_and(|rates| rates != session.rates()) {
                touched.rates.push(session.id);
            }
            if without_rates(before) != without_rates(after) {
                touched.keeping.push(session.id);
            }
        }
        if let Some((reading, changes)) = settings {
            touched.keeping.extend(self.keeping(reading, changes));
        }
        touched
    }

    /// Rates of users hold at once for the sessions that they have.
    pub(super) fn set_rates_of_users(&mut self, old: &Policy, now: Instant) {
        let changed = changed_users(old, &self.policy.current);
        if changed.is_empty() {
            return;
        }
        let mut limited = Vec::new();
        for session in self.table.iter_mut().filter(|session| !session.machine.is_ending()) {
            let Some(name) = session.username().filter(|name| changed.contains(name)) else { continue };
            let (before, after) = (old.user(name.as_bytes()), self.policy.current.user(name.as_bytes()));
            if let Some(rates) = new_rates(session, &before, &after).filter(|rates| *rates != session.rates())
            {
                session.set_rates = Some(rates);
                let (down, up) = (BitRate(rates.down), BitRate(rates.up));
                session.note(
                    format!("limited to {down} down, {up} up, as the console has it for the user"),
                    now,
                );
                session.send_rates();
                limited.push(session.token);
            }
        }
        for token in limited {
            self.keep_record(token);
            self.hook_session_changed(token, now);
        }
    }

    pub(super) fn end_denied(&mut self, ids: &[u16], caller: Caller, now: Instant) {
        let detail = format!("denied by uid {} with pppctl", caller.uid);
        for id in ids {
            if let Some(token) = self.table.by_id(*id).map(|session| session.token) {
                self.terminate(token, EndReason::Admin, &detail, now);
            }
        }
    }
}

/// Users of whom something is different.
pub(super) fn changed_users(old: &Policy, new: &Policy) -> BTreeSet<Name> {
    let differs = |one: &Policy, other: &Policy| -> Vec<Name> {
        let changed = one.entries().filter(|(key, entry)| {
            other.get(key).is_none_or(|counterpart| counterpart.values != entry.values)
        });
        let name = |(key, _): (&Key, _)| match key {
            Key::User { name, .. } => Some(name.clone()),
            _ => None,
        };
        changed.filter_map(name).collect()
    };
    differs(old, new).into_iter().chain(differs(new, old)).collect()
}

/// The rates of a session under the new options of its user; none if these have to do with other things only.
fn new_rates(session: &Session, before: &UserOverride, after: &UserOverride) -> Option<Rates> {
    let of = |options: &SessionOptions| {
        let SessionOptions { rate_down, rate_up, rate_burst, .. } = options;
        (rate_down.clone(), rate_up.clone(), rate_burst.clone())
    };
    if of(&before.options) == of(&after.options) {
        return None;
    }
    let own = session.own_rates.unwrap_or_else(|| session.options().rates());
    let SessionOptions { rate_down, rate_up, rate_burst, .. } = &after.options;
    Some(Rates {
        down: rate_down.as_ref().map_or(own.down, |rate| rate.value.0),
        up: rate_up.as_ref().map_or(own.up, |rate| rate.value.0),
        burst: rate_burst.as_ref().map_or(own.burst, |burst| burst.value),
    })
}

fn without_rates(of: UserOverride) -> UserOverride {
    let options = SessionOptions { rate_down: None, rate_up: None, rate_burst: None, ..of.options };
    UserOverride { options, ..of }
}
