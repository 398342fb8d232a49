//! Questions to the owner, at most one of each kind at a time.
//!
//! The owner may be slow, and the peer may start again meanwhile. Then the answer to a question that was
//! overtaken must not be taken for the answer to the next one. So the next one waits until the first is answered;
//! and a peer that starts again and again cannot make more than one question per answer.

use std::collections::VecDeque;

use super::event::Event;
use crate::auth::Proof;

#[derive(Debug, Default)]
pub(super) struct Questions {
    challenge_asked: bool,
    verdict: Asked,
}

#[derive(Debug, Default)]
enum Asked {
    #[default]
    Nothing,
    /// About the proof that the authenticator is waiting for.
    Current,
    /// About a proof that does not matter any more. The next one waits here.
    Overtaken(Option<Proof>),
}

/// What the arrival of a verdict means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody asked.
    Unasked,
    /// It is about a proof that was overtaken.
    Stale,
    /// It decides on the current proof.
    Current,
}

impl Questions {
    /// Asks for a challenge; one that was asked for before and never used does as well.
    pub(super) fn ask_challenge(&mut self, events: &mut VecDeque<Event>) {
        if !std::mem::replace(&mut self.challenge_asked, true) {
            events.push_back(Event::ChallengeNeeded);
        }
    }

    /// A challenge has come; false if it was not asked for.
    pub(super) fn challenge_came(&mut self) -> bool {
        std::mem::take(&mut self.challenge_asked)
    }

    pub(super) fn ask_verdict(&mut self, proof: Proof, events: &mut VecDeque<Event>) {
        match &mut self.verdict {
            Asked::Overtaken(next) => *next = Some(proof),
            Asked::Nothing | Asked::Current => {
                self.verdict = Asked::Current;
                events.push_back(Event::AuthenticateRequest(proof));
            }
        }
    }

    pub(super) fn verdict_came(&mut self, events: &mut VecDeque<Event>) -> Answer {
        match std::mem::take(&mut self.verdict) {
            Asked::Nothing => Answer::Unasked,
            Asked::Current => Answer::Current,
            Asked::Overtaken(next) => {
                if let Some(proof) = next {
                    self.ask_verdict(proof, events);
                }
                Answer::Stale
            }
        }
    }

    /// The peer starts again: what is being verified does not matter any more.
    pub(super) fn overtake(&mut self) {
        if !matches!(self.verdict, Asked::Nothing) {
            self.verdict = Asked::Overtaken(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(identifier: u8) -> Proof {
        Proof::Chap { identifier, response: [0; 16], name: Vec::new() }
    }

    #[test]
    fn the_verdict_on_an_overtaken_proof_decides_nothing() {
        let mut events = VecDeque::new();
        let mut questions = Questions::default();
        questions.ask_verdict(proof(1), &mut events);
        questions.overtake();
        questions.ask_verdict(proof(2), &mut events);
        assert_eq!(Vec::from(events.clone()), [Event::AuthenticateRequest(proof(1))]);

        events.clear();
        assert_eq!(questions.verdict_came(&mut events), Answer::Stale);
        assert_eq!(Vec::from(events.clone()), [Event::AuthenticateRequest(proof(2))]);
        assert_eq!(questions.verdict_came(&mut events), Answer::Current);
        assert_eq!(questions.verdict_came(&mut events), Answer::Unasked);
    }

    #[test]
    fn starting_again_and_again_asks_once() {
        let mut events = VecDeque::new();
        let mut questions = Questions::default();
        for identifier in 0..100 {
            questions.ask_challenge(&mut events);
            questions.ask_verdict(proof(identifier), &mut events);
            questions.overtake();
        }
        assert_eq!(events.len(), 2);
        assert!(questions.challenge_came());
        assert!(!questions.challenge_came());
    }
}
