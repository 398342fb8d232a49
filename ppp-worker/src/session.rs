//! The event loop of one session: the link, the relay and the socket to `pppoed`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ppp_ipc::worker::{self as ipc, EndReason, Ended, FromWorker, Start, ToWorker};
use ppp_proto::auth::Challenge;
use ppp_proto::link::{Event, Link, Phase};
use ppp_wire::ipv6cp::link_local;
use ppp_wire::lcp;
use ppp_wire::ppp::Protocol;

use crate::control::{Control, ControlError};
use crate::convert;
use crate::grant::{Family, Grant};
use crate::lifeline::Lifeline;
use crate::narration::Narration;
use crate::relay::{ControlPlane, More, Relay};
use crate::solitude::Unanswered;

/// Batches that are read from one side before the other is looked at.
const MAX_ROUNDS: usize = 4;

/// A line on which nothing happens for so long is quiet.
const QUIET_AFTER: Duration = Duration::from_secs(1);

/// Why the loop ended other than by the end of the session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the control socket: {0}")]
    Control(#[from] ControlError),
    #[error("waiting for descriptors: {0}")]
    Poll(#[source] io::Error),
    #[error("out of memory for queued packets: {0}")]
    Memory(#[source] io::Error),
    #[error("protocol violation by pppoed: {0}")]
    Protocol(&'static str),
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Link,
    pub(crate) relay: Relay,
    pub(crate) lifeline: Lifeline,
    /// The memory of the counters, for the next `pppoed`.
    pub(crate) counters_file: OwnedFd,
    /// The PADT is ours to send.
    pub(crate) farewell: bool,
    /// The peer has given all proofs since LCP was opened.
    pub(crate) authenticated: bool,
    pub(crate) unanswered: Unanswered,
    /// Our name in challenges.
    name: Vec<u8>,
    max_mss: u16,
    /// What IPCP may give the peer: of the start, or of the last verdict.
    network: Option<ipc::Network>,
    /// Whether IPv6 is to be negotiated at all.
    ipv6: bool,
    /// IPv4 packets may have any source.
    any_source: bool,
    idle: Option<Duration>,
    /// When the last packet of data went either way, while the session is open.
    last_data: Instant,
    dead_peer: Option<Duration>,
    last_frame: Instant,
    /// Why we end the session, when it is not the link that ended it.
    reason: Option<EndReason>,
    /// `pppoed` knows that the link is being closed.
    told_closing: bool,
    narration: Narration,
    packet: Vec<u8>,
}

impl Session {
    pub(crate) fn new(start: &Start, relay: Relay, control: Control, counters_file: OwnedFd) -> Self {
        let now = Instant::now();
        let orphan_timeout = Duration::from_millis(u64::from(start.orphan_timeout_ms));
        Self {
            link: Link::new(convert::link_config(&start.link), start.seed),
            relay,
            lifeline: Lifeline::new(control, orphan_timeout, Path::new("/"), start.seed),
            counters_file,
            farewell: false,
            authenticated: false,
            unanswered: Unanswered::default(),
            name: start.link.name.clone(),
            max_mss: start.link.max_mss,
            network: start.link.network,
            ipv6: start.link.ipv6.is_some(),
            any_source: false,
            idle: convert::limit(start.link.idle_ms),
            last_data: now,
            dead_peer: convert::limit(start.link.dead_peer_ms),
            last_frame: now,
            reason: None,
            told_closing: false,
            narration: Narration::default(),
            packet: Vec::new(),
        }
    }

    /// Runs the session to its end.
    ///
    /// # Errors
    /// When `pppoed` cannot be understood, or is gone before the session was open; the peer was told that the session is
    /// over, if that was possible.
    pub(crate) fn run(mut self) -> Result<(), SessionError> {
        let outcome = self.run_until_reported();
        if outcome.is_err() {
            // Nobody is left who could free what the session holds: tell the peer once, and go.
            let has_begun = self.link.phase() != Phase::Dead;
            self.link.close(Instant::now());
            self.transmit_control();
            // A peer without PADS knows of no session.
            if has_begun {
                self.send_padt();
            }
        }
        outcome
    }

    fn run_until_reported(&mut self) -> Result<(), SessionError> {
        let ended = self.run_until_closed()?;
        if self.farewell || !self.lifeline.is_attached() {
            self.send_padt();
        }
        if self.lifeline.is_attached() {
            self.lifeline.flush_before_exit();
            return Ok(());
        }
        self.report_to_next(&ended)
    }

    fn run_until_closed(&mut self) -> Result<Ended, SessionError> {
        loop {
            if let Some(ended) = self.drive(Instant::now())? {
                return Ok(ended);
            }
            if let Some(pause) = self.relay.take_pause() {
                thread::sleep(pause);
            }
            let ready = self.wait()?;
            let now = Instant::now();
            if ready.is_nothing() && self.relay.poll_timeout().is_none() {
                self.relay.rest();
            }
            if ready.packet {
                self.receive(now);
            }
            if ready.tun {
                self.transmit_data(now);
            }
            if ready.control {
                self.lifeline.receive()?;
            }
            while let Some(news) = self.lifeline.next(now)? {
                self.handle_news(news, now)?;
            }
            self.note_activity(now);
            self.handle_timeouts(now);
        }
    }

    /// Lets out what the link has to say. How the session ended, once it is over.
    fn drive(&mut self, now: Instant) -> Result<Option<Ended>, SessionError> {
        while let Some(event) = self.link.poll_event() {
            self.transmit_control();
            if let Some(ended) = self.handle_event(event, now)? {
                return Ok(Some(ended));
            }
        }
        self.transmit_control();
        if self.link.phase() == Phase::Terminate && !self.told_closing {
            self.told_closing = true;
            self.lifeline.send(FromWorker::Closing)?;
        }
        self.narrate(false, now)?;
        self.lifeline.flush()?;
        Ok(None)
    }

    /// Passes on what was noted of the packets; never more than `pppoed` reads.
    fn narrate(&mut self, all: bool, now: Instant) -> Result<(), SessionError> {
        if !self.lifeline.is_attached() {
            self.narration.switch(false);
        }
        let is_read = self.lifeline.socket().is_some_and(|(_, is_to_be_written)| !is_to_be_written);
        match self.narration.take(all, now).filter(|_| is_read) {
            Some(described) => Ok(self.lifeline.send(described)?),
            None => Ok(()),
        }
    }

    fn transmit_control(&mut self) {
        while self.link.poll_transmit(&mut self.packet) {
            let counters = self.relay.counters();
            match echo_code(&self.packet) {
                Some(lcp::Code::EchoRequest) => counters.tx_echo_requests.add(1),
                Some(lcp::Code::EchoReply) => counters.tx_echo_replies.add(1),
                _ => {}
            }
            self.narration.note(false, &self.packet);
            self.relay.send_control(&self.packet);
        }
    }

    fn handle_event(&mut self, event: Event, now: Instant) -> Result<Option<Ended>, SessionError> {
        match event {
            Event::LcpOpened(lcp) => {
                self.authenticated = false;
                self.unanswered.is_overtaken = self.unanswered.proof.is_some();
                self.lifeline.send(FromWorker::LcpOpened(convert::lcp_report(&lcp)))?;
                if !self.lifeline.is_attached() {
                    self.answer_overtaken(now)?;
                }
            }
            Event::ChallengeNeeded => {
                self.unanswered.challenge = true;
                self.lifeline.send(FromWorker::ChallengeNeeded)?;
            }
            Event::AuthenticateRequest(proof) => {
                let proof = convert::proof(proof);
                self.unanswered.proof = Some(proof.clone());
                self.unanswered.is_overtaken = false;
                self.lifeline.send(FromWorker::Authenticate(proof))?;
            }
            Event::IpcpOpened(ipcp) => {
                self.last_data = now;
                self.lifeline.send(FromWorker::NetworkUp(convert::network_report(ipcp)))?;
            }
            Event::IpcpClosed => {
                self.relay.revoke(Family::Ipv4);
                self.lifeline.send(FromWorker::NetworkDown)?;
            }
            Event::Ipv6cpOpened(ipv6cp) => {
                self.last_data = now;
                self.lifeline.send(FromWorker::Ipv6Up(convert::ipv6_report(ipv6cp)))?;
            }
            Event::Ipv6cpClosed => {
                self.relay.revoke(Family::Ipv6);
                self.lifeline.send(FromWorker::Ipv6Down)?;
            }
            Event::Authenticated => self.authenticated = true,
            Event::Closed(reason) => {
                self.transmit_control();
                self.relay.count_socket_drops();
                let (reason, detail) = match self.reason {
                    // The link only knows that it was told to close.
                    Some(reason) => (reason, Vec::new()),
                    None => convert::end_reason(&reason),
                };
                let ended = Ended { reason, detail };
                self.narrate(true, now)?;
                self.lifeline.send(FromWorker::Ended(ended.clone()))?;
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    pub(crate) fn handle_message(&mut self, message: ToWorker, now: Instant) -> Result<(), SessionError> {
        match message {
            ToWorker::Start(_) => return Err(SessionError::Protocol("a second Start")),
            ToWorker::Open => self.link.open(now),
            ToWorker::Challenge { identifier, value } => {
                let challenge = Challenge { identifier, value, name: self.name.clone() };
                self.unanswered.challenge = false;
                self.link
                    .provide_challenge(challenge, now)
                    .map_err(|_| SessionError::Protocol("a challenge that nobody asked for"))?;
            }
            ToWorker::Verdict(verdict) => {
                if let ipc::Verdict::Accept { network, idle_ms, .. } = &verdict {
                    self.network = Some(*network);
                    self.idle = convert::limit(*idle_ms);
                }
                (self.unanswered.proof, self.unanswered.is_overtaken) = (None, false);
                self.link
                    .verdict(convert::verdict(verdict), now)
                    .map_err(|_| SessionError::Protocol("a verdict that nobody asked for"))?;
            }
            ToWorker::Relay(relay) => {
                // What has closed since gets a new leave when it has opened again.
                let network = self.network.filter(|_| relay.ipv4 && self.link.ip_open());
                let ipv6cp = self.link.status().ipv6cp.filter(|ipv6cp| relay.ipv6 == Some(ipv6cp.remote));
                self.relay.set_grant(Grant {
                    ipv4: network.map(|network| network.remote),
                    any_source: self.any_source,
                    ipv6: ipv6cp.map(|ipv6cp| link_local(ipv6cp.remote)),
                    mtu: relay.mtu,
                    max_mss: self.max_mss,
                });
            }
            ToWorker::AnySource => self.any_source = true,
            ToWorker::SetRates(rates) => {
                self.relay.set_rates(convert::rates(rates), now).map_err(SessionError::Memory)?;
            }
            ToWorker::Describe { on } => self.narration.switch(on),
            ToWorker::Terminate(reason) => self.close(reason, now),
            ToWorker::Ping { sequence } => self.lifeline.send(FromWorker::Pong { sequence })?,
            ToWorker::Record(ticket) => self.lifeline.keep(ticket),
            ToWorker::Probe => self.link.probe(now),
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, reason: EndReason, now: Instant) {
        self.reason.get_or_insert(reason);
        self.link.close(now);
    }

    fn receive(&mut self, now: Instant) {
        for _ in 0..MAX_ROUNDS {
            let (link, narration, ipv6) = (&mut self.link, &mut self.narration, self.ipv6);
            let mut control = LinkInput { link, narration, ipv6, now, echo_requests: 0, echo_replies: 0 };
            let malformed_before = control.link.drops().malformed;
            let outcome = self.relay.receive(&mut control, now);
            let LinkInput { echo_requests, echo_replies, .. } = control;
            let counters = self.relay.counters();
            counters.rx_echo_requests.add(echo_requests);
            counters.rx_echo_replies.add(echo_replies);
            counters.rx_drops_malformed.add(self.link.drops().malformed - malformed_before);
            match outcome {
                Ok(None) => return,
                Ok(Some(more)) => {
                    self.last_frame = now;
                    if more == More::No {
                        return;
                    }
                }
                Err(_) => return self.lose_interface(now),
            }
        }
    }

    /// The TUN is gone.
    fn lose_device(&mut self, now: Instant) {
        if self.relay.is_on_device() {
            return self.lose_interface(now);
        }
        // The peer can still be told.
        self.reason.get_or_insert(EndReason::DeviceGone);
        Family::ALL.into_iter().for_each(|family| self.relay.revoke(family));
        self.link.close(now);
    }

    /// Nothing can be sent or received any more.
    fn lose_interface(&mut self, now: Instant) {
        let reason = match self.relay.is_on_device() {
            true => EndReason::DeviceGone,
            false => EndReason::InterfaceGone,
        };
        self.reason.get_or_insert(reason);
        Family::ALL.into_iter().for_each(|family| self.relay.revoke(family));
        self.link.lower_down(now);
    }

    fn transmit_data(&mut self, now: Instant) {
        for _ in 0..MAX_ROUNDS {
            match self.relay.transmit(now) {
                Ok(More::No) => return,
                Ok(More::Perhaps) => {}
                // Somebody deleted the interface.
                Err(_) => return self.lose_device(now),
            }
        }
    }

    fn note_activity(&mut self, now: Instant) {
        let activity = self.relay.take_data_activity();
        if activity.received {
            self.link.note_rx_activity(now);
        }
        if activity.received || activity.sent {
            self.last_data = now;
        }
    }

    fn handle_timeouts(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.relay.handle_timeout(now);
        if self.idle_deadline().is_some_and(|deadline| deadline <= now) {
            self.close(EndReason::Idle, now);
        }
        if self.dead_peer_deadline().is_some_and(|deadline| deadline <= now) {
            self.close(EndReason::EchoLost, now);
        }
        self.give_up_waiting(now);
    }

    /// When an open session without traffic ends. None once it is being closed.
    fn idle_deadline(&self) -> Option<Instant> {
        let idle = self.idle.filter(|_| self.relay.is_open() && self.reason.is_none())?;
        Some(self.last_data + idle)
    }

    /// When a session whose peer sends nothing at all ends.
    fn dead_peer_deadline(&self) -> Option<Instant> {
        let dead_peer = self.dead_peer.filter(|_| self.reason.is_none())?;
        Some(self.last_frame + dead_peer)
    }

    /// Sleeps until a descriptor has something or the next deadline passes.
    fn wait(&self) -> Result<Ready, SessionError> {
        let quiet = self.relay.is_busy().then(|| Instant::now() + QUIET_AFTER);
        // Once it is being closed, the link has its own deadlines.
        let orphan = self.lifeline.orphan_deadline().filter(|_| self.reason.is_none());
        let deadlines = [
            self.link.poll_timeout(),
            self.idle_deadline(),
            self.dead_peer_deadline(),
            self.lifeline.poll_timeout(),
            self.relay.poll_timeout(),
            self.narration.poll_timeout(),
            orphan,
            quiet,
        ];
        let timeout = deadlines.into_iter().flatten().min().map_or(PollTimeout::NONE, poll_timeout);
        // Alone, there is no first one to watch.
        let (first, lifeline) = match self.lifeline_to_watch() {
            Some(lifeline) => (0, lifeline),
            None => (1, PollFd::new(self.relay.socket().as_fd(), PollFlags::empty())),
        };
        let mut descriptors = [
            lifeline,
            PollFd::new(self.relay.socket().as_fd(), PollFlags::POLLIN),
            PollFd::new(self.relay.tun().as_fd(), PollFlags::POLLIN),
        ];
        let last = match self.link.phase() {
            // Before the leave to begin, the peer's first frames wait in the socket: they are not lost on the link.
            Phase::Dead => 1,
            _ if self.relay.is_open() => 3,
            // A TUN that is down reports an error all the time, so it is not watched until packets may flow.
            _ => 2,
        };
        poll_all(descriptors.get_mut(first..last).unwrap_or_default(), timeout)?;
        let is_ready = |index: usize| {
            let watched = descriptors.get(index).filter(|_| (first..last).contains(&index));
            watched.is_some_and(|descriptor| descriptor.any().unwrap_or(true))
        };
        Ok(Ready { control: is_ready(0), packet: is_ready(1), tun: is_ready(2) })
    }

    /// As [`Session::wait`], for nothing but the way to `pppoed`.
    pub(crate) fn wait_for_lifeline(&self, deadline: Instant) -> Result<bool, SessionError> {
        let deadline = self.lifeline.poll_timeout().map_or(deadline, |timeout| timeout.min(deadline));
        let mut descriptors: Vec<PollFd<'_>> = self.lifeline_to_watch().into_iter().collect();
        poll_all(&mut descriptors, poll_timeout(deadline))?;
        Ok(descriptors.iter().any(|fd| fd.any().unwrap_or(true)))
    }

    fn lifeline_to_watch(&self) -> Option<PollFd<'_>> {
        let (socket, is_to_be_written) = self.lifeline.socket()?;
        let events = match is_to_be_written {
            true => PollFlags::POLLIN | PollFlags::POLLOUT,
            false => PollFlags::POLLIN,
        };
        Some(PollFd::new(socket, events))
    }
}

fn poll_all(descriptors: &mut [PollFd<'_>], timeout: PollTimeout) -> Result<(), SessionError> {
    match poll(descriptors, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(SessionError::Poll(errno.into())),
    }
}

/// The link while the relay reads for it.
struct LinkInput<'a> {
    link: &'a mut Link,
    narration: &'a mut Narration,
    ipv6: bool,
    now: Instant,
    echo_requests: u64,
    echo_replies: u64,
}

impl ControlPlane for LinkInput<'_> {
    fn handle_packet(&mut self, packet: &[u8]) {
        match echo_code(packet) {
            Some(lcp::Code::EchoRequest) => self.echo_requests += 1,
            Some(lcp::Code::EchoReply) => self.echo_replies += 1,
            _ => {}
        }
        self.narration.note(true, packet);
        self.link.handle_packet(packet, self.now);
    }

    fn supports(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => true,
            Family::Ipv6 => self.ipv6,
        }
    }

    fn is_open(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.link.ip_open(),
            Family::Ipv6 => self.link.ipv6_open(),
        }
    }
}

/// Which descriptors have something.
struct Ready {
    control: bool,
    packet: bool,
    tun: bool,
}

impl Ready {
    fn is_nothing(&self) -> bool {
        !(self.control || self.packet || self.tun)
    }
}

/// How long to sleep until `deadline`: rounded up, so that the deadline has passed afterwards.
fn poll_timeout(deadline: Instant) -> PollTimeout {
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|ms| PollTimeout::try_from(ms).ok()).unwrap_or(PollTimeout::MAX)
}

/// The code of an LCP packet that is given from its Protocol field on, if it is an echo.
fn echo_code(packet: &[u8]) -> Option<lcp::Code> {
    let (protocol, rest) = packet.split_first_chunk::<2>()?;
    if *protocol != Protocol::Lcp.to_be_bytes() {
        return None;
    }
    let code = lcp::Code::from(*rest.first()?);
    matches!(code, lcp::Code::EchoRequest | lcp::Code::EchoReply).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_echoes_of_lcp_are_echoes() {
        assert_eq!(echo_code(&[0xc0, 0x21, 9]), Some(lcp::Code::EchoRequest));
        assert_eq!(echo_code(&[0xc0, 0x21, 10, 1, 0, 8]), Some(lcp::Code::EchoReply));
        for packet in [&[0xc0, 0x21, 1][..], &[0x80, 0x21, 9], &[0xc0, 0x21], &[0xc0], &[]] {
            assert_eq!(echo_code(packet), None, "{packet:x?}");
        }
    }

    #[test]
    fn a_sleep_ends_after_its_deadline_and_not_before() {
        assert_eq!(poll_timeout(Instant::now()), PollTimeout::ZERO);
        let soon = poll_timeout(Instant::now() + Duration::from_micros(500)).as_millis();
        assert!(matches!(soon, Some(0 | 1)), "{soon:?}");
        let later = poll_timeout(Instant::now() + Duration::from_secs(10)).as_millis().unwrap();
        assert!((9_000..=10_000).contains(&later), "{later}");
        let never = Instant::now() + Duration::from_secs(400 * 24 * 3600);
        assert_eq!(poll_timeout(never), PollTimeout::MAX);
    }
}
