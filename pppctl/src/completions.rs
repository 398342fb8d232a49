//! Words for the completion of bash, zsh and fish.

use std::io::Write;

use clap::CommandFactory;

use crate::{
    error::Error,
    program::{Cli, Shell},
};

/// Writes what a shell has to read.
pub(crate) fn write(shell: Shell, out: &mut dyn Write) -> Result<(), Error> {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "pppctl", &mut script);
    out.write_all(&script).map_err(Error::Output)
}
