//! Set-up C: "CentOS 6.8, two NICs".

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

use super::check;
use super::{Load, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "c-centos-two-nics",
    about: "set-up C: a pool user and a fixed-address user at once, a wrong password, MTU 1492",
    peer: "two of: pppd 2.4.9 with rp-pppoe.so on Linux kernel PPPoE (User-Mode Linux guest)",
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth1 -L 192.168.10.109 -R 192.168.10.2 -N 20",
    options: "require-chap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\nms-dns 202.106.0.20\nms-dns 8.8.8.8\n",
    chap_secrets: "# the guide's two users\ncmz * cmz *\ncmz2 * cmz2 192.168.10.3\n",
    ..Setup::CHAP
};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 109);
const POOL_FIRST: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 2);
const FIXED: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 3);

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    world.add_server_address(Wiring::AccessOnEth1.access(), SERVER, 24)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    let [first, second] = lab.guests(&world, ["first", "second"])?;
    ensure!(first.ping(FAR_HOST).is_err(), "the far host answers before anybody dialled");

    // Whoever comes first, the fixed address is not given to anybody else.
    let one = first.dial(&Dial::new("cmz", "cmz"))?;
    ensure!((one.local, one.remote) == (POOL_FIRST, SERVER), "{one:?}");
    let other = second.dial(&Dial::new("cmz", "cmz"))?;
    ensure!(other.local != POOL_FIRST && other.local != FIXED, "a pool user got {}", other.local);
    second.hang_up()?;
    let two = second.dial(&Dial::new("cmz2", "cmz2"))?;
    ensure!((two.local, two.remote) == (FIXED, SERVER), "{two:?}");

    ensure!((one.mtu, two.mtu) == (1492, 1492), "MTU {} and {} at the clients", one.mtu, two.mtu);
    let sessions = server.wait_for_sessions(&world, 2, check::GONE)?;
    for session in &sessions {
        let remote = check::text(session, "ip")?.parse()?;
        check::server_interface(&world, check::text(session, "ifname")?, SERVER, remote, 1492)?;
    }

    first.ping(FIXED)?;
    second.ping(POOL_FIRST)?;
    first.ping(FAR_HOST)?;
    second.ping(FAR_HOST)?;
    first.hang_up()?;
    first.sh("ping -n -c 1 -W 2 192.168.10.3 && exit 1 || exit 0")?;

    let (_, log) = first.dial_refused(&Dial::new("cmz2", "not-cmz2"))?;
    ensure!(log.contains("CHAP authentication failed"), "refused, but not for the password:\n{log}");
    server.wait_for_log(&["cmz2", "/etc/ppp/chap-secrets:3"])?;
    second.ping(FAR_HOST)?;
    second.hang_up()?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}
