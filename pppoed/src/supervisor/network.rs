//! The session's network interface: MTU, addresses, up. And the leave to relay, which follows from them.

use std::time::Instant;

use ppp_ipc::control::EventName;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{Relay, ToWorker};
use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{Ipv4Ends, Ipv6Ends, Netlink, NetlinkError, PtpConfig};
use ppp_session::session::{Effect, Event};
use ppp_wire::causes::chain;

use super::devices::Devices;
use super::inspection::Seen;
use super::protections::{Look, Protection, Repair};
use super::proxy_arp::ProxyArp;
use super::session::{Session, Token};
use super::session_log::about;
use super::settings::mtu;
use super::{Supervisor, Work, ipv6, pace};
use crate::message::{IPV6_LEFT_OUT, PROXY_ARP_LEFT_OUT};
use crate::turns;

/// Least MTU that IPv6 works with, in bytes (RFC 8200 §5).
const IPV6_MIN_MTU: u16 = 1280;

/// What a session's interface has been given. It keeps that until its end, also when a network protocol closes.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// In bytes; none until the interface is up.
    pub(super) mtu: Option<u16>,
    pub(super) ipv4: Option<Ipv4Ends>,
    pub(super) ipv6: Option<Ipv6Ends>,
    pub(super) proxy_arp: Option<ProxyArp>,
    /// There is room for scripts' own queueing disciplines.
    pub(super) free_clsact: bool,
}

impl Given {
    fn is_enough(&self, wanted: &Wanted) -> bool {
        self.mtu == Some(wanted.mtu)
            && (wanted.ipv4.is_none() || wanted.ipv4 == self.ipv4)
            && (wanted.ipv6.is_none() || wanted.ipv6 == self.ipv6)
            && (self.free_clsact || !wanted.free_clsact)
    }
}

/// What the open network protocols need.
#[derive(Debug)]
struct Wanted {
    mtu: u16,
    ipv4: Option<Ipv4Ends>,
    ipv6: Option<Ipv6Ends>,
    /// `proxyarp`.
    proxy_arp: bool,
    /// For scripts, which may use `tc` there.
    free_clsact: bool,
}

impl Wanted {
    fn new(session: &Session, free_clsact: bool) -> Self {
        let network = session.network.filter(|_| session.ip_open);
        Self {
            mtu: mtu(session),
            ipv4: network.map(|network| Ipv4Ends { local: network.local, peer: network.remote }),
            ipv6: session.ipv6_open.map(ipv6::ends),
            proxy_arp: session.options().proxyarp.as_ref().is_some_and(|proxyarp| proxyarp.value),
            free_clsact,
        }
    }
}

/// What came of configuring an interface, or why there is no use in it.
pub(super) type Configured = Result<Done, String>;

/// An interface was configured, perhaps not in everything.
#[derive(Debug)]
pub(super) struct Done {
    given: Given,
    /// Why IPv6 was left out.
    without_ipv6: Option<String>,
    /// Why proxy ARP was left out.
    without_proxy_arp: Option<String>,
    /// Why scripts will have no room for queueing disciplines of their own.
    without_clsact: Option<String>,
    /// Everything that protects the session, now that it is configured.
    protections: Vec<Protection>,
}

impl Supervisor {
    /// A network protocol is open: gives the interface what it needs, beside the event loop, or goes on with it as it
    /// is.
    pub(super) fn configure(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        // The link may have begun anew, or begun to end, meanwhile.
        if !session.machine.is_admitted() {
            return;
        }
        // While it is being configured, what comes of that leads here again.
        let Some(given) = session.given.take() else { return };
        let wanted = Wanted::new(session, self.devices.programs().is_some() && self.hooks.may_run());
        if given.is_enough(&wanted) {
            session.given = Some(given);
            return self.open(token, now);
        }
        let Some(tun) = session.tun.clone() else {
            return self.kill(token, EndReason::SystemError, "the interface was not made");
        };
        let Some(session) = self.table.get(token) else { return };
        let (work, devices, look) = (self.work.clone(), self.devices.clone(), self.look_at(session));
        self.pace.begin(pace::Work::Configure, token, now);
        turns::spawn("interface", async move {
            let configuring =
                tokio::task::spawn_blocking(move || configure(&tun, given, &wanted, &devices, &look));
            let configured =
                configuring.await.unwrap_or_else(|error| Err(format!("it was cut off: {error}")));
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Configured(token, configured)).await;
        });
    }

    pub(super) fn handle_configured(&mut self, token: Token, configured: Configured, now: Instant) {
        self.pace.end(pace::Work::Configure, token, now);
        let Some(session) = self.table.get_mut(token) else { return };
        let Done { given, without_ipv6, without_proxy_arp, without_clsact, protections } = match configured {
            Ok(done) => done,
            Err(why) => return self.terminate(token, EndReason::SystemError, &why, now),
        };
        session.mtu = given.mtu;
        session.given = Some(given);
        if let Some(why) = without_ipv6 {
            // IPv4 goes on; IPV6CP may open again, and then this is tried again.
            session.ipv6_open = None;
            about!(warn, IPV6_LEFT_OUT, session, reason = why);
            session.note(format!("IPv6 left out: {why}"), now);
        }
        if let Some(why) = without_proxy_arp {
            about!(warn, PROXY_ARP_LEFT_OUT, session, reason = why);
            session.note(format!("no proxy ARP: {why}"), now);
        }
        if let Some(why) = without_clsact {
            session.note(format!("tc qdisc add dev {} ingress will not work: {why}", session.ifname), now);
        }
        if let Some(why) = self.judge_protections(token, &protections, now) {
            return self.terminate(token, EndReason::SystemError, &why, now);
        }
        self.configure(token, now);
    }

    /// The interface has everything that the open protocols need: their packets may flow.
    fn open(&mut self, token: Token, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        let Some(mtu) = session.mtu else { return };
        let ipv6 = session.ipv6_open.map(|report| report.remote);
        if !session.ip_open && ipv6.is_none() {
            return;
        }
        if session.options().source_check.as_ref().is_some_and(|check| !check.value) {
            session.worker.send(ToWorker::AnySource);
        }
        if !self.hook_allows_relay(token, now) {
            return;
        }
        let Some(session) = self.table.get_mut(token) else { return };
        session.send_rates();
        self.let_pass(token);
        let Some(session) = self.table.get_mut(token) else { return };
        session.worker.send(ToWorker::Relay(Relay { mtu, ipv4: session.ip_open, ipv6 }));
        match self.advance_any(token, Event::Relaying, now) {
            Some(Effect::OpenedFirst) => self.note_open(token, true, now),
            Some(Effect::OpenedAgain) => self.note_open(token, false, now),
            _ => {}
        }
        self.hook_session_open(token, now);
        self.keep_record(token);
    }

    /// Packets flow.
    fn note_open(&mut self, token: Token, is_first: bool, now: Instant) {
        let Some(session) = self.table.get_mut(token) else { return };
        session.note("open", now);
        // A link that is negotiated anew is no news.
        if is_first {
            session.seen = Some(Seen::nothing(session.sent_rates.unwrap_or_default(), now));
            session.log_up();
            self.events.session(EventName::SessionOpen, session);
        }
        self.watch_quota(token, now);
        self.heartbeats.begin(token, now);
        self.proven(token, now);
    }

    /// A session is open as long as any network protocol is.
    pub(super) fn network_protocol_closed(&mut self, token: Token, now: Instant) {
        self.hold_back(token);
        let Some(session) = self.table.get_mut(token) else { return };
        if !session.ip_open && session.ipv6_open.is_none() {
            self.advance_any(token, Event::AllProtocolsClosed, now);
        }
        self.hook_session_changed(token, now);
    }
}

/// Runs where it may block.
fn configure(
    tun: &InterfaceId,
    mut given: Given,
    wanted: &Wanted,
    devices: &Devices,
    look: &Look,
) -> Configured {
    let mut without_proxy_arp = None;
    let mut netlink = Netlink::open().map_err(|error| chain(&error))?;
    let mut without_clsact = None;
    if wanted.free_clsact
        && !given.free_clsact
        && let Some(programs) = devices.programs()
    {
        without_clsact = programs.free_clsact(tun).err().map(|error| chain(&error));
        given.free_clsact = true;
    }
    given.mtu = given.mtu.or_else(|| devices.mtu_of_new());
    set_mtu_and_ipv4(&mut netlink, tun, &mut given, wanted).map_err(|error| chain(&error))?;
    if let Some(ends) = wanted.ipv4
        && wanted.proxy_arp
        && given.ipv4 != wanted.ipv4
    {
        match ProxyArp::begin(&mut netlink, ends.peer) {
            Ok(entry) => given.proxy_arp = Some(entry),
            Err(why) => without_proxy_arp = Some(why),
        }
    }
    given.ipv4 = wanted.ipv4.or(given.ipv4);
    let without_ipv6 = set_ipv6(&mut netlink, tun, &mut given, wanted).err();
    let protections = look.take(Repair::Yes);
    Ok(Done { given, without_ipv6, without_proxy_arp, without_clsact, protections })
}

/// Without this there is no session.
fn set_mtu_and_ipv4(
    netlink: &mut Netlink,
    tun: &InterfaceId,
    given: &mut Given,
    wanted: &Wanted,
) -> Result<(), NetlinkError> {
    let mtu = wanted.mtu;
    match given.mtu {
        None => netlink.configure_ptp(tun, &PtpConfig { mtu, ipv4: wanted.ipv4 })?,
        Some(before) => {
            if before != mtu {
                netlink.set_mtu(tun, mtu)?;
            }
            if let Some(ends) = wanted.ipv4.filter(|_| wanted.ipv4 != given.ipv4) {
                netlink.set_ipv4_ends(tun, given.ipv4, ends)?;
            }
        }
    }
    if mtu < IPV6_MIN_MTU {
        // The kernel has taken them away.
        given.ipv6 = None;
    }
    given.mtu = Some(mtu);
    Ok(())
}

/// Without this there is a session with IPv4 alone.
fn set_ipv6(
    netlink: &mut Netlink,
    tun: &InterfaceId,
    given: &mut Given,
    wanted: &Wanted,
) -> Result<(), String> {
    let Some(ends) = wanted.ipv6.filter(|_| wanted.ipv6 != given.ipv6) else { return Ok(()) };
    if wanted.mtu < IPV6_MIN_MTU {
        return Err(format!("an MTU of {} bytes is less than the {IPV6_MIN_MTU} of IPv6", wanted.mtu));
    }
    let had = given.ipv6.take();
    netlink.set_ipv6_ends(tun, had, ends).map_err(|error| chain(&error))?;
    given.ipv6 = Some(ends);
    Ok(())
}
