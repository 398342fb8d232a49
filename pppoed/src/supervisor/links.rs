//! Watches the access interfaces: a task looks after each hint of the kernel what an interface is now, and tells the
//! supervisor what that means.
//!
//! Looking beats believing the messages: it makes no difference whether one was lost, came late or was about
//! something that is over.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use ppp_ipc::name::NamePattern;
use ppp_linux::interface::Interface;
use ppp_linux::netlink::{LinkHint, LinkWatch, Netlink, NetlinkError};
use ppp_wire::causes::chain;
use ppp_wire::if_name::IfName;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::Work;
use super::devices::Devices;
use super::line::{ListenError, Listening, SocketSettings};
use super::session::AccessIndex;

/// Time until an interface is looked at again that could not be looked at, or not be listened on.
const RETRY: Duration = Duration::from_secs(1);

/// What became of an access interface.
#[derive(Debug)]
pub(super) enum LinkNews {
    /// It is there, where there was none of the name, or another one that is gone.
    Appeared(Box<Listening>),
    /// It is the one that it was, but not as it was.
    Changed(Interface),
    /// There is none of the name any more.
    Gone,
}

/// What the supervisor wants of the watch.
#[derive(Debug)]
pub(super) enum LinkOrder {
    /// This access interface is to be watched, too.
    Watch(AccessIndex, IfName),
    /// Interfaces that one of these patterns matches are to be told of.
    Find(Vec<String>),
}

/// The watch, before it runs.
pub(super) struct Links {
    watch: LinkWatch,
    sockets: SocketSettings,
    devices: Devices,
    targets: Vec<Target>,
    finder: Finder,
    orders: mpsc::UnboundedReceiver<LinkOrder>,
}

/// Looks for interfaces that match patterns.
#[derive(Debug)]
struct Finder {
    patterns: Vec<String>,
    /// There may be some that were not told of.
    stale: bool,
}

impl Finder {
    fn heed(&mut self, hint: &LinkHint) {
        self.stale |= match hint {
            LinkHint::Missed => true,
            LinkHint::Changed(id) => self.matches(id.name.as_str()),
        };
    }

    fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| NamePattern::from_text(pattern).matches(name))
    }

    /// The Ethernet interfaces that there are, and that match.
    async fn look(&self) -> Result<Vec<IfName>, LookError> {
        let looking = tokio::task::spawn_blocking(|| Netlink::open()?.interfaces());
        let all = looking.await??.into_iter().filter(|interface| interface.mac.is_some());
        Ok(all.map(|interface| interface.id.name).filter(|name| self.matches(name.as_str())).collect())
    }
}

/// One access interface.
#[derive(Clone, Debug)]
struct Target {
    name: IfName,
    /// What the supervisor was told.
    known: Option<Interface>,
    /// Something may have happened since.
    stale: bool,
}

impl Target {
    fn heed(&mut self, hint: &LinkHint) {
        self.stale |= match hint {
            LinkHint::Missed => true,
            LinkHint::Changed(id) => {
                id.name == self.name || self.known.as_ref().is_some_and(|known| known.id.index == id.index)
            }
        };
    }
}

/// Why an interface cannot be looked at, or listened on.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("cannot inspect it: {}", chain(.0))]
    Netlink(#[from] NetlinkError),
    #[error("cannot listen on it: {}", chain(.0))]
    Listen(#[from] ListenError),
    #[error("inspection was interrupted: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

/// The watch in the form that the runtime wants.
struct Watched(LinkWatch);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Links {
    /// Begins to collect hints, so it comes before the first look at the interfaces.
    pub(super) fn new(
        sockets: SocketSettings,
        devices: Devices,
        patterns: Vec<String>,
        orders: mpsc::UnboundedReceiver<LinkOrder>,
    ) -> Result<Self, NetlinkError> {
        let finder = Finder { stale: !patterns.is_empty(), patterns };
        Ok(Self { watch: LinkWatch::open()?, sockets, devices, targets: Vec::new(), finder, orders })
    }

    /// Adds the next access interface, as the supervisor has it now.
    pub(super) fn add(&mut self, name: IfName, known: Option<Interface>) {
        // One that is absent may be there by the time that the task runs.
        self.targets.push(Target { name, known, stale: true });
    }

    /// Runs for ever, in a task.
    pub(super) async fn run(self, work: mpsc::Sender<Work>) {
        let Self { watch, sockets, devices, mut targets, mut finder, mut orders } = self;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may not own their descriptor; this one does"
        )]
        let mut watch = match AsyncFd::new(Watched(watch)) {
            Ok(watch) => watch,
            Err(error) => return error!(%error, "changes of access interfaces are not detected"),
        };
        loop {
            let mut again = None;
            if std::mem::take(&mut finder.stale) {
                match finder.look().await {
                    Ok(names) => {
                        let is_new = |name: &IfName| !targets.iter().any(|target| target.name == *name);
                        for name in names.into_iter().filter(is_new) {
                            if work.send(Work::Found(name)).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(error) => {
                        warn!(%error, "listing interfaces; retrying");
                        finder.stale = true;
                        again = Some(RETRY);
                    }
                }
            }
            for (access, target) in targets.iter_mut().enumerate().filter(|(_, target)| target.stale) {
                target.stale = false;
                match look(target, sockets, &devices).await {
                    Ok(news) => {
                        if tell(&work, access, news).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        warn!(interface = %target.name, %error, "access interface; retrying");
                        target.stale = true;
                        again = Some(RETRY);
                    }
                }
            }
            let collected = tokio::select! {
                collected = collect(&mut watch, &mut targets, &mut finder, again) => collected,
                Some(order) = orders.recv() => {
                    obey(order, &mut targets, &mut finder);
                    Ok(())
                }
            };
            match collected {
                Ok(()) => {}
                Err(error) => {
                    // There is no better way to know: looking costs little.
                    warn!(%error, "netlink notifications unavailable; polling every second");
                    sleep(RETRY).await;
                    targets.iter_mut().for_each(|target| target.stale = true);
                }
            }
        }
    }
}

/// Waits for hints, at most as long as it is told, and marks the interfaces that they are about.
async fn collect(
    watch: &mut AsyncFd<Watched>,
    targets: &mut [Target],
    finder: &mut Finder,
    at_most: Option<Duration>,
) -> std::io::Result<()> {
    let waiting = watch.readable_mut();
    let mut guard = match at_most {
        None => waiting.await?,
        Some(limit) => match timeout(limit, waiting).await {
            Ok(ready) => ready?,
            Err(_elapsed) => return Ok(()),
        },
    };
    while let Ok(received) = guard.try_io(|watch| watch.get_mut().0.recv()) {
        let hint = received?;
        targets.iter_mut().for_each(|target| target.heed(&hint));
        finder.heed(&hint);
    }
    Ok(())
}

fn obey(order: LinkOrder, targets: &mut Vec<Target>, finder: &mut Finder) {
    match order {
        LinkOrder::Watch(access, name) => {
            // They are numbered as they come, here and there.
            debug_assert_eq!(access, targets.len(), "an access interface is not watched");
            targets.push(Target { name, known: None, stale: true });
        }
        LinkOrder::Find(patterns) => *finder = Finder { stale: !patterns.is_empty(), patterns },
    }
}

async fn tell(work: &mpsc::Sender<Work>, access: AccessIndex, news: Vec<LinkNews>) -> Result<(), ()> {
    for news in news {
        work.send(Work::Link(access, news)).await.map_err(|_| ())?;
    }
    Ok(())
}

/// What is new about an interface. The target knows it afterwards.
async fn look(
    target: &mut Target,
    sockets: SocketSettings,
    devices: &Devices,
) -> Result<Vec<LinkNews>, LookError> {
    let devices = devices.clone();
    let (name, known) = (target.name.clone(), target.known.clone());
    // Others may keep the kernel's lock for long, when they make many interfaces.
    let looking = tokio::task::spawn_blocking(move || -> Result<_, LookError> {
        let found = find(&name, known.as_ref())?;
        let is_new = found.as_ref().is_some_and(|found| !is_same(known.as_ref(), found));
        let mac = found.as_ref().and_then(|found| found.mac);
        let listening = match (&found, mac) {
            (Some(found), Some(mac)) if is_new => {
                match Listening::open(found.clone(), mac, sockets, &devices) {
                    Ok(listening) => Some(listening),
                    // It went meanwhile; or else this is tried again.
                    Err(_) if find(&name, None)?.is_none() => return Ok((None, None)),
                    Err(error) => return Err(error.into()),
                }
            }
            _ => None,
        };
        Ok((found, listening))
    });
    let (found, listening) = looking.await??;
    let was_there = target.known.is_some();
    let before = std::mem::replace(&mut target.known, found);
    Ok(match (&target.known, listening) {
        (_, Some(listening)) => {
            let gone = was_there.then_some(LinkNews::Gone);
            gone.into_iter().chain([LinkNews::Appeared(Box::new(listening))]).collect()
        }
        (Some(found), None) if before.as_ref() != Some(found) => vec![LinkNews::Changed(found.clone())],
        (None, None) if was_there => vec![LinkNews::Gone],
        _ => Vec::new(),
    })
}

/// The interface that is known, or else the one with the name, which must be Ethernet.
fn find(name: &IfName, known: Option<&Interface>) -> Result<Option<Interface>, NetlinkError> {
    let mut netlink = Netlink::open()?;
    let known = known.map(|known| netlink.interface_by_index(known.id.index));
    let found = match known {
        Some(Err(NetlinkError::NoSuchInterface { .. })) | None => netlink.interface(name),
        Some(found) => found,
    };
    match found {
        Ok(found) => Ok(Some(found).filter(|found| found.mac.is_some())),
        Err(NetlinkError::NoSuchInterface { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(known: Option<&Interface>, found: &Interface) -> bool {
    known.is_some_and(|known| known.id.index == found.id.index)
}

#[cfg(test)]
mod tests {
    use ppp_linux::interface::{IfIndex, InterfaceId};
    use ppp_wire::ethernet::EtherType;

    use super::*;

    fn id(index: u32, name: &str) -> InterfaceId {
        InterfaceId { index: IfIndex::new(index).unwrap(), name: name.parse().unwrap() }
    }

    fn interface(index: u32, name: &str) -> Interface {
        Interface { id: id(index, name), mac: None, mtu: 1500, up: true, running: true, arp: true }
    }

    fn heeds(known: Option<Interface>, hint: &LinkHint) -> bool {
        let mut target = Target { name: "eth1".parse().unwrap(), known, stale: false };
        target.heed(hint);
        target.stale
    }

    #[test]
    fn hints_count_by_name_and_by_number() {
        let known = || Some(interface(7, "eth1"));
        assert!(heeds(known(), &LinkHint::Changed(id(7, "eth1"))));
        assert!(heeds(known(), &LinkHint::Changed(id(7, "renamed"))), "it was renamed");
        assert!(heeds(known(), &LinkHint::Changed(id(8, "eth1"))), "another one has its name");
        assert!(heeds(None, &LinkHint::Changed(id(8, "eth1"))), "it came");
        assert!(heeds(known(), &LinkHint::Missed));
        assert!(!heeds(known(), &LinkHint::Changed(id(8, "eth2"))));
        assert!(!heeds(None, &LinkHint::Changed(id(7, "eth2"))));
    }

    /// Every namespace has this one, and it is not Ethernet's to be served.
    #[test]
    fn what_is_not_there_is_gone_once_and_what_is_not_ethernet_is_not_there() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (discovery, session) = (EtherType::PppoeDiscovery, EtherType::PppoeSession);
        let sockets = SocketSettings { discovery, session };
        for name in ["no-such-link", "lo"] {
            let known = Some(interface(0x7fff_0000, name));
            let mut target = Target { name: name.parse().unwrap(), known, stale: true };
            let mut looked = || {
                let news = runtime.block_on(look(&mut target, sockets, &Devices::without())).unwrap();
                news.iter().map(|news| matches!(news, LinkNews::Gone)).collect::<Vec<_>>()
            };
            assert_eq!(looked(), [true], "{name}");
            assert!(looked().is_empty(), "{name}");
        }
    }
}
