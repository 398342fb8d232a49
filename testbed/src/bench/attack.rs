//! What attackers cost others: how long customers' set-up takes alone, beside guesses at a hashed password, and beside hosts that
//! take sessions and are silent.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use ppp_proto::auth::AuthMethod;
use serde::Serialize;

use crate::client::{self, Conduct, LoadConfig, Report};
use crate::own_client::LINE;
use crate::programs;
use crate::server::{Server, Setup};
use crate::world::{self, Uplink, Wiring, World, name_of};

/// Longest time that the customers may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Time that the attackers have before the customers dial.
const AHEAD: Duration = Duration::from_secs(5);
/// How long the customers stay once all are in.
const HOLD: Duration = Duration::from_secs(1);
/// Number of the first attacker, which makes its address.
const FIRST_ATTACKER: u32 = 1_000_000;

/// "correct horse", by sha512-crypt with its usual 5000 rounds.
const HASH: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1";

/// How long customers' set-up takes while others guess at a hashed password, or take sessions and are silent
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Number of customers
    #[arg(short = 'n', long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5000))]
    sessions: u32,
    /// Customers that dial per second
    #[arg(long, value_name = "PER_SECOND", default_value_t = 20.0)]
    rate: f64,
    /// Guesses per second, as far as they are answered
    #[arg(long, value_name = "PER_SECOND", default_value_t = 500.0)]
    guesses: f64,
    /// Hosts that guess
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    guessers: u32,
    /// Hosts per second that take a session and are silent
    #[arg(long, value_name = "PER_SECOND", default_value_t = 100.0)]
    silent: f64,
    /// In JSON
    #[arg(long)]
    json: bool,
}

/// Who else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    None,
    Guesses,
    Silence,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    alone: Report,
    beside_guesses: Report,
    guesses_per_s: f64,
    beside_silent_hosts: Report,
    silent_hosts: u32,
    guesses_ratio: f64,
    silence_ratio: f64,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<()> {
        programs::build()?;
        world::sweep()?;
        let (alone, _) = self.measure(Attack::None)?;
        let (beside_guesses, guessers) = self.measure(Attack::Guesses)?;
        let (beside_silent_hosts, silent) = self.measure(Attack::Silence)?;
        let (guesses, time) = guessers.map(|(report, time)| (report.guesses, time)).unwrap_or_default();
        let p99 = |report: &Report| report.setup.map_or(f64::NAN, |setup| setup.p99.as_secs_f64());
        let outcome = Outcome {
            guesses_per_s: f64::from(u32::try_from(guesses)?) / time.as_secs_f64(),
            silent_hosts: silent.map_or(0, |(report, _)| report.sessions),
            guesses_ratio: p99(&beside_guesses) / p99(&alone),
            silence_ratio: p99(&beside_silent_hosts) / p99(&alone),
            alone,
            beside_guesses,
            beside_silent_hosts,
        };
        match self.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        ensure!(outcome.alone.established == self.sessions, "customers were lost without an attack");
        ensure!(outcome.beside_guesses.established == self.sessions, "customers were lost beside guesses");
        Ok(())
    }

    fn measure(&self, attack: Attack) -> Result<(Report, Option<(Report, Duration)>)> {
        let directory = tempfile::Builder::new().prefix(&name_of("bench-")).tempdir_in("/run")?;
        let world = World::build("bench", Wiring::AccessOnEth1, Uplink::Isolated)?;
        world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
        let users: String = (1..=self.sessions).map(|n| format!("user{n} * password{n} *\n")).collect();
        let secrets = format!("hashed * {HASH} *\n{users}");
        // The limits of discovery are not what is to be measured, nor how long an answer to a guess waits.
        let flags = format!(
            "-I eth1 -L 10.0.0.1 -R 10.1.0.2 -N {} --padi-rate 0 --padr-rate 0 --refusal-delay 0 --auth-tries 1000000 \
             --auth-deadline 600 --setup-deadline 600",
            4 * self.sessions.max(self.guessers)
        );
        let setup = Setup {
            flags: &flags,
            options: "require-pap\nnoipv6\n",
            pap_secrets: &secrets,
            ..Setup::default()
        };
        let server = Server::start_by_flags(&world, directory.path(), &setup)?;
        let (begun, attackers) = (Instant::now(), self.attackers(attack)?);
        let end = begun + AHEAD + LIMIT + HOLD;
        let outcome = thread::scope(|scope| {
            let attackers = attackers.as_ref().map(|config| {
                let run = || world.cli.run(|| client::run(config, end));
                scope.spawn(move || run().map(|report| (report, begun.elapsed())))
            });
            if attackers.is_some() {
                thread::sleep(AHEAD);
            }
            let customers = self.customers()?;
            let report = world.cli.run(|| client::run(&customers, end))?;
            // Which ends the attackers' sessions as well.
            server.stop(&world)?;
            let attackers = match attackers {
                Some(attackers) => {
                    Some(attackers.join().map_err(|_| anyhow::anyhow!("the attackers panicked"))??)
                }
                None => None,
            };
            Ok::<_, anyhow::Error>((report, attackers))
        });
        outcome.with_context(|| format!("{attack:?}"))
    }

    fn customers(&self) -> Result<LoadConfig> {
        Ok(LoadConfig {
            methods: vec![AuthMethod::Pap],
            setup_deadline: LIMIT,
            hold: HOLD,
            ..LoadConfig::new(LINE.parse()?, self.sessions, self.rate)
        })
    }

    fn attackers(&self, attack: Attack) -> Result<Option<LoadConfig>> {
        let time = AHEAD.as_secs_f64() + f64::from(self.sessions) / self.rate;
        let (sessions, rate, conduct) = match attack {
            Attack::None => return Ok(None),
            Attack::Guesses => {
                let every = Duration::from_secs_f64(f64::from(self.guessers) / self.guesses);
                (self.guessers, 50.0, Conduct::Guesses { every })
            }
            Attack::Silence => {
                let sessions = Duration::from_secs_f64(time * self.silent).as_secs();
                (u32::try_from(sessions)?, self.silent, Conduct::Silent)
            }
        };
        let customers = self.customers()?;
        Ok(Some(LoadConfig {
            sessions,
            first: FIRST_ATTACKER,
            rate,
            user: "hashed".to_owned(),
            password: "a guess".to_owned(),
            conduct,
            ..customers
        }))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guesses = format!("beside {:.0} guesses per second at a hashed password", self.guesses_per_s);
        let silent = format!("beside {} hosts that take sessions and are silent", self.silent_hosts);
        for (what, report) in [
            ("customers alone", &self.alone),
            (guesses.as_str(), &self.beside_guesses),
            (silent.as_str(), &self.beside_silent_hosts),
        ] {
            writeln!(f, "{what}")?;
            report.to_string().lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        writeln!(f, "ratio        {:.2} of the customers' p99 beside guesses", self.guesses_ratio)?;
        writeln!(f, "ratio        {:.2} of the customers' p99 beside silent hosts", self.silence_ratio)
    }
}
