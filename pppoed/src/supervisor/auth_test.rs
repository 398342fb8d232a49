//! `pppctl auth test`: which line would decide about a user, and what a login would come to now.

use ppp_ipc::control::{AuthLine, AuthMethod, AuthTest, AuthVerdict, Failure, MAX_AUTH_LINES, Response};
use ppp_ipc::hooks::Event;
use pppoed_config::pool::Wish;
use pppoed_config::secrets::{Addresses, Explanation, FixedAddresses, Protocol, Refusal, Secrets};
use tokio::sync::oneshot;

use super::hashing::Standing;
use super::{Supervisor, Work};
use crate::control::Answer;
use crate::names::HostNames;
use crate::turns;

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
    protocol: Protocol,
    /// What comes of the password, or of having none to try: `None` then, if one could be right.
    verdict: Result<Option<()>, Refusal>,
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
        let (secrets, hashing, work) = (self.secrets.clone(), self.hashing.clone(), self.work.clone());
        let wait = self.reloads.current.config.limits.hash_wait;
        turns::spawn("auth test", async move {
            let AuthTest { user, password } = test;
            let user = user.as_bytes().to_vec();
            let asked = user.clone();
            // Without an answer the client is hung up on, as after any failure of this kind.
            let Some(mut by_method) =
                secrets.with(move |secrets, names| ask_files(secrets, names, &asked)).await
            else {
                return;
            };
            // Hashes take their turn.
            let compare = move || {
                let password = password.as_ref().map(|password| password.0.as_slice());
                for by_method in &mut by_method {
                    by_method.verdict = by_method.explained.verdict(by_method.protocol, password);
                }
                by_method
            };
            let by_method = match hashing.compare(&user, None, Standing::Known, wait, compare).await {
                Ok(by_method) => by_method,
                Err(busy) => {
                    // Fails only when the client has hung up.
                    let _ = answer.send(Response::Failed(Failure::Busy(busy.to_string())).into());
                    return;
                }
            };
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::AuthTried(Box::new(Tried { user, by_method, answer }))).await;
        });
    }

    /// Adds what only the event loop knows: what consoles have set, who is logged in, which addresses are free.
    pub(super) fn handle_auth_tried(&mut self, tried: Tried) {
        let Tried { user, by_method, answer } = tried;
        let asked_for = self.terms.auth_methods();
        let mut verdicts = Vec::new();
        for ByMethod { method, verdict: tried, explained, addresses, fixed, .. } in by_method {
            let origin = explained.place.as_ref().map_or_else(String::new, ToString::to_string);
            // What comes after the proof is not looked at where that is refused.
            let login = tried.is_ok().then(|| self.login(&user, &origin, addresses.as_ref(), fixed));
            let mut verdict = verdict(method, asked_for.contains(&method), tried, explained);
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
            .filter_map(|token| self.table.get(token).map(|session| session.slot.number))
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
fn ask_files(secrets: &mut Secrets, names: &HostNames, user: &[u8]) -> Vec<ByMethod> {
    let fixed = secrets.fixed_addresses(names);
    let methods = [(AuthMethod::ChapMd5, Protocol::Chap), (AuthMethod::Pap, Protocol::Pap)];
    let ask = |(method, protocol)| {
        let explained = secrets.explain(protocol, user, MAX_AUTH_LINES);
        // Of the addresses that depend on the session's unit, those of the first one.
        let addresses = explained.addresses.as_ref().map(|list| list.resolve(user, 0, names).0);
        ByMethod { method, protocol, verdict: Ok(None), explained, addresses, fixed: fixed.clone() }
    };
    methods.map(ask).into()
}

fn verdict(
    method: AuthMethod,
    is_asked_for: bool,
    verdict: Result<Option<()>, Refusal>,
    explained: Explanation,
) -> AuthVerdict {
    let Explanation { place, addresses, near, .. } = explained;
    let is_right = match &verdict {
        Ok(tried) => tried.map(|()| true),
        Err(Refusal::WrongPassword { .. }) => Some(false),
        Err(_) => None,
    };
    let line = |(place, why): (pppoed_config::origin::Place, String)| AuthLine {
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
