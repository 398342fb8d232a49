//! Hosts on the wire: discovery for any address, and a whole PPP client for those who behave.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::DiscoverySocket;
use ppp_proto::auth::{AuthMethod, Credentials};
use ppp_proto::discovery::client::{self, Client, Failure};
use ppp_proto::ipcp::IpcpConfig;
use ppp_proto::link::{self, CloseReason, Link, LinkConfig};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::if_name::IfName;
use ppp_wire::pppoe::{PppoePacket, TagType, emit_session_header};
use zeroize::Zeroizing;

use super::lab::{HOSTS, SECRET, until, until_some};

/// Frames for every address arrive here: a veth delivers all.
pub(crate) struct Host {
    mac: MacAddr,
    discovery: DiscoverySocket,
    client: Client,
    events: VecDeque<client::Event>,
}

impl Host {
    /// Begins to dial from `mac`.
    pub(crate) fn dial(mac: MacAddr) -> Self {
        Self::dial_again(mac, 1)
    }

    /// Begins to dial from `mac` for the given time, with another Host-Uniq each time.
    pub(crate) fn dial_again(mac: MacAddr, time: u8) -> Self {
        Self::dial_with(mac, vec![time; 4])
    }

    /// As [`Host::dial`], with this Host-Uniq.
    pub(crate) fn dial_with(mac: MacAddr, host_uniq: Vec<u8>) -> Self {
        // Patient, but not so that a repeated PADR becomes another dial.
        let config = client::Config {
            host_uniq: Some(host_uniq),
            timeout: Duration::from_secs(2),
            attempts: 4,
            ..client::Config::new(mac)
        };
        let client = Client::new(config, Instant::now()).unwrap();
        let discovery = socket(EtherType::PppoeDiscovery);
        let mut host = Self { mac, discovery, client, events: VecDeque::new() };
        host.drive();
        host
    }

    /// Whether something arrived that was not handled yet.
    pub(crate) fn has_frames(&self) -> bool {
        let mut waiting = [PollFd::new(self.discovery.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, PollTimeout::ZERO).unwrap() > 0
    }

    /// Handles what arrived, and the time.
    pub(crate) fn drive(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok(received) = self.discovery.recv(&mut buffer) {
            self.client.handle_frame(&buffer[..received.len], Instant::now());
        }
        self.client.handle_timeout(Instant::now());
        while let Some(frame) = self.client.poll_transmit() {
            self.discovery.send(&frame).unwrap();
        }
        self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
    }

    fn event(&mut self, what: &str) -> client::Event {
        until_some(what, || {
            self.drive();
            self.events.pop_front()
        })
        .unwrap_or_else(|why| panic!("{}: {why}", self.mac))
    }

    /// Waits for the session.
    pub(crate) fn connected(&mut self) -> client::Session {
        match self.event("a session") {
            client::Event::Connected(session) => session,
            other => panic!("{}: no session: {other:?}", self.mac),
        }
    }

    /// Waits for the refusal.
    pub(crate) fn refused(&mut self) {
        match self.event("a refusal") {
            client::Event::Failed(Failure::Refused { kind: TagType::AcSystemError, .. }) => {}
            other => panic!("{}: not refused: {other:?}", self.mac),
        }
    }

    /// Waits for the PADT. What it says.
    pub(crate) fn terminated(&mut self) -> String {
        match self.event("a PADT") {
            client::Event::Terminated { message } => String::from_utf8(message.unwrap_or_default()).unwrap(),
            other => panic!("{}: no PADT: {other:?}", self.mac),
        }
    }

    /// Whether nothing was said since the session began.
    pub(crate) fn is_undisturbed(&mut self) -> bool {
        self.drive();
        self.events.is_empty()
    }

    /// Whether a refusal came.
    pub(crate) fn was_refused(&mut self) -> bool {
        self.drive();
        self.events.iter().any(|event| matches!(event, client::Event::Failed(Failure::Refused { .. })))
    }

    /// Whether there is a session.
    pub(crate) fn is_connected(&mut self) -> bool {
        self.drive();
        self.events.iter().any(|event| matches!(event, client::Event::Connected(_)))
    }

    /// Sends a PADT.
    pub(crate) fn hang_up(&mut self) {
        self.client.terminate("");
        self.drive();
    }
}

/// A host with a PPP link, for which IPCP opened.
pub(crate) struct Subscriber {
    pub(crate) host: Host,
    pub(crate) session_id: u16,
    socket: DiscoverySocket,
    header: EthernetHeader,
    link: Link,
    ended: Option<CloseReason>,
}

impl Subscriber {
    /// Dials and waits for IPCP.
    pub(crate) fn open(mac: MacAddr) -> Self {
        Self::open_again(mac, 1)
    }

    /// As [`Subscriber::open`], with another Host-Uniq each time.
    pub(crate) fn open_again(mac: MacAddr, time: u8) -> Self {
        let mut subscriber = Self::begin(Host::dial_again(mac, time), b"alice");
        until("IPCP to open", || {
            subscriber.drive();
            assert_eq!(subscriber.ended, None, "{mac}");
            subscriber.address().is_some()
        });
        subscriber
    }

    /// Waits for the session, and begins LCP as the user `name`.
    pub(crate) fn begin(host: Host, name: &[u8]) -> Self {
        Self::begin_by(host, name, AuthMethod::ChapMd5, SECRET)
    }

    /// As [`Subscriber::begin`], by another method or with another secret.
    pub(crate) fn begin_by(mut host: Host, name: &[u8], method: AuthMethod, secret: &str) -> Self {
        let session = host.connected();
        Self::begin_in(host, &session, name, method, secret)
    }

    /// As [`Subscriber::begin`], doing `work` meanwhile.
    pub(crate) fn begin_while(mut host: Host, name: &[u8], mut work: impl FnMut()) -> Self {
        until("a session", || {
            work();
            host.drive();
            !host.events.is_empty()
        });
        Self::begin(host, name)
    }

    fn begin_in(
        host: Host,
        session: &client::Session,
        name: &[u8],
        method: AuthMethod,
        secret: &str,
    ) -> Self {
        let mac = host.mac;
        let socket = socket(EtherType::PppoeSession);
        let credentials = Credentials {
            name: name.to_vec(),
            secret: Zeroizing::new(secret.as_bytes().to_vec()),
            methods: vec![method],
        };
        let config = LinkConfig {
            credentials: Some(credentials),
            ipcp: Some(IpcpConfig::Request),
            ..LinkConfig::default()
        };
        let mut link = Link::new(config, u64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, mac.0[5]]));
        link.open(Instant::now());
        let header =
            EthernetHeader { destination: session.ac_mac, source: mac, ether_type: EtherType::PppoeSession };
        Self { host, session_id: session.session_id, socket, header, link, ended: None }
    }

    pub(crate) fn drive(&mut self) {
        self.host.drive();
        let mut buffer = [0; 2048];
        while let Ok(received) = self.socket.recv(&mut buffer) {
            if let Some(packet) = self.packet_of(&buffer[..received.len]) {
                self.link.handle_packet(packet, Instant::now());
            }
        }
        self.link.handle_timeout(Instant::now());
        while let Some(event) = self.link.poll_event() {
            if let link::Event::Closed(reason) = event {
                self.ended = Some(reason);
            }
        }
        let mut packet = Vec::new();
        while self.link.poll_transmit(&mut packet) {
            self.send(&packet);
        }
    }

    /// Sends a PPP packet, from its Protocol field on.
    fn send(&self, packet: &[u8]) {
        let len = u16::try_from(packet.len()).unwrap();
        let mut frame = emit_session_header(&self.header, self.session_id, len).to_vec();
        frame.extend_from_slice(packet);
        frame.resize(frame.len().max(MIN_FRAME_LEN), 0);
        self.socket.send(&frame).unwrap();
    }

    fn packet_of<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let packet = PppoePacket::new_checked(ethernet.payload()).ok()?;
        let ours = ethernet.destination() == self.header.source && packet.session_id() == self.session_id;
        ours.then(|| packet.payload())
    }

    /// Whether no frame of the session waits.
    pub(crate) fn hears_nothing(&self) -> bool {
        let mut buffer = [0; 2048];
        std::iter::from_fn(|| {
            self.socket.recv(&mut buffer).ok().map(|received| buffer[..received.len].to_vec())
        })
        .all(|frame| self.packet_of(&frame).is_none())
    }

    /// Our address, while IPCP is open.
    pub(crate) fn address(&self) -> Option<Ipv4Addr> {
        self.link.status().ipcp.map(|ipcp| ipcp.local)
    }

    /// Sends a Terminate-Request.
    pub(crate) fn close(&mut self) {
        self.link.close(Instant::now());
        self.drive();
    }

    /// Whether LCP is over.
    pub(crate) fn is_over(&mut self) -> bool {
        self.drive();
        self.ended.is_some()
    }

    /// Asks for an Echo-Reply.
    pub(crate) fn ask_for_echo(&self) {
        // An Echo-Request with a Magic-Number of 0, which every end has to take (RFC 1661 section 6.4).
        self.send(&[0xc0, 0x21, 9, 0x77, 0, 8, 0, 0, 0, 0]);
    }

    /// Asks for an Echo-Reply, and waits for it.
    pub(crate) fn assert_alive(&mut self) {
        const ECHO_REPLY: u8 = 10;
        self.ask_for_echo();
        let mut buffer = [0; 2048];
        until("an Echo-Reply", || {
            while let Ok(received) = self.socket.recv(&mut buffer) {
                let Some(packet) = self.packet_of(&buffer[..received.len]) else { continue };
                if packet.starts_with(&[0xc0, 0x21, ECHO_REPLY, 0x77]) {
                    return true;
                }
                self.link.handle_packet(packet, Instant::now());
            }
            false
        });
        self.drive();
        assert!(self.address().is_some(), "IPCP is closed");
        assert!(self.host.is_undisturbed(), "the session was ended");
    }
}

pub(crate) fn socket(ether_type: EtherType) -> DiscoverySocket {
    let name: IfName = HOSTS.parse().unwrap();
    let id = Netlink::open().unwrap().interface(&name).unwrap().id;
    DiscoverySocket::open(&id, ether_type, DiscoverySocket::DEFAULT_RECEIVE_BUFFER).unwrap()
}
