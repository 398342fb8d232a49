//! What `pppoed` is told: the command line, pppd's options files, `pppoed.toml`, secrets and users, pools of addresses, lists of
//! MAC addresses, and what consoles have set.
//!
//! It reads files and nothing else: no sockets, no tasks, no clock. Readers are given bytes or paths, and return values or every
//! mistake that they found, each with file and line. Folders use each other downwards only: `config` puts together what
//! `flags`, `options`, `secrets` and `pool` read; those use `toml_file` and the leaves below it.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod config;
pub mod files;
pub mod flags;
pub mod hook_scripts;
pub mod import;
pub mod inet;
pub mod mac_list;
pub mod options;
pub mod origin;
pub mod policy;
pub mod pool;
pub mod secrets;
pub mod shown;
pub mod spelling;
pub mod toml_file;
pub mod words;
