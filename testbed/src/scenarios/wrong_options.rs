//! Files that cannot mean anything are refused with file, line and word; no client is needed for that.

use anyhow::{Result, ensure};

use super::{Load, Scenario};
use crate::lab::Lab;
use crate::server::{Server, Setup};
use crate::world::{Uplink, Wiring, World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "wrong-options",
    about: "options that are not supported stop the start, and the message names file, line and word",
    peer: "none (pppoed alone)",
    load: Load::Works,
    run,
};

const OPTIONS: &str = "/etc/ppp/pppoe-server-options";

/// Files as people have them, and what the message must contain.
const CASES: [(&str, &[&str]); 4] = [
    ("require-chap\nplugin radius.so\n", &["pppoe-server-options:2", "plugin"]),
    ("require-chap\n\nrequire-mppe\n", &["pppoe-server-options:3", "require-mppe"]),
    ("lcp-echo-failure 2.4.4\n", &["pppoe-server-options:1", "lcp-echo-failure", "2.4.4"]),
    ("requirechap\n", &["pppoe-server-options:1", "requirechap"]),
];

fn run(lab: &Lab) -> Result<()> {
    let world = World::build("lab", Wiring::AccessOnEth1, Uplink::Isolated)?;
    for (options, expected) in CASES {
        let setup = Setup { flags: "-I eth1", options, ..Setup::default() };
        let message = Server::refused(&world, lab.path(), &setup)?;
        for word in expected {
            ensure!(message.contains(word), "no {word:?} in the message about {OPTIONS}:\n{message}");
        }
    }

    let no_interface = Setup { flags: "-I eth7", ..Setup::default() };
    let message = Server::refused(&world, lab.path(), &no_interface)?;
    ensure!(message.contains("eth7"), "no interface in the message:\n{message}");
    Ok(())
}
