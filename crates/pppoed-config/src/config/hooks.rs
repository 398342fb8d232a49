//! Hook scripts, in the terms of those who run them.

use std::path::PathBuf;
use std::time::Duration;

use crate::flags::{HookFailure, HookFlags};

/// Where the scripts are unless configured.
pub const DEFAULT_HOOKS_DIRECTORY: &str = "/etc/pppoed/hooks.d";
/// Where the store is unless configured.
const STORE: &str = "/var/lib/pppoed/hooks.store";

/// All about hook scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// Where they are.
    pub directory: PathBuf,
    /// How many processes run them.
    pub hosts: usize,
    /// How long a call may take, unless its file says otherwise.
    pub deadline: Duration,
    /// Time that what a program leaves behind in its process group may live on; `None` for ever.
    pub leftovers: Option<Duration>,
    /// What a failure means.
    pub failure: HookFailure,
    /// Bytes that Lua may take for a script.
    pub memory_limit: u64,
    /// PADI that may wait.
    pub padi_limit: usize,
    /// Where the store is.
    pub store: PathBuf,
}

impl Hooks {
    pub(super) fn new(flags: &HookFlags) -> Self {
        Self {
            directory: flags.hooks_dir.clone().unwrap_or_else(|| DEFAULT_HOOKS_DIRECTORY.into()),
            hosts: usize::from(flags.hook_hosts.unwrap_or(4)),
            deadline: Duration::from_secs(u64::from(flags.hook_deadline.unwrap_or(10))),
            leftovers: Some(flags.hook_leftovers.unwrap_or(300))
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(u64::from(seconds))),
            failure: flags.hook_failure.unwrap_or_default(),
            memory_limit: u64::from(flags.hook_memory.unwrap_or(64)) << 20,
            padi_limit: usize::try_from(flags.hook_padi_limit.unwrap_or(64)).unwrap_or(usize::MAX),
            store: flags.hook_store.clone().unwrap_or_else(|| STORE.into()),
        }
    }
}
