//! A PPPoE server for the client's tests: `ppp_proto`'s server ends in one thread, with one TUN for all sessions, so
//! that the kernel answers pings and serves TCP.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig, Route};
use ppp_linux::tun::Tun;
use ppp_proto::auth::{AuthMethod, Challenge, Proof, chap};
use ppp_proto::discovery::cookie::CookieKey;
use ppp_proto::discovery::server::{Admission, Config, Event as DiscoveryEvent, Server, Sessions};
use ppp_proto::ipcp::{IpcpConfig, NameServers};
use ppp_proto::link::{Event, Link, LinkConfig, Phase, Verdict};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::ip::Ipv4Packet;
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::{PppoePacket, emit_session_header};

use crate::client::port::{FRAME_LEN, Port, Stage};

/// The server's address in every session, also the kernel's.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// What clients are told.
pub(super) const DNS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

const STEP: Duration = Duration::from_millis(50);

/// How the server ends sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By PADT alone.
    Padt,
    /// By Terminate-Request, with the PADT right behind it.
    TerminateAndPadt,
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub(super) methods: Vec<AuthMethod>,
    /// Ends every session once it has been open for this time.
    pub(super) ends_after: Option<(Duration, Ending)>,
    /// Sends a session's first packet before its PADS.
    pub(super) overtakes_pads: bool,
}

/// Who was in, and how they left.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) users: Vec<Vec<u8>>,
    pub(super) peers: Vec<MacAddr>,
    /// The phase that the link was in when the client's PADT came.
    pub(super) padt_in: Vec<Phase>,
}

struct Peer {
    mac: MacAddr,
    ip: Ipv4Addr,
    link: Link,
    challenge: Vec<u8>,
    opened: Option<Instant>,
}

struct Peers(BTreeMap<u16, Peer>);

impl Sessions for Peers {
    fn admission(&self, _: MacAddr) -> Admission {
        Admission::Welcome
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn owner(&self, session_id: u16) -> Option<MacAddr> {
        self.0.get(&session_id).map(|peer| peer.mac)
    }
}

struct Running<'a> {
    behaviour: &'a Behaviour,
    port: Port,
    mac: MacAddr,
    discovery: Server,
    peers: Peers,
    next_id: u16,
    tun: Tun,
    account: Account,
}

/// Serves on `interface` in the calling thread's namespace until `stop`.
pub(super) fn serve(interface: &str, behaviour: &Behaviour, stop: &AtomicBool) -> Result<Account> {
    let port = Port::open(&interface.parse()?)?;
    let mac = port.interface().mac.context("no MAC")?;
    let config = Config::new(mac, 1, 1500, "test-ac");
    let discovery = Server::new(config, CookieKey::new(&[7; 32]), Instant::now())?;
    let (tun, id) = Tun::create(&"server0".parse()?)?;
    let mut netlink = Netlink::open()?;
    let ipv4 = Some(Ipv4Ends { local: SERVER, peer: Ipv4Addr::new(10, 9, 0, 0) });
    netlink.configure_ptp(&id, &PtpConfig { mtu: 1492, ipv4 })?;
    let clients = Route { destination: Ipv4Addr::new(10, 9, 0, 0).into(), prefix_length: 16, metric: None };
    netlink.add_route(&id, &clients)?;
    let peers = Peers(BTreeMap::new());
    let account = Account::default();
    let mut server = Running { behaviour, port, mac, discovery, peers, next_id: 1, tun, account };
    while !stop.load(Ordering::SeqCst) {
        server.turn()?;
    }
    Ok(server.account)
}

impl Running<'_> {
    fn turn(&mut self) -> Result<()> {
        let timer = self.peers.0.values().filter_map(|peer| peer.link.poll_timeout()).min();
        let until = timer.into_iter().fold(Instant::now() + STEP, Instant::min);
        self.port.wait([Some(self.tun.as_fd()), None], Some(until))?;
        let mut buffer = [0; FRAME_LEN];
        while let Some((stage, frame)) = self.port.receive(&mut buffer)? {
            match stage {
                Stage::Discovery => self.receive_discovery(frame)?,
                Stage::Session => self.receive_session(frame)?,
            }
        }
        self.receive_tun()?;
        let now = Instant::now();
        let ids: Vec<u16> = self.peers.0.keys().copied().collect();
        for id in ids {
            if let Some(peer) = self.peers.0.get_mut(&id) {
                peer.link.handle_timeout(now);
                let open_for = peer.opened.map(|opened| now - opened);
                match self.behaviour.ends_after {
                    Some((after, ending)) if open_for >= Some(after) => {
                        if ending == Ending::TerminateAndPadt {
                            peer.link.close(now);
                        }
                        let mac = peer.mac;
                        self.service(id, now)?;
                        self.discovery.terminate(id, mac, "enough");
                        self.peers.0.remove(&id);
                    }
                    _ => {}
                }
            }
            self.service(id, now)?;
        }
        self.flush_discovery()
    }

    fn receive_discovery(&mut self, frame: &[u8]) -> Result<()> {
        let now = Instant::now();
        self.discovery.handle_frame(frame, &self.peers, now);
        while let Some(event) = self.discovery.poll_event() {
            match event {
                DiscoveryEvent::SessionRequest(request) => {
                    let id = self.next_id;
                    self.next_id += 1;
                    let ip = Ipv4Addr::from(u32::from(SERVER) + u32::from(id));
                    let config = LinkConfig {
                        require_auth: self.behaviour.methods.clone(),
                        ipcp: Some(IpcpConfig::Assign {
                            local: SERVER,
                            remote: ip,
                            name_servers: NameServers { dns: [Some(DNS), None], ..Default::default() },
                        }),
                        ..LinkConfig::default()
                    };
                    let mut link = Link::new(config, getrandom::u64()?);
                    link.open(now);
                    let mac = request.peer_mac;
                    let peer = Peer { mac, ip, link, challenge: Vec::new(), opened: None };
                    self.peers.0.insert(id, peer);
                    self.account.peers.push(mac);
                    self.discovery.accept(request.id, id)?;
                    if self.behaviour.overtakes_pads {
                        self.service(id, now)?;
                    }
                    self.flush_discovery()?;
                    self.service(id, now)?;
                }
                DiscoveryEvent::PeerTerminated { session_id, .. } => {
                    let peer = self.peers.0.remove(&session_id);
                    self.account.padt_in.extend(peer.map(|peer| peer.link.phase()));
                }
                DiscoveryEvent::ServiceRefused { .. }
                | DiscoveryEvent::OfferRequest(_)
                | DiscoveryEvent::StillWanted(_) => {}
            }
        }
        self.flush_discovery()
    }

    fn receive_session(&mut self, frame: &[u8]) -> Result<()> {
        let frame = EthernetFrame::new_checked(frame)?;
        let packet = PppoePacket::new_checked(frame.payload())?;
        let id = packet.session_id();
        let Some(peer) = self.peers.0.get_mut(&id) else { return Ok(()) };
        let now = Instant::now();
        match split_protocol(packet.payload())? {
            (Protocol::Ip, data) if peer.link.ip_open() => {
                assert_eq!(Ipv4Packet::new_checked(data)?.source(), peer.ip, "a packet of somebody else");
                self.tun.send(data)?;
            }
            _ => peer.link.handle_packet(packet.payload(), now),
        }
        self.service(id, now)
    }

    fn receive_tun(&mut self) -> Result<()> {
        let mut buffer = [0; FRAME_LEN];
        while let Ok(len) = self.tun.recv(&mut buffer) {
            let Ok(packet) = Ipv4Packet::new_checked(&buffer[..len]) else { continue };
            let found = self.peers.0.iter().find(|(_, peer)| peer.ip == packet.destination());
            if let Some((&id, peer)) = found.filter(|(_, peer)| peer.link.ip_open()) {
                let mac = peer.mac;
                self.send(id, mac, &[&Protocol::Ip.to_be_bytes(), &buffer[..len]])?;
            }
        }
        Ok(())
    }

    fn service(&mut self, id: u16, now: Instant) -> Result<()> {
        let Some(peer) = self.peers.0.get_mut(&id) else { return Ok(()) };
        let mac = peer.mac;
        while let Some(event) = peer.link.poll_event() {
            match event {
                Event::ChallengeNeeded => {
                    peer.challenge = getrandom::u64()?.to_be_bytes().to_vec();
                    let value = peer.challenge.clone();
                    peer.link
                        .provide_challenge(Challenge { identifier: 3, value, name: b"ac".to_vec() }, now)?;
                }
                Event::AuthenticateRequest(proof) => {
                    let (name, right) = check(&proof, &peer.challenge);
                    let verdict = if right {
                        self.account.users.push(name);
                        Verdict::Accept { message: b"welcome".to_vec(), ipcp: None }
                    } else {
                        Verdict::Reject { message: b"no\x1bway".to_vec() }
                    };
                    peer.link.verdict(verdict, now)?;
                }
                Event::IpcpOpened(_) => peer.opened = Some(now),
                _ => {}
            }
        }
        let mut packet = Vec::new();
        let mut packets = Vec::new();
        while peer.link.poll_transmit(&mut packet) {
            packets.push(packet.clone());
        }
        packets.iter().try_for_each(|packet| self.send(id, mac, &[packet]))?;
        Ok(())
    }

    fn send(&mut self, id: u16, mac: MacAddr, parts: &[&[u8]]) -> Result<()> {
        let header =
            EthernetHeader { destination: mac, source: self.mac, ether_type: EtherType::PppoeSession };
        let payload = parts.concat();
        let mut frame = emit_session_header(&header, id, u16::try_from(payload.len())?).to_vec();
        frame.extend(payload);
        frame.resize(frame.len().max(60), 0);
        self.port.send(&frame)
    }

    fn flush_discovery(&mut self) -> Result<()> {
        while let Some(frame) = self.discovery.poll_transmit() {
            self.port.send(&frame)?;
        }
        Ok(())
    }
}

/// `userX` has the password `passwordX`, and is refused with any other.
fn check(proof: &Proof, challenge: &[u8]) -> (Vec<u8>, bool) {
    let secret = |name: &[u8]| {
        name.strip_prefix(b"user").map(|number| [b"password".as_slice(), number].concat()).unwrap_or_default()
    };
    match proof {
        Proof::Pap { name, password } => (name.clone(), **password == secret(name)),
        Proof::Chap { identifier, response, name } => {
            (name.clone(), chap::verify(*identifier, &secret(name), challenge, response))
        }
    }
}
