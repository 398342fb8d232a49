//! The options of pppd in the terms of our own protocol machines.

use std::path::PathBuf;
use std::time::Duration;

use ppp_proto::RestartConfig;
use ppp_proto::auth::{AuthConfig, AuthMethod};
use ppp_proto::link::EchoConfig;

use super::{ConfigError, Ipv6Config, Notice, seconds};
use crate::flags::Flags;
use crate::options::{AuthMethods, FsmOptions, PppOptions};
use crate::origin::Sourced;
use crate::secrets;

/// What PPPoE carries without PPP-Max-Payload (RFC 2516 section 7), in bytes.
pub(super) const PPPOE_MTU: u16 = 1492;
/// What it carries with PPP-Max-Payload on an Ethernet that takes 1508 bytes (RFC 4638), in bytes.
const LARGEST_MRU: u16 = 1500;

fn value<T: Clone>(option: &Option<Sourced<T>>) -> Option<T> {
    option.as_ref().map(|option| option.value.clone())
}

pub(super) fn mru(options: &PppOptions, notices: &mut Vec<Notice>) -> Sourced<u16> {
    for (option, value) in [("mru", &options.mru), ("mtu", &options.session.mtu)] {
        if let Some(value) = value.as_ref().filter(|value| value.value > PPPOE_MTU) {
            notices.push(Notice::PacketSize { option, value: value.clone() });
        }
    }
    options.mru.clone().unwrap_or(Sourced::default_value(LARGEST_MRU))
}

pub(super) fn restart(options: &FsmOptions) -> RestartConfig {
    let default = RestartConfig::default();
    RestartConfig {
        restart: value(&options.restart).map_or(default.restart, seconds),
        max_configure: value(&options.max_configure).unwrap_or(default.max_configure),
        max_terminate: value(&options.max_terminate).unwrap_or(default.max_terminate),
        max_failure: value(&options.max_failure).unwrap_or(default.max_failure),
    }
}

pub(super) fn ipv6(options: &PppOptions) -> Option<Ipv6Config> {
    let wanted = options.ipv6.as_ref().is_some_and(|ipv6| ipv6.value);
    let (local, remote) = (value(&options.ipv6_local_id), value(&options.ipv6_remote_id));
    wanted.then_some(Ipv6Config { local, remote })
}

/// As pppd, an echo is sent at every interval unless `lcp-echo-adaptive` is given.
pub(super) fn echo(options: &PppOptions) -> Option<EchoConfig> {
    let default = EchoConfig::default();
    let interval = value(&options.lcp_echo_interval).map_or(default.interval, seconds);
    let max_failures = value(&options.lcp_echo_failure).unwrap_or(default.max_failures);
    let only_when_idle = options.lcp_echo_adaptive.is_some();
    (interval > Duration::ZERO).then_some(EchoConfig { interval, max_failures, only_when_idle })
}

pub(super) fn auth_methods(options: &PppOptions, notices: &mut Vec<Notice>) -> Sourced<Vec<AuthMethod>> {
    options.auth_methods().map_with(|methods, origin| match methods {
        AuthMethods::Chap => vec![AuthMethod::ChapMd5],
        AuthMethods::ChapThenPap => vec![AuthMethod::ChapMd5, AuthMethod::Pap],
        AuthMethods::None => {
            notices.push(Notice::NoAuthentication(origin.clone()));
            Vec::new()
        }
        AuthMethods::Pap => vec![AuthMethod::Pap],
    })
}

pub(super) fn auth(flags: &Flags, options: &PppOptions) -> AuthConfig {
    let default = AuthConfig::default();
    // 0 is no deadline, and no interval.
    let time = |count: u32| (count > 0).then(|| seconds(count));
    let deadline = flags.auth_deadline.or_else(|| value(&options.pap_timeout));
    let deadline = deadline.map_or(default.deadline, time);
    AuthConfig {
        restart: value(&options.chap_restart).map_or(default.restart, seconds),
        max_transmits: value(&options.chap_max_challenge).unwrap_or(default.max_transmits),
        max_tries: flags.auth_tries,
        deadline,
        rechallenge: value(&options.chap_interval).and_then(time),
    }
}

pub(super) fn secrets(
    flags: &Flags,
    options: &PppOptions,
    hostname: impl Fn() -> Result<Vec<u8>, ConfigError>,
) -> Result<secrets::Settings, ConfigError> {
    let path = |flag: &Option<PathBuf>, option: &Option<Sourced<PathBuf>>, default: &str| {
        flag.clone().or_else(|| value(option)).unwrap_or_else(|| default.into())
    };
    Ok(secrets::Settings {
        chap_secrets: path(&flags.chap_secrets, &options.chap_secrets, "/etc/ppp/chap-secrets"),
        pap_secrets: path(&flags.pap_secrets, &options.pap_secrets, "/etc/ppp/pap-secrets"),
        users_file: flags.users_file.clone(),
        our_name: match &options.name {
            Some(name) if options.usehostname.is_none() => name.value.clone(),
            _ => full_hostname(hostname()?, options),
        },
        papcrypt: options.papcrypt.is_some(),
    })
}

/// The host name, with the domain of the option `domain` behind it.
fn full_hostname(mut hostname: Vec<u8>, options: &PppOptions) -> Vec<u8> {
    if let Some(domain) = value(&options.domain).filter(|domain| !domain.is_empty()) {
        if !domain.starts_with(b".") {
            hostname.push(b'.');
        }
        hostname.extend(domain);
    }
    hostname
}
