//! Set-up A: "CentOS, five steps".

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};

use super::check::{self, From};
use super::{Load, PPPD_AND_PPPOE, Scenario};
use crate::capture::{self, Capture};
use crate::guest::{Carrier, Dial, Guest};
use crate::lab::{Lab, mac};
use crate::meter::{self, Direction};
use crate::server::{Server, Setup};
use crate::world::{ACCESS_MAC, FAR_HOST, UPLINK, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-centos-five-steps",
    about: "set-up A: one shared secret, echo and logfile options, NAT and TCPMSS by nftables",
    peer: PPPD_AND_PPPOE,
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth0 -L 10.10.10.1 -R 10.10.10.100",
    options: "lcp-echo-interval 10\nlcp-echo-failure 2\nlogfile /var/log/pppoe.log\n",
    chap_secrets: "PPPoE * \"123456\" *\n",
    pap_secrets: "PPPoE * \"123456\" *\n",
    ..Setup::CHAP
};

const NAT: &str = "
    table ip guide {
        chain postrouting {
            type nat hook postrouting priority srcnat;
            ip saddr 10.10.10.0/24 masquerade
        }
        chain forward {
            type filter hook forward priority filter;
            tcp flags & (syn | rst) == syn tcp option maxseg size set 1256
        }
    }";

/// What a Windows client with CHAP ticked amounts to, in pppd's words. Its "optional encryption" offers CCP, too.
const CHAP_ONLY: &[&str] = &["refuse-pap", "refuse-eap", "refuse-mschap", "refuse-mschap-v2"];
/// The same with PAP ticked.
const PAP_ONLY: &[&str] = &["refuse-chap", "refuse-eap", "refuse-mschap", "refuse-mschap-v2"];

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth0, Uplink::Isolated)?;
    check::nft(&world.srv, NAT)?;
    let _meter = meter::Server::start(&world.net)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [client] = lab.guests(&world, ["client"])?;

    let address = Ipv4Addr::new(10, 10, 10, 100);
    let session = client.dial(&Dial::new("PPPoE", "123456").with(CHAP_ONLY).by(Carrier::UserMode))?;
    ensure!(session.log.contains("CHAP authentication succeeded"), "no CHAP:\n{}", session.log);
    ensure!(session.log.contains("sent [CCP ConfReq"), "the client did not offer CCP:\n{}", session.log);
    ensure!((session.local, session.remote) == (address, Ipv4Addr::new(10, 10, 10, 1)), "{session:?}");
    check::only_session(&server, &world, &client, "PPPoE", address)?;
    reaches_the_far_side_by_nat(lab, &world, &client)?;
    client.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;

    let session = client.dial(&Dial::new("PPPoE", "123456").with(PAP_ONLY))?;
    ensure!(session.log.contains("PAP authentication succeeded"), "no PAP:\n{}", session.log);
    client.ping(FAR_HOST)?;
    client.hang_up()?;

    let logfile = server.read_file("/var/log/pppoe.log")?;
    ensure!(logfile.contains("PPPoE"), "nothing about the user in the logfile:\n{logfile}");
    server.stop(&world)?;
    discovery_is_as_the_guide_tells(lab, capture)
}

fn reaches_the_far_side_by_nat(lab: &Lab, world: &World, client: &Guest) -> Result<()> {
    client.ping(FAR_HOST)?;
    let file = lab.path().join("uplink.pcap");
    let mut uplink = Capture::start(&world.net, "eth0", "tcp[tcpflags] & tcp-syn != 0", &file)?;
    for direction in [Direction::Up, Direction::Down] {
        let speed = check::speed(client, direction, 1)?;
        ensure!(speed > 1.0, "TCP {direction:?}: {speed} Mbit/s");
    }
    uplink.stop()?;
    let syn = format!("tcp.flags.ack == 0 && ip.src == {UPLINK}");
    let mss = capture::field(&file, &syn, "tcp.options.mss_val")?;
    ensure!(mss.len() == 2 && mss.iter().all(|mss| mss == "1256"), "MSS at the far host: {mss:?}");
    Ok(())
}

fn discovery_is_as_the_guide_tells(lab: &Lab, capture: Capture) -> Result<()> {
    let file = capture.file().to_owned();
    let frames = lab.check_sent_frames(capture)?;
    check::in_order(
        &frames,
        &[
            (From::Client, "PADI"),
            (From::Server, "PADO"),
            (From::Client, "PADR"),
            (From::Server, "PADS"),
            (From::Client, "PADT"),
        ],
    )?;
    let pado = format!("pppoed && pppoe.code == 0x07 && eth.src == {}", mac(ACCESS_MAC));
    let session_ids = capture::field(&file, &pado, "pppoe.session_id")?;
    ensure!(session_ids.iter().all(|id| id == "0x0000"), "a PADO with a session id: {session_ids:?}");
    let names = capture::field(&file, &pado, "pppoed.tags.ac_name")?;
    ensure!(names.first().is_some_and(|name| !name.is_empty()), "a PADO without AC-Name");
    let longest = frames.iter().map(|frame| frame.len).max().context("no frames")?;
    ensure!(longest <= 1514, "a frame of {longest} bytes on the access line");
    Ok(())
}
