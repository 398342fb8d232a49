//! An answer, put together from its pieces.

use ppp_ipc::control::{
    CaptureEnd, CaptureRequest, Event, Failure, Request, Response, Selector, ServerStats, ServiceState,
    SessionDetail, TraceRequest, TraceTarget, TracedFrame,
};
use ppp_ipc::policy::PolicySummary;
use ppp_ipc::reload::{Change, Summary};
use ppp_wire::MacAddr;
use ppp_wire::escape::harmless;

/// More changes than `pppoed` tells one by one.
const MAX_CHANGES: usize = 4096;

use crate::info::Info;

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

/// The server refused, or its answer makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing matches.
    #[error("no session {0}: `pppctl show sessions` lists them", subject(request))]
    NoSuchSession { request: Request },
    /// The server does not do this for us.
    #[error("pppoed does not allow this to your user: try as root")]
    NotAllowed,
    /// The server cannot do this now.
    #[error("pppoed cannot do this now ({}): try again", harmless(.0))]
    Busy(String),
    /// Files are wrong; nothing was changed.
    #[error("nothing was changed:{}", mistakes(.0))]
    BadFiles(Vec<String>),
    /// An endless list of changes.
    #[error("pppoed listed more than {MAX_CHANGES} changes")]
    TooManyChanges,
    /// A piece that does not belong to this answer, or none where one must be.
    #[error("pppoed answered {got} to a request for {wanted}")]
    Unexpected { wanted: &'static str, got: &'static str },
    /// An endless list.
    #[error("pppoed listed more than 65534 sessions")]
    TooManySessions,
    /// An endless list of something else.
    #[error("the answer of pppoed does not end")]
    TooLong,
    /// The server does not do this at all.
    #[error("{}", harmless(.0))]
    Refused(String),
}

impl Error {
    /// What a failure of this request means.
    pub(crate) fn new(failure: Failure, request: &Request) -> Self {
        match failure {
            Failure::NoSuchSession => Self::NoSuchSession { request: request.clone() },
            Failure::NotAllowed => Self::NotAllowed,
            Failure::Busy(why) => Self::Busy(why),
            Failure::Refused(why) => Self::Refused(why),
            Failure::BadFiles(mistakes) => Self::BadFiles(mistakes),
        }
    }

    /// A piece that is none of the answer to this request.
    pub(crate) fn unexpected(request: &Request, response: &Response) -> Self {
        Self::Unexpected { wanted: wanted(request), got: got(response) }
    }
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

/// Mistakes, one to a line.
fn mistakes(mistakes: &[String]) -> String {
    mistakes.iter().map(|mistake| format!("\n  {}", harmless(mistake))).collect()
}

fn wanted(request: &Request) -> &'static str {
    match request {
        Request::ShowSessions | Request::FindSessions(_) => "sessions",
        Request::ShowSession { .. } | Request::SetRate { .. } => "one session",
        Request::ShowStats => "counters",
        Request::Terminate(_) => "the number of ended sessions",
        Request::Drain { .. } | Request::Shutdown(_) => "the state of the service",
        Request::Monitor(_) => "events",
        Request::ShowPool => "the pool",
        Request::ShowInterfaces => "interfaces",
        Request::ShowLog(_) => "the log",
        Request::ShowVersion => "the version",
        Request::Count(_) => "a number of sessions",
        Request::AuthTest(_) => "a verdict",
        Request::Capture(_) | Request::Trace(_) => "frames",
        Request::SetLogLevel { .. } | Request::SetDebug { .. } => "the log level",
        Request::Reload { .. } => "what a reload changes",
        Request::ShowConfig => "settings",
        Request::Policy(_) => "a change of the configuration",
        Request::ShowPolicy => "what consoles have set",
        Request::ShowSettable => "what can be set",
        Request::WritePolicy { .. } => "what was written",
        Request::ShowConfigDiff => "differences",
        Request::ShowHooks => "hooks",
        Request::RunHook(_) => "what a hook returned",
    }
}

fn got(response: &Response) -> &'static str {
    match response {
        Response::Sessions(_) => "sessions",
        Response::Session(_) => "one session",
        Response::Stats(_) => "counters",
        Response::Terminated { .. } => "a number of ended sessions",
        Response::Service { .. } => "the state of the service",
        Response::Failed(_) => "a failure",
        Response::Done => "nothing",
        Response::Event(_) | Response::Lost { .. } => "events",
        Response::Pool(_) | Response::Leases(_) => "the pool",
        Response::Interface(_) => "an interface",
        Response::Log(_) => "the log",
        Response::Version(_) => "its version",
        Response::Count { .. } => "a number of sessions",
        Response::AuthVerdict(_) => "a verdict",
        Response::Frames(_) | Response::Traced(_) | Response::CaptureEnd(_) => "frames",
        Response::LogLevels(_) => "the log level",
        Response::Changes(_) | Response::Reloaded(_) => "what a reload changes",
        Response::Config(_) => "settings",
        Response::PolicyChanged(_) => "a change of the configuration",
        Response::Policy(_) => "what consoles have set",
        Response::Settable(_) => "what can be set",
        Response::PolicyWritten(_) => "what was written",
        Response::ConfigDifferences(_) | Response::ConfigDiffEnd(_) => "differences",
        Response::HookFunctions(_) | Response::Hooks(_) => "hooks",
        Response::HookRun(_) => "what a hook returned",
    }
}

/// Which sessions a request was for, to follow the words "no session".
fn subject(request: &Request) -> String {
    match request {
        Request::ShowSession { id }
        | Request::SetDebug { which: Selector::Id(id), .. }
        | Request::Terminate(Selector::Id(id)) => format!("has the id {id}"),
        Request::Terminate(Selector::User(name)) | Request::SetDebug { which: Selector::User(name), .. } => {
            format!("of the user {name:?}")
        }
        Request::Terminate(Selector::Mac(mac)) => {
            format!("of the address {}", MacAddr(*mac))
        }
        Request::Terminate(Selector::Ip(ip)) => format!("has the address {ip}"),
        Request::Terminate(Selector::Interface(name)) => format!("is on the interface {name:?}"),
        Request::SetLogLevel { session: Some(id), .. }
        | Request::SetRate { id, .. }
        | Request::Capture(CaptureRequest { session: id, .. }) => format!("has the id {id}"),
        Request::Trace(TraceRequest { target: TraceTarget::Session(id), .. }) => format!("has the id {id}"),
        Request::Trace(TraceRequest { target: TraceTarget::User(name), .. }) => {
            format!("of the user {name:?} (trace new, mac or interface also see who gets none)")
        }
        Request::FindSessions(word) => format!("is called {word}"),
        Request::RunHook(trial) => format!("has the id {}", trial.session.unwrap_or_default()),
        Request::Terminate(Selector::Pattern(pattern)) => format!("is like {pattern:?}"),
        _ => "is there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
