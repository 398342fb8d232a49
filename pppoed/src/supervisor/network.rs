//! The session's network interface: MTU, addresses, up.

use std::time::Instant;

use ppp_ipc::control::Phase;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{Relay, ToWorker};
use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig};

use super::session::{Session, Token};
use super::settings::max_connect;
use super::worker::chain;
use super::{Supervisor, Work};

/// What came of configuring an interface: its MTU in bytes, or why not.
pub(super) type Configured = Result<u16, String>;

impl Supervisor {
    /// IPCP is open: configures the interface, beside the event loop, or goes on with it as it is.
    pub(super) fn configure(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        if session.mtu.is_some() {
            return self.open(token, now);
        }
        let mtu = self.config.mtu(session);
        let (Some(tun), Some(network)) = (session.tun.clone(), session.network) else {
            return self.kill(token, EndReason::SystemError, "the interface was not made");
        };
        let ipv4 = Ipv4Ends { local: network.local, peer: network.remote };
        let work = self.work.clone();
        tokio::task::spawn_local(async move {
            let configuring = tokio::task::spawn_blocking(move || configure(&tun, mtu, ipv4));
            let configured =
                configuring.await.unwrap_or_else(|error| Err(format!("it was cut off: {error}")));
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Configured(token, configured)).await;
        });
    }

    pub(super) fn handle_configured(&mut self, token: Token, configured: Configured, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        match configured {
            Ok(mtu) => {
                session.mtu = Some(mtu);
                self.open(token, now);
            }
            Err(why) => self.terminate(token, EndReason::SystemError, &why, now),
        }
    }

    /// Everything is there: packets may flow.
    fn open(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        // The link may have closed IPCP, or begun to end, meanwhile.
        if session.phase != Phase::Network {
            return;
        }
        let Some(mtu) = session.mtu else { return };
        session.phase = Phase::Open;
        session.note("open", now);
        session.worker.send(ToWorker::Relay(Relay { mtu }));
        session.log("session up");
        let end = session_end(session, &self.config.session_options);
        self.deadlines.set(token, end);
    }
}

/// When an open session ends because its time is up.
fn session_end(session: &Session, general: &crate::options::SessionOptions) -> Option<Instant> {
    let options = session.user.as_ref().map_or(general, |user| &user.options);
    max_connect(options).and_then(|time| session.started.checked_add(time))
}

/// Runs where it may block.
fn configure(tun: &InterfaceId, mtu: u16, ipv4: Ipv4Ends) -> Configured {
    let config = PtpConfig { mtu, ipv4: Some(ipv4), ipv6: None };
    let mut netlink = Netlink::open().map_err(|error| chain(&error))?;
    netlink.configure_ptp(tun, &config).map_err(|error| chain(&error))?;
    Ok(mtu)
}
