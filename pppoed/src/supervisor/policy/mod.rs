//! What consoles change in the configuration that runs: lists, users, hooks at once; settings through the same layers,
//! comparison and application as a reload.
//!
//! Files are read again for a setting, as its value is put together with theirs. What has changed in them meanwhile must not
//! come in through this door: then the change is refused until there was a reload.

mod keep;
mod known;
mod touch;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ppp_ipc::codec::pieces;
use ppp_ipc::control::{EventName, Failure, Response};
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{PolicyChange, PolicyRequest, PolicySummary, Sessions};
use ppp_wire::escape::harmless;
use pppoed_config::config::{Change, Changes, Config, Effect, Layer, Reading, Setting, Source};
use pppoed_config::mac_list::ConsoleMacs;
use pppoed_config::policy::{By, Key, Lists, Policy, Refusal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tracing::info;

use self::known::{Asked, KnownUsers};
use self::touch::Touched;
use super::reload::{in_words, shown};
use super::setup::check_discovery;
use super::{Supervisor, Work};
use crate::control::{Answer, Caller};
use crate::text::{clean, lines};
use crate::turns;

/// What consoles have set, and what follows from it.
pub(super) struct Policies {
    pub(super) current: Policy,
    /// Stations on its lists.
    pub(super) macs: ConsoleMacs,
    /// Addresses of its users.
    pub(super) addresses: Arc<BTreeMap<Ipv4Addr, Name>>,
    /// The console file.
    pub(super) file: PathBuf,
    /// One `write` at a time.
    writing: Arc<Semaphore>,
}

impl Policies {
    pub(super) fn new(policy: Policy, file: PathBuf) -> Self {
        let mut new = Self {
            current: Policy::default(),
            macs: ConsoleMacs::default(),
            addresses: Arc::default(),
            file,
            writing: Arc::new(Semaphore::new(1)),
        };
        new.set(policy);
        new
    }

    fn set(&mut self, policy: Policy) {
        self.macs = policy.macs();
        let addresses = policy.addresses().map(|(address, name)| (address, name.clone()));
        self.addresses = Arc::new(addresses.collect());
        self.current = policy;
    }
}

/// A change that waits for files to be read.
#[derive(Debug)]
pub(super) struct Pending {
    request: PolicyRequest,
    caller: Caller,
    answer: oneshot::Sender<Answer>,
    /// What files say about its users.
    known: KnownUsers,
    /// The settings of consoles that the files were read with.
    layer: Layer,
}

/// The configuration with a change, and what is different then.
type Compared = Result<(Config, Changes), Failure>;

/// What comes of a reading for a change.
#[derive(Debug)]
pub(super) enum News {
    /// Everything was read, well or badly.
    Read(Box<(Pending, Compared)>),
    /// It had taken too long, and has ended.
    Over,
    /// The files were asked about the users of a change.
    Known(Box<Asked>),
}

impl Supervisor {
    /// Makes a change, or only tells what it would touch.
    pub(super) fn change_policy(
        &mut self,
        request: PolicyRequest,
        caller: Caller,
        answer: oneshot::Sender<Answer>,
        now: Instant,
    ) {
        match self.policy_after(&request, caller) {
            Ok(new) => {
                let asked = Asked { request, caller, answer, known: KnownUsers::default() };
                self.ask_about_users(asked, &new, now);
            }
            Err(failure) => fail(answer, failure),
        }
    }

    /// The users of the change are known, as far as files know them.
    fn go_on(&mut self, asked: Asked, now: Instant) {
        let Asked { request, caller, answer, known } = asked;
        // Other consoles may have changed something meanwhile.
        let new = match self.policy_after(&request, caller) {
            Ok(new) => new,
            Err(failure) => return fail(answer, failure),
        };
        let layer = new.layer();
        if layer.is_same_as(&self.policy.current.layer()) {
            let reply = self.finish_change(&request, caller, new, None, &known, now);
            // Fails, here and below, only when the client has hung up, or the supervisor is gone.
            let _ = answer.send(reply);
            return;
        }
        if !self.reloads.begin() {
            return fail(answer, Failure::Busy("files are being read already".to_owned()));
        }
        let (source, current) = (self.reloads.source.clone(), self.reloads.current.clone());
        let mac_rules = self.mac_rules.clone();
        let deadline = current.config.limits.reload_deadline;
        let work = self.work.clone();
        let pending = Pending { request, caller, answer, known, layer: layer.clone() };
        turns::spawn("policy", async move {
            let mut reading = tokio::task::spawn_blocking(move || {
                let mut running = current.config.clone();
                running.limits.mac_rules = mac_rules;
                compare(&running, &source, layer)
            });
            let read = match timeout(deadline, &mut reading).await {
                Ok(read) => read.unwrap_or_else(|error| Err(Failure::Busy(error.to_string()))),
                Err(_) => {
                    let why = format!(
                        "reading the files takes longer than {} s (--reload-deadline); nothing was changed",
                        deadline.as_secs()
                    );
                    fail(pending.answer, Failure::Busy(why));
                    // The thread cannot be stopped, and a second one would only wait for the same disk.
                    let _ = reading.await;
                    let _ = work.send(Work::Policy(News::Over)).await;
                    return;
                }
            };
            let _ = work.send(Work::Policy(News::Read(Box::new((pending, read))))).await;
        });
    }

    pub(super) fn handle_policy(&mut self, news: News, now: Instant) {
        let read = match news {
            News::Known(asked) => return self.go_on(*asked, now),
            News::Read(read) => Some(read),
            News::Over => None,
        };
        self.reloads.end();
        if let Some(read) = read {
            let (Pending { request, caller, answer, known, layer }, read) = *read;
            let done = read.and_then(|read| {
                // Lists may have changed meanwhile; settings have not, as files are read for one change at a time.
                let new = self.policy_after(&request, caller)?;
                if !new.layer().is_same_as(&layer) {
                    return Err(Failure::Busy("another console has changed it meanwhile".to_owned()));
                }
                let (config, changes) = read;
                let users = self.reloads.current.users.clone();
                let reading = Reading { config, users };
                if let Some(conflict) = self.conflict(&reading) {
                    return Err(Failure::Refused(conflict));
                }
                Ok(self.finish_change(&request, caller, new, Some((reading, changes)), &known, now))
            });
            match done {
                Ok(reply) => _ = answer.send(reply),
                Err(failure) => fail(answer, failure),
            }
        }
        self.reload_again();
    }

    fn policy_after(&self, request: &PolicyRequest, caller: Caller) -> Result<Policy, Failure> {
        let Config { services, interfaces, patterns, .. } = &self.reloads.current.config;
        let services = services.iter().map(|name| Name::new(name.as_slice())).collect();
        let interfaces = interfaces.iter().chain(patterns).cloned().collect();
        let now = Lists { services, interfaces };
        let changed = self.policy.current.changed(&request.change, &now, By::now(caller.uid));
        let refused = |why: Refusal| Failure::Refused(clean(&why.to_string()));
        let new = changed.map_err(refused)?;
        if let PolicyChange::SetUser { name, .. } = &request.change
            && let Some(address) = new.user(name.as_bytes()).address
            && self.pool.is_ours(address)
        {
            return Err(refused(Refusal::OwnAddress(address)));
        }
        Ok(new)
    }

    /// Everything was found good.
    fn finish_change(
        &mut self,
        request: &PolicyRequest,
        caller: Caller,
        new: Policy,
        settings: Option<(Reading, Changes)>,
        users: &KnownUsers,
        now: Instant,
    ) -> Answer {
        let old = self.policy.current.clone();
        let mut changes = settings.as_ref().map_or_else(Changes::default, |(_, changes)| changes.clone());
        let general = &self.reloads.current.config.session;
        changes.add(entry_changes(&old, &new, |name, option| known::of_files(users, general, name, option)));
        let mut remarks = Vec::new();
        self.remark_on_users(&request.change, users, &mut remarks);
        let is_same = new.says_the_same(&old);
        if changes.is_empty() && !is_same {
            let is_asked_for =
                |(reading, _): &(Reading, Changes)| !reading.config.auth_methods.value.is_empty();
            let remark = match &request.change {
                PolicyChange::Set { key, .. }
                    if key.trim_start_matches("ppp.") == "noauth"
                        && settings.as_ref().is_some_and(is_asked_for) =>
                {
                    "clients must still prove who they are, as require-chap or require-pap is set: set config auth none"
                }
                _ => "the value is what it was; from now on it stays so whatever files say",
            };
            remarks.push(remark.to_owned());
        }
        self.remark_on_hooks(&new, &mut remarks);
        if let Some((reading, _)) = &settings {
            self.remark_on_interfaces(&reading.config, &mut remarks);
        }
        let touched = self.touched(request, &old, &new, settings.as_ref());
        let summary = PolicySummary {
            applied: !request.dry_run,
            changes: u32::try_from(changes.count()).unwrap_or(u32::MAX).max(u32::from(!is_same)),
            keeping: Sessions::new(&touched.keeping),
            denied: Sessions::new(&touched.denied),
            ending: Sessions::new(&touched.ending),
            rates: Sessions::new(&touched.rates),
            remarks: lines(&remarks),
        };
        if !request.dry_run {
            self.tell_policy(request, caller, &changes, &touched);
            self.take_policy(new, settings.map(|(reading, _)| reading), &touched, caller, now);
        }
        let mut responses: Vec<Response> =
            pieces(changes.list.iter().map(shown)).into_iter().map(Response::Changes).collect();
        responses.push(Response::PolicyChanged(Box::new(summary)));
        Answer::Whole(responses)
    }

    fn tell_policy(&mut self, request: &PolicyRequest, caller: Caller, changes: &Changes, touched: &Touched) {
        for Change { key, old, new, effect } in &changes.list {
            let (key, old, new) = (clean(key), in_words(old.as_ref()), in_words(new.as_ref()));
            let when = if *effect == Effect::NewSessions { ", for new sessions" } else { "" };
            info!(uid = caller.uid, pid = caller.pid, "console: {key}: {old} -> {new}{when}");
        }
        let command = harmless(&request.change.to_string()).into_owned();
        info!(
            uid = caller.uid,
            pid = caller.pid,
            command,
            changes = changes.count(),
            sessions_with_old_values = touched.keeping.len(),
            sessions_denied = touched.denied.len() + touched.ending.len(),
            "the configuration was changed from the console"
        );
        self.events.by_console(EventName::Config, caller, &command);
    }

    /// Makes it what holds. Nothing here fails.
    fn take_policy(
        &mut self,
        new: Policy,
        reading: Option<Reading>,
        touched: &Touched,
        caller: Caller,
        now: Instant,
    ) {
        let old = std::mem::take(&mut self.policy.current);
        self.reloads.set_console(new.layer());
        self.hooks.off = new.hooks_off();
        self.policy.set(new);
        if let Some(reading) = reading {
            let unreadable = self.reloads.unreadable.as_ref().clone();
            self.apply(reading, unreadable, now);
        }
        self.mac_rules = self.mac_rules.clone().with_console(self.policy.macs.clone());
        self.set_rates_of_users(&old, now);
        self.end_denied(&touched.ending, caller, now);
    }

    /// What is lost with the interfaces that are no longer served.
    fn remark_on_interfaces(&self, config: &Config, remarks: &mut Vec<String>) {
        let Config { interfaces, patterns, .. } = &self.reloads.current.config;
        let is_served = |name: &&String| config.interfaces.contains(name) || config.patterns.contains(name);
        for name in interfaces.iter().chain(patterns).filter(|name| !is_served(name)) {
            let sessions = self.table.iter().filter(|session| {
                !session.machine.is_ending()
                    && !config.serves(&session.access_name)
                    && NamePattern::from_text(name).matches(&session.access_name)
            });
            remarks.push(format!(
                "{name} is served no longer: nobody gets a new session there; sessions that go on there: {}",
                sessions.count()
            ));
        }
    }

    fn remark_on_hooks(&self, new: &Policy, remarks: &mut Vec<String>) {
        let files = self.hooks.scripts.iter().flat_map(|scripts| &scripts.files);
        let names: Vec<&str> = files.map(|file| file.name.as_str()).collect();
        let unknown = new.hooks_off().files.into_iter().filter(|off| !names.contains(&off.as_str()));
        remarks.extend(unknown.map(|off| format!("there is no hook script {off:?} in use now")));
    }
}

/// The configuration with other settings of consoles, and what is different then. Runs where it may block.
fn compare(running: &Config, source: &Source, layer: Layer) -> Compared {
    let bad = |errors: Vec<String>| Failure::BadFiles(lines(&errors));
    let texts =
        |errors: Vec<pppoed_config::config::ConfigError>| errors.iter().map(ToString::to_string).collect();
    let before = source.config().0.map_err(|errors| bad(texts(errors)))?;
    let layer_after = layer.clone();
    let after = source.with_console(layer).config().0.map_err(|errors| bad(texts(errors)))?;
    check_discovery(&after).map_err(|error| bad(vec![error]))?;
    // Lists of MAC addresses are read by themselves.
    let with_rules = |mut config: Config| {
        config.limits.mac_rules = running.limits.mac_rules.clone();
        config
    };
    let (before, after) = (with_rules(before), with_rules(after));
    if after.pool.is_empty() && source_sizes_default_pool(&layer_after) {
        return Err(Failure::Refused(
            "sessions is the size of the default pool, and every interface has a pool of its own: set the addresses of the \
             pools in pppoed.toml, or sessions-per-interface"
                .to_owned(),
        ));
    }
    let drift = Changes::of_settings(running, &before);
    if let Some(change) = drift.list.iter().find(|change| change.effect != Effect::Restart) {
        return Err(Failure::Refused(format!(
            "files have changed since they were read ({}): `reload` first, or see `show config --diff`",
            clean(&change.key)
        )));
    }
    let changes = Changes::of_settings(&before, &after);
    if let Some(change) = changes.list.iter().find(|change| change.effect == Effect::Restart) {
        return Err(Failure::Refused(format!(
            "{} changes only when pppoed is started again: set it in pppoed.toml or on the command line, and restart \
             (sessions go on)",
            clean(&change.key)
        )));
    }
    Ok((after, changes))
}

/// Whether a console has set how many sessions the default pool is for.
fn source_sizes_default_pool(layer: &Layer) -> bool {
    layer.server.iter().any(|setting| setting.key == "sessions")
}

/// What is different of lists, users and hooks; `of_files` knows the options of a user that no console has set.
pub(super) fn entry_changes(
    old: &Policy,
    new: &Policy,
    of_files: impl Fn(&Name, &str) -> Option<Setting>,
) -> Vec<Change> {
    let of = |policy: &Policy| -> BTreeMap<Key, String> {
        let others = policy.entries().filter(|(key, _)| !matches!(key, Key::Setting(_) | Key::Option(_)));
        others.map(|(key, entry)| (key.clone(), value(key, entry))).collect()
    };
    let (before, after) = (of(old), of(new));
    let setting = |value: &String| Setting { value: value.clone(), origin: "console".to_owned() };
    let keys: std::collections::BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    let without = |key: &Key| match key {
        Key::User { name, option } => of_files(name, option),
        _ => None,
    };
    changed
        .map(|key| Change {
            key: key.to_string(),
            old: before.get(key).map(setting).or_else(|| without(key)),
            new: after.get(key).map(setting).or_else(|| without(key)),
            effect: match key {
                Key::User { option, .. } if !option.starts_with("rate-") => Effect::NewSessions,
                _ => Effect::Now,
            },
        })
        .collect()
}

/// What an entry says, without what it is about.
fn value(key: &Key, entry: &pppoed_config::policy::Entry) -> String {
    match key {
        Key::HookOff(_) => "disabled".to_owned(),
        _ => entry.values.join(" "),
    }
}

fn fail(answer: oneshot::Sender<Answer>, failure: Failure) {
    let _ = answer.send(Response::Failed(failure).into());
}
