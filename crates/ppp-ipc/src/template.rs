//! Messages between `pppoed` and the template that workers are forked from.
//!
//! ```text
//! pppoed                                     ppp-worker (template)
//!   Enter ───────────────────────────────────▶  enters the first stage of the sandbox
//!   ◀─────────────────────────────────── Ready
//!   Fork, with descriptors ──────────────────▶  forks a worker, once for each dial
//!   ◀─────────────────────────── Forked {pid}
//! ```
//!
//! The socket keeps records apart: each is one frame, for [`crate::codec::decode_frame`]. The template never has
//! to do with a peer; a worker is told everything about its session on its own socket ([`crate::worker`]).

use serde::{Deserialize, Serialize};

/// Descriptor on which a template finds the socket to `pppoed`.
pub const SOCKET_FD: i32 = 3;
/// Descriptor on which a template finds the empty network namespace, closed once it is inside.
pub const NETNS_FD: i32 = 4;

/// Descriptors that come with [`ToTemplate::Fork`], in this order: the worker's socket to `pppoed` (non-blocking), its
/// packet socket, its TUN, the memory of its counters, and its standard error.
pub const DESCRIPTORS: usize = 5;

/// What `pppoed` tells the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToTemplate {
    /// The sandbox of all its workers. Always the first message, and never repeated.
    Enter {
        /// [`crate::worker::VERSION`] of `pppoed`.
        version: u16,
        /// The sandbox to enter.
        sandbox: SandboxParameters,
    },
    /// Fork a worker; [`DESCRIPTORS`] come with this.
    Fork,
}

/// What the template tells `pppoed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromTemplate {
    /// It is in the first stage of the sandbox.
    Ready {
        /// [`crate::worker::VERSION`] of the template.
        version: u16,
    },
    /// The sandbox could not be entered. The template exits.
    Failed {
        /// Step that failed and the system's error.
        why: String,
    },
    /// Answer to [`ToTemplate::Fork`]: the worker runs, as a child of `pppoed`.
    Forked {
        /// Its process id.
        pid: u32,
    },
    /// Answer to [`ToTemplate::Fork`]: there is no new process.
    NotForked {
        /// The system's error.
        why: String,
    },
}

/// Who the workers become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxParameters {
    /// User to become; never 0.
    pub uid: u32,
    /// Group to become; never 0.
    pub gid: u32,
    /// Empty directory that becomes the root directory.
    pub chroot: String,
    /// Limit of the address space in bytes.
    pub address_space_limit: u64,
}
