//! Two ends of a link and a supervisor, in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, dead_code, unreachable_pub)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ppp_proto::auth::{AuthMethod, Challenge, Credentials, Proof, chap};
use ppp_proto::ipcp::{IpcpConfig, NameServers};
use ppp_proto::link::{CloseReason, EchoConfig, Event, Link, LinkConfig, Verdict};

pub const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub const DNS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
pub const NAME: &[u8] = b"alice";
pub const SECRET: &[u8] = b"open sesame";

pub const ASSIGN: IpcpConfig = IpcpConfig::Assign {
    local: LOCAL,
    remote: REMOTE,
    name_servers: NameServers { dns: [Some(DNS), None], nbns: [None, None] },
};

/// A server that takes CHAP, or PAP if need be.
pub fn server_config() -> LinkConfig {
    LinkConfig {
        require_auth: vec![AuthMethod::ChapMd5, AuthMethod::Pap],
        echo: Some(adaptive_echo()),
        ..LinkConfig::default()
    }
}

/// Echoes on idle lines only, so that a conversation has those of its keep-alive where it is about them.
fn adaptive_echo() -> EchoConfig {
    EchoConfig { only_when_idle: true, ..EchoConfig::default() }
}

/// A client that knows the secret.
pub fn client_config(methods: &[AuthMethod]) -> LinkConfig {
    LinkConfig {
        credentials: Some(Credentials {
            name: NAME.to_vec(),
            secret: SECRET.to_vec().into(),
            methods: methods.to_vec(),
        }),
        ipcp: Some(IpcpConfig::Request),
        echo: Some(adaptive_echo()),
        ..LinkConfig::default()
    }
}

/// Stands for `pppoed`: makes challenges, knows the secret.
#[derive(Debug, Default)]
pub struct Supervisor {
    identifier: u8,
    /// Events that were answered.
    pub questions: u32,
}

impl Supervisor {
    pub fn answer(&mut self, link: &mut Link, event: &Event, now: Instant) {
        match event {
            Event::ChallengeNeeded => {
                self.questions += 1;
                self.identifier = self.identifier.wrapping_add(1);
                link.provide_challenge(self.challenge(), now).unwrap();
            }
            Event::AuthenticateRequest(proof) => {
                self.questions += 1;
                let verdict = if self.verify(proof) {
                    Verdict::Accept { message: b"welcome".to_vec(), ipcp: Some(ASSIGN) }
                } else {
                    Verdict::Reject { message: b"no".to_vec() }
                };
                link.verdict(verdict, now).unwrap();
            }
            _ => {}
        }
    }

    fn challenge(&self) -> Challenge {
        Challenge { identifier: self.identifier, value: vec![self.identifier; 16], name: b"ac".to_vec() }
    }

    fn verify(&self, proof: &Proof) -> bool {
        match proof {
            Proof::Pap { name, password } => name == NAME && &password[..] == SECRET,
            Proof::Chap { identifier, response, name } => {
                let challenge = self.challenge();
                name == NAME
                    && *identifier == challenge.identifier
                    && chap::verify(*identifier, SECRET, &challenge.value, response)
            }
        }
    }
}

/// One end: the machine, and what was seen of it.
#[derive(Debug)]
pub struct End {
    pub link: Link,
    pub supervisor: Supervisor,
    pub events: Vec<Event>,
    /// Since when no network protocol is open; `None` while one is, and when it is over.
    pub waiting_since: Option<Instant>,
}

impl End {
    pub fn new(config: LinkConfig, seed: u64, now: Instant) -> Self {
        Self {
            link: Link::new(config, seed),
            supervisor: Supervisor::default(),
            events: Vec::new(),
            waiting_since: Some(now),
        }
    }

    /// Takes events and packets out until there are no more.
    pub fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        while let Some(event) = self.link.poll_event() {
            assert!(self.closed().is_none(), "{event:?} after Closed");
            self.supervisor.answer(&mut self.link, &event, now);
            self.events.push(event);
        }
        self.waiting_since = match self.waiting_since {
            _ if self.closed().is_some() || self.link.ip_open() || self.link.ipv6_open() => None,
            Some(since) => Some(since),
            None => Some(now),
        };
        let mut packets = Vec::new();
        let mut packet = Vec::new();
        while self.link.poll_transmit(&mut packet) {
            packets.push(packet.clone());
        }
        packets
    }

    pub fn closed(&self) -> Option<&CloseReason> {
        self.events.iter().find_map(|event| match event {
            Event::Closed(reason) => Some(reason),
            _ => None,
        })
    }
}

/// Small deterministic random numbers for tests.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How badly packets are treated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    /// Packets take 1 ms and up to this much more, so that they overtake each other.
    pub jitter: Duration,
}

#[derive(Debug)]
struct InFlight {
    arrival: Instant,
    order: u64,
    to_server: bool,
    packet: Vec<u8>,
}

/// A server, a client, and the wire between them.
#[derive(Debug)]
pub struct Pair {
    pub now: Instant,
    pub server: End,
    pub client: End,
    pub weather: Weather,
    random: Random,
    in_flight: Vec<InFlight>,
    sent: u64,
}

impl Pair {
    pub fn new(server: LinkConfig, client: LinkConfig, seed: u64) -> Self {
        let now = Instant::now();
        let mut random = Random(seed);
        let server = End::new(server, random.next(), now);
        let client = End::new(client, random.next(), now);
        let weather = Weather::default();
        let mut pair = Self { now, server, client, weather, random, in_flight: Vec::new(), sent: 0 };
        pair.server.link.open(now);
        pair.client.link.open(now);
        pair.collect();
        pair
    }

    /// Runs until `end`, or until nothing can happen any more.
    pub fn run_until(&mut self, end: Instant) {
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            assert!(next >= self.now, "time goes forward");
            self.now = next;
            self.step();
        }
        self.now = end;
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    pub fn collect(&mut self) {
        for to_server in [false, true] {
            let from = if to_server { &mut self.client } else { &mut self.server };
            for packet in from.drain(self.now) {
                self.send(packet, to_server);
            }
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let arrivals = self.in_flight.iter().map(|packet| packet.arrival);
        let timeouts = [&self.server, &self.client].into_iter().filter_map(|end| end.link.poll_timeout());
        arrivals.chain(timeouts).min()
    }

    fn step(&mut self) {
        self.in_flight.sort_by_key(|packet| (packet.arrival, packet.order));
        let due = self.in_flight.iter().take_while(|packet| packet.arrival <= self.now).count();
        for InFlight { to_server, packet, .. } in self.in_flight.drain(..due) {
            let end = if to_server { &mut self.server } else { &mut self.client };
            end.link.handle_packet(&packet, self.now);
        }
        for end in [&mut self.server, &mut self.client] {
            end.link.handle_timeout(self.now);
            let next = end.link.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "the next timeout is later");
        }
        self.collect();
    }

    fn send(&mut self, packet: Vec<u8>, to_server: bool) {
        if self.random.percent(self.weather.loss_percent) {
            return;
        }
        let copies = if self.random.percent(self.weather.duplicate_percent) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = u64::try_from(self.weather.jitter.as_micros()).unwrap();
            let delay = Duration::from_micros(1000 + self.random.below(jitter + 1));
            self.sent += 1;
            self.in_flight.push(InFlight {
                arrival: self.now + delay,
                order: self.sent,
                to_server,
                packet: packet.clone(),
            });
        }
        assert!(self.in_flight.len() < 10_000, "a storm");
    }
}
