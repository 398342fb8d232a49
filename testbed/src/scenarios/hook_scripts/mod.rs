//! The scripts that ship in `scripts/`, each with real traffic.

mod accounting;
mod deny_and_hours;
mod limiter;
mod mss_clamp;
mod nat;
mod rate_limit;
mod routes;

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};

use super::{Load, OWN_CLIENT, Scenario, check};
use crate::client::{Dialled, dial};
use crate::own_client::numbered_dial_config;
use crate::packages;
use crate::process::run_ok;
use crate::programs;
use crate::server::{Server, Setup};
use crate::wait;
use crate::world::{Netns, World};

pub(super) const NAT: Scenario = nat::SCENARIO;
pub(super) const MSS_CLAMP: Scenario = mss_clamp::SCENARIO;
pub(super) const DENY_AND_HOURS: Scenario = deny_and_hours::SCENARIO;
pub(super) const ACCOUNTING: Scenario = accounting::SCENARIO;
pub(super) const RATE_LIMIT: Scenario = rate_limit::SCENARIO;
pub(super) const LIMITER: Scenario = limiter::SCENARIO;
pub(super) const ROUTES: Scenario = routes::SCENARIO;

/// Flags for a server with the scripts that its [`Setup::files`] put into `hooks.d`.
const FLAGS: &str = "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 8 \
                     --hooks-dir /etc/ppp/hooks.d --hook-store /var/log/hooks.store";
/// Where the server keeps the scripts' store.
const STORE: &str = "/var/log/hooks.store";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SECRETS: &str = "alice * secret *\nbob * secret *\nmallory * secret *\n";

/// A shipped script with other settings than those that it ships with.
///
/// # Errors
/// When there is no such script, or no such setting in it.
pub(crate) fn shipped(name: &str, settings: &[(&str, &str)]) -> Result<String> {
    let path = programs::workspace().join("scripts").join(name);
    let mut source = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for (as_shipped, wanted) in settings {
        ensure!(source.matches(as_shipped).count() == 1, "{name} has no setting {as_shipped:?}");
        source = source.replace(as_shipped, wanted);
    }
    Ok(source)
}

/// The file of [`Setup::files`] for a script.
const FILE: &str = "hooks.d/50-script.lua";
/// Where the server sees it.
const PATH: &str = "/etc/ppp/hooks.d/50-script.lua";

fn setup<'a>(files: &'a [(&'a str, &'a str)]) -> Setup<'a> {
    Setup {
        flags: FLAGS,
        options: "require-chap\nlcp-echo-interval 1\n",
        chap_secrets: SECRETS,
        files,
        ..Setup::default()
    }
}

/// Dials from a link of its own; the first is the clients' default route.
fn open(world: &World, number: u8, user: &str) -> Result<Dialled> {
    let config = numbered_dial_config(world, number, user, "secret")?;
    dial(config, Instant::now() + Duration::from_secs(20))
}

/// What `nft` lists, or the empty text where there is nothing.
fn nft_list(namespace: &Netns, what: &[&str]) -> Result<String> {
    let mut nft = packages::command("nft")?;
    let finished = crate::process::run(namespace, nft.arg("list").args(what), Duration::from_secs(10))?;
    Ok(finished.stdout)
}

fn ip(namespace: &Netns, words: &[&str]) -> Result<String> {
    run_ok(namespace, packages::command("ip")?.args(words))
}

/// Has the server load its scripts anew, and waits until it has.
fn reload(server: &Server) -> Result<()> {
    let loads = || Ok::<_, anyhow::Error>(server.log()?.matches(" scripts=").count());
    let before = loads()?;
    kill(server.pid(), Signal::SIGHUP)?;
    wait::until_true("the scripts to be loaded", check::GONE, || Ok(loads()? > before))
}
