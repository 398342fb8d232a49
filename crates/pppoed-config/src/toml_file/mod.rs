//! Settings in TOML: the text as tables with the place of every key and value, the values as settings of the server and
//! options of pppd, and what can be wrong with them. What tables a file has is for those who read it.

mod assign;
mod error;
mod node;

pub use assign::{ppp_assignment, server_assignment, unknown_key, values};
pub use error::{FileError, Problem, Unreadable};
pub use node::{Item, Node, Table, Value, parse};
