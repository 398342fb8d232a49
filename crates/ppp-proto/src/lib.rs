//! The protocol machines of pppoed, sans-IO: no clock, socket, random source or async runtime.
//!
//! Time is an argument (`now`), randomness is given in by the caller, packets go in and out as byte slices.
//! Every machine has the same shape: `handle_*(.., now)` for what comes in, then `poll_transmit`, `poll_event`
//! and `poll_timeout` until they have nothing more, and `handle_timeout(now)` when the time has come.

pub mod discovery;
pub mod fsm;
