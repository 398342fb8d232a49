//! Limits, in the terms of those who keep them.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ppp_proto::discovery::server::{self, PadoDelay};
use ppp_proto::token_bucket::Rate;

use super::{ConfigError, Notice};
use crate::flags::{LimitFlags, MissingProtection, UserLimitPolicy};
use crate::mac_list::{MacFiles, MacRules};

/// Part of all sessions that may be in setup at once, by default, and how many in any case. The rest is out of the reach of hosts
/// that have proven nothing.
const STARTING_PART: usize = 4;
const LEAST_STARTING: usize = 4;
/// Sessions in setup at most, by default: about two seconds' worth of what a small machine can set up, so that the last
/// one in the queue is served before its client begins to repeat itself.
const MOST_STARTING: usize = 1000;

/// Seconds that a client has for its first LCP packet, by default. They send it within milliseconds of the PADS, or answer ours.
const LCP_DEADLINE: u32 = 5;

/// Milliseconds that the peer of an open session has to answer when its host dials again, by default: clients repeat their
/// PADR after five seconds.
const REPLACE_WAIT: u32 = 2000;

/// Milliseconds that the answer to a wrong proof waits, by default. Who guesses has no more than so many sessions at once as
/// there are slots, each with one guess per second.
const REFUSAL_DELAY: u32 = 1000;

/// Milliseconds that a login may wait for what it has a share in, by default: less than the three seconds after which clients
/// ask again, and with the delay of a refusal not much more.
const LOGIN_WAIT: u32 = 2000;

/// Seconds between two looks at a worker, by default: longer than the default `lcp-echo-interval` of 10 seconds, so that
/// the answers of a quiet line's peer are signs of life of its worker.
const HEARTBEAT: u32 = 30;
/// Seconds that a worker has to answer, by default: no machine that works is so busy.
const HEARTBEAT_TIMEOUT: u32 = 10;
/// Seconds that reading all files again may take, by default: a disk may have to be woken.
const RELOAD_DEADLINE: u32 = 30;

/// Seconds in which the protections of each session are verified, by default: what somebody switches off stays so no longer.
const PROTECTION_CHECK: u32 = 300;
/// `--reconcile-interval`, in seconds.
const RECONCILE: u32 = 60;

/// Workers that are made at once, by default: the kernel waits for its processors here and there, so that several can be
/// made in the time of one; of more, each would only take longer.
const SETUPS_AT_ONCE: u32 = 64;

/// Milliseconds that whoever dials may have to wait, by default: most clients repeat a PADR after 5 seconds.
const SETUP_WAIT: u32 = 3000;

/// Seconds after the last PADR after which its client has given up, by default: it would have been repeated after 5.
const DIAL_PATIENCE: u32 = 10;

/// Milliseconds that a turn of the event loop may take, by default: what is done there takes microseconds.
const STALL_LIMIT: u32 = 10;

/// Packets of control that a worker may send per second, by default. A session needs a few; one that opens, some dozens.
const CONTROL_RATE: u32 = 200;

/// Every limit but the number of slots and `-x`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Rates of discovery on each interface.
    pub discovery: server::Limits,
    /// How offers wait by the number of all sessions.
    pub pado_delay: PadoDelay,
    /// Sessions whose peers have proven nothing yet, at once.
    pub max_starting: MaxStarting,
    /// How long a client may take for its first LCP packet.
    pub lcp_deadline: Duration,
    /// How long the peer of an open session may take to answer when its host dials again.
    pub replace_wait: Duration,
    /// How dials wait for their turn.
    pub setups: Setups,
    /// Sessions on each interface.
    pub per_interface: Option<NonZeroUsize>,
    /// Sessions of one user.
    pub per_user: Option<UserLimit>,
    /// How long the answer to a wrong proof waits.
    pub refusal_delay: Duration,
    /// How long a login may wait for a hashed password to be compared.
    pub hash_wait: Duration,
    /// How long a login may wait for a host name that was never looked up before.
    pub name_wait: Duration,
    /// How workers that hang are found out; `None` for not at all.
    pub heartbeat: Option<Heartbeat>,
    /// What happens to a session that lacks a protection.
    pub missing_protection: MissingProtection,
    /// Time in which the protections of each open session are verified; `None` for only when it opens.
    pub protection_check: Option<Duration>,
    /// Time between two comparisons of the sessions with what the kernel and the run directory have of them; `None` for only at the
    /// start.
    pub reconcile: Option<Duration>,
    /// Packets of control that a worker may send per second.
    pub control_rate: Option<NonZeroU32>,
    /// Frames that a worker may send per second.
    pub frame_rate: Option<NonZeroU32>,
    /// How long reading all files again may take.
    pub reload_deadline: Duration,
    /// How long a turn of the event loop may take before it is a stall; `None` for any time.
    pub stall_limit: Option<Duration>,
    /// Where `mac_rules` come from.
    pub mac_files: MacFiles,
    /// Who is served.
    pub mac_rules: MacRules,
}

/// How many sessions may be in setup at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStarting {
    /// A quarter of all sessions, and from 4 to 1000.
    ByDefault,
    /// So many.
    AtMost(NonZeroUsize),
    /// As many as there are slots.
    Unlimited,
}

impl MaxStarting {
    fn new(flag: Option<u32>) -> Self {
        match flag.map(count) {
            None => Self::ByDefault,
            Some(None) => Self::Unlimited,
            Some(Some(limit)) => Self::AtMost(limit),
        }
    }

    /// The limit for a server with so many sessions; `None` is no limit.
    pub fn limit(self, sessions: usize) -> Option<NonZeroUsize> {
        match self {
            Self::ByDefault => {
                NonZeroUsize::new((sessions / STARTING_PART).clamp(LEAST_STARTING, MOST_STARTING))
            }
            Self::AtMost(limit) => Some(limit),
            Self::Unlimited => None,
        }
    }
}

impl fmt::Display for MaxStarting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByDefault => {
                write!(f, "1/{STARTING_PART} of the sessions, {LEAST_STARTING} to {MOST_STARTING}")
            }
            Self::AtMost(limit) => limit.fmt(f),
            Self::Unlimited => f.write_str("none"),
        }
    }
}

/// How dials wait for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setups {
    /// Sessions whose worker is being made, at once.
    pub at_once: NonZeroUsize,
    /// How long whoever dials now may have to wait, so that there are offers; `None` for any time.
    pub wait: Option<Duration>,
    /// How long after the last PADR its client has given up.
    pub patience: Duration,
}

impl Setups {
    fn new(flags: &LimitFlags) -> Self {
        let at_once = flags.setups_at_once.unwrap_or(SETUPS_AT_ONCE);
        Self {
            at_once: count(at_once).unwrap_or(NonZeroUsize::MIN),
            wait: milliseconds(flags.setup_wait.unwrap_or(SETUP_WAIT)),
            patience: Duration::from_secs(flags.dial_patience.unwrap_or(DIAL_PATIENCE).into()),
        }
    }
}

/// How many sessions one user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserLimit {
    /// So many.
    pub sessions: NonZeroUsize,
    /// What happens to one more.
    pub policy: UserLimitPolicy,
}

/// How the workers of open sessions are looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time between two looks; more than 0.
    pub interval: Duration,
    /// Time that a worker has to answer.
    pub timeout: Duration,
}

impl Limits {
    pub(super) fn new(
        flags: &LimitFlags,
        directory: &Path,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, Vec<ConfigError>> {
        let default = server::Limits::DEFAULT;
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| directory.join(path));
        let mac_files = MacFiles { allow: file(&flags.mac_allow), deny: file(&flags.mac_deny) };
        let mac_rules = mac_files
            .load()
            .map_err(|errors| errors.into_iter().map(ConfigError::MacList).collect::<Vec<_>>())?;
        if let Some(path) = mac_files.allow.as_ref().filter(|_| mac_rules.serve_nobody()) {
            notices.push(Notice::NobodyAllowed { path: path.clone() });
        }
        let per_user = count(flags.sessions_per_user.unwrap_or(0));
        Ok(Self {
            discovery: server::Limits {
                padi: rate(flags.padi_rate, default.padi),
                padr: rate(flags.padr_rate, default.padr),
                padt: rate(flags.padt_rate, default.padt),
                per_mac: rate(flags.mac_rate, default.per_mac),
            },
            pado_delay: flags.pado_delay.clone().unwrap_or_default().0,
            max_starting: MaxStarting::new(flags.max_starting),
            lcp_deadline: Duration::from_secs(flags.lcp_deadline.unwrap_or(LCP_DEADLINE).into()),
            replace_wait: Duration::from_millis(flags.replace_wait.unwrap_or(REPLACE_WAIT).into()),
            setups: Setups::new(flags),
            per_interface: count(flags.sessions_per_interface.unwrap_or(0)),
            per_user: per_user
                .map(|sessions| UserLimit { sessions, policy: flags.user_limit.unwrap_or_default() }),
            refusal_delay: Duration::from_millis(flags.refusal_delay.unwrap_or(REFUSAL_DELAY).into()),
            hash_wait: Duration::from_millis(flags.hash_wait.unwrap_or(LOGIN_WAIT).into()),
            name_wait: Duration::from_millis(flags.name_wait.unwrap_or(LOGIN_WAIT).into()),
            heartbeat: heartbeat(flags),
            missing_protection: flags.missing_protection.unwrap_or_default(),
            protection_check: Some(flags.protection_check.unwrap_or(PROTECTION_CHECK))
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            reconcile: Some(flags.reconcile_interval.unwrap_or(RECONCILE))
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            control_rate: NonZeroU32::new(flags.control_rate.unwrap_or(CONTROL_RATE)),
            frame_rate: flags.frame_rate.and_then(NonZeroU32::new),
            reload_deadline: Duration::from_secs(flags.reload_deadline.unwrap_or(RELOAD_DEADLINE).into()),
            stall_limit: milliseconds(flags.stall_limit.unwrap_or(STALL_LIMIT)),
            mac_rules,
            mac_files,
        })
    }
}

/// 0 is no limit.
fn rate(flag: Option<u32>, default: Option<Rate>) -> Option<Rate> {
    flag.map_or(default, |count| NonZeroU32::new(count).map(Rate::per_second))
}

/// An interval of 0 is none.
fn heartbeat(flags: &LimitFlags) -> Option<Heartbeat> {
    let seconds = |flag: Option<u32>, default: u32| Duration::from_secs(flag.unwrap_or(default).into());
    let interval = seconds(flags.heartbeat, HEARTBEAT);
    let timeout = seconds(flags.heartbeat_timeout, HEARTBEAT_TIMEOUT);
    (interval > Duration::ZERO).then_some(Heartbeat { interval, timeout })
}

/// 0 is no limit.
fn milliseconds(number: u32) -> Option<Duration> {
    (number > 0).then(|| Duration::from_millis(number.into()))
}

/// 0 is no limit.
fn count(number: u32) -> Option<NonZeroUsize> {
    NonZeroUsize::new(usize::try_from(number).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_limit_and_nothing_the_default() {
        let defaults = Limits::new(&LimitFlags::default(), Path::new(""), &mut Vec::new()).unwrap();
        assert_eq!(defaults.discovery, server::Limits::DEFAULT);
        let starting = |sessions| defaults.max_starting.limit(sessions).map(NonZeroUsize::get);
        let by_default = [1, 16, 20, 64, 2000, 4000, 60_000].map(starting);
        assert_eq!(by_default, [4, 4, 5, 16, 500, 1000, 1000].map(Some));
        assert_eq!((defaults.per_interface, defaults.per_user), (None, None));
        let zero = Some(0);
        let none = LimitFlags {
            padi_rate: zero,
            padr_rate: zero,
            padt_rate: zero,
            mac_rate: zero,
            max_starting: zero,
            sessions_per_user: zero,
            heartbeat: zero,
            ..LimitFlags::default()
        };
        let none = Limits::new(&none, Path::new(""), &mut Vec::new()).unwrap();
        assert_eq!(none.discovery, server::Limits { padi: None, padr: None, padt: None, per_mac: None });
        assert_eq!((none.max_starting.limit(64), none.per_user), (None, None));
        assert_eq!(none.heartbeat, None);
        let heartbeat = Heartbeat { interval: Duration::from_secs(30), timeout: Duration::from_secs(10) };
        assert_eq!(defaults.heartbeat, Some(heartbeat));
        let some = LimitFlags {
            padi_rate: Some(7),
            sessions_per_user: Some(2),
            max_starting: Some(9),
            ..LimitFlags::default()
        };
        let some = Limits::new(&some, Path::new(""), &mut Vec::new()).unwrap();
        assert_eq!(some.discovery.padi.unwrap().burst(), 7);
        assert_eq!(some.max_starting.limit(4000), NonZeroUsize::new(9));
        let sessions = NonZeroUsize::new(2).unwrap();
        assert_eq!(some.per_user, Some(UserLimit { sessions, policy: UserLimitPolicy::Replace }));
    }
}
