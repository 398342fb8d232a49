//! Why there is no answer.

use ppp_ipc::control::{CaptureRequest, Failure, Request, Response, Selector, TraceRequest, TraceTarget};
use ppp_wire::MacAddr;
use ppp_wire::escape::harmless;

/// More changes than `pppoed` tells one by one.
pub(crate) const MAX_CHANGES: usize = 4096;

/// The server refused, or its answer makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing matches.
    #[error("no session {0}: `pppctl show sessions` lists them", subject(request))]
    NoSuchSession { request: Request },
    /// The server does not do this for us.
    #[error("permission denied by pppoed: run as root")]
    NotAllowed,
    /// The server cannot do this now.
    #[error("pppoed is busy ({}): try again", harmless(.0))]
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
    #[error("endless answer from pppoed")]
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
