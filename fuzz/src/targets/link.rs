//! One end of a PPP link in virtual time, under what an input says.
//!
//! The first byte of an input chooses the configuration. Then come records: a control byte, a length byte, and that
//! many bytes. The lower four bits of the control byte say what happens (see [`Play::act`]), the upper ones how.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ppp_proto::auth::{AuthMethod, Challenge, Credentials, Proof, chap};
use ppp_proto::fsm::State;
use ppp_proto::ipcp::{IpcpConfig, NameServers};
use ppp_proto::ipv6cp::Ipv6cpConfig;
use ppp_proto::link::{CloseReason, EchoConfig, Event, Link, LinkConfig, Phase, Verdict};
use ppp_wire::cp::CpPacket;
use ppp_wire::ppp::{Protocol, split_protocol};

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const NAME: &[u8] = b"alice";
const SECRET: &[u8] = b"open sesame";

const ASSIGN: IpcpConfig = IpcpConfig::Assign {
    local: LOCAL,
    remote: REMOTE,
    name_servers: NameServers { dns: [Some(REMOTE), None], nbns: [None, Some(LOCAL)] },
};

/// Packets that one packet or timer may cause, those of both network protocols included.
const MAX_ANSWERS: usize = 8;

/// Events that one packet, timer or answer may cause.
const MAX_EVENTS: usize = 8;

/// A server's configuration; every bit of `choice` is something to be tried.
pub(super) fn server(choice: u8) -> LinkConfig {
    let require_auth = match choice & 3 {
        0 => vec![],
        1 => vec![AuthMethod::Pap],
        2 => vec![AuthMethod::ChapMd5],
        _ => vec![AuthMethod::ChapMd5, AuthMethod::Pap],
    };
    let mut config = LinkConfig {
        ipcp: require_auth.is_empty().then_some(ASSIGN),
        require_auth,
        ipv6cp: (choice & 4 != 0).then_some(Ipv6cpConfig::default()),
        echo: (choice & 8 != 0).then(EchoConfig::default),
        ..LinkConfig::default()
    };
    config.auth.max_tries = if choice & 16 != 0 { 3 } else { 1 };
    config.auth.rechallenge = (choice & 32 != 0).then_some(Duration::from_secs(20));
    config
}

/// A client's.
pub(super) fn client(choice: u8) -> LinkConfig {
    let methods =
        if choice & 1 != 0 { vec![AuthMethod::ChapMd5] } else { vec![AuthMethod::Pap, AuthMethod::ChapMd5] };
    let credentials = Credentials { name: NAME.to_vec(), secret: SECRET.to_vec().into(), methods };
    LinkConfig {
        credentials: (choice & 2 != 0).then_some(credentials),
        ipcp: Some(IpcpConfig::Request),
        ipv6cp: (choice & 4 != 0).then_some(Ipv6cpConfig::default()),
        echo: (choice & 8 != 0).then(EchoConfig::default),
        ..LinkConfig::default()
    }
}

/// The link, and what is known of it.
struct Play {
    link: Link,
    now: Instant,
    needs_proof: bool,
    challenges: u8,
    challenge: Option<Challenge>,
    wants_challenge: bool,
    /// Proofs without a verdict.
    proofs: Vec<Proof>,
    /// Whether the peer has given a right proof since LCP was opened last.
    is_proven: bool,
    closed: Option<CloseReason>,
    /// The last Configure-Request that was sent of each protocol.
    requests: [Option<Vec<u8>>; 3],
}

/// Plays an input.
pub(super) fn play(bytes: &[u8], config: impl Fn(u8) -> LinkConfig) {
    let Some((choice, records)) = bytes.split_first() else { return };
    let config = config(*choice);
    let limit = config.setup_deadline;
    let needs_proof = !config.require_auth.is_empty();
    let now = Instant::now();
    let mut play = Play {
        link: Link::new(config, u64::from(*choice)),
        now,
        needs_proof,
        challenges: 0,
        challenge: None,
        wants_challenge: false,
        proofs: Vec::new(),
        is_proven: false,
        closed: None,
        requests: [None, None, None],
    };
    play.link.open(now);
    play.drain();
    let mut rest = records;
    while let [control, len, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        play.act(*control, packet);
    }
    play.wait_for_the_end(limit);
}

impl Play {
    fn act(&mut self, control: u8, bytes: &[u8]) {
        let how = control >> 4;
        match control & 15 {
            // A packet as it is.
            0..=3 => self.receive(bytes),
            // A packet of one of the control protocols, with a good length.
            4..=6 => self.receive(&control_packet(how, control & 15, bytes)),
            // Ack, Nak or Reject of what was asked for last.
            7..=9 => {
                let request = self.requests[usize::from(control & 15) - 7].clone();
                if let Some(mut answer) = request {
                    answer[2] = 2 + how % 3;
                    self.receive(&answer);
                }
            }
            10 => self.wait(Duration::from_millis(250) * u32::from(how + 1).pow(2)),
            11 => self.prove(how & 1 == 0),
            12 => self.give_challenge(),
            13 => self.give_verdict(),
            14 => self.link.note_rx_activity(self.now),
            _ => match how {
                0 => self.link.close(self.now),
                1 => self.link.lower_down(self.now),
                2 => self.link.open(self.now),
                _ => self.wait(Duration::from_millis(u64::from(how))),
            },
        }
        self.drain();
    }

    fn receive(&mut self, packet: &[u8]) {
        self.link.handle_packet(packet, self.now);
        self.drain();
    }

    /// The peer proves itself as it was asked to, or badly.
    fn prove(&mut self, well: bool) {
        let secret = if well { SECRET } else { b"wrong" };
        let mut packet = Vec::new();
        if let Some(challenge) = &self.challenge {
            let value = chap::md5_response(challenge.identifier, secret, &challenge.value);
            let response = ppp_wire::chap::Packet::Response {
                identifier: challenge.identifier,
                value: &value,
                name: NAME,
            };
            packet.extend(Protocol::Chap.to_be_bytes());
            response.emit(&mut packet).expect("a response fits");
        } else {
            let request =
                ppp_wire::pap::Packet::AuthenticateRequest { identifier: 7, peer_id: NAME, password: secret };
            packet.extend(Protocol::Pap.to_be_bytes());
            request.emit(&mut packet).expect("a request fits");
        }
        self.receive(&packet);
    }

    fn give_challenge(&mut self) {
        self.challenges = self.challenges.wrapping_add(1);
        let value = vec![self.challenges; 16];
        let challenge = Challenge { identifier: self.challenges, value, name: b"ac".to_vec() };
        let given = self.link.provide_challenge(challenge.clone(), self.now);
        assert_eq!(given.is_ok(), self.wants_challenge, "a challenge is taken if it was asked for");
        if given.is_ok() {
            self.challenge = Some(challenge);
            self.wants_challenge = false;
        }
    }

    fn give_verdict(&mut self) {
        let proof = (!self.proofs.is_empty()).then(|| self.proofs.remove(0));
        let is_right = match &proof {
            None => true,
            Some(Proof::Pap { name, password }) => name == NAME && **password == SECRET,
            Some(Proof::Chap { identifier, response, name }) => {
                self.challenge.as_ref().is_some_and(|challenge| {
                    challenge.identifier == *identifier
                        && name == NAME
                        && chap::verify(*identifier, SECRET, &challenge.value, response)
                })
            }
        };
        let message = vec![b'm'; 300];
        let verdict = match is_right {
            true => Verdict::Accept { message, ipcp: Some(ASSIGN) },
            false => Verdict::Reject { message },
        };
        // An answer to an earlier question may come too late to count: whether it did, the link knows.
        self.is_proven |= is_right && proof.is_some();
        let given = self.link.verdict(verdict, self.now);
        assert_eq!(given.is_ok(), proof.is_some(), "a verdict is taken if it was asked for");
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.link.poll_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "time goes forward");
            self.now = next;
            self.link.handle_timeout(next);
            assert!(self.link.poll_timeout().is_none_or(|next| next > self.now), "what is due was done");
            self.drain();
        }
        self.now = end;
        self.link.handle_timeout(end);
    }

    /// Takes everything out, and checks it.
    fn drain(&mut self) {
        let mut events = 0;
        while let Some(event) = self.link.poll_event() {
            assert!(self.closed.is_none(), "{event:?} after the end");
            events += 1;
            self.on_event(event);
        }
        assert!(events <= MAX_EVENTS, "{events} events at once");
        let (mut packet, mut packets) = (Vec::new(), 0);
        while self.link.poll_transmit(&mut packet) {
            packets += 1;
            self.check_sent(&packet);
        }
        assert!(packets <= MAX_ANSWERS, "{packets} packets at once");
        self.check_state();
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::LcpOpened(negotiated) => {
                self.is_proven = false;
                assert!(self.needs_proof == negotiated.auth.is_some(), "{negotiated:?}");
                assert!((128..=1492).contains(&negotiated.peer_mru), "{negotiated:?}");
            }
            Event::ChallengeNeeded => self.wants_challenge = true,
            Event::AuthenticateRequest(proof) => self.proofs.push(proof),
            Event::Authenticated => assert!(self.is_proven || !self.needs_proof),
            Event::IpcpOpened(agreed) if self.needs_proof => {
                assert_eq!((agreed.local, agreed.remote), (LOCAL, REMOTE));
            }
            Event::Ipv6cpOpened(agreed) => {
                assert!(agreed.local != [0; 8] && agreed.remote != [0; 8] && agreed.local != agreed.remote);
            }
            Event::Closed(reason) => self.closed = Some(reason),
            _ => {}
        }
        assert!(self.proofs.len() <= 2, "one proof at a time, and one from before LCP began anew");
    }

    fn check_sent(&mut self, packet: &[u8]) {
        assert!(packet.len() <= 1492 + 2, "{} bytes", packet.len());
        let (protocol, information) = split_protocol(packet).expect("what we send has a protocol");
        let slot = match protocol {
            Protocol::Lcp => 0,
            Protocol::Ipcp => 1,
            Protocol::Ipv6cp => 2,
            Protocol::Pap => return assert!(ppp_wire::pap::Packet::parse(information).is_ok()),
            Protocol::Chap => return assert!(ppp_wire::chap::Packet::parse(information).is_ok()),
            other => panic!("{other:?} was sent"),
        };
        let control = CpPacket::new_checked(information).expect("what we send is well formed");
        assert_eq!(usize::from(control.length()), information.len());
        if control.code() == 1 {
            assert!(control.options().all(|option| option.is_ok()));
            self.requests[slot] = Some(packet.to_vec());
        }
    }

    fn check_state(&self) {
        let status = self.link.status();
        let is_open = matches!(status.phase, Phase::Authenticate | Phase::Network);
        assert_eq!(status.lcp_state == State::Opened, is_open, "{status:?}");
        assert_eq!(status.lcp.is_some(), is_open);
        let flows = self.link.ip_open() || self.link.ipv6_open();
        assert!(!flows || status.phase == Phase::Network, "{status:?}");
        assert!(!flows || !self.needs_proof || self.is_proven, "packets flow for who has not proved itself");
        assert!(self.closed.is_none() || status.phase == Phase::Dead);
        let waits = self.link.poll_timeout().is_some();
        assert!(waits || flows || status.phase == Phase::Dead, "every phase has a deadline: {status:?}");
        assert!(!waits || status.phase != Phase::Dead, "{status:?}");
    }

    /// Nobody says anything any more: a link that is not open ends by itself.
    fn wait_for_the_end(&mut self, limit: Duration) {
        let is_set_up = self.link.ip_open() || self.link.ipv6_open();
        self.wait(limit + Duration::from_secs(60));
        self.drain();
        let is_over = self.closed.is_some() || self.link.phase() == Phase::Dead;
        assert!(is_over || is_set_up, "{:?}", self.link.status());
    }
}

/// A control packet with this code and data.
fn control_packet(how: u8, which: u8, bytes: &[u8]) -> Vec<u8> {
    let protocol = [Protocol::Lcp, Protocol::Ipcp, Protocol::Ipv6cp][usize::from(which) - 4];
    let mut packet = protocol.to_be_bytes().to_vec();
    let identifier = bytes.first().copied().unwrap_or(how);
    let length = u16::try_from(4 + bytes.len()).unwrap_or(u16::MAX);
    packet.extend([how, identifier]);
    packet.extend(length.to_be_bytes());
    packet.extend(bytes);
    packet
}
