//! The hooks of a session's life, and what scripts ask about sessions.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ppp_ipc::codec::{self, Room};
use ppp_ipc::control::{BitRate, Phase};
use ppp_ipc::hooks::{Answer, Argument, Event, Field, Question, Reply, SessionFields, Which};
use ppp_ipc::reason::EndReason;
use ppp_wire::escape::Escaped;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::hook_fields::{self, ServerView};
use super::hook_news::{Label, Outcome};
use super::hook_pool::Lane;
use super::hooks::Purpose;
use super::session::{Session, Token};
use crate::text::printable;

/// Sessions in one answer to a host: as many as the event loop may spend a millisecond on. Fewer, if they do not fit into a
/// frame.
const SESSIONS_PER_REPLY: usize = 50;

/// How far `ip_pre_up` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PreUp {
    #[default]
    NotAsked,
    Asked,
    Passed,
}

/// What `session_change` was last told, or `ip_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    ipv4_open: bool,
    ipv6_open: bool,
    mtu: Option<u16>,
    /// In kbit/s, to the peer and from it.
    rate: (u32, u32),
}

impl Told {
    fn of(session: &Session) -> Self {
        let rates = session.rates();
        Self {
            ipv4_open: session.ip_open,
            ipv6_open: session.ipv6_open.is_some(),
            mtu: session.mtu,
            rate: (rates.down, rates.up),
        }
    }

    /// The fields that are not as they were.
    fn changes_from(self, before: Self) -> Vec<String> {
        let changes = [
            ("ipv4_open", self.ipv4_open != before.ipv4_open),
            ("ipv6_open", self.ipv6_open != before.ipv6_open),
            ("mtu", self.mtu != before.mtu),
            ("rate", self.rate != before.rate),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()).collect()
    }
}

/// What the hooks have seen of a session. Its serialized part outlives this process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct HookState {
    /// Names the session for ever.
    pub(super) sid: String,
    /// What an access node says of the peer's line and of the subscriber (TR-101).
    pub(super) circuit_id: Option<Vec<u8>>,
    pub(super) remote_id: Option<Vec<u8>>,
    /// `auth_up` was called, so `auth_down` is to be.
    auth_up: bool,
    /// `ip_pre_up` or `ip_up` was called, so `ip_down` is to be.
    ip_up: bool,
    /// `ip_up` has returned.
    ip_up_done: bool,
    /// An earlier `pppoed` began it.
    #[serde(skip)]
    pub(super) is_adopted: bool,
    /// The name that came with a proof that is not decided on yet.
    #[serde(skip)]
    pub(super) claimed_name: Option<Vec<u8>>,
    #[serde(skip)]
    pre_up: PreUp,
    #[serde(skip)]
    told: Option<Told>,
}

impl HookState {
    pub(super) fn new(token: Token) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // Tokens are not used again while this process lives, and the next one is started later.
        let sid = format!("{:08x}{:08x}", now & 0xffff_ffff, token.0 & 0xffff_ffff);
        Self { sid, ..Self::default() }
    }
}

impl HookState {
    /// What the next `pppoed` must know.
    pub(super) fn record(&self) -> Option<Vec<u8>> {
        codec::encode(self).ok().map(|bytes| bytes.to_vec())
    }

    /// Goes on with what an earlier `pppoed` knew.
    pub(super) fn restore(&mut self, record: &[u8]) {
        // One that was written before there were hooks is as good as none: then nothing was called.
        if let Ok(known) = codec::decode_frame::<Self>(record) {
            *self = known;
        }
        self.is_adopted = true;
    }
}

impl Supervisor {
    /// Has a function called with the session.
    fn call_session_hook(
        &mut self,
        token: Token,
        event: Event,
        more: Vec<Argument>,
        purpose: Purpose,
        now: Instant,
    ) -> bool {
        if !self.hooks.has(event) {
            return false;
        }
        let Some(session) = self.table.get_mut(token) else { return false };
        let label = Label::of(event.as_str(), session);
        let mut arguments = vec![Argument::Table(hook_fields::of_session(session, now))];
        arguments.extend(more);
        self.call_hook(Lane::Session(token), event, arguments, label, purpose)
    }

    /// The subscriber has logged in.
    pub(super) fn hook_auth_up(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if !std::mem::replace(&mut session.hooks.auth_up, true) {
            self.call_session_hook(token, Event::AuthUp, Vec::new(), Purpose::Tell, now);
        }
    }

    /// The interface is ready. Whether packets may flow, as far as hooks are concerned; if not yet, `configure` is
    /// called again.
    pub(super) fn hook_allows_relay(&mut self, token: Token, now: Instant) -> bool {
        let has_pre_up = self.hooks.has(Event::IpPreUp);
        let Some(session) = self.table.get_mut(token) else { return false };
        // Once packets have flowed, a link that is negotiated anew is no news.
        match session.hooks.pre_up {
            PreUp::Asked => return false,
            PreUp::NotAsked if has_pre_up && session.machine.opened().is_none() => {}
            PreUp::NotAsked | PreUp::Passed => return true,
        }
        session.hooks.pre_up = PreUp::Asked;
        session.hooks.ip_up = true;
        session.note("ip_pre_up", now);
        self.call_session_hook(token, Event::IpPreUp, Vec::new(), Purpose::PreUp(token), now);
        false
    }

    pub(super) fn pre_up_hook_answered(&mut self, token: Token, outcome: &Outcome, now: Instant) {
        let deny_on_failure = self.hooks.deny_on_failure();
        let veto = outcome.calls.iter().find_map(|call| match &call.result {
            Ok(Answer::Deny(Some(message))) => Some(format!("hook {}: {}", call.file, Escaped(message))),
            Ok(Answer::Deny(None)) => Some(format!("hook {} said no", call.file)),
            Err(failed) if deny_on_failure => {
                let failed = failed.to_string();
                let failed = failed.lines().next().unwrap_or_default();
                Some(format!("hook {} failed (--hook-failure deny): {failed}", call.file))
            }
            Ok(_) | Err(_) => None,
        });
        let Some(session) = self.table.get_mut(token) else { return };
        session.hooks.pre_up = PreUp::Passed;
        if session.machine.is_ending() {
            return;
        }
        match veto {
            Some(why) => self.terminate(token, EndReason::HookVeto, &why, now),
            None => self.configure(token, now),
        }
    }

    /// Packets flow, or may flow otherwise than before.
    pub(super) fn hook_session_open(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.hooks.ip_up = true;
        let told = Told::of(session);
        let is_up_done = session.hooks.ip_up_done;
        match session.hooks.told.replace(told) {
            // The earlier pppoed has seen to that.
            None if is_up_done => {}
            None => {
                let is_called =
                    self.call_session_hook(token, Event::IpUp, Vec::new(), Purpose::Up(token), now);
                if !is_called {
                    self.up_hook_answered(token);
                }
            }
            Some(before) => {
                let changes = told.changes_from(before);
                if !changes.is_empty() {
                    let changes = vec![Argument::Names(changes)];
                    self.call_session_hook(token, Event::SessionChange, changes, Purpose::Tell, now);
                }
            }
        }
    }

    /// `ip_up` has returned, or there is none.
    pub(super) fn up_hook_answered(&mut self, token: Token) {
        if let Some(session) = self.table.get_mut(token) {
            session.hooks.ip_up_done = true;
            self.keep_record(token);
        }
    }

    /// A network protocol has closed.
    pub(super) fn hook_session_changed(&mut self, token: Token, now: Instant) {
        let is_told = self.table.get_mut(token).is_some_and(|session| session.hooks.told.is_some());
        if is_told {
            self.hook_session_open(token, now);
        }
    }

    /// The session's worker is gone. Whether hooks are called for that; then [`Supervisor::release`] follows.
    pub(super) fn hook_session_ended(&mut self, token: Token, now: Instant) -> bool {
        // Nobody needs their answers any more.
        let is_question = |purpose: &Purpose| matches!(purpose, Purpose::Auth(_) | Purpose::PreUp(_));
        let cancelled = self.hooks.pool.cancel(Lane::Session(token), |job| is_question(&job.purpose));
        let Some(session) = self.table.get_mut(token) else { return false };
        if cancelled.iter().any(|job| matches!(job.purpose, Purpose::PreUp(_))) {
            // It was never called.
            session.hooks.ip_up = false;
        }
        let down = session.hooks.ip_up && self.hooks.has(Event::IpDown);
        let auth_down = session.hooks.auth_up && self.hooks.has(Event::AuthDown);
        if down {
            let purpose = if auth_down { Purpose::Tell } else { Purpose::Farewell(token) };
            self.call_session_hook(token, Event::IpDown, Vec::new(), purpose, now);
        }
        if auth_down {
            self.call_session_hook(token, Event::AuthDown, Vec::new(), Purpose::Farewell(token), now);
        }
        down || auth_down
    }

    pub(super) fn server_fields(&self) -> Vec<Field> {
        let view = ServerView {
            ac_name: &self.ac_name,
            interfaces: self.accesses.iter().map(super::access::Access::name).collect(),
            sessions: self.table.len(),
            is_adopted: self.table.iter().any(|session| session.hooks.is_adopted),
        };
        view.fields()
    }

    /// What a script wants. It may do what root may; this only sees to it that it gets what it asks for.
    pub(super) fn answer_hook(&mut self, question: Question, file: &str, now: Instant) -> Reply {
        match question {
            Question::Sessions { after, fields } => {
                let sessions = self.table.iter_after(after).map(|session| self.fields_of(session, now));
                page(sessions.map(|session| with_fields(session, &fields)))
            }
            Question::Session(which) => {
                let fields = self.find(&which).map(|session| self.fields_of(session, now));
                Reply::Sessions { sessions: fields.into_iter().collect(), more: false }
            }
            Question::Terminate { which, text } => {
                let found = self.find(&which).map(|session| (session.token, session.machine.phase()));
                let (token, phase) = match found {
                    Some(found) => found,
                    None => return Reply::Done(Err("there is no such session".to_owned())),
                };
                if phase == Phase::Terminate {
                    return Reply::Done(Err("the session is ending already".to_owned()));
                }
                let detail = format!("by hook {file}: {}", printable(&text));
                self.terminate(token, EndReason::Admin, &detail, now);
                Reply::Done(Ok(()))
            }
            Question::SetRate { which, down, up } => {
                let token = self.find(&which).map(|session| session.token);
                let set = token
                    .is_some_and(|token| self.limit_session(token, BitRate(down), Some(BitRate(up)), now));
                Reply::Done(if set { Ok(()) } else { Err("there is no such session".to_owned()) })
            }
            Question::StoreGet(_)
            | Question::StoreSet(..)
            | Question::StoreAdd(..)
            | Question::StoreKeys { .. } => self.answer_about_store(question, now),
        }
    }

    fn answer_about_store(&mut self, question: Question, now: Instant) -> Reply {
        let Some(store) = &mut self.hooks.store else {
            return Reply::Done(Err("there is no store".to_owned()));
        };
        match question {
            Question::StoreGet(key) => Reply::Value(store.get(&key).cloned()),
            Question::StoreSet(key, value) => {
                Reply::Done(store.set(key, value, now).map_err(|error| error.to_string()))
            }
            Question::StoreAdd(key, number) => match store.add(key, number, now) {
                Ok(sum) => Reply::Value(Some(sum)),
                Err(error) => Reply::Done(Err(error.to_string())),
            },
            Question::StoreKeys { prefix, after } => {
                let (keys, more) = store.keys(&prefix, after.as_deref());
                Reply::Keys { keys, more }
            }
            _ => Reply::Done(Err("this is no question about the store".to_owned())),
        }
    }

    fn find(&self, which: &Which) -> Option<&Session> {
        match which {
            Which::Id(id) => self.table.by_id(*id),
            Which::Sid(sid) => self.table.iter().find(|session| session.hooks.sid == *sid),
        }
    }

    fn fields_of(&self, session: &Session, now: Instant) -> SessionFields {
        SessionFields { id: session.id, fields: hook_fields::of_session(session, now) }
    }
}

/// The first of these sessions, as many as one answer may have.
fn page(sessions: impl Iterator<Item = SessionFields>) -> Reply {
    let mut page = Vec::new();
    let mut room = Room::new();
    for session in sessions {
        if page.len() == SESSIONS_PER_REPLY || !room.take(&session) {
            return Reply::Sessions { sessions: page, more: true };
        }
        page.push(session);
    }
    Reply::Sessions { sessions: page, more: false }
}

/// The session with no other fields than these; with all, if there are none.
fn with_fields(mut session: SessionFields, names: &[String]) -> SessionFields {
    if !names.is_empty() {
        session.fields.retain(|(name, _)| names.contains(name));
    }
    session
}

#[cfg(test)]
mod tests {
    use ppp_ipc::hooks::{ToHost, Value};

    use super::*;

    fn session(id: u16, text: usize) -> SessionFields {
        let value = |len| Value::Bytes(vec![b'x'; len]);
        let fields = (0..78).map(|number| (format!("field{number}"), value(number % 9)));
        let long = ("long".to_owned(), value(text));
        SessionFields { id, fields: fields.chain([long]).collect() }
    }

    /// All sessions, page by page, as a host asks for them and gets them: through frames.
    fn ask(sessions: &[SessionFields], fields: &[String]) -> (Vec<SessionFields>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            let after = all.last().map_or(0, |session: &SessionFields| session.id);
            let rest = sessions.iter().filter(|session| session.id > after).cloned();
            let reply = page(rest.map(|session| with_fields(session, fields)));
            let frame = codec::encode(&ToHost::Reply(reply)).unwrap();
            let ToHost::Reply(Reply::Sessions { sessions, more }) = codec::decode_frame(&frame).unwrap()
            else {
                panic!("another answer");
            };
            assert!(!sessions.is_empty() || !more);
            all.extend(sessions);
            pages += 1;
            if !more {
                return (all, pages);
            }
        }
    }

    #[test]
    fn any_number_of_sessions_comes_in_pages_that_a_host_can_read() {
        for count in [0, 1, 31, 1000, 10_000] {
            let sessions: Vec<SessionFields> = (1..=count).map(|id| session(id, 40)).collect();
            let (all, _) = ask(&sessions, &[]);
            assert!(all == sessions, "{count} sessions");
            let (some, pages) = ask(&sessions, &["field1".to_owned(), "nothing".to_owned()]);
            assert_eq!(pages, usize::from(count).div_ceil(SESSIONS_PER_REPLY).max(1));
            assert!(some.iter().all(|session| session.fields.len() == 1 && session.fields[0].0 == "field1"));
        }
        // Each of them nearly fills a frame.
        let sessions: Vec<SessionFields> = (1..=5).map(|id| session(id, 62 << 10)).collect();
        assert!(ask(&sessions, &[]) == (sessions, 5));
    }

    #[test]
    fn changes_are_named() {
        let before = Told { ipv4_open: false, ipv6_open: true, mtu: Some(1492), rate: (0, 0) };
        assert!(before.changes_from(before).is_empty());
        let after = Told { ipv4_open: true, ipv6_open: false, mtu: Some(1400), rate: (0, 9) };
        assert_eq!(after.changes_from(before), ["ipv4_open", "ipv6_open", "mtu", "rate"]);
        assert_eq!(Told { ipv4_open: true, ..before }.changes_from(before), ["ipv4_open"]);
    }

    #[test]
    fn what_the_next_pppoed_must_know_survives() {
        let state = HookState { ip_up: true, ..HookState::new(Token(7)) };
        let mut again = HookState::new(Token(9));
        again.restore(&state.record().unwrap());
        assert_eq!((again.ip_up, again.auth_up, again.is_adopted), (true, false, true));
        assert_eq!((again.sid.len(), &again.sid), (16, &state.sid));
    }
}
