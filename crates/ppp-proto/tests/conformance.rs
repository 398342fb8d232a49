//! Conversations as text: `tests/conformance/*.txt`, each played to one link in virtual time.
//!
//! The first line names the configuration. Then, one per line:
//!
//! | line | meaning |
//! |---|---|
//! | `open`, `close`, `lower-down` | call that function |
//! | `rx HEX` | the peer's packet, from the Protocol field on; `magic` is our Magic-Number |
//! | `ack PROTOCOL` | the peer acknowledges our last Configure-Request of that protocol |
//! | `echo PROTOCOL` | our last Configure-Request of that protocol comes back as it was |
//! | `tx HEX` | the next packet of ours; `?` is any digit |
//! | `event TEXT` | the next event; its `Debug` begins with the text |
//! | `challenge`, `accept`, `accept-without-address`, `reject` | the supervisor's answers |
//! | `wait SECONDS` | time passes |
//!
//! Nothing may be left over: a packet or event that no line expects fails the script when the next line that is not
//! `tx` or `event` comes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{HashMap, VecDeque};
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{ASSIGN, client_config, server_config};
use ppp_proto::RestartConfig;
use ppp_proto::auth::{AuthMethod, Challenge};
use ppp_proto::ipv6cp::Ipv6cpConfig;
use ppp_proto::link::{Event, Link, LinkConfig, Verdict};

fn config(name: &str) -> LinkConfig {
    let server = server_config();
    let open = LinkConfig { require_auth: Vec::new(), ipcp: Some(ASSIGN), ..server_config() };
    match name {
        "server" => server,
        "server-rechallenge" => {
            let mut config = server;
            config.auth.rechallenge = Some(Duration::from_secs(60));
            config.echo = None;
            config
        }
        "server-three-tries" => {
            let mut config = server;
            config.auth.max_tries = 3;
            config.auth.rechallenge = Some(Duration::from_secs(60));
            config.echo = None;
            config
        }
        "server-noauth" => open,
        "server-noauth-ipv6" => LinkConfig { echo: None, ipv6cp: Some(Ipv6cpConfig::default()), ..open },
        "server-noauth-quick-ipv6" => {
            let ipv6cp_restart = RestartConfig {
                restart: Duration::from_secs(1),
                max_configure: 2,
                ..RestartConfig::default()
            };
            LinkConfig { echo: None, ipv6cp: Some(Ipv6cpConfig::default()), ipv6cp_restart, ..open }
        }
        "server-noauth-noecho" => LinkConfig { echo: None, ..open },
        "client" => LinkConfig { echo: None, ..client_config(&[AuthMethod::ChapMd5, AuthMethod::Pap]) },
        "client-pap" => LinkConfig { echo: None, ..client_config(&[AuthMethod::Pap]) },
        other => panic!("no configuration {other:?}"),
    }
}

struct Player {
    link: Link,
    now: Instant,
    sent: VecDeque<String>,
    events: VecDeque<Event>,
    /// The last Configure-Request of ours, by protocol.
    requests: HashMap<String, String>,
}

impl Player {
    fn new(config: LinkConfig) -> Self {
        Self {
            link: Link::new(config, 0x5eed),
            now: Instant::now(),
            sent: VecDeque::new(),
            events: VecDeque::new(),
            requests: HashMap::new(),
        }
    }

    fn play(&mut self, line: &str) {
        let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        if !matches!(command, "tx" | "event") {
            assert!(self.sent.is_empty(), "not expected: {:?}", self.sent);
            assert!(self.events.is_empty(), "not expected: {:?}", self.events);
        }
        let now = self.now;
        match command {
            "open" => self.link.open(now),
            "close" => self.link.close(now),
            "lower-down" => self.link.lower_down(now),
            "rx" => {
                let packet = bytes(&self.with_magic_number(argument));
                self.link.handle_packet(&packet, now);
            }
            "ack" => {
                let mut packet = bytes(&self.requests[argument]);
                packet[2] = 2;
                self.link.handle_packet(&packet, now);
            }
            "echo" => self.link.handle_packet(&bytes(&self.requests[argument]), now),
            "tx" => self.expect_packet(argument),
            "event" => {
                let event = format!("{:?}", self.events.pop_front().expect("an event"));
                assert!(event.starts_with(argument), "{event}");
            }
            "challenge" => {
                let challenge = Challenge { identifier: 1, value: vec![0xcc; 16], name: b"ac".to_vec() };
                self.link.provide_challenge(challenge, now).unwrap();
            }
            "accept" => {
                let message = b"Access granted".to_vec();
                self.link.verdict(Verdict::Accept { message, ipcp: Some(ASSIGN) }, now).unwrap();
            }
            "accept-without-address" => {
                self.link.verdict(Verdict::Accept { message: Vec::new(), ipcp: None }, now).unwrap();
            }
            "reject" => {
                let message = b"Access denied".to_vec();
                self.link.verdict(Verdict::Reject { message }, now).unwrap();
            }
            "wait" => self.wait(Duration::from_secs_f64(argument.parse().unwrap())),
            other => panic!("no command {other:?}"),
        }
        self.collect();
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.link.poll_timeout().filter(|next| *next <= end) {
            assert!(next > self.now);
            self.now = next;
            self.link.handle_timeout(next);
        }
        self.now = end;
        self.link.handle_timeout(end);
    }

    fn collect(&mut self) {
        let mut packet = Vec::new();
        while self.link.poll_transmit(&mut packet) {
            let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
            if packet[2] == 1 {
                self.requests.insert(hex[..4].to_owned(), hex.clone());
            }
            self.sent.push_back(hex);
        }
        while let Some(event) = self.link.poll_event() {
            self.events.push_back(event);
        }
    }

    fn with_magic_number(&self, text: &str) -> String {
        let magic_number = self.link.status().lcp.map_or(0, |lcp| lcp.magic_number);
        text.replace("magic", &format!("{magic_number:08x}"))
    }

    fn expect_packet(&mut self, pattern: &str) {
        let pattern = self.with_magic_number(pattern).replace(' ', "");
        let sent = self.sent.pop_front().expect("a packet");
        let matches = sent.len() == pattern.len()
            && sent.chars().zip(pattern.chars()).all(|(sent, expected)| expected == '?' || sent == expected);
        assert!(matches, "expected {pattern}\nsent     {sent}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_conversation_goes_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 15, "{paths:?}");
    let failed: Vec<_> = paths.iter().filter(|path| catch_unwind(|| play_script(path)).is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn play_script(path: &Path) {
    let script = std::fs::read_to_string(path).unwrap();
    let mut lines = (1..)
        .zip(script.lines())
        .map(|(number, line)| (number, line.split('#').next().unwrap().trim()))
        .filter(|(_, line)| !line.is_empty());
    let (_, name) = lines.next().unwrap();
    let mut player = Player::new(config(name));
    for (number, line) in lines.chain([(0, "wait 0")]) {
        // Shown when the script fails.
        println!("{}:{number}: {line}", path.display());
        player.play(line);
    }
}
