//! What the machine must allow before a server can run on it, told by what is missing and how to give it: containers and
//! units take away what root has elsewhere, and the kernel only says "not permitted".

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use pppoed_config::config::Config;

use crate::daemon::DescriptorNeed;

/// What there is to say about a configuration that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Reasons not to start, or not to serve some.
    pub errors: Vec<String>,
    /// What an administrator should know.
    pub remarks: Vec<String>,
}

impl Findings {
    /// Adds others.
    pub fn extend(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.remarks.extend(other.remarks);
    }
}

const TUN: &str = "/dev/net/tun";
/// The calling thread's status: proc(5).
const STATUS: &str = "/proc/thread-self/status";
/// The calling thread's user namespace as seen from outside: user_namespaces(7).
const UID_MAP: &str = "/proc/self/uid_map";
/// What the initial namespace has there.
const ALL_UIDS: [&str; 3] = ["0", "0", "4294967295"];
/// The calling process's place among the control groups: cgroups(7).
const CGROUP: &str = "/proc/self/cgroup";
const CGROUPS: &str = "/sys/fs/cgroup";
/// Processes beside those of the sessions: this one, the template, hook hosts and what they start.
const OTHER_PROCESSES: u64 = 64;

/// Number of CAP_SYS_RESOURCE, which is needed only where the hard limit of open files is too low.
const SYS_RESOURCE: u32 = 24;

/// A capability (capabilities(7)) that something here is not possible without.
struct Capability {
    /// Its number in `linux/capability.h`.
    number: u32,
    /// Its name without `CAP_`.
    name: &'static str,
    /// What it is for.
    purpose: &'static str,
    /// What follows if it is missing; `None`: no session is possible.
    without: Option<&'static str>,
}

/// Those that root has and this program uses. eBPF needs none more: CAP_SYS_ADMIN holds CAP_BPF and CAP_PERFMON.
const CAPABILITIES: [Capability; 11] = [
    needed(12, "NET_ADMIN", "interfaces of sessions, their addresses, filters"),
    needed(13, "NET_RAW", "packet sockets"),
    needed(21, "SYS_ADMIN", "eBPF, the workers' network namespace"),
    needed(18, "SYS_CHROOT", "the workers' empty root directory"),
    needed(8, "SETPCAP", "workers without capabilities"),
    needed(7, "SETUID", "the workers' user"),
    needed(6, "SETGID", "the workers' group"),
    needed(5, "KILL", "ending workers"),
    needed(0, "CHOWN", "the sockets of workers and of groups that may use pppctl"),
    useful(1, "DAC_OVERRIDE", "files of other users cannot be read or written, such as a log file"),
    useful(
        19,
        "SYS_PTRACE",
        "sessions that are taken over from another pppoed keep counters that stand still",
    ),
];

const fn needed(number: u32, name: &'static str, purpose: &'static str) -> Capability {
    Capability { number, name, purpose, without: None }
}

const fn useful(number: u32, name: &'static str, without: &'static str) -> Capability {
    Capability { number, name, purpose: "", without: Some(without) }
}

/// What no server can do without, whatever it is to do: to be root, with capabilities. Empty: nothing is missing. May block.
pub fn missing_capabilities() -> Vec<String> {
    if !nix::unistd::geteuid().is_root() {
        return vec![
            "pppoed must be started as root: it listens on raw sockets and makes network interfaces"
                .to_owned(),
        ];
    }
    held().map(capabilities).unwrap_or_default().errors
}

fn held() -> Option<u64> {
    fs::read_to_string(STATUS).ok().and_then(|status| effective(&status))
}

/// What keeps a server with this configuration from starting on this machine, and what it will have to do without. Not
/// what interfaces there are. May block.
pub fn machine(config: &Config) -> Findings {
    let mut findings = Findings::default();
    if !nix::unistd::geteuid().is_root() {
        findings.errors = missing_capabilities();
        return findings;
    }
    let held = held();
    findings.extend(held.map(capabilities).unwrap_or_default());
    findings.errors.extend(tun().err());
    if let Some(limit) = descriptor_limit() {
        findings.extend(descriptors(DescriptorNeed::of(config.descriptor_users()), limit));
    }
    if let Some((limit, file)) = process_limit() {
        let sessions = u64::try_from(config.max_sessions()).unwrap_or(u64::MAX);
        findings.remarks.extend(processes(sessions, limit, &file));
    }
    if config.ebpf && in_user_namespace() {
        findings.remarks.push(
            "this is a user namespace (a rootless container), where the kernel takes no eBPF programs from anybody: start \
             the container as root, or see --no-ebpf and --allow-unfiltered-workers"
                .to_owned(),
        );
    }
    findings
}

/// What to say about these effective capabilities.
fn capabilities(held: u64) -> Findings {
    let missing: Vec<&Capability> = CAPABILITIES.iter().filter(|it| held & (1 << it.number) == 0).collect();
    let mut findings = Findings::default();
    let needed: Vec<&&Capability> = missing.iter().filter(|it| it.without.is_none()).collect();
    if !needed.is_empty() {
        let list: Vec<String> = needed.iter().map(|it| format!("CAP_{} ({})", it.name, it.purpose)).collect();
        let names: Vec<&str> = needed.iter().map(|it| it.name).collect();
        findings.errors.push(format!(
            "root lacks {} here, which no session is possible without: {}",
            list.join(", "),
            how_to_give(&names)
        ));
    }
    for Capability { name, without, .. } in missing {
        if let Some(without) = without {
            findings.remarks.push(format!("root lacks CAP_{name} here: {without}; {}", how_to_give(&[name])));
        }
    }
    findings
}

fn how_to_give(names: &[&str]) -> String {
    let (mut container, mut unit) = (String::new(), String::new());
    for name in names {
        // Writing to a text cannot fail.
        let _ = write!(container, " --cap-add={name}");
        let _ = write!(unit, " CAP_{name}");
    }
    format!("a container needs{container}, a systemd unit{unit} in CapabilityBoundingSet=")
}

/// The effective set in a proc(5) status.
fn effective(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

fn tun() -> Result<(), String> {
    match File::options().read(true).write(true).open(TUN) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("there is no {TUN}: modprobe tun; in a container: --device {TUN}"))
        }
        Err(error) => Err(format!(
            "{TUN} cannot be opened; a container needs --device {TUN} and --cap-add=NET_ADMIN: {error}"
        )),
    }
}

/// Whether there are as many descriptors as a start needs.
pub fn has_descriptors(config: &Config) -> bool {
    let need = DescriptorNeed::of(config.descriptor_users());
    descriptor_limit().is_none_or(|limit| limit >= need.least)
}

/// How many descriptors there can be.
fn descriptor_limit() -> Option<u64> {
    let can_raise = held().is_none_or(|held| held & (1 << SYS_RESOURCE) != 0);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(if can_raise { u64::MAX } else { hard })
}

/// What to say about a limit of open files that cannot be raised.
fn descriptors(need: DescriptorNeed, limit: u64) -> Findings {
    let mut findings = Findings::default();
    let how = "ulimit -Hn, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container";
    if limit < need.least {
        findings.errors.push(format!(
            "the hard limit of open files is {limit}, and pppoed needs {} to start, {} with all sessions: {how}",
            need.least, need.all
        ));
    } else if limit < need.all {
        findings.remarks.push(format!(
            "the hard limit of open files is {limit}, which is enough for some {} sessions; all need {}: {how}",
            need.sessions_within(limit),
            need.all
        ));
    }
    findings
}

/// What to say where a control group may have so many processes at most.
fn processes(sessions: u64, limit: u64, file: &str) -> Option<String> {
    let needed = sessions.saturating_add(OTHER_PROCESSES);
    (limit < needed).then(|| {
        format!(
            "{file} allows {limit} processes, and each of {sessions} sessions is one: TasksMax= of a systemd unit, \
             --pids-limit of a container"
        )
    })
}

/// The least limit of processes among the control groups that this process is in, and the file that says so.
fn process_limit() -> Option<(u64, String)> {
    let groups = fs::read_to_string(CGROUP).ok()?;
    // Version 2 has one hierarchy, whose number is 0.
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = Path::new(CGROUPS).join(own);
    let limits = own.ancestors().take_while(|group| group.starts_with(CGROUPS)).filter_map(|group| {
        let file = group.join("pids.max");
        let limit = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
        Some((limit, file.display().to_string()))
    });
    limits.min()
}

fn in_user_namespace() -> bool {
    let map = fs::read_to_string(UID_MAP).unwrap_or_default();
    !map.is_empty() && map.split_whitespace().ne(ALL_UIDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = (1 << 41) - 1;

    #[test]
    fn a_missing_capability_is_named_with_how_to_give_it() {
        assert_eq!(capabilities(ALL), Findings::default());
        let both = capabilities(ALL & !(1 << 12) & !(1 << 21));
        assert_eq!(
            both.errors,
            [
                "root lacks CAP_NET_ADMIN (interfaces of sessions, their addresses, filters), CAP_SYS_ADMIN (eBPF, the workers' \
              network namespace) here, which no session is possible without: a container needs --cap-add=NET_ADMIN \
              --cap-add=SYS_ADMIN, a systemd unit CAP_NET_ADMIN CAP_SYS_ADMIN in CapabilityBoundingSet="
            ]
        );
        assert!(both.remarks.is_empty());
        let less = capabilities(ALL & !(1 << 19));
        assert!(less.errors.is_empty() && less.remarks[0].contains("CAP_SYS_PTRACE"), "{less:?}");
        assert!(less.remarks[0].contains("--cap-add=SYS_PTRACE"), "{less:?}");
        assert_eq!(capabilities(0).remarks.len() + 9, CAPABILITIES.len());
    }

    #[test]
    fn the_unit_gives_all_of_them() {
        let unit = fs::read_to_string(manual::root().join("etc/systemd/pppoed.service")).unwrap();
        let bounds = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
        let given: Vec<&str> = bounds.split(' ').filter_map(|word| word.strip_prefix("CAP_")).collect();
        for Capability { name, .. } in CAPABILITIES {
            assert!(given.contains(&name), "CAP_{name}");
        }
        assert!(given.contains(&"SYS_RESOURCE"));
    }

    #[test]
    fn the_effective_set_is_read() {
        assert_eq!(effective("Name:\tx\nCapPrm:\t0f\nCapEff:\t000001ffffffffff\n"), Some(ALL));
        assert_eq!(effective("Name:\tx\n"), None);
        assert_eq!(effective("CapEff:\tmany\n"), None);
    }

    #[test]
    fn too_few_descriptors_are_told_with_how_many_are_needed() {
        let need = DescriptorNeed { least: 200, all: 900 };
        assert_eq!(descriptors(need, 900), Findings::default());
        let few = descriptors(need, 64);
        assert!(
            few.errors[0]
                .starts_with("the hard limit of open files is 64, and pppoed needs 200 to start, 900")
        );
        let some = descriptors(need, 899);
        assert!(
            some.errors.is_empty() && some.remarks[0].contains("is 899, which is enough for some"),
            "{some:?}"
        );
    }

    #[test]
    fn a_limit_of_processes_is_compared_with_the_sessions() {
        assert_eq!(processes(1000, 1064, "x"), None);
        let told = processes(1000, 1063, "/sys/fs/cgroup/pids.max").unwrap();
        assert!(
            told.starts_with("/sys/fs/cgroup/pids.max allows 1063 processes, and each of 1000"),
            "{told}"
        );
    }
}
