//! Values that the server knows now, for completion.

use std::time::{Duration, Instant};

use ppp_ipc::control::{Request, SessionSummary};
use ppp_ipc::name::Name;

use crate::{
    answer::Answer, command::values, console::Console, error::Error, info::Info, output::is_harmless,
    program::ConnectionOptions, sessions::fetch,
};

/// Longest wait for a piece of the list, and for all of it: nobody waits longer for a key to do something.
const PATIENCE: Duration = Duration::from_millis(400);

/// Age up to which a list is as good as a new one.
const FRESH: Duration = Duration::from_secs(2);

/// The sessions of a moment ago.
pub(crate) struct Live {
    console: Console,
    sessions: Vec<SessionSummary>,
    fetched: Option<Instant>,
}

impl Live {
    /// Asks over a connection of its own, so that a list that is given up leaves nothing behind.
    pub(crate) fn new(options: &ConnectionOptions) -> Self {
        let timeout = options.timeout.min(PATIENCE);
        Self {
            console: Console::new(ConnectionOptions { timeout, ..options.clone() }),
            sessions: Vec::new(),
            fetched: None,
        }
    }

    /// What the server knows of such a value (a name of [`values`]), sorted; nothing when it does not answer in time.
    pub(crate) fn values(&mut self, value_name: &str) -> Vec<String> {
        type Get = fn(&SessionSummary) -> Vec<String>;
        let get: Get = match value_name {
            values::SESSION => |session| {
                let user = session.username.iter().map(Name::to_string);
                [session.ifname.clone()].into_iter().chain(user).collect()
            },
            values::USER => |session| session.username.iter().map(Name::to_string).collect(),
            values::MAC => |session| vec![session.mac.clone()],
            values::IP => |session| session.ip.iter().map(ToString::to_string).collect(),
            values::SETTING => return self.settings(),
            values::IFNAME => |session| vec![session.ifname.clone(), session.interface.clone()],
            _ => return Vec::new(),
        };
        self.refresh();
        let mut found: Vec<String> = self.sessions.iter().flat_map(get).collect();
        found.sort_unstable();
        found.dedup();
        if value_name == values::SESSION {
            // In the order of the list, which is theirs.
            found.splice(..0, self.sessions.iter().map(|session| session.id.to_string()));
        }
        // Names are text by now; a terminal is not made to depend on what else the server says.
        found.retain(|value| value.chars().all(is_harmless));
        found
    }

    /// Names of settings.
    fn settings(&mut self) -> Vec<String> {
        let Ok(Answer::Info(Info::Config(all))) = self.console.call(Request::ShowConfig) else {
            return Vec::new();
        };
        let mut keys: Vec<String> = all.into_iter().map(|one| one.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| key.chars().all(is_harmless));
        keys
    }

    fn refresh(&mut self) {
        if self.fetched.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        self.sessions.clear();
        let deadline = Instant::now() + PATIENCE;
        let sessions = &mut self.sessions;
        let result = fetch(&Request::ShowSessions, &mut self.console, |more| {
            sessions.extend(more);
            if Instant::now() > deadline { Err(Error::Declined) } else { Ok(()) }
        });
        // Part of a list is better than none, and none is as if nothing was known.
        self.fetched = result.is_ok().then(Instant::now);
    }
}
