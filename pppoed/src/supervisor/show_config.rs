//! `show config`: the settings that hold, and where they differ from the files as these are now.
//!
//! Lists are made, and files are read, beside the event loop: nobody waits for a disk.

use std::collections::BTreeMap;
use std::path::Path;

use ppp_ipc::codec::pieces;
use ppp_ipc::control::{
    BitRate, ConfigDiffEnd, ConfigDifference, ConfigSetting, Failure, Fate, Response, ServiceState,
};
use ppp_ipc::reload as ipc;
use ppp_ipc::worker::Rates;
use pppoed_config::config::{Change, Changes, Config, Effect, Line, MAX_CHANGES, Setting, Source};
use pppoed_config::mac_list::MacRules;
use pppoed_config::origin::Origin;
use pppoed_config::policy::{self, HooksOff, Policy};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;

use super::Supervisor;
use super::setup::check_discovery;
use crate::control::{Answer, Rights};
use crate::log_levels::Levels;
use crate::logging::{self, LogHandle};
use crate::text::{clean, lines};
use crate::turns;

/// The setting that `set log-level` changes beside the configuration.
const LOG_LEVEL: &str = "log-level";

/// What holds beside the configuration that was read.
struct Live {
    levels: Option<Levels>,
    mac_rules: MacRules,
    service: ServiceState,
    /// Names of the hook scripts, and their directory.
    scripts: Vec<String>,
    scripts_directory: String,
    scripts_off: HooksOff,
    /// Sessions whose rates are not those of their options, the first ones, with both; and how many there are beside.
    rates: Vec<(u16, Rates, Rates)>,
    more_rates: usize,
}

impl Supervisor {
    fn live(&self) -> Live {
        let scripts = self.hooks.scripts.iter().flat_map(|scripts| &scripts.files);
        let mut limited = self.table.iter().filter_map(|session| {
            let (set, own) = (session.set_rates?, session.options().rates());
            (set != own).then_some((session.id, set, own))
        });
        let rates = limited.by_ref().take(MAX_CHANGES).collect();
        Live {
            levels: self.log.as_ref().and_then(LogHandle::levels),
            mac_rules: self.mac_rules.clone(),
            service: self.service,
            scripts: scripts.map(|file| file.name.clone()).collect(),
            scripts_off: self.hooks.off.clone(),
            scripts_directory: self.hooks.config.directory.display().to_string(),
            rates,
            more_rates: limited.count(),
        }
    }

    /// `show config`.
    pub(super) fn show_config(&self, answer: oneshot::Sender<Answer>) {
        let (current, live) = (self.reloads.current.clone(), self.live());
        let consoles = self.console_work.clone();
        turns::spawn("show config", async move {
            let responses = match consoles.list(move || live.listing(&current.config)).await {
                Some(list) => settings(&list),
                None => vec![Response::Failed(cut_off())],
            };
            // Fails only when the client has hung up.
            let _ = answer.send(Answer::Whole(responses));
        });
    }

    /// `show config --diff`.
    pub(super) fn show_config_diff(&self, rights: Rights, answer: oneshot::Sender<Answer>) {
        let consoles = self.console_work.clone();
        let Some(permit) = consoles.begin_comparison(rights) else {
            let busy = Failure::Busy("the files are being read for another console".to_owned());
            let _ = answer.send(Response::Failed(busy).into());
            return;
        };
        let (source, current) = (self.reloads.source.clone(), self.reloads.current.clone());
        let (live, deadline) = (self.live(), current.config.limits.reload_deadline);
        let (policy, file) = (self.policy.current.clone(), self.policy.file.clone());
        turns::spawn("show config", async move {
            let comparing = consoles.run(move || {
                let responses = live.compare(&current.config, &source, &policy, &file);
                drop(permit);
                responses
            });
            let failure = match timeout(deadline, comparing).await {
                Ok(Some(responses)) => {
                    let _ = answer.send(Answer::Whole(responses));
                    return;
                }
                Ok(None) => cut_off(),
                Err(_) => Failure::Busy(format!(
                    "reading the files takes longer than {} s (--reload-deadline)",
                    deadline.as_secs()
                )),
            };
            let _ = answer.send(Response::Failed(failure).into());
        });
    }
}

/// Why there is no answer, where the server is about to end.
pub(super) fn cut_off() -> Failure {
    Failure::Busy("the answer was cut off".to_owned())
}

impl Live {
    fn listing(&self, config: &Config) -> Vec<Line> {
        let mut list = config.listing(&self.mac_rules);
        if let Some(level) = self.level_of_console(config) {
            let found = list.iter_mut().find(|(key, ..)| key == LOG_LEVEL);
            found.into_iter().for_each(|(_, setting, _)| *setting = level.clone());
        }
        let script = |name: &String| {
            let setting = match self.scripts_off.calls(name) {
                true => Setting { value: name.clone(), origin: self.scripts_directory.clone() },
                false => by_console(format!("{name} (disabled)"), "set hooks disable"),
            };
            ("hook script".to_owned(), setting, Effect::Now)
        };
        list.extend(self.scripts.iter().map(script));
        list
    }

    /// The level of the log, if it is not that of the configuration.
    fn level_of_console(&self, config: &Config) -> Option<Setting> {
        let level = self.levels.as_ref()?.level;
        (level != logging::level(config.log_level.value))
            .then(|| by_console(level_word(level), "set log-level"))
    }

    /// Runs where it may block.
    fn compare(
        &self,
        running: &Config,
        source: &Source,
        policy: &Policy,
        console_file: &Path,
    ) -> Vec<Response> {
        // As the next pppoed will find it.
        let written = match policy::read(console_file) {
            Ok(written) => written,
            Err(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                return vec![Response::Failed(Failure::BadFiles(lines(&errors)))];
            }
        };
        let (files, notices) = source.with_console(written.layer()).config();
        let remarks: Vec<String> =
            notices.iter().filter(|notice| !notice.is_mere_note()).map(ToString::to_string).collect();
        let files = match files {
            Ok(files) => files,
            Err(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                return vec![Response::Failed(Failure::BadFiles(lines(&errors)))];
            }
        };
        if let Err(error) = check_discovery(&files) {
            return vec![Response::Failed(Failure::BadFiles(lines(&[error])))];
        }
        // These are read again by themselves.
        let mut running = running.clone();
        running.limits.mac_rules = self.mac_rules.clone();
        let changes = Changes::of_settings(&running, &files);
        let mut all: Vec<ConfigDifference> = self.of_consoles(&running, &files);
        all.extend(of_policies(policy, &written, console_file));
        let by_console = all.iter().map(|difference| difference.key.clone()).collect::<Vec<_>>();
        all.extend(
            changes
                .list
                .iter()
                .filter(|change| !by_console.contains(&change.key))
                .map(|change| difference(change, console_file)),
        );
        let more = changes.more.saturating_add(self.more_rates);
        let more = more.saturating_add(all.len().saturating_sub(MAX_CHANGES));
        all.truncate(MAX_CHANGES);
        let end = ConfigDiffEnd { more: u32::try_from(more).unwrap_or(u32::MAX), remarks: lines(&remarks) };
        let mut responses: Vec<_> = pieces(all).into_iter().map(Response::ConfigDifferences).collect();
        responses.push(Response::ConfigDiffEnd(Box::new(end)));
        responses
    }

    /// What consoles have changed.
    fn of_consoles(&self, running: &Config, files: &Config) -> Vec<ConfigDifference> {
        let mut all = Vec::new();
        if let Some(level) = self.level_of_console(running) {
            let of_files = files.entries().into_iter().find(|entry| entry.key == LOG_LEVEL);
            let of_files =
                of_files.map(|entry| Setting { value: entry.value, origin: entry.origin.to_string() });
            if of_files.as_ref().is_none_or(|setting| setting.value != level.value) {
                all.push(console_difference(LOG_LEVEL.to_owned(), level, of_files, Fate::Lost));
            }
        }
        let sessions = self.levels.as_ref().map_or_else(BTreeMap::new, |levels| levels.sessions.clone());
        for (id, level) in sessions {
            let key = format!("log-level of session {id}");
            let setting = by_console(level_word(level), "set log-level --session");
            all.push(console_difference(key, setting, None, Fate::Lost));
        }
        if self.service != ServiceState::Serving {
            let setting = by_console(self.service.as_str().to_owned(), "drain, shutdown");
            all.push(console_difference("service".to_owned(), setting, None, Fate::Kept));
        }
        for (id, set, own) in &self.rates {
            let own = Setting { value: rates(own), origin: "options of the session".to_owned() };
            let key = format!("rates of session {id}");
            all.push(console_difference(key, by_console(rates(set), "set rate"), Some(own), Fate::Kept));
        }
        all
    }
}

fn by_console(value: String, command: &str) -> Setting {
    Setting { value, origin: format!("console: {command}") }
}

fn console_difference(key: String, running: Setting, files: Option<Setting>, fate: Fate) -> ConfigDifference {
    ConfigDifference { key, running: Some(shown(&running)), files: files.as_ref().map(shown), fate }
}

/// A setting that differs. What consoles have set comes back, at a restart, from the console file.
fn difference(change: &Change, console_file: &Path) -> ConfigDifference {
    let Change { key, old, new, effect } = change;
    let console = Origin::Console.to_string();
    let is_of_console = |setting: &Option<Setting>| setting.as_ref().is_some_and(|one| one.origin == console);
    let mut files = new.clone();
    if let Some(files) = files.as_mut().filter(|files| files.origin == console) {
        files.origin = console_file.display().to_string();
    }
    ConfigDifference {
        key: clean(key),
        running: old.as_ref().map(shown),
        files: files.as_ref().map(shown),
        fate: match effect {
            _ if is_of_console(old) || is_of_console(new) => Fate::Lost,
            Effect::Restart => Fate::Restart,
            Effect::Now | Effect::NewSessions => Fate::Reload,
        },
    }
}

/// What consoles have set beside settings of the server, and did not write.
fn of_policies(running: &Policy, written: &Policy, console_file: &Path) -> Vec<ConfigDifference> {
    let changes = super::policy::entry_changes(running, written, |_, _| None);
    changes
        .iter()
        .map(|change| ConfigDifference { fate: Fate::Lost, ..difference(change, console_file) })
        .collect()
}

fn settings(list: &[Line]) -> Vec<Response> {
    let all = list.iter().map(|(key, setting, effect)| ConfigSetting {
        key: clean(key),
        setting: shown(setting),
        effect: (*effect).into(),
    });
    pieces(all).into_iter().map(Response::Config).collect()
}

fn shown(setting: &Setting) -> ipc::Setting {
    ipc::Setting { value: clean(&setting.value), origin: clean(&setting.origin) }
}

fn rates(rates: &Rates) -> String {
    format!("{} down, {} up", BitRate(rates.down), BitRate(rates.up))
}

fn level_word(level: LevelFilter) -> String {
    level.to_string().to_lowercase()
}

#[cfg(test)]
mod tests {
    use ppp_ipc::codec;

    use super::*;

    #[test]
    fn the_longest_list_fits_into_its_frames() {
        let long = "\u{7}é".repeat(1000);
        let line = || -> Line {
            (long.clone(), Setting { value: long.clone(), origin: long.clone() }, Effect::NewSessions)
        };
        let responses = settings(&(0..80).map(|_| line()).collect::<Vec<_>>());
        assert!(responses.len() > 1, "{}", responses.len());
        for response in &responses {
            codec::encode(response).unwrap();
        }
        let change =
            Change { key: long.clone(), old: Some(line().1), new: Some(line().1), effect: Effect::Restart };
        let differences = vec![difference(&change, Path::new("/c")); MAX_CHANGES];
        assert_eq!(differences[0].fate, Fate::Restart);
        for piece in pieces(differences) {
            codec::encode(&Response::ConfigDifferences(piece)).unwrap();
        }
    }
}
