//! What protects a session, as the kernel has it at the moment: not what was set up once, nor what the worker says.
//!
//! Everything that was switched on for a session is read back, beside the event loop: when the session opens, now and then after
//! that (`inspection.rs`), and when somebody asks (`show session`). What can be put right is put right. What is missing
//! then ends the session, or is noted, as `--missing-protection` says.
//!
//! Another protection is one more line in [`Look::take`].

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ppp_linux::interface::InterfaceId;
use ppp_linux::ipv6_source;
use ppp_linux::netlink::Netlink;

use super::egress::Egress;
use super::session::Session;
use super::worker::chain;

/// A protection of a session, and whether it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Protection {
    /// Such as "no capabilities".
    pub(super) what: &'static str,
    pub(super) state: State,
}

/// Whether a protection is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    InForce,
    /// It was not, and is now.
    PutBack,
    /// It is not wanted.
    Waived(&'static str),
    /// It is not, and why, if that is known.
    Missing(Option<String>),
    /// The worker is just going, for instance.
    Unknown,
}

/// As `show session` has it.
impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what;
        match &self.state {
            State::InForce | State::PutBack => f.write_str(what),
            State::Waived(why) => write!(f, "NOT {what} ({why})"),
            State::Missing(None) => write!(f, "NOT {what}"),
            State::Missing(Some(why)) => write!(f, "NOT {what}: {why}"),
            State::Unknown => write!(f, "unknown: {what}"),
        }
    }
}

/// What to do about a protection that is missing and can be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    Yes,
    No,
}

/// What is to be in force for a session: enough to look at it where one may wait.
#[derive(Debug)]
pub(super) struct Look {
    session_id: u16,
    worker_pid: u32,
    tun: Option<InterfaceId>,
    /// Whether sources are to be checked; none without IPv4.
    ipv4: Option<bool>,
    /// The only source; none without IPv6.
    ipv6: Option<Ipv6Addr>,
    ebpf: bool,
    access: Option<InterfaceId>,
    egress: Egress,
}

impl Look {
    /// `access` is the session's access interface, if it is there.
    pub(super) fn new(session: &Session, access: Option<&InterfaceId>, egress: &Egress, ebpf: bool) -> Self {
        let has_ipv4 = session.given.as_ref().is_some_and(|given| given.ipv4.is_some());
        let ipv6 = session.given.as_ref().and_then(|given| given.ipv6);
        let wants_check = session.options().source_check.as_ref().is_none_or(|check| check.value);
        Self {
            session_id: session.id,
            worker_pid: session.worker_pid,
            tun: session.tun.clone(),
            ipv4: has_ipv4.then_some(wants_check),
            ipv6: ipv6.map(|ends| ends.peer),
            ebpf,
            access: access.cloned(),
            egress: egress.clone(),
        }
    }

    /// As [`Look::new`], for a session whose interface is being configured for these.
    pub(super) fn with_protocols(self, ipv4: bool, ipv6: Option<Ipv6Addr>, wants_check: bool) -> Self {
        Self { ipv4: ipv4.then_some(wants_check), ipv6, ..self }
    }

    /// All that protects the session. May block.
    pub(super) fn take(&self, repair: Repair) -> Vec<Protection> {
        let process = Path::new("/proc").join(self.worker_pid.to_string());
        let mut all = of_process(&process, Path::new("/proc/self"));
        all.push(Protection { what: "sends its own frames only", state: self.egress() });
        if let Some(tun) = &self.tun {
            all.extend(
                self.ipv4
                    .map(|is_wanted| Protection { what: IPV4, state: ipv4_sources(tun, is_wanted, repair) }),
            );
            let ipv6 = self.ipv6.map(|peer| ipv6_sources(tun, peer, self.ebpf, repair));
            all.extend(ipv6.map(|state| Protection { what: IPV6, state }));
        }
        all
    }

    /// What is missing is put back by `egress.rs`, for all sessions of an interface.
    fn egress(&self) -> State {
        let Some(filter) = self.egress.filter() else {
            return match self.egress.is_required() {
                true => State::Missing(None),
                false => State::Waived("--allow-unfiltered-workers"),
            };
        };
        // Without its interface the session ends.
        let Some(access) = &self.access else { return State::Unknown };
        match (filter.is_attached(access), filter.dropped_of(self.session_id)) {
            (Ok(true), Ok(Some(_))) => State::InForce,
            (Ok(false), _) => State::Missing(Some(format!("the filter at {access} was removed"))),
            (_, Ok(None)) => State::Missing(Some("its filter has no rule for this session".to_owned())),
            (Err(_), _) | (_, Err(_)) => State::Unknown,
        }
    }
}

const IPV4: &str = "IPv4 source check";
const IPV6: &str = "IPv6 source check";

fn ipv4_sources(tun: &InterfaceId, is_wanted: bool, repair: Repair) -> State {
    if !is_wanted {
        return State::Waived("nosourcecheck");
    }
    let Ok(netlink) = Netlink::open() else { return State::Unknown };
    if netlink.verify_ipv4_source_check(tun).is_ok() {
        return State::InForce;
    }
    let outcome = match repair {
        Repair::Yes => netlink.check_ipv4_sources(tun),
        Repair::No => netlink.verify_ipv4_source_check(tun),
    };
    match outcome {
        Ok(()) => State::PutBack,
        Err(error) if error.is_missing() => State::Unknown,
        Err(error) => State::Missing(Some(chain(&error))),
    }
}

fn ipv6_sources(tun: &InterfaceId, peer: Ipv6Addr, ebpf: bool, repair: Repair) -> State {
    if !ebpf {
        return State::Missing(Some("there is no eBPF (--no-ebpf)".to_owned()));
    }
    match ipv6_source::is_checked(tun) {
        Ok(true) => return State::InForce,
        // The interface is just going.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => return State::Unknown,
        Ok(false) | Err(_) => {}
    }
    if repair == Repair::No {
        return State::Missing(None);
    }
    match ipv6_source::check_ipv6_sources(tun, peer) {
        Ok(()) => State::PutBack,
        Err(error) => State::Missing(Some(format!("{error} (it takes Linux 6.6)"))),
    }
}

/// `process` and `own` are directories of `/proc`.
fn of_process(process: &Path, own: &Path) -> Vec<Protection> {
    let status = fs::read_to_string(process.join("status")).map(|text| fields(&text));
    let in_status = |holds: fn(&Fields) -> bool| match &status {
        Ok(fields) => Ok(holds(fields)),
        Err(error) => Err(io::Error::from(error.kind())),
    };
    let limits = || {
        let text = fs::read_to_string(process.join("limits"))?;
        let is_zero = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.is_some_and(|line| line.split_ascii_whitespace().take(2).eq(["0", "0"]))
        };
        Ok(["Max processes", "Max file size", "Max core file size"].into_iter().all(is_zero))
    };
    let number = |directory: &Path| fs::metadata(directory.join("ns/net")).map(|found| found.ino());
    let netns = || Ok(number(process)? != number(own)?);
    let root = || {
        let file =
            |directory: &Path| fs::metadata(directory.join("root/")).map(|found| (found.dev(), found.ino()));
        Ok(file(process)? != file(own)?)
    };
    // The files of a process that is not dumpable are root's.
    let dumpable = || Ok(fs::metadata(process.join("mem"))?.uid() == 0);
    vec![
        found("empty network namespace", netns()),
        found("empty root directory", root()),
        found("unprivileged user", in_status(is_unprivileged)),
        found("no capabilities", in_status(has_no_capabilities)),
        found("not traceable", dumpable()),
        found("no new privileges", in_status(|fields| value(fields, "NoNewPrivs") == "1")),
        found("resource limits", limits()),
        found("system call filter", in_status(|fields| value(fields, "Seccomp") == "2")),
    ]
}

/// Of proc_pid_status(5).
type Fields = HashMap<String, String>;

fn fields(status: &str) -> Fields {
    let fields = status.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn value<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}

fn is_unprivileged(fields: &Fields) -> bool {
    let none_is_root = |name| {
        let ids: Vec<&str> = value(fields, name).split_ascii_whitespace().collect();
        ids.len() == 4 && !ids.contains(&"0")
    };
    none_is_root("Uid") && none_is_root("Gid") && value(fields, "Groups").is_empty()
}

fn has_no_capabilities(fields: &Fields) -> bool {
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    sets.into_iter().all(|name| u64::from_str_radix(value(fields, name), 16) == Ok(0))
}

fn found(what: &'static str, holds: io::Result<bool>) -> Protection {
    let state = match holds {
        Ok(true) => State::InForce,
        Ok(false) => State::Missing(None),
        Err(_) => State::Unknown,
    };
    Protection { what, state }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(process: &Path, own: &Path) -> Vec<String> {
        of_process(process, own).iter().map(Protection::to_string).collect()
    }

    #[test]
    fn a_process_without_protections_is_said_to_have_none() {
        let own = Path::new("/proc/self");
        let said = shown(own, own);
        for what in
            ["empty network namespace", "empty root directory", "unprivileged user", "no capabilities"]
        {
            assert!(said.contains(&format!("NOT {what}")), "{said:?}");
        }
        assert!(said.contains(&"NOT system call filter".to_owned()), "{said:?}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_unknown() {
        let said = shown(Path::new("/proc/0"), Path::new("/proc/self"));
        assert_eq!(said.len(), 8);
        assert!(said.iter().all(|what| what.starts_with("unknown: ")), "{said:?}");
    }

    #[test]
    fn what_is_missing_has_its_reason() {
        let shown = |state| Protection { what: "x", state }.to_string();
        assert_eq!(shown(State::PutBack), "x");
        assert_eq!(shown(State::Missing(Some("why".into()))), "NOT x: why");
        assert_eq!(shown(State::Waived("nosourcecheck")), "NOT x (nosourcecheck)");
    }
}
