//! A PPPoE client of our own, on `ppp_proto`'s client ends and packet sockets: no pppd, no kernel PPP.
//!
//! * [`run`] dials many sessions from one thread, each from an Ethernet address of its own, pings through every
//!   one of them without any network interface, and reports what it measured.
//! * [`dial`] dials one and gives it a TUN, so that ordinary programs use it.
//!
//! [`session::Session`] is the sans-IO heart of both, [`port::Port`] their access to the interface.

mod arguments;
mod data;
mod dial;
mod icmp;
mod load;
mod ping;
mod port;
mod report;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use arguments::{DialArguments, LoadArguments};
pub(crate) use dial::{DialConfig, Dialled, Ended, GATHER, dial};
pub(crate) use load::{BURST, LoadConfig, Orders, run, run_by_orders};
pub(crate) use ping::PingConfig;
pub(crate) use report::{Percentiles, Report};
pub(crate) use session::{Conduct, End};
