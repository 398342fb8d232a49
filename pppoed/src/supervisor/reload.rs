//! SIGHUP and `pppctl reload`: all files are read again, compared with what holds, and the difference is applied.
//!
//! Reading happens beside the event loop, once at a time and under a deadline: a disk that hangs delays nobody. Nothing
//! is changed before everything was read and found good; then everything changes between two events.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ppp_ipc::codec::pieces;
use ppp_ipc::control::{EventName, Failure, Response};
use ppp_ipc::reload::{self as ipc, MAX_LINES, MAX_LISTED, Summary};
use pppoed_config::config::{Change, Changes, Config, Effect, Entry, Layer, Reading, Setting, Source};
use pppoed_config::files::{self, Reads};
use pppoed_config::flags::keys::ServerKey;
use pppoed_config::origin::Origin;
use pppoed_config::{options, policy};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::setup::{check_discovery, owned_pools};
use super::terms::AllTerms;
use super::{Supervisor, Work, hook_scripts};
use crate::control::Answer;
use crate::daemon::{self, DescriptorNeed};
use crate::logging;
use crate::message::{RELOAD_REFUSED, RELOADED};
use crate::problems::Part;
use crate::text::{clean, lines};
use crate::turns;

/// What holds, where it was read, and the reading that is under way.
pub(super) struct Reloads {
    pub(super) source: Arc<Source>,
    pub(super) current: Arc<Reading>,
    /// What would hold if consoles had set nothing, as of the last reading.
    without_console: Arc<Vec<Entry>>,
    /// What is said about secrets files that could not be read the last time.
    pub(super) unreadable: Arc<Vec<String>>,
    running: Option<Running>,
    /// A SIGHUP came while files were being read, which may have changed behind the reader.
    again: bool,
}

/// Time that the answer waits for hook scripts once everything else was read.
const HOOKS_PATIENCE: Duration = Duration::from_secs(5);

/// What is different in the hook scripts, or what is wrong with them.
type HooksLoaded = Result<hook_scripts::Reread, Vec<String>>;

/// A reading that is under way.
struct Running {
    /// Nothing is to be changed.
    check: bool,
    /// The console that asked; none for a signal, or when it has its answer.
    asker: Option<oneshot::Sender<Answer>>,
    /// The hook scripts, which were read beside.
    hooks: Option<oneshot::Receiver<HooksLoaded>>,
}

/// What comes of a reading.
#[derive(Debug)]
pub(super) enum News {
    /// All files were read.
    Read(Box<Reread>),
    /// It takes too long.
    Late,
    /// It has ended, after it took too long.
    Over,
}

/// All files, read again.
#[derive(Debug)]
pub(super) struct Reread {
    /// The new reading with its changes, or everything that is wrong.
    outcome: Result<(Reading, Changes), Vec<String>>,
    remarks: Vec<String>,
    unreadable: Vec<String>,
    /// What would hold if consoles had set nothing.
    without_console: Vec<Entry>,
    /// The files that were read.
    reads: Reads,
}

impl Reloads {
    /// `current` was read from `source`, and says so about secrets files that could not be read.
    pub(super) fn new(source: Source, current: Reading, unreadable: Vec<String>) -> Self {
        let without_console = without_console(&source, &current.config);
        Self {
            source: Arc::new(source),
            current: Arc::new(current),
            without_console: Arc::new(without_console),
            unreadable: Arc::new(unreadable),
            running: None,
            again: false,
        }
    }
}

impl Reloads {
    /// Files are to be read for something else than a reload. False if they are being read already.
    pub(super) fn begin(&mut self) -> bool {
        if self.running.is_some() {
            return false;
        }
        self.running = Some(Running { check: true, asker: None, hooks: None });
        true
    }

    /// That is over.
    pub(super) fn end(&mut self) {
        self.running = None;
    }

    /// From now on, consoles have set this.
    pub(super) fn set_console(&mut self, layer: Layer) {
        self.source = Arc::new(self.source.with_console(layer));
    }
}

impl Supervisor {
    /// Begins to read all files. Only tells what would change if `check`.
    pub(super) fn begin_reload(&mut self, check: bool, asker: Option<oneshot::Sender<Answer>>) {
        let reloads = &mut self.reloads;
        if reloads.running.is_some() {
            match asker {
                Some(asker) => answer(asker, failed(Failure::Busy("files are being read already".into()))),
                None => reloads.again = true,
            }
            return;
        }
        reloads.running = Some(Running { check, asker, hooks: None });
        let (source, current, unreadable) =
            (reloads.source.clone(), reloads.current.clone(), reloads.unreadable.clone());
        let known = reloads.without_console.clone();
        let deadline = current.config.limits.reload_deadline;
        let work = self.work.clone();
        turns::spawn("reload", async move {
            let mut reading =
                tokio::task::spawn_blocking(move || read(&source, &current, &known, &unreadable));
            let read = match timeout(deadline, &mut reading).await {
                Ok(read) => News::Read(Box::new(read.unwrap_or_else(|error| Reread::cut_off(&error)))),
                Err(_) => {
                    // Fails, here and below, only when the supervisor is gone.
                    let _ = work.send(Work::Reload(News::Late)).await;
                    // The thread cannot be stopped, and a second one would only wait for the same disk.
                    let _ = reading.await;
                    News::Over
                }
            };
            let _ = work.send(Work::Reload(read)).await;
        });
        let (sender, hooks) = oneshot::channel();
        match check {
            true => self.compare_hooks(sender),
            // They check themselves, and those in use stay if there is a mistake in the new ones.
            false => self.reload_hooks(Some(sender)),
        }
        if let Some(running) = &mut self.reloads.running {
            running.hooks = Some(hooks);
        }
    }

    pub(super) fn handle_reload(&mut self, news: News, now: Instant) {
        match news {
            News::Read(read) => {
                let Some(Running { check, asker, hooks }) = self.reloads.running.take() else { return };
                let responses = self.finish_reload(*read, check, now);
                if let Some(asker) = asker {
                    turns::spawn("reload", answer_with_hooks(asker, responses, hooks));
                }
            }
            News::Late => {
                let limit = self.reloads.current.config.limits.reload_deadline;
                let why = format!(
                    "reading the files takes longer than {} s (--reload-deadline); nothing was changed",
                    limit.as_secs()
                );
                warn!("reload: {why}");
                self.events.server(EventName::Reload, &why);
                if let Some(asker) = self.reloads.running.as_mut().and_then(|running| running.asker.take()) {
                    answer(asker, failed(Failure::Busy(why)));
                }
                return;
            }
            News::Over => self.reloads.running = None,
        }
        self.reload_again();
    }

    /// Reads all files again if a signal came while they were being read.
    pub(super) fn reload_again(&mut self) {
        if std::mem::take(&mut self.reloads.again) {
            self.begin_reload(false, None);
        }
    }

    /// Everything was read, well or badly.
    fn finish_reload(&mut self, read: Reread, check: bool, now: Instant) -> Vec<Response> {
        let Reread { outcome, remarks, unreadable, without_console, reads } = read;
        for remark in remarks.iter().take(MAX_LINES) {
            warn!("reload: {remark}");
        }
        let outcome = outcome.and_then(|(reading, changes)| match self.conflict(&reading) {
            Some(conflict) => Err(vec![conflict]),
            None => Ok((reading, changes)),
        });
        let (reading, changes) = match outcome {
            Ok(good) => good,
            Err(errors) => {
                for error in errors.iter().take(MAX_LINES) {
                    warn!("reload: {error}");
                }
                warn!(name: RELOAD_REFUSED.name, mistakes = errors.len(), "{}", RELOAD_REFUSED.words);
                self.events.server(EventName::Reload, "refused: nothing was changed");
                return failed(Failure::BadFiles(lines(&errors)));
            }
        };
        let keeping = self.keeping(&reading, &changes);
        if !check {
            self.tell(&changes, keeping.len());
            self.apply(reading, unreadable, now);
            self.reloads.without_console = Arc::new(without_console);
            self.keep_configuration(reads);
            self.mended(Part::Configuration);
        }
        responses(&changes, &keeping, &remarks, !check)
    }

    /// What stands between the new pool and the sessions that there are.
    pub(super) fn conflict(&self, reading: &Reading) -> Option<String> {
        let (address, id) = self.client_at_our_end(&reading.config)?;
        Some(format!(
            "{address} is to be our own end of links, and session {id} has it: end that session first (pppctl \
             terminate session {id})"
        ))
    }

    /// A session whose client has an address that this configuration makes our own end, and that address: what comes for
    /// it would be taken for us.
    pub(super) fn client_at_our_end(&self, config: &Config) -> Option<(Ipv4Addr, u16)> {
        let lease = config.pools().find_map(|(_, entries)| self.pool.conflict(entries))?;
        let holder = self.table.iter().find(|session| session.lease.as_deref() == Some(&lease))?;
        Some((lease.remote, holder.id))
    }

    /// The sessions that keep something that has changed.
    pub(super) fn keeping(&self, reading: &Reading, changes: &Changes) -> Vec<u16> {
        let (old, new) = (&self.reloads.current.config, &reading.config);
        let is_same = old.pools().eq(new.pools());
        let is_gone = |address| {
            let has = |config: &Config| {
                let mut entries = config.pools().flat_map(|(_, entries)| entries);
                entries.any(|entry| entry.remote == Some(address))
            };
            !is_same && has(old) && !has(new)
        };
        let of_changed_profile = |name: &str| {
            let profiles = [old.profile(name), new.profile(name)];
            profiles.into_iter().flatten().any(|profile| changes.profiles.contains(&profile.name))
        };
        let keeps = |session: &&super::session::Session| {
            changes.for_new_sessions
                || (!changes.profiles.is_empty() && of_changed_profile(&session.access_name))
                || session.user.as_ref().is_some_and(|user| changes.users.contains(&Some(user.name.clone())))
                || session.lease.as_ref().is_some_and(|lease| is_gone(lease.remote))
        };
        let alive = self.table.iter().filter(|session| !session.machine.is_ending());
        alive.filter(keeps).map(|session| session.id).collect()
    }

    /// Logs what changes.
    pub(super) fn tell(&mut self, changes: &Changes, keeping: usize) {
        for Change { key, old, new, effect } in &changes.list {
            let (key, old, new) = (clean(key), in_words(old.as_ref()), in_words(new.as_ref()));
            match effect {
                Effect::Now => info!("reload: {key}: {old} -> {new}"),
                Effect::NewSessions => info!("reload: {key}: {old} -> {new}, for new sessions"),
                Effect::Restart => warn!("reload: {key}: {old} -> {new}, after a restart"),
            }
        }
        let count = changes.count();
        info!(
            name: RELOADED.name,
            changes = count, sessions_with_old_values = keeping, "{}", RELOADED.words
        );
        self.events
            .server(EventName::Reload, &format!("{count} changes, {keeping} sessions keep old values"));
    }

    /// Makes the new reading what holds. Nothing here fails: what could has been tried before.
    pub(super) fn apply(&mut self, reading: Reading, unreadable: Vec<String>, now: Instant) {
        let before = self.reloads.current.clone();
        let reading = reading.applied_over(&before);
        let (old, new) = (&before.config, &reading.config);
        self.terms = AllTerms::new(new);
        self.config = self.terms.general().settings.clone();
        let count = u32::try_from(new.max_sessions()).unwrap_or(u32::MAX);
        if let Err(error) = self.slots.resize(count) {
            warn!("reload: number of sessions unchanged: {error}");
        }
        if old.descriptor_users() < new.descriptor_users()
            && let Err(error) = daemon::raise_descriptor_limit(DescriptorNeed::of(new.descriptor_users()))
        {
            warn!("{error:#}: not all sessions may be possible");
        }
        if !old.pools().eq(new.pools()) {
            self.pool.set_pools(owned_pools(new));
        }
        self.mac_rules = new.limits.mac_rules.clone().with_console(self.policy.macs.clone());
        // They may have changed since they were read.
        self.mac_lists.notify_one();
        // Whoever reloads wants to see what holds now.
        self.secrets.names.forget();
        if old.secrets != new.secrets {
            self.secrets.replace(new.secrets.clone());
        }
        self.apply_to_interfaces(new, now);
        let rates = |config: &Config| (config.limits.control_rate, config.limits.frame_rate);
        if rates(old) != rates(new) {
            self.devices.set_rates(new);
        }
        if old.limits.heartbeat != new.limits.heartbeat {
            let open = self.table.iter().filter(|session| session.machine.opened().is_some());
            self.heartbeats.set_rhythm(new.limits.heartbeat, open.map(|session| session.token), now);
        }
        turns::set_limit(new.limits.stall_limit);
        self.pace.set_limits(new.limits.setups.into());
        self.waiting.set_patience(new.limits.setups.patience);
        if let Some(log) = &self.log {
            log.reopen(new);
            // What a console has set stays as long as the files say the same.
            if old.log_level.value != new.log_level.value {
                log.change(|levels| levels.level = logging::level(new.log_level.value));
            }
        }
        self.reloads.current = Arc::new(reading);
        self.reloads.unreadable = Arc::new(unreadable);
        // There may be more slots now.
        self.retry_waiting(now);
    }
}

impl Reread {
    fn cut_off(error: &tokio::task::JoinError) -> Self {
        let outcome = Err(vec![format!("the reading of the files was cut off: {error}")]);
        Self {
            outcome,
            remarks: Vec::new(),
            unreadable: Vec::new(),
            without_console: Vec::new(),
            reads: Reads::default(),
        }
    }
}

/// Runs where it may block.
fn read(source: &Source, current: &Reading, known: &[Entry], known_unreadable: &[String]) -> Reread {
    let console_file = &current.config.console_file;
    let ((config, notices), mut reads) = files::recorded(|| source.config());
    // Not read here: consoles have set what it says. But a start reads it, too.
    reads.extend(files::recorded(|| policy::read(console_file)).1);
    let mut remarks: Vec<String> =
        notices.iter().filter(|notice| !notice.is_mere_note()).map(ToString::to_string).collect();
    let config = match config {
        Ok(config) => config,
        Err(errors) => {
            let errors = errors.iter().map(ToString::to_string).collect();
            return Reread {
                outcome: Err(errors),
                remarks,
                unreadable: Vec::new(),
                without_console: Vec::new(),
                reads,
            };
        }
    };
    let without_console = without_console(source, &config);
    remarks.extend(hidden_edits(known, &without_console, &config.entries()));
    let (users, about_users) = source.users(&config, None);
    let unreadable = about_users.unreadable;
    remarks.extend(about_users.notices);
    // What could not be read before either is no mistake that this reload would make.
    let mut errors: Vec<String> =
        unreadable.iter().filter(|why| !known_unreadable.contains(why)).cloned().collect();
    errors.extend(check_discovery(&config).err());
    remarks.extend(unreadable.iter().filter(|why| known_unreadable.contains(why)).cloned());
    let outcome = match errors.is_empty() {
        true => {
            let reading = Reading { config, users };
            let changes = Changes::between(current, &reading);
            Ok((reading, changes))
        }
        false => Err(errors),
    };
    Reread { outcome, remarks, unreadable, without_console, reads }
}

/// The settings as files and flags have them. Empty if they make no configuration without what consoles have set; then
/// nothing is compared with them.
fn without_console(source: &Source, config: &Config) -> Vec<Entry> {
    if source.console().is_empty() {
        return config.entries();
    }
    let (config, _) = source.with_console(Layer::default()).config();
    config.map(|config| config.entries()).unwrap_or_default()
}

/// What was edited in files and does not hold, because a console has set the same.
fn hidden_edits(old: &[Entry], new: &[Entry], holding: &[Entry]) -> Vec<String> {
    fn find<'a>(entries: &'a [Entry], like: &Entry) -> Option<&'a Entry> {
        entries.iter().find(|entry| entry.key == like.key && entry.profile == like.profile)
    }
    let hidden = |entry: &&Entry| {
        find(holding, entry).is_some_and(|now| now.origin == Origin::Console)
            && find(old, entry).is_some_and(|before| before.value != entry.value)
    };
    let told = new.iter().filter(hidden).map(|entry| {
        let (key, value) = (&entry.key, &entry.value);
        let setting = match options::kind_of(key) {
            Some(_) if ServerKey::find(key).is_none() => format!("ppp.{key}"),
            _ => key.to_string(),
        };
        format!(
            "{}: {key} is {value} there now, but a console has set another value, which holds: unset config {setting}",
            entry.origin
        )
    });
    told.collect()
}

fn answer(asker: oneshot::Sender<Answer>, responses: Vec<Response>) {
    // Fails only when the client has hung up.
    let _ = asker.send(Answer::Whole(responses));
}

/// Answers when the hook scripts have been loaded as well, or not, which took its time beside the reading.
async fn answer_with_hooks(
    asker: oneshot::Sender<Answer>,
    mut responses: Vec<Response>,
    hooks: Option<oneshot::Receiver<HooksLoaded>>,
) {
    let mut changes = Vec::new();
    let remarks = match hooks {
        None => Vec::new(),
        Some(hooks) => match timeout(HOOKS_PATIENCE, hooks).await {
            Ok(Ok(Ok(reread))) => {
                changes = reread.changes;
                match reread.count {
                    0 => Vec::new(),
                    1 => vec!["1 hook script is loaded".to_owned()],
                    count => vec![format!("{count} hook scripts are loaded")],
                }
            }
            Ok(Err(_)) => Vec::new(),
            Ok(Ok(Err(errors))) => {
                let told = errors
                    .iter()
                    .map(|error| format!("keeping the previous hook scripts; cannot load: {error}"));
                told.collect()
            }
            Err(_) => {
                vec!["the hook scripts are still being loaded: pppctl hooks stats lists them".to_owned()]
            }
        },
    };
    add_changes(&mut responses, &changes);
    let told = responses.iter_mut().find_map(|response| match response {
        Response::Reloaded(summary) => Some(&mut summary.remarks),
        Response::Failed(Failure::BadFiles(mistakes)) => Some(mistakes),
        _ => None,
    });
    if let Some(told) = told {
        told.extend(lines(&remarks));
        told.truncate(MAX_LINES);
    }
    answer(asker, responses);
}

/// What is different beside the settings; when these were refused, it is told among the mistakes.
fn add_changes(responses: &mut Vec<Response>, changes: &[Change]) {
    let more = u32::try_from(changes.len()).unwrap_or(u32::MAX);
    let mut whole = false;
    for response in responses.iter_mut() {
        match response {
            Response::Reloaded(summary) => {
                summary.changes = summary.changes.saturating_add(more);
                whole = true;
            }
            Response::Failed(Failure::BadFiles(mistakes)) => {
                mistakes.extend(
                    changes.iter().map(|change| format!("{} has changed all the same", clean(&change.key))),
                );
            }
            _ => {}
        }
    }
    if whole {
        let end = responses.len().saturating_sub(1);
        let pieces = pieces(changes.iter().map(shown)).into_iter().map(Response::Changes);
        drop(responses.splice(end..end, pieces));
    }
}

fn failed(failure: Failure) -> Vec<Response> {
    vec![Response::Failed(failure)]
}

fn responses(changes: &Changes, keeping: &[u16], remarks: &[String], applied: bool) -> Vec<Response> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let summary = Summary {
        applied,
        changes: count(changes.count()),
        keeping: count(keeping.len()),
        keeping_ids: keeping.iter().copied().take(MAX_LISTED).collect(),
        remarks: lines(remarks),
    };
    let mut responses: Vec<Response> =
        pieces(changes.list.iter().map(shown)).into_iter().map(Response::Changes).collect();
    responses.push(Response::Reloaded(Box::new(summary)));
    responses
}

pub(super) fn shown(change: &Change) -> ipc::Change {
    let setting = |setting: &Option<Setting>| {
        setting
            .as_ref()
            .map(|setting| ipc::Setting { value: clean(&setting.value), origin: clean(&setting.origin) })
    };
    ipc::Change {
        key: clean(&change.key),
        old: setting(&change.old),
        new: setting(&change.new),
        effect: change.effect.into(),
    }
}

/// A setting for the log.
pub(super) fn in_words(setting: Option<&Setting>) -> String {
    setting.map_or_else(
        || "-".to_owned(),
        |setting| format!("{} ({})", clean(&setting.value), clean(&setting.origin)),
    )
}

#[cfg(test)]
mod tests {
    use ppp_ipc::codec;

    use super::*;

    #[test]
    fn the_longest_answer_fits_into_its_frames() {
        let long = "\u{7}é".repeat(1000);
        let setting = || Some(Setting { value: long.clone(), origin: long.clone() });
        let change = Change { key: long.clone(), old: setting(), new: setting(), effect: Effect::Now };
        let changes = Changes { list: vec![change; 256], more: usize::MAX, ..Changes::default() };
        let keeping: Vec<u16> = (1..=65534).collect();
        let remarks = vec![long; 1000];
        let responses = responses(&changes, &keeping, &remarks, true);
        assert!(responses.len() > 2, "{}", responses.len());
        for response in &responses {
            codec::encode(response).unwrap();
        }
        let Some(Response::Reloaded(summary)) = responses.last() else { panic!("{responses:?}") };
        assert_eq!((summary.changes, summary.keeping), (u32::MAX, 65534));
        assert_eq!((summary.keeping_ids.len(), summary.remarks.len()), (MAX_LISTED, MAX_LINES));
        assert_eq!(summary.remarks.last().map(String::as_str), Some("and 937 more"));
        codec::encode(&Response::Failed(Failure::BadFiles(lines(&remarks)))).unwrap();
    }
}
