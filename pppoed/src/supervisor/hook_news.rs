//! What goes back and forth between the supervisor and the tasks of its hook hosts.

use std::rc::Rc;
use std::time::Duration;

use ppp_ipc::hooks::{Answer, Argument, Function, Question, Reply};
use ppp_ipc::name::Name;
use tokio::sync::oneshot;

use super::hook_pool::HostId;
use super::hook_scripts::{Loaded, Reread, ScriptSet};
use super::session::Session;

/// What a task tells the supervisor.
#[derive(Debug)]
pub(super) enum HookNews {
    /// A host has these scripts loaded and nothing to do.
    Ready { host: HostId, generation: u64 },
    /// A host has done its job; [`HookNews::Ready`] follows.
    Done { host: HostId, outcome: Outcome },
    /// A script wants something.
    Asked { question: Question, file: String, answer: oneshot::Sender<Answered> },
    /// The scripts were read again, or not.
    Reloaded {
        result: Result<Option<Loaded>, Vec<String>>,
        answer: Option<oneshot::Sender<Result<Reread, Vec<String>>>>,
    },
    /// The store was written, or not.
    StoreWritten(std::io::Result<()>),
}

/// Answer to a question, and how long the event loop took for it.
pub(super) type Answered = (Reply, Duration);

/// What the supervisor tells a host's task.
#[derive(Debug)]
pub(super) enum HostOrder {
    /// Make these calls.
    Run(HostJob),
    /// Go on with these scripts.
    Replace(Rc<ScriptSet>),
    /// End the host; the answer is dropped when it is gone.
    Stop(#[expect(dead_code, reason = "it is only held")] oneshot::Sender<()>),
}

/// Calls of the functions of one event, one after the other.
#[derive(Debug)]
pub(super) struct HostJob {
    /// The files that have the function, and what each may take.
    pub(super) calls: Vec<PlannedCall>,
    pub(super) function: Function,
    pub(super) arguments: Vec<Argument>,
    pub(super) label: Label,
    /// What the functions return is to be shown.
    pub(super) show: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedCall {
    pub(super) file: u16,
    pub(super) deadline: Duration,
}

/// What the lines of log about a call have.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    pub(super) function: String,
    pub(super) session: Option<u16>,
    pub(super) ifname: Option<String>,
    pub(super) username: Option<String>,
    pub(super) peer_mac: Option<String>,
}

impl Label {
    pub(super) fn new(function: &str) -> Self {
        Self { function: function.to_owned(), ..Self::default() }
    }

    pub(super) fn loading() -> Self {
        Self::new("main chunk")
    }

    pub(super) fn of(function: &str, session: &Session) -> Self {
        let claimed = session.hooks.claimed_name.as_deref().map(Name::new);
        Self {
            function: function.to_owned(),
            session: Some(session.id),
            ifname: Some(session.ifname.clone()),
            username: session.username().or(claimed).map(|name| name.to_string()),
            peer_mac: Some(session.peer_mac.to_string()),
        }
    }
}

/// What came of a job: of each call that was made.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) calls: Vec<CallOutcome>,
}

#[derive(Debug)]
pub(super) struct CallOutcome {
    /// Name of the file.
    pub(super) file: String,
    pub(super) took: Duration,
    pub(super) result: Result<Answer, Failed>,
    /// What it returned, if that was to be shown.
    pub(super) shown: Option<String>,
    pub(super) logged: Logged,
}

/// What a call wrote into the log.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// The lines, if they were to be shown.
    pub(super) lines: Vec<String>,
    /// A line said that the call failed (`log.failure`), whatever it returned.
    pub(super) has_failure: bool,
    /// Lines that said that something was put right (`log.repaired`).
    pub(super) repaired: u64,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    /// With file, line and traceback.
    #[error("{0}")]
    Error(String),
    #[error("{0}")]
    Nonsense(String),
    #[error("timeout after {deadline:?}, killed; last seen at {place}")]
    TimedOut { deadline: Duration, place: String },
    #[error("its host exited: {0}")]
    HostEnded(String),
    #[error("cannot start a hook host: {0}")]
    NoHost(String),
}

impl CallOutcome {
    /// Whether the functions of the files behind this one are of no interest any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.result, Ok(Answer::Deny(_) | Answer::Silence))
    }
}
