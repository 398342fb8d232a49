//! Set-up B: "rp-pppoe 3.10 from source".

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

use super::check;
use super::{Load, PPPD, Scenario};
use crate::guest::Dial;
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::world::{FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "b-rp-pppoe-from-source",
    about: "set-up B: require-pap and require-chap, login, ms-dns twice, defaultroute, local",
    peer: PPPD,
    load: Load::Works,
    run,
};

const SETUP: Setup<'_> = Setup {
    flags: "-I eth0 -L 10.0.0.1 -R 10.0.0.2 -N 64 -k",
    options: "require-pap\nrequire-chap\nlogin\nlcp-echo-interval 10\nlcp-echo-failure 2\n\
              logfile /var/log/pppoe.log\nms-dns 202.106.0.20\nms-dns 8.8.8.8\ndefaultroute\n",
    common_options: "local\n",
    chap_secrets: "rp-pppoe * rp-pppoe *\n",
    pap_secrets: "rp-pppoe * rp-pppoe *\n",
    ..Setup::CHAP
};

const MASQUERADE: &str = "
    table ip guide {
        chain postrouting {
            type nat hook postrouting priority srcnat;
            oifname eth1 masquerade
        }
    }";

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth0, Uplink::Isolated)?;
    check::nft(&world.srv, MASQUERADE)?;
    let server = Server::start(&world, lab.path(), &SETUP)?;
    the_admin_is_told(&server)?;
    let [client] = lab.guests(&world, ["client"])?;

    let address = Ipv4Addr::new(10, 0, 0, 2);
    let session = client.dial(&Dial::new("rp-pppoe", "rp-pppoe"))?;
    ensure!(session.log.contains("CHAP authentication succeeded"), "not CHAP:\n{}", session.log);
    ensure!((session.local, session.remote) == (address, Ipv4Addr::new(10, 0, 0, 1)), "{session:?}");
    let resolver = client.sh("cat /etc/ppp/resolv.conf")?;
    let servers: Vec<&str> = resolver.lines().filter_map(|line| line.strip_prefix("nameserver ")).collect();
    ensure!(servers == ["202.106.0.20", "8.8.8.8"], "the client's DNS servers are {servers:?}");
    check::only_session(&server, &world, &client, "rp-pppoe", address)?;
    client.ping(FAR_HOST)?;
    client.hang_up()?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

/// Three of the guide's options mean nothing here, and one flag; the log says so, with file and line.
fn the_admin_is_told(server: &Server) -> Result<()> {
    let options = "/etc/ppp/pppoe-server-options";
    check::log_line(server, &["WARN", &format!("{options}:3"), "login"])?;
    check::log_line(server, &[&format!("{options}:9"), "defaultroute", "no effect"])?;
    check::log_line(server, &["/etc/ppp/options:1", "local", "no effect"])?;
    Ok(())
}
