use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ppp_wire::MacAddr;

use super::answer::Echo;
use super::cookie::Cookie;
use super::server::RequestId;

/// What makes a PADR the same as another one. Not its Host-Uniq, which matches one answer to one request (RFC 2516
/// appendix A), nor its Relay-Session-Id, to which the cookie is bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DialKey {
    pub(super) peer_mac: MacAddr,
    pub(super) cookie: Cookie,
}

/// How far a dial got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// The supervisor makes the session.
    Starting,
    /// The session was confirmed.
    Confirmed { session_id: u16 },
}

/// One valid PADR, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    pub(super) key: DialKey,
    /// That of the latest PADR: its sender waits for this one.
    pub(super) host_uniq: Option<Vec<u8>>,
    pub(super) service_name: Vec<u8>,
    pub(super) relay_session_id: Option<Vec<u8>>,
    pub(super) max_payload: Option<u16>,
    pub(super) progress: Progress,
    since: Instant,
}

impl Dial {
    pub(super) fn new(
        key: DialKey,
        host_uniq: Option<Vec<u8>>,
        service_name: Vec<u8>,
        relay_session_id: Option<Vec<u8>>,
        max_payload: Option<u16>,
        now: Instant,
    ) -> Self {
        Self {
            key,
            host_uniq,
            service_name,
            relay_session_id,
            max_payload,
            progress: Progress::Starting,
            since: now,
        }
    }

    pub(super) fn echo(&self) -> Echo<'_> {
        Echo {
            peer_mac: self.key.peer_mac,
            host_uniq: self.host_uniq.as_deref(),
            relay_session_id: self.relay_session_id.as_deref(),
        }
    }
}

/// The dials of young sessions, so that a repeated PADR is known again.
///
/// Ends of sessions and time remove entries, so there are never more of them than sessions.
#[derive(Debug, Default)]
pub(super) struct Dials {
    next_id: u64,
    /// Identifiers grow with time, so the first entry is the oldest.
    by_id: BTreeMap<RequestId, Dial>,
    by_key: BTreeMap<DialKey, RequestId>,
    by_session: BTreeMap<u16, RequestId>,
}

impl Dials {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn find(&self, key: &DialKey) -> Option<&Dial> {
        self.by_id.get(self.by_key.get(key)?)
    }

    /// Whoever sent a PADR of this key waits for an answer with this Host-Uniq from now on.
    pub(super) fn readdress(&mut self, key: &DialKey, host_uniq: Option<&[u8]>) {
        let dial = self.by_key.get(key).and_then(|id| self.by_id.get_mut(id));
        if let Some(dial) = dial.filter(|dial| dial.host_uniq.as_deref() != host_uniq) {
            dial.host_uniq = host_uniq.map(<[u8]>::to_vec);
        }
    }

    pub(super) fn find_id(&self, key: &DialKey) -> Option<(RequestId, &Dial)> {
        let id = *self.by_key.get(key)?;
        Some((id, self.by_id.get(&id)?))
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&Dial> {
        self.by_id.get(&id)
    }

    /// Adds a dial whose key is not known yet.
    pub(super) fn insert(&mut self, dial: Dial) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.by_key.insert(dial.key.clone(), id);
        self.by_id.insert(id, dial);
        self.check_invariants();
        id
    }

    /// Notes the answer to a dial that is starting.
    pub(super) fn confirm(&mut self, id: RequestId, session_id: u16) {
        // A session id that is used again belongs to the newer dial.
        self.forget_session(session_id);
        if let Some(dial) = self.by_id.get_mut(&id) {
            dial.progress = Progress::Confirmed { session_id };
            self.by_session.insert(session_id, id);
        }
        self.check_invariants();
    }

    pub(super) fn forget(&mut self, id: RequestId) -> Option<Dial> {
        let dial = self.by_id.remove(&id)?;
        self.by_key.remove(&dial.key);
        if let Progress::Confirmed { session_id } = dial.progress {
            self.by_session.remove(&session_id);
        }
        self.check_invariants();
        Some(dial)
    }

    pub(super) fn forget_all(&mut self) {
        self.by_id.clear();
        self.by_key.clear();
        self.by_session.clear();
    }

    pub(super) fn forget_session(&mut self, session_id: u16) {
        if let Some(&id) = self.by_session.get(&session_id) {
            self.forget(id);
        }
    }

    /// When the oldest dial is to be forgotten.
    pub(super) fn next_expiry(&self, young: Duration) -> Option<Instant> {
        self.by_id.first_key_value().map(|(_, dial)| dial.since + young)
    }

    pub(super) fn expire(&mut self, young: Duration, now: Instant) {
        while let Some((&id, dial)) = self.by_id.first_key_value()
            && now >= dial.since + young
        {
            self.forget(id);
        }
    }

    fn check_invariants(&self) {
        debug_assert_eq!(self.by_id.len(), self.by_key.len());
        debug_assert!(self.by_session.len() <= self.by_id.len());
    }
}
