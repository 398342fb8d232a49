//! From the configuration to a supervisor that listens.

mod error;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use nix::unistd::User;
use ppp_ipc::control::ServiceState;
use ppp_ipc::template::SandboxParameters;
use ppp_linux::interface::Interface;
use ppp_linux::netlink::{Netlink, NetlinkError};
use ppp_linux::netns;
use ppp_linux::spawn::Program;
use ppp_proto::discovery::cookie::CookieKey;
use ppp_proto::discovery::server::{self, Server};
use ppp_session::leases::{Slots, Units};
use ppp_wire::MacAddr;
use ppp_wire::if_name::IfName;
use pppoed_config::config::{Config, Reading, Source};
use pppoed_config::policy::Policy;
use pppoed_config::pool::{AddressPool, Machine, PoolEntry, PoolName};
use tokio::sync::{Notify, mpsc};
use tracing::{info, warn};

pub use self::error::SetupError;
use super::access::Access;
use super::adopt::{Adoption, Opening, RunDirClaim, workers_of};
use super::console_share::ConsoleShare;
use super::console_work::ConsoleWork;
use super::deadlines::Deadlines;
use super::devices::{DeviceWatch, Devices};
use super::drop_log::{DropLog, Refusals};
use super::events::Events;
use super::hashing::Hashing;
use super::heartbeat::Heartbeats;
use super::hooks::{HookScripts, Hooks};
use super::inspection::Inspections;
use super::kept::{Keeping, KeptConfiguration};
use super::line::{Line, ListenError, Listening, SocketSettings};
use super::links::Links;
use super::pace::Pace;
use super::policy::Policies;
use super::reconcile::Reconciliation;
use super::reload::Reloads;
use super::repaired::Repaired;
use super::repeated_dials::RepeatedDials;
use super::rivals::Rivals;
use super::same_station::Probes;
use super::secret_files::SecretFiles;
use super::stats::Stats;
use super::table::Table;
use super::template::{Recipe, WorkerFactory, WorkerProgram};
use super::terms::{AllTerms, Terms};
use super::unproven::{KnownStations, WaitingDials};
use super::user_limit::HandOvers;
use super::{FRAME_QUEUE, Queues, REPORT_QUEUE, Supervisor, mac_watch, start_check, surroundings};
use crate::pool::ThisMachine;
use crate::problems::{Part, Problems};
use crate::turns;

/// Directory below the run directory that becomes the workers' root directory; empty but for the socket by which they
/// come back.
pub(super) const EMPTY_DIRECTORY: &str = "empty";
/// Most access interfaces over the life of the process: those that were there once and match a pattern count, too.
pub(super) const MAX_INTERFACES: usize = 4096;
/// Limit of a worker's address space in bytes. One needs about 10 MB, most of them the program and its libraries.
const ADDRESS_SPACE_LIMIT: u64 = 64 << 20;
/// User that workers become if the configured one does not exist.
const FALLBACK_USER: &str = "nobody";

/// Makes a supervisor that listens on all access interfaces; `config` was read from `source`, which has the settings of
/// `policy`. Must be called in the runtime that will run it.
///
/// # Errors
/// [`SetupError`]; nothing is left behind then. With sessions to take over most of them are among `problems` instead.
pub fn prepare(
    config: &Config,
    source: Source,
    policy: Policy,
    hooks: HookScripts,
    problems: &mut Problems,
) -> anyhow::Result<Supervisor> {
    let chroot = match problems
        .tolerate(Part::RunDirectory, prepare_directories(&config.run_dir).map_err(Into::into))?
    {
        Some(chroot) => chroot,
        None => config.run_dir.join(EMPTY_DIRECTORY),
    };
    if !config.ebpf && !config.allow_unfiltered_workers {
        return Err(SetupError::NoEbpf.into());
    }
    let devices = Devices::open(config).map_err(SetupError::from)?;
    assemble(config, source, policy, hooks, &chroot, &devices, problems).inspect_err(|_| devices.give_up())
}

fn assemble(
    config: &Config,
    source: Source,
    policy: Policy,
    hooks: HookScripts,
    chroot: &Path,
    devices: &Devices,
    problems: &mut Problems,
) -> anyhow::Result<Supervisor> {
    let sandbox = sandbox_parameters(&config.worker_user, chroot)?;
    let (uid, gid) = (sandbox.uid, sandbox.gid);
    let path = worker_path(config);
    let program = match problems
        .tolerate(Part::Worker, Program::open(&path).map_err(|error| SetupError::from(error).into()))?
    {
        Some(program) => WorkerProgram::Open(program),
        None => WorkerProgram::At(path),
    };
    let netns = netns::create().map_err(SetupError::from)?;
    let factory = Rc::new(WorkerFactory::start(Recipe { program, netns, sandbox }));

    let now = Instant::now();
    let (frames, frame_queue) = mpsc::channel(FRAME_QUEUE);
    let terms = AllTerms::new(config);
    let (link_orders, orders) = mpsc::unbounded_channel();
    let mut links = Links::new(SocketSettings::new(config), devices.clone(), config.patterns.clone(), orders)
        .map_err(SetupError::from)?;
    let mut netlink = Netlink::open().map_err(SetupError::from)?;
    let mut accesses = Vec::with_capacity(config.interfaces.len());
    for (index, name) in interfaces(config, &mut netlink)?.into_iter().enumerate() {
        let mut access = access(name.clone(), config, terms.of(config, name.as_str()), now)?;
        let listening = listen(&mut netlink, &name, config, devices);
        if let Some(listening) = problems.tolerate(Part::Interface, listening.map_err(Into::into))?.flatten()
        {
            access.open(Line::new(listening, index, frames.clone()).map_err(SetupError::Watch)?);
        }
        links.add(name, access.interface().cloned());
        accesses.push(access);
    }

    for remark in start_check::groups(config) {
        warn!("{remark}");
    }
    let (users, about_users) = source.users(config, None);
    for remark in about_users.notices.iter().chain(&about_users.unreadable) {
        warn!("{remark}");
    }
    let reading = Reading { config: config.clone(), users };
    let reloads = Reloads::new(source, reading, about_users.unreadable);
    let mac_lists = Rc::new(Notify::new());
    let (reports, report_queue) = mpsc::channel(REPORT_QUEUE);
    let (work, work_queue) = mpsc::channel(REPORT_QUEUE);
    turns::spawn("surroundings", surroundings::watch());
    if !config.limits.mac_files.is_empty() {
        turns::spawn(
            "MAC lists",
            mac_watch::watch(config.limits.mac_files.clone(), mac_lists.clone(), work.clone()),
        );
    }
    let opening = Opening {
        run_dir: &config.run_dir,
        root: chroot,
        uid,
        gid,
        fresh_key: random::<32>()?,
        grace: config.adoption_grace,
    };
    let mut adoption = Adoption::open(opening, work.clone(), now);
    problems
        .tolerate(Part::RunDirectory, adoption.open_door().map_err(|error| SetupError::Door(error).into()))?;
    let machine = ThisMachine::new().map_err(SetupError::from)?;
    warn_of_own_addresses(config, &machine);
    turns::set_limit(config.limits.stall_limit);
    let mut supervisor = Supervisor {
        config: terms.general().settings.clone(),
        terms,
        factory,
        secrets: SecretFiles::new(config.secrets.clone()).map_err(SetupError::Threads)?,
        hashing: Hashing::new().map_err(SetupError::Threads)?,
        accesses,
        devices: devices.clone(),
        device_watch: DeviceWatch::default(),
        table: Table::default(),
        deadlines: Deadlines::default(),
        quota_looks: Deadlines::default(),
        heartbeats: Heartbeats::new(config.limits.heartbeat),
        inspections: Inspections::new(now),
        slots: slots(config)?,
        pool: AddressPool::new(owned_pools(config)).on(machine),
        units: Units::default(),
        stats: Stats::new(now),
        events: Events::new(),
        captures: super::capture::room(),
        console_work: ConsoleWork::new().map_err(SetupError::Threads)?,
        log: None,
        console_share: ConsoleShare::new(now),
        adoption,
        is_leaving: false,
        mac_rules: config.limits.mac_rules.clone().with_console(policy.macs()),
        mac_lists,
        reloads,
        policy: Policies::new(policy, config.console_file.clone()),
        hand_overs: HandOvers::default(),
        drop_log: DropLog::default(),
        refusals: Refusals::default(),
        repeated_dials: RepeatedDials::default(),
        waiting: WaitingDials::new(config.limits.setups.patience),
        pace: Pace::new(config.limits.setups.into(), now),
        known_stations: KnownStations::default(),
        probes: Probes::default(),
        next_token: 0,
        service: ServiceState::default(),
        hooks: Hooks::new(config.hooks.clone()),
        ac_name: config.ac_name.value.clone(),
        reports,
        work,
        frames,
        queues: Some(Queues { reports: report_queue, work: work_queue, frames: frame_queue }),
        links: Some(links),
        rivals: Rivals::default(),
        link_orders,
        problems: Problems::default(),
        kept: KeptConfiguration::default(),
        keeping: Keeping::default(),
        reconciliation: Reconciliation::new(config.limits.reconcile, now),
        repaired: Repaired::default(),
        consoles: None,
    };
    supervisor.hooks.off = supervisor.policy.current.hooks_off();
    supervisor.set_hooks(hooks);
    supervisor.restore_kept(now);
    if let Some((address, session)) = supervisor.client_at_our_end(config) {
        let conflict = SetupError::ClientAtOurEnd { address, session };
        problems.tolerate::<()>(Part::Configuration, Err(conflict.into()))?;
    }
    // Before anybody can get an address: of sessions that are not in the run directory there may be workers.
    supervisor.end_ghosts(&workers_of(chroot), now);
    supervisor.settle_devices().map_err(SetupError::from)?;
    supervisor.begin_hooks();
    if supervisor.adoption.was_draining() {
        info!("draining, as before the restart; resume with: pppctl drain off");
        supervisor.service = ServiceState::Draining;
    }
    Ok(supervisor)
}

/// Makes the run directory and takes it for this process alone, for as long as the answer is kept. To be done before
/// [`prepare`], which puts things there.
///
/// # Errors
/// When another `pppoed` has it, or it cannot be made.
pub fn claim_run_dir(config: &Config) -> Result<RunDirClaim, SetupError> {
    prepare_directories(&config.run_dir)?;
    Ok(RunDirClaim::new(&config.run_dir)?)
}

/// Opens an access interface; `None` when it is not there, and may come later.
fn listen(
    netlink: &mut Netlink,
    name: &IfName,
    config: &Config,
    devices: &Devices,
) -> Result<Option<Listening>, SetupError> {
    let Some((interface, mac)) = find_interface(netlink, name, config)? else {
        warn!(interface = %name, "interface does not exist; waiting for it");
        return Ok(None);
    };
    if !interface.up {
        warn!(interface = %name, "the interface is down: ip link set {name} up");
    }
    let mtu = interface.mtu;
    let listening = Listening::open(interface, mac, SocketSettings::new(config), devices).map_err(
        |error| match error {
            ListenError::Packet(error) => SetupError::Packet(error),
            ListenError::Devices(error) => error.into(),
        },
    )?;
    info!(interface = %name, %mac, mtu, "listening for PPPoE discovery");
    Ok(Some(listening))
}

/// The interface of this name, with its MAC address; `None` when it is not there, and may come later.
pub(super) fn find_interface(
    netlink: &mut Netlink,
    name: &IfName,
    config: &Config,
) -> Result<Option<(Interface, MacAddr)>, SetupError> {
    match netlink.interface(name) {
        Ok(interface) => match interface.mac {
            Some(mac) => Ok(Some((interface, mac))),
            None => Err(SetupError::NotEthernet { name: name.clone() }),
        },
        Err(NetlinkError::NoSuchInterface { .. }) if config.wait_for_interfaces => Ok(None),
        Err(NetlinkError::NoSuchInterface { .. }) => {
            let present = netlink.interfaces()?;
            let present: Vec<&str> = present.iter().map(|interface| interface.id.name.as_str()).collect();
            Err(SetupError::NoSuchInterface { name: name.clone(), present: present.join(" ") })
        }
        Err(error) => Err(error.into()),
    }
}

/// The access interfaces: those that are named, and those that are there and match a pattern.
fn interfaces(config: &Config, netlink: &mut Netlink) -> Result<Vec<IfName>, SetupError> {
    let named: Result<Vec<IfName>, _> = config.interfaces.iter().map(|name| name.parse()).collect();
    let mut names = named?;
    if config.patterns.is_empty() {
        return Ok(names);
    }
    for interface in netlink.interfaces()? {
        let name = interface.id.name;
        if interface.mac.is_some() && config.serves(name.as_str()) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        warn!("no interface matches {}; waiting for one", config.patterns.join(" "));
    }
    names.truncate(MAX_INTERFACES);
    Ok(names)
}

/// An access interface, which is told later what the interface is.
pub(super) fn access(
    name: IfName,
    config: &Config,
    terms: Rc<Terms>,
    now: Instant,
) -> Result<Access, SetupError> {
    let key = CookieKey::new(&random::<32>()?);
    let server = Server::new(terms.discovery.clone(), key, now)
        .map_err(|source| SetupError::Discovery { name: name.clone(), source })?;
    Ok(Access::new(name, terms, server, config.probe.then_some(config.discovery_ether_type)))
}

/// Whether discovery can work with the configuration, on interfaces of every profile.
///
/// # Errors
/// Why not, in words.
pub fn check_discovery(config: &Config) -> Result<(), String> {
    discovery_config(config).check().map_err(|error| error.to_string())?;
    for profile in &config.profiles {
        let checked = discovery_config(&config.for_profile(profile)).check();
        checked.map_err(|error| format!("{}: interface {}: {error}", profile.origin, profile.name))?;
    }
    Ok(())
}

/// The pools with their addresses.
pub(super) fn owned_pools(config: &Config) -> Vec<(PoolName, Vec<PoolEntry>)> {
    config.pools().map(|(name, entries)| (name, entries.to_vec())).collect()
}

/// Addresses of pools that no session will get.
fn warn_of_own_addresses(config: &Config, machine: &impl Machine) {
    for (pool, entries) in config.pools() {
        let own = |entry: &PoolEntry| entry.remote.filter(|remote| machine.has(*remote));
        if let Some(address) = entries.iter().find_map(own) {
            warn!(pool = &*pool, %address, "pool address belongs to the server and is not assigned");
        }
    }
}

/// How a discovery server presents itself, but for what the interface is.
pub(super) fn discovery_config(config: &Config) -> server::Config {
    const NO_MAC: MacAddr = MacAddr([0; 6]);
    server::Config {
        ether_type: config.discovery_ether_type,
        services: config.services.clone(),
        ignore_when_full: config.ignore_when_full,
        hurl: config.hurl.clone(),
        motm: config.motm.clone(),
        cookie_slot: config.cookie_lifetime,
        max_payload: config.max_payload(),
        limits: config.limits.discovery,
        pado_delay: config.limits.pado_delay.clone(),
        ..server::Config::new(NO_MAC, 0, 0, config.ac_name.value.clone())
    }
}

fn slots(config: &Config) -> Result<Slots, SetupError> {
    let count = u32::try_from(config.max_sessions()).unwrap_or(u32::MAX);
    let mut slots = Slots::new(count, config.numbering)?;
    if config.random_order {
        // Only the order of the slots. What has to be random for a reason is `Numbering::Random`.
        let mut state = u64::from_le_bytes(random::<8>()?);
        slots.shuffle(|bound| {
            // splitmix64, of which the upper half is used.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0) % bound.max(1)
        });
    }
    Ok(slots)
}

/// The MTU of an interface in bytes, as far as PPPoE can make use of it.
pub(super) fn mtu(interface: &Interface) -> u16 {
    u16::try_from(interface.mtu).unwrap_or(u16::MAX)
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SetupError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SetupError::Random(error.to_string()))?;
    Ok(bytes)
}

/// The worker stands beside this program unless configured.
pub(super) fn worker_path(config: &Config) -> PathBuf {
    config.worker.clone().unwrap_or_else(|| {
        let own = std::env::current_exe().unwrap_or_default();
        own.with_file_name("ppp-worker")
    })
}

/// Makes the run directory, and in it the directory that becomes the workers' root.
pub(super) fn prepare_directories(run_dir: &Path) -> Result<PathBuf, SetupError> {
    let empty = run_dir.join(EMPTY_DIRECTORY);
    for directory in [run_dir, &empty] {
        let failed = |problem: String| SetupError::Directory { path: directory.to_owned(), problem };
        make_directory(directory).map_err(|error| failed(format!("cannot make the directory: {error}")))?;
        check_directory(directory)?;
    }
    // A worker that the last pppoed left has nothing but the socket there, by which it comes back.
    let is_socket = |entry: io::Result<fs::DirEntry>| {
        entry.and_then(|entry| entry.file_type()).is_ok_and(|kind| kind.is_socket())
    };
    match fs::read_dir(&empty).is_ok_and(|mut entries| entries.all(is_socket)) {
        true => Ok(empty),
        false => Err(SetupError::Directory { path: empty, problem: "the directory is not empty".to_owned() }),
    }
}

/// Whether a directory that is there is one where only root can put things.
pub(super) fn check_directory(directory: &Path) -> Result<(), SetupError> {
    let failed = |problem: String| SetupError::Directory { path: directory.to_owned(), problem };
    let metadata = fs::metadata(directory).map_err(|error| failed(error.to_string()))?;
    match metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        true => Err(failed(format!(
            "the directory belongs to user {} and has mode {:o}; only root may be able to write to it",
            metadata.uid(),
            metadata.mode() & 0o7777
        ))),
        false => Ok(()),
    }
}

/// Makes a directory, whatever the umask, that all may pass. One that exists is left as it is.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// The user that workers become, and what there is to say about it.
pub(super) fn worker_user(user: &str) -> Result<(User, Option<String>), SetupError> {
    let look_up = |name: &str| {
        User::from_name(name).map_err(|source| SetupError::Users { user: name.to_owned(), source })
    };
    let (found, remark) = match look_up(user)? {
        Some(found) => (found, None),
        None => {
            let fallback =
                look_up(FALLBACK_USER)?.ok_or_else(|| SetupError::NoUser { user: user.to_owned() })?;
            let remark = format!(
                "there is no user {user:?}, so the workers run as {FALLBACK_USER:?}, which other programs may \
                 use too: useradd --system --user-group --no-create-home {user}"
            );
            (fallback, Some(remark))
        }
    };
    if found.uid.is_root() || found.gid.as_raw() == 0 {
        return Err(SetupError::PrivilegedUser { user: found.name });
    }
    Ok((found, remark))
}

fn sandbox_parameters(user: &str, chroot: &Path) -> Result<SandboxParameters, SetupError> {
    let (found, remark) = worker_user(user)?;
    if let Some(remark) = remark {
        warn!("{remark}");
    }
    Ok(SandboxParameters {
        uid: found.uid.as_raw(),
        gid: found.gid.as_raw(),
        chroot: chroot.to_string_lossy().into_owned(),
        address_space_limit: ADDRESS_SPACE_LIMIT,
    })
}

impl Supervisor {
    /// Makes new keys for the cookies, so that one that was found out is of no use for long.
    pub(super) fn rotate_keys(&mut self, now: Instant) {
        for access in &mut self.accesses {
            match random::<32>() {
                Ok(key) => access.with_server(|server| server.rotate_key(CookieKey::new(&key), now)),
                Err(error) => warn!(%error, "keeping the cookie key"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn directories_are_made_once_and_kept_as_they_are() {
        assert!(nix::unistd::geteuid().is_root(), "this test needs root: the directories have to be root's");
        let parent = tempfile::tempdir().unwrap();
        let run = parent.path().join("new/run");
        for _ in 0..2 {
            assert_eq!(prepare_directories(&run).unwrap(), run.join("empty"));
            assert_eq!((mode(&run), mode(&run.join("empty"))), (0o755, 0o755));
        }
        fs::set_permissions(&run, fs::Permissions::from_mode(0o750)).unwrap();
        prepare_directories(&run).unwrap();
        assert_eq!(mode(&run), 0o750);

        fs::write(run.join("empty/file"), "").unwrap();
        let error = prepare_directories(&run).unwrap_err().to_string();
        assert!(error.ends_with("/run/empty: the directory is not empty"), "{error}");
    }

    /// Others could put a socket of their own in the place of ours. And nobody wants `--run-dir /tmp` to change /tmp.
    #[test]
    fn a_directory_of_all_is_refused_and_left_alone() {
        let run = tempfile::tempdir().unwrap();
        fs::set_permissions(run.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let error = prepare_directories(run.path()).unwrap_err().to_string();
        assert!(error.contains("mode 1777; only root may be able to write to it"), "{error}");
        assert_eq!(mode(run.path()), 0o1777);
        assert!(!run.path().join("empty").exists());
    }
}
