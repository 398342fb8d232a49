//! Where each setting was made, by the name that [`Config::entries`](super::Config::entries) gives it.

use std::collections::BTreeMap;

use clap::Parser;

use crate::flags::Flags;
use crate::options::{FsmOptions, PppOptions};
use crate::origin::{Origin, Sourced};

/// The origins of all settings that are not at their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// Of what the files say and the command line overrides.
    pub(super) fn new(flags: &Flags, options: &PppOptions) -> Self {
        let mut origins = Self::default();
        origins.add_options(options);
        origins.add_flags(flags);
        origins
    }

    pub(super) fn of(&self, key: &str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::Default)
    }

    fn add<T>(&mut self, key: &'static str, option: &Option<Sourced<T>>) {
        self.0.extend(option.as_ref().map(|option| (key, option.origin.clone())));
    }

    fn add_options(&mut self, options: &PppOptions) {
        let keys = |prefix| match prefix {
            "lcp" => ["lcp-restart", "lcp-max-configure", "lcp-max-terminate", "lcp-max-failure"],
            "ipcp" => ["ipcp-restart", "ipcp-max-configure", "ipcp-max-terminate", "ipcp-max-failure"],
            _ => ["ipv6cp-restart", "ipv6cp-max-configure", "ipv6cp-max-terminate", "ipv6cp-max-failure"],
        };
        for (prefix, fsm) in [("lcp", &options.lcp), ("ipcp", &options.ipcp), ("ipv6cp", &options.ipv6cp)] {
            let FsmOptions { restart, max_configure, max_terminate, max_failure } = fsm;
            for (key, option) in
                keys(prefix).into_iter().zip([restart, max_configure, max_terminate, max_failure])
            {
                self.add(key, option);
            }
        }
        self.add("lcp-echo-interval", &options.lcp_echo_interval);
        self.add("lcp-echo-failure", &options.lcp_echo_failure);
        self.add("chap-restart", &options.chap_restart);
        self.add("chap-max-challenge", &options.chap_max_challenge);
        self.add("chap-interval", &options.chap_interval);
        self.add("auth-deadline", &options.pap_timeout);
        self.add("chap-secrets", &options.chap_secrets);
        self.add("pap-secrets", &options.pap_secrets);
        self.add("name", &options.domain);
        self.add("name", &options.name);
        self.0.extend(options.usehostname.iter().map(|origin| ("name", origin.clone())));
        self.0.extend(options.papcrypt.iter().map(|origin| ("papcrypt", origin.clone())));
        self.add("local", &options.local_address);
        self.add("remote", &options.remote_address);
        self.add("ipv6", &options.ipv6);
    }

    fn add_flags(&mut self, flags: &Flags) {
        // What a command line without flags says is nobody's wish.
        let Ok(none) = Flags::try_parse_from(["pppoed"]) else { return };
        macro_rules! flags {
            ($($key:literal, $flag:literal, $($field:ident).+;)+) => {
                $(if flags.$($field).+ != none.$($field).+ {
                    self.0.insert($key, Origin::Flag($flag));
                })+
            };
        }
        flags! {
            "interface", "-I", interfaces;
            "wait-for-interfaces", "--wait-for-interfaces", wait_for_interfaces;
            "frame-types", "-f", frame_types;
            "service", "-S", services;
            "motm", "-M", motm;
            "hurl", "-H", hurl;
            "ignore-when-full", "-i", ignore_when_full;
            "cookie-lifetime", "--cookie-lifetime", cookie_lifetime;
            "session-offset", "-o", session_offset;
            "random-order", "-r", random_order;
            "unit-from-slot", "-u", unit_from_slot;
            "padi-rate", "--padi-rate", limits.padi_rate;
            "padr-rate", "--padr-rate", limits.padr_rate;
            "padt-rate", "--padt-rate", limits.padt_rate;
            "mac-rate", "--mac-rate", limits.mac_rate;
            "pado-delay", "--pado-delay", limits.pado_delay;
            "max-starting", "--max-starting", limits.max_starting;
            "sessions-per-interface", "--sessions-per-interface", limits.sessions_per_interface;
            "sessions-per-user", "--sessions-per-user", limits.sessions_per_user;
            "heartbeat", "--heartbeat", limits.heartbeat;
            "heartbeat-timeout", "--heartbeat-timeout", limits.heartbeat_timeout;
            "reload-deadline", "--reload-deadline", limits.reload_deadline;
            "mac-allow", "--mac-allow", limits.mac_allow;
            "mac-deny", "--mac-deny", limits.mac_deny;
            "auth-tries", "--auth-tries", auth_tries;
            "auth-deadline", "--auth-deadline", auth_deadline;
            "chap-secrets", "--chap-secrets", chap_secrets;
            "pap-secrets", "--pap-secrets", pap_secrets;
            "setup-deadline", "--setup-deadline", setup_deadline;
            "orphan-timeout", "--orphan-timeout", orphan_timeout;
            "adoption-grace", "--adoption-grace", adoption_grace;
            "dead-peer", "-T", dead_peer;
            "max-mss", "-m", max_mss;
            "run-dir", "--run-dir", run_dir;
            "control", "-U", control_socket;
            "pid-file", "-X", pid_file;
            "foreground", "-F", foreground;
            "no-ebpf", "--no-ebpf", no_ebpf;
            "no-offloads", "--no-offloads", no_offloads;
            "no-probe", "--no-probe", no_probe;
            "worker", "--worker", worker;
            "worker-user", "--worker-user", worker_user;
            "control-group", "--control-group", control_group;
            "view-group", "--view-group", view_group;
        }
    }
}
