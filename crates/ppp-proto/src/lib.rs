//! The protocol machines of pppoed, sans-IO: no clock, socket, random source or async runtime.
//!
//! Time is an argument (`now`), randomness is given in by the caller, packets go in and out as byte slices.
//! Every machine has the same shape: `handle_*(.., now)` for what comes in, then `poll_transmit`, `poll_event`
//! and `poll_timeout` until they have nothing more, and `handle_timeout(now)` when the time has come.
//!
//! [`link::Link`] is one PPP link, either end of it. It is put together from the automaton of RFC 1661
//! ([`fsm`]), the option sets of [`lcp`], [`ipcp`] and [`ipv6cp`], and [`auth`].

pub mod auth;
pub mod discovery;
pub mod fsm;
pub mod ipcp;
pub mod ipv6cp;
pub mod lcp;
pub mod link;

mod negotiation;
mod numbers;
mod outbox;
#[cfg(test)]
mod testing;
mod timer;
pub mod token_bucket;

pub use negotiation::{NegotiationFailure, RestartConfig};
