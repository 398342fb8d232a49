//! The supervisor: every privilege, every secret, every decision.
//!
//! One task owns all state ([`Supervisor`]) and handles one event at a time; other tasks only do I/O and send it what
//! they read (frames, workers' messages, console requests), over bounded queues. See `LIFECYCLE.md` beside this
//! file for the life of a session.

mod access;
mod admission;
mod adopt;
mod answers;
mod auth;
mod auth_test;
mod capture;
mod challenge;
mod comparison;
mod console_share;
mod console_work;
mod cover;
mod deadlines;
mod debug;
mod devices;
mod dial;
mod drop_log;
mod ending;
mod events;
#[doc(hidden)]
mod hashing;
mod heartbeat;
mod hook_answers;
mod hook_auth;
mod hook_calls;
mod hook_discovery;
mod hook_fields;
mod hook_leftovers;
mod hook_news;
mod hook_pool;
mod hook_process;
mod hook_scripts;
mod hook_sessions;
mod hook_stats;
mod hooks;
mod inspection;
mod interfaces;
mod ipv6;
mod kept;
mod line;
mod links;
mod mac_watch;
mod messages;
mod negotiated;
mod network;
mod pace;
mod policy;
mod protections;
mod proxy_arp;
mod quota;
mod rate_meter;
mod rates;
mod reaper;
mod reconcile;
mod reload;
mod renames;
mod repaired;
mod repeated_dials;
mod rivals;
mod same_station;
mod secret_files;
mod service;
mod session;
mod session_log;
mod settings;
mod setup;
mod show;
mod show_config;
mod start_check;
mod stats;
mod surroundings;
mod table;
mod template;
mod terms;
mod trace;
mod trial_fields;
mod unproven;
mod user_limit;
mod watch;
mod worker;

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ppp_ipc::control::{EventName, ServiceState};
use ppp_ipc::reason::EndReason;
use ppp_linux::interface::InterfaceId;
use ppp_proto::discovery::server::Event;
use ppp_session::leases::{Slots, Units};
use ppp_wire::if_name::IfName;
use pppoed_config::mac_list::MacRules;
use pppoed_config::pool::AddressPool;
use pppoed_config::secrets::FixedAddresses;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, sleep_until};
use tracing::info;

use self::access::{Access, AccessView, Frame, Stage};
use self::adopt::{Adoption, Arrival, Findings, LOOK_INTERVAL, Stranger};
use self::auth::Outcome;
use self::console_share::ConsoleShare;
use self::console_work::ConsoleWork;
use self::deadlines::Deadlines;
use self::devices::{DeviceWatch, Devices, Looked};
use self::drop_log::{DropLog, Refusals};
use self::events::Events;
use self::hashing::Hashing;
use self::heartbeat::Heartbeats;
use self::hook_news::HookNews;
use self::hooks::Hooks;
use self::inspection::{Inspected, Inspections};
use self::kept::Keeping;
use self::links::{LinkNews, LinkOrder, Links};
use self::network::Configured;
use self::pace::Pace;
use self::policy::Policies;
use self::quota::Measured;
use self::reconcile::Reconciliation;
use self::reload::{News, Reloads};
use self::repaired::Repaired;
use self::repeated_dials::RepeatedDials;
use self::rivals::Rivals;
use self::same_station::Probes;
use self::secret_files::SecretFiles;
use self::session::{AccessIndex, Token};
use self::settings::Settings;
use self::setup::prepare_directories;
use self::stats::Stats;
use self::table::Table;
use self::template::WorkerFactory;
use self::terms::AllTerms;
use self::unproven::{Congestion, KnownStations, WaitingDials};
use self::user_limit::HandOvers;
use self::worker::Report;
use crate::control::{Answer, CallQueue, Consoles};
use crate::logging::LogHandle;
use crate::problems::Problems;
use crate::systemd::Watchdog;

pub(crate) use self::adopt::client_at_our_end;
pub use self::adopt::{ClaimError, RunDirClaim, outdated_sessions, sessions_left};
pub use self::hooks::{HookScripts, load_hooks};
pub use self::kept::KeptConfiguration;
pub use self::setup::{SetupError, check_discovery, claim_run_dir, prepare};
pub use self::start_check::check_start;
use crate::message::SERVER_STOPPING;
use crate::turns;

/// Reports of workers that may wait; a worker that sends more waits itself.
const REPORT_QUEUE: usize = 1024;
/// Frames of discovery that may wait here; the kernel holds, and then drops, more.
const FRAME_QUEUE: usize = 256;
/// Time between changes of the key that cookies are made with.
const KEY_LIFETIME: Duration = Duration::from_secs(300);

/// What comes from the work that is done beside the event loop.
#[derive(Debug)]
enum Work {
    /// The files were asked about a user, for a console.
    AuthTried(Box<auth_test::Tried>),
    /// A proof was compared with the secrets.
    Verified(Token, Box<Outcome>),
    /// A TUN was configured, or not.
    Configured(Token, Configured),
    /// It was looked whether the kernel's programs are in force.
    DevicesLooked(Looked),
    /// What the kernel counted for sessions with a quota.
    Measured(Measured),
    /// Open sessions were looked at; none if that was cut off.
    Inspected(Option<Inspected>),
    /// An access interface came, went or changed.
    Link(AccessIndex, LinkNews),
    /// There is an interface that a pattern matches.
    Found(IfName),
    /// Programs on this machine that get discovery frames as well.
    Rivals(Vec<rivals::Listener>),
    /// Interfaces that may be sessions', and what they are called now.
    Named(Vec<InterfaceId>),
    /// `show pool` is to be answered, and this is kept for single users.
    Pool(FixedAddresses, oneshot::Sender<Answer>),
    /// The lists of MAC addresses were read again.
    MacRules(MacRules),
    /// A worker of an earlier `pppoed` says that it has a session.
    Arrived(Arrival),
    /// Somebody else called on the workers' socket.
    Stranger(Stranger),
    /// Something about hooks.
    Hook(HookNews),
    /// All files were read again.
    Reload(News),
    /// Files were read for a change that a console wants.
    Policy(policy::News),
    /// The run directory and the processes of workers were looked at.
    Looked(Findings),
    /// Sessions were compared with what the kernel has of them.
    Reconciled(reconcile::News),
}

impl Work {
    /// What the event loop's turn with it is called.
    fn kind(&self) -> &'static str {
        match self {
            Self::AuthTried(_) => "auth test",
            Self::Verified(..) => "verdict",
            Self::DevicesLooked(_) => "devices looked at",
            Self::Configured(..) => "interface configured",
            Self::Measured(_) => "traffic measured",
            Self::Inspected(_) => "protections verified",
            Self::Link(..) | Self::Found(_) => "access interface",
            Self::Rivals(_) => "other servers found",
            Self::Named(_) => "interface renamed",
            Self::Pool(..) => "show pool answered",
            Self::MacRules(_) => "MAC lists read",
            Self::Arrived(_) => "worker returned",
            Self::Hook(_) => "hook answered",
            Self::Reload(_) => "files read",
            Self::Policy(_) => "policy changed",
            Self::Stranger(_) => "stranger called",
            Self::Looked(_) | Self::Reconciled(_) => "reconciliation",
        }
    }
}

/// One turn of the event loop.
fn turn(kind: &'static str, handle: impl FnOnce(Instant)) {
    turns::measure(kind, || handle(Instant::now()));
}

/// A signal to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end all sessions, then exit. A second one does not wait for the peers.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1: exit and leave the sessions to the next `pppoed`.
    Leave,
    /// SIGUSR2.
    Unused,
}

/// The queues into the event loop.
struct Queues {
    reports: mpsc::Receiver<(Token, Report)>,
    work: mpsc::Receiver<Work>,
    frames: mpsc::Receiver<Frame>,
}

/// The state of the server. All methods that handle an event leave it consistent.
pub struct Supervisor {
    /// What holds for all interfaces that do not say otherwise.
    config: Rc<Settings>,
    /// What holds on each.
    terms: AllTerms,
    factory: Rc<WorkerFactory>,
    secrets: SecretFiles,
    hashing: Hashing,
    accesses: Vec<Access>,
    devices: Devices,
    device_watch: DeviceWatch,
    deadlines: Deadlines,
    /// When the traffic of which session is to be looked at.
    quota_looks: Deadlines,
    heartbeats: Heartbeats,
    inspections: Inspections,
    // What sessions have leases of goes before them: with that, they need not give anything back.
    slots: Slots,
    pool: AddressPool,
    units: Units,
    table: Table,
    stats: Stats,
    events: Events,
    /// The captures that may still be begun.
    captures: Arc<Semaphore>,
    console_work: ConsoleWork,
    console_share: ConsoleShare,
    log: Option<LogHandle>,
    adoption: Adoption,
    /// To exit with the sessions going on.
    is_leaving: bool,
    mac_rules: MacRules,
    /// Has the lists of MAC addresses read again at once.
    mac_lists: Rc<Notify>,
    reloads: Reloads,
    policy: Policies,
    hand_overs: HandOvers,
    drop_log: DropLog,
    refusals: Refusals,
    repeated_dials: RepeatedDials,
    /// Requests that wait for a slot, or for others to be set up.
    waiting: WaitingDials,
    /// How fast sessions get set up.
    pace: Pace<Token>,
    known_stations: KnownStations,
    probes: Probes,
    next_token: u64,
    service: ServiceState,
    hooks: Hooks,
    /// What scripts are told that we are called, where it is not about one interface.
    ac_name: Vec<u8>,
    reports: mpsc::Sender<(Token, Report)>,
    work: mpsc::Sender<Work>,
    frames: mpsc::Sender<Frame>,
    queues: Option<Queues>,
    links: Option<Links>,
    rivals: Rivals,
    /// Tells the watch of interfaces what to watch.
    link_orders: mpsc::UnboundedSender<LinkOrder>,
    /// What does not work since the start.
    problems: Problems,
    kept: KeptConfiguration,
    keeping: Keeping,
    reconciliation: Reconciliation,
    repaired: Repaired,
    /// The sockets of consoles, to be opened again if they are lost; none before the server is ready.
    consoles: Option<Consoles>,
}

impl Supervisor {
    /// Runs until a [`Signal::Stop`], or a console, has ended all sessions, or the last one has ended after a soft
    /// shutdown; or until [`Signal::Leave`], and then they go on.
    ///
    /// Must be called in a `LocalSet` of a current-thread runtime.
    pub async fn run(mut self, mut calls: CallQueue, mut signals: mpsc::Receiver<Signal>) {
        let Some(mut queues) = self.queues.take() else { return };
        if let Some(links) = self.links.take() {
            turns::spawn("interfaces", links.run(self.work.clone()));
            turns::spawn("interface names", renames::watch_names(self.work.clone()));
            if let Some(search) = rivals::RivalSearch::new(&self.reloads.current.config) {
                turns::spawn("other servers", rivals::keep_looking(search, self.work.clone()));
            }
        }
        reaper::begin();
        let mut rotation = tokio::time::interval(KEY_LIFETIME);
        rotation.tick().await;
        let mut rate_looks = tokio::time::interval(rate_meter::INTERVAL);
        rate_looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rate_looks.tick().await;
        let mut device_looks = tokio::time::interval(devices::INTERVAL);
        device_looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drop_log = tokio::time::interval(drop_log::INTERVAL);
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = Watchdog::from_environment();
        while !(self.is_done() && self.hooks_are_done()) {
            let deadline = self.next_timeout();
            let deadline_passes = async {
                match deadline {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            let heard_from = self.console_share.next();
            let next_call = async {
                if heard_from > Instant::now() {
                    sleep_until(heard_from.into()).await;
                }
                calls.recv().await
            };
            // In order of importance: a flood of discovery frames delays nothing but discovery.
            tokio::select! {
                biased;
                Some(signal) = signals.recv() => turn("signal", |now| self.handle_signal(signal, now)),
                () = watchdog.due() => watchdog.show(),
                () = deadline_passes => turn("deadlines", |now| self.handle_timeouts(now)),
                Some((token, report)) = queues.reports.recv() => {
                    turn(report.kind(), |now| self.handle_report(token, report, now));
                }
                Some(work) = queues.work.recv() => turn(work.kind(), |now| self.handle_work(work, now)),
                Some(call) = next_call => turn("console request", |now| self.handle_call(call, now)),
                _ = rotation.tick() => turn("key rotation", |now| self.rotate_keys(now)),
                _ = device_looks.tick() => turn("devices", |_| self.look_at_devices()),
                _ = looks.tick() => turn("reconciliation", |_| self.look_around()),
                _ = rate_looks.tick() => turn("rate meter", |now| self.look_at_rates(now)),
                _ = drop_log.tick() => turn("drop log", |now| self.log_drops(now)),
                Some(frame) = queues.frames.recv() => {
                    turn(frame.stage.kind(), |now| self.handle_frame(&frame, now));
                }
            }
        }
        self.factory.stop().await;
        self.stop_hooks().await;
        self.keeping.finish().await;
        match self.is_leaving {
            true => self.leave(),
            false => self.clean_up(),
        }
    }

    fn look_at_rates(&mut self, now: Instant) {
        for session in self.table.iter_mut() {
            session.tick(now);
            session.tell_late(now);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let discovery = self.accesses.iter().filter_map(Access::next_timeout);
        let looks = self.quota_looks.next().into_iter().chain(self.heartbeats.next());
        let looks = looks.chain(self.inspections.next()).chain(self.waiting.next()).chain(self.probes.next());
        let looks = looks.chain(self.adoption.next_timeout()).chain(self.hooks.next_timeout());
        let looks = looks.chain(self.next_reconciliation());
        discovery.chain(self.deadlines.next()).chain(looks).min()
    }

    fn handle_timeouts(&mut self, now: Instant) {
        self.handle_deadlines(now);
        self.handle_quota_looks(now);
        self.handle_heartbeats(now);
        self.handle_inspections(now);
        self.handle_probes(now);
        self.handle_waiting(now);
        self.keep_counters(now);
        self.reconcile(now);
        self.handle_hook_timeouts(now);
        for access in &mut self.accesses {
            access.handle_timeout(now);
            self.pace.offered(access.take_offers(), now);
        }
    }

    fn handle_signal(&mut self, signal: Signal, now: Instant) {
        match signal {
            Signal::Stop if self.service == ServiceState::Stopping => {
                info!("stopping immediately");
                for token in self.table.tokens() {
                    self.kill(token, EndReason::Shutdown, "second stop signal");
                }
            }
            Signal::Stop => {
                info!(name: SERVER_STOPPING.name, sessions = self.table.len(), "{}", SERVER_STOPPING.words);
                self.service = ServiceState::Stopping;
                self.events.server(EventName::Service, ServiceState::Stopping.as_str());
                self.refuse_waiting("the server is stopping");
                for token in self.table.tokens() {
                    self.terminate(token, EndReason::Shutdown, "pppoed is stopping", now);
                }
            }
            Signal::Leave => {
                self.service = ServiceState::Leaving;
                self.is_leaving = true;
            }
            Signal::Unused => info!("SIGUSR2 has no effect"),
            Signal::Reload => {
                // Whoever rotates the log says so like this, and it must work with bad files, too.
                if let Some(log) = &self.log {
                    log.reopen(&self.reloads.current.config);
                }
                info!("SIGHUP: reloading the configuration");
                self.begin_reload(false, None);
            }
        }
    }

    fn handle_work(&mut self, work: Work, now: Instant) {
        match work {
            Work::AuthTried(tried) => self.handle_auth_tried(*tried),
            Work::Verified(token, outcome) => self.handle_verified(token, *outcome, now),
            Work::Configured(token, configured) => self.handle_configured(token, configured, now),
            Work::DevicesLooked(looked) => self.handle_looked(looked, now),
            Work::Measured(measured) => self.handle_measured(measured, now),
            Work::Inspected(inspected) => self.handle_inspected(inspected, now),
            Work::Link(access, news) => self.handle_link(access, news, now),
            Work::Found(name) => self.handle_found(name, now),
            Work::Rivals(listeners) => self.handle_rivals(listeners),
            Work::Named(named) => self.handle_named(named, now),
            Work::Pool(fixed, answer) => self.handle_pool(&fixed, answer),
            Work::MacRules(rules) => self.handle_mac_rules(rules),
            Work::Arrived(arrival) => self.handle_arrival(arrival, now),
            Work::Stranger(stranger) => self.handle_stranger(&stranger, now),
            Work::Hook(news) => self.handle_hook_news(news, now),
            Work::Reload(news) => self.handle_reload(news, now),
            Work::Policy(news) => self.handle_policy(news, now),
            Work::Looked(findings) => self.handle_findings(findings, now),
            Work::Reconciled(news) => self.handle_reconciled(news, now),
        }
    }

    fn handle_frame(&mut self, frame: &Frame, now: Instant) {
        let is_sure = || {
            let access = self.accesses.get(frame.access);
            !self.adoption.holds_back(now) && access.is_some_and(Access::are_programs_in_force)
        };
        if frame.stage == Stage::Session && !is_sure() {
            // Perhaps of a session whose worker has not come back yet, or whose frames have lost their way.
            return;
        }
        let congestion = match frame.stage {
            Stage::Discovery => self.congestion(now),
            Stage::Session => Congestion::None,
        };
        let view = AccessView {
            access: frame.access,
            waiting_here: self.waiting.count_on(frame.access),
            congestion,
            table: &self.table,
            has_slot: self.free_slots(frame.access) > 0 || self.has_unproven_on(frame.access),
            is_crowded: self.waiting_room_is_full() && (self.places_are_taken() || !self.pace.has_room(now)),
            known_stations: &self.known_stations,
            limits: self.accesses.get(frame.access).map_or(self.config.limits, Access::limits),
            mac_rules: &self.mac_rules,
            closed: self.service != ServiceState::Serving
                || self.adoption.holds_back(now)
                || !self.accesses.get(frame.access).is_some_and(Access::is_served),
            hooks: &self.hooks,
        };
        let Some(access) = self.accesses.get_mut(frame.access) else { return };
        access.handle_frame(frame, &view, now);
        self.pace.offered(access.take_offers(), now);
        while let Some(event) = self.accesses.get_mut(frame.access).and_then(Access::poll_event) {
            self.handle_discovery(frame.access, event, now);
        }
    }

    fn handle_discovery(&mut self, access: AccessIndex, event: Event, now: Instant) {
        match event {
            Event::SessionRequest(request) => self.handle_request(access, request, now),
            Event::StillWanted(id) => self.waiting.heard(access, id, now),
            Event::OfferRequest(request) => self.ask_about_offer(access, request),
            Event::PeerTerminated { session_id, message, .. } => {
                self.peer_sent_padt(session_id, message.as_deref(), now);
            }
            Event::ServiceRefused { peer_mac, service_names } => {
                self.log_refused_service(access, peer_mac, &service_names, now);
            }
        }
    }
}
