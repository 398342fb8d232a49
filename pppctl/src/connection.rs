//! How `pppoed` is reached.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use ppp_ipc::control::DEFAULT_PATH;

use crate::parse::parse_seconds;

/// How to reach `pppoed`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectionOptions {
    /// Control socket of pppoed
    #[arg(long, global = true, value_name = "PATH", default_value = DEFAULT_PATH)]
    pub(crate) socket: PathBuf,
    /// Timeout for each answer of pppoed
    #[arg(long, global = true, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub(crate) timeout: Duration,
}
