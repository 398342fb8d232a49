//! A configuration as a list of settings, each with its value in words, its origin, and when a change takes effect.
//!
//! Every field of [`Config`] must be taken apart here, so that a new one cannot be forgotten: the comparison of two
//! configurations goes by this list. Not in it are what has lists of its own in `change`: the addresses of
//! the pool and the lists of MAC addresses.
//!
//! A setting that a console can change is shown in words that `set config` takes: `policy::shown` reads them.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use ppp_ipc::reload;
use ppp_proto::RestartConfig;
use ppp_proto::auth::{AuthConfig, AuthMethod};
use ppp_wire::escape::Escaped;
use ppp_wire::name::NameText;

use super::origins::Origins;
use super::{Config, Hooks, Ipv6Config, Limits, PoolOrigins, Profile};
use crate::mac_list::MacFiles;
use crate::options::{self, SessionOptions, auth_word};
use crate::origin::{Origin, Sourced};
use crate::pool::Numbering;
use crate::secrets;
use crate::shown::{optional, text};

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once, for everybody.
    Now,
    /// For sessions that begin from now on; the others keep what they began with.
    NewSessions,
    /// When the server is started again.
    Restart,
}

impl From<Effect> for reload::Effect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Now => Self::Now,
            Effect::NewSessions => Self::NewSessions,
            Effect::Restart => Self::Restart,
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, of the option or the long flag.
    pub key: Cow<'static, str>,
    /// Value in words, safe to show.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
    /// When a change of it takes effect.
    pub effect: Effect,
    /// The profile that it is of, if it is not for all interfaces.
    pub profile: Option<String>,
}

use Effect::{NewSessions, Now, Restart};

impl Config {
    /// All settings but the addresses of the pool and the lists of MAC addresses, in a fixed order.
    pub fn entries(&self) -> Vec<Entry> {
        let Self {
            interfaces,
            patterns,
            profiles,
            wait_for_interfaces,
            discovery_ether_type,
            session_ether_type,
            ac_name,
            services,
            motm,
            hurl,
            ignore_when_full,
            cookie_lifetime,
            pool,
            pool_origins: _,
            named_pools,
            numbering,
            random_order,
            unit_from_slot,
            per_mac,
            limits,
            hooks,
            mru,
            lcp,
            ipcp,
            ipv6cp,
            echo,
            auth_methods,
            auth,
            secrets,
            setup_deadline,
            orphan_timeout,
            adoption_grace,
            offloads,
            gather,
            ipv6,
            session,
            dead_peer,
            max_mss,
            scripts,
            logfile,
            log_level,
            run_dir,
            control_socket,
            pid_file,
            foreground,
            console_file,
            worker,
            worker_user,
            control_group,
            view_group,
            origins,
            probe,
            rival_interval,
            ebpf,
            allow_unfiltered_workers,
        } = self;
        let mut list = List { entries: Vec::new(), origins };
        let served = interfaces.iter().chain(patterns).map(String::as_str);
        list.add("interface", Now, served.collect::<Vec<_>>().join(" "));
        list.add("wait-for-interfaces", Restart, wait_for_interfaces);
        let types = [discovery_ether_type, session_ether_type].map(|&ether_type| u16::from(ether_type));
        list.add("frame-types", Restart, format_args!("{:04x}:{:04x}", types[0], types[1]));
        list.sourced("ac-name", Now, ac_name, |name| name_text(name));
        let names = services.iter().map(name_text).collect::<Vec<_>>().join(" ");
        list.add("service", Now, optional(Some(names).filter(|names| !names.is_empty())));
        list.add("motm", Now, optional(motm.as_deref().map(text)));
        list.add("hurl", Now, optional(hurl.as_deref().map(text)));
        list.add("ignore-when-full", Now, ignore_when_full);
        list.add("cookie-lifetime", Restart, Time(*cookie_lifetime));
        let counted_by = match &self.pool_origins {
            PoolOrigins::File { .. } => self.pool_origins.of(0),
            PoolOrigins::One(_) => self.origins.of("sessions"),
        };
        list.push("sessions", Now, pool.len(), counted_by);
        let offset = match numbering {
            Numbering::Random => None,
            Numbering::From(offset) => Some(offset),
        };
        list.add("session-offset", Restart, optional(offset));
        list.add("random-order", Restart, random_order);
        list.add("unit-from-slot", NewSessions, unit_from_slot);
        list.sourced("per-mac", Now, per_mac, ToString::to_string);
        list.limits(limits, self.max_sessions());
        list.hooks(hooks);
        list.sourced("mru", NewSessions, mru, ToString::to_string);
        list.restart(["lcp-restart", "lcp-max-configure", "lcp-max-terminate", "lcp-max-failure"], lcp);
        list.restart(["ipcp-restart", "ipcp-max-configure", "ipcp-max-terminate", "ipcp-max-failure"], ipcp);
        list.restart(
            ["ipv6cp-restart", "ipv6cp-max-configure", "ipv6cp-max-terminate", "ipv6cp-max-failure"],
            ipv6cp,
        );
        list.add("lcp-echo-interval", NewSessions, optional(echo.map(|echo| Time(echo.interval))));
        list.add("lcp-echo-failure", NewSessions, optional(echo.map(|echo| echo.max_failures)));
        list.add("lcp-echo-adaptive", NewSessions, echo.is_some_and(|echo| echo.only_when_idle));
        list.sourced("auth", NewSessions, auth_methods, |methods| auth_words(methods));
        list.auth(auth);
        list.secrets(secrets);
        list.add("setup-deadline", NewSessions, Time(*setup_deadline));
        list.add("orphan-timeout", NewSessions, Time(*orphan_timeout));
        list.add("adoption-grace", Restart, Time(*adoption_grace));
        list.add("no-offloads", NewSessions, !offloads);
        list.add("gather", NewSessions, format_args!("{} us", gather.as_micros()));
        list.add("ipv6", NewSessions, ipv6.map_or_else(|| "false".to_owned(), ipv6_words));
        list.session(session);
        list.add("dead-peer", NewSessions, optional(dead_peer.map(Time)));
        list.add("max-mss", NewSessions, optional(*max_mss));
        for (script, path) in scripts {
            list.sourced(format!("{}-script", script.as_str()), NewSessions, path, |path| shown(path));
        }
        list.optional("logfile", Now, logfile, |path| shown(path));
        list.sourced("log-level", Now, log_level, |level| format!("{level:?}").to_lowercase());
        list.add("no-probe", Restart, !probe);
        list.add("rival-interval", Restart, Time(rival_interval.unwrap_or_default()));
        list.add("no-ebpf", Restart, !ebpf);
        list.add("allow-unfiltered-workers", Restart, allow_unfiltered_workers);
        list.add("run-dir", Restart, shown(run_dir));
        list.add("control-socket", Restart, shown(control_socket));
        list.add("pid-file", Restart, optional(pid_file.as_deref().map(shown)));
        list.add("foreground", Restart, foreground);
        list.add("console-file", Restart, shown(console_file));
        list.add("worker", Restart, optional(worker.as_deref().map(shown)));
        list.add("worker-user", Restart, text(worker_user.as_bytes()));
        list.add("control-group", Restart, text(control_group.as_bytes()));
        list.add("view-group", Restart, text(view_group.as_bytes()));
        for pool in named_pools {
            list.push(format!("pool {}: sessions", pool.name), Now, pool.entries.len(), pool.origin.clone());
        }
        for profile in profiles {
            list.profile(profile);
        }
        list.entries
    }
}

struct List<'a> {
    entries: Vec<Entry>,
    origins: &'a Origins,
}

impl List<'_> {
    fn push(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        effect: Effect,
        value: impl Display,
        origin: Origin,
    ) {
        self.entries.push(Entry { key: key.into(), value: value.to_string(), origin, effect, profile: None });
    }

    fn add(&mut self, key: &'static str, effect: Effect, value: impl Display) {
        self.push(key, effect, value, self.origins.of(key));
    }

    fn sourced<T>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        effect: Effect,
        setting: &Sourced<T>,
        show: impl Fn(&T) -> String,
    ) {
        self.push(key, effect, show(&setting.value), setting.origin.clone());
    }

    fn optional<T>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        effect: Effect,
        setting: &Option<Sourced<T>>,
        show: impl Fn(&T) -> String,
    ) {
        match setting {
            Some(setting) => self.sourced(key, effect, setting, show),
            None => self.push(key, effect, "none", Origin::Default),
        }
    }

    /// What a profile says, each with its name before the key.
    fn profile(&mut self, profile: &Profile) {
        let Profile {
            name,
            origin: _,
            services,
            ac_name,
            pado_delay,
            padi_rate,
            padr_rate,
            mac_rate,
            sessions,
            per_mac,
            auth_methods,
            pool,
            session,
        } = profile;
        let mut own = List { entries: Vec::new(), origins: self.origins };
        let words = |all: &Vec<Vec<u8>>| all.iter().map(name_text).collect::<Vec<_>>().join(" ");
        own.optional("service", Now, services, words);
        own.optional("ac-name", Now, ac_name, |name| name_text(name));
        own.optional("pado-delay", Now, pado_delay, ToString::to_string);
        for (key, rate) in [("padi-rate", padi_rate), ("padr-rate", padr_rate), ("mac-rate", mac_rate)] {
            own.optional(key, Now, rate, |rate| optional(*rate));
        }
        own.optional("sessions", Now, sessions, |limit| optional(*limit));
        own.optional("per-mac", Now, per_mac, ToString::to_string);
        own.optional("auth", NewSessions, auth_methods, |methods| auth_words(methods));
        own.optional("pool", NewSessions, pool, ToString::to_string);
        own.session(session);
        // What it does not say is not the profile's, and no difference when it says so for the first time.
        let said = own.entries.into_iter().filter(|entry| entry.origin != Origin::Default);
        self.entries.extend(said.map(|entry| Entry {
            key: format!("interface {name}: {}", entry.key).into(),
            profile: Some(name.clone()),
            ..entry
        }));
    }

    fn limits(&mut self, limits: &Limits, sessions: usize) {
        let Limits {
            discovery,
            pado_delay,
            max_starting,
            lcp_deadline,
            replace_wait,
            setups,
            per_interface,
            per_user,
            refusal_delay,
            hash_wait,
            name_wait,
            heartbeat,
            missing_protection,
            protection_check,
            reconcile,
            control_rate,
            frame_rate,
            reload_deadline,
            stall_limit,
            mac_files: MacFiles { allow, deny },
            mac_rules: _,
        } = limits;
        for (key, rate) in [
            ("padi-rate", discovery.padi),
            ("padr-rate", discovery.padr),
            ("padt-rate", discovery.padt),
            ("mac-rate", discovery.per_mac),
        ] {
            self.add(key, Now, optional(rate));
        }
        self.add("pado-delay", Now, pado_delay);
        self.add("max-starting", Now, optional(max_starting.limit(sessions)));
        self.add("setups-at-once", Now, setups.at_once);
        self.add("setup-wait", Now, optional(setups.wait.map(|wait| format!("{} ms", wait.as_millis()))));
        self.add("dial-patience", Now, Time(setups.patience));
        self.add("lcp-deadline", Now, Time(*lcp_deadline));
        self.add("replace-wait", Now, format_args!("{} ms", replace_wait.as_millis()));
        self.add("sessions-per-interface", Now, optional(*per_interface));
        self.add("sessions-per-user", Now, optional(per_user.map(|limit| limit.sessions)));
        if let Some(limit) = per_user {
            self.add("user-limit", Now, format!("{:?}", limit.policy).to_lowercase());
        }
        self.add("refusal-delay", Now, format_args!("{} ms", refusal_delay.as_millis()));
        self.add("hash-wait", Now, format_args!("{} ms", hash_wait.as_millis()));
        self.add("name-wait", Now, format_args!("{} ms", name_wait.as_millis()));
        self.add("heartbeat", Now, optional(heartbeat.map(|heartbeat| Time(heartbeat.interval))));
        if let Some(heartbeat) = heartbeat {
            self.add("heartbeat-timeout", Now, Time(heartbeat.timeout));
        }
        self.add("missing-protection", Now, format!("{missing_protection:?}").to_lowercase());
        self.add("protection-check", Now, optional(protection_check.map(Time)));
        self.add("reconcile-interval", Now, optional(reconcile.map(Time)));
        self.add("control-rate", Now, optional(*control_rate));
        self.add("frame-rate", Now, optional(*frame_rate));
        self.add("reload-deadline", Now, Time(*reload_deadline));
        self.add("stall-limit", Now, optional(stall_limit.map(|limit| format!("{} ms", limit.as_millis()))));
        self.add("mac-allow", Restart, optional(allow.as_deref().map(shown)));
        self.add("mac-deny", Restart, optional(deny.as_deref().map(shown)));
    }

    fn hooks(&mut self, hooks: &Hooks) {
        let Hooks { directory, hosts, deadline, leftovers, failure, memory_limit, padi_limit, store } = hooks;
        self.add("hooks-dir", Restart, shown(directory));
        self.add("hook-hosts", Restart, hosts);
        self.add("hook-deadline", Restart, Time(*deadline));
        self.add("hook-leftovers", Restart, Time(leftovers.unwrap_or_default()));
        self.add("hook-failure", Restart, format!("{failure:?}").to_lowercase());
        self.add("hook-memory", Restart, format_args!("{} MiB", memory_limit >> 20));
        self.add("hook-padi-limit", Restart, padi_limit);
        self.add("hook-store", Restart, shown(store));
    }

    fn restart(&mut self, keys: [&'static str; 4], config: &RestartConfig) {
        let RestartConfig { restart, max_configure, max_terminate, max_failure } = config;
        let [key, counters @ ..] = keys;
        self.add(key, NewSessions, Time(*restart));
        for (key, count) in counters.into_iter().zip([max_configure, max_terminate, max_failure]) {
            self.add(key, NewSessions, count);
        }
    }

    fn auth(&mut self, auth: &AuthConfig) {
        let AuthConfig { restart, max_transmits, max_tries, deadline, rechallenge } = auth;
        self.add("chap-restart", NewSessions, Time(*restart));
        self.add("chap-max-challenge", NewSessions, max_transmits);
        self.add("auth-tries", NewSessions, max_tries);
        self.add("auth-deadline", NewSessions, optional(deadline.map(Time)));
        self.add("chap-interval", NewSessions, optional(rechallenge.map(Time)));
    }

    fn secrets(&mut self, settings: &secrets::Settings) {
        let secrets::Settings { chap_secrets, pap_secrets, users_file, our_name, papcrypt } = settings;
        self.add("chap-secrets", Now, shown(chap_secrets));
        self.add("pap-secrets", Now, shown(pap_secrets));
        self.add("users-file", Now, optional(users_file.as_deref().map(shown)));
        self.add("name", NewSessions, text(our_name));
        self.add("papcrypt", Now, papcrypt);
    }

    fn session(&mut self, options: &SessionOptions) {
        for option in options::shown(options) {
            self.push(option.key, NewSessions, option.value, option.origin);
        }
    }
}

fn auth_words(methods: &[AuthMethod]) -> String {
    match methods {
        [] => "none".to_owned(),
        methods => methods.iter().map(|method| auth_word(*method)).collect::<Vec<_>>().join(" "),
    }
}

/// As the option `ipv6` takes it.
fn ipv6_words(ipv6: Ipv6Config) -> String {
    let end = |id: Option<u64>| id.map_or_else(String::new, |id| Ipv6Addr::from(u128::from(id)).to_string());
    match ipv6 {
        Ipv6Config { local: None, remote: None } => "true".to_owned(),
        Ipv6Config { local, remote } => format!("{},{}", end(local), end(remote)),
    }
}

/// A name between quotes.
fn name_text(bytes: impl AsRef<[u8]>) -> String {
    format!("\"{}\"", NameText(bytes.as_ref()))
}

fn shown(path: impl AsRef<Path>) -> String {
    Escaped(path.as_ref().as_os_str().as_encoded_bytes()).to_string()
}

/// A time in seconds.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() { f.write_str("0s") } else { write!(f, "{:?}", self.0) }
    }
}
