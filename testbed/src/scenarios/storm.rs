//! A flood of discovery frames from addresses that nobody has, beside one running session.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, TagType};

use super::check;
use super::{Load, Scenario};
use crate::client::{DialConfig, Dialled, Percentiles, dial};
use crate::echo;
use crate::lab::Lab;
use crate::own_client::{dial_config, numbered_dial_config};
use crate::server::{Server, Setup};
use crate::station::Wire;
use crate::wait;
use crate::world::{ACCESS_MAC, FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "storm",
    about: "20000 PADI/s and 5000 forged PADR/s: no ping lost, pppctl under 100 ms, newcomers get in",
    peer: "the test bed's own clients (CHAP, ping through a TUN), and a flood of its own frames",
    load: Load::Measures,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 64",
    chap_secrets: "alice * secret *\nbob * secret *\n",
    ..Setup::CHAP
};

const PADIS_PER_SECOND: u32 = 20_000;
const PADRS_PER_SECOND: u32 = 5000;
const STORM: Duration = Duration::from_secs(10);
/// How long the flood goes on before the newcomer dials: until the server's buckets are empty.
const HEAD_START: Duration = Duration::from_secs(2);
/// Clients that dial in the storm.
const NEWCOMERS: u8 = 8;
/// The first PADI of one may be lost, and its second, a second later, must not be.
const NEWCOMER: Duration = Duration::from_secs(2);
const PING_INTERVAL: Duration = Duration::from_millis(20);
const CONSOLE_LIMIT: Duration = Duration::from_millis(100);

fn run(lab: &Lab) -> Result<()> {
    // Not recorded: a capture of this would be another load.
    let world = World::build("lab", Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let session = dial(dial_config(&world, "alice", "secret")?, Instant::now() + Duration::from_secs(30))?;
    wait::until("an answer to a ping", check::GONE, || Ok(echo::ping(&world.cli, FAR_HOST, 1).ok()))?;
    let newcomers: Vec<DialConfig> = (1..=NEWCOMERS)
        .map(|number| numbered_dial_config(&world, number, "bob", "secret"))
        .collect::<Result<_>>()?;
    let wire = Wire::open(&world)?;

    let before = processor_time(&server)?;
    let over = AtomicBool::new(false);
    let over = &over;
    let (flood, pings, answers, dialled) = thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&wire));
        let pings = scope.spawn(|| repeat(over, PING_INTERVAL, || echo::ping(&world.cli, FAR_HOST, 2)));
        let console = scope.spawn(|| repeat(over, Duration::ZERO, || ask(&world, &server)));
        let dialled = newcomers.into_iter().zip(0..);
        let dialled: Vec<_> =
            dialled.map(|(config, number)| scope.spawn(move || dial_in_the_storm(config, number))).collect();
        let flood = join(flood.join());
        over.store(true, Ordering::Relaxed);
        (
            flood,
            join(pings.join()),
            join(console.join()),
            dialled.into_iter().map(|one| join(one.join())).collect::<Result<Vec<_>>>(),
        )
    });
    let (flood, pings, answers) = (flood?, pings?, answers?);

    println!("    storm     {flood}");
    let busy = processor_time(&server)?.saturating_sub(before).as_secs_f64() / STORM.as_secs_f64();
    println!("    pppoed    {:.0} % of a processor", busy * 100.0);
    println!("    pings     {} of {} answered: {}", pings.times.len(), pings.total(), pings.distribution()?);
    println!(
        "    pppctl    {} of {} answered: {}",
        answers.times.len(),
        answers.total(),
        answers.distribution()?
    );
    for cause in ["padi_rate", "padr_rate", "mac_rate", "cookie_wrong", "queue_full", "send_failed"] {
        println!("    dropped   {:>7} {cause}", check::dropped(&server, &world, cause)?);
    }
    let (newcomers, took): (Vec<Dialled>, Vec<Duration>) = dialled.context("a newcomer")?.into_iter().unzip();
    let slowest = took.iter().max().copied().context("no newcomer")?;
    println!("    newcomers {took:.1?} from PADI to open, in the storm");

    ensure!(flood.is_as_wanted(), "the flood was too slow to mean anything: {flood}");
    ensure!(pings.failed.is_empty(), "{} pings were lost: {}", pings.failed.len(), pings.failed.join("; "));
    ensure!(answers.failed.is_empty(), "pppctl failed: {}", answers.failed.join("; "));
    ensure!(answers.percentiles()?.p99 < CONSOLE_LIMIT, "pppctl took {}", answers.distribution()?);
    ensure!(slowest < NEWCOMER, "a newcomer needed {slowest:.1?}");
    ensure!(check::dropped(&server, &world, "cookie_wrong")? > 0, "no forged PADR was counted");
    ensure!(check::dropped(&server, &world, "padr_rate")? == 0, "forged PADR used up what honest ones need");
    ensure!(
        !session.is_over() && server.sessions(&world)?.len() == 1 + newcomers.len(),
        "a session was lost"
    );
    let told = server.log()?.lines().filter(|line| line.contains("padi_rate")).count();
    ensure!(told == 1, "{told} lines of log about padi_rate");

    for newcomer in newcomers {
        newcomer.hang_up()?;
    }
    session.hang_up()?;
    server.stop(&world)
}

/// The time that the supervisor's event loop has had a processor (proc(5), schedstat).
fn processor_time(server: &Server) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/schedstat", server.pid()))?;
    let nanos = text.split_ascii_whitespace().next().context("schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Not all at once, so that they meet the server's buckets in different states.
fn dial_in_the_storm(config: DialConfig, number: u32) -> Result<(Dialled, Duration)> {
    thread::sleep(HEAD_START + number * Duration::from_micros(100_100));
    let start = Instant::now();
    let session = dial(config, start + STORM)?;
    Ok((session, start.elapsed()))
}

fn ask(world: &World, server: &Server) -> Result<Duration> {
    let mut command = server.pppctl_command(&["show", "stats"])?;
    command.stdout(Stdio::null());
    let start = Instant::now();
    let status = world.srv.spawn(&mut command)?.wait()?;
    ensure!(status.success(), "{status}");
    Ok(start.elapsed())
}

/// What came of doing something again and again.
#[derive(Debug, Default)]
struct Series {
    times: Vec<Duration>,
    failed: Vec<String>,
}

impl Series {
    fn total(&self) -> usize {
        self.times.len() + self.failed.len()
    }

    fn percentiles(&self) -> Result<Percentiles> {
        Percentiles::of(self.times.clone()).context("not a single success")
    }

    fn distribution(&self) -> Result<String> {
        Ok(self.percentiles()?.to_string())
    }
}

fn repeat(
    over: &AtomicBool,
    interval: Duration,
    mut attempt: impl FnMut() -> Result<Duration>,
) -> Result<Series> {
    let mut series = Series::default();
    while !over.load(Ordering::Relaxed) {
        match attempt() {
            Ok(time) => series.times.push(time),
            Err(error) => series.failed.push(format!("{error:#}")),
        }
        thread::sleep(interval);
    }
    Ok(series)
}

/// What the flood achieved.
#[derive(Debug)]
struct Flood {
    padis: u32,
    padrs: u32,
    not_sent: u32,
    took: Duration,
}

impl Flood {
    fn is_as_wanted(&self) -> bool {
        // A machine that is busy with something else sends fewer; it takes far less to use up what the server answers.
        let wanted = |per_second: u32| 0.9 * f64::from(per_second) * STORM.as_secs_f64();
        let in_time = self.took < STORM * 2;
        in_time
            && f64::from(self.padis) > wanted(PADIS_PER_SECOND)
            && f64::from(self.padrs) > wanted(PADRS_PER_SECOND)
    }
}

impl std::fmt::Display for Flood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = |count: u32| f64::from(count) / self.took.as_secs_f64();
        let (padis, padrs) = (rate(self.padis), rate(self.padrs));
        let (took, not_sent) = (self.took, self.not_sent);
        write!(f, "{padis:.0} PADI/s and {padrs:.0} forged PADR/s for {took:.1?}, {not_sent} not sent")
    }
}

/// Sends for as long as [`STORM`], in millisecond portions, each frame from another station.
fn flood(wire: &Wire) -> Result<Flood> {
    let mut padi = frame(MacAddr::BROADCAST, Code::Padi, &[])?;
    let mut padr = frame(MacAddr(ACCESS_MAC), Code::Padr, &[(TagType::AcCookie, &[0; 20])])?;
    let cookie_at = 14 + 6 + 4 + 4;
    // splitmix64, so that every run sends the same.
    let mut state = 2516_u64;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_be_bytes()
    };
    let mut flood = Flood { padis: 0, padrs: 0, not_sent: 0, took: Duration::ZERO };
    let start = Instant::now();
    for portion in 1.. {
        let due = start + Duration::from_millis(portion);
        if due > start + STORM {
            break;
        }
        for number in 0..(PADIS_PER_SECOND + PADRS_PER_SECOND) / 1000 {
            let is_padi = number < PADIS_PER_SECOND / 1000;
            let frame = if is_padi { &mut padi } else { &mut padr };
            let [a, b, c, d, e, ..] = random();
            put(frame, 6, &[2, a, b, c, d, e]);
            if !is_padi {
                put(frame, cookie_at + 4, &random());
            }
            match wire.send(frame) {
                Ok(()) if is_padi => flood.padis += 1,
                Ok(()) => flood.padrs += 1,
                Err(_) => flood.not_sent += 1,
            }
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    flood.took = start.elapsed();
    Ok(flood)
}

fn frame(destination: MacAddr, code: Code, tags: &[(TagType, &[u8])]) -> Result<Vec<u8>> {
    let header = EthernetHeader {
        destination,
        source: MacAddr([2, 0, 0, 0, 0, 0]),
        ether_type: EtherType::PppoeDiscovery,
    };
    let mut builder = DiscoveryBuilder::new(&header, code, 0);
    builder.tag(TagType::ServiceName, b"")?;
    for (kind, value) in tags {
        builder.tag(*kind, value)?;
    }
    Ok(builder.finish())
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in frame.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn join<T>(outcome: thread::Result<Result<T>>) -> Result<T> {
    outcome.map_err(|_| anyhow!("a thread of the storm panicked"))?
}
