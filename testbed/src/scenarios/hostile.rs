//! Frames that no client sends: dropped, counted, and nobody else notices.

use anyhow::{Context, Result, ensure};
use ppp_wire::MacAddr;
use ppp_wire::ppp::Protocol;
use ppp_wire::pppoe::{Code, TagType};
use serde_json::Value;

use super::check;
use super::{PPPD, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::wait;
use crate::world::{ACCESS_MAC, FAR_HOST, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hostile",
    about: "truncated, over-long and senseless frames are counted by cause and hurt nobody",
    peer: "the test bed's own frames, beside a pppd 2.4.9 that stays connected",
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4",
    options: "require-chap\nlcp-restart 1\n",
    common_options: "",
    chap_secrets: "alice * secret *\n",
    pap_secrets: "",
    files: &[],
};

const SERVICE_NAME: (TagType, &[u8]) = (TagType::ServiceName, b"");

fn run(lab: &Lab) -> Result<()> {
    let (world, _capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;
    client.dial(&Dial::new("alice", "secret"))?;
    let station = Station::open(&world, "hostile", 1)?;

    for (what, frame) in discovery_frames(&station)? {
        let before = dropped(&server, &world)?;
        station.send(&frame)?;
        wait::until_true(&format!("a frame with {what} to be counted"), check::GONE, || {
            Ok(dropped(&server, &world)? > before)
        })?;
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
    let shown = server.session(&world, u64::from(session_id))?;
    let malformed =
        shown.pointer("/dropped/malformed").and_then(Value::as_u64).context("dropped.malformed")?;
    ensure!(malformed > 0, "no malformed frame was counted: {shown}");
    client.ping(FAR_HOST)?;
    let sessions = server.sessions(&world)?;
    ensure!(sessions.len() == 2, "there should be two sessions: {sessions:?}");
    server.stop(&world)
}

fn dropped(server: &Server, world: &World) -> Result<u64> {
    let stats = server.interface_stats(world, "eth1")?;
    let dropped = stats.get("dropped").and_then(Value::as_object).context("drops by cause")?;
    Ok(dropped.values().filter_map(Value::as_u64).sum())
}

/// Discovery frames that are wrong in one way each.
fn discovery_frames(station: &Station) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let padi = station.frame(MacAddr::BROADCAST, Code::Padi, 0, &[SERVICE_NAME])?;
    let padr = station.frame(MacAddr(ACCESS_MAC), Code::Padr, 0, &[SERVICE_NAME])?;
    let patched = |frame: &[u8], at: usize, bytes: &[u8]| {
        let mut frame = frame.to_vec();
        frame.splice(at..at + bytes.len(), bytes.iter().copied());
        frame
    };
    // Offsets: Ethernet header 14, then VER/TYPE, CODE, SESSION_ID (2), LENGTH (2), first tag's type and length at 20.
    Ok(vec![
        ("another version", patched(&padi, 14, &[0x21])),
        ("another type", patched(&padi, 14, &[0x12])),
        ("an unknown code", patched(&padi, 15, &[0x42])),
        ("a session id in a PADI", patched(&padi, 16, &[0, 7])),
        ("a length beyond the frame", patched(&padi, 18, &[0x05, 0x00])),
        ("a tag beyond the payload", patched(&padi, 22, &[0xff, 0xff])),
        ("half a tag header", patched(&padi, 18, &[0, 2])),
        ("no header", padi.get(..16).context("16 bytes")?.to_vec()),
        ("a multicast source", patched(&padi, 6, &[0x01])),
        ("a PADR to everybody", patched(&padr, 0, &[0xff; 6])),
        ("no cookie", padr),
        ("a PADO", station.frame(MacAddr(ACCESS_MAC), Code::Pado, 0, &[SERVICE_NAME])?),
        ("a PADT for nobody", station.frame(MacAddr(ACCESS_MAC), Code::Padt, 0x7777, &[])?),
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
    for _ in 0..300 {
        let len = usize::from(next() % 64);
        // Not 5 and 7: a whole Terminate-Request or Code-Reject may end the session, and rightly so.
        let code = [1, 2, 3, 4, 8, 9, 10, 11, 12, 200][usize::from(next() % 10)];
        let mut packet = vec![code, next(), 0, 4 + (next() % 64)];
        packet.extend((0..len).map(|_| next()));
        packets.push((Protocol::Lcp, packet));
    }
    packets
}
