//! Set-up D: "Writing a server", the details that a server must get right.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ppp_wire::ppp::Protocol;
use ppp_wire::pppoe::{Code, TagType};

use super::check::{self, From};
use super::{Load, PPPD, Scenario};
use crate::capture::{self, Capture};
use crate::guest::{Dial, Guest};
use crate::lab::{Lab, mac};
use crate::server::{Server, Setup};
use crate::station::Station;
use crate::world::{ACCESS_MAC, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "d-protocol-details",
    about: "set-up D: Service-Name-Error, LCP timeout, 255-byte PAP, CHAP Failure then Terminate, echo",
    peer: PPPD,
    load: Load::Works,
    run,
};

/// Two names of 255 bytes, the longest that PAP's length byte can tell (RFC 1334 section 2.2.1).
const LONGEST: usize = 255;

fn run(lab: &Lab) -> Result<()> {
    let (name, password) = ("n".repeat(LONGEST), "p".repeat(LONGEST));
    let pap_secrets = format!("{name} * {password} *\n");
    let setup = Setup {
        flags: "-I eth1 -S internet -L 10.0.0.1 -R 10.0.0.2 -N 4",
        options: "require-pap\nrequire-chap\nlcp-restart 1\nlcp-max-configure 3\n",
        chap_secrets: "alice * wonderland *\n",
        pap_secrets: &pap_secrets,
        ..Setup::default()
    };
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &setup)?;
    let [client] = lab.guests(&world, ["client"])?;

    unknown_service_is_refused(&world)?;
    silence_is_cleaned_up(&world, &server)?;

    let longest = Dial::new(&name, &password);
    let session = client.dial(&longest.with(&["refuse-chap"]))?;
    ensure!(session.log.contains("PAP authentication succeeded"), "not PAP:\n{}", session.log);
    check::only_session(&server, &world, &client, &name, session.local)?;
    client.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;

    let (_, log) = client.dial_refused(&Dial::new("alice", "looking-glass"))?;
    ensure!(log.contains("CHAP authentication failed"), "refused, but not for the password:\n{log}");
    server.wait_for_sessions(&world, 0, check::GONE)?;
    server.wait_for_log(&["alice", "/etc/ppp/chap-secrets:1"])?;

    let magic_numbers = echo_carries_the_magic_number(&client, &capture)?;
    ensure!(magic_numbers > 0, "no Echo-Reply was compared");
    server.stop(&world)?;
    let frames = lab.check_sent_frames(capture)?;
    check::in_order(
        &frames,
        &[(From::Server, "Failure"), (From::Server, "Termination Request"), (From::Server, "PADT")],
    )
}

fn unknown_service_is_refused(world: &World) -> Result<()> {
    let station = Station::open(world, "stranger", 1)?;
    let offer = station.discover(&[(TagType::ServiceName, b"")])?;
    let refusal = station.request(&offer, &[(TagType::ServiceName, b"no such service")])?;
    ensure!(refusal.session_id == 0, "{refusal:?}");
    ensure!(refusal.tag(TagType::ServiceNameError).is_some(), "{refusal:?}");
    Ok(())
}

/// A peer that never answers LCP is dropped after the third Configure-Request, with a PADT.
fn silence_is_cleaned_up(world: &World, server: &Server) -> Result<()> {
    let station = Station::open(world, "silent", 2)?;
    let session_id = station.connect()?;
    for _ in 0..3 {
        station.expect_ppp(session_id, "a Configure-Request", |protocol, packet| {
            protocol == Protocol::Lcp && packet.first() == Some(&1)
        })?;
    }
    let padt =
        crate::wait::until("a PADT", Duration::from_secs(10), || station.expect(Code::Padt).map(Some))?;
    ensure!(padt.session_id == session_id, "{padt:?}");
    server.wait_for_sessions(world, 0, check::GONE)?;
    Ok(())
}

/// pppd sends an Echo-Request every second; each answer carries the number that the server negotiated.
fn echo_carries_the_magic_number(client: &Guest, capture: &Capture) -> Result<usize> {
    let options = ["lcp-echo-interval 1", "lcp-echo-failure 3"];
    client.dial(&Dial::new("alice", "wonderland").with(&options))?;
    let server = mac(ACCESS_MAC);
    let from = capture.frames()?.len();
    capture.wait_for("two Echo-Replies", Duration::from_secs(15), |frames| {
        let replies =
            frames.iter().skip(from).filter(|f| f.source == server && f.info.contains("Echo Reply"));
        replies.count() >= 2
    })?;
    client.hang_up()?;

    let of_last_session = |filter: &str, field: &str| -> Result<Vec<String>> {
        capture::field(capture.file(), &format!("eth.src == {server} && {filter}"), field)
    };
    let negotiated = of_last_session("ppp.code == 1 && lcp.opt.magic_number", "lcp.opt.magic_number")?;
    let negotiated = negotiated.last().context("the server negotiated no Magic-Number")?.clone();
    let echoed = of_last_session(&format!("frame.number > {from} && ppp.code == 10"), "lcp.magic_number")?;
    ensure!(echoed.iter().all(|number| *number == negotiated), "{echoed:?} instead of {negotiated}");
    Ok(echoed.len())
}
