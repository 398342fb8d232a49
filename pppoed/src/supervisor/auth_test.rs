//! `pppctl auth test`: which line would decide about a user.

use std::sync::PoisonError;

use ppp_ipc::control::{AuthLine, AuthMethod, AuthTest, AuthVerdict, MAX_AUTH_LINES, Response};
use tokio::sync::oneshot;

use super::Supervisor;
use crate::control::Answer;
use crate::secrets::{Explanation, Protocol};

/// Characters of a text at most, so that all of them fit into one frame: names may be long.
const MAX_TEXT: usize = 400;

impl Supervisor {
    /// Answers beside the event loop: files are read, and hashed passwords take their time.
    pub(super) fn test_auth(&self, test: AuthTest, answer: oneshot::Sender<Answer>) {
        let secrets = self.secrets.clone();
        let asked_for = self.terms.auth_methods();
        tokio::task::spawn_blocking(move || {
            let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
            let methods = [(AuthMethod::ChapMd5, Protocol::Chap), (AuthMethod::Pap, Protocol::Pap)];
            let verdicts = methods.map(|(method, protocol)| {
                let password = test.password.as_ref().map(|password| password.0.as_slice());
                let explained = secrets.explain(protocol, test.user.as_bytes(), password, MAX_AUTH_LINES);
                Response::AuthVerdict(Box::new(verdict(method, asked_for.contains(&method), explained)))
            });
            // Fails only when the client has hung up.
            let _ = answer.send(Answer::Whole(verdicts.into()));
        });
    }
}

fn verdict(method: AuthMethod, is_asked_for: bool, explained: Explanation) -> AuthVerdict {
    let Explanation { place, addresses, verdict, near } = explained;
    let is_right = match &verdict {
        Ok(tried) => tried.map(|()| true),
        Err(crate::secrets::Refusal::WrongPassword { .. }) => Some(false),
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
        addresses: addresses.map(cut),
        others: near.lines.into_iter().map(line).collect(),
        more: u32::try_from(near.more).unwrap_or(u32::MAX),
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
