//! `pppoed`: a PPPoE access concentrator.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser as _;
use ppp_wire::causes::chain;
use pppoed::check;
use pppoed::control::{self, Answers, Consoles};
use pppoed::daemon::{self, DescriptorNeed, PidFile, Readiness};
use pppoed::first_run;
use pppoed::logging::{self, LogHandle, LogSettings};
use pppoed::message::{SERVER_READY, SERVER_STOPPED};
use pppoed::oom;
use pppoed::preflight::{self, Findings};
use pppoed::problems::{Part, Problems};
use pppoed::startup::{self, Failure, Startup};
use pppoed::supervisor::{self, KeptConfiguration, Signal};
use pppoed::systemd;
use pppoed::threads;
use pppoed::turns;
use pppoed_config::config::{CommandLine, Config, ConfigError, DEFAULT_HOOKS_DIRECTORY, Notice, Source};
use pppoed_config::import::{self, ImportFlags};
use pppoed_config::policy::Policy;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tracing::{debug, info, warn};

/// Exit status for mistakes on the command line and in files, as clap has it.
const EXIT_USAGE: u8 = 2;

/// What the server is made of.
struct Supply {
    source: Source,
    policy: Policy,
    problems: Problems,
    kept: KeptConfiguration,
}

fn main() -> ExitCode {
    if let Err(error) = daemon::keep_memory_private() {
        eprintln!("pppoed: cannot keep its memory private: {error:#}");
        return ExitCode::FAILURE;
    }
    if let Some(code) = pppoed_hooks::run_if_asked() {
        return code;
    }
    let readiness = Readiness::from_environment();
    if std::env::args_os().nth(1).is_some_and(|word| word == "import") {
        return import_files();
    }
    let words: Vec<OsString> = words().collect();
    let check = CommandLine::try_parse_from(&words).map(|line| line.flags().hooks.check_hooks.clone());
    if let Some(paths) = check.ok().filter(|paths| !paths.is_empty()) {
        return check_hooks(&paths);
    }
    let directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let (startup, problems) = match startup::settle(&words) {
        Ok(settled) => settled,
        Err(failure) => return give_up(failure),
    };
    let Startup { source, policy, config, notices, reads } = startup;
    let kept = KeptConfiguration { words, directory, reads };
    let flags = source.command_line().flags().clone();
    if flags.check_pool {
        show(&notices);
        println!("{}", config.pool.len());
        return ExitCode::SUCCESS;
    }
    if flags.dump {
        print!("{}", config.session_table());
        return ExitCode::SUCCESS;
    }
    if flags.check {
        return check_all(&source, &config, &notices, flags.explain);
    }
    let supply = Supply { source, policy, problems, kept };
    match start(&config, supply, &notices, readiness) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pppoed: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The command line, with `check` as the first word for `--check`.
fn words() -> impl Iterator<Item = OsString> {
    std::env::args_os().enumerate().map(|(number, word)| match number == 1 && word == "check" {
        true => "--check".into(),
        false => word,
    })
}

/// `pppoed import`.
fn import_files() -> ExitCode {
    let flags = ImportFlags::parse_from(std::env::args_os().skip(1));
    let fail = |error: &dyn std::fmt::Display| {
        eprintln!("pppoed: {error}");
        ExitCode::from(EXIT_USAGE)
    };
    let imported = match import::import(&flags) {
        Ok(imported) => imported,
        Err(error) => return fail(&error),
    };
    match &flags.output {
        Some(path) => {
            if let Err(error) = import::write(path, &imported.toml, flags.force) {
                return fail(&error);
            }
            for remark in imported.remarks {
                println!("{remark}");
            }
        }
        None => print!("{}", imported.toml),
    }
    ExitCode::SUCCESS
}

/// Tells what is wrong in any of the files, or that nothing is.
fn check_all(source: &Source, config: &Config, notices: &[Notice], explain: bool) -> ExitCode {
    let Findings { errors, remarks } = check::check(source, config, notices);
    for line in remarks.iter().chain(&errors) {
        eprintln!("pppoed: {line}");
    }
    if explain {
        print!("{}", check::explain(config));
    }
    if !errors.is_empty() {
        return ExitCode::from(EXIT_USAGE);
    }
    let (sessions, slots) = (config.serveable(), config.max_sessions());
    match sessions == slots {
        true => println!("no errors in the configuration: {sessions} sessions"),
        false => println!("no errors in the configuration: {sessions} sessions ({slots} slots)"),
    }
    ExitCode::SUCCESS
}

/// Loads scripts and tells what is in them, or what is wrong.
fn check_hooks(paths: &[PathBuf]) -> ExitCode {
    // All of them are checked, whatever is wrong with the first.
    let good = paths.iter().filter(|path| check_hooks_of(path)).count();
    if good == paths.len() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) }
}

/// Whether nothing is wrong there.
fn check_hooks_of(path: &Path) -> bool {
    // Nobody need have the default one.
    if !path.exists() && path != Path::new(DEFAULT_HOOKS_DIRECTORY) {
        eprintln!("pppoed: {}: no such file or directory", path.display());
        return false;
    }
    match pppoed_hooks::check(path) {
        Ok(scripts) => {
            if scripts.is_empty() {
                println!("{}: there are no hook scripts (*.lua)", path.display());
            }
            for (name, report) in scripts {
                let mut functions: Vec<String> = report.events.iter().map(ToString::to_string).collect();
                functions.extend(report.every.iter().map(|seconds| format!("every({seconds})")));
                match functions.is_empty() {
                    true => println!("{name}: no function has the name of a hook"),
                    false => println!("{name}: {}", functions.join(" ")),
                }
            }
            true
        }
        Err(errors) => {
            for error in errors {
                eprintln!("pppoed: {error}");
            }
            false
        }
    }
}

/// Ends a start that has no configuration.
fn give_up(failure: Failure) -> ExitCode {
    match failure {
        Failure::Usage(error) => error.exit(),
        Failure::Console(errors) => errors.iter().for_each(|error| eprintln!("pppoed: {error}")),
        Failure::Nothing => eprint!("{}", first_run::welcome()),
        Failure::Files(errors, notices) => return refuse(&errors, &notices),
        Failure::Conflict(error) => {
            eprintln!("pppoed: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::from(EXIT_USAGE)
}

fn refuse(errors: &[ConfigError], notices: &[Notice]) -> ExitCode {
    show(notices);
    for error in errors {
        eprintln!("pppoed: {error}");
    }
    ExitCode::from(EXIT_USAGE)
}

fn show(notices: &[Notice]) {
    for notice in notices {
        eprintln!("pppoed: {notice}");
    }
}

fn start(
    config: &Config,
    mut supply: Supply,
    notices: &[Notice],
    readiness: Readiness,
) -> anyhow::Result<ExitCode> {
    let problems = &mut supply.problems;
    let machine = preflight::machine(config);
    let fatal = match problems.has_sessions() {
        true => preflight::missing_capabilities(),
        false => machine.errors.clone(),
    };
    if !fatal.is_empty() {
        anyhow::bail!("{}", fatal.join("\npppoed: "));
    }
    machine.errors.iter().for_each(|error| problems.add(Part::Machine, error));
    if !config.foreground && !readiness.is_background() {
        return daemon::start_in_background();
    }
    if readiness.is_background() {
        // Warnings reach the terminal through the log, as long as somebody waits for the start.
        notices
            .iter()
            .filter(|notice| notice.is_mere_note())
            .for_each(|notice| eprintln!("pppoed: {notice}"));
        daemon::leave_terminal()?;
    }
    // The working directory stays until here, for the relative paths on the command line.
    std::env::set_current_dir("/").context("changing to /")?;
    let mut settings = LogSettings {
        level: logging::level(config.log_level.value),
        file: config.logfile.as_ref().map(|file| file.value.clone()),
        background: readiness.is_background(),
    };
    let log = match problems.tolerate(Part::LogFile, logging::start(&settings))? {
        Some(log) => log,
        None => {
            settings.file = None;
            logging::start(&settings)?
        }
    };
    problems.log();
    for notice in notices {
        match notice.is_mere_note() {
            true => info!("{notice}"),
            false => warn!("{notice}"),
        }
    }
    if let Some(remark) = first_run::forwarding_remark() {
        warn!("{remark}");
    }
    oom::spare_this_process();
    for remark in &machine.remarks {
        warn!("{remark}");
    }
    // Where that is not enough, it is among the remarks.
    if let Err(error) = daemon::raise_descriptor_limit(DescriptorNeed::of(config.descriptor_users())) {
        debug!("{error:#}");
    }
    let runtime = threads::runtime()?;
    let outcome = LocalSet::new().block_on(&runtime, serve(config, supply, readiness, log.clone()));
    if outcome.is_ok() {
        info!(name: SERVER_STOPPED.name, "{}", SERVER_STOPPED.words);
    }
    log.finish();
    outcome?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the server until it is told to stop.
async fn serve(
    config: &Config,
    supply: Supply,
    mut readiness: Readiness,
    log: LogHandle,
) -> anyhow::Result<()> {
    let Supply { source, policy, mut problems, kept } = supply;
    let pid_file = match config.pid_file.as_deref().map(PidFile::create).transpose() {
        Err(error) if daemon::is_in_use(&error) => return Err(error),
        file => problems.tolerate(Part::PidFile, file)?.flatten(),
    };
    // Until this process ends: before that no other one may take its sessions over.
    let _run_dir = match supervisor::claim_run_dir(config) {
        Err(error) if error.is_in_use() => return Err(error.into()),
        claim => problems.tolerate(Part::RunDirectory, claim.map_err(anyhow::Error::from))?,
    };
    let hooks = supervisor::load_hooks(config, &mut problems).await;
    let hooks = hooks.map_err(|errors| anyhow::anyhow!(errors.join("\n")))?;
    if let Some(remark) = check::scripts_without_caller(config, hooks.is_empty()) {
        warn!("{remark}");
    }
    let supervisor = supervisor::prepare(config, source, policy, hooks, &mut problems)?.with_log(log.clone());
    let answers = Answers::new();
    let (calls, call_queue) = control::calls();
    let mut consoles = Consoles::new(answers.clone(), calls);
    match consoles.open(config) {
        Err(error) if error.is_in_use() => return Err(error.into()),
        opened => problems.tolerate(Part::Console, opened.map_err(anyhow::Error::from))?,
    };
    let supervisor = supervisor.with_problems(problems).with_kept(kept).with_consoles(consoles);
    let (signals, signal_queue) = mpsc::channel(4);
    watch_signals(&signals)?;

    let version = env!("CARGO_PKG_VERSION");
    info!(name: SERVER_READY.name, sessions = config.max_sessions(), version, "{}", SERVER_READY.words);
    log.leave_terminal();
    readiness.announce()?;
    supervisor.announce();
    supervisor.run(call_queue, signal_queue).await;
    systemd::stopping();
    answers.finish().await;
    control::remove(config);
    drop(pid_file);
    Ok(())
}

fn watch_signals(signals: &mpsc::Sender<Signal>) -> anyhow::Result<()> {
    let kinds = [
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
        (SignalKind::user_defined1(), Signal::Leave),
        // pppd's admins send this to change its debugging; here it must not end the server.
        (SignalKind::user_defined2(), Signal::Unused),
    ];
    for (kind, meaning) in kinds {
        let mut stream = signal(kind).context("watching signals")?;
        let signals = signals.clone();
        turns::spawn("signals", async move {
            while stream.recv().await.is_some() {
                if signals.send(meaning).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}
