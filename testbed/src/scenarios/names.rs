//! Names that few people have: what pppctl shows of one is what every command, file, hook and format takes, with the real
//! programs at both ends.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ppp_wire::name::{NameText, bytes_of};
use serde_json::Value;

use super::check;
use super::{Load, OWN_CLIENT, Scenario};
use crate::client::{Dialled, dial};
use crate::lab::Lab;
use crate::own_client::{LINE, redial_config};
use crate::process;
use crate::programs;
use crate::server::{Server, Setup};
use crate::wait;
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "names",
    about: "names with backslashes, quotes, tabs, escapes, Latin-1 and marks go from show to every command, file and hook",
    peer: OWN_CLIENT,
    load: Load::Works,
    run,
};

const NAMES: [&[u8]; 12] = [
    br"DOM\bob",
    br"\\srv\xe9",
    b"say \"hi\" it's",
    b"tab\there",
    b"\x01\x1b[2J\x7f",
    b"caf\xe9 \xff\xfe",
    "\u{202e}evil\u{200b} e\u{301}".as_bytes(),
    b" a b ",
    b"--yes",
    b"gu*st?",
    b"=1+1",
    "Zoë@用户".as_bytes(),
];

/// What readline of a Debian cuts words at.
const WORD_BREAKS: &str = " \t\n\"'@><=;|&(:";
const FLAGS: &str = "-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 4 --users-file /etc/ppp/users.toml --hooks-dir /etc/ppp/hooks \
                     --console-file /run/console.toml --refusal-delay 0";

fn run(lab: &Lab) -> Result<()> {
    let (world, capture) = lab.world(Wiring::AccessOnEth1, Uplink::Routed)?;
    let quoted = |name: &[u8]| format!("\"{}\"", NameText(name).to_string().replace('\\', r"\\"));
    let users: String = NAMES
        .iter()
        .map(|name| format!("[{}]\npassword = \"secret\"\nrate-down = \"5M\"\n", quoted(name)))
        .collect();
    let known: String =
        NAMES.iter().map(|name| format!("[names.bytes({})] = true,\n", quoted(name))).collect();
    let script = format!(
        "local known = {{ {known} }}\n\
         function auth(s) if not known[s.username] then return false, 'not known' end end\n\
         function ip_up(s) return names.text(s.username) end\n"
    );
    let setup = Setup {
        flags: FLAGS,
        options: "require-chap\n",
        files: &[("users.toml", &users), ("hooks/a.lua", &script)],
        ..Setup::default()
    };
    let server = Server::start(&world, lab.path(), &setup)?;
    world.add_station(LINE, "br1", [0x02, 0, 0, 0, 0, 0x01])?;
    for name in NAMES {
        round_trip(&server, &world, name).with_context(|| format!("the name {}", NameText(name)))?;
    }
    server.stop(&world)?;
    lab.check_sent_frames(capture).map(drop)
}

fn round_trip(server: &Server, world: &World, name: &[u8]) -> Result<()> {
    let json = |words: &[&str]| server.pppctl(&world.srv, words);
    let table = |words: &[&str]| server.pppctl_table(&world.srv, words);
    let session = log_in(world, name)?;
    let sessions = server.wait_for_sessions(world, 1, check::GONE)?;

    // Every format has the same text.
    let shown =
        sessions.first().and_then(|one| one.get("username")?.as_str()).context("a name in JSON")?.to_owned();
    ensure!(bytes_of(shown.as_bytes()) == name, "JSON shows {shown}");
    let rows = table(&["show", "sessions", "-o", "csv", "--columns", "user"])?;
    let cell = rows.split("\r\n").nth(1).context("a row of CSV")?.trim_matches('"');
    ensure!(bytes_of(cell.as_bytes()) == name, "CSV shows {cell}");
    let rows = table(&["show", "sessions", "--columns", "user"])?;
    let cell = rows.lines().nth(1).context("a row of the table")?;
    ensure!(bytes_of(cell.as_bytes()) == name, "the table shows {cell}");

    // It is taken by whatever names a user.
    let found = json(&["show", "session", &shown])?;
    ensure!(found.pointer("/session/username").and_then(Value::as_str) == Some(&shown), "{found}");
    let verdict = table(&["auth", "test", &shown])?;
    ensure!(verdict.contains("users.toml:"), "{verdict}");
    let change = table(&["set", "user", &shown, "rate-down=10M", "--yes"])?;
    ensure!(change.contains("rate-down: 5M (") && change.contains("-> 10M (console)"), "{change}");
    ensure!(!change.contains("note:"), "{change}");
    let field = format!("username={shown}");
    let returned = table(&["hooks", "run", "ip_up", "--set", &field])?;
    ensure!(returned.contains(&serde_json::to_string(&shown)?), "{returned}");
    let policy = json(&["show", "policy"])?.to_string();
    ensure!(policy.contains(&serde_json::to_string(&shown)?), "{policy}");
    ensure!(completed(server, world)? == shown, "bash completes {}", completed(server, world)?);

    // Denied, ended, refused, and let in again.
    table(&["set", "deny", "--end", "--yes", "user", &shown])?;
    server.wait_for_sessions(world, 0, check::GONE)?;
    ensure!(session.hang_up()?.end.to_string().contains("terminated"), "the client was not told");
    ensure!(log_in(world, name).is_err(), "it got in although it is denied");
    table(&["unset", "deny", "user", &shown])?;
    let session = log_in(world, name)?;
    let ended = json(&["terminate", "user", &shown])?;
    ensure!(ended.get("terminated").and_then(Value::as_u64) == Some(1), "{ended}");
    server.wait_for_sessions(world, 0, check::GONE)?;
    session.hang_up()?;
    table(&["unset", "user", &shown, "rate-down"]).map(drop)
}

fn log_in(world: &World, name: &[u8]) -> Result<Dialled> {
    let mut config = redial_config(world, "", "secret")?;
    config.user = name.to_vec();
    config.default_route = false;
    let session = dial(config, Instant::now() + Duration::from_secs(20))?;
    wait::until_true("the session", Duration::from_secs(5), || Ok(!session.is_over()))?;
    Ok(session)
}

/// The only name that bash is offered, as bash reads it.
fn completed(server: &Server, world: &World) -> Result<String> {
    let line = format!("pppctl --socket {} terminate user ", server.socket().display());
    let mut command = Command::new(programs::path("pppctl")?);
    let offered = process::run_ok(&world.srv, command.args(["__complete", &line, WORD_BREAKS]))?;
    let [_, candidate] = offered.lines().collect::<Vec<_>>()[..] else { bail!("offered: {offered}") };
    let mut bash = Command::new("/bin/bash");
    process::run_ok(&world.srv, bash.args(["-c", &format!("printf %s {candidate}")]))
}
