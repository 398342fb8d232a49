//! Session interfaces that somebody gives another name (`ip link set ppp0 name cust-alice`, from `ip-up`, say): the session
//! follows, so that hooks, lists and the log know the interface by the name that it has.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Instant;

use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{LinkHint, LinkWatch, Netlink, NetlinkError};
use ppp_wire::causes::chain;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::watch::watch;
use super::{Supervisor, Work};

/// The watch in the form that the runtime wants.
struct Watched(LinkWatch);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Tells the supervisor what session interfaces are called, whenever that may have changed. Runs for ever, in a task.
pub(super) async fn watch_names(work: mpsc::Sender<Work>) {
    if let Err(error) = follow(&work).await {
        warn!(reason = chain(&error), "renamed session interfaces keep their old names in this server");
    }
}

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error("watching the kernel's messages")]
    Io(#[from] io::Error),
}

async fn follow(work: &mpsc::Sender<Work>) -> Result<(), WatchError> {
    let mut hints = watch(Watched(LinkWatch::open_for_names_of_tuns()?))?;
    // Sessions of an earlier pppoed may have got other names while nobody watched.
    let mut named = names_of_tuns().await?;
    loop {
        if work.send(Work::Named(named)).await.is_err() {
            return Ok(());
        }
        let mut guard = hints.readable_mut().await?;
        let mut is_incomplete = false;
        named = Vec::new();
        while let Ok(received) = guard.try_io(|hints| hints.get_mut().0.recv()) {
            match received? {
                LinkHint::Changed(id) => named.push(id),
                LinkHint::Missed => is_incomplete = true,
            }
        }
        if is_incomplete {
            named = names_of_tuns().await?;
        }
    }
}

async fn names_of_tuns() -> Result<Vec<InterfaceId>, WatchError> {
    let looking = tokio::task::spawn_blocking(|| Netlink::open()?.interfaces());
    let all = looking.await.map_err(io::Error::other)??;
    Ok(all.into_iter().filter(|it| it.mac.is_none()).map(|it| it.id).collect())
}

impl Supervisor {
    /// These are the names of interfaces now, some of which sessions may have.
    pub(super) fn handle_named(&mut self, named: Vec<InterfaceId>, now: Instant) {
        for id in named {
            let Some(session) = self.table.by_tun_mut(id.index) else { continue };
            let token = session.token;
            if session.ifname == id.name.as_str() {
                continue;
            }
            let old = std::mem::replace(&mut session.ifname, id.name.to_string());
            info!(session = session.id, old_name = old, ifname = session.ifname, "session interface renamed");
            session.note(format!("interface {old} renamed to {}", session.ifname), now);
            session.tun = Some(id);
            self.keep_record(token);
        }
    }
}
