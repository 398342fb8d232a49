//! `nat.lua`: a private address reaches the Internet, and nothing stays behind.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use super::{FILE, Load, OWN_CLIENT, STORE, Scenario, nft_list, open, setup, shipped};
use crate::echo;
use crate::lab::Lab;
use crate::programs;
use crate::scenarios::check;
use crate::server::Server;
use crate::wait;
use crate::world::{FAR_HOST, Netns, Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-nat",
    about: "scripts/nat.lua: masquerade for subscribers, also over a killed server; ip_forward; nothing left",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Isolated)?;
    world.srv.sysctl("ipv4/ip_forward", "0")?;
    // Somebody else's rules stay as they are.
    check::nft(
        &world.srv,
        "table ip other {\n  chain c {\n    type filter hook forward priority 0\n  }\n}\n",
    )?;
    let script = shipped("nat.lua", &[])?;
    let files = [(FILE, script.as_str())];
    let setup = setup(&files);
    let mut server = Server::start(&world, lab.path(), &setup)?;
    wait::until_true("forwarding", check::GONE, || Ok(ip_forward(&world)? == "1"))?;

    let alice = open(&world, 0, "alice")?;
    let bob = open(&world, 1, "bob")?;
    // From the very first packet on: the element is there before the session is open.
    echo::ping(&world.cli, FAR_HOST, 1)?;
    let addresses = [alice.opened().local, bob.opened().local].map(|address| address.to_string());
    // (Bob's line is open at his end a moment before it is at the server's, where nothing passes without.)
    wait::until_true("both addresses", check::GONE, || Ok(subscribers(&world.srv)? == addresses))?;

    // A reload keeps what there is.
    super::reload(&server)?;
    echo::ping(&world.cli, FAR_HOST, 2)?;

    // Sessions outlive the server, and so does their way into the Internet.
    wait::until_true("the store on disk", check::GONE, || Ok(server.read_file(STORE).is_ok()))?;
    server.lose(Signal::SIGKILL)?;
    echo::ping(&world.cli, FAR_HOST, 4)?;
    // What is left of a session that has ended since, and one that lacks.
    let [first, _] = &addresses;
    let wrong = format!(
        "add element ip pppoed_nat subscribers {{ 192.0.2.99 }}\ndelete element ip pppoed_nat subscribers {{ {first} }}\n"
    );
    check::nft(&world.srv, &wrong)?;
    server.start_again(&world, &setup, &programs::path("pppoed")?)?;
    server.wait_for_sessions(&world, 2, check::GONE)?;
    wait::until_true("both addresses", check::GONE, || Ok(subscribers(&world.srv)? == addresses))?;
    echo::ping(&world.cli, FAR_HOST, 5)?;

    bob.hang_up()?;
    wait::until_true("bob's address to go", check::GONE, || Ok(subscribers(&world.srv)? == addresses[..1]))?;
    echo::ping(&world.cli, FAR_HOST, 3)?;
    alice.hang_up()?;
    server.wait_for_sessions(&world, 0, check::GONE)?;
    wait::until_true("an empty set", check::GONE, || Ok(subscribers(&world.srv)?.is_empty()))?;
    server.stop(&world)?;
    let left = nft_list(&world.srv, &["tables"])?;
    ensure!(left.trim() == "table ip other", "left behind: {left}");
    ensure!(ip_forward(&world)? == "0", "forwarding was not put back");
    lab.check_sent_frames(capture).map(drop)
}

fn ip_forward(world: &World) -> Result<String> {
    world.srv.run(|| Ok(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?.trim().to_owned()))
}

/// The elements of the set, in order.
fn subscribers(namespace: &Netns) -> Result<Vec<String>> {
    let text = nft_list(namespace, &["set", "ip", "pppoed_nat", "subscribers"])?;
    let elements = text.split_once("elements = {").and_then(|(_, rest)| rest.split_once('}'));
    let elements = elements.map_or("", |(elements, _)| elements);
    let mut elements: Vec<String> =
        elements.split(',').map(str::trim).filter(|element| !element.is_empty()).map(str::to_owned).collect();
    elements.sort();
    Ok(elements)
}
