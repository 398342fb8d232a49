//! pppd's scripts: what the real pppd starts them with, and what `compat.lua` does.

mod dump;

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::hook_scripts::shipped;
use super::{Load, Scenario, check};
use crate::guest::{Dial, Guest};
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::wait;
use crate::world::{Uplink, Wiring, World};

use dump::Dump;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "hook-compat",
    about: "scripts/compat.lua starts pppd's scripts just as pppd under pppoe-server -k does; Debian's ip-up.d",
    peer: "pppd 2.4.9 on Linux kernel PPPoE under rp-pppoe's pppoe-server (guest), and as the client (guest)",
    load: Load::Works,
    run,
};

const DUMP: &str = include_str!("dump.sh");
const KERNEL_MODE: &str = include_str!("kernel-mode.sh");
const SCRIPTS: [&str; 7] = ["auth-up", "ip-pre-up", "ip-up", "ipv6-up", "ip-down", "ipv6-down", "auth-down"];
const OPTIONS: &str = "require-chap\n+ipv6\nms-dns 192.0.2.53\n\
                       ipparam \"a b\"\nset SITE=north\nset PLAN=\"x y\"\nset GONE=1\nunset GONE\n";
const SECRETS: &str = "alice * \"wonder land\" *\n";
const FLAGS: &str = "-L 10.0.0.1 -R 10.0.0.2 -N 8";
const OUR_FLAGS: &str = "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 8 \
                         --hooks-dir /etc/ppp/hooks.d --hook-store /var/log/hooks.store";
/// The guest's kernel has IPv6 as a module.
const LOAD_IPV6: &str = "insmod /usr/lib/uml/modules/$(uname -r)/kernel/net/ipv6/ipv6.ko";
const DIAL: &[&str] = &["+ipv6"];

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Isolated)?;
    let [reference, client] = lab.guests(&world, ["server", "client"])?;
    client.sh(LOAD_IPV6)?;
    let expected = by_pppd(&reference, &client)?;
    drop(reference);
    let found = by_us(lab, &world, &client)?;
    for (name, (expected, found)) in SCRIPTS.iter().zip(expected.iter().zip(&found)) {
        let differences = expected.differences(found);
        ensure!(
            differences.is_empty(),
            "{name} is started otherwise than by pppd:\n{}",
            differences.join("\n")
        );
    }
    as_on_debian(lab, &world, &client)?;
    drop(capture);
    Ok(())
}

/// What pppd under pppoe-server starts the scripts with.
fn by_pppd(server: &Guest, client: &Guest) -> Result<Vec<Dump>> {
    let mut set_up = String::from("umask 022\nchmod 755 /etc/ppp\n");
    let mut file = |path: &str, content: &str| {
        writeln!(set_up, "cat > {path} <<'THE-END'\n{content}THE-END\nchmod 755 {path}")
    };
    for script in SCRIPTS {
        file(&format!("/etc/ppp/{script}"), DUMP)?;
    }
    file("/etc/ppp/pppoe-server-options", OPTIONS)?;
    file("/run/pppd.wrapper", KERNEL_MODE)?;
    file("/etc/ppp/chap-secrets", SECRETS)?;
    write!(
        set_up,
        "chmod 600 /etc/ppp/chap-secrets\n\
         cp /usr/sbin/pppd /run/pppd.real && mount --bind /run/pppd.wrapper /usr/sbin/pppd\n\
         {LOAD_IPV6}\n\
         pppoe-server -I vec0 {FLAGS}"
    )?;
    server.sh(&set_up)?;
    let wait_for = |last: &str| {
        server.sh(&format!(
            "for i in $(seq 150); do [ -e /var/log/dump/{last} ] && exit 0; sleep 0.1; done; ls /var/log/dump; exit 1"
        ))
    };
    client.dial(&Dial::new("alice", "wonder land").with(DIAL))?;
    ["auth-up", "ip-up", "ipv6-up"].into_iter().try_for_each(|script| wait_for(script).map(drop))?;
    client.hang_up()?;
    ["ip-down", "ipv6-down", "auth-down"].into_iter().try_for_each(|script| wait_for(script).map(drop))?;
    let dumps = SCRIPTS.iter().map(|script| {
        let text = server.sh(&format!("cat /var/log/dump/{script}"))?;
        Dump::parse(&text, "vec0").with_context(|| format!("{script}: {text}"))
    });
    dumps.collect()
}

/// What we start them with.
fn by_us(lab: &Lab, world: &World, client: &Guest) -> Result<Vec<Dump>> {
    let compat = shipped("compat.lua", &[])?;
    let mut files: Vec<(&str, &str)> = SCRIPTS.iter().map(|script| (*script, DUMP)).collect();
    files.push(("hooks.d/50-compat.lua", &compat));
    let setup = Setup {
        flags: OUR_FLAGS,
        options: OPTIONS,
        chap_secrets: SECRETS,
        files: &files,
        ..Setup::default()
    };
    let server = Server::start(world, lab.path(), &setup)?;
    let log = server.log()?;
    ensure!(
        !log.contains("ipparam") && !log.contains("unset"),
        "options of scripts are complained of:\n{log}"
    );
    client.dial(&Dial::new("alice", "wonder land").with(DIAL))?;
    let dumped = |script: &str| server.read_file(&format!("/var/log/dump/{script}"));
    for script in ["ip-up", "ipv6-up"] {
        wait::until_true(script, check::GONE, || Ok(dumped(script).is_ok()))?;
    }
    client.hang_up()?;
    wait::until_true("auth-down", check::GONE, || Ok(dumped("auth-down").is_ok()))?;
    let order = server.read_file("/var/log/dump/order")?;
    let mut seen = SCRIPTS.iter().map(|script| order.lines().position(|line| line == *script));
    let sorted: Option<Vec<usize>> = seen.by_ref().collect();
    let sorted = sorted.with_context(|| format!("a script is missing: {order}"))?;
    ensure!(order.lines().count() == SCRIPTS.len(), "a script was started twice: {order}");
    // IPv6 may come before IPv4.
    let place = |script: &str| SCRIPTS.iter().position(|name| *name == script).and_then(|at| sorted.get(at));
    for pair in [
        ["auth-up", "ip-pre-up"],
        ["ip-pre-up", "ip-up"],
        ["ip-up", "ip-down"],
        ["ipv6-up", "ipv6-down"],
        ["ip-down", "auth-down"],
    ] {
        ensure!(place(pair[0]) < place(pair[1]), "{} before {}: {order}", pair[1], pair[0]);
    }
    let dumps = SCRIPTS.iter().map(|script| {
        let text = dumped(script)?;
        Dump::parse(&text, "eth1").with_context(|| format!("{script}: {text}"))
    });
    let dumps = dumps.collect::<Result<Vec<_>>>()?;
    for (script, dump) in SCRIPTS.iter().zip(&dumps) {
        // It runs beside the negotiation of addresses, here and with pppd.
        if *script == "auth-up" {
            continue;
        }
        let (up, gone) = (script.ends_with("p"), script.ends_with("n"));
        ensure!(if up { dump.addresses > 0 } else { dump.addresses == 0 && gone }, "{script}: {dump:?}");
    }
    server.stop(world)?;
    Ok(dumps)
}

/// Debian's own scripts, other paths, and scripts that are wrong.
fn as_on_debian(lab: &Lab, world: &World, client: &Guest) -> Result<()> {
    let debian = |name: &str| fs::read_to_string(format!("/etc/ppp/{name}")).context("Debian's package ppp");
    let (compat, ip_up, ip_down) = (shipped("compat.lua", &[])?, debian("ip-up")?, debian("ip-down")?);
    let note = "#!/bin/sh\necho \"$0 $PPP_IFACE $PPP_REMOTE $PPP_IPPARAM $PLAN\" >> /var/log/noted\n";
    let other = "#!/bin/sh\necho \"other $1 $6\" >> /var/log/noted\n";
    let files = [
        ("hooks.d/50-compat.lua", compat.as_str()),
        ("ip-up", ip_up.as_str()),
        ("ip-down", ip_down.as_str()),
        ("ip-up.d/noted", note),
        ("ip-down.d/noted", note),
        ("ip-pre-up", "#!/bin/sh\nexit 3\n"),
        ("auth-up", "#!/bin/sh\necho 'not to be run' >> /var/log/noted\n"),
        ("other", other),
    ];
    let setup = Setup {
        flags: OUR_FLAGS,
        options: "require-chap\nset PLAN=basic\nauth-down-script /etc/ppp/other\n",
        chap_secrets: "alice * \"wonder land\" * -- ipparam hers set PLAN=gold\n",
        files: &files,
        ..Setup::default()
    };
    let directory = lab.path().join("debian");
    fs::create_dir(&directory)?;
    let server = Server::start(world, &directory, &setup)?;
    // Everybody could change it.
    fs::set_permissions(directory.join("pppoed/etc-ppp/auth-up"), Permissions::from_mode(0o777))?;
    let session = client.dial(&Dial::new("alice", "wonder land"))?;
    client.hang_up()?;
    let expected = format!(
        "/etc/ppp/ip-up.d/noted ppp0 {peer} hers gold\n/etc/ppp/ip-down.d/noted ppp0 {peer} hers gold\nother ppp0 \n",
        peer = session.local
    );
    let noted = || server.read_file("/var/log/noted").unwrap_or_default();
    wait::until_true("the scripts", Duration::from_secs(10), || Ok(noted().lines().count() >= 3))?;
    ensure!(noted() == expected, "noted:\n{}expected:\n{expected}", noted());
    server.wait_for_log(&["not run: /etc/ppp/auth-up"])?;
    server.wait_for_log(&["/etc/ppp/ip-pre-up ended with status 3"])?;
    server.wait_for_sessions(world, 0, check::GONE)?;
    server.stop(world)
}
