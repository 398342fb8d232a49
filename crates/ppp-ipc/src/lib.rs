//! The messages of pppoed's Unix sockets, their framing and their version hello.
//!
//! | socket | between | messages | who is trusted |
//! |---|---|---|---|
//! | worker | `pppoed` and one `ppp-worker` (a socket pair) | [`worker`] | the worker is not |
//! | adoption | `pppoed` and a worker of an earlier one (a named socket that only workers see) | [`adoption`], then [`worker`] | the worker is not |
//! | template | `pppoed` and the template of the workers (a socket pair) | [`template`] | as far as its own file is |
//! | hooks | `pppoed` and a hook host (a socket pair) | [`hooks`] | as far as the scripts are |
//! | control | `pppoed` and `pppctl` (a named socket) | [`control`] | the client is not |
//!
//! They carry frames ([`frame`]): a length, capped before anything is allocated, then one value in
//! bincode ([`codec`], the only place that knows it). The crate does no I/O; programs push the bytes
//! that they read into a [`frame::FrameDecoder`] and write the bytes that [`codec::encode`] gave.
//!
//! # Rules for the messages
//! - A sequence never has zero-sized elements and a type is never recursive: bincode's size limit sees neither.
//! - Bytes that a peer chose stay bytes: `Vec<u8>` on the worker socket, and on the control socket, where they are a name,
//!   [`name::Name`], whose text a console may print. What is told in sentences there is text that `pppoed` has escaped already.
//! - Durations are integers that name their unit; addresses are `std::net` types or `[u8; 6]`.
//! - A release that changes a message raises [`worker::VERSION`] or [`control::VERSION`]. Those of workers only grow,
//!   for the reasons in [`adoption`].

pub mod adoption;
pub mod bytes;
pub mod codec;
pub mod control;
pub mod frame;
pub mod hooks;
pub mod name;
pub mod policy;
pub mod rate;
pub mod reason;
pub mod reload;
pub mod template;
mod wiped;
pub mod worker;
