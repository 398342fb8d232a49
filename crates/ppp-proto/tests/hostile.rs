//! Peers that send garbage, never agree, or ask for answers larger than they take.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, Instant};

use common::{ASSIGN, End, client_config, server_config};
use ppp_proto::auth::AuthMethod;
use ppp_proto::ipv6cp::Ipv6cpConfig;
use ppp_proto::link::{CloseReason, EchoConfig, Event, LinkConfig, Phase};
use ppp_proto::{NegotiationFailure, RestartConfig};
use proptest::prelude::*;

const LCP: [u8; 2] = [0xc0, 0x21];
const IPCP: [u8; 2] = [0x80, 0x21];

/// One end, played to by hand.
struct Victim {
    end: End,
    now: Instant,
}

impl Victim {
    fn new(config: LinkConfig) -> Self {
        let now = Instant::now();
        let mut end = End::new(config, 0x5eed, now);
        end.link.open(now);
        Self { end, now }
    }

    /// A link without authentication whose LCP is Opened; the peer announced `mru`.
    fn opened(mru: u16) -> Self {
        let config =
            LinkConfig { require_auth: Vec::new(), ipcp: Some(ASSIGN), echo: None, ..server_config() };
        let mut victim = Self::new(config);
        victim.accept_requests(LCP);
        let [high, low] = mru.to_be_bytes();
        victim.take(&[0xc0, 0x21, 1, 1, 0, 8, 1, 4, high, low]);
        assert_eq!(victim.end.link.phase(), Phase::Network);
        victim
    }

    /// Gives a packet, and returns what is sent because of it.
    fn take(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        self.end.link.handle_packet(packet, self.now);
        self.end.drain(self.now)
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.end.drain(self.now)
    }

    /// Acknowledges the Configure-Request that waits to be sent.
    fn accept_requests(&mut self, protocol: [u8; 2]) {
        for mut packet in self.sent() {
            if packet[..2] == protocol && packet[2] == 1 {
                packet[2] = 2;
                self.end.link.handle_packet(&packet, self.now);
            }
        }
    }

    /// Lets time pass, and returns what is sent meanwhile.
    fn wait(&mut self, duration: Duration) -> Vec<Vec<u8>> {
        let end = self.now + duration;
        let mut sent = self.sent();
        while let Some(next) = self.end.link.poll_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.end.link.handle_timeout(next);
            sent.append(&mut self.sent());
        }
        self.now = end;
        sent
    }
}

/// Turns each Configure-Request of ours into its refusal, until there are none left.
fn refuse_for_ever(victim: &mut Victim, refuse: impl Fn(&[u8], u8) -> Vec<u8>) -> usize {
    let mut rounds = 0_u8;
    let mut waiting = victim.sent();
    while let Some(request) = waiting.iter().find(|packet| packet[2] == 1) {
        rounds += 1;
        let answer = refuse(request, rounds);
        waiting = victim.take(&answer);
    }
    usize::from(rounds)
}

/// A Configure-Nak that suggests another magic number each time.
fn nak_magic_number(request: &[u8], round: u8) -> Vec<u8> {
    vec![request[0], request[1], 3, request[3], 0, 10, 5, 6, 9, 9, 9, round]
}

/// A Configure-Reject of every option.
fn reject_all(request: &[u8], _: u8) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[2] = 4;
    answer
}

#[test]
fn a_peer_that_naks_for_ever_is_given_up() {
    let mut victim = Victim::new(LinkConfig { require_auth: Vec::new(), ..server_config() });
    assert!(refuse_for_ever(&mut victim, nak_magic_number) <= 21);
    victim.wait(Duration::from_secs(6));
    let reason = CloseReason::LcpFailed(NegotiationFailure::NotConverging);
    assert_eq!(victim.end.closed(), Some(&reason));
}

#[test]
fn a_peer_that_rejects_everything_gets_an_empty_request_or_the_end() {
    let mut without_auth = Victim::new(LinkConfig { require_auth: Vec::new(), ..server_config() });
    let waiting = without_auth.sent();
    let sent = without_auth.take(&reject_all(&waiting[0], 1));
    assert_eq!(sent, [[0xc0, 0x21, 1, 2, 0, 4]]);

    let mut with_auth = Victim::new(server_config());
    refuse_for_ever(&mut with_auth, reject_all);
    with_auth.wait(Duration::from_secs(6));
    let refused =
        |reason: &CloseReason| matches!(reason, CloseReason::LcpFailed(NegotiationFailure::AuthRefused(_)));
    assert!(with_auth.end.closed().is_some_and(refused));
}

#[test]
fn a_peer_that_insists_on_another_address_is_given_up() {
    let mut victim = Victim::opened(1492);
    victim.accept_requests(IPCP);
    let mut rounds = 0_u8;
    while victim.end.link.phase() == Phase::Network {
        rounds += 1;
        victim.take(&[0x80, 0x21, 1, rounds, 0, 10, 3, 6, 192, 168, 0, 1]);
    }
    assert_eq!(rounds, 21);
    victim.wait(Duration::from_secs(6));
    let reason = CloseReason::IpcpFailed(NegotiationFailure::NotConverging);
    assert_eq!(victim.end.closed(), Some(&reason));
}

#[test]
fn a_peer_that_renegotiates_for_ever_meets_the_deadline() {
    let mut victim = Victim::new(server_config());
    let mut identifier = 0_u8;
    for _ in 0..600 {
        victim.wait(Duration::from_millis(100));
        identifier = identifier.wrapping_add(1);
        victim.take(&[0xc0, 0x21, 1, identifier, 0, 4]);
        victim.accept_requests(LCP);
    }
    victim.wait(Duration::from_secs(10));
    assert_eq!(victim.end.link.phase(), Phase::Dead);
}

#[test]
fn answers_are_cut_to_the_smallest_mru() {
    let mut victim = Victim::opened(128);
    let mut lcp = vec![0xc0, 0x21, 9, 1, 0x05, 0xd4, 0, 0, 0, 1];
    lcp.resize(1494, 0xee);
    let mut code = lcp.clone();
    code[2] = 0x77;
    let mut unknown = vec![0x80, 0xfd, 1, 1, 0x05, 0xd4];
    unknown.resize(1494, 0xee);
    for packet in [lcp, code, unknown] {
        let sent = victim.take(&packet);
        assert_eq!(sent.len(), 1, "{:02x?}", &packet[..6]);
        assert_eq!(sent[0].len(), 2 + 128);
    }
    // A Configure-Reject may not be cut: it is not sent at all.
    let mut request = vec![0x80, 0x21, 1, 1, 0x05, 0xd4];
    (0..744).for_each(|_| request.extend([200, 2]));
    assert_eq!(victim.take(&request).len(), 0);
    assert_eq!(victim.end.link.status().drops.not_sent, 1);
}

/// While LCP negotiates, every peer takes 1500 bytes again (RFC 1661 §6.1).
#[test]
fn a_renegotiation_lifts_the_smallest_mru() {
    let mut victim = Victim::opened(128);
    victim.take(&[0xc0, 0x21, 1, 2, 0, 4]);
    let mut code = vec![0xc0, 0x21, 0x77, 1, 0x05, 0xd4];
    code.resize(1494, 0xee);
    assert_eq!(victim.take(&code)[0].len(), 2 + 1492);
}

#[test]
fn a_malformed_request_leaves_what_was_agreed_on() {
    let mut victim = Victim::opened(1400);
    let before = victim.end.link.status();
    victim.take(&[0xc0, 0x21, 1, 2, 0, 10, 1, 4, 2, 0x40, 5, 0]);
    let after = victim.end.link.status();
    assert_eq!(after.drops.malformed, 1);
    assert_eq!((after.lcp, after.phase), (before.lcp, before.phase));
}

fn echoing(only_when_idle: bool) -> Victim {
    let echo = EchoConfig { only_when_idle, ..EchoConfig::default() };
    let config = LinkConfig {
        require_auth: Vec::new(),
        ipcp: Some(ASSIGN),
        echo: Some(echo),
        // Here the link may stay without IP.
        setup_deadline: Duration::from_secs(3600),
        ipcp_restart: RestartConfig { restart: Duration::from_secs(3600), ..RestartConfig::default() },
        ..server_config()
    };
    let mut victim = Victim::new(config);
    victim.accept_requests(LCP);
    victim.take(&[0xc0, 0x21, 1, 1, 0, 4]);
    victim
}

#[test]
fn echoes_of_ourselves_are_no_sign_of_life() {
    for (magic_number_xor, alive) in [(0, false), (1, true)] {
        let mut victim = echoing(false);
        for _ in 0..8 {
            for mut packet in victim.wait(Duration::from_secs(10)) {
                if packet[2] == 9 {
                    packet[2] = 10;
                    packet[9] ^= magic_number_xor;
                    victim.take(&packet);
                }
            }
        }
        assert_eq!(victim.end.link.phase() == Phase::Network, alive);
    }
}

#[test]
fn data_takes_the_place_of_echoes() {
    let mut victim = echoing(true);
    for _ in 0..20 {
        assert_eq!(victim.wait(Duration::from_secs(9)), Vec::<Vec<u8>>::new());
        victim.end.link.note_rx_activity(victim.now);
    }
    assert_eq!(victim.wait(Duration::from_secs(10)).len(), 1);
}

#[test]
fn a_full_size_request_is_refused_in_full() {
    let mut victim = Victim::opened(1492);
    let mut request = vec![0x80, 0x21, 1, 1, 0x05, 0xd4];
    (0..744).for_each(|_| request.extend([200, 2]));
    let sent = victim.take(&request);
    let reject = sent.iter().find(|packet| packet[2] == 4).unwrap();
    assert_eq!(reject[4..], request[4..]);
}

/// The verdict on what a peer said before it started again must not be taken for what it says now.
#[test]
fn a_verdict_that_comes_late_decides_nothing() {
    use ppp_proto::link::{Link, Verdict};
    let now = Instant::now();
    let config = LinkConfig { require_auth: vec![AuthMethod::Pap], ..server_config() };
    let mut link = Link::new(config, 1);
    link.open(now);
    let acknowledge = |link: &mut Link| {
        let mut packet = Vec::new();
        while link.poll_transmit(&mut packet) {
            if packet[2] == 1 && packet[..2] == LCP {
                packet[2] = 2;
                link.handle_packet(&packet.clone(), now);
            }
        }
    };
    acknowledge(&mut link);
    link.handle_packet(&[0xc0, 0x21, 1, 1, 0, 4], now);
    link.handle_packet(&[0xc0, 0x23, 1, 1, 0, 8, 1, b'a', 1, b'a'], now);
    // It starts again, as another.
    link.handle_packet(&[0xc0, 0x21, 1, 2, 0, 4], now);
    acknowledge(&mut link);
    link.handle_packet(&[0xc0, 0x23, 1, 2, 0, 8, 1, b'b', 1, b'b'], now);
    assert_eq!(link.phase(), Phase::Authenticate);

    link.verdict(Verdict::Accept { message: Vec::new(), ipcp: Some(ASSIGN) }, now).unwrap();
    assert_eq!(link.phase(), Phase::Authenticate, "that was about the first one");
    link.verdict(Verdict::Reject { message: Vec::new() }, now).unwrap();
    assert_eq!(link.phase(), Phase::Terminate);
    assert!(link.verdict(Verdict::Reject { message: Vec::new() }, now).is_err());
}

/// Bytes that get past the first checks: a known protocol, a known code, options that may be well-formed.
fn plausible_packet() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop_oneof![
        4 => Just(0xc021_u16),
        2 => Just(0xc223),
        2 => Just(0xc023),
        3 => Just(0x8021),
        2 => Just(0x8057),
        1 => any::<u16>(),
    ];
    let option = (0_u8..8, proptest::collection::vec(any::<u8>(), 0..8)).prop_map(|(kind, data)| {
        let length = u8::try_from(data.len()).unwrap() + 2;
        // Kind 7 stands for the name servers of IPCP, 129 to 132.
        let kind = if kind == 7 { 129 + length % 4 } else { kind };
        [&[kind, length][..], &data].concat()
    });
    let options = proptest::collection::vec(option, 0..5).prop_map(|options| options.concat());
    let body = prop_oneof![options, proptest::collection::vec(any::<u8>(), 0..64)];
    (protocol, 0_u8..15, 0_u8..6, body, -2_i16..3).prop_map(|(protocol, code, identifier, body, skew)| {
        // The Length is nearly always right.
        let skew = if skew == 2 { 1 } else { 0 };
        let length = u16::try_from(body.len() + 4 + skew).unwrap();
        [&protocol.to_be_bytes()[..], &[code, identifier], &length.to_be_bytes(), &body].concat()
    })
}

fn any_config() -> impl Strategy<Value = LinkConfig> {
    prop_oneof![
        Just(server_config()),
        Just(LinkConfig { require_auth: Vec::new(), ipcp: Some(ASSIGN), ..server_config() }),
        Just(LinkConfig {
            require_auth: Vec::new(),
            ipcp: Some(ASSIGN),
            ipv6cp: Some(Ipv6cpConfig::default()),
            ..server_config()
        }),
        Just(client_config(&[AuthMethod::ChapMd5, AuthMethod::Pap])),
    ]
}

#[derive(Debug, Clone)]
enum Input {
    Packet(Vec<u8>),
    /// What the link sends comes back with another code: acknowledged, refused, or as it was.
    Reflect(u8),
    Wait(u64),
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => plausible_packet().prop_map(Input::Packet),
        1 => proptest::collection::vec(any::<u8>(), 0..1600).prop_map(Input::Packet),
        4 => (1_u8..5).prop_map(Input::Reflect),
        1 => (0_u64..40_000).prop_map(Input::Wait),
    ]
}

/// The most packets that one input can cause: a request and an answer, at two layers.
const MOST_ANSWERS: usize = 4;

fn check_bounds(victim: &Victim, sent: &[Vec<u8>]) {
    for packet in sent {
        assert!((2..=2 + 1492).contains(&packet.len()), "{packet:02x?}");
        let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        assert_eq!(length, packet.len() - 2, "{packet:02x?}");
    }
    let closed = victim.end.events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert_eq!(closed, usize::from(victim.end.link.phase() == Phase::Dead));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_peer_sends_does_harm(
        config in any_config(),
        inputs in proptest::collection::vec(input(), 1..80),
    ) {
        let mut victim = Victim::new(config);
        let mut last = victim.sent();
        check_bounds(&victim, &last);
        for input in inputs {
            let sent = match input {
                Input::Packet(packet) => victim.take(&packet),
                Input::Wait(milliseconds) => victim.wait(Duration::from_millis(milliseconds)),
                Input::Reflect(code) => {
                    let mut sent = Vec::new();
                    for mut packet in std::mem::take(&mut last) {
                        if packet[2] == 1 {
                            packet[2] = code;
                        }
                        sent.append(&mut victim.take(&packet));
                    }
                    check_bounds(&victim, &sent);
                    last = sent;
                    continue;
                }
            };
            if !sent.is_empty() {
                check_bounds(&victim, &sent);
                last = sent;
            }
        }
        // Left alone, every link is open or over.
        victim.wait(Duration::from_secs(300));
        let link = &victim.end.link;
        prop_assert!(link.phase() == Phase::Dead || link.ip_open() || link.ipv6_open(), "{:?}", link.status());
    }

    #[test]
    fn one_packet_causes_few(packets in proptest::collection::vec(plausible_packet(), 1..40)) {
        let mut victim = Victim::opened(1492);
        for packet in packets {
            let sent = victim.take(&packet);
            prop_assert!(sent.len() <= MOST_ANSWERS, "{sent:02x?}");
        }
    }
}
