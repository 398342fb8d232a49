//! `auth`: who may come in, and with what.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ppp_ipc::hooks::{Answer, Argument, AuthAnswer, Event, Field, Secret, Value};
use pppoed_config::options::{SessionOptions, UserWord, parse_user_options};
use pppoed_config::origin::Place;

use super::Supervisor;
use super::auth::{Attempt, AttemptProof};
use super::hook_fields;
use super::hook_news::{Label, Outcome};
use super::hook_pool::Lane;
use super::hooks::Purpose;
use super::session::Token;

/// A proof that waits for what the hooks say.
#[derive(Debug)]
pub(super) struct PendingAuth {
    token: Token,
    /// Which proof of the session it is.
    number: u32,
    attempt: Attempt,
}

/// Who decides on a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Decider {
    /// The secrets files.
    #[default]
    Files,
    /// Nobody: a hook lets the peer in.
    Nobody { file: String },
    /// A secret that a hook gave.
    Secret { file: String, secret: Secret },
}

/// The addresses that a hook gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressRange {
    pub(super) first: Ipv4Addr,
    pub(super) last: Ipv4Addr,
}

/// What the hooks say about a proof, but for a refusal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ruling {
    pub(super) decider: Decider,
    pub(super) addresses: Option<AddressRange>,
    /// They go over those of the user's line.
    pub(super) options: SessionOptions,
}

/// Why a hook does not let the peer in, for the log, and what the peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) why: String,
    pub(super) message: Option<Vec<u8>>,
}

impl Supervisor {
    /// Asks the hooks about a proof, if there are any for this, and then the secrets.
    pub(super) fn authenticate(&mut self, token: Token, attempt: Attempt, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.proofs += 1;
        let number = session.proofs;
        if !self.hooks.has(Event::Auth) {
            return self.verify(token, number, attempt, Ruling::default());
        }
        session.hooks.claimed_name = Some(attempt.name.clone());
        let fields = hook_fields::of_session(session, now);
        let label = Label::of(Event::Auth.as_str(), session);
        let arguments = vec![Argument::Table(fields), Argument::Table(proof_fields(&attempt.proof))];
        let pending = Box::new(PendingAuth { token, number, attempt });
        self.call_hook(Lane::Session(token), Event::Auth, arguments, label, Purpose::Auth(pending));
    }

    pub(super) fn auth_hook_answered(&mut self, pending: PendingAuth, outcome: &Outcome) {
        let PendingAuth { token, number, attempt } = pending;
        match ruling(outcome, self.hooks.deny_on_failure()) {
            Ok(ruling) => self.verify(token, number, attempt, ruling),
            Err(denial) => self.deny_by_hook(token, number, attempt.name, denial),
        }
    }
}

fn proof_fields(proof: &AttemptProof) -> Vec<Field> {
    let field = |name: &str, value: Value| (name.to_owned(), value);
    match proof {
        AttemptProof::Pap { password } => {
            vec![field("method", "pap".into()), field("password", Value::Secret(Secret(password.to_vec())))]
        }
        AttemptProof::Chap { response, challenge } => vec![
            field("method", "chap-md5".into()),
            field("identifier", Value::Integer(challenge.identifier.into())),
            field("challenge", challenge.value.as_slice().into()),
            field("response", Value::Secret(Secret(response.to_vec()))),
        ],
    }
}

/// Puts the answers of all files together: one refusal is enough, and of the rest the first word counts.
fn ruling(outcome: &Outcome, deny_on_failure: bool) -> Result<Ruling, Denial> {
    let mut ruling = Ruling::default();
    for call in &outcome.calls {
        let answer = match &call.result {
            Ok(Answer::Auth(answer)) => answer,
            Ok(Answer::Deny(message)) => {
                let why = match message {
                    Some(message) => format!("hook {}: {}", call.file, ppp_wire::escape::Escaped(message)),
                    None => format!("hook {} refused", call.file),
                };
                return Err(Denial { why, message: message.clone() });
            }
            Ok(_) => continue,
            Err(failed) if deny_on_failure => {
                let why = format!("hook {} failed (--hook-failure deny): {failed}", call.file);
                return Err(Denial { why: first_line(&why), message: None });
            }
            Err(_) => continue,
        };
        match add(&mut ruling, &call.file, answer) {
            Ok(()) => {}
            Err(why) if deny_on_failure => return Err(Denial { why, message: None }),
            Err(why) => tracing::warn!(file = call.file, reason = why, "ignoring settings of a hook"),
        }
    }
    Ok(ruling)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn add(ruling: &mut Ruling, file: &str, answer: &AuthAnswer) -> Result<(), String> {
    let place = Place::new(Arc::from(Path::new(file)), 0);
    let words = answer.options.iter().flatten();
    let words: Vec<UserWord<'_>> = words.map(|word| UserWord { bytes: word, place: place.clone() }).collect();
    let (options, errors, notices) = parse_user_options(&words);
    if let Some(error) = errors.first() {
        return Err(format!("hook {file}: {error}"));
    }
    for notice in notices {
        tracing::warn!("hook {file}: {notice}");
    }
    // What earlier files said stays.
    ruling.options = std::mem::take(&mut ruling.options).over(&options);
    if ruling.decider == Decider::Files {
        let file = file.to_owned();
        match &answer.secret {
            _ if answer.accept => ruling.decider = Decider::Nobody { file },
            Some(secret) => ruling.decider = Decider::Secret { file, secret: secret.clone() },
            None => {}
        }
    }
    let range = |(first, last)| AddressRange { first, last };
    let wanted = answer.address.map(|address| (address, address)).or(answer.pool).map(range);
    ruling.addresses = ruling.addresses.or(wanted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::hook_news::{CallOutcome, Failed, Logged};
    use super::*;

    fn outcome(results: Vec<Result<Answer, Failed>>) -> Outcome {
        let calls = (1..).zip(results).map(|(number, result)| CallOutcome {
            file: format!("{number}.lua"),
            took: Duration::ZERO,
            result,
            shown: None,
            logged: Logged::default(),
        });
        Outcome { calls: calls.collect() }
    }

    fn answer(answer: AuthAnswer) -> Result<Answer, Failed> {
        Ok(Answer::Auth(Box::new(answer)))
    }

    fn option(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn without_an_opinion_the_files_decide() {
        assert_eq!(ruling(&outcome(vec![]), true), Ok(Ruling::default()));
        assert_eq!(ruling(&outcome(vec![Ok(Answer::None), Ok(Answer::None)]), true), Ok(Ruling::default()));
    }

    #[test]
    fn the_first_word_counts_and_one_refusal_is_enough() {
        let secret = Secret(b"x".to_vec());
        let first = AuthAnswer {
            address: Some([192, 0, 2, 1].into()),
            options: vec![option(&["idle", "60"])],
            ..AuthAnswer::default()
        };
        let second = AuthAnswer {
            secret: Some(secret.clone()),
            pool: Some(([192, 0, 2, 7].into(), [192, 0, 2, 9].into())),
            options: vec![option(&["idle", "90"]), option(&["maxconnect", "5"])],
            ..AuthAnswer::default()
        };
        let third = AuthAnswer { accept: true, ..AuthAnswer::default() };
        let results = vec![answer(first), answer(second), answer(third)];
        let ruled = ruling(&outcome(results.clone()), true).unwrap();
        assert_eq!(ruled.decider, Decider::Secret { file: "2.lua".to_owned(), secret });
        assert_eq!(ruled.addresses.unwrap().last, Ipv4Addr::from([192, 0, 2, 1]));
        assert_eq!(ruled.options.idle.unwrap().value, 60);
        assert_eq!(ruled.options.maxconnect.unwrap().value, 5);

        let mut denied = results;
        denied.push(Ok(Answer::Deny(Some(b"closed\n".to_vec()))));
        let denial = ruling(&outcome(denied), true).unwrap_err();
        assert_eq!(denial.why, r"hook 4.lua: closed\n");
        assert_eq!(denial.message.as_deref(), Some(b"closed\n".as_slice()));
    }

    #[test]
    fn a_failure_is_what_the_administrator_says() {
        let failed = || outcome(vec![Err(Failed::Error("1.lua:7: oops\nstack traceback:".to_owned()))]);
        let denial = ruling(&failed(), true).unwrap_err();
        assert_eq!(denial.why, "hook 1.lua failed (--hook-failure deny): 1.lua:7: oops");
        assert_eq!(ruling(&failed(), false), Ok(Ruling::default()));
        let wrong =
            AuthAnswer { options: vec![option(&["idle", "x"])], accept: true, ..AuthAnswer::default() };
        assert!(ruling(&outcome(vec![answer(wrong.clone())]), true).is_err());
        assert_eq!(ruling(&outcome(vec![answer(wrong)]), false), Ok(Ruling::default()));
    }
}
