//! All sessions, found by token, by session id and by the peer's address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use ppp_ipc::control::Selector;
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_wire::MacAddr;
use pppoed_config::pool::PoolName;

use super::session::{AccessIndex, Session, Token};

/// The sessions and their indices, which only this module changes.
#[derive(Debug, Default)]
pub(super) struct Table {
    sessions: BTreeMap<Token, Session>,
    by_id: BTreeMap<u16, Token>,
    by_peer: HashMap<(AccessIndex, MacAddr), BTreeSet<Token>>,
    /// By the kernel's numbers of the sessions' interfaces.
    by_tun: HashMap<IfIndex, Token>,
    /// Sessions on each access interface.
    on_access: HashMap<AccessIndex, usize>,
    /// Sessions with each pool.
    in_pool: HashMap<PoolName, usize>,
    /// Sessions whose peers have proven nothing yet.
    unproven: BTreeSet<Token>,
}

impl Table {
    pub(super) fn insert(&mut self, session: Session) {
        let token = session.token;
        self.by_id.insert(session.id, token);
        *self.on_access.entry(session.access).or_default() += 1;
        *self.in_pool.entry(session.settings.pool.clone()).or_default() += 1;
        self.unproven.insert(token);
        if let Some(tun) = &session.tun {
            self.by_tun.insert(tun.index, token);
        }
        self.by_peer.entry((session.access, session.peer_mac)).or_default().insert(token);
        self.sessions.insert(token, session);
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Session> {
        let session = self.sessions.remove(&token)?;
        self.by_id.remove(&session.id);
        if let Some(tun) = &session.tun {
            self.by_tun.remove(&tun.index);
        }
        if let Some(count) = self.on_access.get_mut(&session.access) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.in_pool.get_mut(&session.settings.pool) {
            *count -= 1;
            if *count == 0 {
                self.in_pool.remove(&session.settings.pool);
            }
        }
        self.unproven.remove(&token);
        let peer = (session.access, session.peer_mac);
        if let Some(tokens) = self.by_peer.get_mut(&peer) {
            tokens.remove(&token);
            if tokens.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        Some(session)
    }

    pub(super) fn get(&self, token: Token) -> Option<&Session> {
        self.sessions.get(&token)
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Session> {
        self.sessions.get_mut(&token)
    }

    /// All sessions, the oldest first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.sessions.values_mut()
    }

    pub(super) fn by_id(&self, id: u16) -> Option<&Session> {
        self.sessions.get(self.by_id.get(&id)?)
    }

    pub(super) fn by_id_mut(&mut self, id: u16) -> Option<&mut Session> {
        self.sessions.get_mut(self.by_id.get(&id)?)
    }

    /// The session whose interface has this number.
    pub(super) fn by_tun_mut(&mut self, index: IfIndex) -> Option<&mut Session> {
        self.sessions.get_mut(self.by_tun.get(&index)?)
    }

    /// A session has its interface.
    pub(super) fn set_tun(&mut self, token: Token, tun: InterfaceId) {
        if let Some(session) = self.sessions.get_mut(&token) {
            self.by_tun.insert(tun.index, token);
            session.tun = Some(tun);
        }
    }

    /// Sessions in order of session id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values().filter_map(|token| self.sessions.get(token))
    }

    /// The sessions whose ids are greater than `after`, in order of session id.
    pub(super) fn iter_after(&self, after: u16) -> impl Iterator<Item = &Session> {
        let ids = self.by_id.range((Bound::Excluded(after), Bound::Unbounded));
        ids.filter_map(|(_, token)| self.sessions.get(token))
    }

    /// Notes that a session's peer has proven who it is, or that the session makes room for others.
    pub(super) fn proven(&mut self, token: Token) {
        self.unproven.remove(&token);
    }

    /// Sessions whose peers have proven nothing yet, the oldest first.
    pub(super) fn unproven(&self) -> &BTreeSet<Token> {
        &self.unproven
    }

    /// Sessions on an access interface.
    pub(super) fn count_on(&self, access: AccessIndex) -> usize {
        self.on_access.get(&access).copied().unwrap_or(0)
    }

    /// Sessions with a pool.
    pub(super) fn count_in(&self, pool: &str) -> usize {
        self.in_pool.get(pool).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        self.sessions.keys().copied().collect()
    }

    /// Sessions of one host on one access interface, oldest first.
    pub(super) fn of_peer(&self, access: AccessIndex, mac: MacAddr) -> Vec<Token> {
        self.by_peer.get(&(access, mac)).map(|tokens| tokens.iter().copied().collect()).unwrap_or_default()
    }

    /// Number of sessions of one host on one access interface.
    pub(super) fn count_of_peer(&self, access: AccessIndex, mac: MacAddr) -> usize {
        self.by_peer.get(&(access, mac)).map_or(0, BTreeSet::len)
    }

    /// The sessions that a command is for, in order of session id.
    pub(super) fn select(&self, selector: &Selector) -> Vec<Token> {
        self.of_selector(selector).map(|session| session.token).collect()
    }

    /// The same, and not only their tokens.
    pub(super) fn of_selector(&self, selector: &Selector) -> impl Iterator<Item = &Session> {
        self.iter().filter(|session| selector.selects(&session.facts()))
    }
}
