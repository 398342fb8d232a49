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
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ppp_linux::device::{DeviceError, Line};
use ppp_linux::interface::InterfaceId;
use ppp_wire::causes::chain;

use super::devices::Devices;
use super::session::Session;

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
    worker_pid: u32,
    devices: Devices,
    /// The session's interface, and whose frames come in there.
    device: Option<(InterfaceId, Line)>,
    access: Option<InterfaceId>,
    /// `nosourcecheck`
    any_ipv4_source: bool,
}

impl Look {
    /// `access` is the session's access interface, if it is there.
    pub(super) fn new(session: &Session, access: Option<&InterfaceId>, devices: &Devices) -> Self {
        Self {
            worker_pid: session.worker_pid,
            devices: devices.clone(),
            device: session.tun.clone().zip(session.line),
            access: access.cloned(),
            any_ipv4_source: session.options().source_check.as_ref().is_some_and(|check| !check.value),
        }
    }

    /// All that protects the session. May block.
    pub(super) fn take(&self, repair: Repair) -> Vec<Protection> {
        let process = Path::new("/proc").join(self.worker_pid.to_string());
        let mut all = of_process(&process, Path::new("/proc/self"));
        all.push(Protection { what: OWN_DEVICE, state: self.own_device(repair) });
        if self.any_ipv4_source {
            all.push(Protection { what: "IPv4 source check", state: State::Waived("nosourcecheck") });
        }
        all
    }

    /// What protects the session at its own interface. May block.
    pub(super) fn take_device(&self, repair: Repair) -> Protection {
        Protection { what: OWN_DEVICE, state: self.device(repair) }
    }

    /// Whether the kernel brings the worker its own frames only, and lets it send no others, nor packets of other sources.
    fn own_device(&self, repair: Repair) -> State {
        // Without its access interface the session ends.
        let Some((programs, access)) = self.devices.programs().zip(self.access.as_ref()) else {
            return self.device(repair);
        };
        let at_access =
            attached(programs.is_access_attached(access), repair, access, || programs.attach_access(access));
        match (at_access, self.device(repair)) {
            (missing @ State::Missing(_), _) | (_, missing @ State::Missing(_)) => missing,
            (State::PutBack, _) | (_, State::PutBack) => State::PutBack,
            (State::InForce, at_device) => at_device,
            _ => State::Unknown,
        }
    }

    fn device(&self, repair: Repair) -> State {
        let Some(programs) = self.devices.programs() else {
            return State::Waived("--allow-unfiltered-workers");
        };
        let Some((device, line)) = &self.device else { return State::Unknown };
        match programs.is_admitted(device.index, line) {
            Ok(true) => attached(programs.is_device_attached(device), repair, device, || {
                programs.attach_device(device)
            }),
            Ok(false) => State::Missing(Some("it is not in the eBPF maps".to_owned())),
            Err(_) => State::Unknown,
        }
    }
}

const OWN_DEVICE: &str = "own device";

/// Whether the programs are in force at an interface, after they were put back there if they are to be.
fn attached(
    is_attached: Result<bool, DeviceError>,
    repair: Repair,
    interface: &InterfaceId,
    attach: impl FnOnce() -> Result<(), DeviceError>,
) -> State {
    let removed =
        |why: &str| State::Missing(Some(format!("the eBPF programs at {interface} were removed{why}")));
    match is_attached {
        Ok(true) => State::InForce,
        Ok(false) if repair == Repair::No => removed(""),
        Ok(false) => match attach() {
            Ok(()) => State::PutBack,
            Err(error) => removed(&format!(": {}", chain(&error))),
        },
        // An interface that is just going has none.
        Err(_) => State::Unknown,
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
