//! A mass hang-up that the server does not live to see: whoever did not hang up notices nothing of it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::check;
use super::{Load, Scenario};
use crate::client::{self, LoadConfig, Orders, PingConfig, Report};
use crate::lab::Lab;
use crate::own_client::LINE;
use crate::programs;
use crate::server::{Server, Setup};
use crate::wait;
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hang-up",
    about: "kill -9 while 350 of 500 sessions hang up, away for 12 s, workers killed meanwhile: the others lose no ping",
    peer: PEER,
    load: Load::Waits,
    run: |lab| run(lab, &FULL),
};

pub(super) const LONG: Scenario = Scenario {
    name: "hang-up-long",
    about: "as hang-up, away for 50 s, with the usual times of LCP's echos",
    peer: PEER,
    load: Load::Measures,
    run: |lab| run(lab, &Course { absence: Duration::from_secs(50), echo_interval: 20, ..FULL }),
};

pub(super) const LINK_DOWN: Scenario = Scenario {
    name: "hang-up-link-down",
    about: "kill -9 while 40 of 80 sessions hang up, the access link down and up while there is no server: the others go on",
    peer: PEER,
    load: Load::Waits,
    run: |lab| run(lab, &SHORT),
};

const PEER: &str = "the test bed's own clients (CHAP, pings through each session)";

/// Who stays, who hangs up, and whose workers are killed in the gap.
struct Course {
    staying: u32,
    leaving: u32,
    killed: u32,
    /// How long there is no server.
    absence: Duration,
    /// Time between two of the server's echo requests, in seconds. A session ends when [`ECHO_FAILURES`] are not answered: longer than
    /// the absence, so that a client which counts would not either.
    echo_interval: u32,
    /// How long of that the access interface is down.
    link_down: Option<Duration>,
}

const FULL: Course = Course {
    staying: 145,
    leaving: 350,
    killed: 5,
    absence: Duration::from_secs(12),
    echo_interval: 5,
    link_down: None,
};

const SHORT: Course = Course {
    staying: 38,
    leaving: 40,
    killed: 2,
    absence: Duration::from_secs(8),
    echo_interval: 5,
    link_down: Some(Duration::from_secs(3)),
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.1.0.2 -N 500 --orphan-timeout 300 --padi-rate 0 --padr-rate 0 --max-starting 0",
    options: "",
    ..Setup::CHAP
};

/// Echo requests without an answer after which a session ends.
const ECHO_FAILURES: u32 = 3;

/// Time that all sessions may take to open.
const OPENING: Duration = Duration::from_secs(60);

fn run(lab: &Lab, course: &Course) -> Result<()> {
    let Course { staying, leaving, killed, absence, echo_interval, link_down } = *course;
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    drop(capture);
    let options =
        format!("require-chap\nlcp-echo-interval {echo_interval}\nlcp-echo-failure {ECHO_FAILURES}\n");
    let setup = Setup { options: &options, ..SETUP };
    // So long after the server's return, a session whose echos go wrong has ended.
    let settled = Duration::from_secs(u64::from(echo_interval * (ECHO_FAILURES + 1)));
    let mut server = Server::start(&world, lab.path(), &setup)?;
    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    // Until they are told, or everything has gone wrong.
    let hold = absence + settled + 3 * OPENING;
    let stayers = config(1, staying, hold)?;
    let victims = config(1 + staying, killed, hold)?;
    let leavers = config(1 + staying + killed, leaving, Duration::from_secs(5))?;
    let own = programs::path("pppoed")?;
    let deadline = Instant::now() + hold + OPENING;
    let orders = Orders::default();
    thread::scope(|scope| {
        // Whatever goes wrong, nobody waits for clients that hold on.
        let hang_up = HangUp(&orders);
        let dial = |config| {
            let (world, orders) = (&world, &orders);
            scope.spawn(move || world.cli.run(|| client::run_by_orders(config, deadline, orders)))
        };
        let stay = dial(&stayers);
        let victims = dial(&victims);
        server.wait_for_sessions(&world, usize::try_from(staying + killed)?, OPENING)?;
        let workers = workers_of_last(&server, &world, killed)?;
        let leave = dial(&leavers);
        let all = usize::try_from(staying + killed + leaving)?;
        server.wait_for_sessions(&world, all, OPENING)?;
        // They hang up after five seconds: the server goes when the first have.
        wait::until("the hang-up", OPENING, || Ok((server.sessions(&world)?.len() < all).then_some(())))?;
        server.lose(Signal::SIGKILL)?;
        let begun = Instant::now();
        for worker in workers {
            kill(worker, Signal::SIGKILL).context("kill a worker")?;
        }
        let left = leave.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        ensure!(left.established == leaving, "{left:?}");
        if let Some(time) = link_down {
            world.set_access_up(false)?;
            thread::sleep(time);
            world.set_access_up(true)?;
        }
        thread::sleep(absence.saturating_sub(begun.elapsed()));
        server.start_again(&world, &setup, &own)?;
        let begun = Instant::now();
        server.wait_for_sessions(&world, usize::try_from(staying)?, OPENING)?;
        println!("    all that ended was told of {} ms after the start", begun.elapsed().as_millis());
        let victims = victims.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        let lost: u32 = victims.lost.values().sum();
        ensure!(lost == killed, "the sessions whose workers were killed: {victims:?}");
        thread::sleep(settled.saturating_sub(begun.elapsed()));
        drop(hang_up);
        let stayed = stay.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        unharmed(&stayed, course)
    })?;
    server.wait_for_sessions(&world, 0, check::GONE)?;
    server.stop(&world)
}

/// Has the clients hang up when it goes.
struct HangUp<'a>(&'a Orders);

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

/// All sessions of a run were open to its end, and each ping was answered.
fn unharmed(report: &Report, course: &Course) -> Result<()> {
    println!(
        "    {} sessions, {} lost; {} of {} pings lost",
        report.established,
        report.lost.values().sum::<u32>(),
        report.ping.sent - report.ping.received,
        report.ping.sent
    );
    ensure!(report.established == course.staying && report.lost.is_empty(), "{report:?}");
    // Those of the time without a link, one a second and session; and a loaded machine may drop some where it always may.
    let link_down = course.link_down.map_or(0, |time| (time.as_secs() + 2) * u64::from(course.staying));
    ensure!((report.ping.received + link_down) * 1000 >= report.ping.sent * 999, "{report:?}");
    Ok(())
}

fn config(first: u32, sessions: u32, hold: Duration) -> Result<LoadConfig> {
    Ok(LoadConfig {
        first,
        user: "alice".to_owned(),
        password: "secret".to_owned(),
        setup_deadline: OPENING,
        ping: Some(PingConfig { target: None, interval: Duration::from_secs(1), size: 56 }),
        hold,
        ..LoadConfig::new(LINE.parse()?, sessions, 100.0)
    })
}

/// The workers of the sessions of the hosts with the highest numbers.
fn workers_of_last(server: &Server, world: &World, count: u32) -> Result<Vec<Pid>> {
    let mut sessions = server.sessions(world)?;
    sessions.sort_by_key(|session| check::text(session, "mac").map(str::to_owned).unwrap_or_default());
    let last = sessions.iter().rev().take(usize::try_from(count)?);
    last.map(|session| {
        let detail = server.session(world, check::number(session, "id")?)?;
        Ok(Pid::from_raw(check::number(&detail, "worker_pid")?.try_into()?))
    })
    .collect()
}
