//! How many sessions one user may have, and how a new one takes over from an old one.
//!
//! A session that is to be replaced is killed, and the verdict on the newcomer waits until its worker is gone: only
//! then is its address free, which may be the one that the secrets file fixes for the user.

use std::collections::BTreeSet;
use std::time::Instant;

use ppp_ipc::reason::EndReason;
use ppp_wire::name::NameText;
use pppoed_config::config::UserLimit;
use pppoed_config::flags::UserLimitPolicy;
use pppoed_config::secrets::Shown;

use super::Supervisor;
use super::auth::Outcome;
use super::session::{Session, Token};

/// Newcomers whose verdict waits.
#[derive(Debug, Default)]
pub(super) struct HandOvers {
    waiting: Vec<HandOver>,
}

#[derive(Debug)]
struct HandOver {
    token: Token,
    outcome: Outcome,
    /// The sessions that must be gone first; never empty.
    waits_for: BTreeSet<Token>,
}

/// A session of the same user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Other {
    token: Token,
    is_ending: bool,
}

/// What a user's next session has to wait for.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    /// Nothing.
    Free,
    /// The ends of these, the oldest ones.
    After(BTreeSet<Token>),
    /// It is refused: there are so many that are not ending.
    Denied(usize),
}

/// `others` from the oldest to the newest.
fn room(limit: UserLimit, others: &[Other]) -> Room {
    let sessions = limit.sessions.get();
    let alive = others.iter().filter(|other| !other.is_ending).count();
    if alive >= sessions && limit.policy == UserLimitPolicy::Deny {
        return Room::Denied(alive);
    }
    // Those that are ending anyway go first.
    let mut leaving: Vec<&Other> = others.iter().collect();
    leaving.sort_by_key(|other| !other.is_ending);
    let surplus = (others.len() + 1).saturating_sub(sessions);
    match surplus {
        0 => Room::Free,
        _ => Room::After(leaving.into_iter().take(surplus).map(|other| other.token).collect()),
    }
}

fn denied(user: &[u8], count: usize, limit: UserLimit) -> String {
    let (user, limit) = (Shown(user), limit.sessions);
    format!("user {user} has {count} of {limit} sessions (--sessions-per-user {limit} --user-limit deny)")
}

impl Supervisor {
    /// Holds the limit of sessions per user before an accepted proof is acted upon. `None` when the verdict has to
    /// wait.
    pub(super) fn make_room_for_user(&mut self, token: Token, mut outcome: Outcome) -> Option<Outcome> {
        let Some(limit) = self.config.per_user else { return Some(outcome) };
        let Some(session) = self.table.get_mut(token) else { return Some(outcome) };
        // Who proves its identity once more has its place already.
        if outcome.result.is_err() || session.user.is_some() {
            return Some(outcome);
        }
        let newcomer = format!("from {} on {}", session.peer_mac, session.access_name);
        match room(limit, &self.sessions_of(&outcome.name, Some(token))) {
            Room::Free => Some(outcome),
            Room::Denied(count) => {
                outcome.result = Err(denied(&outcome.name, count, limit));
                Some(outcome)
            }
            Room::After(waits_for) => {
                let name = format!("\"{}\"", NameText(&outcome.name));
                for old in &waits_for {
                    self.kill(*old, EndReason::Replaced, &format!("{name} logged in again {newcomer}"));
                }
                self.hand_overs.wait(token, outcome, waits_for);
                None
            }
        }
    }

    /// The sessions that would end if this user logged in once more.
    ///
    /// # Errors
    /// Why the login would be refused.
    pub(super) fn would_leave(&self, user: &[u8]) -> Result<BTreeSet<Token>, String> {
        let Some(limit) = self.config.per_user else { return Ok(BTreeSet::new()) };
        match room(limit, &self.sessions_of(user, None)) {
            Room::Free => Ok(BTreeSet::new()),
            Room::Denied(count) => Err(denied(user, count, limit)),
            Room::After(tokens) => Ok(tokens),
        }
    }

    /// The sessions of a user from the oldest to the newest, but for `except`.
    fn sessions_of(&self, name: &[u8], except: Option<Token>) -> Vec<Other> {
        let is_other = |other: &&Session| {
            Some(other.token) != except && other.user.as_ref().is_some_and(|user| user.name == name)
        };
        let others = self.table.iter().filter(is_other);
        let mut others: Vec<Other> =
            others.map(|other| Other { token: other.token, is_ending: other.machine.is_ending() }).collect();
        others.sort_by_key(|other| other.token);
        others
    }

    /// The verdict on a newcomer waits until that session is gone.
    pub(super) fn wait_for(&mut self, holder: Token, newcomer: Token, outcome: Outcome) {
        self.hand_overs.wait(newcomer, outcome, BTreeSet::from([holder]));
    }

    /// A session is gone: decides about those that waited for it, and forgets it if it was waiting itself.
    pub(super) fn continue_hand_overs(&mut self, gone: Token, now: Instant) {
        let ready = self.hand_overs.take_ready(gone);
        for hand_over in ready {
            self.handle_verified(hand_over.token, hand_over.outcome, now);
        }
    }
}

impl HandOvers {
    /// The verdict on a newcomer waits until these, which are some, are gone.
    pub(super) fn wait(&mut self, token: Token, outcome: Outcome, waits_for: BTreeSet<Token>) {
        self.waiting.push(HandOver { token, outcome, waits_for });
    }

    /// Newcomers that waited for a session that will not go.
    pub(super) fn take_waiting_for(&mut self, token: Token) -> Vec<(Token, Outcome)> {
        let waited = self.waiting.extract_if(.., |hand_over| hand_over.waits_for.contains(&token));
        waited.map(|hand_over| (hand_over.token, hand_over.outcome)).collect()
    }

    /// Those that waited for nobody but `gone`, in the order in which they came.
    fn take_ready(&mut self, gone: Token) -> Vec<HandOver> {
        self.waiting.retain(|hand_over| hand_over.token != gone);
        for hand_over in &mut self.waiting {
            hand_over.waits_for.remove(&gone);
        }
        self.waiting.extract_if(.., |hand_over| hand_over.waits_for.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(sessions: usize, policy: UserLimitPolicy) -> UserLimit {
        UserLimit { sessions: sessions.try_into().unwrap(), policy }
    }

    fn others(count: u64, ending: &[u64]) -> Vec<Other> {
        let other = |number| Other { token: Token(number), is_ending: ending.contains(&number) };
        (0..count).map(other).collect()
    }

    fn after(tokens: &[u64]) -> Room {
        Room::After(tokens.iter().copied().map(Token).collect())
    }

    #[test]
    fn the_oldest_gives_way() {
        let replace = |sessions, others: &[Other]| room(limit(sessions, UserLimitPolicy::Replace), others);
        assert_eq!(replace(1, &others(0, &[])), Room::Free);
        assert_eq!(replace(1, &others(1, &[])), after(&[0]));
        assert_eq!(replace(2, &others(1, &[])), Room::Free);
        assert_eq!(replace(2, &others(2, &[])), after(&[0]));
        assert_eq!(replace(2, &others(2, &[1])), after(&[1]), "one that is ending anyway");
        assert_eq!(
            replace(2, &others(5, &[4])),
            after(&[0, 1, 2, 4]),
            "the limit is newer than the sessions"
        );
    }

    #[test]
    fn only_sessions_that_stay_are_in_the_way() {
        let deny = |sessions, others: &[Other]| room(limit(sessions, UserLimitPolicy::Deny), others);
        assert_eq!(deny(1, &others(0, &[])), Room::Free);
        assert_eq!(deny(1, &others(1, &[])), Room::Denied(1));
        assert_eq!(deny(1, &others(1, &[0])), after(&[0]));
        assert_eq!(deny(3, &others(3, &[])), Room::Denied(3));
        assert_eq!(deny(3, &others(3, &[2])), after(&[2]));
        assert_eq!(deny(3, &others(2, &[])), Room::Free);
    }
}
