//! Hook hosts: this program in another role, which runs the administrator's scripts in Lua.
//!
//! `pppoed` executes itself with [`ROLE`] as its only argument and a socket ([`SOCKET_FD`]). The host loads the scripts that
//! it is told, and then makes one call after the other ([`ppp_ipc::hooks`]). It holds nothing that is worth keeping: what
//! takes too long, or too much, is ended by killing the host. A script can do what root can; the host is not there to keep
//! it from that, but to keep its mistakes away from the sessions.
//!
//! | module | what |
//! |---|---|
//! | `directory` | which files are scripts, and whether they can be trusted |
//! | `host` | the process: takes calls, answers |
//! | `link` | its end of the socket |
//! | `script` | one file, loaded: a Lua state of its own, without what scripts should not have |
//! | `api` | the functions that scripts get |
//! | `values`, `answer` | arguments to Lua, and what a function returned |

mod answer;
mod api;
pub mod directory;
mod host;
mod link;
mod script;
mod values;

use std::ffi::OsStr;
use std::process::ExitCode;

pub use host::check;

/// The argument that makes this program a hook host.
pub const ROLE: &str = "hook-host";
/// The host's end of its socket.
pub const SOCKET_FD: i32 = 3;
/// A file in memory with the text of all scripts, one after the other.
pub const SOURCE_FD: i32 = 4;
/// A file in memory in which the host notes where its script is: `file:line`.
pub const PLACE_FD: i32 = 5;
/// Bytes of such a note.
pub const PLACE_LEN: usize = 128;
/// Bytes of a line of log of a script, at most.
pub const MAX_LOG_LINE: usize = 4096;

/// Runs the host if this process was started as one. To be called first in `main`.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|role| role == OsStr::new(ROLE)) && arguments.next().is_none();
    asked.then(host::run)
}
