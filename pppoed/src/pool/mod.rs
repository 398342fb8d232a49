//! Slots of sessions with their ids, and the machine whose addresses the pools keep clear of. The pools themselves are
//! `pppoed_config::pool`.

mod machine;
mod random_ids;
mod slots;

pub use machine::ThisMachine;
pub use slots::Slots;
