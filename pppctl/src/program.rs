//! What stands around the commands: the program's own arguments, and what the shell has beside them.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    clock::Zone,
    command::{Command, values},
    connection::ConnectionOptions,
    format::Format,
    terminal::Screen,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  pppctl                             interactive shell; type `help` there
  pppctl show sessions               list sessions
  pppctl sh ses                      same; commands may be abbreviated
  pppctl show sessions --interface eth1 --sort traffic- --limit 10
  pppctl show sessions --columns id,user,rate --sort rate-
  pppctl show session 7              details of session 7
  pppctl show sessions --json | jq -r '.sessions[] | select(.state == \"open\") | .username'
  pppctl terminate user alice        terminate all sessions of alice
  pppctl terminate all --yes         terminate all sessions without confirmation
  pppctl top                         live view of the busiest sessions
  pppctl monitor --user alice        live events of alice's sessions
  pppctl auth test alice             test a login of alice
  pppctl drain on                    accept no new sessions, until pppctl drain off
  pppctl reload --check              show what a reload would change
  pppctl shutdown soft               exit pppoed after its last session
  pppctl shutdown keep               exit pppoed without ending sessions, for a restart
  pppctl -c 'drain on; show stats'   run several commands, stop at the first error
  pppctl < FILE                      same, from a file, one or more per line

Tables omit their least important columns if the terminal is too narrow; other formats are complete.

Exit status:
  0  success
  1  refused: no such session, server busy, login test failed, or confirmation declined
  2  usage error
  3  cannot connect to pppoed
  4  permission denied
  5  timeout, or unexpected answer (version mismatch)
  130  interrupted by Ctrl-C";

const COMPLETIONS: &str = "\
Examples:
  pppctl completions bash > /etc/bash_completion.d/pppctl     already installed by the package and by make install
  pppctl completions zsh > /usr/local/share/zsh/site-functions/_pppctl
  pppctl completions fish > /etc/fish/completions/pppctl.fish";

/// Console of pppoed: manages PPPoE sessions and the server. Without a command, starts an interactive shell.
#[derive(Debug, Parser)]
#[command(
    name = "pppctl",
    version,
    infer_subcommands = true,
    infer_long_args = true,
    max_term_width = 100,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    #[command(flatten)]
    pub(crate) display: DisplayOptions,
    /// Run these commands, separated by `;`, as lines of the shell; stop at the first error
    #[arg(short = 'c', value_name = "COMMANDS")]
    pub(crate) commands: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<CliCommand>,
}

/// What the program's arguments may say.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    #[command(flatten)]
    Command(Box<Command>),
    /// Serve metrics over HTTP, for collectors such as Prometheus, until Ctrl-C
    Metrics {
        /// Listen address, such as 127.0.0.1:9752; there is no access control
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
    },
    /// What may stand at the end of a line of bash, for its completion
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The line up to the cursor
        #[arg(allow_hyphen_values = true)]
        line: String,
        /// COMP_WORDBREAKS
        #[arg(allow_hyphen_values = true)]
        breaks: String,
    },
    /// Generate shell completion
    #[command(after_help = COMPLETIONS)]
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// A line of the shell.
#[derive(Debug, Parser)]
#[command(
    name = "",
    no_binary_name = true,
    disable_help_subcommand = true,
    infer_subcommands = true,
    infer_long_args = true,
    max_term_width = 100
)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) display: DisplayOptions,
    #[command(subcommand)]
    pub(crate) command: LineCommand,
}

/// What a line of the shell may say.
#[derive(Debug, Subcommand)]
pub(crate) enum LineCommand {
    #[command(flatten)]
    Command(Box<Command>),
    /// Show help, of all commands or of one
    Help {
        /// Command
        #[arg(value_name = values::WORD)]
        words: Vec<String>,
    },
    /// Leave the shell (also Ctrl-D)
    #[command(visible_alias = "quit")]
    Exit,
}

/// How to show answers.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct DisplayOptions {
    /// Output format [default: table]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    /// Same as --output json
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    /// Show times in UTC instead of local time
    #[arg(long, global = true)]
    utc: bool,
}

impl DisplayOptions {
    /// The format that was asked for, if any was.
    pub(crate) fn format(self) -> Option<Format> {
        if self.json { Some(Format::Json) } else { self.output }
    }

    /// These, and what they leave open as `defaults` have it.
    pub(crate) fn or(self, defaults: Self) -> Self {
        match self.format() {
            Some(_) => Self { utc: self.utc || defaults.utc, ..self },
            None => Self { utc: self.utc || defaults.utc, ..defaults },
        }
    }

    /// Whose time is shown.
    pub(crate) fn zone(self) -> Zone {
        if self.utc { Zone::Utc } else { Zone::Local }
    }

    /// Standard output as it is now.
    pub(crate) fn screen(self) -> Screen {
        Screen { zone: self.zone(), ..Screen::of_stdout() }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_is_consistent() {
        Cli::command().debug_assert();
        Line::command().debug_assert();
    }

    #[test]
    fn the_help_reads_well() {
        let help = Cli::command().render_long_help().to_string();
        for expected in ["Examples:", "Exit status:", "terminate", "--socket <PATH>"] {
            assert!(help.contains(expected), "{expected}: {help}");
        }
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    }
}
