//! Random faults under churn, and an audit: kills of everything, full disks, exhausted threads, descriptors and memory, and hands of
//! others in the kernel and in the run directory.
//!
//! Which fault comes when is decided by a seed, which is printed: the same seed gives the same faults in the same order.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::client::{self, LoadConfig};
use crate::own_client::LINE;
use crate::scenarios::shipped;
use crate::server::{Server, Setup};
use crate::world::{self, Uplink, Wiring, World, name_of};
use crate::{packages, process, proctree, programs, wait};

/// Sessions of a round of churn.
const SESSIONS: u32 = 20;
/// Time that everything may take to be as it should after the last fault: `nat.lua` looks once a minute, and the orphan
/// timeout is half of that.
const SETTLED: Duration = Duration::from_secs(90);
/// Hook calls that may be under way at once: the default of `--hook-hosts`.
const HOSTS: usize = 4;
/// Where the server sees its files.
const ACCOUNTS: &str = "/var/log/accounts.json";

/// Random faults under churn with nat.lua and accounting.lua, and an audit of what is left
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// For how long, in seconds
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(5..=86400))]
    seconds: u64,
    /// Decides which faults come, in which order; without it, the time does
    #[arg(long)]
    seed: Option<u64>,
}

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillWorker,
    KillTemplate,
    KillHookHost,
    KillServer,
    FullRunDisk,
    FullLogDisk,
    NoThreads,
    NoDescriptors,
    NoMemory,
    EmptyRunDirectory,
    FlushRules,
    InterfaceDown,
}

const FAULTS: [Fault; 12] = [
    Fault::KillWorker,
    Fault::KillTemplate,
    Fault::KillHookHost,
    Fault::KillServer,
    Fault::FullRunDisk,
    Fault::FullLogDisk,
    Fault::NoThreads,
    Fault::NoDescriptors,
    Fault::NoMemory,
    Fault::EmptyRunDirectory,
    Fault::FlushRules,
    Fault::InterfaceDown,
];

impl Fault {
    /// Whether a call of a hook may be cut off by it, which is done again or lost then.
    fn cuts_calls_off(self) -> bool {
        matches!(self, Self::KillHookHost | Self::KillServer | Self::NoMemory | Self::NoThreads)
    }
}

/// splitmix64: enough for the order of faults.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or(0);
        number % bound.max(1)
    }
}

/// A small file system of its own below the run directory's place, gone when this is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Result<Self> {
        fs::create_dir_all(&at)?;
        let size = Some("size=16m,mode=755");
        mount(Some("chaos"), &at, Some("tmpfs"), MsFlags::empty(), size).context("mount a small disk")?;
        Ok(Self(at))
    }

    /// Is full for a moment.
    fn fill(&self) -> Result<()> {
        let path = self.0.join("filler");
        let mut filler = fs::File::create(&path)?;
        while filler.write_all(&[0; 4096]).is_ok() {}
        thread::sleep(Duration::from_secs(1));
        fs::remove_file(path).context("empty the disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// A control group in which there may be no more processes and threads than there are; gone when this is dropped.
struct Group(PathBuf);

impl Group {
    fn make() -> Result<Self> {
        let root = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(PathBuf::from);
        let root =
            root.into_iter().find(|root| root.join("cgroup.procs").exists()).context("control groups")?;
        let group = Self(root.join(name_of("chaos")));
        fs::create_dir_all(&group.0)?;
        Ok(group)
    }

    fn enter(&self, pid: Pid) {
        // It may be gone.
        let _ = fs::write(self.0.join("cgroup.procs"), pid.to_string());
    }

    /// Nothing new may be in it for a moment.
    fn fill(&self) -> Result<()> {
        let count = fs::read_to_string(self.0.join("pids.current"))?;
        fs::write(self.0.join("pids.max"), count.trim())?;
        thread::sleep(Duration::from_secs(1));
        fs::write(self.0.join("pids.max"), "max").context("lift the limit of processes")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let parent = self.0.parent().map(|parent| parent.join("cgroup.procs"));
        for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = parent.as_ref().map(|parent| fs::write(parent, pid));
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// What faults need.
struct Stage<'a> {
    world: &'a World,
    run: Disk,
    log: Disk,
    group: Group,
}

impl Arguments {
    /// Runs it; fails if the audit finds anything.
    ///
    /// # Errors
    /// What the audit found, with the seed.
    pub(crate) fn run(&self) -> Result<()> {
        programs::build()?;
        world::sweep()?;
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
        let seed = self.seed.unwrap_or_else(now);
        println!("chaos: {} s with --seed {seed}", self.seconds);
        chaos(Duration::from_secs(self.seconds), seed).with_context(|| format!("--seed {seed}"))
    }
}

fn chaos(length: Duration, seed: u64) -> Result<()> {
    let directory = tempfile::Builder::new().prefix(&name_of("chaos-")).tempdir_in("/var/tmp")?;
    let world = World::build("chaos", Wiring::AccessOnEth1, Uplink::Isolated)?;
    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    let place = directory.path().join("pppoed");
    let (run, log) = (Disk::mount(place.join("run"))?, Disk::mount(place.join("var-log"))?);
    let stage = Stage { world: &world, run, log, group: Group::make()? };
    let file = format!("local FILE = \"{ACCOUNTS}\"");
    let settings = [
        ("local FILE = \"/var/log/pppoed-accounting.json\"", file.as_str()),
        ("local INTERIM = 300", "local INTERIM = 30"),
    ];
    let (nat, accounting) = (shipped("nat.lua", &[])?, shipped("accounting.lua", &settings)?);
    let files = [("hooks/10-nat.lua", nat.as_str()), ("hooks/20-accounting.lua", accounting.as_str())];
    let setup = Setup {
        flags: "-I eth1 -L 10.0.0.1 -R 10.1.0.2 -N 200 --padi-rate 0 --padr-rate 0 --mac-rate 0 --orphan-timeout 30 \
                --setup-deadline 10 --reconcile-interval 5 --hooks-dir /etc/ppp/hooks --hook-store /etc/ppp/hooks.store",
        options: "require-chap\nnoipv6\nlcp-echo-interval 2\nlcp-echo-failure 3\n",
        chap_secrets: "* * secret *\n",
        files: &files,
        ..Setup::default()
    };
    let mut server = Server::start(&world, directory.path(), &setup)?;
    let is_over = AtomicBool::new(false);
    let faults = thread::scope(|scope| {
        let churn = scope.spawn(|| churn(&world, &is_over));
        let faults = spoil(&stage, &mut server, &setup, length, seed);
        is_over.store(true, Ordering::SeqCst);
        let rounds = churn.join().map_err(|_| anyhow::anyhow!("the load client panicked"))??;
        println!("chaos: {rounds} rounds of {SESSIONS} dials");
        faults
    });
    let faults = faults.with_context(|| server.log().unwrap_or_default())?;
    println!("chaos: {faults:?}");
    audit(&world, &server, &faults).with_context(|| server.log().unwrap_or_default())?;
    // Whatever is still there then is an error.
    server.stop(&world)?;
    let left = workers_below(&place)?;
    ensure!(left.is_empty(), "workers were left behind: {left:?}");
    Ok(())
}

/// Dials and hangs up, again and again.
fn churn(world: &World, is_over: &AtomicBool) -> Result<u32> {
    let mut rounds = 0;
    while !is_over.load(Ordering::SeqCst) {
        let config = LoadConfig {
            first: 1 + (rounds % 40) * SESSIONS,
            password: "secret".to_owned(),
            setup_deadline: Duration::from_secs(10),
            hold: Duration::from_secs(2),
            ..LoadConfig::new(LINE.parse()?, SESSIONS, 20.0)
        };
        // Sessions are lost: that is what this is about.
        world.cli.run(|| client::run(&config, Instant::now() + Duration::from_secs(20)))?;
        rounds += 1;
    }
    Ok(rounds)
}

fn spoil(
    stage: &Stage<'_>,
    server: &mut Server,
    setup: &Setup<'_>,
    length: Duration,
    seed: u64,
) -> Result<BTreeMap<Fault, u32>> {
    let mut random = Random(seed);
    let mut counts = BTreeMap::new();
    let end = Instant::now() + length;
    // Without any memory the language's own allocations, and the threads that it makes, end the process: then, or a moment later.
    let mut may_panic = false;
    while Instant::now() < end {
        // Faults come while the churn goes on, and now and then before the last one is got over.
        thread::sleep(Duration::from_millis(200 + u64::try_from(random.below(1800))?));
        let fault = FAULTS.get(random.below(FAULTS.len())).copied().context("a fault")?;
        *counts.entry(fault).or_default() += 1;
        println!(
            "chaos: {} s before the end: {fault:?}",
            end.saturating_duration_since(Instant::now()).as_secs()
        );
        inflict(fault, stage, server, &mut random).with_context(|| format!("{fault:?}"))?;
        may_panic |= fault == Fault::NoMemory;
        ensure!(may_panic || !server.log()?.contains("panicked"), "pppoed panicked after {fault:?}");
        if server.has_ended()? {
            may_panic = false;
            server.start_again(stage.world, setup, &programs::path("pppoed")?)?;
        }
    }
    Ok(counts)
}

fn inflict(fault: Fault, stage: &Stage<'_>, server: &mut Server, random: &mut Random) -> Result<()> {
    let Stage { world, run, log, group } = stage;
    let mut kill_one = |name: &str| -> Result<()> {
        let of_name = |pid: &Pid| proctree::name_of(*pid).is_some_and(|found| found == name);
        let found: Vec<Pid> = proctree::descendants(server.pid())?.into_iter().filter(of_name).collect();
        if let Some(pid) = found.get(random.below(found.len())) {
            // It may be gone.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        Ok(())
    };
    match fault {
        Fault::KillWorker | Fault::KillTemplate => kill_one("ppp-worker"),
        Fault::KillHookHost => kill_one("pppoed-hooks"),
        Fault::KillServer => server.lose(Signal::SIGKILL),
        Fault::FullRunDisk => run.fill(),
        Fault::FullLogDisk => log.fill(),
        Fault::NoThreads => {
            group.enter(server.pid());
            proctree::descendants(server.pid())?.into_iter().for_each(|pid| group.enter(pid));
            group.fill()
        }
        Fault::NoDescriptors => {
            limit(world, server.pid(), "--nofile=8:")?;
            thread::sleep(Duration::from_secs(1));
            limit(world, server.pid(), "--nofile=4096:")
        }
        Fault::NoMemory => {
            // Whether it ends of it or not is its own affair; its sessions must not.
            limit(world, server.pid(), "--as=1000000:")?;
            thread::sleep(Duration::from_millis(500));
            limit(world, server.pid(), "--as=unlimited:")
        }
        Fault::EmptyRunDirectory => empty(&run.0.join("pppoed")),
        Fault::FlushRules => {
            process::run_ok(&world.srv, packages::command("nft")?.args(["flush", "ruleset"])).map(drop)
        }
        Fault::InterfaceDown => {
            let names = world.srv.interfaces()?;
            let sessions: Vec<&String> = names.iter().filter(|name| name.starts_with("ppp")).collect();
            if let Some(name) = sessions.get(random.below(sessions.len())) {
                // It may be gone.
                let _ = process::run_ok(
                    &world.srv,
                    Command::new("ip").args(["link", "set", name.as_str(), "down"]),
                );
            }
            Ok(())
        }
    }
}

fn limit(world: &World, pid: Pid, of: &str) -> Result<()> {
    let mut prlimit = Command::new("prlimit");
    match process::run_ok(&world.srv, prlimit.args(["--pid", &pid.to_string(), of])) {
        Err(_) if proctree::name_of(pid).is_none() => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn empty(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        // pppoed puts things back meanwhile.
        let _ = match entry.path().is_dir() {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
    }
    Ok(())
}

/// Everything is as if nothing had happened. Only accounting is not: a call that was cut off is made again, or is lost, which is
/// counted, and no more often than calls were cut off.
fn audit(world: &World, server: &Server, faults: &BTreeMap<Fault, u32>) -> Result<()> {
    wait::until_true("all sessions to be over", SETTLED, || {
        Ok(server.sessions(world).is_ok_and(|sessions| sessions.is_empty()))
    })?;
    wait::until_true("all interfaces to be gone", SETTLED, || {
        Ok(!world.srv.interfaces()?.iter().any(|name| name.starts_with("ppp")))
    })?;
    let pool = server.pppctl(&world.srv, &["show", "pool"])?;
    let in_use = pool.pointer("/pool/in_use").and_then(Value::as_u64);
    ensure!(in_use == Some(0), "addresses are in use: {pool}");
    let records = fs::read_dir(server.directory().join("run/pppoed/sessions"));
    let records = records.map_or(0, |entries| entries.flatten().count());
    ensure!(records == 0, "{records} records were left behind");
    let cut_off = faults.iter().filter(|(fault, _)| fault.cuts_calls_off()).map(|(_, count)| *count);
    let tolerated = HOSTS * usize::try_from(cut_off.sum::<u32>())?;
    // Both scripts put right what they were kept from.
    wait::until_true("the addresses to be out of the rules", SETTLED, || {
        Ok(elements(world).is_ok_and(|left| left == 0))
    })?;
    let is_good = |accounts: &BTreeMap<&str, usize>| accounts.values().all(|count| *count <= tolerated);
    let found = || accounts(&server.read_file(ACCOUNTS)?);
    let settled = wait::until_true("all accounts to be in pairs", SETTLED, || Ok(is_good(&found()?)));
    println!("chaos: of accounts, where {tolerated} are tolerated: {:?}", found()?);
    settled?;
    let stats = server.pppctl(&world.srv, &["show", "stats"])?;
    println!(
        "chaos: put right since the last start: {}",
        stats.pointer("/stats/repaired").unwrap_or(&Value::Null)
    );
    let problems = stats.pointer("/stats/problems").and_then(Value::as_array).context("problems")?;
    ensure!(problems.is_empty(), "not everything works again: {problems:?}");
    Ok(())
}

/// Processes called as workers are whose root directory is below this one.
fn workers_below(directory: &Path) -> Result<Vec<Pid>> {
    let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_ours = |pid: &Pid| {
        proctree::name_of(*pid).is_some_and(|name| name == "ppp-worker")
            && fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root.starts_with(directory))
    };
    Ok(pids.map(Pid::from_raw).filter(is_ours).collect())
}

/// Lines that are missing or doubled. A torn one is an error.
fn accounts(text: &str) -> Result<BTreeMap<&'static str, usize>> {
    let mut seen: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| format!("a torn line: {line}"))?;
        let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        let (sid, event) = text("sid").zip(text("event")).context("a line without a session")?;
        let (starts, stops) = seen.entry(sid).or_default();
        match event.as_str() {
            "start" => *starts += 1,
            "stop" => *stops += 1,
            "interim" => {}
            other => bail!("an unknown event {other}"),
        }
    }
    ensure!(!seen.is_empty(), "no session has an account");
    let count = |wrong: fn(&(usize, usize)) -> bool| seen.values().filter(|counts| wrong(counts)).count();
    Ok(BTreeMap::from([
        ("accounting-start-missing", count(|(starts, _)| *starts == 0)),
        ("accounting-start-twice", count(|(starts, _)| *starts > 1)),
        ("accounting-stop-missing", count(|(_, stops)| *stops == 0)),
        ("accounting-stop-twice", count(|(_, stops)| *stops > 1)),
    ]))
}

fn elements(world: &World) -> Result<usize> {
    let mut nft = packages::command("nft")?;
    let json =
        process::run_ok(&world.srv, nft.args(["-j", "list", "set", "ip", "pppoed_nat", "subscribers"]))?;
    let listed: Value = serde_json::from_str(&json).context("nft -j")?;
    let objects = listed.get("nftables").and_then(Value::as_array).context("nftables")?;
    Ok(objects.iter().find_map(|object| object.pointer("/set/elem")?.as_array()).map_or(0, Vec::len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_again_and_all_of_them() {
        let faults = |seed| {
            let mut random = Random(seed);
            (0..200).map(|_| FAULTS[random.below(FAULTS.len())]).collect::<Vec<_>>()
        };
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
        assert!(FAULTS.iter().all(|fault| faults(7).contains(fault)));
    }

    #[test]
    fn accounts_are_compared_pair_by_pair() {
        let line = |sid: &str, event: &str| format!("{{\"sid\":\"{sid}\",\"event\":\"{event}\"}}\n");
        let text = [line("a", "start"), line("a", "stop"), line("b", "start"), line("b", "start")].concat();
        let found = accounts(&text).unwrap();
        assert_eq!((found["accounting-start-twice"], found["accounting-stop-missing"]), (1, 1));
        assert_eq!((found["accounting-start-missing"], found["accounting-stop-twice"]), (0, 0));
        assert!(accounts("{").is_err() && accounts("").is_err());
    }
}
