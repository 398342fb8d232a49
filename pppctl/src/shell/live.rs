//! Values that the server knows now, for completion.

use std::time::{Duration, Instant};

use ppp_ipc::control::{Request, Response, SessionSummary};
use ppp_ipc::name::Name;
use ppp_ipc::policy::{PolicyEntry, Settable};
use ppp_wire::escape::is_harmless;

use super::complete::Candidate;
use crate::{
    answer::Answer, command::values, connection::ConnectionOptions, console::Console, error::Error, failure,
    info::Info, sessions::fetch, wait::Wait,
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

    /// What an argument of one of the commands `set` and `unset` may be: only what they take. `given` are the arguments in
    /// front of it. `None`: it is of another command.
    pub(crate) fn of_place(&mut self, path: &[&str], given: &[&str], prefix: &str) -> Option<Vec<Candidate>> {
        let names = |all: Vec<String>| all.iter().map(|word| Candidate::new(word, "")).collect();
        let mut found: Vec<Candidate> = match (path, given) {
            (["set", "config"], []) => {
                // Options of pppd may be written with ppp. as well.
                let ppp = prefix.strip_prefix("ppp.").map(|_| "ppp.").unwrap_or_default();
                let all = self.settable().into_iter().filter(|one| !one.is_of_user);
                all.map(|one| Candidate::new(&format!("{ppp}{}", one.key), &one.about)).collect()
            }
            (["set", "config"], [key, values @ ..]) => {
                let key = key.trim_start_matches("ppp.");
                let of_key = self.settable().into_iter().find(|one| !one.is_of_user && one.key == key);
                let all = of_key.map(|one| one.values).unwrap_or_default();
                names(all.into_iter().filter(|value| !values.contains(&value.as_str())).collect())
            }
            (["set", "user"], [_, ..]) => {
                let all = self.settable().into_iter().filter(|one| one.is_of_user);
                all.flat_map(|one| options_with_values(&one, prefix)).collect()
            }
            (["unset", "config"], []) => names(self.set("config", |entry| entry.name.clone())),
            (["unset", "user"], []) => names(self.set("user", |entry| entry.name.clone())),
            (["unset", "user"], [name, ..]) => {
                let user = Name::from_text(name);
                let option = |entry: &PolicyEntry| {
                    let is_of_user = Name::from_text(&entry.name) == user;
                    entry
                        .value
                        .split_once('=')
                        .filter(|_| is_of_user)
                        .map_or(String::new(), |(option, _)| option.to_owned())
                };
                names(self.set("user", option))
            }
            (["unset", list @ ("deny" | "allow"), kind @ ("user" | "mac")], []) => {
                let who = |entry: &PolicyEntry| {
                    let rest = entry.name.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' '));
                    rest.unwrap_or_default().to_owned()
                };
                names(self.set(list, who))
            }
            (["set", "hooks"], ["enable"]) => names(self.set("hooks", |entry| entry.name.clone())),
            (["set", "hooks"], ["disable"]) => {
                let scripts = self.config("hook script").into_iter();
                names(scripts.filter(|script| !script.ends_with(')')).collect())
            }
            (["set", "service"], ["remove"]) => {
                let all = self.config("service").into_iter().filter(|all| all != "none");
                names(
                    all.flat_map(|all| {
                        all.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
                    })
                    .collect(),
                )
            }
            (["set", "interface"], ["remove"]) => names(self.served()),
            (["set", "interface"], ["add"]) => {
                let served = self.served();
                let others = interfaces().into_iter().filter(|name| !served.contains(name));
                names(others.collect())
            }
            _ => return None,
        };
        found.retain(|candidate| !candidate.word.is_empty() && candidate.word.chars().all(is_harmless));
        found.sort_by(|one, other| one.word.cmp(&other.word));
        found.dedup_by(|one, other| one.word == other.word);
        Some(found)
    }

    /// What can be set; nothing when the server does not answer in time.
    fn settable(&mut self) -> Vec<Settable> {
        let request = Request::ShowSettable;
        let mut all = Vec::new();
        let result = self.console.exchange(&request, Wait::Timeout, |response| match response {
            Response::Settable(more) => {
                all.extend(more);
                Ok(false)
            }
            Response::Done => Ok(true),
            Response::Failed(failure) => Err(failure::Error::new(failure, &request).into()),
            other => Err(failure::Error::unexpected(&request, &other).into()),
        });
        if result.is_ok() { all } else { Vec::new() }
    }

    /// Something of what consoles have set of a kind.
    fn set(&mut self, kind: &str, something: impl Fn(&PolicyEntry) -> String) -> Vec<String> {
        let Ok(Answer::Info(Info::Policy(all))) = self.console.call(Request::ShowPolicy) else {
            return Vec::new();
        };
        all.iter().filter(|entry| entry.kind == kind).map(something).collect()
    }

    /// The values of a setting.
    fn config(&mut self, key: &str) -> Vec<String> {
        let Ok(Answer::Info(Info::Config(all))) = self.console.call(Request::ShowConfig) else {
            return Vec::new();
        };
        all.into_iter().filter(|one| one.key == key).map(|one| one.setting.value).collect()
    }

    /// The access interfaces that are served, and patterns of such.
    fn served(&mut self) -> Vec<String> {
        self.config("interface")
            .iter()
            .flat_map(|all| all.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect()
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

/// `rate-down=`, and, once that is typed, with the values that there are.
fn options_with_values(option: &Settable, prefix: &str) -> Vec<Candidate> {
    let Settable { key, values, about, .. } = option;
    let begin = format!("{key}=");
    match prefix.starts_with(&begin) && !values.is_empty() {
        true => values.iter().map(|value| Candidate::new(&format!("{begin}{value}"), about)).collect(),
        false => vec![Candidate::new(&begin, about)],
    }
}

/// The network interfaces of this machine that may be access interfaces.
fn interfaces() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/class/net") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name != "lo" && !name.starts_with("ppp")).collect()
}
