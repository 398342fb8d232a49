//! What fuzzing starts from: frames of real clients (`captures`), files as people have them (`samples`), and one message
//! of each kind.

mod messages;

use ppp_proto::link::Link;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame};
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::{Code, PppoePacket};
use pppoed_config::flags::keys::server_keys;
use pppoed_config::options::all_options;

/// Recorded by tcpdump on the access interface, between pppd and `pppoed`.
const CAPTURES: [&[u8]; 4] = [
    include_bytes!("../captures/pppd-details.pcap"),
    include_bytes!("../captures/pppd-ipv6.pcap"),
    include_bytes!("../captures/pppd-kernel.pcap"),
    include_bytes!("../captures/pppd-rp-pppoe.pcap"),
];

/// Files, and the targets that read such.
const SAMPLES: &[(&[&str], &[u8])] = &[
    (&["secrets_file", "words"], include_bytes!("../samples/chap-secrets")),
    (&["secrets_file", "words"], include_bytes!("../samples/pap-secrets")),
    (&["options_file", "words"], include_bytes!("../samples/options")),
    (&["options_file", "words"], include_bytes!("../samples/pppoe-server-options")),
    (&["user_options"], include_bytes!("../samples/user-options")),
    (&["config_file"], include_bytes!("../../etc/pppoed.toml")),
    (&["config_file"], include_bytes!("../samples/pppoed.toml")),
    (&["users_file"], include_bytes!("../samples/users.toml")),
    (&["users_file"], b"[alice]\npassword = \"\"\n"),
    (&["users_file"], b"[\"*\"]\ndeny = true\n[bob]\npassword = \"x\"\n"),
    (&["users_file"], b"[bob]\ndeny = true\n[alice]\nidle = 1\nidel = 1\n"),
    (&["console_file"], include_bytes!("../samples/console.toml")),
    (&["console_changes"], include_bytes!("../samples/console-changes")),
    (&["pool_file"], include_bytes!("../samples/pool")),
    (&["mac_list"], include_bytes!("../samples/mac-list")),
    (&["hook_store"], include_bytes!("../samples/hook-store")),
];

/// Names that mean harm: sequences for terminals, line ends, bytes that are no UTF-8, marks that turn text round.
const NAMES: &[&[u8]] = &[
    b"alice@example.net",
    b"\x1b]0;owned\x07\x1b[2J",
    b"a\r\nlevel=error msg=\"forged\"",
    "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}".as_bytes(),
    b"=cmd|' /C calc'!A0",
    br"DOM\bob \\xe9\x5cx41",
    br"-guest*\x2a? ",
    b"$(reboot)`reboot`;'\"\\",
    b"\0\xff\xfe\xc3(\xed\xa0\x80",
    "Zoë e\u{301} 用户 \u{1f600}".as_bytes(),
];

const WORDS: &[&[u8]] = &[
    b"10M",
    b"4294967295k",
    b"none",
    b"02:00:5e:10:00:01",
    b"*@isp1.example\nbob@isp1.example",
    b"*a*b*?c*\nxxaxxbxyc",
    "Ü*\nübermut".as_bytes(),
];

/// Every setting and option that a console may try to set, a few at a time, to what many of them can be.
fn settings() -> Vec<Vec<u8>> {
    let keys = server_keys().iter().map(|key| key.name.clone());
    let options = all_options().map(|option| format!("ppp.{}", option.name));
    let keys: Vec<String> = keys.chain(options).collect();
    let values = ["true", "1", "052", "10.0.0.5", "a", "1 2"];
    let some = |(keys, value): (&[String], &str)| -> Vec<u8> {
        keys.iter().flat_map(|key| format!("set {key} {value}\n").into_bytes()).collect()
    };
    keys.chunks(8).flat_map(|keys| values.map(|value| (keys, value))).map(some).collect()
}

/// The frames of a capture file as tcpdump writes it on this kind of machine.
fn frames(capture: &[u8]) -> Vec<&[u8]> {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    assert_eq!(capture[..4], 0xa1b2_c3d4_u32.to_le_bytes(), "a capture in another format");
    let mut rest = &capture[FILE_HEADER..];
    let mut frames = Vec::new();
    while rest.len() >= RECORD_HEADER {
        let length = rest[8..12].iter().rev().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        let Some(frame) = rest.get(RECORD_HEADER..RECORD_HEADER + length) else { break };
        frames.push(frame);
        rest = &rest[RECORD_HEADER + length..];
    }
    assert!(!frames.is_empty());
    frames
}

/// All seeds of a target; at least one.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for capture in CAPTURES {
        seeds.extend(from_frames(target, &frames(capture)));
    }
    let samples = SAMPLES.iter().filter(|(targets, _)| targets.contains(&target));
    seeds.extend(samples.map(|(_, sample)| sample.to_vec()));
    match target {
        "escaping" | "authentication" | "name_text" => seeds.extend(NAMES.iter().map(|name| name.to_vec())),
        "console_changes" => seeds.extend(settings()),
        "console_words" => seeds.extend(WORDS.iter().map(|word| word.to_vec())),
        "ip_mss" => seeds.push([&1452_u16.to_be_bytes()[..], &SYN].concat()),
        "describe" => seeds.extend(NAMES.iter().flat_map(|name| named(name))),
        "offload" => seeds.extend(batches()),
        _ => seeds.extend(messages::of(target)),
    }
    seeds.sort();
    seeds.dedup();
    seeds
}

/// A TCP segment with SYN, and an MSS of 1460.
const SYN: [u8; 44] = [
    0x45, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 192, 0, 2, 1, // IPv4
    0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xfa, 0xf0, 0, 0, 0, 0, // TCP
    2, 4, 0x05, 0xb4, // MSS
];

/// Instructions for batches of all four flows, whole and spoilt.
fn batches() -> Vec<Vec<u8>> {
    let whole: Vec<u8> = (0..32_u8).flat_map(|number| [number & 3, 40, 0, 0]).collect();
    let one_flow: Vec<u8> =
        (0..16_u8).flat_map(|number| [0, if number == 15 { 7 } else { 32 }, 0, 0]).collect();
    let spoilt: Vec<u8> = (0..16_u8).flat_map(|number| [number, 16, number * 3, 1 << (number & 7)]).collect();
    vec![whole, one_flow, spoilt]
}

fn from_frames(target: &str, frames: &[&[u8]]) -> Vec<Vec<u8>> {
    let parsed: Vec<_> = frames.iter().filter_map(|frame| EthernetFrame::new_checked(frame).ok()).collect();
    let is_offer = |frame: &&EthernetFrame<'_>| {
        frame.ether_type() == EtherType::PppoeDiscovery
            && PppoePacket::new_checked(frame.payload()).is_ok_and(|packet| packet.code() == Code::Pado)
    };
    let server = parsed.iter().find(is_offer).map(|frame| frame.source()).expect("somebody offers");
    match target {
        "describe" | "pppoe_frame" => frames.iter().map(|frame| frame.to_vec()).collect(),
        "discovery_server" => vec![discovery(&parsed, server, true)],
        "discovery_client" => vec![discovery(&parsed, server, false)],
        "link_server" => [0x0e, 0x0f, 0x3f].map(|choice| link(choice, &parsed, server, true)).to_vec(),
        "link_client" => [0x0e, 0x0f].map(|choice| link(choice, &parsed, server, false)).to_vec(),
        "cp_options" | "lcp_bodies" | "authentication" | "ip_mss" => parsed
            .iter()
            .filter_map(|frame| session_packet(frame))
            .filter_map(|packet| body(target, packet))
            .collect(),
        _ => Vec::new(),
    }
}

/// Frames with a name: in a tag, beside a secret, and beside a secret that is sent back because nobody understood it.
fn named(name: &[u8]) -> [Vec<u8>; 4] {
    let name_len = u8::try_from(name.len()).expect("a name is short");
    let pap = control(&[0xc0, 0x23], 1, &[&[name_len], name, b"\x07hunter2"].concat());
    let chap = control(&[0xc2, 0x23], 2, &[&[16; 17], name].concat());
    let rejected = control(&[0xc0, 0x21], 8, &pap);
    let tag = [&[1, 2, 0, name_len], name].concat();
    [(7, tag), (0, pap), (0, chap), (0, rejected)].map(|(code, payload)| {
        let len = u16::try_from(payload.len()).expect("a name is short").to_be_bytes();
        let addresses = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
        [&addresses, &[0x88, 0x63 + u8::from(code == 0), 0x11, code, 0, 7][..], &len, &payload].concat()
    })
}

/// A control packet with its protocol before it.
fn control(protocol: &[u8; 2], code: u8, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + data.len()).expect("data are short").to_be_bytes();
    [&protocol[..], &[code, 1], &len, data].concat()
}

/// The PPP packet in a session frame.
fn session_packet<'a>(frame: &EthernetFrame<'a>) -> Option<&'a [u8]> {
    let packet = PppoePacket::new_checked(frame.payload()).ok()?;
    (frame.ether_type() == EtherType::PppoeSession).then(|| packet.payload())
}

fn body(target: &str, packet: &[u8]) -> Option<Vec<u8>> {
    let (protocol, information) = split_protocol(packet).ok()?;
    let is_control = matches!(protocol, Protocol::Lcp | Protocol::Ipcp | Protocol::Ipv6cp);
    let is_proof = matches!(protocol, Protocol::Pap | Protocol::Chap);
    match target {
        "cp_options" if is_control => Some(information.to_vec()),
        "lcp_bodies" if is_control => information.get(4..).map(<[u8]>::to_vec),
        "authentication" if is_proof => Some(information.to_vec()),
        "ip_mss" if Link::is_data(protocol) => Some([&1452_u16.to_be_bytes()[..], information].concat()),
        _ => None,
    }
}

/// Records as the targets of discovery want them, of what one side sent.
fn discovery(frames: &[EthernetFrame<'_>], server: MacAddr, to_server: bool) -> Vec<u8> {
    let mut input = Vec::new();
    for frame in frames.iter().filter(|frame| (frame.source() != server) == to_server) {
        let Ok(packet) = PppoePacket::new_checked(frame.payload()) else { continue };
        let Ok(len) = u8::try_from(packet.payload().len()) else { continue };
        let control = match (to_server, packet.code()) {
            (false, code) => u8::from(code),
            (true, Code::Padi) => 0xe0,
            (true, Code::Padr) => 0xe3,
            (true, _) => 0xe2,
        };
        if frame.ether_type() == EtherType::PppoeDiscovery {
            input.extend([control, len]);
            input.extend(packet.payload());
        }
    }
    input
}

/// Records as the targets of links want them: what one side sent, with answers to our own requests between.
fn link(choice: u8, frames: &[EthernetFrame<'_>], server: MacAddr, to_server: bool) -> Vec<u8> {
    /// Acks of what was asked for, a challenge, a proof and the verdict.
    const ANSWERS: [u8; 12] = [7, 0, 12, 0, 11, 0, 13, 0, 8, 0, 9, 0];
    let mut input = vec![choice];
    for frame in frames.iter().filter(|frame| (frame.source() != server) == to_server) {
        let packet = session_packet(frame).unwrap_or_default();
        if let Ok(len @ 1..) = u8::try_from(packet.len()) {
            input.extend([0, len]);
            input.extend(packet);
            input.extend(ANSWERS);
        }
    }
    input
}
