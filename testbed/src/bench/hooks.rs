//! What hooks cost: sessions in a burst, without scripts, and with those for NAT and accounting.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::client::{self, LoadConfig, Report};
use crate::own_client::LINE;
use crate::scenarios::shipped;
use crate::server::{Server, Setup};
use crate::world::{self, Uplink, Wiring, World, name_of};
use crate::{packages, process, programs, wait};

/// Longest time that the sessions may take to open.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the sessions stay once all are open.
const HOLD: Duration = Duration::from_secs(3);
/// Longest time that the scripts may need after the last session.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Sessions per second in a burst, without hook scripts, and with nat.lua and accounting.lua
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Number of sessions
    #[arg(short = 'n', long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10000))]
    sessions: u32,
    /// Sessions begun per second
    #[arg(long, value_name = "PER_SECOND", default_value_t = 5000.0)]
    rate: f64,
    /// In place of that: how long others take while the auth hook of one user never returns
    #[arg(long)]
    hang: bool,
    /// In JSON
    #[arg(long)]
    json: bool,
}

/// What runs in the hook hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scripts {
    None,
    /// nat.lua and accounting.lua.
    Shipped,
    /// An auth hook that has no opinion; about the first user it never returns, if so.
    Auth {
        hangs: bool,
    },
}

/// A hook for each log-in, which never returns for the user who is put in.
const AUTH: &str = "function auth(s)\n  if s.username == 'user0' then while true do end end\nend\n";

/// What was measured with one hook that hangs.
#[derive(Debug, Serialize)]
struct Hanging {
    all_well: Report,
    one_hangs: Report,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    without: Report,
    with: Report,
    /// Rate of set-up with the scripts, of that without.
    ratio: f64,
    /// What the scripts had done when all sessions were open: elements of the set, lines in the file.
    elements: usize,
    start_lines: usize,
    /// Once all sessions had ended.
    stop_lines: usize,
    elements_left: usize,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<()> {
        programs::build()?;
        world::sweep()?;
        if self.hang {
            return self.run_hanging();
        }
        let (without, _) = self.burst(Scripts::None)?;
        let (with, work) = self.burst(Scripts::Shipped)?;
        let Some(Work { elements, start_lines, stop_lines, elements_left }) = work else {
            anyhow::bail!("no scripts ran")
        };
        let ratio = with.setup_rate / without.setup_rate;
        let outcome = Outcome { without, with, ratio, elements, start_lines, stop_lines, elements_left };
        match self.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        let count = usize::try_from(self.sessions)?;
        let lost = |report: &Report| report.established != self.sessions || !report.lost.is_empty();
        ensure!(!lost(&outcome.without) && !lost(&outcome.with), "sessions were lost");
        ensure!(
            (elements, start_lines, stop_lines, elements_left) == (count, count, count, 0),
            "the scripts have missed sessions"
        );
        Ok(())
    }

    fn run_hanging(&self) -> Result<()> {
        let (all_well, _) = self.burst(Scripts::Auth { hangs: false })?;
        let (one_hangs, _) = self.burst(Scripts::Auth { hangs: true })?;
        let outcome = Hanging { all_well, one_hangs };
        match self.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        let Hanging { all_well, one_hangs } = &outcome;
        ensure!(all_well.established == self.sessions, "sessions were lost");
        ensure!(one_hangs.established == self.sessions - 1, "not just the one that hangs was lost");
        Ok(())
    }

    fn burst(&self, scripts: Scripts) -> Result<(Report, Option<Work>)> {
        let directory = tempfile::Builder::new().prefix(&name_of("bench-")).tempdir_in("/run")?;
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Isolated)?;
        world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
        let hooks = directory.path().join("hooks.d");
        let accounts = directory.path().join("accounts.json");
        fs::create_dir(&hooks)?;
        let with_scripts = scripts == Scripts::Shipped;
        if let Scripts::Auth { hangs } = scripts {
            let user = if hangs { "user1" } else { "nobody" };
            fs::write(hooks.join("10-auth.lua"), AUTH.replace("user0", user))?;
        }
        if with_scripts {
            let file = format!("local FILE = \"{}\"", accounts.display());
            let settings = [("local FILE = \"/var/log/pppoed-accounting.json\"", file.as_str())];
            fs::write(hooks.join("10-nat.lua"), shipped("nat.lua", &[])?)?;
            fs::write(hooks.join("20-accounting.lua"), shipped("accounting.lua", &settings)?)?;
        }
        let secrets: String = (1..=self.sessions).map(|n| format!("user{n} * password{n} *\n")).collect();
        // The limits of discovery are not what is to be measured.
        let flags = format!(
            "-I eth1 -L 10.0.0.1 -R 10.1.0.2 -N {} --padi-rate 0 --padr-rate 0 --max-starting 0 \
             --hooks-dir {} --hook-store {}",
            self.sessions,
            hooks.display(),
            directory.path().join("hooks.store").display()
        );
        let setup = Setup {
            flags: &flags,
            options: "require-chap\nnoipv6\n",
            chap_secrets: &secrets,
            ..Setup::default()
        };
        let server = Server::start_by_flags(&world, directory.path(), &setup)?;
        let outcome = thread::scope(|scope| {
            let load =
                scope.spawn(|| world.cli.run(|| client::run(&self.load()?, Instant::now() + LIMIT + HOLD)));
            let work = if with_scripts { Some(self.watch(&world, &server, &accounts)?) } else { None };
            let report = load.join().map_err(|_| anyhow::anyhow!("the load client panicked"))??;
            Ok::<_, anyhow::Error>((report, work))
        });
        let outcome = outcome.with_context(|| server.log().unwrap_or_default())?;
        server.stop(&world)?;
        Ok(outcome)
    }

    fn load(&self) -> Result<LoadConfig> {
        Ok(LoadConfig {
            setup_deadline: LIMIT,
            hold: HOLD,
            ..LoadConfig::new(LINE.parse()?, self.sessions, self.rate)
        })
    }

    /// Counts what the scripts have done while all sessions are open, and after they have ended.
    fn watch(&self, world: &World, server: &Server, accounts: &Path) -> Result<Work> {
        let open = |wanted: u64| {
            wait::until_true(&format!("{wanted} open sessions"), LIMIT, || {
                let answer = server.pppctl(&world.srv, &["show", "stats"])?;
                Ok(answer.pointer("/stats/open").and_then(Value::as_u64) == Some(wanted))
            })
        };
        let lines = |event: &str| {
            let text = fs::read_to_string(accounts).unwrap_or_default();
            let mut sessions = BTreeSet::new();
            for line in text.lines() {
                let line: Value =
                    serde_json::from_str(line).with_context(|| format!("a torn line: {line}"))?;
                if line.get("event").is_some_and(|found| found == event) {
                    let sid = line.get("sid").and_then(Value::as_str).context("a line without a session")?;
                    ensure!(sessions.insert(sid.to_owned()), "{event} of {sid} is there twice");
                }
            }
            Ok(sessions.len())
        };
        let count = usize::try_from(self.sessions)?;
        open(self.sessions.into())?;
        let elements = elements(world)?;
        // The session does not wait for the accounts.
        wait::until_true("a line for each start", AFTERWARDS, || Ok(lines("start")? == count)).ok();
        let start_lines = lines("start")?;
        open(0)?;
        wait::until_true("a line for each end", AFTERWARDS, || Ok(lines("stop")? == count)).ok();
        let stop_lines = lines("stop")?;
        wait::until_true("an empty set", AFTERWARDS, || Ok(self::elements(world)? == 0)).ok();
        Ok(Work { elements, start_lines, stop_lines, elements_left: self::elements(world)? })
    }
}

/// What the scripts have done.
#[derive(Clone, Copy, Debug)]
struct Work {
    elements: usize,
    start_lines: usize,
    stop_lines: usize,
    elements_left: usize,
}

fn elements(world: &World) -> Result<usize> {
    let mut nft = packages::command("nft")?;
    let json =
        process::run_ok(&world.srv, nft.args(["-j", "list", "set", "ip", "pppoed_nat", "subscribers"]))?;
    let listed: Value = serde_json::from_str(&json).context("nft -j")?;
    let objects = listed.get("nftables").and_then(Value::as_array).context("nftables")?;
    let elements = objects.iter().find_map(|object| object.pointer("/set/elem")?.as_array());
    Ok(elements.map_or(0, Vec::len))
}

impl fmt::Display for Hanging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, report) in
            [("every auth hook returns", &self.all_well), ("one never does", &self.one_hangs)]
        {
            writeln!(f, "{what}")?;
            report.to_string().lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        let p99 = |report: &Report| report.setup.map(|setup| setup.p99.as_secs_f64());
        if let (Some(well), Some(hanging)) = (p99(&self.all_well), p99(&self.one_hangs)) {
            writeln!(f, "ratio        {:.2} of the others' p99 while one hangs", hanging / well)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { without, with, ratio, elements, start_lines, stop_lines, elements_left } = self;
        for (what, report) in [("without scripts", without), ("with nat.lua and accounting.lua", with)] {
            writeln!(f, "{what}")?;
            report.to_string().lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        writeln!(f, "ratio        {ratio:.2} of the sessions per second with the scripts")?;
        writeln!(f, "nft set      {elements} elements with all sessions open, {elements_left} afterwards")?;
        writeln!(f, "accounts     {start_lines} lines of starts, {stop_lines} of ends")
    }
}
