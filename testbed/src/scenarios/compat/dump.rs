//! What a script was started with, as `dump.sh` writes it down.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

/// Variables whose values are another time's or machine's. That they are there counts.
const VARYING: [&str; 4] = ["BYTES_RCVD", "BYTES_SENT", "CONNECT_TIME", "PPPD_PID"];
/// Variables that are there or not by which of the network protocols was faster. Where both must be known, at the end,
/// they count.
const RACING: [&str; 4] = ["IPLOCAL", "IPREMOTE", "LLLOCAL", "LLREMOTE"];
/// What pppd 2.5 sets, and the 2.4.9 of the reference does not.
const NEWER: [&str; 1] = ["REMOTENUMBER"];

/// A script's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dump {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Everything else, line by line.
    rest: Vec<String>,
    /// IPv4 addresses that the session's interface had.
    pub(super) addresses: usize,
}

impl Dump {
    /// Reads what a script has written. `nic` is the name of the access interface, which differs between machines.
    pub(super) fn parse(text: &str, nic: &str) -> Result<Self> {
        let mut dump =
            Self { arguments: Vec::new(), environment: BTreeMap::new(), rest: Vec::new(), addresses: 0 };
        for line in text.lines() {
            let (what, value) = line.split_once(' ').context("a line without a value")?;
            match what {
                "argument" => dump.arguments.push(value.replace(nic, "NIC")),
                "environment" => {
                    let (name, value) = value.split_once('=').context("a variable")?;
                    dump.environment.insert(name.to_owned(), value.replace(nic, "NIC"));
                }
                "addresses" => dump.addresses = value.parse()?,
                _ => dump.rest.push(line.trim_end().to_owned()),
            }
        }
        dump.forget_what_varies();
        Ok(dump)
    }

    fn forget_what_varies(&mut self) {
        for (variable, stand_in) in [("LLLOCAL", "OURS"), ("LLREMOTE", "THEIRS")] {
            if let Some(address) = self.environment.get(variable).cloned() {
                self.environment.insert(variable.to_owned(), stand_in.to_owned());
                self.arguments.iter_mut().filter(|word| word.contains(&address)).for_each(|word| {
                    *word = format!("[{stand_in}]");
                });
            }
        }
        for name in VARYING {
            if let Some(value) = self.environment.get_mut(name)
                && value.parse::<u64>().is_ok()
            {
                "a number".clone_into(value);
            }
        }
    }

    /// What is not the same in `other`, but for what may differ.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, pppd: Option<&str>, ours: Option<&str>| {
            if pppd != ours {
                differences.push(format!("{what}: {pppd:?} by pppd, {ours:?} here"));
            }
        };
        compare("arguments", Some(&self.arguments.join(" ")), Some(&other.arguments.join(" ")));
        compare("the process", Some(&self.rest.join("\n")), Some(&other.rest.join("\n")));
        let is_at_the_end = self.environment.contains_key("CONNECT_TIME");
        for name in self.environment.keys().chain(other.environment.keys()).collect::<BTreeSet<_>>() {
            let pppd = self.environment.get(name).map(String::as_str);
            let ours = other.environment.get(name).map(String::as_str);
            let may_lack =
                RACING.contains(&name.as_str()) && !is_at_the_end && pppd.is_none() != ours.is_none();
            let is_newer = NEWER.contains(&name.as_str()) && pppd.is_none();
            if !may_lack && !is_newer {
                compare(name, pppd, ours);
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_PPPD: &str = "path /etc/ppp/ip-up\nargument [ppp0]\nargument [vec0]\nenvironment DEVICE=vec0\n\
                           environment PPPD_PID=7\nenvironment PLAN=x y\nleads its session\naddresses 1\n";

    fn ours(change: (&str, &str)) -> Vec<String> {
        let expected = Dump::parse(OF_PPPD, "vec0").unwrap();
        let text = OF_PPPD.replace("vec0", "eth1").replace("PID=7", "PID=99");
        expected.differences(&Dump::parse(&text.replace(change.0, change.1), "eth1").unwrap())
    }

    #[test]
    fn only_what_may_differ_may_differ() {
        assert_eq!(ours(("", "")), Vec::<String>::new());
        assert_eq!(ours(("leads its", "environment REMOTENUMBER=1\nleads its")), Vec::<String>::new());
        assert_eq!(ours(("leads its", "environment LLLOCAL=fe80::1\nleads its")), Vec::<String>::new());
        for change in [
            ("[ppp0]", "[ppp1]"),
            ("[ppp0]\n", "[ppp0]\nargument []\n"),
            ("PLAN=x y", "PLAN=x"),
            ("PID=99", "PID=none"),
            ("leads its", "environment PATH=/bin\nleads its"),
            ("environment DEVICE=eth1\n", ""),
            ("leads its session\n", ""),
        ] {
            assert_eq!(ours(change).len(), 1, "{change:?}: {:?}", ours(change));
        }
    }
}
