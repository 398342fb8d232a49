//! Both ends of discovery, driven with frames and virtual time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod client;
mod hostile;
mod interface;
mod limits;
mod offers;
mod pair;
mod server;
mod strays;
mod support;
