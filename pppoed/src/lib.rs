//! The supervisor's parts as a library, so that tests and fuzzers reach them.
//!
//! `main.rs` is the program. Everything below it that decides something lives here.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod check;
pub mod control;
pub mod daemon;
pub mod first_run;
pub mod journal;
pub mod last_good;
pub mod log_levels;
pub mod log_limit;
pub mod log_ring;
pub mod logging;
pub mod message;
pub mod names;
pub mod oom;
pub mod pool;
pub mod preflight;
pub mod problems;
pub mod startup;
pub mod supervisor;
pub mod systemd;
pub mod text;
pub mod threads;
pub mod turns;
