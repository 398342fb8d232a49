//! What can go wrong with a command, and the exit status of each.

use std::io::{self, Write as _};

use ppp_wire::causes::chain;

use crate::{failure, transport};

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server could not be talked to.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// The server refused, or its answer makes no sense.
    #[error(transparent)]
    Answer(#[from] failure::Error),
    /// `auth test` says so.
    #[error("a login would be refused")]
    LoginRefused,
    /// A command that asks first has nobody to ask.
    #[error("this ends {0}; without a terminal, confirm with --yes")]
    NeedsYes(String),
    /// One session was meant, and there are several.
    #[error("{count} sessions match {word}: {ids}. Give one id; `pppctl show session {word}` lists them")]
    Several {
        /// What was asked for.
        word: String,
        /// How many there are.
        count: usize,
        /// The ids of the first ones.
        ids: String,
    },
    /// The answer to the question was not yes.
    #[error("cancelled; nothing changed")]
    Declined,
    /// The file of a capture cannot be written.
    #[error("cannot write the capture: give another file with -w")]
    File(#[source] io::Error),
    /// The metrics cannot be served.
    #[error("cannot listen for collectors: give another address with --listen")]
    Listen(#[source] io::Error),
    /// The question could not be asked.
    #[error("cannot prompt on the terminal")]
    Ask(#[source] io::Error),
    /// A line, or the filters behind it, is no command. The message is whole.
    #[error("{0}")]
    Line(String),
    /// A line of several failed.
    #[error("line {number}")]
    InLine { number: u64, source: Box<Error> },
    /// The commands could not be read.
    #[error("cannot read the commands")]
    Input(#[source] io::Error),
    /// The terminal refused to be used.
    #[error("cannot use the terminal")]
    Terminal(#[source] io::Error),
    /// The answer could not be written.
    #[error("cannot write the answer")]
    Output(#[source] io::Error),
}

impl Error {
    /// Exit status, as `--help` documents it.
    pub(crate) fn exit_code(&self) -> u8 {
        const FAILED: u8 = 1;
        const USAGE: u8 = 2;
        const NOT_RUNNING: u8 = 3;
        const NOT_ALLOWED: u8 = 4;
        const NOT_UNDERSTOOD: u8 = 5;
        // As shells tell of SIGINT.
        const INTERRUPTED: u8 = 130;
        match self {
            Self::InLine { source, .. } => source.exit_code(),
            Self::NeedsYes(_) | Self::Line(_) => USAGE,
            Self::Declined
            | Self::LoginRefused
            | Self::Several { .. }
            | Self::Listen(_)
            | Self::File(_)
            | Self::Ask(_)
            | Self::Input(_)
            | Self::Terminal(_)
            | Self::Output(_) => FAILED,
            Self::Transport(error) => match error {
                transport::Error::NotRunning { .. } | transport::Error::Connect { .. } => NOT_RUNNING,
                transport::Error::NotAllowed { .. } => NOT_ALLOWED,
                transport::Error::Interrupted => INTERRUPTED,
                transport::Error::Timeout { .. }
                | transport::Error::Closed
                | transport::Error::CutOff
                | transport::Error::Io(_)
                | transport::Error::Encode(_)
                | transport::Error::Frame(_)
                | transport::Error::Decode(_)
                | transport::Error::Version { .. } => NOT_UNDERSTOOD,
            },
            Self::Answer(error) => match error {
                failure::Error::NoSuchSession { .. }
                | failure::Error::Busy(_)
                | failure::Error::Refused(_)
                | failure::Error::BadFiles(_) => FAILED,
                failure::Error::NotAllowed => NOT_ALLOWED,
                failure::Error::Unexpected { .. }
                | failure::Error::TooManySessions
                | failure::Error::TooManyChanges
                | failure::Error::TooLong => NOT_UNDERSTOOD,
            },
        }
    }

    /// Whether the user has had enough, which is nothing to complain about.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(self, Self::Transport(transport::Error::Interrupted))
    }

    /// Whether `pppoed` went away, or is not there yet.
    pub(crate) fn is_loss(&self) -> bool {
        match self {
            Self::Transport(error) => matches!(
                error,
                transport::Error::NotRunning { .. }
                    | transport::Error::Connect { .. }
                    | transport::Error::Closed
                    | transport::Error::CutOff
                    | transport::Error::Timeout { .. }
            ),
            // It is about to end.
            Self::Answer(error) => matches!(error, failure::Error::Busy(_)),
            _ => false,
        }
    }

    /// Whether the reader of our output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::InLine { source, .. } => source.is_broken_pipe(),
            _ => false,
        }
    }

    /// Tells the user on standard error.
    pub(crate) fn tell(&self) {
        // Nothing is left to be told when standard error is closed.
        let _ = writeln!(io::stderr(), "pppctl: {}", chain(self));
    }
}
