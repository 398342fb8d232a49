//! What can go wrong with a command, and the exit status of each.

use std::{fmt::Write, io};

use crate::{answer, transport};

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server could not be talked to.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// The server refused, or its answer makes no sense.
    #[error(transparent)]
    Answer(#[from] answer::Error),
    /// `terminate all` or `shutdown hard` has nobody to ask.
    #[error("this ends every session and there is no terminal to ask on: add --yes")]
    NeedsYes,
    /// The answer to the question was not yes.
    #[error("nothing was done")]
    Declined,
    /// The question could not be asked.
    #[error("cannot ask on the terminal")]
    Ask(#[source] io::Error),
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
        match self {
            Self::NeedsYes => USAGE,
            Self::Declined | Self::Ask(_) | Self::Output(_) => FAILED,
            Self::Transport(error) => match error {
                transport::Error::NotRunning { .. } | transport::Error::Connect { .. } => NOT_RUNNING,
                transport::Error::NotAllowed { .. } => NOT_ALLOWED,
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
                answer::Error::NoSuchSession { .. } | answer::Error::Busy(_) => FAILED,
                answer::Error::NotAllowed => NOT_ALLOWED,
                answer::Error::Unexpected { .. } | answer::Error::TooManySessions => NOT_UNDERSTOOD,
            },
        }
    }

    /// Whether the reader of our output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// An error and its causes in one line.
    pub(crate) fn chain(error: &dyn std::error::Error) -> String {
        let mut line = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // A String takes everything.
            let _ = write!(line, ": {error}");
            cause = error.source();
        }
        line
    }
}
