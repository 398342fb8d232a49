//! What somebody is told who starts a server for the first time.

use std::fs;

use ppp_linux::netlink::Netlink;
use pppoed_config::config::file::DEFAULT_FILE;

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const ROUTES: &str = "/proc/net/route";

/// What keeps packets from flowing beyond this machine, if anything does.
pub fn forwarding_remark() -> Option<&'static str> {
    let forwards = fs::read_to_string(IP_FORWARD).ok()?;
    (forwards.trim() == "0").then_some(
        "net.ipv4.ip_forward is 0, so clients reach this machine and nothing behind it: sysctl -w net.ipv4.ip_forward=1",
    )
}

/// One screen for who starts pppoed for the first time, without a word about what it shall serve.
pub fn welcome() -> String {
    let uplink = fs::read_to_string(ROUTES).ok().and_then(|routes| default_route(&routes));
    welcome_for(&ethernet_interfaces(), uplink.as_deref())
}

fn welcome_for(interfaces: &[String], uplink: Option<&str>) -> String {
    let others = || interfaces.iter().filter(|name| Some(name.as_str()) != uplink);
    let candidate = others().next().map_or("eth1", String::as_str);
    let listed: Vec<String> = interfaces
        .iter()
        .map(|name| match Some(name.as_str()) == uplink {
            true => format!("{name} (has the default route: the uplink?)"),
            false => name.clone(),
        })
        .collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    format!(
        "pppoed: nothing says what to serve. A line to begin with:

    pppoed -I {candidate} -L 10.0.0.1 -R 10.0.0.2 -N 64

  -I  the interface that the clients are on. Ethernet interfaces here: {listed}
  -L  our address on each client's link
  -R  the first client's address, and -N how many there may be

Clients log in with the users of /etc/ppp/chap-secrets and /etc/ppp/pap-secrets, one on each line:

    alice  *  \"her password\"  *

What they are told besides, such as DNS servers, is in /etc/ppp/pppoe-server-options, as for pppoe-server:

    ms-dns 9.9.9.9

All of that can stand in {DEFAULT_FILE} instead, by which pppoed then starts without flags.

Add --check to see whether all is well without serving anybody, -F to stay in the foreground. All flags: pppoed --help
"
    )
}

/// Names of the Ethernet interfaces, sorted.
fn ethernet_interfaces() -> Vec<String> {
    let found = Netlink::open().and_then(|mut netlink| netlink.interfaces()).unwrap_or_default();
    let ethernet = found.iter().filter(|interface| interface.mac.is_some());
    let mut names: Vec<String> = ethernet.map(|interface| interface.id.name.to_string()).collect();
    names.sort();
    names
}

/// The interface of the IPv4 default route in the format of /proc/net/route.
pub(crate) fn default_route(routes: &str) -> Option<String> {
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (name, destination) = (fields.next()?, fields.next()?);
        (destination == "00000000").then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_copy_does_not_serve_the_uplink() {
        let names = ["eth0", "eth1"].map(str::to_owned);
        let screen = welcome_for(&names, Some("eth0"));
        assert!(screen.contains("pppoed -I eth1 -L"), "{screen}");
        assert!(screen.contains("eth0 (has the default route: the uplink?), eth1\n"), "{screen}");
        assert!(screen.lines().count() <= 24, "more than one screen");
        assert!(welcome_for(&[], None).contains("interfaces here: none\n"));
    }

    #[test]
    fn the_default_route_is_found() {
        let routes = "Iface\tDestination\tGateway\neth1\t0000A8C0\t00000000\neth0\t00000000\t0101A8C0\n";
        assert_eq!(default_route(routes), Some("eth0".to_owned()));
        assert_eq!(default_route("Iface\n\neth1\n"), None);
    }
}
