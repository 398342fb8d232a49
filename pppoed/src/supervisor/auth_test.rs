//! `pppctl auth test`: which line would decide about a user, and what a login would come to now.

use std::sync::{Mutex, PoisonError};

use ppp_ipc::control::{AuthLine, AuthMethod, AuthTest, AuthVerdict, MAX_AUTH_LINES, Response};
use ppp_ipc::hooks::Event;
use tokio::sync::oneshot;

use super::{Supervisor, Work};
use crate::control::Answer;
use crate::inet::SystemNames;
use crate::pool::Wish;
use crate::secrets::{Addresses, Explanation, FixedAddresses, Protocol, Refusal, Secrets};

/// Characters of a text at most, so that all of them fit into one frame: names may be long.
const MAX_TEXT: usize = 400;

/// What the files say about a user, and who asks.
#[derive(Debug)]
pub(super) struct Tried {
    user: Vec<u8>,
    by_method: Vec<ByMethod>,
    answer: oneshot::Sender<Answer>,
}

/// What the files say by one method.
#[derive(Debug)]
struct ByMethod {
    method: AuthMethod,
    explained: Explanation,
    /// The addresses that the user may have, if a line decides.
    addresses: Option<Addresses>,
    /// The addresses that are kept for users.
    fixed: FixedAddresses,
}

impl Supervisor {
    /// Asks the files beside the event loop: they are read, names in them are looked up, and hashed passwords take their
    /// time.
    pub(super) fn test_auth(&self, test: AuthTest, answer: oneshot::Sender<Answer>) {
        let (secrets, work) = (self.secrets.clone(), self.work.clone());
        tokio::task::spawn_local(async move {
            let user = test.user.as_bytes().to_vec();
            let asking = tokio::task::spawn_blocking(move || ask_files(&secrets, &test));
            // Without an answer the client is hung up on, as after any failure of this kind.
            let Ok(by_method) = asking.await else { return };
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::AuthTried(Box::new(Tried { user, by_method, answer }))).await;
        });
    }

    /// Adds what only the event loop knows: what consoles have set, who is logged in, which addresses are free.
    pub(super) fn handle_auth_tried(&mut self, tried: Tried) {
        let Tried { user, by_method, answer } = tried;
        let asked_for = self.terms.auth_methods();
        let mut verdicts = Vec::new();
        for ByMethod { method, explained, addresses, fixed } in by_method {
            let origin = explained.place.as_ref().map_or_else(String::new, ToString::to_string);
            // What comes after the proof is not looked at where that is refused.
            let login =
                explained.verdict.is_ok().then(|| self.login(&user, &origin, addresses.as_ref(), fixed));
            let mut verdict = verdict(method, asked_for.contains(&method), explained);
            match login {
                Some(Ok(would_get)) => verdict.would_get = Some(cut(would_get)),
                Some(Err(why)) => verdict.refusal = Some(cut(why)),
                None => {}
            }
            if self.hooks.has(Event::Auth) {
                let why = "has a function auth, which may decide otherwise".to_owned();
                verdict.others.insert(0, AuthLine { place: "a hook script".to_owned(), why });
                verdict.others.truncate(MAX_AUTH_LINES);
            }
            verdicts.push(Response::AuthVerdict(Box::new(verdict)));
        }
        // Fails only when the client has hung up.
        let _ = answer.send(Answer::Whole(verdicts));
    }

    /// The address that this user would get, whose proof was right, or why there would be no session. Nothing changes.
    fn login(
        &mut self,
        user: &[u8],
        origin: &str,
        addresses: Option<&Addresses>,
        fixed: FixedAddresses,
    ) -> Result<String, String> {
        if let Some(why) = self.policy.current.denial(user) {
            return Err(why);
        }
        let leavers = self.would_leave(user)?;
        let leavers: Vec<u32> = leavers
            .into_iter()
            .filter_map(|token| self.table.get_mut(token).map(|session| session.slot))
            .collect();
        let wish = Wish {
            user,
            addresses,
            fixed: &fixed.with_console(self.policy.addresses.clone()),
            only: self.policy.current.user(user).address,
        };
        let assigned = self.pool.would_assign(&wish, &leavers);
        assigned.map_err(|error| self.explain(&error, origin))
    }
}

/// Runs where it may block.
fn ask_files(secrets: &Mutex<Secrets>, test: &AuthTest) -> Vec<ByMethod> {
    let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let fixed = secrets.fixed_addresses(&SystemNames);
    let methods = [(AuthMethod::ChapMd5, Protocol::Chap), (AuthMethod::Pap, Protocol::Pap)];
    let ask = |(method, protocol)| {
        let (user, password) = (test.user.as_bytes(), test.password.as_ref());
        let password = password.map(|password| password.0.as_slice());
        let explained = secrets.explain(protocol, user, password, MAX_AUTH_LINES);
        // Of the addresses that depend on the session's unit, those of the first one.
        let addresses = explained.addresses.as_ref().map(|list| list.resolve(user, 0, &SystemNames).0);
        ByMethod { method, explained, addresses, fixed: fixed.clone() }
    };
    methods.map(ask).into()
}

fn verdict(method: AuthMethod, is_asked_for: bool, explained: Explanation) -> AuthVerdict {
    let Explanation { place, addresses, verdict, near } = explained;
    let is_right = match &verdict {
        Ok(tried) => tried.map(|()| true),
        Err(Refusal::WrongPassword { .. }) => Some(false),
        Err(_) => None,
    };
    let line = |(place, why): (crate::origin::Place, String)| AuthLine {
        place: cut(place.to_string()),
        why: cut(why),
    };
    AuthVerdict {
        method,
        is_asked_for,
        decided_by: place.map(|place| cut(place.to_string())),
        is_right,
        refusal: verdict.err().map(|refusal| cut(refusal.to_string())),
        addresses: addresses.map(|addresses| cut(addresses.to_string())),
        others: near.lines.into_iter().map(line).collect(),
        more: u32::try_from(near.more).unwrap_or(u32::MAX),
        would_get: None,
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
