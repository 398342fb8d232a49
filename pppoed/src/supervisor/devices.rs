//! Sessions on their own devices ([`ppp_linux::device`]): when the kernel's programs are put in force, looked after and taken away,
//! and what follows when a worker tries to get past them.
//!
//! What attaches or asks netlink runs beside the event loop. Maps are written from the loop: that takes the kernel a microsecond.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ppp_ipc::control::InterfaceStats;
use ppp_ipc::reason::EndReason;
use ppp_linux::device::{DeviceError, Line, Open, Origin, Programs, Rate, Settings};
use ppp_linux::interface::{IfIndex, InterfaceId};
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::{SessionKey, SessionSocket};
use ppp_linux::tun::{Header, Tun};
use ppp_wire::causes::chain;
use pppoed_config::config::Config;
use tracing::{info, warn};

use super::access::Access;
use super::protections::{Look, Protection, Repair};
use super::session::{AccessIndex, Session, Token};
use super::{Supervisor, Work, ipv6};
use crate::turns;

/// Time between two looks at what was dropped, and at whether the programs are in force on the access interfaces.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Looks in which the device of each session is looked at once. Without its programs a session is deaf and dumb, and its peer gives it
/// up after some 30 seconds.
const ROUND: u64 = 10;

/// Looks after the end of a worker that nobody knows in which the maps are searched for what it left: the kernel may take a moment.
const PRUNES: u32 = 5;

/// Frames that have come past pppN, by the name that the kernel's program counts them with.
const FORGED: &str = "worker_forged";

/// MTU of a session's interface until that of the link is known, in bytes: most links will have it (RFC 2516 section 7), and then it
/// need not be changed.
const NEW_DEVICE_MTU: u16 = 1492;

/// What it costs to go without.
const COST: &str = "each frame is a question to the filters of all sessions on its interface (about 0.1 µs each, so use it for some \
                    hundred sessions at most), and hosts whose session is over get no PADT";

/// The programs, unless the server goes without.
#[derive(Clone, Debug)]
pub(super) struct Devices {
    programs: Option<Arc<Programs>>,
    /// The sessions of an earlier `pppoed` are in the maps.
    are_settled: Arc<AtomicBool>,
}

impl Devices {
    /// Loads the programs, which are in force nowhere yet. `Err` says why there are none, if there have to be. May take some 100 ms.
    pub(super) fn open(config: &Config) -> Result<Self, DeviceError> {
        if !config.ebpf {
            tell_risk("--no-ebpf");
            info!("--no-ebpf: {COST}");
            return Ok(Self::without());
        }
        match Programs::load(Path::new(&config.run_dir), &settings(config)) {
            Ok(programs) => {
                if !programs.checks_requests() {
                    warn!(
                        "the kernel's type information (/sys/kernel/btf/vmlinux) is not there or may not be used: sessions are \
                         without segmentation offloads"
                    );
                }
                let are_settled = Arc::new(AtomicBool::new(programs.origin() != Origin::Replaced));
                Ok(Self { programs: Some(Arc::new(programs)), are_settled })
            }
            Err(error) if !config.allow_unfiltered_workers => Err(error),
            Err(error) => {
                tell_risk(&chain(&error));
                info!("without eBPF: {COST}");
                Ok(Self::without())
            }
        }
    }

    #[cfg(test)]
    pub(super) fn with(programs: Programs) -> Self {
        Self { programs: Some(Arc::new(programs)), are_settled: Arc::default() }
    }

    pub(super) fn without() -> Self {
        Self { programs: None, are_settled: Arc::default() }
    }

    /// The rates of workers are others from now on.
    pub(super) fn set_rates(&self, config: &Config) {
        if let Some(Err(error)) = self.programs().map(|programs| programs.set_settings(&settings(config))) {
            warn!(reason = chain(&error), "keeping the previous --control-rate and --frame-rate");
        }
    }

    pub(super) fn programs(&self) -> Option<&Arc<Programs>> {
        self.programs.as_ref()
    }

    /// MTU in bytes of a session's interface that nothing was given yet, if it is up.
    pub(super) fn mtu_of_new(&self) -> Option<u16> {
        self.programs.is_some().then_some(NEW_DEVICE_MTU)
    }

    /// Puts the programs in force on an access interface that is to be served. May block.
    pub(super) fn attach(&self, interface: &InterfaceId) -> Result<(), DeviceError> {
        self.programs().map_or(Ok(()), |programs| programs.attach_access(interface))
    }

    /// As [`Devices::attach`], but programs that know of sessions that these do not know yet stay for now.
    pub(super) fn attach_first(&self, interface: &InterfaceId) -> Result<(), DeviceError> {
        match self.are_settled.load(Ordering::Relaxed) {
            true => self.attach(interface),
            false => Ok(()),
        }
    }

    /// The start failed: what it put in force is taken away, unless sessions live by it.
    pub(super) fn give_up(&self) {
        if self.programs().is_some_and(|programs| programs.origin() == Origin::New) {
            self.clean_up();
        }
    }

    /// All sessions have ended.
    pub(super) fn clean_up(&self) {
        if let Some(Err(error)) = self.programs().map(|programs| programs.clean_up()) {
            warn!(reason = chain(&error), "eBPF programs remain in the kernel, without effect");
        }
    }

    /// Makes a session's interface and its packet socket, with nothing routed there yet. May block for a moment.
    pub(super) fn make(
        &self,
        access: &InterfaceId,
        key: &SessionKey,
        name: &ppp_wire::if_name::IfName,
    ) -> Result<Made, Box<dyn std::error::Error + Send + Sync>> {
        const BUFFER: usize = SessionSocket::DEFAULT_RECEIVE_BUFFER;
        let line = Line { access: access.index, session_id: key.session_id, own: key.own, peer: key.peer };
        let Some(programs) = self.programs() else {
            let packet = SessionSocket::open(access, key, BUFFER)?;
            let (tun, interface) = Tun::create(name)?;
            return Ok(Made { packet, tun, interface, place: None });
        };
        let header = if programs.checks_requests() { Header::Virtio } else { Header::None };
        let (tun, interface) = Tun::create_with(name, header)?;
        let place = Place { programs: programs.clone(), device: interface.index, line, is_kept: false };
        let mut netlink = Netlink::open()?;
        programs.admit(interface.index, &line)?;
        programs.attach_new_device(&mut netlink, &interface)?;
        netlink.raise_bare(&interface, NEW_DEVICE_MTU)?;
        let packet =
            SessionSocket::open_on_device(&interface, key.ether_type, BUFFER, programs.mark(key.session_id))?;
        Ok(Made { packet, tun, interface, place: Some(place) })
    }
}

fn settings(config: &Config) -> Settings {
    let limits = &config.limits;
    Settings {
        session: config.session_ether_type,
        discovery: config.discovery_ether_type,
        control: limits.control_rate.map(|rate| Rate { per_second: rate.get(), burst: 2 * rate.get() }),
        frames: limits.frame_rate.map(|rate| Rate { per_second: rate.get(), burst: rate.get() }),
    }
}

/// What a session's worker will hold.
pub(super) struct Made {
    pub(super) packet: SessionSocket,
    pub(super) tun: Tun,
    pub(super) interface: InterfaceId,
    /// In the programs' maps.
    pub(super) place: Option<Place>,
}

/// A session in the programs' maps, which leaves them when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    programs: Arc<Programs>,
    device: IfIndex,
    line: Line,
    is_kept: bool,
}

impl Place {
    /// It stays there: from now on somebody else sees to that. Returns whose frames come in.
    pub(super) fn keep(mut self) -> Line {
        self.is_kept = true;
        self.line
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays leads to an interface that is gone.
            let _ = self.programs.remove(self.device, &self.line);
        }
    }
}

fn tell_risk(why: &str) {
    warn!(
        reason = why,
        "--allow-unfiltered-workers: a worker that its peer takes over can send any frame on the access interface, in the \
         name of other subscribers and of this server, too, and packets from any source address"
    );
}

/// What has been seen of the programs.
#[derive(Debug, Default)]
pub(super) struct DeviceWatch {
    looks: u64,
    /// Looks that also search the maps for interfaces that are gone.
    prunes: u32,
    /// A look is under way.
    is_looking: bool,
    /// Frames that were seen to have come past their devices, on all access interfaces.
    forged: u64,
}

/// What a look at the interfaces has found.
#[derive(Debug)]
pub(super) struct Looked {
    accesses: Vec<(AccessIndex, Finding)>,
    sessions: Vec<(Token, Protection)>,
    /// Other programs were put in the place of an earlier `pppoed`'s.
    replaced: Option<Replaced>,
}

/// What came of putting other programs in the place of an earlier `pppoed`'s, on the sessions' interfaces.
#[derive(Debug)]
struct Replaced {
    sessions: usize,
    failed: usize,
    took: Duration,
}

/// What was found at an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The programs are in force.
    InForce,
    /// They were not, and are again.
    PutBack,
    /// They are not, for this reason.
    Missing(String),
}

impl Finding {
    pub(super) fn of(
        is_attached: Result<bool, DeviceError>,
        attach: impl FnOnce() -> Result<(), DeviceError>,
    ) -> Option<Self> {
        match is_attached {
            Ok(true) => Some(Self::InForce),
            Ok(false) => Some(match attach() {
                Ok(()) => Self::PutBack,
                Err(error) => Self::Missing(chain(&error)),
            }),
            // An interface that is just going has none.
            Err(_) => None,
        }
    }
}

impl Supervisor {
    /// Where a session is in the programs' maps.
    fn place(&self, session: &Session) -> Option<(&Arc<Programs>, IfIndex, Line)> {
        Some((self.devices.programs()?, session.tun.as_ref()?.index, session.line?))
    }

    /// Lets packets of IP pass, either way, as far as the session's network protocols are open now.
    pub(super) fn let_pass(&mut self, token: Token) {
        self.set_open(token, |session| Open {
            ipv4: session.network.filter(|_| session.ip_open).map(|network| network.remote),
            any_ipv4_source: session.options().source_check.as_ref().is_some_and(|check| !check.value),
            ipv6: session.ipv6_open.map(|report| ipv6::ends(report).peer),
        });
    }

    /// Lets no more packets pass of network protocols that have closed.
    pub(super) fn hold_back(&mut self, token: Token) {
        self.set_open(token, |session| Open {
            ipv4: session.passes.ipv4.filter(|_| session.ip_open),
            ipv6: session.passes.ipv6.filter(|_| session.ipv6_open.is_some()),
            ..session.passes
        });
    }

    fn set_open(&mut self, token: Token, what: impl Fn(&Session) -> Open) {
        let Some(session) = self.table.get_mut(token) else { return };
        let (before, open) = (session.passes, what(session));
        session.passes = open;
        if before == open {
            return;
        }
        let Some((device, line)) = session.tun.as_ref().map(|tun| tun.index).zip(session.line) else {
            return;
        };
        let Some(programs) = self.devices.programs() else { return };
        if let Err(error) = programs.set_open(device, &line, open) {
            let why = format!("what may pass on its interface cannot be set: {}", chain(&error));
            self.kill(token, EndReason::SystemError, &why);
        }
    }

    /// An access interface with what the kernel's programs dropped there.
    pub(super) fn interface_stats(&self, access: &Access) -> InterfaceStats {
        let programs = self.devices.programs().zip(access.line());
        access.stats(programs.and_then(|(programs, (interface, _))| programs.drops(interface.index).ok()))
    }

    /// Puts a session into the maps if it is not there: one of an earlier `pppoed`, if they were lost. False if it was there, or
    /// that is not possible.
    pub(super) fn readmit(&self, session: &Session) -> bool {
        let Some((programs, device, line)) = self.place(session) else { return false };
        if matches!(programs.is_admitted(device, &line), Ok(true)) {
            return false;
        }
        let outcome = programs.set_open(device, &line, session.passes);
        if let Err(error) = &outcome {
            warn!(session = session.id, reason = chain(error), "session has no entry in the eBPF maps");
        }
        outcome.is_ok()
    }

    /// All that is known of an earlier `pppoed`'s sessions is known now: takes what leads to interfaces that are gone out of the
    /// maps, and puts these programs in the place of others. May block.
    pub(super) fn settle_devices(&self) -> Result<(), DeviceError> {
        let Some(programs) = self.devices.programs() else { return Ok(()) };
        if programs.origin() == Origin::New {
            return Ok(());
        }
        prune(programs)?;
        if !self.devices.are_settled.swap(true, Ordering::Relaxed) {
            for (interface, _) in self.accesses.iter().filter_map(|access| access.line()) {
                self.devices.attach(interface)?;
            }
        }
        Ok(())
    }

    /// A worker that nobody knows was ended: what leads to its interface is taken out of the maps when that is gone, so that its peer
    /// is told that the session is over.
    pub(super) fn expect_stale_devices(&mut self) {
        self.device_watch.prunes = PRUNES;
    }

    /// A session is over, and its worker gone.
    pub(super) fn remove_device(&self, session: &Session) {
        if let Some((programs, device, line)) = self.place(session) {
            // What stays leads to an interface that is gone.
            let _ = programs.remove(device, &line);
        }
    }

    /// Looks whether workers sent past their devices, and ends their sessions; and has it seen whether the programs are in force.
    pub(super) fn look_at_devices(&mut self) {
        let Some(programs) = self.devices.programs().cloned() else { return };
        self.end_forgers(&programs);
        if self.device_watch.is_looking {
            return;
        }
        self.device_watch.is_looking = true;
        let look = self.device_watch.looks;
        self.device_watch.looks += 1;
        let accesses: Vec<(AccessIndex, InterfaceId)> = self
            .accesses
            .iter()
            .enumerate()
            .filter_map(|(index, access)| Some((index, access.line()?.0.clone())))
            .collect();
        let present = || self.table.iter().filter(|session| !session.machine.is_ending());
        // At first they may have an earlier pppoed's programs.
        let is_replacing = look == 0 && programs.origin() != Origin::New;
        let devices =
            is_replacing.then(|| present().filter_map(|session| session.tun.clone()).collect::<Vec<_>>());
        let is_due = |session: &&Session| {
            session.machine.opened().is_some() && session.token.0 % ROUND == look % ROUND
        };
        let sessions: Vec<(Token, Look)> = match is_replacing {
            true => Vec::new(),
            false => {
                let due = present().filter(is_due);
                due.map(|session| (session.token, self.look_at(session))).collect()
            }
        };
        let prunes = self.device_watch.prunes > 0;
        self.device_watch.prunes = self.device_watch.prunes.saturating_sub(1);
        let work = self.work.clone();
        turns::spawn("devices", async move {
            let looking = tokio::task::spawn_blocking(move || {
                if prunes && let Err(error) = prune(&programs) {
                    warn!(reason = chain(&error), "cannot search the eBPF maps for entries of ended workers");
                }
                look_at(&programs, accesses, sessions, devices)
            });
            if let Ok(looked) = looking.await {
                // Fails only when the supervisor is gone.
                let _ = work.send(Work::DevicesLooked(looked)).await;
            }
        });
    }

    pub(super) fn handle_looked(&mut self, looked: Looked, now: Instant) {
        self.device_watch.is_looking = false;
        if let Some(Replaced { sessions, failed, took }) = looked.replaced {
            info!(
                sessions,
                failed,
                milliseconds = took.as_millis(),
                "replaced the eBPF programs of all sessions"
            );
        }
        for (index, finding) in looked.accesses {
            let Some(access) = self.accesses.get_mut(index) else { continue };
            match &finding {
                Finding::InForce => {}
                Finding::PutBack => {
                    access.count_put_back();
                    self.repaired.count("filter");
                    warn!(
                        interface = access.name(),
                        "eBPF programs of the access interface had been removed; restored"
                    );
                }
                Finding::Missing(why) if access.are_programs_in_force() => {
                    warn!(
                        interface = access.name(),
                        reason = why,
                        "eBPF programs of the access interface are not in force"
                    );
                }
                Finding::Missing(_) => {}
            }
            access.set_programs_in_force(!matches!(finding, Finding::Missing(_)));
        }
        for (token, protection) in looked.sessions {
            if let Some(why) = self.judge_protections(token, &[protection], now) {
                self.terminate(token, EndReason::SystemError, &why, now);
            }
        }
    }

    fn end_forgers(&mut self, programs: &Programs) {
        let lines = self.accesses.iter().filter_map(|access| access.line());
        let forged = lines
            .filter_map(|(interface, _)| programs.drops(interface.index).ok())
            .fold(0_u64, |sum, drops| sum.saturating_add(drops.of(FORGED)));
        if std::mem::replace(&mut self.device_watch.forged, forged) == forged {
            return;
        }
        let forgers: Vec<(Token, u64)> = self
            .table
            .iter()
            .filter(|session| !session.machine.is_ending())
            .filter_map(|session| Some((session.token, programs.forged(session.id).ok()?)))
            .filter(|(_, frames)| *frames > 0)
            .collect();
        for (token, frames) in forgers {
            let detail = format!("the worker sent past its interface: {frames} frames, which were dropped");
            self.kill(token, EndReason::WorkerCrash, &detail);
            // Whoever has taken it over knows its layout of memory.
            let factory = self.factory.clone();
            turns::spawn("template", async move { factory.renew("a worker did what it must not").await });
        }
    }
}

/// Takes what leads to interfaces that are gone out of the maps. One that is there has a worker, which may still come back, or has to
/// tell its peer that it is over. May block.
fn prune(programs: &Programs) -> Result<(), DeviceError> {
    // In this order: what is made meanwhile is in neither list, or in both.
    let listed = programs.devices()?;
    let present: BTreeSet<u32> =
        Netlink::open()?.interfaces()?.iter().map(|interface| interface.id.index.get()).collect();
    let stale: BTreeSet<u32> = listed.difference(&present).copied().collect();
    if !stale.is_empty() {
        programs.prune(|device| !stale.contains(&device))?;
    }
    Ok(())
}

/// Runs where it may block.
fn look_at(
    programs: &Programs,
    accesses: Vec<(AccessIndex, InterfaceId)>,
    sessions: Vec<(Token, Look)>,
    devices: Option<Vec<InterfaceId>>,
) -> Looked {
    let accesses = accesses.into_iter().filter_map(|(index, interface)| {
        let attach = || programs.attach_access(&interface);
        Some((index, Finding::of(programs.is_access_attached(&interface), attach)?))
    });
    let accesses = accesses.collect();
    let replaced = devices.map(|devices| {
        let begun = Instant::now();
        // What fails here is seen again, and told of, when the session is looked at.
        let failed = devices.iter().filter(|device| programs.attach_device(device).is_err()).count();
        Replaced { sessions: devices.len(), failed, took: begun.elapsed() }
    });
    let sessions = sessions.into_iter().map(|(token, look)| (token, look.take_device(Repair::Yes))).collect();
    Looked { accesses, sessions, replaced }
}
