//! Hook hosts: this program in another role, which runs the administrator's scripts in Lua.
//!
//! `pppoed` executes itself with [`ROLE`] as its only argument and a socket. The host loads the scripts that it is told, and
//! then makes one call after the other ([`ppp_ipc::hooks`]). It holds nothing that is worth keeping: what takes too long,
//! or too much, is ended by killing the host. A script can do what root can; the host is not there to keep
//! it from that, but to keep its mistakes away from the sessions.
//!
//! | module | what |
//! |---|---|
//! | `host` | the process: takes calls, answers |
//! | `link` | its end of the socket |
//! | `script` | one file, loaded: a Lua state of its own, without what scripts should not have |
//! | `api` | the functions that scripts get |
//! | `values`, `answer` | arguments to Lua, and what a function returned |

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod answer;
mod api;
mod host;
mod link;
mod script;
mod values;

use std::ffi::OsStr;
use std::process::ExitCode;

use ppp_ipc::hooks::ROLE;

pub use host::check;

/// Runs the host if this process was started as one. To be called first in `main`.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|role| role == OsStr::new(ROLE)) && arguments.next().is_none();
    asked.then(host::run)
}
