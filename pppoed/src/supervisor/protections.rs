//! What keeps a worker in, as the kernel sees it at the moment: not what was set up once, nor what the worker says.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ppp_ipc::control::SessionDetail;

use super::Supervisor;
use super::session::Session;

impl Supervisor {
    /// Replaces what is said of a session's protections by what holds now.
    pub(super) fn with_protections(&self, session: &Session, mut detail: SessionDetail) -> SessionDetail {
        let process = Path::new("/proc").join(session.worker_pid.to_string());
        detail.sandbox = of_process(&process, Path::new("/proc/self"));
        let line = self.accesses.get(session.access).and_then(|access| access.line());
        let egress = self.egress.filter().zip(line).map(|(filter, (interface, _))| {
            let is_attached = filter.is_attached(interface).map_err(io::Error::other)?;
            Ok(is_attached && filter.dropped_of(session.id)?.is_some())
        });
        detail.sandbox.push(phrase("sends its own frames only", egress.unwrap_or(Ok(false))));
        detail
    }
}

/// `process` and `own` are directories of `/proc`.
fn of_process(process: &Path, own: &Path) -> Vec<String> {
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
        phrase("empty network namespace", netns()),
        phrase("empty root directory", root()),
        phrase("unprivileged user", in_status(is_unprivileged)),
        phrase("no capabilities", in_status(has_no_capabilities)),
        phrase("not traceable", dumpable()),
        phrase("no new privileges", in_status(|fields| value(fields, "NoNewPrivs") == "1")),
        phrase("resource limits", limits()),
        phrase("system call filter", in_status(|fields| value(fields, "Seccomp") == "2")),
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

fn phrase(what: &str, holds: io::Result<bool>) -> String {
    match holds {
        Ok(true) => what.to_owned(),
        Ok(false) => format!("NOT {what}"),
        Err(_) => format!("unknown: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_protections_is_said_to_have_none() {
        let own = Path::new("/proc/self");
        let said = of_process(own, own);
        for what in
            ["empty network namespace", "empty root directory", "unprivileged user", "no capabilities"]
        {
            assert!(said.contains(&format!("NOT {what}")), "{said:?}");
        }
        assert!(said.contains(&"NOT system call filter".to_owned()), "{said:?}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_unknown() {
        let said = of_process(Path::new("/proc/0"), Path::new("/proc/self"));
        assert_eq!(said.len(), 8);
        assert!(said.iter().all(|what| what.starts_with("unknown: ")), "{said:?}");
    }
}
