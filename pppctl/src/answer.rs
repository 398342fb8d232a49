//! An answer, put together from its pieces.

use ppp_ipc::control::{
    CaptureEnd, Event, Request, Response, ServerStats, ServiceState, SessionDetail, TracedFrame,
};
use ppp_ipc::policy::PolicySummary;
use ppp_ipc::reload::{Change, Summary};

use crate::{
    failure::{Error, MAX_CHANGES},
    info::Info,
};

/// A whole answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To `show session N`.
    Session(Box<SessionDetail>),
    /// To `show stats`.
    Stats(Box<ServerStats>),
    /// To `terminate`: number of sessions that were told to end.
    Terminated(u32),
    /// About the server itself.
    Info(Info),
    /// To `reload`.
    Reload(Reload),
    /// To a change of the configuration that runs.
    Policy(PolicyOutcome),
    /// To `drain` and `shutdown`.
    Service {
        /// What the server does from now on.
        state: ServiceState,
        /// Sessions that it has.
        sessions: u32,
    },
}

/// What a reload changed, or would change.
#[derive(Debug, Default)]
pub(crate) struct Reload {
    /// The first changes.
    pub(crate) changes: Vec<Change>,
    /// Everything else.
    pub(crate) summary: Summary,
}

/// What a change of the configuration that runs changed, or would change.
#[derive(Debug, Default)]
pub(crate) struct PolicyOutcome {
    /// The first changes.
    pub(crate) changes: Vec<Change>,
    /// Everything else.
    pub(crate) summary: PolicySummary,
}

impl PolicyOutcome {
    /// Whether some session feels it.
    pub(crate) fn touches_sessions(&self) -> bool {
        let PolicySummary { keeping, denied, ending, rates, .. } = &self.summary;
        [keeping, denied, ending, rates].into_iter().any(|sessions| sessions.count > 0)
    }
}

/// A piece of an answer without end.
#[derive(Debug)]
pub(crate) enum Piece {
    /// To `monitor`: something happened.
    Event(Box<Event>),
    /// So many pieces came faster than we took them.
    Lost(u64),
    /// To `trace`: a packet was seen, which may be one of before once more.
    Packet { frame: Box<TracedFrame>, is_repeated: bool },
    /// So many packets came faster than we took them.
    LostPackets(u64),
    /// Why there are no more.
    TraceEnd(CaptureEnd),
    /// `pppoed` is gone, or there again (true).
    Connection(bool),
}

/// Takes the pieces of the answer to one request.
pub(crate) struct Collector {
    request: Request,
    answer: Option<Answer>,
    /// Of a reload, until its summary comes.
    changes: Vec<Change>,
}

impl Collector {
    /// Expects the answer to `request`.
    pub(crate) fn new(request: Request) -> Self {
        let answer = Info::empty(&request).map(Answer::Info);
        Self { request, answer, changes: Vec::new() }
    }

    /// Takes a piece of an answer about the server; gives back what is none.
    fn push_info(&mut self, response: Response) -> Result<Option<Response>, Error> {
        let mut info = match self.answer.take() {
            Some(Answer::Info(info)) => Some(info),
            None => None,
            other => {
                self.answer = other;
                return Ok(Some(response));
            }
        };
        let rest = Info::push(&self.request, response, &mut info)?;
        self.answer = info.map(Answer::Info);
        Ok(rest)
    }

    /// Takes the next piece. `Ok(None)` asks for one more.
    pub(crate) fn push(&mut self, response: Response) -> Result<Option<Answer>, Error> {
        let Some(response) = self.push_info(response)? else { return Ok(None) };
        match (&self.request, response, &mut self.answer) {
            (
                Request::ShowSession { .. } | Request::SetRate { .. },
                Response::Session(detail),
                answer @ None,
            ) => {
                *answer = Some(Answer::Session(detail));
            }
            (Request::ShowStats, Response::Stats(stats), answer @ None) => {
                *answer = Some(Answer::Stats(stats));
            }
            (Request::ShowStats, Response::Stats(more), Some(Answer::Stats(stats))) => {
                stats.interfaces.extend(more.interfaces);
            }
            (Request::Terminate(_), Response::Terminated { count }, answer @ None) => {
                *answer = Some(Answer::Terminated(count));
            }
            (
                Request::Drain { .. } | Request::Shutdown(_),
                Response::Service { state, sessions },
                answer @ None,
            ) => *answer = Some(Answer::Service { state, sessions }),
            (Request::Reload { .. } | Request::Policy(_), Response::Changes(more), None) => {
                self.changes.extend(more);
                if self.changes.len() > MAX_CHANGES {
                    return Err(Error::TooManyChanges);
                }
            }
            (Request::Reload { .. }, Response::Reloaded(summary), answer @ None) => {
                let changes = std::mem::take(&mut self.changes);
                *answer = Some(Answer::Reload(Reload { changes, summary: *summary }));
            }
            (Request::Policy(_), Response::PolicyChanged(summary), answer @ None) => {
                let changes = std::mem::take(&mut self.changes);
                *answer = Some(Answer::Policy(PolicyOutcome { changes, summary: *summary }));
            }
            (request, Response::Failed(failure), _) => {
                return Err(Error::new(failure, request));
            }
            (_, Response::Done, answer) if answer.is_some() => return Ok(answer.take()),
            (request, response, _) => {
                return Err(Error::unexpected(request, &response));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::{Failure, Selector};

    use super::*;

    #[test]
    fn an_answer_to_another_question_is_refused() {
        let mut collector = Collector::new(Request::ShowStats);
        let error = collector.push(Response::Terminated { count: 1 }).unwrap_err();
        assert_eq!(error.to_string(), "pppoed answered a number of ended sessions to a request for counters");

        let error = Collector::new(Request::ShowStats).push(Response::Done).unwrap_err();
        assert_eq!(error.to_string(), "pppoed answered nothing to a request for counters");

        let mut collector = Collector::new(Request::Terminate(Selector::All));
        assert!(collector.push(Response::Terminated { count: 1 }).unwrap().is_none());
        assert!(collector.push(Response::Terminated { count: 1 }).is_err());
    }

    #[test]
    fn a_failure_names_what_was_asked_for() {
        let user = Request::Terminate(Selector::User(ppp_ipc::name::Name::new("al\nice")));
        let error = Collector::new(user).push(Response::Failed(Failure::NoSuchSession)).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"no session of the user "al\x0aice": `pppctl show sessions` lists them"#
        );
        let mac = Request::Terminate(Selector::Mac([2, 0, 0, 0, 0, 10]));
        let error = Collector::new(mac).push(Response::Failed(Failure::NoSuchSession)).unwrap_err();
        assert!(error.to_string().starts_with("no session of the address 02:00:00:00:00:0a"), "{error}");
    }
}
