//! What an `ip-up` of pppd's time limits a client with: a shaper and a policer of `tc`.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::rate_limit::is_about;
use super::{Load, OWN_CLIENT, Scenario, open, setup, shipped};
use crate::lab::Lab;
use crate::meter::{self, Direction};
use crate::packages;
use crate::process::run_ok;
use crate::scenarios::check;
use crate::server::Server;
use crate::wait;
use crate::world::{Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-limiter",
    about: "ip-up limits a client by tc's tbf, and by police or an ifb at ingress (Linux 6.6 and later)",
    peer: OWN_CLIENT,
    load: Load::Times,
    run,
};

/// As in docs/operators/troubleshooting.md, with other rates. A kernel without `police` limits by a shaper behind the same
/// queueing discipline.
const IP_UP: &str = "#!/bin/sh\n\
    tc qdisc add dev $1 root tbf rate 8mbit burst 32k latency 50ms || exit 1\n\
    tc qdisc add dev $1 ingress || exit 1\n\
    tc filter add dev $1 ingress matchall action police rate 4mbit burst 64k drop || {\n\
    ip link add ifb0 type ifb && ip link set ifb0 up &&\n\
    tc qdisc add dev ifb0 root tbf rate 4mbit burst 32k latency 50ms &&\n\
    tc filter add dev $1 ingress protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb0 || exit 1; }\n\
    echo limited >> /var/log/limited\n";

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let _meter = meter::Server::start(&world.net)?;
    let compat = shipped("compat.lua", &[])?;
    let files = [("hooks.d/50-compat.lua", compat.as_str()), ("ip-up", IP_UP)];
    let server = Server::start(&world, lab.path(), &setup(&files))?;
    let alice = open(&world, 0, "alice")?;
    wait::until_true("both lines", Duration::from_secs(10), || {
        Ok(server.read_file("/var/log/limited").is_ok())
    })?;
    is_about(&world, Direction::Down, 8.0)?;
    is_about(&world, Direction::Up, 4.0)?;

    // They see each packet once, and no frame of the line.
    let shown = run_ok(&world.srv, packages::command("tc")?.args(["-s", "qdisc", "show", "dev", "ppp0"]))?;
    println!("{shown}");
    for qdisc in ["qdisc tbf", "qdisc ingress"] {
        ensure!(shown.contains(qdisc), "no {qdisc}: {shown}");
    }
    alice.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}
