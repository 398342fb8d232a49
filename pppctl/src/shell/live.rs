//! Values that the server knows now, for completion.

use std::time::{Duration, Instant};

use ppp_ipc::control::{Request, SessionSummary};

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
            values::SESSION => |session| vec![session.id.to_string()],
            values::USER => |session| session.username.iter().cloned().collect(),
            values::MAC => |session| vec![session.mac.clone()],
            values::IP => |session| session.ip.iter().map(ToString::to_string).collect(),
            values::SETTING => return self.settings(),
            values::IFNAME => |session| vec![session.ifname.clone(), session.interface.clone()],
            _ => return Vec::new(),
        };
        self.refresh();
        let mut found: Vec<String> = self.sessions.iter().flat_map(get).collect();
        // In the order of the list for session ids, which is theirs.
        if value_name != values::SESSION {
            found.sort_unstable();
        }
        found.dedup();
        // The server has escaped what its peers chose; a terminal is not made to depend on that.
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
        let result = fetch(&mut self.console, |more| {
            sessions.extend(more);
            if Instant::now() > deadline { Err(Error::Declined) } else { Ok(()) }
        });
        // Part of a list is better than none, and none is as if nothing was known.
        self.fetched = result.is_ok().then(Instant::now);
    }
}
