//! The flags that keep a flood, or a single client, from taking more than its share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::PadoDelayText;

/// Limits; see `docs/limits.md`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// PADI answered per second and interface, and so many at once; 0 for no limit [default: 2000]
    #[arg(long, value_name = "COUNT")]
    pub padi_rate: Option<u32>,

    /// PADR with a good cookie answered per second and interface, and so many at once; 0 for no limit [default: 500]
    #[arg(long, value_name = "COUNT")]
    pub padr_rate: Option<u32>,

    /// PADT per second and interface, and so many at once, for hosts that send in sessions that do not exist (with
    /// eBPF); 0 for no limit [default: 100]
    #[arg(long, value_name = "COUNT")]
    pub padt_rate: Option<u32>,

    /// PADI, PADR, and data of no session, answered per second and MAC address, and so many at once; and PADT for no session of the
    /// address, after which others of it are not heard; 0 for no limit [default: 10]
    #[arg(long, value_name = "COUNT")]
    pub mac_rate: Option<u32>,

    /// Milliseconds that an offer (PADO) waits, and from how many sessions on it waits longer: 0,100:50,-1:500 is at
    /// once, 100 ms from 50 sessions on, no offer from 500 on [default: 0]
    #[arg(long, value_name = "DELAY[,DELAY:SESSIONS]...", allow_hyphen_values = true)]
    pub pado_delay: Option<PadoDelayText>,

    /// Maximum sessions in setup, whose clients have not logged in yet; more wait, and then take the places of those that are
    /// silent; 0 for no limit; by default a quarter of all sessions, from 4 to 1000
    #[arg(long, value_name = "COUNT")]
    pub max_starting: Option<u32>,

    /// Seconds that a client has for its first LCP packet after the PADS [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub lcp_deadline: Option<u32>,

    /// Milliseconds that the peer of an open session has to answer an LCP echo when its MAC address dials again and there is
    /// no login by which the new session could prove whose it is [default: 2000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub replace_wait: Option<u32>,
    /// Sessions whose workers are started at once; further dials wait for their turn [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub setups_at_once: Option<u32>,

    /// Longest time in milliseconds that a new dial may have to wait for the server, estimated from the rate at which sessions
    /// have been set up; no offers (PADO) are made while it would be longer; 0 for no limit [default: 3000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=60_000))]
    pub setup_wait: Option<u32>,

    /// Time in seconds after the last PADR of a waiting dial after which it is dropped, as its client has given up
    /// [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=30))]
    pub dial_patience: Option<u32>,

    /// Sessions on each interface; more are refused, or ignored with -i; 0 for no limit [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub sessions_per_interface: Option<u32>,

    /// Sessions of one user name; 0 for no limit [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub sessions_per_user: Option<u32>,

    /// What happens when a user logs in once more than that [default: replace]
    #[arg(long, value_name = "WHAT")]
    pub user_limit: Option<UserLimitPolicy>,

    /// Milliseconds that the answer to a wrong proof of identity waits, against guessing. Less than a client's Restart timer
    /// of three seconds; 0 for at once [default: 1000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=2500))]
    pub refusal_delay: Option<u32>,

    /// Milliseconds that a login may wait for a hashed password to be compared while others are, before it is refused
    /// [default: 2000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub hash_wait: Option<u32>,

    /// Milliseconds that a login may wait for a host name in the secrets files to be looked up for the first time
    /// [default: 2000]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub name_wait: Option<u32>,

    /// Seconds between two looks at the worker of an open session, which is asked whether it lives when it has done
    /// nothing since the last one; 0 for never [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub heartbeat: Option<u32>,

    /// Seconds that a worker has to answer before it is killed and its session ended [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub heartbeat_timeout: Option<u32>,

    /// What happens to a session that lacks a protection, for instance its own device because programs of the kernel were removed:
    /// warn notes it in the log and in show session, refuse ends the session [default: warn]
    #[arg(long, value_name = "ACTION")]
    pub missing_protection: Option<MissingProtection>,

    /// Seconds in which the protections of each open session are verified once more, in turns of 10 seconds; 0 for only when
    /// it opens [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub protection_check: Option<u32>,

    /// Seconds between two comparisons of the sessions with their workers, interfaces, routes and records, which puts right and
    /// counts what differs; 0 for only at the start [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub reconcile_interval: Option<u32>,

    /// Packets of control (LCP, IPCP and the like), and PADTs, that the worker of a session may send per second, and twice so many
    /// at once; 0 for no limit [default: 200]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub control_rate: Option<u32>,

    /// Frames of any kind that the worker of a session may send per second, and so many at once; 0 for no limit [default: 0]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=100_000_000))]
    pub frame_rate: Option<u32>,

    /// Seconds that reading all files again may take (SIGHUP, pppctl reload) before it is given up [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub reload_deadline: Option<u32>,

    /// Time in milliseconds after which a turn of the event loop is logged and counted as a stall; 0 for never [default: 10]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(..=60_000))]
    pub stall_limit: Option<u32>,

    /// File with the only MAC addresses that are served, one to a line; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub mac_allow: Option<PathBuf>,

    /// File with MAC addresses that are not served, one to a line; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub mac_deny: Option<PathBuf>,
}

/// What happens to a session that lacks a protection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MissingProtection {
    /// It is noted and logged, and the session goes on.
    #[default]
    Warn,
    /// The session ends.
    Refuse,
}

/// Which session gives way when a user has too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UserLimitPolicy {
    /// The oldest session ends.
    #[default]
    Replace,
    /// The new one is refused.
    Deny,
}
