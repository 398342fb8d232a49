//! The scripts that are in use, and the tasks that keep a host running each.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ppp_ipc::hooks::{Call, Event, FileReport, Function};
use ppp_wire::escape::harmless;
use pppoed_config::config::{Change, Effect, Setting};
use pppoed_config::files;
use pppoed_config::hook_scripts::{self, Script};
use pppoed_config::policy::HooksOff;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::Work;
use super::hook_news::{CallOutcome, Failed, HookNews, HostJob, HostOrder, Logged, Outcome, PlannedCall};
use super::hook_pool::HostId;
use super::hook_process::{CallEnd, HostProcess, HostRecipe};
use crate::last_good;

/// Time until the start of a host is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time of a call that nobody waits for, unless its file asks for more: as long as a file may ask for.
const LONGEST_RUN: Duration = Duration::from_secs(600);

/// A set of scripts that load.
#[derive(Debug)]
pub(super) struct ScriptSet {
    /// A number that no other set has.
    pub(super) generation: u64,
    pub(super) files: Vec<ScriptFile>,
    recipe: HostRecipe,
    texts: Vec<Script>,
}

#[derive(Debug)]
pub(super) struct ScriptFile {
    /// Without its directory.
    pub(super) name: String,
    pub(super) report: FileReport,
    /// What tells its text from others.
    version: Version,
}

/// A number that the text of a script makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version(u64);

impl Version {
    fn of(script: &Script) -> Self {
        let mut hasher = DefaultHasher::new();
        script.text.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What came of reading the scripts again.
#[derive(Debug)]
pub(super) struct Reread {
    /// How many there are now.
    pub(super) count: usize,
    /// Which of them are new, gone or others.
    pub(super) changes: Vec<Change>,
}

/// What is different between two lists of scripts, by name.
fn changes(
    old: impl Iterator<Item = (String, Version)>,
    new: impl Iterator<Item = (String, Version)>,
    directory: &Path,
) -> Vec<Change> {
    let mut all: BTreeMap<String, (Option<Version>, Option<Version>)> = BTreeMap::new();
    old.for_each(|(name, version)| all.entry(name).or_default().0 = Some(version));
    new.for_each(|(name, version)| all.entry(name).or_default().1 = Some(version));
    let setting = |name: &str, version: Option<Version>| {
        version.map(|Version(number)| Setting {
            value: format!("version {:08x}", number >> 32),
            origin: directory.join(name).display().to_string(),
        })
    };
    let different = all.into_iter().filter(|(_, (old, new))| old != new);
    different
        .map(|(name, (old, new))| Change {
            key: format!("hook script {name}"),
            old: setting(&name, old),
            new: setting(&name, new),
            effect: Effect::Now,
        })
        .collect()
}

fn versions(set: Option<&ScriptSet>) -> Vec<(String, Version)> {
    let files = set.into_iter().flat_map(|set| &set.files);
    files.map(|file| (file.name.clone(), file.version)).collect()
}

/// What is different in `new`.
pub(super) fn differences(old: Option<&ScriptSet>, new: Option<&ScriptSet>, directory: &Path) -> Vec<Change> {
    changes(versions(old).into_iter(), versions(new).into_iter(), directory)
}

/// What would be different, were the scripts of `directory` loaded in place of `old`.
///
/// # Errors
/// When they cannot be read.
pub(super) async fn compare(old: Option<Rc<ScriptSet>>, directory: PathBuf) -> Result<Reread, Vec<String>> {
    let path = directory.clone();
    let reading = tokio::task::spawn_blocking(move || hook_scripts::scripts(&path));
    let scripts = match reading.await {
        Ok(scripts) => scripts.map_err(|error| vec![error.to_string()])?,
        Err(error) => return Err(vec![format!("reading the hook scripts was cut off: {error}")]),
    };
    let new = scripts.iter().map(|script| (script.name.clone(), Version::of(script)));
    let changes = changes(versions(old.as_deref()).into_iter(), new, &directory);
    Ok(Reread { count: 0, changes })
}

/// Directory below the run directory with the scripts that loaded last.
const LAST_GOOD: &str = "last-good-hooks";

/// The scripts that loaded last, if they still do.
pub(super) async fn load_last_good(
    run_dir: &Path,
    memory_limit: u64,
    leftovers: Option<Duration>,
) -> Option<Loaded> {
    load(&run_dir.join(LAST_GOOD), memory_limit, leftovers, 0).await.ok().flatten()
}

/// What keeps these scripts for a start at which those of the directory do not load, in place of those before. May block.
pub(super) fn keeping_last_good(
    run_dir: &Path,
    scripts: Option<&ScriptSet>,
) -> impl FnOnce() + Send + 'static {
    let directory = run_dir.join(LAST_GOOD);
    let scripts = scripts.map_or_else(Vec::new, |scripts| scripts.texts.clone());
    move || {
        let kept = last_good::replace_directory(&directory, |beside| {
            scripts.iter().try_for_each(|script| files::replace(&beside.join(&script.name), &script.text))
        });
        if let Err(error) = kept {
            debug!(%error, "the hook scripts are not kept");
        }
    }
}

/// Forgets them: there are no sessions.
pub(super) fn forget_last_good(run_dir: &Path) {
    last_good::forget_directory(&run_dir.join(LAST_GOOD));
}

/// A set, and the host that has shown that it loads.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) scripts: Rc<ScriptSet>,
    pub(super) host: HostProcess,
}

/// Reads the scripts of a directory, and loads them in a host. `None` when there are none.
///
/// # Errors
/// All that is wrong, with file and line.
pub(super) async fn load(
    directory: &Path,
    memory_limit: u64,
    leftovers: Option<Duration>,
    generation: u64,
) -> Result<Option<Loaded>, Vec<String>> {
    let path = directory.to_owned();
    let reading = tokio::task::spawn_blocking(move || hook_scripts::scripts(&path));
    let scripts = match reading.await {
        Ok(scripts) => scripts.map_err(|error| vec![error.to_string()])?,
        Err(error) => return Err(vec![format!("reading the hook scripts was cut off: {error}")]),
    };
    if scripts.is_empty() {
        return Ok(None);
    }
    let recipe = HostRecipe::new(&scripts, memory_limit, leftovers).map_err(|error| vec![error])?;
    let (host, reports) =
        HostProcess::start(&recipe).await.map_err(super::hook_process::NotStarted::into_messages)?;
    let files = scripts.iter().zip(reports).map(|(script, report)| ScriptFile {
        version: Version::of(script),
        name: script.name.clone(),
        report,
    });
    let files = files.collect();
    Ok(Some(Loaded { scripts: Rc::new(ScriptSet { generation, files, recipe, texts: scripts }), host }))
}

impl ScriptSet {
    /// Whether some file has a function for it, and is not `off`.
    pub(super) fn has(&self, event: Event, off: &HooksOff) -> bool {
        self.files.iter().any(|file| off.calls(&file.name) && file.report.events.contains(&event))
    }

    /// The calls that a function needs: of all files that have it and are not `off`, or of `only` one of this name.
    pub(super) fn plan(
        &self,
        function: Function,
        only: Option<&str>,
        file: Option<u16>,
        deadline: Duration,
        off: &HooksOff,
    ) -> Vec<PlannedCall> {
        let has = |report: &FileReport| match function {
            Function::Event(event) => report.events.contains(&event),
            Function::Every(number) => usize::from(number) < report.every.len(),
        };
        let files = (0_u16..).zip(&self.files);
        files
            .filter(|(index, _)| file.is_none_or(|file| file == *index))
            .filter(|(_, file)| off.calls(&file.name))
            .filter(|(_, file)| only.is_none_or(|name| name == file.name) && has(&file.report))
            .map(|(index, file)| PlannedCall {
                file: index,
                deadline: time_for(&file.report, function, deadline),
            })
            .collect()
    }
}

/// Time that a call has: what the file asks for, else the general time. What is called every so often, and waited for by
/// nobody, has half of its interval, if that is more: its work grows with the number of sessions.
fn time_for(report: &FileReport, function: Function, general: Duration) -> Duration {
    if let Some(seconds) = report.deadline {
        return Duration::from_secs(u64::from(seconds));
    }
    let interval = match function {
        Function::Every(number) => report.every.get(usize::from(number)),
        Function::Event(_) => None,
    };
    let half = interval.map_or(Duration::ZERO, |seconds| Duration::from_secs(u64::from(*seconds)) / 2);
    general.max(half.min(LONGEST_RUN))
}

/// Keeps one host running: starts it, gives it its jobs, replaces it when it fails or there are other scripts.
pub(super) async fn keep(
    id: HostId,
    mut scripts: Rc<ScriptSet>,
    mut host: Option<HostProcess>,
    mut orders: mpsc::Receiver<HostOrder>,
    work: mpsc::Sender<Work>,
) {
    loop {
        let running = match host.take() {
            Some(running) => running,
            None => match HostProcess::start(&scripts.recipe).await {
                Ok((running, _)) => running,
                Err(why) => {
                    let why = why.into_messages().join("; ");
                    warn!(reason = why, "cannot start a hook host; hooks are waiting");
                    // It has told nobody that it is ready, so there is no job for it.
                    match timeout(RETRY_INTERVAL, orders.recv()).await {
                        Err(_) | Ok(Some(HostOrder::Run(_))) => {}
                        Ok(Some(HostOrder::Replace(others))) => scripts = others,
                        Ok(Some(HostOrder::Stop(_)) | None) => return,
                    }
                    continue;
                }
            },
        };
        // Fails only when the supervisor is gone.
        let _ = work.send(Work::Hook(HookNews::Ready { host: id, generation: scripts.generation })).await;
        let order = tokio::select! {
            order = orders.recv() => order,
            () = running.ended() => {
                warn!(end = running.end().await, "hook host exited unexpectedly; restarting it");
                continue;
            }
        };
        match order {
            Some(HostOrder::Run(job)) => {
                let (outcome, kept) = run(&scripts, running, job, &work).await;
                host = kept;
                let _ = work.send(Work::Hook(HookNews::Done { host: id, outcome })).await;
            }
            Some(HostOrder::Replace(others)) => {
                running.end().await;
                scripts = others;
            }
            Some(HostOrder::Stop(_)) | None => {
                running.end().await;
                return;
            }
        }
    }
}

/// Makes the calls of a job. The host is replaced on the way if one of them takes it down; `None` if the last one did.
async fn run(
    scripts: &ScriptSet,
    host: HostProcess,
    job: HostJob,
    work: &mpsc::Sender<Work>,
) -> (Outcome, Option<HostProcess>) {
    let mut outcome = Outcome::default();
    let mut host = Some(host);
    let HostJob { calls, function, arguments, label, show } = job;
    for PlannedCall { file, deadline } in calls {
        let name = scripts.files.get(usize::from(file)).map_or("", |file| file.name.as_str());
        let begun = Instant::now();
        let mut running = match host.take() {
            Some(running) => running,
            None => match HostProcess::start(&scripts.recipe).await {
                Ok((running, _)) => running,
                Err(why) => {
                    let failed = Failed::NoHost(why.into_messages().join("; "));
                    outcome.calls.push(CallOutcome {
                        file: name.to_owned(),
                        took: begun.elapsed(),
                        result: Err(failed),
                        shown: None,
                        logged: Logged::default(),
                    });
                    continue;
                }
            },
        };
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let call = Call { file, function, arguments: arguments.clone(), deadline_ms, show };
        let begun = Instant::now();
        let mut logged = Logged::default();
        let end = running.call(call, name, &label, work, &mut logged).await;
        let took = begun.elapsed();
        let (result, shown) = match end {
            CallEnd::Returned(returned) => {
                match returned.is_worn {
                    true => drop(running.end().await),
                    false => host = Some(running),
                }
                let failed = |error: ppp_ipc::hooks::CallError| match error.is_nonsense {
                    true => Failed::Nonsense(harmless_lines(&error.message)),
                    false => Failed::Error(harmless_lines(&error.message)),
                };
                (returned.result.map_err(failed), returned.shown)
            }
            CallEnd::TimedOut { place } => {
                running.end().await;
                (Err(Failed::TimedOut { deadline, place }), None)
            }
            CallEnd::Broken(why) => {
                let end = running.end().await;
                (Err(Failed::HostEnded(format!("{why} (it {end})"))), None)
            }
        };
        let call = CallOutcome { file: name.to_owned(), took, result, shown, logged };
        let is_final = call.is_final();
        outcome.calls.push(call);
        if is_final {
            break;
        }
    }
    (outcome, host)
}

/// A message and its traceback, which a script may have put a peer's name into.
fn harmless_lines(text: &str) -> String {
    text.replace('\t', " ").split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}
