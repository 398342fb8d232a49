//! The machine whose addresses the pools keep clear of. The pools themselves are `pppoed_config::pool`.

mod machine;

pub use machine::ThisMachine;
