//! Answers about the server itself: addresses, interfaces, log, version.

use ppp_ipc::control::{
    AccessInterface, AuthVerdict, ConfigDiffEnd, ConfigDifference, ConfigSetting, HookFunction, HookRun,
    HookSummary, LogLevels, LogLine, PoolLease, PoolStats, Request, Response, ServerVersion,
};
use ppp_ipc::name::NamePattern;
use ppp_ipc::policy::{PolicyEntry, PolicyWritten};

use crate::failure::Error;

/// More pieces than this are no list.
const MAX_LEN: usize = 100_000;

/// A whole answer.
#[derive(Debug)]
pub(crate) enum Info {
    /// To `show pool`.
    Pool(Box<PoolStats>, Vec<PoolLease>),
    /// To `show interfaces`.
    Interfaces(Vec<AccessInterface>),
    /// To `show log`, the oldest first.
    Log(Vec<LogLine>),
    /// To `version`.
    Version(ServerVersion),
    /// Number of sessions that match.
    Count(u32),
    /// To `auth test`, one for each method.
    Auth(Vec<AuthVerdict>),
    /// To `set log-level`.
    LogLevels(LogLevels),
    /// To `hooks stats`.
    Hooks(HookSummary, Vec<HookFunction>),
    /// To `hooks run`.
    HookRuns(Vec<HookRun>),
    /// To `show config`.
    Config(Vec<ConfigSetting>),
    /// To `show config --diff`.
    ConfigDiff(Vec<ConfigDifference>, ConfigDiffEnd),
    /// To `show policy`.
    Policy(Vec<PolicyEntry>),
    /// To `write`.
    PolicyWritten(PolicyWritten),
}

impl Info {
    /// The answer to `request` that has no piece: an empty list.
    pub(crate) fn empty(request: &Request) -> Option<Self> {
        match request {
            Request::ShowInterfaces => Some(Self::Interfaces(Vec::new())),
            Request::ShowLog(_) => Some(Self::Log(Vec::new())),
            Request::AuthTest(_) => Some(Self::Auth(Vec::new())),
            Request::ShowHooks => Some(Self::Hooks(HookSummary::default(), Vec::new())),
            Request::RunHook(_) => Some(Self::HookRuns(Vec::new())),
            Request::ShowConfig => Some(Self::Config(Vec::new())),
            Request::ShowPolicy => Some(Self::Policy(Vec::new())),
            Request::ShowConfigDiff => Some(Self::ConfigDiff(Vec::new(), ConfigDiffEnd::default())),
            _ => None,
        }
    }

    /// Takes a piece of the answer to `request` into `answer`; gives it back if it is none.
    pub(crate) fn push(
        request: &Request,
        response: Response,
        answer: &mut Option<Self>,
    ) -> Result<Option<Response>, Error> {
        match (request, response, &mut *answer) {
            (Request::ShowPool, Response::Pool(stats), answer @ None) => {
                *answer = Some(Self::Pool(stats, Vec::new()));
            }
            (Request::ShowPool, Response::Leases(more), Some(Self::Pool(_, leases))) => extend(leases, more)?,
            (Request::ShowInterfaces, Response::Interface(one), Some(Self::Interfaces(all))) => {
                extend(all, vec![*one])?;
            }
            (Request::AuthTest(_), Response::AuthVerdict(one), Some(Self::Auth(all))) => {
                extend(all, vec![*one])?;
            }
            (Request::ShowLog(_), Response::Log(more), Some(Self::Log(lines))) => extend(lines, more)?,
            (Request::ShowVersion, Response::Version(version), answer @ None) => {
                *answer = Some(Self::Version(version));
            }
            (Request::Count(_), Response::Count { count }, answer @ None) => {
                *answer = Some(Self::Count(count));
            }
            (
                Request::SetLogLevel { .. } | Request::SetDebug { .. },
                Response::LogLevels(levels),
                answer @ None,
            ) => {
                *answer = Some(Self::LogLevels(levels));
            }
            (Request::ShowHooks, Response::HookFunctions(more), Some(Self::Hooks(_, functions))) => {
                extend(functions, more)?;
            }
            (Request::ShowHooks, Response::Hooks(whole), Some(Self::Hooks(summary, _))) => *summary = *whole,
            (Request::RunHook(_), Response::HookRun(one), Some(Self::HookRuns(runs))) => {
                extend(runs, vec![*one])?;
            }
            (Request::ShowPolicy, Response::Policy(more), Some(Self::Policy(all))) => extend(all, more)?,
            (Request::WritePolicy { .. }, Response::PolicyWritten(written), answer @ None) => {
                *answer = Some(Self::PolicyWritten(*written));
            }
            (Request::ShowConfig, Response::Config(more), Some(Self::Config(all))) => extend(all, more)?,
            (Request::ShowConfigDiff, Response::ConfigDifferences(more), Some(Self::ConfigDiff(all, _))) => {
                extend(all, more)?
            }
            (Request::ShowConfigDiff, Response::ConfigDiffEnd(last), Some(Self::ConfigDiff(_, end))) => {
                *end = *last;
            }
            (_, response, _) => return Ok(Some(response)),
        }
        Ok(None)
    }
}

impl Info {
    /// Whether this says that a login would be refused by each method that is asked for.
    pub(crate) fn is_refused_login(&self) -> bool {
        let Self::Auth(verdicts) = self else { return false };
        let mut asked_for = verdicts.iter().filter(|verdict| verdict.is_asked_for).peekable();
        asked_for.peek().is_some() && asked_for.all(|verdict| verdict.refusal.is_some())
    }

    /// Leaves the settings out that are not meant: a word without `*` and `?` stands for all names that it is part of.
    pub(crate) fn keep_settings(&mut self, wanted: &str) {
        let is_pattern = wanted.contains(['*', '?']);
        let pattern =
            NamePattern::from_text(if is_pattern { wanted.to_owned() } else { format!("*{wanted}*") });
        let is_wanted = |key: &str| pattern.matches(key);
        match self {
            Self::Config(all) => all.retain(|one| is_wanted(&one.key)),
            Self::ConfigDiff(all, _) => all.retain(|one| is_wanted(&one.key)),
            _ => {}
        }
    }
}

fn extend<T>(list: &mut Vec<T>, more: Vec<T>) -> Result<(), Error> {
    list.extend(more);
    if list.len() > MAX_LEN { Err(Error::TooLong) } else { Ok(()) }
}
