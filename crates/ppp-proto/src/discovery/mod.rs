//! PPPoE Discovery stage (RFC 2516 §5, RFC 4638): both ends, sans-IO.
//!
//! * [`server::Server`] is the Access Concentrator's end on one access interface.
//! * [`client::Client`] is the Host's end of one session.
//! * [`probe::Probe`] asks whether there is another Access Concentrator.
//! * [`cookie`] makes and checks the AC-Cookie, so that the server keeps no state before a valid PADR.

mod answer;
pub mod client;
mod config;
pub mod cookie;
mod delay;
mod dials;
mod drops;
mod mac_hash;
mod message;
mod meter;
pub mod probe;
mod recent;
pub mod server;

pub use drops::{DropCause, DropCounters, DropSample};

/// The largest PPP payload in bytes without PPP-Max-Payload (RFC 2516 §7).
pub const DEFAULT_MAX_PAYLOAD: u16 = 1492;

/// The largest PPP payload in bytes that this crate agrees to by PPP-Max-Payload (RFC 4638 §3).
pub const LARGEST_MAX_PAYLOAD: u16 = 1500;

/// Bytes of PPPoE header and PPP Protocol field that an Ethernet payload spends on a session.
const SESSION_OVERHEAD: u16 = 8;
