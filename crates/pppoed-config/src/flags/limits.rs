//! The flags that keep a flood, or a single client, from taking more than its share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::PadoDelayText;

/// Limits; see `docs/limits.md`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// PADI rate limit per interface, in packets per second, also the burst; 0 for no limit [default: 2000]
    #[arg(long, value_name = "COUNT")]
    pub padi_rate: Option<u32>,

    /// Rate limit per interface of PADR with a valid cookie, in packets per second, also the burst; 0 for no limit
    /// [default: 500]
    #[arg(long, value_name = "COUNT")]
    pub padr_rate: Option<u32>,

    /// Rate limit per interface of PADT sent for frames of unknown sessions (eBPF only), in packets per second, also
    /// the burst; 0 for no limit [default: 100]
    #[arg(long, value_name = "COUNT")]
    pub padt_rate: Option<u32>,

    /// Rate limit per client MAC address of PADI, PADR, and frames and PADT of unknown sessions, in packets per
    /// second, also the burst; 0 for no limit [default: 10]
    #[arg(long, value_name = "COUNT")]
    pub mac_rate: Option<u32>,

    /// PADO delay in milliseconds by session count: 0,100:50,-1:500 means no delay, 100 ms from 50 sessions, no PADO
    /// from 500 sessions [default: 0]
    #[arg(long, value_name = "DELAY[,DELAY:SESSIONS]...", allow_hyphen_values = true)]
    pub pado_delay: Option<PadoDelayText>,

    /// Maximum sessions in setup, before login; further dials wait, and replace those whose clients do not respond; 0
    /// for no limit; by default a quarter of all sessions, from 4 to 1000
    #[arg(long, value_name = "COUNT")]
    pub max_starting: Option<u32>,

    /// Timeout in seconds for the first LCP packet of a client after the PADS [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub lcp_deadline: Option<u32>,

    /// Echo timeout in milliseconds for the peer of an open session when its MAC address dials again and a login
    /// cannot decide which session to keep [default: 2000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub replace_wait: Option<u32>,
    /// Maximum worker starts in progress; further dials wait [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub setups_at_once: Option<u32>,

    /// Maximum estimated wait for a new dial in milliseconds; no PADO is sent while it is exceeded; 0 for no limit
    /// [default: 3000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=60_000))]
    pub setup_wait: Option<u32>,

    /// Timeout in seconds of a waiting dial, from its last PADR [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=30))]
    pub dial_patience: Option<u32>,

    /// Maximum sessions per interface; further requests are refused, or dropped with -i; 0 for no limit [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub sessions_per_interface: Option<u32>,

    /// Maximum sessions per user name; 0 for no limit [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub sessions_per_user: Option<u32>,

    /// Action when a user exceeds --sessions-per-user [default: replace]
    #[arg(long, value_name = "WHAT")]
    pub user_limit: Option<UserLimitPolicy>,

    /// Delay in milliseconds before a failed login is answered, shorter than a client's Restart timer (3 s); 0
    /// disables it [default: 1000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=2500))]
    pub refusal_delay: Option<u32>,

    /// Maximum wait in milliseconds of a login for its password hash to be compared, before it is refused [default:
    /// 2000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub hash_wait: Option<u32>,

    /// Maximum wait in milliseconds of a login for the first lookup of a host name in the secrets files [default:
    /// 2000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub name_wait: Option<u32>,

    /// Worker health-check interval in seconds, for workers of open sessions without activity; 0 disables it
    /// [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub heartbeat: Option<u32>,

    /// Worker health-check timeout in seconds, after which the worker is killed [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub heartbeat_timeout: Option<u32>,

    /// Action when a protection of a session is not in force, such as a removed kernel program: warn logs it and
    /// lists it in show session, refuse ends the session [default: warn]
    #[arg(long, value_name = "ACTION")]
    pub missing_protection: Option<MissingProtection>,

    /// Interval in seconds between checks of the protections of each open session, a multiple of 10; 0 checks only
    /// when a session opens [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub protection_check: Option<u32>,

    /// Interval in seconds between comparisons of sessions with their workers, interfaces, routes and records;
    /// differences are repaired and counted. 0 compares at the start only [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub reconcile_interval: Option<u32>,

    /// Rate limit per session of control packets (LCP, IPCP and others) and PADT sent by its worker, in packets per
    /// second, with a burst of twice that; 0 for no limit [default: 200]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub control_rate: Option<u32>,

    /// Rate limit per session of all frames sent by its worker, in frames per second, also the burst; 0 for no limit
    /// [default: 0]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=100_000_000))]
    pub frame_rate: Option<u32>,

    /// Configuration reload timeout in seconds [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub reload_deadline: Option<u32>,

    /// Duration in milliseconds from which an event-loop turn is logged and counted as a stall; 0 disables it
    /// [default: 10]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=60_000))]
    pub stall_limit: Option<u32>,

    /// File with MAC addresses to serve exclusively, one per line; re-read when it changes
    #[arg(long, value_name = "FILE")]
    pub mac_allow: Option<PathBuf>,

    /// File with MAC addresses to ignore, one per line; re-read when it changes
    #[arg(long, value_name = "FILE")]
    pub mac_deny: Option<PathBuf>,
}

/// What happens to a session that lacks a protection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MissingProtection {
    /// Log it; the session goes on.
    #[default]
    Warn,
    /// End the session.
    Refuse,
}

/// Which session gives way when a user has too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UserLimitPolicy {
    /// End the oldest session.
    #[default]
    Replace,
    /// Refuse the new one.
    Deny,
}
