//! What would keep the start from succeeding, found without starting: for `pppoed check`.

use std::collections::BTreeMap;
use std::error::Error;

use ppp_linux::interface::{IfIndex, IfName};
use ppp_linux::netlink::Netlink;
use ppp_linux::spawn::Program;

use super::rivals;
use super::setup::{SetupError, find_interface, worker_path, worker_user};
use super::worker::chain;
use crate::check::Findings;
use crate::config::Config;

/// Looks for the access interfaces, the worker program and the workers' user. May block.
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
        Ok(_) => {}
        Err(error) => findings.errors.push(said(&error.into())),
    }
    match worker_user(&config.worker_user) {
        Ok((_, remark)) => findings.remarks.extend(remark),
        Err(error) => findings.errors.push(said(&error)),
    }
    findings
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
