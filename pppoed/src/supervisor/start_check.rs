//! What would keep the start from succeeding, found without starting: for `pppoed check`.

use std::collections::BTreeMap;
use std::error::Error;

use nix::unistd::Group;
use ppp_linux::interface::IfIndex;
use ppp_linux::netlink::Netlink;
use ppp_linux::spawn::Program;
use ppp_wire::causes::chain;
use ppp_wire::if_name::IfName;
use pppoed_config::config::Config;
use pppoed_config::origin::Origin;

use super::rivals;
use super::setup::{SetupError, check_directory, find_interface, worker_path, worker_user};
use crate::preflight::{self, Findings};

/// Looks for the access interfaces, the worker program, the workers' user, and the places of files that the server
/// writes. May block.
pub fn check_start(config: &Config) -> Findings {
    let mut findings = Findings::default();
    if !config.ebpf && !config.allow_unfiltered_workers {
        findings.errors.push(SetupError::NoEbpf.to_string());
    }
    match Netlink::open() {
        Ok(mut netlink) => {
            let mut present = BTreeMap::new();
            for name in &config.interfaces {
                present.extend(interface(&mut netlink, name, config, &mut findings));
            }
            if config.probe {
                findings.remarks.extend(rivals::others_on(config.discovery_ether_type, &present));
            }
        }
        Err(error) => findings.errors.push(said(&error.into())),
    }
    match Program::open(&worker_path(config)) {
        // With too few descriptors no program can be opened, and that is told as such.
        Err(_) if !preflight::has_descriptors(config) => {}
        Ok(_) => {}
        Err(error) => findings.errors.push(said(&error.into())),
    }
    match worker_user(&config.worker_user) {
        Ok((_, remark)) => findings.remarks.extend(remark),
        Err(error) => findings.errors.push(said(&error)),
    }
    findings.errors.extend(places(config));
    findings.remarks.extend(groups(config));
    findings
}

/// What is wrong with the places of files that the server makes.
fn places(config: &Config) -> Vec<String> {
    let mut errors = Vec::new();
    if config.run_dir.exists() {
        errors.extend(check_directory(&config.run_dir).err().map(|error| said(&error)));
    }
    let logfile = config.logfile.as_ref().map(|file| (&file.value, "logfile"));
    let pid_file = config.pid_file.as_ref().map(|file| (file, "-X"));
    for (path, option) in logfile.into_iter().chain(pid_file) {
        if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
            errors.push(format!(
                "{}: there is no directory {} ({option})",
                path.display(),
                directory.display()
            ));
        }
    }
    errors
}

/// Groups that somebody named and that there are not: their members cannot use `pppctl`.
pub(super) fn groups(config: &Config) -> Vec<String> {
    let named = [("control-group", &config.control_group), ("view-group", &config.view_group)];
    let is_missing = |(flag, name): &(&str, &String)| {
        config.origin_of(flag) != Origin::Default && matches!(Group::from_name(name), Ok(None))
    };
    let told = |(flag, name): (&str, &String)| {
        format!(
            "there is no group {name:?} ({}), so only root can use pppctl that way",
            config.origin_of(flag).exact()
        )
    };
    named.into_iter().filter(is_missing).map(told).collect()
}

/// Looks for one interface; its number and name if it is there.
fn interface(
    netlink: &mut Netlink,
    name: &str,
    config: &Config,
    findings: &mut Findings,
) -> Option<(IfIndex, String)> {
    let found = name
        .parse::<IfName>()
        .map_err(SetupError::from)
        .and_then(|name| Ok((find_interface(netlink, &name, config)?, name)));
    match found {
        Ok((Some((interface, _)), name)) => {
            if !interface.up {
                findings.remarks.push(format!("interface {name} is down: ip link set {name} up"));
            }
            return Some((interface.id.index, name.to_string()));
        }
        Ok((None, name)) => {
            findings.remarks.push(format!("there is no interface {name} yet (--wait-for-interfaces)"));
        }
        Err(error) => findings.errors.push(said(&error)),
    }
    None
}

/// An error with what led to it, as the start says it.
fn said(error: &SetupError) -> String {
    let error: &dyn Error = error;
    chain(error)
}
