//! Answers to the console.

use std::time::Instant;

use ppp_ipc::codec::{Room, pieces};
use ppp_ipc::control::{EventName, Failure, Phase, Request, Response, Selector, ServerStats, SessionSummary};
use ppp_ipc::name::Name;
use ppp_ipc::reason::EndReason;
use ppp_wire::escape::harmless;
use tracing::info;

use super::Supervisor;
use crate::control::{Answer, Call, Caller};
use crate::message::CONSOLE_COMMAND;
use crate::turns;

/// Bytes of a pattern for sessions.
const MAX_PATTERN: usize = 256;
/// Sessions in one page of an answer: as many as the event loop may spend a millisecond on.
const SESSIONS_PER_PAGE: usize = 256;

impl Supervisor {
    /// Answers one request, or one page of a long answer.
    pub(super) fn handle_call(&mut self, call: Call, now: Instant) {
        let Call { caller, request, after, answer } = call;
        if !request.is_read_only() {
            let command = harmless(&request.to_string()).into_owned();
            info!(
                name: CONSOLE_COMMAND.name,
                uid = caller.uid, pid = caller.pid, command, "{}", CONSOLE_COMMAND.words
            );
            self.events.by_console(EventName::Command, caller, &command);
        }
        let setting = is_setting(&request).then(|| harmless(&request.to_string()).into_owned());
        let reply: Answer = match request {
            Request::ShowPool if after.is_none() => return self.show_pool(answer),
            Request::ShowPool => self.page_of_leases(after.unwrap_or(0), Vec::new()),
            Request::ShowInterfaces => self.show_interfaces(),
            Request::ShowLog(query) => self.show_log(&query, after),
            Request::ShowVersion => self.show_version(now).into(),
            Request::ShowConfig => return self.show_config(answer),
            Request::ShowConfigDiff => return self.show_config_diff(caller.rights, answer),
            Request::Policy(request) => return self.change_policy(*request, caller, answer, now),
            Request::ShowPolicy => return self.show_policy(answer),
            Request::ShowSettable => return self.show_settable(answer),
            Request::WritePolicy { check } => return self.write_policy(check, caller, answer),
            Request::ShowHooks => self.show_hooks(),
            Request::RunHook(trial) => return self.try_hook(*trial, caller, answer, now),
            Request::SetLogLevel { level, session } => match session {
                Some(id) if self.table.by_id(id).is_none() => no_such_session(),
                _ => self.set_log_level(level, session).unwrap_or_else(refused).into(),
            },
            Request::Capture(request) => self.capture(&request),
            Request::SetDebug { which, on } => match check(&which) {
                Ok(()) => self.set_debug(&which, on).into(),
                Err(why) => refused(why).into(),
            },
            Request::Trace(request) => self.trace(&request),
            Request::AuthTest(test) => return self.test_auth(test, answer),
            Request::SetRate { id, down, up } => return self.set_rate(id, down, up, answer, now),
            Request::Count(selector) => match check(&selector) {
                Ok(()) => Response::Count { count: number(self.table.select(&selector).len()) }.into(),
                Err(why) => refused(why).into(),
            },
            Request::ShowSessions => self.page_of_sessions(&Selector::All, after, now),
            Request::FindSessions(word) => self.find_sessions(&word, after, now),
            Request::ShowSession { id } => return self.show_session(id, answer, now),
            Request::ShowStats => Answer::Whole(stats_in_pieces(self.server_stats(now))),
            Request::Drain { on } => self.set_drain(on, caller).into(),
            Request::Shutdown(how) => self.shut_down(how, caller).into(),
            Request::Terminate(selector) => self.terminate_selected(&selector, caller, now).into(),
            Request::Monitor(filter) => match filter.sessions.as_ref().map_or(Ok(()), check) {
                Ok(()) => Answer::Stream(self.events.subscribe(filter)),
                Err(why) => refused(why).into(),
            },
            // Answered later, as files have to be read.
            Request::Reload { check } => return self.begin_reload(check, Some(answer)),
        };
        let has_failed =
            matches!(&reply, Answer::Whole(all) if matches!(all.first(), Some(Response::Failed(_))));
        if let Some(setting) = setting.filter(|_| !has_failed) {
            self.events.by_console(EventName::Config, caller, &setting);
        }
        // Fails only when the client has hung up.
        let _ = answer.send(reply);
        self.console_share.spend(now, Instant::now());
    }

    /// The sessions that are selected, from the one after this id on, as many as take little time.
    fn page_of_sessions(&self, selector: &Selector, after: Option<u64>, now: Instant) -> Answer {
        let after = after.map_or(0, |after| u16::try_from(after).unwrap_or(u16::MAX));
        let selected = self.table.iter_after(after).filter(|session| selector.selects(&session.facts()));
        let page: Vec<SessionSummary> =
            selected.take(SESSIONS_PER_PAGE).map(|session| session.summary(now)).collect();
        let last = page.last().map(|session| session.id);
        let is_full = page.len() == SESSIONS_PER_PAGE;
        let responses = pieces(page).into_iter().map(Response::Sessions).collect();
        match last.filter(|_| is_full) {
            Some(after) => Answer::Page { responses, after: after.into() },
            None => Answer::Whole(responses),
        }
    }

    /// The sessions that a word stands for.
    fn find_sessions(&self, word: &Name, after: Option<u64>, now: Instant) -> Answer {
        let readings = Selector::readings(word);
        let reading = readings.iter().find(|reading| self.table.of_selector(reading).next().is_some());
        match reading {
            Some(reading) => self.page_of_sessions(reading, after, now),
            None if after.is_some() => Answer::Whole(Vec::new()),
            None => no_such_session(),
        }
    }

    fn terminate_selected(&mut self, selector: &Selector, caller: Caller, now: Instant) -> Response {
        if let Err(why) = check(selector) {
            return refused(why);
        }
        let tokens = self.table.select(selector);
        if tokens.is_empty() && !matches!(selector, Selector::All) {
            return Response::Failed(Failure::NoSuchSession);
        }
        let detail = format!("by uid {} with pppctl", caller.uid);
        for token in &tokens {
            self.terminate(*token, EndReason::Admin, &detail, now);
        }
        Response::Terminated { count: number(tokens.len()) }
    }

    fn server_stats(&mut self, now: Instant) -> ServerStats {
        ServerStats {
            uptime_s: self.stats.uptime_s(now),
            state: self.service,
            sessions: number(self.table.len()),
            open: number(self.table.iter().filter(|session| session.machine.phase() == Phase::Open).count()),
            max_sessions: number(self.slots.count()),
            started: self.stats.total_started(),
            ended: self.stats.ends(),
            interfaces: self.accesses.iter().map(|access| self.interface_stats(access)).collect(),
            problems: self.problems.lines(),
            repaired: self.repaired.counts(),
            turns: turns::stats(),
            waiting: number(self.waiting.len()),
            setup_wait_ms: u64::try_from(self.pace.wait(self.waiting.len(), now).as_millis())
                .unwrap_or(u64::MAX),
        }
    }
}

/// The server's counters, with as many interfaces as fit; further pieces have nothing but more interfaces.
fn stats_in_pieces(mut stats: ServerStats) -> Vec<Response> {
    let interfaces = std::mem::take(&mut stats.interfaces);
    let mut room = Room::new();
    room.take(&stats);
    let first = interfaces.iter().take_while(|interface| room.take(interface)).count();
    let mut interfaces = interfaces.into_iter();
    stats.interfaces = interfaces.by_ref().take(first).collect();
    let more = |interfaces| Response::Stats(Box::new(ServerStats { interfaces, ..ServerStats::default() }));
    let rest = pieces(interfaces).into_iter().map(more);
    std::iter::once(Response::Stats(Box::new(stats))).chain(rest).collect()
}

/// Whether it changes the running configuration, and is answered at once.
fn is_setting(request: &Request) -> bool {
    matches!(request, Request::SetLogLevel { .. } | Request::SetDebug { .. } | Request::SetRate { .. })
}

/// What a pattern costs grows with its length.
fn check(selector: &Selector) -> Result<(), String> {
    match selector {
        Selector::Pattern(pattern) if pattern.len() > MAX_PATTERN => {
            Err(format!("a pattern has at most {MAX_PATTERN} bytes"))
        }
        Selector::Pattern(pattern) if pattern.is_empty() => {
            Err("an empty pattern matches nothing; * matches everything".to_owned())
        }
        _ => Ok(()),
    }
}

fn refused(why: String) -> Response {
    Response::Failed(Failure::Refused(why))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn no_such_session() -> Answer {
    Response::Failed(Failure::NoSuchSession).into()
}

#[cfg(test)]
mod tests {
    use ppp_ipc::codec;
    use ppp_ipc::control::{InterfaceStats, NamedCount};

    use super::*;

    #[test]
    fn counters_of_any_number_of_interfaces_fit_into_frames() {
        let counts = |count: usize| -> Vec<NamedCount> {
            (0..count)
                .map(|number| NamedCount { name: format!("counter_{number}"), count: u64::MAX })
                .collect()
        };
        for count in [0, 1, 31, 1000, 4096] {
            let interfaces: Vec<InterfaceStats> = (0..count)
                .map(|number| InterfaceStats {
                    interface: format!("enp175s0f3.{number}"),
                    mac: Some("02:00:5e:10:00:01".to_owned()),
                    packets: counts(8),
                    dropped: counts(24),
                    ..InterfaceStats::default()
                })
                .collect();
            let stats =
                ServerStats { ended: counts(40), interfaces: interfaces.clone(), ..Default::default() };
            let mut all = Vec::new();
            for (number, response) in stats_in_pieces(stats).into_iter().enumerate() {
                codec::encode(&response).unwrap();
                let Response::Stats(stats) = response else { panic!("{response:?}") };
                assert_eq!(
                    (stats.ended.len(), stats.interfaces.is_empty()),
                    match (number, count) {
                        (0, 0) => (40, true),
                        (0, _) => (40, false),
                        _ => (0, false),
                    }
                );
                all.extend(stats.interfaces);
            }
            assert!(all == interfaces, "{count} interfaces");
        }
    }
}
