//! The server's counters as OpenMetrics text, once or over HTTP.
//!
//! Made here, by whoever may look, and not in `pppoed`: no privileged process speaks HTTP.

mod exposition;
mod listen;

use std::io::Write;

use ppp_ipc::control::Request;

use crate::{answer::Answer, console::Console, error::Error, info::Info};

pub(crate) use listen::Listen;

/// Asks the server, and writes everything that it counts.
pub(crate) fn show(console: &mut Console, out: &mut dyn Write) -> Result<(), Error> {
    out.write_all(text(console)?.as_bytes()).map_err(Error::Output)
}

/// Everything that the server counts now.
fn text(console: &mut Console) -> Result<String, Error> {
    let mut facts = exposition::Facts::default();
    for request in [Request::ShowVersion, Request::ShowStats, Request::ShowInterfaces, Request::ShowPool] {
        match console.call(request)? {
            Answer::Stats(stats) => facts.stats = Some(*stats),
            Answer::Info(Info::Version(version)) => facts.version = Some(version),
            Answer::Info(Info::Interfaces(interfaces)) => facts.interfaces = interfaces,
            Answer::Info(Info::Pool(pool, _)) => facts.pool = Some(*pool),
            _ => {}
        }
    }
    Ok(facts.to_string())
}
