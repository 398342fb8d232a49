//! Consoles ask about hooks, and try them.

use std::time::{Duration, Instant};

use ppp_ipc::codec::{Room, pieces};
use ppp_ipc::control::{Failure, HookFunction, HookRun, HookSummary, HookTrial, Response};
use ppp_ipc::hooks::{Argument, Event, Field, Function, Value};
use ppp_wire::escape::{Escaped, harmless};
use tokio::sync::oneshot;

use super::Supervisor;
use super::hook_fields;
use super::hook_news::{Label, Outcome};
use super::hook_pool::Lane;
use super::hooks::{Job, Purpose};
use super::trial_fields;
use crate::control::{Answer, Caller};

/// Most lines of an error or a log in an answer, so that it fits into a frame; each is cut as well.
const MAX_LINES: usize = 50;
/// Bytes of such a line.
const MAX_LINE: usize = 512;

impl Supervisor {
    pub(super) fn show_hooks(&self) -> Answer {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let hooks = &self.hooks;
        let functions = hooks.stats.iter().map(|(file, function, counters)| HookFunction {
            file: Escaped(file.as_bytes()).to_string(),
            function: function.to_owned(),
            calls: counters.calls,
            failures: counters.failures,
            timeouts: counters.timeouts,
            median_us: microseconds(counters.median()),
            longest_us: microseconds(counters.longest),
        });
        let mut room = Room::new();
        let files = hooks.scripts.iter().flat_map(|scripts| &scripts.files);
        let summary = HookSummary {
            files: files
                .map(|file| Escaped(file.name.as_bytes()).to_string())
                .take_while(|name| room.take(name))
                .collect(),
            hosts: number(hooks.host_count()),
            running: number(hooks.pool.running()),
            waiting: number(hooks.pool.waiting()),
        };
        let mut responses: Vec<Response> =
            pieces(functions).into_iter().map(Response::HookFunctions).collect();
        responses.push(Response::Hooks(Box::new(summary)));
        Answer::Whole(responses)
    }

    /// Calls a hook for somebody who wants to see what it does. What it returns has no effect.
    pub(super) fn try_hook(
        &mut self,
        trial: HookTrial,
        caller: Caller,
        answer: oneshot::Sender<Answer>,
        now: Instant,
    ) {
        match self.trial_job(&trial, caller, now) {
            Ok((function, arguments, label)) => {
                let lane = Lane::Trial(self.hooks.next_trial);
                self.hooks.next_trial += 1;
                let purpose = Purpose::Trial(answer);
                self.submit_hook(lane, Job { function, arguments, label, purpose, only: trial.file });
            }
            Err(failure) => {
                // Fails only when the client has hung up.
                let _ = answer.send(Response::Failed(failure).into());
            }
        }
    }

    fn trial_job(
        &self,
        trial: &HookTrial,
        caller: Caller,
        now: Instant,
    ) -> Result<(Function, Vec<Argument>, Label), Failure> {
        let name = Escaped(trial.function.as_bytes()).to_string();
        let event = Event::from_name(&trial.function).ok_or_else(|| {
            let names: Vec<&str> = Event::ALL.iter().map(|event| event.as_str()).collect();
            Failure::Refused(format!("there is no hook {name:?}; there are: {}", names.join(", ")))
        })?;
        if !self.hooks.has(event) {
            return Err(Failure::Refused(format!("no hook script has a function {name}")));
        }
        let mut fields = match (event, trial.session) {
            (Event::ServerStart | Event::ServerStop | Event::Reload, _) => self.server_fields(),
            (_, Some(id)) => {
                let session = self.table.by_id(id).ok_or(Failure::NoSuchSession)?;
                hook_fields::of_session(session, now)
            }
            (_, None) => made_up(&self.ac_name),
        };
        for (field, value) in trial_fields::values(&trial.fields, caller.uid).map_err(Failure::Refused)? {
            let names = hook_fields::synonyms(field);
            fields.retain(|(name, _)| !names.contains(&name.as_str()));
            fields.extend(names.iter().map(|name| ((*name).to_owned(), value.clone())));
        }
        let mut arguments = vec![Argument::Table(fields)];
        match event {
            Event::Auth => arguments.push(Argument::Table(vec![
                ("method".to_owned(), "pap".into()),
                ("password".to_owned(), "".into()),
            ])),
            Event::SessionChange => arguments.push(Argument::Names(vec!["ipv4_open".to_owned()])),
            _ => {}
        }
        Ok((Function::Event(event), arguments, Label::new(event.as_str())))
    }
}

/// A session that nobody has, in the networks that are kept for examples (RFC 5737, RFC 7042).
fn made_up(ac_name: &[u8]) -> Vec<Field> {
    let values: [(&str, Value); 14] = [
        ("sid", "0000000000000000".into()),
        ("id", Value::Integer(1)),
        ("ifname", "ppp0".into()),
        ("unit", Value::Integer(0)),
        ("interface", "eth1".into()),
        ("mac", "00:00:5e:00:53:01".into()),
        ("username", "example".into()),
        ("service", "".into()),
        ("iplocal", "192.0.2.1".into()),
        ("ipremote", "192.0.2.2".into()),
        ("mtu", Value::Integer(1492)),
        ("ipv4_open", Value::Boolean(true)),
        ("ipv6_open", Value::Boolean(false)),
        ("reason", "admin".into()),
    ];
    let numbers = ["connect_time", "uptime", "bytes_rcvd", "bytes_sent", "packets_rcvd", "packets_sent"];
    let numbers = numbers.map(|name| (name, Value::Integer(0)));
    let rest = [
        ("acname", Value::Bytes(ac_name.to_vec())),
        ("state", "open".into()),
        ("env", Value::Table(Vec::new())),
        ("adopted", Value::Boolean(false)),
    ];
    let all = values.into_iter().chain(numbers).chain(rest);
    let named = all.flat_map(|(name, value)| {
        let names = hook_fields::synonyms(name);
        names.into_iter().map(move |name| (name.to_owned(), value.clone()))
    });
    named.collect()
}

/// Tells a console what came of a hook.
pub(super) fn answer_trial(answer: oneshot::Sender<Answer>, outcome: &Outcome) {
    let runs = outcome.calls.iter().map(|call| {
        let error = call.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        Response::HookRun(Box::new(HookRun {
            file: Escaped(call.file.as_bytes()).to_string(),
            took_us: microseconds(call.took),
            returned: call.shown.as_deref().map(|shown| line(shown, MAX_LINE * MAX_LINES / 4)),
            error: lines(error.lines()),
            logged: lines(call.logged.lines.iter().map(String::as_str)),
        }))
    });
    // Fails only when the client has hung up.
    let _ = answer.send(Answer::Whole(runs.collect()));
}

fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.take(MAX_LINES).map(|text| line(text, MAX_LINE)).collect()
}

/// In one line, with nothing that acts on its reader, and not longer than so many bytes.
fn line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for character in text.chars() {
        let mut bytes = [0; 4];
        let piece = harmless(if character == '\t' { " " } else { character.encode_utf8(&mut bytes) });
        if line.len() + piece.len() > most {
            break;
        }
        line.push_str(&piece);
    }
    line
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ppp_ipc::codec;

    use super::*;
    use crate::supervisor::hook_news::{CallOutcome, Failed, Logged};

    #[test]
    fn whatever_a_script_says_fits_into_an_answer_and_acts_on_nobody() {
        for piece in ["x", "\u{1b}", "\u{202e}", "\u{e0041}", "日"] {
            let long = vec![piece.repeat(2 * MAX_LINE); 2 * MAX_LINES];
            let call = CallOutcome {
                file: "a.lua".to_owned(),
                took: Duration::ZERO,
                result: Err(Failed::Error(long.join("\n"))),
                shown: Some(long.concat()),
                logged: Logged { lines: long, has_failure: false, repaired: 0 },
            };
            let (answer, mut answered) = oneshot::channel();
            answer_trial(answer, &Outcome { calls: vec![call] });
            let Ok(Answer::Whole(responses)) = answered.try_recv() else { panic!("no answer") };
            let [response @ Response::HookRun(run)] = responses.as_slice() else { panic!("{responses:?}") };
            codec::encode(response).unwrap();
            assert_eq!((run.error.len(), run.logged.len()), (MAX_LINES, MAX_LINES));
            let mut texts = run.error.iter().chain(&run.logged).chain(&run.returned);
            assert!(texts.all(|text| text.len() > MAX_LINE - 10 && harmless(text) == *text), "{run:?}");
        }
        assert_eq!(line("\tin\tfunction\u{202e}\n", MAX_LINE), " in function\\u{202e}\\n");
    }
}
