//! The template of the workers: started by `pppoed` and by nobody else.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::process::ExitCode;

use ppp_worker::{Newborn, template};

fn main() -> ExitCode {
    template::run(Newborn::run)
}
