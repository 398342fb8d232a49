//! Hooks: what the administrator's scripts are called for, and what follows from their answers.
//!
//! Scripts run in processes of their own (`crate::hooks`), each kept by a task (`hook_scripts`). Here is decided what is
//! called, in which order (`hook_pool`), and what comes of it. Nothing here waits: an answer comes as [`HookNews`].

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ppp_ipc::hooks::{Argument, Event, Function};
use ppp_proto::discovery::server::OfferRequest;
use pppoed_config::config::{self, Config};
use pppoed_config::flags::HookFailure;
use pppoed_config::policy::HooksOff;
use pppoed_state::hook_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use super::hook_auth::PendingAuth;
use super::hook_news::{Failed, HookNews, HostJob, HostOrder, Label, Outcome};
use super::hook_pool::{HostId, Lane, Pool};
use super::hook_scripts::{self, Loaded, Reread, ScriptSet};
use super::hook_stats::HookStats;
use super::reload::in_words;
use super::session::{AccessIndex, Token};
use super::{Supervisor, Work};
use crate::control;
use crate::message::HOOK_FAILED;
use crate::problems::{Part, Problems};
use crate::text::clean;
use crate::turns;

/// Orders that may wait for a host's task; it has one job at most.
const ORDER_QUEUE: usize = 4;
/// Time that hooks have to be finished when the next `pppoed` is to take over.
const LEAVE_TIME: Duration = Duration::from_secs(10);
/// Time that hosts have to end when the server does.
const FAREWELL: Duration = Duration::from_secs(3);

/// What is to be done with the answer.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Nothing.
    Tell,
    /// `auth`.
    Auth(Box<PendingAuth>),
    /// `padi`.
    Offer { access: AccessIndex, request: Box<OfferRequest> },
    /// `ip_pre_up`.
    PreUp(Token),
    /// `ip_up`.
    Up(Token),
    /// The session may go: its last hook has run.
    Farewell(Token),
    /// `server_stop`.
    Stop,
    /// A function of `every`.
    Every { file: u16 },
    /// Somebody tries a hook.
    Trial(oneshot::Sender<control::Answer>),
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) function: Function,
    pub(super) arguments: Vec<Argument>,
    pub(super) label: Label,
    pub(super) purpose: Purpose,
    /// Only in the file of this name.
    pub(super) only: Option<String>,
}

/// A call that runs.
#[derive(Debug)]
struct Running {
    purpose: Purpose,
    label: Label,
}

/// How far the server's own hooks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    NotYet,
    Asked,
    Done,
}

/// All about hooks.
#[derive(Debug)]
pub(super) struct Hooks {
    pub(super) config: config::Hooks,
    /// None: there are no scripts.
    pub(super) scripts: Option<Rc<ScriptSet>>,
    /// Those that consoles want not to be called.
    pub(super) off: HooksOff,
    pub(super) pool: Pool<Job>,
    hosts: BTreeMap<HostId, mpsc::Sender<HostOrder>>,
    running: BTreeMap<HostId, Running>,
    next_host: HostId,
    next_generation: u64,
    pub(super) next_trial: u64,
    pub(super) stats: HookStats,
    pub(super) store: Option<Store>,
    /// When the functions that were given to `every` are due.
    timers: Vec<Timer>,
    stopping: Stopping,
    /// When the next `pppoed` must not wait any longer.
    leave_by: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    due: Instant,
    interval: Duration,
    file: u16,
    number: u16,
}

/// Scripts that were loaded before there is a supervisor.
#[derive(Debug)]
pub struct HookScripts {
    loaded: Option<Loaded>,
    store: Option<Store>,
}

/// Loads the hook scripts, if there are any, in a hook host.
///
/// # Errors
/// All that is wrong with them, or with the store.
pub async fn load_hooks(config: &Config, problems: &mut Problems) -> Result<HookScripts, Vec<String>> {
    let hooks = &config.hooks;
    let loaded = match hook_scripts::load(&hooks.directory, hooks.memory_limit, hooks.leftovers, 0).await {
        Err(errors) if problems.has_sessions() => {
            let last =
                hook_scripts::load_last_good(&config.run_dir, hooks.memory_limit, hooks.leftovers).await;
            let instead = match &last {
                Some(_) => "those that were in use before go on",
                None => "none are called",
            };
            problems.add(Part::HookScripts, &format!("{instead}: {}", errors.join("; ")));
            last
        }
        loaded => {
            let loaded = loaded?;
            // Fails only when the runtime ends.
            let scripts = loaded.as_ref().map(|loaded| &*loaded.scripts);
            let _ = spawn_blocking(hook_scripts::keeping_last_good(&config.run_dir, scripts)).await;
            loaded
        }
    };
    let store = match loaded {
        Some(_) => Some(match Store::open(&hooks.store) {
            Err(error) if problems.has_sessions() => {
                let (store, what) = Store::salvage(&hooks.store);
                problems.add(Part::HookStore, &format!("{what}: {error}"));
                store
            }
            store => store.map_err(|error| vec![error])?,
        }),
        None => None,
    };
    Ok(HookScripts { loaded, store })
}

impl HookScripts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.loaded.is_none()
    }
}

impl Hooks {
    /// Whether there are scripts, which may use `tc` and whatever else.
    pub(super) fn may_run(&self) -> bool {
        self.scripts.is_some()
    }

    pub(super) fn new(config: config::Hooks) -> Self {
        Self {
            config,
            scripts: None,
            off: HooksOff::default(),
            pool: Pool::new(true),
            hosts: BTreeMap::new(),
            running: BTreeMap::new(),
            next_host: 0,
            next_generation: 1,
            next_trial: 0,
            stats: HookStats::default(),
            store: None,
            timers: Vec::new(),
            stopping: Stopping::NotYet,
            leave_by: None,
        }
    }

    /// Whether some script has a function for it.
    pub(super) fn has(&self, event: Event) -> bool {
        self.scripts.as_ref().is_some_and(|scripts| scripts.has(event, &self.off))
    }

    /// Whether a failure of a hook means a refusal.
    pub(super) fn deny_on_failure(&self) -> bool {
        self.config.failure == HookFailure::Deny
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let store = self.store.as_ref().and_then(Store::next_write);
        self.timers.iter().map(|timer| timer.due).chain(store).chain(self.leave_by).min()
    }

    /// Hosts that are kept running.
    pub(super) fn host_count(&self) -> usize {
        self.hosts.len()
    }

    fn set_timers(&mut self, now: Instant) {
        let Some(scripts) = &self.scripts else { return self.timers.clear() };
        let files = (0_u16..).zip(&scripts.files);
        let timers = files.flat_map(|(file, script)| {
            (0_u16..).zip(&script.report.every).map(move |(number, seconds)| {
                let interval = Duration::from_secs(u64::from(*seconds));
                Timer { due: now + interval, interval, file, number }
            })
        });
        self.timers = timers.collect();
    }
}

impl Supervisor {
    /// Has these scripts called from now on; to be called once. Only `server_start` is still to be asked for, by
    /// [`Supervisor::begin_hooks`].
    pub(super) fn set_hooks(&mut self, scripts: HookScripts) {
        let HookScripts { loaded, store } = scripts;
        self.hooks.store = store;
        let Some(loaded) = loaded else { return };
        if loaded.scripts.has(Event::ServerStart, &self.hooks.off) {
            self.hooks.pool = Pool::new(false);
        }
        self.use_scripts(Some(loaded), Instant::now());
    }

    /// The server is ready, with the sessions that it has taken over.
    pub(super) fn begin_hooks(&mut self) {
        self.call_server_hook(Event::ServerStart, Purpose::Tell);
    }

    /// Takes a set of scripts in place of the one before: hosts go over to it when they have done what they are doing.
    fn use_scripts(&mut self, loaded: Option<Loaded>, now: Instant) {
        let hooks = &mut self.hooks;
        let mut spare = None;
        hooks.scripts = loaded.map(|Loaded { scripts, host }| {
            spare = Some(host);
            scripts
        });
        hooks.set_timers(now);
        let Some(scripts) = hooks.scripts.clone() else {
            for orders in std::mem::take(&mut hooks.hosts).into_values() {
                let (gone, _) = oneshot::channel();
                let _ = orders.try_send(HostOrder::Stop(gone));
            }
            return self.drop_waiting_jobs(now);
        };
        let names: Vec<&str> = scripts.files.iter().map(|file| file.name.as_str()).collect();
        info!(scripts = names.join(" "), hosts = hooks.config.hosts, "hooks");
        for (id, orders) in &hooks.hosts {
            hooks.pool.host_is_away(*id);
            let _ = orders.try_send(HostOrder::Replace(scripts.clone()));
        }
        while hooks.hosts.len() < hooks.config.hosts {
            let (orders, queue) = mpsc::channel(ORDER_QUEUE);
            let id = hooks.next_host;
            hooks.next_host += 1;
            let task = hook_scripts::keep(id, scripts.clone(), spare.take(), queue, self.work.clone());
            turns::spawn("hooks", task);
            hooks.hosts.insert(id, orders);
        }
        if let Some(spare) = spare {
            turns::spawn("hooks", spare.end());
        }
    }

    /// There is nobody to run them any more: they are as if there had been no such functions.
    fn drop_waiting_jobs(&mut self, now: Instant) {
        for job in self.hooks.pool.take_waiting() {
            self.hook_answered(job.purpose, &Outcome::default(), now);
        }
    }

    /// Reads the scripts again. If they are not all good, those in use stay. `answer` gets how many there are.
    pub(super) fn reload_hooks(&mut self, answer: Option<oneshot::Sender<Result<Reread, Vec<String>>>>) {
        let generation = self.hooks.next_generation;
        self.hooks.next_generation += 1;
        let config = &self.hooks.config;
        let (directory, memory_limit, leftovers) =
            (config.directory.clone(), config.memory_limit, config.leftovers);
        let work = self.work.clone();
        turns::spawn("hooks", async move {
            let result = hook_scripts::load(&directory, memory_limit, leftovers, generation).await;
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Hook(HookNews::Reloaded { result, answer })).await;
        });
    }

    /// Tells what would be different if the scripts were loaded again.
    pub(super) fn compare_hooks(&mut self, answer: oneshot::Sender<Result<Reread, Vec<String>>>) {
        let (scripts, directory) = (self.hooks.scripts.clone(), self.hooks.config.directory.clone());
        turns::spawn("hooks", async move {
            // Fails only when nobody waits any more.
            let _ = answer.send(hook_scripts::compare(scripts, directory).await);
        });
    }

    /// Keeps the scripts that are in use for a start at which those of the directory do not load.
    pub(super) fn keep_hook_scripts(&mut self) {
        let keep = hook_scripts::keeping_last_good(self.adoption.run_dir(), self.hooks.scripts.as_deref());
        self.keeping.begin(keep);
    }

    fn hooks_reloaded(
        &mut self,
        result: Result<Option<Loaded>, Vec<String>>,
        now: Instant,
    ) -> Result<Reread, Vec<String>> {
        let loaded = result.inspect_err(|errors| {
            for error in errors {
                warn!(error, "keeping the previous hook scripts; cannot load");
            }
        })?;
        let generation = loaded.as_ref().map(|loaded| loaded.scripts.generation);
        let current = self.hooks.scripts.as_ref().map(|scripts| scripts.generation);
        if current > generation && generation.is_some() {
            // A later reload was quicker.
            let count = self.hooks.scripts.as_ref().map_or(0, |scripts| scripts.files.len());
            return Ok(Reread { count, changes: Vec::new() });
        }
        let (old, new) = (self.hooks.scripts.as_deref(), loaded.as_ref().map(|loaded| &*loaded.scripts));
        let changes = hook_scripts::differences(old, new, &self.hooks.config.directory);
        for change in &changes {
            let (key, old) = (clean(&change.key), change.old.as_ref());
            info!("reload: {key}: {} -> {}", in_words(old), in_words(change.new.as_ref()));
        }
        if loaded.is_some() && self.hooks.store.is_none() {
            self.hooks.store = Some(Store::open(&self.hooks.config.store).map_err(|error| vec![error])?);
        }
        self.use_scripts(loaded, now);
        self.keep_hook_scripts();
        self.mended(Part::HookScripts);
        // Whoever reloads has seen that entries are lost; what is there is good.
        self.mended(Part::HookStore);
        self.call_server_hook(Event::Reload, Purpose::Tell);
        let count = self.hooks.scripts.as_ref().map_or(0, |scripts| scripts.files.len());
        Ok(Reread { count, changes })
    }

    /// Has a function called when its turn comes. False, and `purpose` is not looked at, if no script has it.
    pub(super) fn call_hook(
        &mut self,
        lane: Lane,
        event: Event,
        arguments: Vec<Argument>,
        label: Label,
        purpose: Purpose,
    ) -> bool {
        if !self.hooks.has(event) {
            return false;
        }
        let job = Job { function: Function::Event(event), arguments, label, purpose, only: None };
        self.submit_hook(lane, job);
        true
    }

    pub(super) fn submit_hook(&mut self, lane: Lane, job: Job) {
        self.hooks.pool.submit(lane, job);
        self.drive_hooks(Instant::now());
    }

    /// Gives idle hosts what waits.
    fn drive_hooks(&mut self, now: Instant) {
        while let Some((host, _, job)) = self.hooks.pool.next() {
            let Job { function, arguments, label, purpose, only } = job;
            let hooks = &mut self.hooks;
            let file = match purpose {
                Purpose::Every { file } => Some(file),
                _ => None,
            };
            let calls = hooks.scripts.as_ref().map_or_else(Vec::new, |scripts| {
                scripts.plan(function, only.as_deref(), file, hooks.config.deadline, &hooks.off)
            });
            let show = matches!(purpose, Purpose::Trial(_));
            let order = HostOrder::Run(HostJob { calls, function, arguments, label: label.clone(), show });
            hooks.running.insert(host, Running { purpose, label });
            if hooks.hosts.get(&host).is_none_or(|orders| orders.try_send(order).is_err()) {
                // It is being stopped.
                self.hook_done(host, &Outcome::default(), now);
            }
        }
    }

    pub(super) fn handle_hook_news(&mut self, news: HookNews, now: Instant) {
        match news {
            HookNews::Ready { host, generation } => {
                let current = self.hooks.scripts.as_ref().map(|scripts| scripts.generation);
                if current == Some(generation) && self.hooks.hosts.contains_key(&host) {
                    self.hooks.pool.host_is_idle(host);
                }
            }
            HookNews::Done { host, outcome } => self.hook_done(host, &outcome, now),
            HookNews::Asked { question, file, answer } => {
                let reply = self.answer_hook(question, &file, now);
                // Fails only if the host was killed meanwhile.
                let _ = answer.send((reply, now.elapsed()));
            }
            HookNews::Reloaded { result, answer } => {
                let result = self.hooks_reloaded(result, now);
                if let Some(answer) = answer {
                    let _ = answer.send(result);
                }
            }
            HookNews::StoreWritten(result) => {
                if let Some(told) = self.hooks.store.as_mut().and_then(|store| store.written(result, now)) {
                    warn!("{told}");
                }
            }
        }
        self.drive_hooks(now);
    }

    fn hook_done(&mut self, host: HostId, outcome: &Outcome, now: Instant) {
        self.hooks.pool.done(host);
        let Some(Running { purpose, label }) = self.hooks.running.remove(&host) else { return };
        for call in &outcome.calls {
            self.hooks.stats.count(&label.function, call);
            self.tell_of_call(&label, call);
            self.repaired.count_many("hook", call.logged.repaired);
            if let Err(failed) = &call.result {
                log_failure(&call.file, &label, failed);
            }
        }
        self.hook_answered(purpose, outcome, now);
    }

    fn hook_answered(&mut self, purpose: Purpose, outcome: &Outcome, now: Instant) {
        match purpose {
            Purpose::Tell | Purpose::Every { .. } => {}
            Purpose::Auth(pending) => self.auth_hook_answered(*pending, outcome),
            Purpose::Offer { access, request } => self.offer_hook_answered(access, &request, outcome, now),
            Purpose::PreUp(token) => self.pre_up_hook_answered(token, outcome, now),
            Purpose::Up(token) => self.up_hook_answered(token),
            Purpose::Farewell(token) => self.release(token, now),
            Purpose::Stop => self.hooks.stopping = Stopping::Done,
            Purpose::Trial(answer) => super::hook_answers::answer_trial(answer, outcome),
        }
    }

    /// Calls a hook of the server.
    fn call_server_hook(&mut self, event: Event, purpose: Purpose) -> bool {
        let arguments = vec![Argument::Table(self.server_fields())];
        self.call_hook(Lane::Server, event, arguments, Label::new(event.as_str()), purpose)
    }

    pub(super) fn handle_hook_timeouts(&mut self, now: Instant) {
        let due: Vec<usize> = (0..)
            .zip(&self.hooks.timers)
            .filter(|(_, timer)| timer.due <= now)
            .map(|(index, _)| index)
            .collect();
        for index in due {
            let Some(timer) = self.hooks.timers.get_mut(index) else { continue };
            let Timer { file, number, interval, .. } = *timer;
            timer.due = now + interval;
            let lane = Lane::Every(file, number);
            // A run is left out while the one before it lasts.
            if !self.hooks.pool.is_known(lane) {
                let seconds = interval.as_secs();
                let job = Job {
                    function: Function::Every(number),
                    arguments: Vec::new(),
                    label: Label::new(&format!("every({seconds})#{number}")),
                    purpose: Purpose::Every { file },
                    only: None,
                };
                self.submit_hook(lane, job);
            }
        }
        if let Some(writing) = self.hooks.store.as_mut().and_then(|store| store.begin_writing(now)) {
            let work = self.work.clone();
            turns::spawn("hooks", async move {
                let written = tokio::task::spawn_blocking(move || writing.carry_out()).await;
                let result = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                let _ = work.send(Work::Hook(HookNews::StoreWritten(result))).await;
            });
        }
    }

    /// Whether the event loop may end: after `server_stop`, which this has called when nothing else is left to do.
    pub(super) fn hooks_are_done(&mut self) -> bool {
        if self.is_leaving {
            // What is under way is to be finished here, and nothing ends: sessions go on.
            let leave_by = *self.hooks.leave_by.get_or_insert_with(|| Instant::now() + LEAVE_TIME);
            return self.hooks.pool.is_empty() || leave_by <= Instant::now();
        }
        match self.hooks.stopping {
            Stopping::Done => true,
            Stopping::Asked => false,
            Stopping::NotYet => {
                self.hooks.stopping = Stopping::Asked;
                if !self.call_server_hook(Event::ServerStop, Purpose::Stop) {
                    self.hooks.stopping = Stopping::Done;
                }
                self.hooks.stopping == Stopping::Done
            }
        }
    }

    /// Ends all hosts and writes the store, after the event loop.
    pub(super) async fn stop_hooks(&mut self) {
        let mut gone = Vec::new();
        for orders in std::mem::take(&mut self.hooks.hosts).into_values() {
            let (answer, ended) = oneshot::channel();
            if orders.try_send(HostOrder::Stop(answer)).is_ok() {
                gone.push(ended);
            }
        }
        let all = async {
            for ended in gone {
                // It is dropped, not answered.
                let _ = ended.await;
            }
        };
        if timeout(FAREWELL, all).await.is_err() {
            warn!("hook host does not exit");
        }
        if let Some(writing) = self.hooks.store.as_ref().and_then(Store::last_writing)
            && let Err(error) = writing.carry_out()
        {
            let path: &Path = &self.hooks.config.store;
            warn!(path = %path.display(), %error, "cannot write the hook store");
        }
    }
}

fn log_failure(file: &str, label: &Label, failed: &Failed) {
    let Label { function, session, ifname, username, peer_mac } = label;
    // With its traceback in one event; the lines are the script's own and those of Lua.
    let reason = failed.to_string().replace('\n', " | ").replace('\t', "");
    warn!(
        name: HOOK_FAILED.name,
        file, hook = function, session, ifname, username, peer_mac, reason, "{}", HOOK_FAILED.words
    );
}
