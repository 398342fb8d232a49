//! `pppoed check`: everything that a start would read, without a start.

use std::fmt::Write as _;

use pppoed_config::config::{Config, Line, Notice, Source};
use pppoed_config::inet::SystemNames;

use crate::preflight::{self, Findings};
use crate::supervisor;

/// Reads what `config` leads to, the users' files and the hook scripts, and looks for all that would keep the start from
/// succeeding on this machine. May block.
pub fn check(source: &Source, config: &Config, notices: &[Notice]) -> Findings {
    let mut findings =
        Findings { errors: Vec::new(), remarks: notices.iter().map(ToString::to_string).collect() };
    let users = source.users(config, Some(&SystemNames)).1;
    findings.remarks.extend(users.notices.into_iter().chain(users.unreadable));
    findings.errors.extend(supervisor::check_discovery(config).err());
    match pppoed_hooks::check(&config.hooks.directory) {
        Ok(scripts) => findings.remarks.extend(scripts_without_caller(config, scripts.is_empty())),
        Err(errors) => findings.errors.extend(errors),
    }
    findings.extend(supervisor::check_start(config));
    findings.remarks.extend(about_sessions(supervisor::outdated_sessions(&config.run_dir)));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    findings.remarks.extend(about_kernel(config.ebpf, release.trim()));
    match nix::unistd::geteuid().is_root() {
        true => findings.extend(preflight::machine(config)),
        false => findings.remarks.push("not root: what this machine allows was not looked at".to_owned()),
    }
    findings
}

/// Scripts of pppd that options name, where no hook script would run them.
pub fn scripts_without_caller(config: &Config, without_hooks: bool) -> Option<String> {
    let script = config.scripts.values().next().filter(|_| without_hooks)?;
    Some(format!(
        "{}: nothing runs {}: that is done by the hook script compat.lua, and there is no hook script in {}: \
         see pppoed-hooks(7)",
        script.origin.exact(),
        script.value.display(),
        config.hooks.directory.display()
    ))
}

/// What a start would end.
fn about_sessions(outdated: usize) -> Option<String> {
    (outdated > 0).then(|| {
        format!(
            "{outdated} sessions were begun by an earlier version and are not taken over: a start ends them, and their clients dial \
             again at once; pppctl drain on and pppctl shutdown soft let them end by themselves"
        )
    })
}

/// What this kernel, or a start without eBPF, takes away. `release` is uname's.
fn about_kernel(ebpf: bool, release: &str) -> Option<String> {
    if !ebpf {
        return Some(
            "--no-ebpf: the kernel keeps no worker to its own frames and addresses, each frame is a question to the filters of all \
             sessions on its interface, and hosts whose session is over get no PADT"
                .to_owned(),
        );
    }
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    let version = numbers.next()??.checked_mul(1000)?.checked_add(numbers.next()??)?;
    match version {
        ..5015 => Some(format!("this kernel is Linux {release}: sessions need 5.15 or later, or --no-ebpf")),
        5015..6006 => Some(format!(
            "this kernel is Linux {release}: before 6.6, \"tc qdisc add dev ppp0 ingress\" and \"… clsact\" fail on a session's interface, \
             as that has a clsact already: use it, \"tc filter add dev ppp0 ingress …\"{}",
            match version {
                ..6002 =>
                    "; and a script cannot rename the interface, as it is up (before 6.2): \"ip link property add dev ppp0 altname …\"",
                _ => "",
            }
        )),
        _ => None,
    }
}

/// Longest value in the middle column; a longer one pushes the rest of its line to the right.
const WIDEST: usize = 40;

/// Every setting that holds, one to a line: name, value, and where it was made.
pub fn explain(config: &Config) -> String {
    let lines = config.listing(&config.limits.mac_rules);
    let width = |column: fn(&Line) -> usize, most: usize| {
        lines.iter().map(column).filter(|width| *width <= most).max().unwrap_or(0)
    };
    let names = width(|(name, ..)| name.chars().count(), WIDEST);
    let values = width(|(_, setting, _)| setting.value.chars().count(), WIDEST);
    let mut table = String::new();
    for (name, setting, _) in &lines {
        let value = if setting.value.is_empty() { "\"\"" } else { &setting.value };
        // Writing to a text cannot fail.
        let _ = writeln!(table, "{name:names$}  {value:values$}  {}", setting.origin);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_lack_something_are_named() {
        assert!(about_kernel(false, "6.18").unwrap().starts_with("--no-ebpf: "));
        for (release, part) in [
            ("5.10.0-35-amd64", "5.15 or later"),
            ("5.15.0-1", "tc filter add dev ppp0 ingress"),
            ("6.1.0-32-amd64", "tc filter add dev ppp0 ingress"),
            ("6.1.0-32-amd64", "altname"),
            ("6.5.13", "before 6.6"),
        ] {
            assert!(about_kernel(true, release).unwrap().contains(part), "{release}");
        }
        assert!(!about_kernel(true, "6.2.0").unwrap().contains("altname"));
        for release in ["6.6.0", "6.18.44-fc", "7.0", "", "x"] {
            assert_eq!(about_kernel(true, release), None, "{release}");
        }
    }

    #[test]
    fn sessions_that_a_start_would_end_are_told() {
        assert_eq!(about_sessions(0), None);
        assert!(about_sessions(7).unwrap().starts_with("7 sessions were begun by an earlier version"));
    }
}
