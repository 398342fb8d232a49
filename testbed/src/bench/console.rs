//! How pppctl does with long lists: when the first line is there, and what `top` costs.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nix::pty::{Winsize, openpty};
use nix::unistd::{SysconfVar, sysconf};

use crate::programs;

/// Longest wait for the simulation to listen.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Time between two tries.
const POLL: Duration = Duration::from_millis(10);
/// Time that `top` is left alone before it is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// The terminal of `top`.
const TERMINAL: Winsize = Winsize { ws_row: 50, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };

/// First line of `show sessions`, and processor time of `top`, with simulated sessions on the control socket
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Number of sessions
    #[arg(short = 'n', long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=0xfffe))]
    sessions: u16,
    /// How often each list is asked for
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// How long `top` is watched, in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// A process that is ended with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Arguments {
    pub(super) fn run(&self) -> Result<()> {
        programs::build_these(&["pppctl"])?;
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("control.sock");
        let _server = self.simulate(&socket)?;
        println!("{} sessions, simulated; pppctl as a process of its own, from its start on", self.sessions);
        println!("(the simulation makes up each list when it is asked; that takes part of the time)\n");
        println!("{:<44} {:>24}  {:>24}", "", "first line (ms)", "whole list (ms)");
        println!("{:<44} {:>12}{:>12}  {:>12}{:>12}", "", "median", "worst", "median", "worst");
        for arguments in [
            &["show", "sessions"][..],
            &["show", "sessions", "--sort", "traffic-"],
            &["show", "sessions", "--match", "isp3"],
            &["show", "sessions", "-o", "json"],
        ] {
            let mut firsts = Vec::new();
            let mut wholes = Vec::new();
            for _ in 0..self.runs {
                let (first, whole) = time_list(&socket, arguments)?;
                firsts.push(first);
                wholes.push(whole);
            }
            let (first, whole) = (Spread::of(firsts), Spread::of(wholes));
            println!(
                "{:<44} {:>12.1}{:>12.1}  {:>12.1}{:>12.1}",
                arguments.join(" "),
                first.median,
                first.worst,
                whole.median,
                whole.worst
            );
        }
        let share = top_share(&socket, Duration::from_secs(self.seconds))?;
        println!("\ntop, each 2 s, on a terminal of 120x50: {:.1} % of a core", share * 100.0);
        Ok(())
    }

    /// Starts the simulation and waits for it.
    fn simulate(&self, socket: &Path) -> Result<Running> {
        let child = Command::new(programs::testbed()?)
            .arg("simulate-console")
            .arg("--socket")
            .arg(socket)
            .args(["--sessions", &self.sessions.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .context("start the simulation")?;
        let mut running = Running(child);
        let deadline = Instant::now() + START_LIMIT;
        while UnixStream::connect(socket).is_err() {
            if let Some(status) = running.0.try_wait()? {
                bail!("the simulation ended: {status}");
            }
            ensure!(Instant::now() < deadline, "the simulation does not listen");
            thread::sleep(POLL);
        }
        Ok(running)
    }
}

fn pppctl(socket: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(programs::path("pppctl")?);
    command.arg("--socket").arg(socket).args(arguments).env("TERM", "xterm");
    Ok(command)
}

/// Time from the start of the process to the first line, and to the last.
fn time_list(socket: &Path, arguments: &[&str]) -> Result<(Duration, Duration)> {
    let begin = Instant::now();
    let child = pppctl(socket, arguments)?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut running = Running(child);
    let mut stdout = running.0.stdout.take().context("its output")?;
    let mut buffer = vec![0; 64 * 1024];
    let mut first = None;
    let mut len = 0;
    loop {
        match stdout.read(&mut buffer)? {
            0 => break,
            more => {
                first.get_or_insert_with(|| begin.elapsed());
                len += more;
            }
        }
    }
    let status = running.0.wait()?;
    ensure!(status.success() && len > 0, "pppctl {}: {status}", arguments.join(" "));
    Ok((first.context("a first line")?, begin.elapsed()))
}

/// Processor time of `top` for each second.
fn top_share(socket: &Path, time: Duration) -> Result<f64> {
    let pty = openpty(&TERMINAL, None).context("open a terminal")?;
    let child =
        pppctl(socket, &["top"])?.stdin(pty.slave.try_clone()?).stdout(pty.slave).spawn().context("top")?;
    let mut running = Running(child);
    drain(pty.master);
    thread::sleep(WARM_UP);
    let (begin, before) = (Instant::now(), processor_time(running.0.id())?);
    thread::sleep(time);
    let used = processor_time(running.0.id())? - before;
    let share = used / begin.elapsed().as_secs_f64();
    ensure!(running.0.try_wait()?.is_none(), "top ended");
    Ok(share)
}

/// Reads what a terminal shows, so that its program never waits.
fn drain(terminal: OwnedFd) {
    let mut terminal = File::from(terminal);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // EIO once the program has ended.
        while matches!(terminal.read(&mut buffer), Ok(1..)) {}
    });
}

/// Processor time that a process has used, in seconds (proc(5): fields 14 and 15 of stat).
fn processor_time(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("stat")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>())
        .sum::<Result<u64, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("clock ticks")?;
    Ok(ticks as f64 / per_second as f64)
}

/// In milliseconds.
struct Spread {
    median: f64,
    worst: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        Self { median: milliseconds(times.get(times.len() / 2)), worst: milliseconds(times.last()) }
    }
}
