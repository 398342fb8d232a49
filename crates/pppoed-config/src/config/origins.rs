//! Where each setting was made, by the name that [`Config::entries`](super::Config::entries) gives it.

use std::collections::BTreeMap;

use super::layer::Merged;
use crate::options::{FsmOptions, PppOptions};
use crate::origin::{Origin, Sourced};

/// The origins of all settings that are not at their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// Of what the options say and the settings of the server override.
    pub(super) fn new(merged: &Merged, options: &PppOptions) -> Self {
        let mut origins = Self::default();
        origins.add_options(options);
        origins.0.extend(merged.all_given().map(|(key, origin)| (key, origin.clone())));
        origins
    }

    pub(super) fn of(&self, key: &str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::Default)
    }

    pub(super) fn set(&mut self, key: &'static str, origin: Origin) {
        self.0.insert(key, origin);
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
        self.0.extend(options.lcp_echo_adaptive.iter().map(|origin| ("lcp-echo-adaptive", origin.clone())));
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
}
