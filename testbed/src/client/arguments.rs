//! `testbed load` and `testbed dial`.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use ppp_proto::auth::AuthMethod;
use ppp_wire::if_name::IfName;

use super::{Conduct, DialConfig, Ended, GATHER, LoadConfig, PingConfig, dial, run};
use crate::interrupt;

/// How often `dial` looks whether it is to end.
const STEP: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    Chap,
    Pap,
}

impl From<Method> for AuthMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Chap => Self::ChapMd5,
            Method::Pap => Self::Pap,
        }
    }
}

/// What both commands need.
#[derive(Args, Debug)]
struct LineArguments {
    /// Access interface, in the network namespace that this runs in
    #[arg(short, long, value_name = "IF")]
    interface: IfName,
    /// How to authenticate, best first
    #[arg(long, value_enum, value_delimiter = ',', default_value = "chap,pap")]
    auth: Vec<Method>,
    /// Service-Name; any if not given
    #[arg(long, default_value = "", hide_default_value = true)]
    service: String,
    /// PPP-Max-Payload to ask for (RFC 4638), in bytes
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1493..=1500))]
    max_payload: Option<u16>,
    /// Longest time from the PADS to an open IPCP
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    setup_deadline: Duration,
}

impl LineArguments {
    fn methods(&self) -> Vec<AuthMethod> {
        self.auth.iter().map(|method| (*method).into()).collect()
    }
}

/// Dial many sessions, ping through them, hang up, and report
#[derive(Args, Debug)]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    line: LineArguments,
    /// Number of sessions
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=65534))]
    sessions: u32,
    /// Number of the first session: numbers make names and Ethernet addresses
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..0xffff_0000))]
    first: u32,
    /// Sessions started per second
    #[arg(long, value_name = "PER_SECOND", default_value = "100", value_parser = rate)]
    rate: f64,
    // clap would take the placeholder in a help text for a line break.
    /// User name; n in braces stands for the number of the session
    #[arg(long, default_value = "user{n}")]
    user: String,
    /// Password, likewise
    #[arg(long, default_value = "password{n}")]
    password: String,
    /// Do not ping
    #[arg(long)]
    no_ping: bool,
    /// Whom to ping; the other end of each session if not given
    #[arg(long, value_name = "ADDRESS")]
    ping_target: Option<Ipv4Addr>,
    /// Time between two pings of a session
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    ping_interval: Duration,
    /// Bytes of data in a ping
    #[arg(long, value_name = "BYTES", default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=1464))]
    ping_size: u16,
    /// How long to stay once every session has opened or failed
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    hold: Duration,
    /// Longest time before hanging up, whatever has been reached
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    deadline: Duration,
    /// Report in JSON
    #[arg(long)]
    json: bool,
}

impl LoadArguments {
    /// Runs the command: failure if a session failed or was lost.
    ///
    /// # Errors
    /// When the interface cannot be used.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let ping = PingConfig {
            target: self.ping_target,
            interval: self.ping_interval,
            size: usize::from(self.ping_size),
        };
        let config = LoadConfig {
            methods: self.line.methods(),
            interface: self.line.interface,
            sessions: self.sessions,
            first: self.first,
            rate: self.rate,
            user: self.user,
            password: self.password,
            service_name: self.line.service,
            max_payload: self.line.max_payload,
            setup_deadline: self.line.setup_deadline,
            ping: (!self.no_ping).then_some(ping),
            hold: self.hold,
            conduct: Conduct::Honest,
        };
        let report = run(&config, Instant::now() + self.deadline)?;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            print!("{report}");
        }
        let good = report.failed.is_empty() && report.lost.is_empty();
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Dial one session with a network interface for ordinary programs, until Ctrl-C
#[derive(Args, Debug)]
pub(crate) struct DialArguments {
    #[command(flatten)]
    line: LineArguments,
    /// User name
    #[arg(long)]
    user: String,
    /// Password
    #[arg(long)]
    password: String,
    /// Name of the network interface to make
    #[arg(long, value_name = "NAME", default_value = "dial0")]
    tun: IfName,
    /// Route everything through the session
    #[arg(long)]
    default_route: bool,
}

impl DialArguments {
    /// Runs the command until the user or the server ends it: failure if it was the server.
    ///
    /// # Errors
    /// When the session does not open, or something breaks later.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let deadline = Instant::now() + Duration::from_secs(35) + self.line.setup_deadline;
        let tun = self.tun.clone();
        let config = DialConfig {
            netns: None,
            mac: None,
            methods: self.line.methods(),
            interface: self.line.interface,
            user: self.user.into_bytes(),
            password: self.password,
            service_name: self.line.service,
            max_payload: self.line.max_payload,
            setup_deadline: self.line.setup_deadline,
            tun: self.tun,
            default_route: self.default_route,
            offloads: true,
            gather: GATHER,
        };
        let dialled = dial(config, deadline)?;
        let opened = dialled.opened();
        println!(
            "{tun} is up: {} to {}, mtu {}, session {} of {}",
            opened.local, opened.remote, opened.mtu, opened.session_id, opened.ac_mac
        );
        let dns: Vec<String> = opened.name_servers.dns.iter().flatten().map(ToString::to_string).collect();
        if !dns.is_empty() {
            println!("name servers: {}", dns.join(", "));
        }
        while !dialled.is_over() && !interrupt::requested() {
            thread::sleep(STEP);
        }
        let Ended { end, received, sent } = dialled.hang_up()?;
        println!("ended: {end}; received {received}; sent {sent}");
        Ok(if end.is_ours() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    if !(0.0..=1e6).contains(&seconds) {
        return Err("give 0 to 1000000 seconds".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1e6).contains(&rate) => Ok(rate),
        _ => Err("give 0.01 to 1000000 per second".to_owned()),
    }
}
