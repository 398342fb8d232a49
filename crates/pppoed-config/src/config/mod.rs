//! The effective configuration: the command line and the options files put together.
//!
//! A flag beats `pppoed.toml`, that beats an options file, and that a default (see [`layer`]). Values that are worth
//! explaining remember where they come from.

mod addresses;
mod capacity;
mod change;
mod command_line;
mod entries;
mod error;
pub mod file;
mod hooks;
mod layer;
mod limits;
mod listing;
mod named_pool;
mod origins;
mod ppp;
mod profile;
mod reference;
mod source;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ppp_proto::RestartConfig;
use ppp_proto::auth::{AuthConfig, AuthMethod};
use ppp_proto::link::EchoConfig;
use ppp_wire::ethernet::EtherType;
use ppp_wire::name::bytes_of;

pub use addresses::PoolOrigins;
pub use change::{Change, Changes, MAX_CHANGES, Setting};
pub use command_line::CommandLine;
pub(crate) use command_line::getopt;
pub use entries::{Effect, Entry};
pub use error::{ConfigError, Notice};
pub use hooks::{DEFAULT_HOOKS_DIRECTORY, Hooks};
pub use layer::Layer;
pub use limits::{Heartbeat, Limits, MaxStarting, Setups, UserLimit};
pub use listing::{Line, MAX_MACS, MAX_RANGES};
pub use named_pool::{NamedPool, RangeTextError};
pub use profile::{Profile, Sections};
pub use reference::{Reference, quoted, reference, sample_file};
pub use source::{Reading, SecretsRemarks, Source};

use self::layer::Merged;
use self::origins::Origins;
use crate::flags::{Flags, LogLevel, PerMac};
use crate::options::{PppOptions, Presence, Reader, Script, SessionOptions};
use crate::origin::{Assignment, Origin, Sourced};
use crate::pool::{Numbering, PoolEntry};
use crate::secrets;

/// Options file that is read if `-O` is not given.
pub const DEFAULT_OPTIONS_FILE: &str = "/etc/ppp/pppoe-server-options";
const DEFAULT_INTERFACE: &str = "eth0";
const DEFAULT_SESSIONS: u32 = 64;

/// IPv6 of every session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Config {
    /// Our interface identifier; `None`: one that follows from the access interface and the session id.
    pub local: Option<u64>,
    /// The clients' interface identifier; `None`: each chooses its own.
    pub remote: Option<u64>,
}

/// Everything that the server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Interfaces to serve, each once.
    pub interfaces: Vec<String>,
    /// Patterns of interfaces that are served as soon as they are there.
    pub patterns: Vec<String>,
    /// What holds for some of them only.
    pub profiles: Vec<Profile>,
    /// An interface may be absent at the start.
    pub wait_for_interfaces: bool,
    /// Look for other servers on the interfaces.
    pub probe: bool,
    /// Time between two looks for other servers; `None`: at the start only.
    pub rival_interval: Option<Duration>,
    /// Let an eBPF program find the session of a frame, where the kernel lets us.
    pub ebpf: bool,
    /// Whether to start where the kernel cannot keep workers to their own frames.
    pub allow_unfiltered_workers: bool,
    /// EtherType of discovery frames.
    pub discovery_ether_type: EtherType,
    /// EtherType of session frames.
    pub session_ether_type: EtherType,
    /// AC-Name.
    pub ac_name: Sourced<Vec<u8>>,
    /// Services on offer, the default first; empty: only the empty name.
    pub services: Vec<Vec<u8>>,
    /// Text of the MOTM tag.
    pub motm: Option<Vec<u8>>,
    /// Text of the HURL tag.
    pub hurl: Option<Vec<u8>>,
    /// Silence in place of a refusal when all slots are taken.
    pub ignore_when_full: bool,
    /// How long a cookie is good for.
    pub cookie_lifetime: Duration,

    /// The addresses of each slot of the default pool; as many as there may be sessions with them.
    pub pool: Vec<PoolEntry>,
    /// Where they come from.
    pub pool_origins: PoolOrigins,
    /// The other pools.
    pub named_pools: Vec<NamedPool>,
    /// How sessions get their ids (`-o`).
    pub numbering: Numbering,
    /// Slots are taken in random order (`-r`).
    pub random_order: bool,
    /// Slot `i` gets the interface `pppI`.
    pub unit_from_slot: bool,
    /// How many sessions one host may have.
    pub per_mac: Sourced<PerMac>,
    /// All other limits.
    pub limits: Limits,
    /// Hook scripts.
    pub hooks: Hooks,

    /// The largest packet that we take from a client, in bytes; less where the wire carries less: 1492, or what
    /// client and server agree on by PPP-Max-Payload.
    pub mru: Sourced<u16>,
    /// Restart timer and counters of LCP.
    pub lcp: RestartConfig,
    /// Restart timer and counters of IPCP.
    pub ipcp: RestartConfig,
    /// Restart timer and counters of IPV6CP.
    pub ipv6cp: RestartConfig,
    /// Keep-alive; `None` for none.
    pub echo: Option<EchoConfig>,
    /// How clients may prove who they are, in order of preference; empty: they need not.
    pub auth_methods: Sourced<Vec<AuthMethod>>,
    /// Timers and counters of authentication.
    pub auth: AuthConfig,
    /// The secrets files, and our name in them and in CHAP challenges.
    pub secrets: secrets::Settings,
    /// From the PADR until IPCP is open.
    pub setup_deadline: Duration,
    /// How long new sessions wait for those that are taken over.
    pub adoption_grace: Duration,
    /// How long a session goes on without us.
    pub orphan_timeout: Duration,
    /// IPv6, if it is wanted (`+ipv6`, `ipv6`).
    pub ipv6: Option<Ipv6Config>,
    /// Options that hold for sessions whose users have none of their own.
    pub session: SessionOptions,
    /// A session ends after this time without any frame from the client.
    pub dead_peer: Option<Duration>,
    /// Upper limit of TCP's maximum segment size, in bytes, beside that of the MTU.
    pub max_mss: Option<u16>,
    /// The sessions' interfaces have segmentation offloads, where the kernel knows of them.
    pub offloads: bool,
    /// How long frames of a stream may gather in a session's packet socket; zero for not at all.
    pub gather: Duration,
    /// Scripts. For the part that runs them.
    pub scripts: BTreeMap<Script, Sourced<PathBuf>>,

    /// File to log to, beside the journal or standard error.
    pub logfile: Option<Sourced<PathBuf>>,
    /// What to log.
    pub log_level: Sourced<LogLevel>,
    /// Directory for sockets and the workers' empty root directory.
    pub run_dir: PathBuf,
    /// Socket for pppctl.
    pub control_socket: PathBuf,
    /// File to write the process id to, and to lock.
    pub pid_file: Option<PathBuf>,
    /// Stay in the foreground.
    pub foreground: bool,
    /// File with what consoles have set, once that was written.
    pub console_file: PathBuf,
    /// The worker program; `None`: `ppp-worker` beside our own.
    pub worker: Option<PathBuf>,
    /// User that workers become.
    pub worker_user: String,
    /// Group whose members may use the control socket.
    pub control_group: String,
    /// Group whose members may look.
    pub view_group: String,
    /// Where the settings come from that do not say so themselves.
    origins: Origins,
}

impl Config {
    /// The built-in defaults on a machine called `host`: what holds if no file and no flag says anything.
    fn defaults() -> Result<Self, Vec<ConfigError>> {
        let command_line = CommandLine::try_parse_from(["pppoed"]);
        let command_line = command_line.map_err(|error| vec![ConfigError::CommandLine(error.to_string())])?;
        let merged = Merged::new(&command_line, &Layer::default(), &Layer::default())?;
        let hostname = || Ok(b"host".to_vec());
        Self::merge(&merged, PppOptions::default(), Path::new("/"), hostname, &mut Vec::new())
    }

    /// Reads the options files that `merged` names, and puts everything together, with the tables of `file`, and relative
    /// paths starting from `directory`.
    ///
    /// Returns the configuration or everything that is wrong, and in both cases what there is to say beside.
    fn load(
        merged: &Merged,
        ppp: &[&Assignment],
        file: &Layer,
        directory: &Path,
    ) -> (Result<Self, Vec<ConfigError>>, Vec<Notice>) {
        let flags = &merged.flags;
        let mut reader = Reader::in_directory(directory).overridden_by(ppp.iter().copied());
        if !flags.no_options_files {
            reader.read_file(&flags.common_options, Presence::Optional);
        }
        match &flags.options_file {
            Some(path) => reader.read_file(path, Presence::Required),
            None if flags.no_options_files => {}
            // Whoever has written pppoed.toml needs no second file.
            None => {
                let presence = if file.is_empty() { Presence::Expected } else { Presence::Optional };
                reader.read_file(Path::new(DEFAULT_OPTIONS_FILE), presence);
            }
        }
        for option in ppp {
            reader.assign(option);
        }
        let (options, option_errors, option_notices) = reader.finish();
        let mut notices: Vec<_> = option_notices.into_iter().map(Notice::Option).collect();
        let mut errors: Vec<_> = option_errors.into_iter().map(ConfigError::Option).collect();
        note_flags(flags, &mut notices);
        let hostname = || {
            nix::unistd::gethostname()
                .map(std::os::unix::ffi::OsStringExt::into_vec)
                .map_err(|errno| ConfigError::Hostname(errno.into()))
        };
        // what the flags say is worth checking even if a file has errors
        match Self::merge(merged, options, directory, hostname, &mut notices) {
            Ok(config) => {
                let (sections, more) = file::sections(file, directory, config.first_local(), &mut notices);
                errors.extend(more);
                if errors.is_empty() {
                    match config.with_sections(sections, &mut notices) {
                        Ok(config) => {
                            notices.extend(config.shortages().into_iter().map(Notice::Shortage));
                            return (Ok(config), notices);
                        }
                        Err(more) => errors.extend(more),
                    }
                }
            }
            Err(more) => errors.extend(more),
        }
        (Err(errors), notices)
    }

    fn merge(
        merged: &Merged,
        options: PppOptions,
        directory: &Path,
        hostname: impl Fn() -> Result<Vec<u8>, ConfigError>,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, Vec<ConfigError>> {
        let flags = &merged.flags;
        let sessions = addresses::sessions(merged, &options, directory, notices)?;
        let ac_name = match &flags.ac_name {
            Some(name) => Sourced::new(bytes_of(name.as_bytes()), merged.origin("ac-name")),
            None => Sourced::default_value(hostname()?),
        };
        let (discovery, session) = flags.frame_types.unwrap_or((0x8863, 0x8864));
        let run_dir = flags.run_dir.clone();
        let origins = Origins::new(merged, &options);
        if let Some(path) = flags.hooks.hooks_dir.as_ref().filter(|path| !directory.join(path).exists()) {
            notices.push(Notice::NoHooksDirectory { origin: merged.origin("hooks-dir"), path: path.clone() });
        }
        Ok(Self {
            interfaces: interfaces(flags, false),
            patterns: interfaces(flags, true),
            profiles: Vec::new(),
            discovery_ether_type: EtherType::from(discovery),
            session_ether_type: EtherType::from(session),
            ac_name,
            services: flags.services.iter().map(|name| bytes_of(name.as_bytes())).collect(),
            motm: text(&flags.motm),
            hurl: text(&flags.hurl),
            ignore_when_full: flags.ignore_when_full,
            wait_for_interfaces: flags.wait_for_interfaces,
            probe: !flags.no_probe,
            rival_interval: (flags.rival_interval > 0).then(|| seconds(flags.rival_interval)),
            ebpf: !flags.no_ebpf,
            allow_unfiltered_workers: flags.allow_unfiltered_workers,
            cookie_lifetime: seconds(flags.cookie_lifetime),
            pool: sessions.entries,
            pool_origins: sessions.origins,
            named_pools: Vec::new(),
            numbering: sessions.numbering,
            random_order: flags.random_order,
            unit_from_slot: flags.unit_from_slot,
            per_mac: per_mac(merged),
            limits: Limits::new(&flags.limits, directory, notices)?,
            hooks: Hooks::new(&flags.hooks),
            mru: ppp::mru(&options, notices),
            lcp: ppp::restart(&options.lcp),
            ipcp: ppp::restart(&options.ipcp),
            ipv6cp: ppp::restart(&options.ipv6cp),
            echo: ppp::echo(&options),
            auth_methods: ppp::auth_methods(&options, notices),
            auth: ppp::auth(flags, &options),
            secrets: ppp::secrets(flags, &options, hostname)?,
            setup_deadline: seconds(flags.setup_deadline),
            orphan_timeout: seconds(flags.orphan_timeout),
            offloads: !flags.no_offloads,
            gather: Duration::from_micros(flags.gather.into()),
            adoption_grace: seconds(flags.adoption_grace),
            ipv6: ppp::ipv6(&options),
            session: options.session,
            dead_peer: flags.dead_peer.filter(|count| *count > 0).map(seconds),
            max_mss: flags.max_mss.filter(|size| *size > 0),
            scripts: options.scripts,
            logfile: options.logfile,
            log_level: match (flags.log_level, options.debug) {
                (Some(level), _) => Sourced::new(level, merged.origin("log-level")),
                (None, Some(debug)) => debug.map(|_| LogLevel::Debug),
                (None, None) => Sourced::default_value(LogLevel::Info),
            },
            control_socket: flags.control_socket.clone().unwrap_or_else(|| run_dir.join("control.sock")),
            run_dir,
            pid_file: flags.pid_file.clone(),
            foreground: flags.foreground,
            console_file: flags.console_file.clone(),
            worker: flags.worker.clone(),
            worker_user: flags.worker_user.clone(),
            control_group: flags.control_group.clone(),
            view_group: flags.view_group.clone(),
            origins,
        }
        .with_absolute_paths(directory))
    }

    /// Paths stay right when the server leaves the directory that it was started in.
    fn with_absolute_paths(mut self, directory: &Path) -> Self {
        let paths = [
            &mut self.secrets.chap_secrets,
            &mut self.secrets.pap_secrets,
            &mut self.run_dir,
            &mut self.control_socket,
            &mut self.hooks.directory,
            &mut self.hooks.store,
            &mut self.console_file,
        ];
        let lists = &mut self.limits.mac_files;
        let optional = [
            &mut self.pid_file,
            &mut self.worker,
            &mut self.secrets.users_file,
            &mut lists.allow,
            &mut lists.deny,
        ];
        let logfile = self.logfile.as_mut().map(|file| &mut file.value);
        for path in paths.into_iter().chain(optional.into_iter().flatten()).chain(logfile) {
            // Fails for the empty path, and without a working directory; then the open will say so.
            if let Ok(absolute) = std::path::absolute(directory.join(&path)) {
                *path = absolute;
            }
        }
        self
    }

    /// Where a setting was made.
    pub fn origin_of(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    /// The sessions that there can be with their addresses, one to a line, as pppoe-server prints them for `-d`: with
    /// their ids, where those are counted.
    pub fn session_table(&self) -> String {
        let first = match self.numbering {
            Numbering::Random => None,
            Numbering::From(offset) => Some(offset.saturating_add(1)),
        };
        let entries = self.pools().flat_map(|(_, entries)| entries);
        let lines = (0_u32..).zip(entries).map(|(slot, entry)| {
            let id = first.map_or("random".to_owned(), |first| first.saturating_add(slot).to_string());
            let remote = entry.remote.unwrap_or(Ipv4Addr::UNSPECIFIED);
            format!("Session {id} local {} remote {remote}\n", entry.local)
        });
        lines.collect()
    }

    /// Our end of the first link.
    fn first_local(&self) -> Ipv4Addr {
        self.pool.first().map_or(addresses::DEFAULT_LOCAL, |entry| entry.local)
    }

    /// The socket whose clients may only look, beside the control socket: `control.view.sock`.
    pub fn view_socket(&self) -> PathBuf {
        self.control_socket.with_extension("view.sock")
    }

    /// The largest payload to agree to by PPP-Max-Payload (RFC 4638); 1492 means not to agree to it.
    pub fn max_payload(&self) -> u16 {
        self.mru.value.max(ppp::PPPOE_MTU)
    }
}

/// The empty text is none.
fn text(flag: &Option<String>) -> Option<Vec<u8>> {
    flag.clone().filter(|text| !text.is_empty()).map(String::into_bytes)
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// The interfaces that are named, or those that are patterns.
fn interfaces(flags: &Flags, patterns: bool) -> Vec<String> {
    if flags.interfaces.is_empty() && !patterns {
        return vec![DEFAULT_INTERFACE.to_owned()];
    }
    let mut names: Vec<String> = Vec::new();
    for name in &flags.interfaces {
        if profile::is_pattern(name) == patterns && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn per_mac(merged: &Merged) -> Sourced<PerMac> {
    match merged.flags.per_mac {
        None => Sourced::default_value(PerMac::Replace),
        Some(limit) => Sourced::new(limit, merged.origin("per-mac")),
    }
}

fn note_flags(flags: &Flags, notices: &mut Vec<Notice>) {
    const OWN_WORKERS: &str = "no effect: sessions are relayed by our own workers, not by the kernel's PPPoE";
    const NO_PROGRAM: &str = "no effect: no other program is started for a session";
    const NO_PLUGIN: &str = "no effect: there is no pppd that could load a plug-in";
    const NO_SERIAL: &str = "no effect: there is no serial line between this server and a pppd";
    let table = [
        (flags.kernel_mode, "-k", OWN_WORKERS),
        (flags.pppd.is_some(), "-q", NO_PROGRAM),
        (flags.pppoe.is_some(), "-Q", NO_PROGRAM),
        (flags.plugin.is_some(), "-g", NO_PLUGIN),
        (flags.synchronous, "-s", NO_SERIAL),
    ];
    notices.extend(
        table.into_iter().filter(|(given, ..)| *given).map(|(_, flag, why)| Notice::Flag { flag, why }),
    );
}
