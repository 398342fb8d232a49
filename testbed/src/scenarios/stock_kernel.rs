//! Everything on the kernel that Debian ships, in one guest: server, pppd, and the network beyond, each in its namespace.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Load, Scenario, shipped};
use crate::guest::{Dial, Guest, StockKernel};
use crate::lab::Lab;
use crate::programs;
use crate::wait;
use crate::world::{FAR_HOST, Uplink, Wiring};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stock-kernel",
    about: "Debian's own kernel: pppd dials, NAT by nftables, a policer, kill -9 and take-over; no dial starts modprobe",
    peer: "pppd 2.4.9 with rp-pppoe.so on Debian's kernel (qemu, software emulation)",
    load: Load::Measures,
    run,
};

/// Everything takes long in there, more so on a busy host.
const PATIENCE: Duration = Duration::from_secs(180);

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its name in the server's namespace: another program has `ppp0`. In the client's, pppd's interface has that name.
const SESSION: &str = "ppp1";

/// The client is in the guest's first namespace; the server serves `eth1`, and reaches the far host by `eth0`. That one knows no
/// way back to the subscribers.
const NETWORK: &str = "set -e
    ip link set vec0 down; ip link set vec0 name host0
    for ns in srv net; do ip netns add $ns; ip -n $ns link set lo up; done
    ip link add vec0 type veth peer name eth1 netns srv
    ip link set vec0 up; ip -n srv link set eth1 up
    ip -n srv link add eth0 type veth peer name eth0 netns net
    ip -n srv address add 198.51.100.1/24 dev eth0; ip -n srv link set eth0 up
    ip -n net address add 198.51.100.2/24 dev eth0; ip -n net link set eth0 up
    ip -n srv link add ppp0 type veth peer name far0
    mkdir -p /run/srv/hooks.d
    echo 'alice * secret *' > /run/srv/chap-secrets; chmod 600 /run/srv/chap-secrets
    printf 'require-chap\nlcp-echo-interval 5\nlcp-echo-failure 6\n' > /run/srv/options
    : > /run/srv/common";

fn run(lab: &Lab) -> Result<()> {
    let kernel = StockKernel::prepare()?;
    let (world, mut capture) = lab.world(Wiring::AccessOnEth1, Uplink::Isolated)?;
    let guest = Guest::boot_stock(&world, "br1", "stock", lab.path(), &kernel)?;
    capture.stop()?;
    let release = guest.sh("uname -r")?;
    println!("    Linux {}", release.trim());
    sh(&guest, NETWORK)?;
    let script = shipped("nat.lua", &[])?;
    sh(&guest, &format!("cat > /run/srv/hooks.d/50-nat.lua <<'THE-END'\n{script}\nTHE-END\n"))?;
    start_server(&guest)?;

    sh(&guest, ": > /run/modprobe.log")?;
    let session = guest.dial(&Dial::new("alice", "secret").with(&["lcp-echo-interval", "5"]))?;
    ensure!(session.remote == SERVER, "the server is at {}", session.remote);
    ensure!(session.mtu == 1492, "the MTU is {}", session.mtu);
    let asked = guest.sh("cat /run/modprobe.log")?;
    ensure!(!asked.contains(&format!("netdev-{SESSION}")), "the dial started modprobe:\n{asked}");
    // Packets pass when the script for NAT has done its work, which is later than pppd has its address.
    let listed = wait::until("the session to be open", PATIENCE, || {
        let listed = pppctl(&guest, "show sessions")?;
        Ok(listed.contains(" open ").then_some(listed))
    })?;
    ensure!(listed.contains("alice") && listed.contains(SESSION), "{listed}");

    guest.ping(SERVER)?;
    guest.ping(FAR_HOST)?;
    let rules = sh(&guest, "ip netns exec srv nft list ruleset")?;
    ensure!(rules.contains("masquerade"), "the ping took another way:\n{rules}");

    policer_limits(&guest)?;

    sh(&guest, &format!("ping -n -i 0.2 -W 10 {FAR_HOST} > /run/steady 2>&1 & echo $! > /run/steady.pid"))?;
    sh(&guest, "kill -9 $(cat /run/pppoed.pid)")?;
    start_server(&guest)?;
    let log = sh(
        &guest,
        "for i in $(seq 100); do grep 'session taken over' /run/pppoed.log && exit 0; sleep 0.2; done; exit 1",
    )?;
    ensure!(log.contains("alice"), "{log}");
    guest.ping(FAR_HOST)?;
    let steady = sh(
        &guest,
        "kill -INT $(cat /run/steady.pid); while kill -0 $(cat /run/steady.pid) 2>/dev/null; do sleep 0.1; done; \
         tail -n 3 /run/steady",
    )?;
    ensure!(steady.contains(" 0% packet loss"), "the line suffered:\n{steady}");
    println!("    {}", steady.lines().find(|line| line.contains("packet loss")).unwrap_or_default());

    guest.hang_up()?;
    sh(
        &guest,
        "for i in $(seq 100); do grep 'session ended' /run/pppoed.log | grep peer-terminated && exit 0; sleep 0.2; done; \
         cat /run/pppoed.log; exit 1",
    )?;
    sh(
        &guest,
        "kill $(cat /run/pppoed.pid); while kill -0 $(cat /run/pppoed.pid) 2>/dev/null; do sleep 0.1; done",
    )?;
    let left = sh(&guest, "ip -n srv -o link show")?;
    ensure!(!left.contains(SESSION), "{left}");
    Ok(())
}

/// Before Linux 6.6 the server's own clsact stays on the session's interface, and an `ip-up` puts its filters there.
fn policer_limits(guest: &Guest) -> Result<()> {
    const SENT: u32 = 40;
    let at = format!("dev {SESSION} ingress pref 100");
    sh(guest, &format!("tc -n srv filter add {at} matchall action police rate 64kbit burst 4k drop"))?;
    let pinged = guest.run(&format!("ping -n -q -c {SENT} -i 0.02 -s 1200 -W 5 {FAR_HOST}"), PATIENCE)?;
    let received =
        pinged.output.split(',').find_map(|part| part.trim().strip_suffix(" received")?.parse::<u32>().ok());
    ensure!(received.is_some_and(|received| (1..SENT / 2).contains(&received)), "{}", pinged.output);
    let shown = sh(guest, &format!("tc -n srv -s filter show dev {SESSION} ingress"))?;
    ensure!(shown.contains("police") && !shown.contains("(dropped 0,"), "nothing was dropped:\n{shown}");
    println!("    police at clsact: {} of {SENT} packets passed", received.unwrap_or_default());
    sh(guest, &format!("tc -n srv filter del {at}")).map(drop)
}

fn start_server(guest: &Guest) -> Result<()> {
    let program = programs::path("pppoed")?;
    let script = format!(
        "ip netns exec srv {} -F -I eth1 -L {SERVER} -R 10.0.0.2 -N 4 --orphan-timeout 120 --hooks-dir /run/srv/hooks.d \
         --hook-store /run/srv/store --options-file /run/srv/options --common-options /run/srv/common \
         --chap-secrets /run/srv/chap-secrets --pap-secrets /run/srv/none --run-dir /run/srv/run \
         --console-file /run/srv/console --hook-deadline 60 > /run/pppoed.log 2>&1 &
         echo $! > /run/pppoed.pid",
        program.display()
    );
    sh(guest, &script)?;
    sh(guest, "for i in $(seq 300); do grep ' ready ' /run/pppoed.log && exit 0; sleep 0.2; done; cat /run/pppoed.log; exit 1")
        .map(drop)
}

fn pppctl(guest: &Guest, words: &str) -> Result<String> {
    let program = programs::path("pppctl")?;
    sh(guest, &format!("{} --socket /run/srv/run/control.sock {words}", program.display()))
}

fn sh(guest: &Guest, script: &str) -> Result<String> {
    let done = guest.run(script, PATIENCE)?;
    ensure!(done.status == 0, "`{script}` ended with {}: {}", done.status, done.output);
    Ok(done.output)
}
