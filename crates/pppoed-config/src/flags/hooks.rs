//! Flags for hook scripts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where hook scripts are, and what they may take.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Hook scripts")]
pub struct HookFlags {
    /// Directory of Lua hook scripts, *.lua [default: /etc/pppoed/hooks.d, if it exists]
    #[arg(long, value_name = "DIRECTORY")]
    pub hooks_dir: Option<PathBuf>,

    /// Number of hook processes, which limits concurrent hook calls [default: 4]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub hook_hosts: Option<u16>,

    /// Hook timeout in seconds, after which the hook process is killed [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub hook_deadline: Option<u32>,

    /// Maximum lifetime in seconds of processes that a hook's program leaves in its process group; 0 for no limit
    /// [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub hook_leftovers: Option<u32>,

    /// Verdict when one of the hooks padi, auth and ip_pre_up fails [default: deny]
    #[arg(long, value_name = "WHAT")]
    pub hook_failure: Option<HookFailure>,

    /// Memory limit of each script in each hook process, in MiB [default: 64]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(8..=4096))]
    pub hook_memory: Option<u32>,

    /// Maximum PADI waiting for their hook; further ones are dropped [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65535))]
    pub hook_padi_limit: Option<u32>,

    /// File for the persistent store of hooks [default: /var/lib/pppoed/hooks.store]
    #[arg(long, value_name = "FILE")]
    pub hook_store: Option<PathBuf>,

    /// Load a hook script, or all in a directory, report errors, and exit; may be repeated
    #[arg(long, value_name = "PATH")]
    pub check_hooks: Vec<PathBuf>,
}

/// The verdict when a hook fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HookFailure {
    /// Refuse the request.
    #[default]
    Deny,
    /// Ignore the failure.
    Allow,
}
