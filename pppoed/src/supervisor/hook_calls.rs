//! What is told of the calls of hooks: to consoles that watch, and to who looks at a session.

use ppp_ipc::control::{EventName, SessionHook};
use ppp_ipc::hooks::Answer;
use ppp_wire::escape::harmless;

use super::Supervisor;
use super::hook_news::{CallOutcome, Failed, Label};

/// Characters of a failure at most; the log has it in full.
const FAILURE_LEN: usize = 200;

impl Supervisor {
    /// Remembers a call for its session, and publishes it.
    pub(super) fn tell_of_call(&mut self, label: &Label, call: &CallOutcome) {
        let told = SessionHook {
            file: call.file.clone(),
            function: label.function.clone(),
            took_us: u64::try_from(call.took.as_micros()).unwrap_or(u64::MAX),
            outcome: outcome(call),
        };
        let event_session = label.session.and_then(|id| self.table.by_id(id)).map(|it| it.event_session());
        self.events.publish(EventName::Hook, |event| {
            event.session = event_session;
            event.reason = Some(told.outcome.clone());
            let SessionHook { file, function, took_us, .. } = &told;
            event.detail =
                Some(format!("{file} {function} took {}.{:03} ms", took_us / 1000, took_us % 1000));
        });
        if let Some(session) = label.session.and_then(|id| self.table.by_id_mut(id)) {
            session.note_hook(told);
        }
    }
}

/// In a word, or with the first line of what went wrong.
fn outcome(call: &CallOutcome) -> String {
    match &call.result {
        Ok(Answer::None | Answer::Delay(_) | Answer::Auth(_)) if call.logged.has_failure => {
            "failed: see the log".to_owned()
        }
        Ok(Answer::Deny(_)) => "deny".to_owned(),
        Ok(Answer::Silence) => "silence".to_owned(),
        Ok(Answer::None | Answer::Delay(_) | Answer::Auth(_)) => "ok".to_owned(),
        Err(Failed::TimedOut { deadline, .. }) => format!("failed: killed after {deadline:?}"),
        Err(failed) => {
            let words = failed.to_string();
            let first = words.lines().next().unwrap_or_default();
            let shown: String = first.chars().take(FAILURE_LEN).collect();
            format!("failed: {}", harmless(&shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::hook_news::Logged;
    use super::*;

    #[test]
    fn outcomes_are_a_word_or_a_line() {
        let call = |result, has_failure| CallOutcome {
            file: String::new(),
            took: Duration::ZERO,
            result,
            shown: None,
            logged: Logged { lines: Vec::new(), has_failure, repaired: 0 },
        };
        assert_eq!(super::outcome(&call(Ok(Answer::None), true)), "failed: see the log");
        assert_eq!(super::outcome(&call(Ok(Answer::Deny(None)), true)), "deny");
        let outcome = |result| super::outcome(&call(result, false));
        assert_eq!(outcome(Ok(Answer::None)), "ok");
        assert_eq!(outcome(Ok(Answer::Deny(None))), "deny");
        let late = Failed::TimedOut { deadline: Duration::from_secs(5), place: "x.lua:3".to_owned() };
        assert_eq!(outcome(Err(late)), "failed: killed after 5s");
        let error = Failed::Error(format!("a.lua:1: \x1b{}\nstack traceback:", "x".repeat(500)));
        let shown = outcome(Err(error));
        assert!(shown.starts_with("failed: a.lua:1: \\u{1b}xx") && shown.len() < 230, "{shown}");
    }
}
