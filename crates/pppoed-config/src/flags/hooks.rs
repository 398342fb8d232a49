//! Flags for hook scripts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where hook scripts are, and what they may take.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Hook scripts")]
pub struct HookFlags {
    /// Directory with hook scripts in Lua, *.lua [default: /etc/pppoed/hooks.d, if it exists]
    #[arg(long, value_name = "DIRECTORY")]
    pub hooks_dir: Option<PathBuf>,

    /// Processes that run hooks, and so hooks that run at once [default: 4]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub hook_hosts: Option<u16>,

    /// Seconds that a hook may take before its process is killed [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub hook_deadline: Option<u32>,

    /// Seconds that processes may live on which a hook's program leaves behind in its process group; 0: for ever [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub hook_leftovers: Option<u32>,

    /// What it means when a hook fails that is waited for: padi, auth, ip_pre_up [default: deny]
    #[arg(long, value_name = "WHAT")]
    pub hook_failure: Option<HookFailure>,

    /// MiB of memory that Lua may take for each script in each process [default: 64]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(8..=4096))]
    pub hook_memory: Option<u32>,

    /// PADI that may wait for their hook; more are dropped [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65535))]
    pub hook_padi_limit: Option<u32>,

    /// File with what hooks keep in their store [default: /var/lib/pppoed/hooks.store]
    #[arg(long, value_name = "FILE")]
    pub hook_store: Option<PathBuf>,

    /// Load the hook scripts of a directory, or one script, tell what is wrong with them, and exit; may be given more
    /// than once
    #[arg(long, value_name = "PATH")]
    pub check_hooks: Vec<PathBuf>,
}

/// What the failure of a hook means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HookFailure {
    /// What it was asked about is refused.
    #[default]
    Deny,
    /// As if there were no such hook.
    Allow,
}
