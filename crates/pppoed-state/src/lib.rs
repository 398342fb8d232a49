//! What one `pppoed` writes down for the next, as bytes: sessions' records and counters, and the hooks' store. Nothing of
//! sockets, tasks or sessions that run: what is read is given back as values.
//!
//! | module | what |
//! |---|---|
//! | `record` | a session's record: items, written and read |
//! | `known` | a record as one value, with everything that a session needs |
//! | `options` | options of a session as items |
//! | `kept` | the files that records and counters are in |
//! | `hook_store` | the table that hook scripts keep, and its file |

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod hook_store;
pub mod kept;
pub mod known;
pub mod options;
pub mod record;
