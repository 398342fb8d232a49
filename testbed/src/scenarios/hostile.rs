//! Frames that no client sends: dropped, counted, and nobody else notices.

use anyhow::{Context, Result, ensure};
use ppp_wire::MacAddr;
use ppp_wire::ppp::Protocol;
use ppp_wire::pppoe::{Code, TagType};
use serde_json::Value;

use super::check;
use super::{Load, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::station::{Station, Wire};
use crate::wait;
use crate::world::{ACCESS_MAC, FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hostile",
    about: "truncated, over-long and senseless frames are counted by cause and hurt nobody",
    peer: "the test bed's own frames, beside a pppd 2.4.9 that stays connected",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4",
    options: "require-chap\nlcp-restart 1\n",
    ..Setup::CHAP
};

const SERVICE_NAME: (TagType, &[u8]) = (TagType::ServiceName, b"");

fn run(lab: &Lab) -> Result<()> {
    let (world, _capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;
    client.dial(&Dial::new("alice", "secret"))?;
    let station = Station::open(&world, "hostile", 1)?;
    let wire = Wire::open(&world)?;

    for (cause, frame) in discovery_frames(&station)? {
        check::is_dropped(&server, &world, &wire, &frame, cause)?;
    }
    station.expect_silence()?;
    client.ping(FAR_HOST)?;

    let session_id = station.connect()?;
    for (protocol, packet) in session_packets() {
        station.send_ppp(session_id, protocol, &packet)?;
    }
    // The worker is as sane as before: it still answers LCP.
    station.send_ppp(session_id, Protocol::Lcp, &[1, 77, 0, 4])?;
    station.expect_ppp(session_id, "a Configure-Ack", |protocol, packet| {
        protocol == Protocol::Lcp && packet.starts_with(&[2, 77])
    })?;
    wait::until_true("malformed frames to be counted", check::GONE, || {
        let shown = server.session(&world, u64::from(session_id))?;
        let malformed = shown.pointer("/dropped/malformed").and_then(Value::as_u64);
        Ok(malformed.context("dropped.malformed")? > 0)
    })?;
    client.ping(FAR_HOST)?;
    let sessions = server.sessions(&world)?;
    ensure!(sessions.len() == 2, "there should be two sessions: {sessions:?}");
    server.stop(&world)
}

/// Discovery frames that are wrong in one way each, with the cause that they are counted under.
fn discovery_frames(station: &Station) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let server = MacAddr(ACCESS_MAC);
    let padi = |tags: &[(TagType, &[u8])]| station.frame(MacAddr::BROADCAST, Code::Padi, 0, tags);
    let good_padi = padi(&[SERVICE_NAME])?;
    let good_padr = station.frame(server, Code::Padr, 0, &[SERVICE_NAME])?;
    let patched = |frame: &[u8], at: usize, bytes: &[u8]| {
        let mut frame = frame.to_vec();
        frame.splice(at..at + bytes.len(), bytes.iter().copied());
        frame
    };
    // Offsets: Ethernet header 14, then VER/TYPE, CODE, SESSION_ID (2), LENGTH (2), first tag's type and length at 20.
    Ok(vec![
        ("version_type", patched(&good_padi, 14, &[0x21])),
        ("version_type", patched(&good_padi, 14, &[0x12])),
        ("code", patched(&good_padi, 15, &[0x42])),
        ("code", station.frame(server, Code::Pado, 0, &[SERVICE_NAME])?),
        ("session_id", patched(&good_padi, 16, &[0, 7])),
        ("truncated", patched(&good_padi, 18, &[0x05, 0x00])),
        ("truncated", good_padi.get(..16).context("16 bytes")?.to_vec()),
        ("bad_tag", patched(&good_padi, 22, &[0xff, 0xff])),
        ("bad_tag", patched(&good_padi, 18, &[0, 2])),
        ("source_not_unicast", patched(&good_padi, 6, &[0x01])),
        ("own_frame", patched(&good_padi, 6, &ACCESS_MAC)),
        ("destination", patched(&good_padr, 0, &[0xff; 6])),
        ("cookie_missing", good_padr),
        ("service_name_missing", padi(&[])?),
        ("service_name_repeated", padi(&[SERVICE_NAME, SERVICE_NAME])?),
        ("no_such_session", station.frame(server, Code::Padt, 0x7777, &[])?),
    ])
}

/// PPP packets that are wrong in one way each, and a few hundred that are wrong in most.
fn session_packets() -> Vec<(Protocol, Vec<u8>)> {
    let mut packets = vec![
        (Protocol::Lcp, vec![]),
        (Protocol::Lcp, vec![1]),
        (Protocol::Lcp, vec![1, 1, 0, 3]),
        (Protocol::Lcp, vec![1, 1, 0xff, 0xff]),
        // Options of length 0 and 1, and one beyond the packet.
        (Protocol::Lcp, vec![1, 2, 0, 8, 1, 0, 0, 0]),
        (Protocol::Lcp, vec![1, 3, 0, 8, 1, 1, 0, 0]),
        (Protocol::Lcp, vec![1, 4, 0, 8, 1, 200, 5, 212]),
        (Protocol::Chap, vec![2, 1, 0, 5, 200]),
        (Protocol::Pap, vec![1, 1, 0, 6, 255, 255]),
        (Protocol::Ipcp, vec![1, 1, 0, 10, 3, 6, 0, 0, 0, 0]),
        (Protocol::Ip, vec![0x45]),
    ];
    // A linear congruential generator (the constants of POSIX's rand48), so that every run sends the same bytes.
    let mut state = 2516_u64;
    let mut next = || {
        state = state.wrapping_mul(0x5_deec_e66d).wrapping_add(11) & 0xffff_ffff_ffff;
        state.to_be_bytes()[3]
    };
    // Not 5 and 7: a whole Terminate-Request or Code-Reject may end the session, and rightly so.
    for code in [1, 2, 3, 4, 8, 9, 10, 11, 12, 200].into_iter().cycle().take(300) {
        let len = usize::from(next() % 64);
        let mut packet = vec![code, next(), 0, 4 + (next() % 64)];
        packet.extend((0..len).map(|_| next()));
        packets.push((Protocol::Lcp, packet));
    }
    packets
}
