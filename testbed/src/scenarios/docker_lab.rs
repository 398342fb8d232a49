//! Set-up E: "Docker lab for routers".

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::check::{self, From};
use super::{Load, PPPD_AND_PPPOE, Scenario};
use crate::guest::{Carrier, Dial};
use crate::lab::{Lab, mac};
use crate::server::{Server, Setup};
use crate::world::{ACCESS_MAC, FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "e-docker-lab",
    about: "set-up E: PAP and CHAP allowed, fixed addresses, CCP while IPCP runs, echo both ways while idle",
    peer: PPPD_AND_PPPOE,
    load: Load::Works,
    run,
};

const SECRETS: &str = "testuser1 * \"password\" 172.16.0.101\ntestuser2 * \"password\" 172.16.0.102\n";
const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 172.16.0.254 -O /etc/ppp/options",
    options: "",
    common_options: "require-pap\nrequire-chap\nlcp-echo-interval 10\nlcp-echo-failure 2\n",
    chap_secrets: SECRETS,
    pap_secrets: SECRETS,
    ..Setup::CHAP
};
const SERVER: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 254);
/// The router of the guide sends echoes of its own. Offering CCP comes with the carrier.
const ROUTER: &[&str] = &["lcp-echo-interval 10", "lcp-echo-failure 3"];
const ROUTER_WITH_PAP: &[&str] = &["refuse-chap"];

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [router, second] = lab.guests(&world, ["router", "second"])?;

    let session = router.dial(&Dial::new("testuser1", "password").with(ROUTER).by(Carrier::UserMode))?;
    ensure!((session.local, session.remote) == (Ipv4Addr::new(172, 16, 0, 101), SERVER), "{session:?}");
    ensure!(session.log.contains("sent [CCP ConfReq"), "the client did not offer CCP:\n{}", session.log);
    let session = second.dial(&Dial::new("testuser2", "password").with(ROUTER_WITH_PAP))?;
    ensure!((session.local, session.remote) == (Ipv4Addr::new(172, 16, 0, 102), SERVER), "{session:?}");
    ensure!(session.log.contains("PAP authentication succeeded"), "not PAP:\n{}", session.log);
    router.ping(FAR_HOST)?;
    second.hang_up()?;

    // Nothing is sent now but the echoes, every 10 s from both ends.
    let server_mac = mac(ACCESS_MAC);
    let idle_from = capture.frames()?.len();
    capture.wait_for("echo both ways on the idle line", Duration::from_secs(30), |frames| {
        let idle = frames.get(idle_from..).unwrap_or_default();
        let sent = |by_server: bool, info: &str| {
            idle.iter().any(|frame| (frame.source == server_mac) == by_server && frame.info.contains(info))
        };
        [true, false].into_iter().all(|side| sent(side, "Echo Request") && sent(!side, "Echo Reply"))
    })?;
    router.ping(FAR_HOST)?;
    router.hang_up()?;
    server.stop(&world)?;

    let frames = lab.check_sent_frames(capture)?;
    let own: Vec<_> = frames
        .into_iter()
        .filter(|frame| frame.source == router.mac() || frame.destination == router.mac())
        .collect();
    check::in_order(
        &own,
        &[
            (From::Client, "PADI"),
            (From::Server, "PADO"),
            (From::Client, "PADR"),
            (From::Server, "PADS"),
            (From::Server, "Challenge"),
            (From::Client, "Response"),
            (From::Server, "Success"),
            (From::Client, "PADT"),
        ],
    )?;
    // CCP is refused as a protocol, and that harms nothing.
    check::in_order(
        &own,
        &[(From::Client, "0x80fd Configuration Request"), (From::Server, "0xc021 Protocol Reject")],
    )
}
