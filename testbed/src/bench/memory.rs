//! What memory and processor time go where.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::Serialize;

use crate::proctree;

/// The machine's memory at one moment, in kB, as proc_meminfo(5) has it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Machine {
    /// What programs could still get.
    pub(super) available: i64,
    /// Of programs, not of files.
    pub(super) anonymous: i64,
    /// The kernel's small objects.
    pub(super) slab: i64,
    /// The kernel's stacks.
    pub(super) kernel_stacks: i64,
    pub(super) page_tables: i64,
}

impl Machine {
    /// Now, with what the kernel keeps only for its speed given back.
    pub(super) fn now() -> Result<Self> {
        fs::write("/proc/sys/vm/drop_caches", "3").context("drop the caches")?;
        let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
        let value = |name| kilobytes(&text, name).with_context(|| format!("no {name} in /proc/meminfo"));
        Ok(Self {
            available: value("MemAvailable")?,
            anonymous: value("AnonPages")?,
            slab: value("Slab")?,
            kernel_stacks: value("KernelStack")?,
            page_tables: value("PageTables")?,
        })
    }

    /// What is used now and was not before, for each of `count`.
    pub(super) fn used_since(&self, before: &Self, count: f64) -> Use {
        #[expect(clippy::cast_precision_loss, reason = "a machine has less than 2^52 kB")]
        let each = |used: i64| used as f64 / count;
        Use {
            total_kb: each(before.available - self.available),
            programs_kb: each(self.anonymous - before.anonymous),
            slab_kb: each(self.slab - before.slab),
            kernel_stacks_kb: each(self.kernel_stacks - before.kernel_stacks),
            page_tables_kb: each(self.page_tables - before.page_tables),
        }
    }
}

/// What one session costs, in kB.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Use {
    /// Everything: less `MemAvailable`.
    pub(super) total_kb: f64,
    pub(super) programs_kb: f64,
    pub(super) slab_kb: f64,
    pub(super) kernel_stacks_kb: f64,
    pub(super) page_tables_kb: f64,
}

/// Memory that nobody else has, in kB.
pub(super) fn private_kb(pid: Pid) -> Result<i64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let sum = ["Private_Clean", "Private_Dirty"].iter().filter_map(|name| kilobytes(&text, name)).sum();
    Ok(sum)
}

/// Processor time in seconds that the process, the children that it waited for, and all that now descend from it
/// have taken.
pub(super) fn processor_time(pid: Pid) -> Result<f64> {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|ticks| i32::try_from(ticks).ok())
        .unwrap_or(100);
    let mut ticks = 0.0;
    for process in proctree::descendants(pid)?.into_iter().chain([pid]) {
        // A process may end while we look at it.
        let Ok(stat) = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")) else {
            continue;
        };
        // Fields 14 to 17 of proc_pid_stat(5); the name in field 2 may hold anything.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace()).context("stat")?;
        ticks += fields.skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
    }
    Ok(ticks / f64::from(ticks_per_second))
}

fn kilobytes(text: &str, name: &str) -> Option<i64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let text = "MemFree:  12 kB\nSlab:            34 kB\nSReclaimable: 5 kB\n";
        assert_eq!(kilobytes(text, "Slab"), Some(34));
        assert_eq!(kilobytes(text, "Mem"), None);
    }

    #[test]
    fn own_use_is_not_nothing() {
        assert!(private_kb(Pid::this()).unwrap() > 0);
        assert!(processor_time(Pid::this()).unwrap() >= 0.0);
    }
}
